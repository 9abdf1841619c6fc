"""What a training says of itself is so: metrics recomputed another way, densities recounted in file and cores, errors."""

from __future__ import annotations

import json
import math

import h5py
import numpy as np
import pytest

pytestmark = pytest.mark.train
torch = pytest.importorskip("torch", reason="needs torch (extra train)")

from building import on, samples

from neurodeploy import commands
from neurodeploy.chip import load_chip
from neurodeploy.data.parts import encode, load_splits
from neurodeploy.engines.event.run import run_event
from neurodeploy.errors import DataError, NeurodeployError, RecipeError, TrainingError
from neurodeploy.mapping.mapper import map_network
from neurodeploy.recipe.files import parse_recipe
from neurodeploy.training.metrics import measure
from neurodeploy.training.run import Run
from neurodeploy.training.tensorboard import _numbers

TEXT = """
name = "facts"
data = { name = "digits", n_steps = 5, test_fraction = 0.7, validation_fraction = 0.4 }
network = { layers = [{ kind = "conv", channels = 4, kernel = 3, stride = 2 }, { neurons = 20 }, { neurons = 10 }], \
neuron = { threshold = 64, current_decay = 2048, voltage_decay = 512, tau_grad = 0.01 } }
sparse = { method = "esl", density = 0.3, growth = "momentum", every_steps = 3, ratio = 0.4, end_fraction = 0.9 }
training = { epochs = 3, batch_size = 50, learning_rate = 1e-2, weight_scale = 1.5, logit_scale = 0.5 }
"""


def parts_of(recipe):
    return [encode(part, recipe.data, "x") for part in load_splits(recipe.data)]


class TestMetrics:
    @pytest.fixture(scope="class")
    def watched(self, backend):
        """A run of two epochs, its metrics, and its masks after each step."""
        recipe = parse_recipe(on(backend, TEXT), "test")
        train, validation, _ = parts_of(recipe)
        run = Run(recipe, train)
        history = [{n: m.clone() for n, m in run.rewirer.masks.items()}]
        after_step = run.rewirer.after_step

        def remembered():
            after_step()
            history.append({n: m.clone() for n, m in run.rewirer.masks.items()})

        run.rewirer.after_step = remembered
        for _ in range(2):
            loss = run.epoch()
        return run, measure(run, validation, *loss, 1.0), history, validation

    def test_density_and_explored_ratio_are_those_of_the_masks_over_time(self, watched):
        run, metrics, history, _ = watched
        for name, mask in run.rewirer.masks.items():
            assert metrics.density[name] == mask.sum().item() / mask.numel()
            ever = torch.stack([masks[name] for masks in history]).any(0)
            assert metrics.explored[name] == ever.sum().item() / mask.numel() > metrics.density[name]

    def test_ratio_and_overlap_are_those_of_the_schedule_and_of_the_last_rewiring(self, watched):
        run, metrics, history, _ = watched
        end, step = run.settings.end_step, run.rewirer.step
        expected = 0.4 / 2 * (1 + math.cos(math.pi * step / end))
        assert metrics.ratio == pytest.approx(expected)
        last = max(
            i
            for i in range(1, len(history))
            if any(not torch.equal(history[i][n], history[i - 1][n]) for n in history[i])
        )
        asked = 0.4 / 2 * (1 + math.cos(math.pi * last / end))
        for name in metrics.rewired:
            before, after = history[last - 1][name], history[last][name]
            assert metrics.rewired[name] == pytest.approx(asked)
            assert (before & ~after).sum() == (after & ~before).sum() == math.floor(asked * before.sum().item())
            assert metrics.overlap[name] == 0  # what was dropped is not grown in the same rewiring

    def test_overlap_counts_what_came_back_where_that_is_allowed(self, backend):
        recipe = parse_recipe(on(backend, TEXT.replace('"esl"', '"rigl"').replace('growth = "momentum", ', "")), "test")
        run = Run(recipe, parts_of(recipe)[0])
        while run.rewirer.n_rewirings == 0:
            masks = {n: m.clone() for n, m in run.rewirer.masks.items()}
            run.step(torch.arange(50))
        for name, event in run.rewirer.events.items():
            new = int((run.rewirer.masks[name] & ~masks[name]).sum())
            assert event.overlap == (event.grown - new) / event.grown
        assert any(event.overlap > 0 for event in run.rewirer.events.values())

    def test_pq_index_is_the_definition(self, watched):
        run, metrics, _, _ = watched
        for name, weight in run.model.weights().items():
            w = weight.detach()[run.rewirer.masks[name]].abs().double().numpy()
            norms = [(w**p).sum() ** (1 / p) for p in (0.5, 1.0)]
            assert metrics.pq_index[name] == pytest.approx(1 - len(w) ** (1 - 2) * norms[0] / norms[1])

    def test_silent_neurons_and_spikes_are_those_of_the_exported_integers(self, watched):
        """Counted in the event engine over the same validation samples, whose input ends with the last step."""
        from neurodeploy.training.model.integers import to_network

        run, metrics, _, validation = watched
        network = to_network(run.model, run.rewirer.export_masks(), 1e-3)
        activity = run_event(network, validation)
        for population in network.populations:
            spikes = activity.spikes[population.name].to_dense()
            seen = spikes[:, population.first_step : population.first_step + validation.n_steps]
            assert metrics.silent[population.name] == pytest.approx((seen.sum((0, 1)) == 0).mean())
            assert metrics.spikes_per_sample[population.name] == pytest.approx(seen.sum() / validation.n_samples)
        counts = seen.sum(1)  # of the last population, whose counts are the classes
        tied = (counts == counts.max(1, keepdims=True)).sum(1) > 1
        assert metrics.tied == tied.mean()
        assert metrics.silent_samples == (counts.sum(1) == 0).mean()

    def test_states_are_those_of_the_reference_engine(self, watched):
        from neurodeploy.engines.reference import run_reference
        from neurodeploy.training.model.integers import to_network

        run, metrics, _, validation = watched
        network = to_network(run.model, run.rewirer.export_masks(), 1e-3)
        name = network.populations[1].name
        states = run_reference(network, validation, probe=[(name, "u")], n_steps=validation.n_steps + 2).states
        largest = np.abs(states[name, "u"][:, 2:]).max()
        assert largest <= metrics.peak_state[name] < 2**23

    def test_every_number_of_the_metrics_is_a_curve(self, watched):
        from dataclasses import asdict

        tags = dict(_numbers(asdict(watched[1])))
        wanted = ("density", "explored", "silent", "pq_index", "rewired", "overlap", "peak_state", "spikes_per_sample")
        for metric in wanted:
            for layer in ("hidden1", "hidden2", "output"):
                assert f"{metric}/{layer}" in tags
        assert {"ratio", "loss", "validation_accuracy"} <= tags.keys()


@pytest.fixture(scope="module")
def exported(backend, tmp_path_factory):
    """A run's folder with its file."""
    folder = tmp_path_factory.mktemp("run")
    (folder / "facts.toml").write_text(on(backend, TEXT), encoding="utf-8")
    commands.train(folder / "facts.toml", out=folder / "run")
    commands.export(folder / "run")
    return folder / "run"


def weights_in_file(path):
    """Weights by name of their node, read without our reader."""
    with h5py.File(path) as file:
        nodes = file["node/nodes"]
        return {name: node["weight"][()] for name, node in nodes.items() if "weight" in node}


def test_t50_density_is_the_same_in_the_report_the_file_and_the_cores(exported):
    """And the connection density: each weight of the convolution counted at each of its 3 x 3 positions."""
    found = weights_in_file(exported / "model.nir")
    lines = [json.loads(line) for line in (exported / "metrics.jsonl").read_text(encoding="utf-8").splitlines()]
    best = json.loads(
        json.dumps(max(lines, key=lambda m: (m["settled"], m["validation_accuracy"], -m["validation_loss"])))
    )
    network = commands.load_network(exported)
    mapping = map_network(network, load_chip("loihi2"))
    assert len(found) == 3
    for projection in network.projections:
        weights = next(w for w in found.values() if w.size == projection.synapses.weights.size)
        nonzero = np.count_nonzero(weights)
        assert nonzero / weights.size == pytest.approx(best["density_nonzero"][projection.target])
        stored = sum(load.stored.get(projection.name, 0) for load in mapping.cores)
        convolves = projection.synapses.kind == "conv"
        assert stored == (weights.size if convolves else nonzero)  # a core keeps whole kernels, and lists without zeros
        positions = 9 if convolves else 1
        unrolled = sum(np.count_nonzero(row) for row in matrix(projection))
        assert unrolled == positions * nonzero


def matrix(projection):
    """The unrolled matrix, by a spike from each source through the reference engine's sums."""
    from neurodeploy.engines.sums import synaptic_sum
    from neurodeploy.network import synapse_shape

    n_source = synapse_shape(projection.synapses)[1]
    return synaptic_sum(projection.synapses, np.eye(n_source, dtype=bool))


def test_t51_masked_model_physically_sparse_lists_and_integers_answer_alike(backend, exported):
    """Sample by sample: lists of (source, target, weight) in plain Python against the backend and the event engine."""
    network = commands.load_network(exported)
    samples = commands.load_data(exported, n_samples=40)
    lists = [
        [[(j, int(w)) for j, w in enumerate(row) if w] for row in matrix(projection)]
        for projection in network.projections
    ]
    expected = run_event(network, samples, n_steps=samples.n_steps + network.depth)
    raster = samples.inputs["input"].to_dense()
    for k in range(samples.n_samples):
        counts = index_list_counts(network, lists, raster[k], expected.n_steps)
        assert counts == expected.spikes["output"].to_dense()[k].sum(0).tolist()
    assert commands.verify(exported, engines=(backend, "event"), n_samples=40)["equal"]


def index_list_counts(network, lists, raster, n_steps):
    sent = [list(np.flatnonzero(row)) for row in raster] + [[]] * (n_steps - len(raster))
    for population, own in zip(network.populations, lists):
        u, v, fired = [0] * population.size, [0] * population.size, []
        for t in range(n_steps):
            fired.append([])
            if t < population.first_step:
                continue
            arriving = [0] * population.size
            for source in sent[t - 1]:
                for target, weight in own[source]:
                    arriving[target] += weight
            for i in range(population.size):
                u[i] = toward_zero(u[i] * (4096 - population.model.current_decay)) + 64 * arriving[i]
                v[i] = toward_zero(v[i] * (4096 - population.model.voltage_decay)) + u[i]
                if v[i] > 64 * population.model.threshold:
                    fired[t].append(i)
                    v[i] = 0
        sent = fired
    return [sum(step.count(i) for step in sent) for i in range(network.populations[-1].size)]


def toward_zero(value):
    return value // 4096 if value >= 0 else -(-value // 4096)


def test_a_price_on_spikes_lowers_them(backend):
    recipe = parse_recipe(on(backend, TEXT), "test")
    train, validation, _ = parts_of(recipe)
    spikes = []
    for price in (0.0, 3.0):
        training = recipe.training.model_copy(update={"spikes_penalty": price})
        run = Run(recipe.model_copy(update={"training": training}), train)
        for _ in range(3):
            loss = run.epoch()
        metrics = measure(run, validation, *loss, 1.0)
        spikes.append(metrics.spikes_per_sample["hidden1"] + metrics.spikes_per_sample["hidden2"])
    assert spikes[1] < 0.8 * spikes[0]


def test_the_price_is_that_of_a_spike_a_neuron_and_sample():
    from neurodeploy.training.losses import spikes_per_neuron

    layers = {"a": torch.zeros(2, 3, 2, 4), "b": torch.zeros(2, 4, 4), "output": torch.ones(2, 5, 4)}
    layers["a"][0, 1, 1, 2] = 1
    layers["b"][1, 3, :3] = 1
    assert spikes_per_neuron(layers).item() == pytest.approx((1 + 3) / 2 / (6 + 4))


BAD = {
    "density out of range": (
        "density = 0.3",
        "density = 1.3",
        RecipeError,
        "sparse.density = 1.3: input should be less",
    ),
    "density that leaves a layer empty": (
        "density = 0.3",
        "density = 1e-4",
        TrainingError,
        "leaves layer 'hidden1' .36 we",
    ),
    "labels out of range": ("{ neurons = 10 }]", "{ neurons = 9 }]", TrainingError, "label 9 has no output neuron"),
    "an empty data folder": ('name = "digits"', 'name = "mnist", root = "HERE"', DataError, "MNIST|mnist"),
    "a layer larger than its input": ("kernel = 3", "kernel = 9", RecipeError, "is larger than its input of 8 x 8"),
}


@pytest.mark.parametrize("case", BAD)
def test_bad_input_is_named_and_leaves_nothing_behind(backend, case, tmp_path):
    old, new, kind, message = BAD[case]
    (tmp_path / "empty").mkdir()
    text = on(backend, TEXT).replace(old, new.replace("HERE", str(tmp_path / "empty")))
    assert text != on(backend, TEXT)
    (tmp_path / "bad.toml").write_text(text, encoding="utf-8")
    with pytest.raises(NeurodeployError, match=message) as caught:
        commands.train(tmp_path / "bad.toml", out=tmp_path / "run")
    assert type(caught.value) is kind
    assert not (tmp_path / "run").exists()


def test_a_part_without_samples_is_refused(backend):
    recipe = parse_recipe(on(backend, TEXT), "test")
    none = samples(np.zeros((0, 5, 64), bool), "input", labels=np.zeros(0, np.int32), shapes={"input": (1, 8, 8)})
    with pytest.raises(TrainingError, match="there is no sample to train on; is the data folder empty"):
        Run(recipe, none)

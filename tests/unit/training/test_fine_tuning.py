"""Fine-tuning: a network made elsewhere trains on from its own integers, dense, pruned, at fewer bits, or rewired."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest


class PowerCutError(Exception):
    """Ends a training without a word, as the end of its process would."""


pytestmark = pytest.mark.train
torch = pytest.importorskip("torch", reason="needs torch (extra train)")

from building import chain, on

from neurodeploy import commands
from neurodeploy.data.parts import encode, load_splits
from neurodeploy.engines.event.run import run_event
from neurodeploy.engines.reference import run_reference
from neurodeploy.errors import NirError, RecipeError, TrainingError, UsageError
from neurodeploy.exchange.nir.read import from_nir
from neurodeploy.exchange.nir.write import to_nir
from neurodeploy.network import (
    Conv,
    Cuba,
    Dense,
    LeakyIntegrator,
    Pool,
    Projection,
    Sparse,
    n_masked,
)
from neurodeploy.network.activity import Events, Samples
from neurodeploy.proofs.compare import compare_activities
from neurodeploy.recipe.files import parse_recipe, starting_from
from neurodeploy.training.checkpoint import load_checkpoint, save_checkpoint
from neurodeploy.training.model.backends import build, run_trainer
from neurodeploy.training.model.imported import as_chain, install, with_layers_of
from neurodeploy.training.model.integers import to_network

TEXT = """
name = "tuned"
data = { name = "digits", n_steps = 6, test_fraction = 0.7, validation_fraction = 0.4 }
sparse = { SPARSE }
training = { epochs = 2, batch_size = 64, learning_rate = 1e-2, logit_scale = 0.5 }
start = { file = "model.nir" }
"""
STATIC = 'method = "static"'


def recipe_of(backend, sparse=STATIC):
    return parse_recipe(on(backend, TEXT.replace("SPARSE", sparse)), "test")


def rng(seed=0):
    return np.random.default_rng(seed)


def whole(shape, seed, *, step=1, density=1.0, low=-120, high=140):
    """Random whole weights on a grid, a part of them absent."""
    weights = rng(seed).integers(low // step, high // step, shape) * step
    return (weights * (rng(seed + 1).random(shape) < density)).astype(np.int16)


def made(*layers, shape=(30,), ledger=()):
    """A chain of ``(synapses, neuron, keywords of the projection)``."""
    named = {f"part.{i}": layer for i, layer in enumerate(layers, start=1)}
    return chain(
        {name: synapses for name, (synapses, _, _) in named.items()},
        {name: neuron for name, (_, neuron, _) in named.items()},
        source="pixels",
        shape=shape,
        more={name: more for name, (_, _, more) in named.items()},
        output="answer",
        ledger=ledger,
    )


def cuba(threshold=200, current_decay=1500, voltage_decay=300, bias=0):
    return Cuba(threshold=threshold, current_decay=current_decay, voltage_decay=voltage_decay, bias=bias)


def dense(n_target, n_source, seed=0, **more):
    return Dense(weights=whole((n_target, n_source), seed, **more))


LAST = (dense(10, 20, 9), cuba(), {})
SPARSE = Sparse(
    n_target=20, start=np.arange(0, 121, 4), target=np.tile([2, 7, 9, 18], 30), weights=whole(120, 4) // 2 * 2 + 1
)
CHAINS = {
    "odd weights": made((dense(20, 30), cuba(), {}), LAST),
    "even weights": made((dense(20, 30, step=2), cuba(), {}), LAST),
    "a mask": made((dense(20, 30, density=0.3), cuba(), {}), LAST),
    "stored synapses": made((SPARSE, cuba(), {}), LAST),
    "an exponent": made((dense(20, 30, low=-20, high=22), cuba(), {"weight_exponent": 2}), LAST),
    "an exponent below 0": made((dense(20, 30), cuba(threshold=40), {"weight_exponent": -3}), LAST),
    "a bias": made((dense(20, 30), cuba(bias=700), {}), (dense(10, 20, 9), cuba(bias=np.arange(-900, 1100, 200)), {})),
    "decays of each neuron": made(
        (
            dense(20, 30),
            cuba(current_decay=rng().integers(0, 4097, 20), voltage_decay=rng(1).integers(0, 4097, 20)),
            {},
        ),
        LAST,
    ),
    "a threshold that slayer's float32 would round": made((dense(20, 30), cuba(9000, 0, 0), {}), LAST),
    "axonal delays": made((dense(20, 30), cuba(), {}), (dense(10, 20, 9), cuba(), {"delay": rng().integers(0, 7, 20)})),
    "one delay": made((dense(20, 30), cuba(), {}), (dense(10, 20, 9), cuba(), {"delay": 3})),
    "convolution and pool": made(
        (
            Conv(weights=whole((4, 1, 3, 3), 2), input_shape=(2, 8, 6), padding=(1, 1), groups=2, stride=(2, 1)),
            cuba(bias=np.repeat([40, -30, 0, 700], 24).reshape(4, 4, 6)),
            {},
        ),
        (Pool(input_shape=(4, 4, 6), kernel=(2, 2), stride=(2, 2), weight=90), cuba(80, 4096, 0), {}),
        (dense(10, 24, 9), cuba(), {}),
        shape=(2, 8, 6),
    ),
    "convolution with delays": made(
        (Conv(weights=whole((4, 2, 3, 3), 2), input_shape=(2, 6, 6)), cuba(), {}),
        (dense(10, 64, 9), cuba(900), {"delay": np.repeat([0, 2, 5, 1], 16)}),
        shape=(2, 6, 6),
    ),
}


def model_of(backend, network, sparse=STATIC, weight_bits=8):
    chain = as_chain(network, weight_bits)
    recipe = recipe_of(backend, sparse)
    recipe = recipe.model_copy(update={"start": recipe.start.model_copy(update={"weight_bits": weight_bits})})
    recipe = with_layers_of(recipe, chain)
    model = build(recipe, chain.inputs[0].shape)
    return model, install(model, chain), recipe


def noise(network, n_steps=25):
    raster = rng(5).random((6, n_steps, network.inputs[0].size)) < 0.3
    return Events.from_dense(raster)


def renamed(activity, names):
    return replace(activity, spikes={names.get(name, name): events for name, events in activity.spikes.items()})


@pytest.mark.parametrize("name", CHAINS)
def test_the_model_of_a_network_gives_its_very_spikes_before_the_first_step(backend, name, tmp_path):
    """In backend (slayer with its own neurons), reference and event engine, for the network and what is exported again."""
    network = CHAINS[name]
    model, masks, recipe = model_of(backend, network)
    exported = to_network(model, masks, network.dt)
    names = dict(zip([p.name for p in network.populations], [p.name for p in exported.populations])) | {
        "pixels": "input"
    }
    given = noise(network)
    expected = renamed(run_reference(network, Samples(inputs={"pixels": given})), names)
    samples = Samples(inputs={"input": given})
    for activity in (run_trainer(model, exported, samples), run_event(exported, samples)):
        result = compare_activities([replace(expected, network=activity.network), activity])
        assert result.equal, str(result.first_difference)
    counts = {n: len(events) for n, events in expected.spikes.items() if n != "input"}
    assert all(0 < count < 0.9 * 6 * 25 * exported.sizes[n] for n, count in counts.items()), counts
    assert all(n_masked(a) == n_masked(b) for a, b in zip(network.projections, exported.projections))

    path = tmp_path / "model.safetensors"
    text = on(backend, TEXT.replace("SPARSE", STATIC))
    save_checkpoint(path, model, masks, recipe_text=text, epoch=1, validation_accuracy=0.5, network=recipe.network)
    again = load_checkpoint(path)
    assert to_network(again.model, again.masks, network.dt).fingerprint == exported.fingerprint
    assert from_nir(to_nir(exported)).fingerprint == exported.fingerprint


def test_a_network_that_subtracts_trains_on_the_native_backend_from_its_very_spikes(tmp_path):
    network = subtracting()
    model, masks, recipe = model_of("native", network)
    exported = to_network(model, masks, network.dt)
    assert [p.model.reset for p in exported.populations] == ["subtract", "subtract"]
    given = noise(network)
    names = {"pixels": "input", "part.1": "hidden1", "part.2": "output"}
    expected = renamed(run_reference(network, Samples(inputs={"pixels": given})), names)
    samples = Samples(inputs={"input": given})
    for activity in (run_trainer(model, exported, samples), run_event(exported, samples)):
        result = compare_activities([replace(expected, network=activity.network), activity])
        assert result.equal, str(result.first_difference)
    other = run_reference(CHAINS["odd weights"], Samples(inputs={"pixels": given}))
    assert len(other.spikes["part.2"]) != len(expected.spikes["output"])

    path = tmp_path / "model.safetensors"
    text = on("native", TEXT.replace("SPARSE", STATIC))
    save_checkpoint(path, model, masks, recipe_text=text, epoch=1, validation_accuracy=0.5, network=recipe.network)
    again = load_checkpoint(path)
    assert to_network(again.model, again.masks, network.dt).fingerprint == exported.fingerprint


@pytest.mark.slayer
def test_a_network_that_subtracts_is_refused_by_slayer():
    with pytest.raises(TrainingError, match="slayer's neurons can only reset to zero; .* --backend native"):
        model_of("slayer", subtracting())


@pytest.mark.slayer
def test_thresholds_of_each_neuron_train_but_slayer_itself_cannot_run_them():
    backend = "slayer"
    network = made((dense(20, 30), cuba(threshold=rng().integers(50, 300, 20)), {}), LAST)
    model, masks, _ = model_of(backend, network)
    exported = to_network(model, masks, network.dt)
    given = noise(network)
    expected = run_reference(network, Samples(inputs={"pixels": given}))
    raster = torch.from_numpy(given.to_dense().transpose(0, 2, 1).astype(np.float32))
    with torch.no_grad():
        fused = model.layers(raster)["hidden1"].numpy() > 0
    assert np.array_equal(fused.transpose(0, 2, 1), expected.spikes["part.1"].to_dense()[:, 1:26])
    with pytest.raises(
        TrainingError, match="neurons of layer 'hidden1' have different thresholds, which slayer cannot"
    ):
        run_trainer(model, exported, Samples(inputs={"input": given}))


@pytest.mark.slayer
@pytest.mark.parametrize("parameter", ["current_decay", "voltage_decay", "bias"])
def test_gradients_with_parameters_of_each_neuron_are_those_of_slayer(parameter):
    from neurodeploy.training.model.slayer import own_neurons

    backend, values = "slayer", rng(3).integers(0, 4097, 20)
    model, _, _ = model_of(backend, made((dense(20, 30), cuba(**{parameter: values}), {}), LAST))
    spikes = torch.from_numpy((rng().random((5, 30, 25)) < 0.3).astype(np.float32))
    gradients = []
    for fused in (True, False):
        model.zero_grad()
        last = list(model.layers(spikes, respond=None if fused else own_neurons(model)).values())[-1]
        (last * torch.randn(last.shape, generator=torch.Generator().manual_seed(2))).sum().backward()
        gradients.append({n: w.grad.clone() for n, w in model.weights().items()})
    for name, gradient in gradients[0].items():
        assert gradient.any()
        assert torch.equal(gradient, gradients[1][name])


@pytest.mark.parametrize("bits", [3, 4, 6])
def test_fewer_bits_put_every_weight_on_a_coarser_grid(backend, bits):
    network = CHAINS["odd weights"]
    model, masks, _ = model_of(backend, network, weight_bits=bits)
    step = 2 ** (9 - bits)
    for before, after in zip(network.projections, to_network(model, masks, 1e-3).projections):
        weights = after.synapses.weights
        assert not np.any(weights % step)
        assert np.max(np.abs(weights - before.synapses.weights)) <= step / 2 + 1
        assert len(np.unique(weights)) <= 2 ** (bits + 1)


def recurrent():
    network = CHAINS["odd weights"]
    loop = Projection(name="loop", source="part.1", target="part.1", synapses=dense(20, 20))
    return replace(network, projections=(*network.projections, loop))


def skipping():
    network = CHAINS["odd weights"]
    skip = Projection(name="skip", source="pixels", target="part.2", synapses=dense(10, 30), delay=1)
    return replace(network, projections=(*network.projections, skip))


def reading(**changed):
    network = CHAINS["odd weights"]
    return replace(network, outputs=(replace(network.outputs[0], **changed),))


def leaky():
    network = CHAINS["odd weights"]
    last = replace(network.populations[1], model=LeakyIntegrator(current_decay=0, voltage_decay=100))
    return replace(network, populations=(network.populations[0], last))


def subtracting():
    network = CHAINS["odd weights"]
    models = [replace(p.model, reset="subtract") for p in network.populations]
    return replace(network, populations=[replace(p, model=m) for p, m in zip(network.populations, models)])


def with_the_rest_of_a_reset():
    network = subtracting()
    loop = Projection(
        name="part.1.reset", source="part.1", target="part.1", synapses=Dense(weights=-np.eye(20, dtype=int))
    )
    return replace(network, projections=(*network.projections, loop))


def graded():
    network = CHAINS["odd weights"]
    return replace(network, inputs=(replace(network.inputs[0], payload_bits=8, scale=1 / 255),))


def delayed(**more):
    return made((dense(20, 30), cuba(), more), LAST)


@pytest.mark.parametrize(
    ("network", "message"),
    [
        (recurrent(), "population 'part.1' is recurrent; only feed-forward networks are trained on"),
        (skipping(), "'pixels' leads to 2 populations; only one layer after the other is trained"),
        (leaky(), "population 'part.2' is a leaky_integrator, which sends no spikes; training needs them"),
        (reading(population="part.1"), "some populations do not lie between its input and its output"),
        (reading(decoding="first_spike"), "its class is read by 'first_spike'; training counts the spikes of the last"),
        (
            with_the_rest_of_a_reset(),
            r"'part.1' is recurrent; .* takes the threshold off after the leak; read it with --reading euler,reset=subtract",
        ),
        (
            graded(),
            "the events of its input 'pixels' carry payloads, but training feeds spikes; train where",
        ),
        (delayed(delay=2), "it has delays of its input; only those of a layer's neurons are trained"),
        (
            made((dense(20, 30), cuba(), {}), (dense(10, 20), cuba(), {"delay": rng().integers(0, 3, (10, 20))})),
            "it has delays of single synapses",
        ),
        (
            made(
                (Conv(weights=whole((2, 1, 3, 3), 2), input_shape=(1, 5, 5)), cuba(), {}),
                (dense(10, 18), cuba(), {"delay": rng().integers(0, 3, 18)}),
                shape=(1, 5, 5),
            ),
            "the neurons of 'hidden1' have delays of their own, which only dense layers have",
        ),
        (
            made(
                (Pool(input_shape=(1, 6, 6), kernel=(3, 3), stride=(1, 1)), cuba(), {}),
                (dense(10, 16), cuba(), {}),
                shape=(1, 6, 6),
            ),
            r"pooling 'w1' has kernel \(3, 3\), stride \(1, 1\), padding \(0, 0\) and exponent 0; windows must lie side",
        ),
        (
            made(
                (Pool(input_shape=(1, 6, 6), kernel=(3, 3), stride=(3, 3), weight=33), cuba(), {}),
                (dense(10, 4), cuba(), {}),
                shape=(1, 6, 6),
            ),
            "pooling 'w1' has the weight 33, must be even in 2..254",
        ),
    ],
)
def test_network_that_cannot_be_trained_on_is_refused_with_its_part(network, message):
    with pytest.raises(TrainingError, match=message):
        as_chain(network)


# --- the command -----------------------------------------------------------------------------------------------------


def digit_network(seed=0, density=1.0):
    return made(
        (dense(24, 64, seed, step=2, density=density), cuba(600, 4096, 400), {}),
        (dense(10, 24, seed + 7, step=2, density=density), cuba(400, 4096, 400), {}),
        shape=(64,),
    )


def started(backend, tmp_path, network, sparse=STATIC, *, epochs=2, **more):
    path = tmp_path / "model.nir"
    to_nir(network, path, force=True)
    text = on(backend, TEXT.replace("SPARSE", sparse)).replace("epochs = 2", f"epochs = {epochs}")
    text = text.replace('start = { file = "model.nir" }', "")
    (tmp_path / "tuned.toml").write_text(text, encoding="utf-8")
    result = commands.train(tmp_path / "tuned.toml", start=path, out=tmp_path / "run", **more)
    return {**result, "checkpoint": Path(result["checkpoint"])}


METHODS = {
    "dense": 'method = "dense"',
    "static": STATIC,
    "set": 'method = "set", every_steps = 4',
    "rigl": 'method = "rigl", every_steps = 4',
    "esl": 'method = "esl", growth = "momentum", every_steps = 4',
    "granet": 'method = "granet", floor = 0.1, every_steps = 4',
    "srigl": 'method = "srigl", every_steps = 4',
    "pq": 'method = "pq", iterations = 2, every_steps = 3',
    "sdsnn": 'method = "sdsnn", spine_constant = 1, spine_rate = 4.0',
}


@pytest.mark.parametrize("method", METHODS)
def test_every_method_trains_an_imported_network_on(backend, method, tmp_path):
    """Without a density all connections of the file are kept, moved or thinned out as the method says."""
    network = digit_network(density=0.5)
    result = started(backend, tmp_path, network, METHODS[method], epochs=5 if method == "sdsnn" else 3)
    checkpoint = load_checkpoint(result["checkpoint"])
    before = {
        f: p.mask if p.mask is not None else p.synapses.weights != 0
        for f, p in zip(checkpoint.masks, network.projections)
    }
    after = {name: mask.numpy().reshape(before[name].shape) for name, mask in checkpoint.masks.items()}
    same = all(np.array_equal(before[name], after[name]) for name in before)
    counts = [sum(int(m.sum()) for m in masks.values()) for masks in (before, after)]
    sizes = [m.size for m in before.values()]
    assert same == (method == "static")
    if method in ("static", "set", "rigl", "esl"):
        assert all(before[name].sum() == after[name].sum() for name in before)
    elif method == "srigl":
        assert all(len({int(n) for n in m.sum(1) if n}) == 1 for m in after.values())
    elif method == "dense":
        assert counts[1] == sum(sizes)
    elif method == "sdsnn":
        assert counts[0] < counts[1] < sum(sizes)
    else:
        assert counts[1] < counts[0]
    exported = to_network(checkpoint.model, checkpoint.masks, checkpoint.recipe.network.dt)
    assert [p.model.threshold for p in exported.populations] == [600, 400]
    assert [p.model.voltage_decay for p in exported.populations] == [400, 400]
    if method == "rigl":
        commands.export(tmp_path / "run")
        assert commands.verify(tmp_path / "run", engines=(backend, "reference", "event"), n_samples=40)["equal"]
    facts = json.loads((tmp_path / "run/start.json").read_text(encoding="utf-8"))
    assert result["imported_accuracy"] == facts["imported_accuracy"]
    if method in ("static", "dense", "rigl"):
        assert result["start_accuracy"] == result["imported_accuracy"]


def test_a_lower_density_keeps_the_largest_weights_first_and_a_higher_one_changes_no_spike(backend, tmp_path):
    network = digit_network(density=0.5)
    low = started(backend, tmp_path, network, 'method = "static", density = 0.1, distribution = "uniform"')
    kept = load_checkpoint(low["checkpoint"]).masks["hidden1"].numpy().reshape(24, 64)
    size = np.abs(network.projections[0].synapses.weights)
    assert kept.sum() == round(0.1 * 24 * 64)
    assert size[kept].min() >= size[~kept].max()
    high = started(backend, tmp_path, network, 'method = "static", density = 0.8, distribution = "uniform"', force=True)
    more = load_checkpoint(high["checkpoint"]).masks["hidden1"].numpy().reshape(24, 64)
    assert more.sum() == round(0.8 * 24 * 64)
    assert np.all(more[size > 0])
    assert high["start_accuracy"] == high["imported_accuracy"]


def test_an_interrupted_fine_tuning_resumes_to_the_same_weights(backend, tmp_path):
    network = digit_network(density=0.5)
    (tmp_path / "a").mkdir()
    (tmp_path / "b").mkdir()
    sparse = METHODS["esl"]
    whole_run = started(backend, tmp_path / "a", network, sparse, epochs=3)

    def die(metrics):
        if metrics.epoch == 2:
            raise PowerCutError

    with pytest.raises(PowerCutError):
        started(backend, tmp_path / "b", network, sparse, epochs=3, on_epoch=die)
    resumed = started(backend, tmp_path / "b", network, sparse, epochs=3, resume=True)
    one, two = (load_checkpoint(r["checkpoint"]) for r in (whole_run, resumed))
    assert one.epoch == two.epoch
    assert all(torch.equal(w, two.model.weights()[n]) for n, w in one.model.weights().items())
    with pytest.raises(TrainingError, match="went on from another network than the file now holds"):
        started(backend, tmp_path / "b", digit_network(seed=5, density=0.5), sparse, epochs=3, resume=True)


def test_shape_mismatch_with_the_data_is_refused(backend, tmp_path):
    with pytest.raises(
        TrainingError, match=r"takes inputs of shape \(30,\), but 'digits' gives \(1, 8, 8\); name the data"
    ):
        started(backend, tmp_path, CHAINS["odd weights"])


def test_a_file_without_the_length_of_a_step_says_how_to_give_it(tmp_path):
    import nir

    n = np.ones(10)
    graph = nir.NIRGraph(
        nodes={
            "input": nir.Input({"input": np.array([64])}),
            "w": nir.Linear(rng().normal(size=(10, 64))),
            "lif": nir.LIF(tau=0.01 * n, r=n, v_leak=0 * n, v_threshold=n),
            "output": nir.Output({"output": np.array([10])}),
        },
        edges=[("input", "w"), ("w", "lif"), ("lif", "output")],
    )
    nir.write(tmp_path / "float.nir", graph)
    (tmp_path / "t.toml").write_text(TEXT.replace("SPARSE", STATIC).replace('start = { file = "model.nir" }', ""))
    with pytest.raises(NirError, match=r"does not tell the length of a step .*; here: --dt SECONDS, or start.dt"):
        commands.train(tmp_path / "t.toml", start=tmp_path / "float.nir", out=tmp_path / "run")
    assert not (tmp_path / "run").exists()
    result = commands.train(tmp_path / "t.toml", start=tmp_path / "float.nir", dt=1e-3, out=tmp_path / "run")
    assert result["epochs"] == 2


def test_settings_of_the_network_to_start_from_are_checked():
    with pytest.raises(UsageError, match="--weight-bits and --dt say how the network of --from is read"):
        starting_from("", None, weight_bits=4, where="x")
    with pytest.raises(RecipeError, match="names a network to start from itself; leave --from out"):
        starting_from("start = { file = 'a.nir' }", "b.nir", where="x")
    text = starting_from(
        TEXT.replace('start = { file = "model.nir" }', "").replace("SPARSE", STATIC),
        'a "b".nir',
        weight_bits=4,
        where="x",
    )
    start = parse_recipe(text.replace("SPARSE", STATIC), "x").start
    assert (start.file, start.weight_bits, start.dt, start.reading) == ('a "b".nir', 4, None, None)

    with pytest.raises(
        RecipeError, match=r"unknown key 'start.bits'; known keys there: dt, file, reading, weight_bits"
    ):
        parse_recipe(text.replace("SPARSE", STATIC).replace("weight_bits", "bits"), "x")
    taught = "distillation = { teacher = { layers = [{ neurons = 10 }], epochs = 1 } }\n"
    with pytest.raises(RecipeError, match="a teacher needs 'network.neuron' besides the file in 'start'"):
        parse_recipe(text.replace("SPARSE", STATIC) + taught, "x")


def test_a_recipe_names_how_the_network_to_start_from_is_read(tmp_path):
    import nir

    n = np.ones(10)
    steps = nir.LIF(tau=10 * n, r=n, v_leak=0 * n, v_threshold=n)
    nodes = {"input": nir.Input(np.array([64])), "w": nir.Linear(rng().normal(size=(10, 64)))}
    nodes |= {"lif": steps, "output": nir.Output(np.array([10]))}
    nir.write(tmp_path / "f.nir", nir.NIRGraph(nodes, [("input", "w"), ("w", "lif"), ("lif", "output")]))
    text = starting_from(
        TEXT.split("start =")[0].replace("SPARSE", STATIC), tmp_path / "f.nir", reading="sinabs", where="x"
    )
    start = parse_recipe(text, "x").start
    assert start.reading == "sinabs"
    decay = commands.inputs.load_start(start).populations[0].model.voltage_decay
    assert decay == round(4096 * (1 - np.exp(-0.1)))
    with pytest.raises(UsageError, match="--weight-bits and --dt say .* as does --reading; name that, too"):
        starting_from("", None, reading="sinabs", where="x")


def test_the_unit_of_weights_makes_no_difference_in_training(backend):
    """Weights, threshold and bias twice as large are the same neurons; steps are then twice as large, too."""
    from neurodeploy.training.run import Run

    trained = []
    for factor in (1, 2):
        layers = [
            (
                Dense(weights=factor * whole((n, m), n, step=4, low=-100, high=100)),
                cuba(300 * factor, 4096, 400, 64 * factor),
                {},
            )
            for n, m in ((24, 64), (10, 24))
        ]
        model_recipe = recipe_of(backend, 'method = "dense"')
        chain = as_chain(made(*layers, shape=(64,)))
        recipe = with_layers_of(model_recipe, chain)
        samples = encode(load_splits(recipe.data)[0], recipe.data, "train").take(0, 64)
        run = Run(recipe, samples, chain=chain)
        run.start = {name: weight.detach().clone() for name, weight in run.model.weights().items()}
        run.epoch()
        trained.append(run)
    for name, weight in trained[0].model.weights().items():
        apart = (weight - trained[1].model.weights()[name] / 2).abs().flatten()
        # a gradient as small as Adam's epsilon is the exception
        assert apart.quantile(0.99) < 1e-4
        assert (weight - trained[0].start[name]).abs().max() > 0.04

"""What the native backend alone can do: neurons that subtract their threshold, and input that carries whole numbers."""

from __future__ import annotations

import numpy as np
import pytest

pytestmark = pytest.mark.train
torch = pytest.importorskip("torch", reason="needs torch (extra train)")

from building import on
from hypothesis import given, settings
from hypothesis import strategies as st

from neurodeploy.engines.event.run import run_event
from neurodeploy.engines.reference import run_reference
from neurodeploy.errors import TrainingError
from neurodeploy.exchange.nir.read import from_nir
from neurodeploy.exchange.nir.write import to_nir
from neurodeploy.network import Cuba, Input
from neurodeploy.network.activity import Events, Samples
from neurodeploy.proofs.compare import compare_activities
from neurodeploy.recipe.files import parse_recipe
from neurodeploy.training.checkpoint import checkpoint_network, load_checkpoint, save_checkpoint
from neurodeploy.training.model.backends import build, run_trainer
from neurodeploy.training.model.fused import CubaSettings, cuba_spikes
from neurodeploy.training.model.integers import to_network
from neurodeploy.training.run import Run

TEXT = """
name = "own"
data = { name = "digits", n_steps = 12 }
network = { layers = LAYERS, neuron = { threshold = 64, current_decay = 2048, voltage_decay = 512, tau_grad = 0.01, \
reset = "subtract" } }
sparse = { method = "esl", density = 0.5, every_steps = 2 }
training = { epochs = 2, batch_size = 8, learning_rate = 1e-2, weight_scale = 3.0, logit_scale = 0.5 }
"""
LAYERS = {
    "dense": ((20,), "[{ neurons = 30 }, { neurons = 7 }]"),
    "recurrent": ((20,), "[{ neurons = 25, recurrent = true, delay = 4 }, { neurons = 7, recurrent = true }]"),
    "convolution and pool": (
        (2, 6, 6),
        "[{ kind = 'conv', channels = 4, kernel = 3, stride = [1, 2], padding = 1, groups = 2 }, "
        "{ kind = 'pool', kernel = [2, 3] }, { neurons = 7 }]",
    ),
    "a reset of each layer": ((20,), "[{ neurons = 30, neuron = { reset = 'zero' } }, { neurons = 7 }]"),
    "odd weights and exponents": (
        (20,),
        "[{ neurons = 30, weight_step = 1, weight_exponent = -3 }, { neurons = 7, weight_step = 1, weight_exponent = 1 }]",
    ),
}


def recipe_of(name, text=TEXT):
    shape, layers = LAYERS[name]
    return shape, parse_recipe(text.replace("LAYERS", layers), "test")


def model_of(name, seed=0, entry=None, text=TEXT):
    shape, recipe = recipe_of(name, text)
    with torch.random.fork_rng():
        torch.manual_seed(seed)
        model = build(recipe, shape if entry is None else entry)
    masks = {n: torch.ones_like(w, dtype=torch.bool) for n, w in model.weights().items()}
    return model, masks, to_network(model, masks, 1e-3), recipe


def assert_same_spikes(model, network, samples):
    activities = [run_trainer(model, network, samples), run_reference(network, samples), run_event(network, samples)]
    for other in activities[1:]:
        result = compare_activities([activities[0], other])
        assert result.equal, str(result.first_difference)
    return activities[0]


def spikes_of(shape, seed, n_samples=4, n_steps=30, density=0.3):
    raster = np.random.default_rng(seed).random((n_samples, n_steps, int(np.prod(shape)))) < density
    return Samples(inputs={"input": Events.from_dense(raster)})


class TestSubtract:
    @pytest.mark.parametrize("name", LAYERS)
    @settings(max_examples=5, deadline=None)
    @given(seed=st.integers(0, 2**16), density=st.floats(0.05, 0.9))
    def test_spikes_are_those_of_the_integers_everywhere(self, name, seed, density):
        model, _, network, _ = model_of(name, seed)
        assert_same_spikes(model, network, spikes_of(network.inputs[0].shape, seed, density=density))

    def test_the_reset_decides_spikes_and_is_exported(self):
        for name in LAYERS:
            model, _, network, _ = model_of(name)
            first = "zero" if name == "a reset of each layer" else "subtract"
            assert network.populations[0].model.reset == first
            assert network.populations[-1].model.reset == "subtract"
            assert from_nir(to_nir(network)).fingerprint == network.fingerprint
            other, _, _, _ = model_of(name, text=TEXT.replace('"subtract"', '"zero"'))
            spikes = torch.from_numpy(spikes_of(network.inputs[0].shape, 1).inputs["input"].to_dense()).float()
            with torch.no_grad():
                sent = [m.layers(spikes.transpose(1, 2))["output"] for m in (model, other)]
            assert not torch.equal(*sent), name

    def test_a_neuron_keeps_what_lies_above_its_threshold(self):
        neuron = Cuba(current_decay=4096, voltage_decay=0, threshold=64, reset="subtract")
        spikes, _ = cuba_spikes(
            torch.tensor([[[2.5, 0.0, 0.0, 0.5, 0.03125]]]), CubaSettings(neuron=neuron, tau=1, scale=1)
        )
        # 2.5, then 1.5, then 0.5: at the threshold of 1 it does not fire, above it does
        assert spikes.tolist() == [[[1, 1, 0, 0, 1]]]

    def test_gradients_are_those_of_the_decays_alone(self):
        """Equal to a neuron that resets to zero with the same voltages before its resets, of which none is followed."""
        drive = torch.tensor([[[0.75, 0.25, 0.5]]])
        gradients = []
        for reset in ("zero", "subtract"):
            neuron = Cuba(current_decay=4096, voltage_decay=1024, threshold=256, reset=reset)
            given = drive.clone().requires_grad_()
            cuba_spikes(given, CubaSettings(neuron=neuron, tau=2.0, scale=1.0))[0].sum().backward()
            gradients.append(given.grad)
        assert torch.equal(*gradients)
        assert gradients[0].all()
        # it fires in the first step, and the gradient of the second step's spike still reaches the first step's drive
        neuron = Cuba(current_decay=4096, voltage_decay=1024, threshold=32, reset="subtract")
        given = drive.clone().requires_grad_()
        fired = cuba_spikes(given, CubaSettings(neuron=neuron, tau=2.0, scale=1.0))[0]
        assert fired[0, 0, 0] == 1
        fired[0, 0, 1].backward()
        slope = given.grad[0, 0]
        assert slope[0] == pytest.approx(0.75 * slope[1])
        assert slope[1] > 0
        assert slope[2] == 0

    def test_it_trains_and_its_checkpoint_keeps_the_reset(self, tmp_path):
        shape, recipe = recipe_of("convolution and pool")
        labels = np.arange(40, dtype=np.int32) % 7
        shown = spikes_of(shape, 0, 40)
        run = Run(recipe, Samples(inputs=shown.inputs, labels=labels, shapes={"input": shape}))
        before = {n: w.detach().clone() for n, w in run.model.weights().items()}
        losses = [run.epoch()[0] for _ in range(2)]
        assert losses[1] < losses[0]
        assert all(not torch.equal(w, before[n]) for n, w in run.model.weights().items())
        network = to_network(run.model, run.rewirer.export_masks(), 1e-3)
        assert_same_spikes(run.model, network, spikes_of(shape, 3))
        path = tmp_path / "c.safetensors"
        text = TEXT.replace("LAYERS", LAYERS["convolution and pool"][1])
        save_checkpoint(path, run.model, run.rewirer.export_masks(), recipe_text=text, epoch=1, validation_accuracy=0.5)
        assert checkpoint_network(path)[1].fingerprint == network.fingerprint


class TestPayloads:
    """Weights times whole numbers: exact in float32, or in float64 where sums may leave what float32 can hold."""

    @staticmethod
    def shown(entry, seed, n_samples=4, n_steps=20, density=0.3):
        rng = np.random.default_rng(seed)
        low, high = entry.payload_range
        values = rng.integers(low, high + 1, (n_samples, n_steps, entry.size), endpoint=False)
        values[rng.random(values.shape) > density] = 0
        return Samples(
            inputs={"input": Events.from_dense(values, graded=True)},
            labels=np.arange(n_samples, dtype=np.int32) % 7,
            shapes={"input": entry.shape},
        )

    @pytest.mark.parametrize("bits", [1, 4, 8])
    @pytest.mark.parametrize("name", LAYERS)
    def test_spikes_are_those_of_the_integers(self, name, bits):
        shape, _ = LAYERS[name]
        entry = Input(name="input", shape=shape, payload_bits=bits, signed=bits > 4, scale=2.0**-bits)
        model, _, network, _ = model_of(name, entry=entry)
        assert (network.inputs[0].payload_bits, network.inputs[0].scale) == (bits, 2.0**-bits)
        activity = assert_same_spikes(model, network, self.shown(entry, bits, density=0.3 if bits < 8 else 0.05))
        assert max(model.peak_state.values()) < 2**23, "beyond 24 bits nothing is promised"
        assert len(activity.spikes["hidden1"]) > 0
        assert from_nir(to_nir(network)).fingerprint == network.fingerprint

    def test_sums_that_float32_would_round_are_exact(self):
        """Two terms beyond 2**24 that leave a sum of 60 to 70, of which those above the threshold of 64 fire."""
        layers = "[{ neurons = 1 }, { neurons = 7 }]"
        text = TEXT.replace("current_decay = 2048, voltage_decay = 512", "current_decay = 4096, voltage_decay = 4096")
        recipe = parse_recipe(text.replace('"subtract"', '"zero"').replace("LAYERS", layers), "test")
        model = build(recipe, Input(name="input", shape=(3,), payload_bits=20, signed=True))
        masks = {n: torch.ones_like(w, dtype=torch.bool) for n, w in model.weights().items()}
        with torch.no_grad():
            weight = model.weights()["hidden1"]
            weight.copy_(torch.tensor([254.0, -254.0, 2.0]).reshape(weight.shape) / 64)
        network = to_network(model, masks, 1e-3)
        rng = np.random.default_rng(0)
        rest = rng.integers(
            2**18, 2**19 - 1, (3, 40)
        )  # terms of 66 to 133 million, where float32 counts in steps of 4 or 8
        values = np.stack([rest + 1, rest, rng.integers(-97, -91, rest.shape)], axis=-1)
        shown = Samples(inputs={"input": Events.from_dense(values, graded=True)})
        activity = assert_same_spikes(model, network, shown)
        assert 20 < len(activity.spikes["hidden1"]) < 100

    def test_it_trains_and_the_checkpoint_keeps_the_input(self, tmp_path):
        shape, recipe = recipe_of("convolution and pool")
        entry = Input(name="input", shape=shape, payload_bits=3, scale=0.25)
        run = Run(recipe, self.shown(entry, 0, 40), entry=entry)
        losses = [run.epoch()[0] for _ in range(2)]
        assert losses[1] < losses[0]
        network = to_network(run.model, run.rewirer.export_masks(), 1e-3)
        assert_same_spikes(run.model, network, self.shown(entry, 3))
        path = tmp_path / "c.safetensors"
        text = TEXT.replace("LAYERS", LAYERS["convolution and pool"][1])
        save_checkpoint(path, run.model, run.rewirer.export_masks(), recipe_text=text, epoch=1, validation_accuracy=0.5)
        model, read = checkpoint_network(path)
        assert read.fingerprint == network.fingerprint
        assert model.entry.payload_range == (1, 7)
        assert model.entry.scale == 0.25

    def test_payloads_and_input_have_to_fit(self):
        shape, recipe = recipe_of("dense")
        entry = Input(name="input", shape=shape, payload_bits=3)
        with pytest.raises(TrainingError, match="the samples carry payloads, but the input takes plain spikes"):
            Run(recipe, self.shown(entry, 0))
        spikes = Samples(inputs=spikes_of(shape, 0).inputs, labels=np.zeros(4, np.int32))
        with pytest.raises(TrainingError, match="the samples carry plain spikes, but the input takes payloads"):
            Run(recipe, spikes, entry=entry)
        wide = self.shown(Input(name="input", shape=shape, payload_bits=5), 0)
        with pytest.raises(
            TrainingError, match=r"payloads from \d+ to 3\d, outside 1..7 of input 'input' \(3 bits, unsigned"
        ):
            Run(recipe, wide, entry=entry)

    @pytest.mark.slayer
    @pytest.mark.parametrize("name", ["dense", "convolution and pool", "odd weights and exponents"])
    def test_slayer_gives_the_spikes_of_the_integers_too(self, name):
        text = on("slayer", TEXT.replace('"subtract"', '"zero"'))
        entry = Input(name="input", shape=LAYERS[name][0], payload_bits=8, scale=1 / 255)
        model, _, network, _ = model_of(name, entry=entry, text=text)
        activity = assert_same_spikes(model, network, self.shown(entry, 1))
        assert len(activity.spikes["hidden1"]) > 0

    @pytest.mark.slayer
    def test_slayer_refuses_payloads_whose_sums_it_would_round(self):
        text = on("slayer", TEXT.replace('"subtract"', '"zero"'))
        entry = Input(name="input", shape=(20,), payload_bits=20)
        model, _, network, _ = model_of("dense", entry=entry, text=text)
        with pytest.raises(TrainingError, match=r'times the weights of a layer may pass 2\*\*24.*backend = "native"'):
            run_trainer(model, network, self.shown(entry, 1))


def test_a_model_knows_its_backend(tmp_path):
    model, masks, _, _ = model_of("dense")
    assert model.backend.name == "native"
    path = tmp_path / "c.safetensors"
    text = TEXT.replace("LAYERS", LAYERS["dense"][1])
    save_checkpoint(path, model, masks, recipe_text=text, epoch=1, validation_accuracy=0.5)
    assert load_checkpoint(path).recipe.training.backend == "native"

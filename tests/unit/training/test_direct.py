"""Direct coding and counts of events: whole numbers as input, in data, training, files and every engine."""

from __future__ import annotations

import numpy as np
import pytest

pytestmark = pytest.mark.train
torch = pytest.importorskip("torch", reason="needs torch (extra train)")

from building import on

from neurodeploy.data.parts import encode, encode_lazily, load_splits
from neurodeploy.engines.event.run import run_event
from neurodeploy.engines.reference import run_reference
from neurodeploy.errors import DataError, RecipeError
from neurodeploy.exchange.nir.read import from_nir
from neurodeploy.exchange.nir.write import to_nir
from neurodeploy.network.activity import Events, Samples, save_samples
from neurodeploy.proofs.compare import compare_activities
from neurodeploy.recipe.files import parse_recipe
from neurodeploy.training.augment import Shifts
from neurodeploy.training.checkpoint import checkpoint_network, save_checkpoint
from neurodeploy.training.model.backends import run_trainer
from neurodeploy.training.model.integers import to_network
from neurodeploy.training.run import Run

TEXT = """
name = "direct"
data = { name = "digits", encoding = "direct", scale = 0.0625, n_steps = 4 }
network = { layers = LAYERS, neuron = { threshold = 64, current_decay = 2048, voltage_decay = 512, tau_grad = 0.01 } }
sparse = { method = "esl", density = 0.5, every_steps = 4 }
training = { epochs = 3, batch_size = 32, learning_rate = 1e-2, logit_scale = 0.5 }
"""
LAYERS = {
    "convolution": "[{ kind = 'conv', channels = 8, kernel = 3, padding = 1 }, { neurons = 10 }]",
    "dense": "[{ neurons = 32 }, { neurons = 10 }]",
    "recurrent": "[{ neurons = 32, recurrent = true }, { neurons = 10 }]",
}


def text_of(name, backend="native"):
    text = TEXT.replace("LAYERS", LAYERS[name])
    return text if backend == "native" else on(backend, text)


def parts_of(recipe):
    train, validation, test = load_splits(recipe.data)
    return encode_lazily(train, recipe.data, "train"), encode_lazily(validation, recipe.data, "validation"), test


def own(path, **keys):
    values = {"path": f"'{path}'", "n_steps": 4, **keys}
    table = ", ".join(f"{key} = {value}" for key, value in values.items())
    text = text_of("dense").replace('name = "digits", encoding = "direct", scale = 0.0625, n_steps = 4', table)
    return parse_recipe(text, "test")


class TestTraining:
    @pytest.mark.parametrize(
        ("name", "backend"),
        [
            *((name, "native") for name in LAYERS),
            pytest.param("convolution", "slayer", marks=pytest.mark.slayer),
            pytest.param("dense", "slayer", marks=pytest.mark.slayer),
        ],
    )
    def test_a_trained_network_spikes_as_its_integers_on_real_digits(self, tmp_path, name, backend):
        recipe = parse_recipe(text_of(name, backend), "test")
        samples, _, test = parts_of(recipe)
        run = Run(recipe, samples)
        accuracies = [run.epoch()[1] for _ in range(3)]
        assert accuracies[2] > 0.6
        masks = run.rewirer.export_masks()
        network = to_network(run.model, masks, 1e-3)
        given = network.inputs[0]
        assert (given.payload_bits, given.scale, given.payload_range) == (8, 0.0625, (1, 255))
        assert network.projections[0].weight_exponent == -4
        assert {p.weight_exponent for p in network.projections[1:]} == {0}
        assert from_nir(to_nir(network)).fingerprint == network.fingerprint
        shown = encode(test, recipe.data, "test").take(0, 20)
        activities = [run_trainer(run.model, network, shown), run_reference(network, shown), run_event(network, shown)]
        result = compare_activities(activities)
        assert result.equal, str(result.first_difference)
        assert len(activities[0].spikes["hidden1"]) > 1000
        path = tmp_path / "c.safetensors"
        text = text_of(name, backend)
        save_checkpoint(path, run.model, masks, recipe_text=text, epoch=1, validation_accuracy=0.5)
        assert checkpoint_network(path)[1].fingerprint == network.fingerprint

    @pytest.mark.parametrize("name", LAYERS)
    def test_sums_of_the_first_layer_are_computed_once_and_equal_those_of_every_step(self, name):
        recipe = parse_recipe(text_of(name), "test")
        samples, _, _ = parts_of(recipe)
        run = Run(recipe, samples)
        block = run.model.blocks["hidden1"]
        steps = []
        synapse = block.input_synapse if name == "recurrent" else block.synapse
        synapse.register_forward_hook(lambda _, given, __: steps.append(given[0].shape[-1]))
        index = torch.arange(50)
        constant = run.spikes[index]
        repeated = torch.from_numpy(samples.raster(index.numpy()).transpose(0, 2, 1).astype(np.float32))
        assert torch.equal(constant, repeated)
        assert constant.untyped_storage().nbytes() == 50 * 64 * 4
        sent, gradients = [], []
        for given in (constant, repeated):
            run.optimizer.zero_grad()
            layers = run.model.layers(given)
            layers["output"].sum().backward()
            sent.append({layer: spikes.detach().clone() for layer, spikes in layers.items()})
            gradients.append(synapse.weight.grad.clone())
        assert steps == [1, 4]
        for layer in sent[0]:
            assert torch.equal(sent[0][layer], sent[1][layer])
        assert gradients[0].abs().max() > 0
        # sums over the steps in another order
        torch.testing.assert_close(gradients[0], gradients[1], rtol=1e-4, atol=1e-6 * float(gradients[1].abs().max()))

    def test_moved_images_stay_constant_and_move_as_any(self):
        shifts = Shifts(2, (1, 8, 8), seed=3, n_samples=40)
        levels = torch.randint(0, 16, (40, 64, 1)).float()
        constant, repeated = levels.expand(-1, -1, 5), levels.repeat(1, 1, 5)
        moved = shifts.moved(constant, torch.arange(40), 2)
        assert moved.stride(-1) == 0
        assert torch.equal(moved, shifts.moved(repeated, torch.arange(40), 2))
        assert not torch.equal(moved, constant)

    def test_weights_of_a_pixel_learn_at_the_rate_of_others(self):
        """Latent weights are those of the value 1, not of a payload of 1: the exported ones follow from both."""
        recipe = parse_recipe(text_of("dense"), "test")
        run = Run(recipe, parts_of(recipe)[0])
        latent = run.model.weights()["hidden1"].detach()
        whole = run.model.quantised_weights()["hidden1"]
        assert 0.1 < latent.abs().max() < 1
        unit = 2 * 2.0**-4 / 64
        assert torch.equal(whole, torch.round(latent * 0.0625 / unit) * 2)


class TestBadInput:
    def test_floats_without_a_scale(self):
        recipe = parse_recipe(text_of("dense").replace(" scale = 0.0625,", ""), "test")
        with pytest.raises(
            DataError, match=r"'digits' holds floats \(0 to 1\).*the value that 1 stands for: data.scale"
        ):
            parts_of(recipe)

    def test_payloads_beyond_their_bits(self):
        recipe = parse_recipe(text_of("dense").replace("0.0625", "0.001"), "test")
        with pytest.raises(
            DataError, match=r"reaches 1, with data.scale = 0.001 a payload of 1000, which has more than 8"
        ):
            parts_of(recipe)

    @pytest.mark.parametrize("keys", [{}, {"scale": 0.5}])
    def test_negative_pixels(self, tmp_path, keys):
        values = np.linspace(-1, 1, 200).reshape(40, 5)
        np.savez(tmp_path / "a.npz", values=values, labels=np.arange(40) % 2)
        with pytest.raises(DataError, match=r"values lie between 0 and 1.*these reach from -1.0 to 1.0"):
            load_splits(own(tmp_path / "a.npz", encoding='"direct"', **keys).data)

    def test_grey_levels_have_their_own_scale(self, tmp_path):
        values = np.random.default_rng(0).integers(0, 256, (40, 5)).astype(np.uint8)
        np.savez(tmp_path / "a.npz", values=values, labels=np.arange(40) % 2)
        samples, _, _ = parts_of(own(tmp_path / "a.npz", encoding='"direct"'))
        assert samples.entry.scale == 1 / 255
        assert samples.raster(slice(0, 1))[0, 3].tolist() == samples.data.values[0].tolist()
        with pytest.raises(DataError, match=r"grey levels, whose payloads stand for 1/255; leave data.scale out"):
            parts_of(own(tmp_path / "a.npz", encoding='"direct"', scale=0.5))

    @pytest.mark.parametrize(
        ("change", "message"),
        [
            ({'encoding = "direct"': 'encoding = "rate"'}, "'scale' is for the encoding 'direct', not for 'rate'"),
            ({" scale = 0.0625,": ' frames = "counts",'}, "frames = 'counts' is for recordings of events"),
        ],
    )
    def test_keys_that_do_not_belong(self, change, message):
        text = text_of("dense")
        for old, new in change.items():
            text = text.replace(old, new)
        with pytest.raises(RecipeError, match=message):
            parse_recipe(text, "test")


class TestCounts:
    @staticmethod
    def counts(n, seed=0, most=9):
        rng = np.random.default_rng(seed)
        labels = np.arange(n, dtype=np.int32) % 2
        values = rng.integers(0, most, (n, 4, 6)) * (rng.random((n, 4, 6)) < 0.5)
        values[labels == 1, :, :3] = 0
        return values, labels

    def test_payloads_of_a_file_are_the_counts_of_the_parts_and_train(self, tmp_path):
        values, labels = self.counts(80)
        events = Events.from_dense(values, graded=True)
        save_samples(Samples(inputs={"input": events}, labels=labels), tmp_path / "a.npz")
        recipe = own(tmp_path / "a.npz", frames='"counts"')
        samples, _, test = parts_of(recipe)
        assert samples.entry.payload_range == (1, 255)
        assert {bytes(row) for row in samples.raster(slice(None)).astype(np.int64)} <= {bytes(row) for row in values}
        run = Run(recipe, samples)
        run.epoch()
        network = to_network(run.model, run.rewirer.export_masks(), 1e-3)
        assert network.projections[0].weight_exponent == 0
        shown = encode(test, recipe.data, "test")
        assert shown.inputs["input"].payload.max() > 1
        result = compare_activities(
            [run_trainer(run.model, network, shown), run_reference(network, shown), run_event(network, shown)]
        )
        assert result.equal, str(result.first_difference)

    def test_without_the_key_payloads_are_refused_and_too_large_ones_always(self, tmp_path):
        for most, keys, message in (
            (9, {}, r'holds payloads \(1 to 8\).*or write data.frames = "counts"'),
            (900, {"frames": '"counts"'}, "counts have 8 bits, 1..255"),
        ):
            values, labels = self.counts(80, most=most)
            events = Events.from_dense(values, graded=True)
            save_samples(Samples(inputs={"input": events}, labels=labels), tmp_path / "a.npz")
            with pytest.raises(DataError, match=message):
                load_splits(own(tmp_path / "a.npz", **keys).data)

"""Training of stored connections: what is stored and what stays dense, small memory, and one pass at a time."""

from __future__ import annotations

import numpy as np
import pytest

pytestmark = pytest.mark.train
torch = pytest.importorskip("torch", reason="needs torch (extra train)")

from building import on

from neurodeploy import commands
from neurodeploy.data.encoded_part import INPUT_NAME
from neurodeploy.engines.lanes.spikes import Spikes
from neurodeploy.errors import SimulationError, TrainingError
from neurodeploy.network import Input
from neurodeploy.network.activity import Events, Samples
from neurodeploy.recipe.files import parse_recipe
from neurodeploy.training.model.choice import possible_layers
from neurodeploy.training.run import Run

TEXT = """
name = "stored"
data = { name = "digits", n_steps = 8 }
network = { layers = LAYERS, neuron = { threshold = 64, current_decay = 2048, voltage_decay = 512, tau_grad = 0.01 } }
sparse = { method = "esl", density = 0.2, every_steps = 2 }
training = { epochs = 4, batch_size = 16, learning_rate = 1e-2, weight_scale = 3.0, logit_scale = 0.5 }
"""
MLP = "[{ neurons = 40, dropout = 0.2 }, { neurons = 10 }]"


def run_of(layers=MLP, *, size=30, change=("", ""), **how):
    recipe = parse_recipe(TEXT.replace("LAYERS", layers).replace(*change), "test")
    raster = np.random.default_rng(0).random((48, 8, size)) < 0.3
    labels = (np.arange(48) % 10).astype(np.int32)
    return Run(recipe, Samples(inputs={INPUT_NAME: Events.from_dense(raster)}, labels=labels), **how)


class TestChoice:
    def test_sparse_layers_are_stored_and_so_is_a_dense_one_among_them(self):
        run = run_of()
        assert set(run.model.stored) == {"hidden1", "output"}
        for name, weight in run.model.weights().items():
            assert weight.shape == (int(run.rewirer.masks[name].sum()),)

    def test_dense_gradients_over_lanes_are_those_of_dense_arrays_but_for_their_rounding(self):
        """Methods that gather them train over lanes too, with the weights of all positions."""
        change = ('method = "esl"', 'method = "pq"')
        ours, dense = run_of(change=change), run_of(change=change, lanes=False)
        assert ours.model.takes_bits
        for _ in range(3):
            for run in (ours, dense):
                run.step(torch.arange(16))
            for name, weight in dense.model.weights().items():
                apart = (ours.model.weights()[name].grad - weight.grad).abs().max()
                assert apart <= 1e-5 * weight.grad.abs().max() > 0
                assert torch.equal(ours.rewirer.masks[name], dense.rewirer.masks[name])

    @pytest.mark.parametrize(
        "change",
        [
            ('method = "esl", density = 0.2, every_steps = 2', 'method = "dense"'),
            ('method = "esl"', 'method = "pq"'),  # growth by momentum gathers dense gradients
            ('method = "esl", density = 0.2, every_steps = 2', 'method = "sdsnn"'),
            ("batch_size = 16", "batch_size = 4"),
            ("batch_size = 16", "batch_size = 16, parts = 4"),
            ("batch_size = 16", 'batch_size = 16, backend = "slayer"'),
        ],
    )
    def test_all_else_keeps_all_weights(self, change):
        if "slayer" in change[1]:
            pytest.importorskip("lava.lib.dl.slayer", reason="needs lava-dl (extra slayer)")
        assert not run_of(change=change).model.stored

    def test_pq_that_grows_by_gradient_is_stored(self):
        change = ('method = "esl"', 'method = "pq", growth = "gradient", iterations = 2')
        assert set(run_of(change=change).model.stored) == {"hidden1", "output"}

    def test_a_layer_behind_dropout_whose_factor_is_not_whole_stays_dense(self):
        """0.2 and 0.5 give sums of whole state units (64 * 5 / 4, 64 * 2); 0.3 does not."""
        layers = "[{ neurons = 40, dropout = CHANCE }, { neurons = 30 }, { neurons = 10 }]"
        for chance, stored in (("0.2", 3), ("0.5", 3), ("0.3", 2)):
            run = run_of(layers.replace("CHANCE", chance))
            assert len(run.model.stored) == stored
            assert run.epoch() is not None

    def test_synapses_of_a_first_layer_that_takes_payloads_stay_dense(self):
        events = Events.from_dense(np.random.default_rng(0).integers(-3, 4, (48, 8, 30)), graded=True)
        labels = (np.arange(48) % 10).astype(np.int32)
        entry = Input(name=INPUT_NAME, shape=(30,), payload_bits=4, signed=True)
        for chance, stored in (("0", {"output"}), ("0.2", {"output"}), ("0.3", set())):
            recipe = parse_recipe(TEXT.replace("LAYERS", MLP.replace("0.2", chance)), "test")
            run = Run(recipe, Samples(inputs={INPUT_NAME: events}, labels=labels), entry=entry)
            assert set(run.model.stored) == stored
            assert not run.model.takes_bits
            assert run.epoch() is not None

    def test_a_layer_behind_dropout_and_a_learned_delay_stays_dense(self):
        run = run_of("[{ neurons = 40, dropout = 0.5, delay = 2 }, { neurons = 30, delay = 2 }, { neurons = 10 }]")
        assert set(run.model.stored) == {"hidden1", "output"}
        assert run.epoch() is not None

    def test_a_recurrent_layer_behind_dropout_stays_dense(self):
        layers = "[{ neurons = 40, dropout = 0.5 }, { neurons = 30, recurrent = true }, { neurons = 10 }]"
        assert possible_layers(run_of(layers, lanes=False).model) == ["hidden1", "output"]

    def test_the_result_names_what_was_stored(self, tmp_path):
        (tmp_path / "r.toml").write_text(on("native", TEXT.replace("LAYERS", MLP)), encoding="utf-8")
        result = commands.train(tmp_path / "r.toml", out=tmp_path / "run")
        assert result["stored"] == ("hidden1", "output")


def test_an_epoch_equals_that_of_dense_arrays_but_for_the_rounding_of_gradients():
    for change in (("", ""), ('method = "esl"', 'method = "rigl"')):
        stored, dense = run_of(change=change), run_of(change=change, lanes=False)
        for step in range(6):
            index = torch.arange(8 * (step % 3), 8 * (step % 3) + 16)
            stored.step(index)
            dense.step(index)
            for name, weight in dense.model.weights().items():
                assert torch.allclose(stored.model.dense_weights()[name], weight, atol=2e-3), (name, step)
        assert stored.rewirer.n_rewirings == 3
        for name, mask in dense.rewirer.masks.items():
            assert (stored.rewirer.masks[name] != mask).double().mean() < 0.02


def test_nothing_that_learns_has_a_number_for_every_possible_connection():
    run = run_of(size=300)
    run.epoch()
    most = max(own.weight.numel() for own in run.model.stored.values())
    kept = list(run.model.parameters()) + [p.grad for p in run.model.parameters()]
    kept += [v for state in run.optimizer.state.values() for v in state.values()]
    assert most == run.model.stored["hidden1"].weight.numel() < 300 * 40 // 3
    assert max(tensor.numel() for tensor in kept) == most


def test_a_segment_holds_one_pass():
    run = run_of()
    run.model.train()
    one = run.model(run.spikes[:16])
    run.model(run.spikes[16:32])
    with pytest.raises(TrainingError, match="a segment holds one pass; call backward before the next forward pass"):
        one.sum().backward()


def test_spikes_that_are_neither_0_nor_1_are_refused_with_the_value():
    with pytest.raises(SimulationError, match="lanes: spikes are 0 or 1, one of these is 3"):
        run_of().model(torch.full((4, 30, 8), 3.0))


def test_a_width_whose_index_does_not_fit_is_refused():
    from neurodeploy.training.lanes.synapses import Synapses

    with pytest.raises(SimulationError, match="indices that do not fit 31 bits; split the layer"):
        Synapses((1, 2**31), np.zeros(1, np.int64), np.zeros(1, np.float32))


@pytest.mark.parametrize("kind", [np.uint8, np.float32, np.bool_])
def test_the_order_of_a_raster_in_memory_makes_no_difference(kind):
    frames = (np.random.default_rng(0).random((5, 7, 9)) < 0.4).astype(kind)
    turned = frames.transpose(0, 2, 1)
    assert np.array_equal(Spikes.of_raster(turned).bits, Spikes.of_raster(turned.copy()).bits)
    assert np.array_equal(Spikes.of_raster(turned).to_raster(), turned)


def test_input_as_bits_trains_the_weights_that_a_raster_trains(monkeypatch):
    """Bits come from packed frames without a raster in between; from a raster, where a tensor is needed."""
    ours = run_of(size=37)
    assert ours.model.takes_bits
    ours.epoch()
    monkeypatch.setattr(type(ours.model), "takes_bits", False)
    theirs = run_of(size=37)
    theirs.epoch()
    for one, other in zip(ours.model.parameters(), theirs.model.parameters()):
        assert torch.equal(one, other)


def test_input_of_a_dense_layer_comes_as_a_raster():
    run = run_of(lanes=False)
    assert not run.model.takes_bits
    raster = np.random.default_rng(0).random((48, 8, 30)) < 0.3
    assert np.array_equal(run.spikes[torch.arange(7, 20)].numpy(), raster[7:20].transpose(0, 2, 1))
    assert np.array_equal(run.spikes[3:9].numpy(), raster[3:9].transpose(0, 2, 1))

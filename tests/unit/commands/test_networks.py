"""A network in any form: a Network, a file by str or Path, a run's folder, a torch model of CubaDense blocks."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from neurodeploy import as_network, from_nir, load_samples, save_samples, simulate, to_netx, to_nir, verify
from neurodeploy.errors import FileError, NetworkError, UsageError
from neurodeploy.network import Cuba, Dense, Input, Network, Output, Population, Projection
from neurodeploy.network.activity import Events, Samples


def small() -> Network:
    weights = np.random.default_rng(0).integers(-40, 40, (4, 6)) * 2
    return Network(
        inputs=(Input(name="input", shape=(6,)),),
        populations=(
            Population(name="layer", shape=(4,), model=Cuba(current_decay=2048, voltage_decay=512, threshold=64)),
        ),
        projections=(
            Projection(name="w", source="input", target="layer", synapses=Dense(weights=weights.astype(np.int16))),
        ),
        outputs=(Output(name="class", population="layer", decoding="count"),),
    )


def spikes(size: int = 6, name: str = "input") -> Samples:
    raster = np.random.default_rng(1).random((3, 16, size)) < 0.4
    return Samples(inputs={name: Events.from_dense(raster)}, name="spikes")


@pytest.mark.parametrize("kind", [str, Path])
def test_files_are_named_by_str_and_path_alike(tmp_path, kind):
    network, samples = small(), spikes()
    to_nir(network, kind(tmp_path / "net.nir"))
    to_netx(network, kind(tmp_path / "net.net"))
    save_samples(samples, kind(tmp_path / "x.npz"))
    assert as_network(kind(tmp_path / "net.nir")).fingerprint == network.fingerprint
    assert from_nir(kind(tmp_path / "net.nir")).fingerprint == network.fingerprint
    assert as_network(kind(tmp_path / "net.net")).populations[0].size == 4
    assert load_samples(kind(tmp_path / "x.npz")).n_samples == 3
    proof = verify(kind(tmp_path / "net.nir"), kind(tmp_path / "x.npz"), engines=["reference", "event"], n_samples=3)
    assert proof["equal"]


def test_a_folder_stands_for_its_exported_network(tmp_path):
    to_nir(small(), tmp_path / "model.nir")
    assert as_network(str(tmp_path)).fingerprint == small().fingerprint
    with pytest.raises(FileError, match=r"holds no network: neither model\.nir nor checkpoint\.safetensors"):
        as_network(tmp_path / "..")


def test_a_network_in_memory_is_verified_on_samples_in_memory():
    proof = verify(small(), spikes())
    assert proof["equal"]
    assert proof["spikes_compared"] > 0
    with pytest.raises(UsageError, match=r"say which samples to run: verify\(network, samples\)"):
        verify(small())
    with pytest.raises(UsageError, match="'slayer' runs a checkpoint, but a network in memory is not a run's folder"):
        verify(small(), spikes(), engines=["slayer", "event"])


def test_a_network_that_is_not_equal_to_itself_is_found(monkeypatch):
    from neurodeploy.engines import ENGINES, Engine

    monkeypatch.setitem(ENGINES, "wrong", Engine(run=f"{__name__}:_one_spike_less"))
    monkeypatch.setitem(__import__("sys").modules, __name__, __import__("types").SimpleNamespace(_one_spike_less=_less))
    proof = verify(small(), spikes(), engines=["reference", "wrong"])
    assert not proof["equal"]


def _less(network, samples, **options):
    from dataclasses import replace

    from neurodeploy.engines.reference import run_reference

    activity = run_reference(network, samples, **options)
    raster = activity.spikes["layer"].to_dense()
    place = tuple(np.argwhere(raster)[0])
    raster[place] = 0
    return replace(activity, engine="wrong", spikes={**activity.spikes, "layer": Events.from_dense(raster)})


@pytest.mark.parametrize("thing", [None, 3, [1, 2], object()])
def test_anything_else_is_refused_with_what_is_taken(thing):
    with pytest.raises(
        UsageError, match="a network is a Network, a file, a run's folder or a torch model of CubaDense"
    ):
        as_network(thing)


@pytest.mark.train
class TestLiveModels:
    @pytest.fixture
    def model(self):
        """lava-dl's own blocks, as its tutorials stack them, with weight norm and delayed axons."""
        import torch

        slayer = pytest.importorskip("lava.lib.dl.slayer", reason="needs lava-dl (extra slayer, Python 3.10)")

        class Net(torch.nn.Module):
            def __init__(self):
                super().__init__()
                neuron = {"threshold": 0.9, "current_decay": 0.25, "voltage_decay": 0.03}
                sizes = (20, 30, 5)
                self.blocks = torch.nn.ModuleList(
                    slayer.block.cuba.Dense(neuron, a, b, weight_norm=True) for a, b in zip(sizes, sizes[1:])
                )

            def forward(self, x):
                for block in self.blocks:
                    x = block(x)
                return x

        torch.manual_seed(0)
        return Net()

    @pytest.mark.filterwarnings("ignore::UserWarning")
    def test_blocks_of_lava_dl_give_their_spikes_as_integers_and_stay_as_they_are(self, model, tmp_path):
        import torch

        samples = spikes(20)
        raster = torch.from_numpy(samples.inputs["input"].to_dense().transpose(0, 2, 1).astype(np.float32))
        sent = model(raster)
        names = [name for name, _ in model.named_parameters()]
        network = as_network(model)
        assert [name for name, _ in model.named_parameters()] == names
        assert torch.equal(model(raster), sent)
        found = simulate(network, samples, n_steps=16).spikes[network.outputs[0].population].to_dense()
        assert found.any()
        # slayer delays each block's spikes by a step, as the chip does between two layers
        assert np.array_equal(found, sent.detach().numpy().transpose(0, 2, 1).astype(bool))
        assert verify(model, samples)["equal"]
        to_nir(model, tmp_path / "model.nir")
        assert from_nir(tmp_path / "model.nir").fingerprint == network.fingerprint

    @pytest.mark.filterwarnings("ignore::UserWarning")
    def test_blocks_that_saw_no_input_say_what_to_do(self, model):
        with pytest.raises(NetworkError, match=r"block 'blocks\.0' \(Dense\) cannot be exported .* run the model once"):
            as_network(model)

    def test_a_model_without_slayer_blocks_is_sent_to_nir(self):
        import torch

        with pytest.raises(NetworkError, match="Linear has neither CubaDense layers nor slayer blocks"):
            as_network(torch.nn.Linear(3, 2))

    def test_a_model_of_a_recipe_gives_what_its_export_gives(self):
        import torch

        from neurodeploy.recipe import load_recipe
        from neurodeploy.training.model.backends import build
        from neurodeploy.training.model.integers import to_network

        with torch.random.fork_rng():
            torch.manual_seed(0)
            model = build(load_recipe("digits-mlp"), (1, 8, 8))
        masks = {name: weight.detach() != 0 for name, weight in model.weights().items()}
        assert as_network(model).fingerprint == to_network(model, masks, 1e-3).fingerprint

    def test_a_run_that_is_trained_anew_exports_its_new_checkpoint(self, tmp_path):
        from neurodeploy import train
        from neurodeploy.recipe import find_recipe

        text = find_recipe("digits-mlp").read_text().replace("epochs = 40", "epochs = 1")
        found = []
        for seed in (0, 1):
            (tmp_path / "mine.toml").write_text(text.replace("seed = 0", f"seed = {seed}"))
            train(tmp_path / "mine.toml", out=tmp_path / "run", force=True)
            assert not (tmp_path / "run" / "model.nir").exists()
            to_nir(small(), tmp_path / "run" / "model.nir")  # an export of before
            to_nir(tmp_path / "run", tmp_path / "run" / "model.nir", force=True)
            found.append(as_network(tmp_path / "run").fingerprint)
        assert len({*found, small().fingerprint}) == 3

    def test_of_a_run_the_exported_file_is_verified_and_nothing_in_its_place(self, tmp_path):
        from neurodeploy import train
        from neurodeploy.recipe import find_recipe

        (tmp_path / "mine.toml").write_text(find_recipe("digits-mlp").read_text().replace("epochs = 40", "epochs = 1"))
        train(tmp_path / "mine.toml", out=tmp_path / "run")
        with pytest.raises(FileError, match=r"there is no file .*model\.nir"):
            verify(tmp_path / "run", engines=["reference", "event"], n_samples=2)
        to_nir(tmp_path / "run", tmp_path / "run" / "model.nir")
        assert verify(tmp_path / "run", engines=["native", "reference"], n_samples=2)["equal"]

    def test_a_network_that_no_training_left_in_the_folder_stays(self, tmp_path):
        from neurodeploy import train
        from neurodeploy.recipe import find_recipe

        (tmp_path / "run").mkdir()
        to_nir(small(), tmp_path / "run" / "model.nir")
        (tmp_path / "mine.toml").write_text(find_recipe("digits-mlp").read_text().replace("epochs = 40", "epochs = 1"))
        train(tmp_path / "mine.toml", out=tmp_path / "run")
        assert from_nir(tmp_path / "run" / "model.nir").fingerprint == small().fingerprint

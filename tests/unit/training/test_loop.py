"""Training on both backends: from a recipe to a checkpoint, and from a checkpoint to integers."""

from __future__ import annotations

import json

import numpy as np
import pytest

pytestmark = pytest.mark.train
torch = pytest.importorskip("torch", reason="needs torch (extra train)")

from building import on, samples

from neurodeploy.engines.reference import run_reference
from neurodeploy.errors import FileError, TrainingError
from neurodeploy.network import n_masked, n_nonzero
from neurodeploy.network.activity import load_samples
from neurodeploy.proofs.compare import compare_activities
from neurodeploy.recipe.files import find_recipe, parse_recipe
from neurodeploy.training.checkpoint import load_checkpoint
from neurodeploy.training.loop import train
from neurodeploy.training.model.backends import build, run_trainer
from neurodeploy.training.model.integers import to_network

TEXT = (
    find_recipe("digits-mlp")
    .read_text(encoding="utf-8")
    .replace("epochs = 40", "epochs = 6")
    .replace("learning_rate = 3e-3", "learning_rate = 1e-2")
    .replace("{ neurons = 256 }, { neurons = 256 }", "{ neurons = 48 }, { neurons = 32 }")
    .replace("every_steps = 36", "every_steps = 10")
)


@pytest.fixture(scope="module")
def run(backend, tmp_path_factory):
    folder = tmp_path_factory.mktemp("run")
    return train(parse_recipe(on(backend, TEXT), "test"), folder, recipe_text=on(backend, TEXT))


@pytest.fixture(scope="module")
def network(run):
    checkpoint = load_checkpoint(run.checkpoint)
    return to_network(checkpoint.model, checkpoint.masks, checkpoint.recipe.network.dt)


def test_metrics_hold_one_line_an_epoch_with_exact_mask_densities(run):
    lines = [json.loads(line) for line in (run.folder / "metrics.jsonl").read_text(encoding="utf-8").splitlines()]
    assert [m["epoch"] for m in lines] == [1, 2, 3, 4, 5, 6]
    sizes = {"hidden1": 64 * 48, "hidden2": 48 * 32, "output": 32 * 10}
    for metrics in lines:
        kept = sum(round(metrics["density"][name] * size) for name, size in sizes.items())
        assert kept == round(0.1 * sum(sizes.values()))
        assert all(metrics["density_nonzero"][n] <= metrics["density"][n] + 1e-9 for n in sizes)
    assert lines[-1]["explored"]["hidden1"] > lines[-1]["density"]["hidden1"]


def test_the_folder_holds_all_that_later_stages_read(backend, run):
    assert (run.folder / "recipe.toml").read_text(encoding="utf-8") == on(backend, TEXT)
    assert load_samples(run.test_samples).n_samples == 450


def test_training_learns(run):
    assert run.validation_accuracy > 0.5


def test_best_epoch_is_the_one_with_the_best_validation_accuracy(run):
    lines = [json.loads(line) for line in (run.folder / "metrics.jsonl").read_text(encoding="utf-8").splitlines()]
    best = max(lines, key=lambda m: (m["validation_accuracy"], -m["validation_loss"]))
    assert load_checkpoint(run.checkpoint).epoch == run.best_epoch == best["epoch"]


def test_t53_test_samples_are_neither_trained_nor_validated_on(backend, run):
    """The samples written for testing share no scan with the parts that training reads."""
    from neurodeploy.data.parts import encode, load_splits

    recipe = parse_recipe(on(backend, TEXT), "test").data
    parts = [encode(part, recipe, "x").inputs["input"].to_dense() for part in load_splits(recipe)]
    test = load_samples(run.test_samples).inputs["input"].to_dense()
    assert np.array_equal(test, parts[2])
    seen = {sample.tobytes() for part in parts[:2] for sample in part}
    # two of the 1797 scans may be equal pixel by pixel only if they occur twice in the original data
    assert sum(sample.tobytes() in seen for sample in test) == 0


def test_exported_mask_density_is_exact_and_weights_lie_inside_it(network):
    weights = sum(p.synapses.weights.size for p in network.projections)
    assert sum(n_masked(p) for p in network.projections) == round(0.1 * weights)
    assert 0 < sum(n_nonzero(p) for p in network.projections) <= round(0.1 * weights)


@pytest.mark.slayer
def test_exported_weights_are_those_of_slayers_own_hdf5_export(run, network, tmp_path):
    """Whichever backend trained: slayer reads its checkpoint."""
    import h5py

    model = load_checkpoint(run.checkpoint, "slayer").model
    run_trainer(model, network, load_samples(run.test_samples).take(0, 1))  # shapes are known after a first pass
    with h5py.File(tmp_path / "slayer.net", "w") as file:
        for name, block in model.blocks.items():
            block.export_hdf5(file.create_group(name))
        for projection, population in zip(network.projections, network.populations):
            group = file[projection.target]
            assert np.array_equal(group["weight"][()], projection.synapses.weights)
            neuron = {key: int(group["neuron"][key][()]) for key in ("iDecay", "vDecay", "vThMant")}
            assert neuron == {
                "iDecay": population.model.current_decay,
                "vDecay": population.model.voltage_decay,
                "vThMant": population.model.threshold,
            }


def test_backend_and_reference_give_the_same_spikes_on_every_layer(run, network):
    samples = load_samples(run.test_samples).take(0, 100)
    result = compare_activities(
        [run_trainer(load_checkpoint(run.checkpoint).model, network, samples), run_reference(network, samples)]
    )
    assert result.equal, str(result.first_difference)
    assert result.spikes_compared > 10_000


@pytest.mark.parametrize(("current_decay", "voltage_decay"), [(0, 4096), (4096, 0), (1, 4095), (1234, 567)])
def test_backend_and_reference_agree_on_random_weights_for_any_decay(backend, current_decay, voltage_decay):
    text = TEXT.replace("current_decay = 2048", f"current_decay = {current_decay}")
    recipe = parse_recipe(on(backend, text.replace("voltage_decay = 512", f"voltage_decay = {voltage_decay}")), "test")
    with torch.random.fork_rng():
        torch.manual_seed(5)
        model = build(recipe, 20)
    masks = {name: torch.ones_like(w, dtype=torch.bool) for name, w in model.weights().items()}
    network = to_network(model, masks, 1e-3)
    raster = np.random.default_rng(0).random((8, 12, 20)) < 0.3
    given = samples(raster, "input")
    result = compare_activities([run_trainer(model, network, given), run_reference(network, given)])
    assert result.equal, str(result.first_difference)


def test_weight_outside_the_mask_stops_the_export(run):
    checkpoint = load_checkpoint(run.checkpoint)
    masks = {name: torch.zeros_like(mask) for name, mask in checkpoint.masks.items()}
    with pytest.raises(TrainingError, match="layer 'hidden1' has a non-zero weight outside its mask"):
        to_network(checkpoint.model, masks, 1e-3)


def test_a_second_run_into_the_same_folder_is_refused(backend, run):
    with pytest.raises(FileError, match="exists; choose another --out, or --force"):
        train(parse_recipe(on(backend, TEXT), "test"), run.folder, recipe_text=on(backend, TEXT))


def test_the_same_seed_gives_the_same_weights(backend, run, tmp_path):
    again = train(parse_recipe(on(backend, TEXT), "test"), tmp_path, recipe_text=on(backend, TEXT))
    a, b = load_checkpoint(run.checkpoint), load_checkpoint(again.checkpoint)
    assert all(torch.equal(a.model.weights()[n], w) for n, w in b.model.weights().items())


def test_missing_damaged_and_foreign_checkpoints_are_refused(tmp_path):
    from safetensors.torch import save_file

    with pytest.raises(FileError, match="there is no file .*; train first"):
        load_checkpoint(tmp_path / "none.safetensors")
    (tmp_path / "damaged.safetensors").write_bytes(b"12345678damaged")
    with pytest.raises(FileError, match="is damaged or no safetensors file"):
        load_checkpoint(tmp_path / "damaged.safetensors")
    save_file({"w": torch.zeros(1)}, tmp_path / "foreign.safetensors")
    with pytest.raises(FileError, match="holds something else, expected neurodeploy-checkpoint/1"):
        load_checkpoint(tmp_path / "foreign.safetensors")


def test_checkpoint_without_a_mask_is_refused(run, tmp_path):
    from safetensors import safe_open
    from safetensors.torch import save_file

    with safe_open(run.checkpoint, framework="pt") as file:
        header = file.metadata()
        tensors = {name: file.get_tensor(name) for name in file.keys() if name != "mask/hidden2"}  # noqa: SIM118
    save_file(tensors, tmp_path / "cut.safetensors", metadata=header)
    with pytest.raises(FileError, match=r"'mask/hidden2' should be \(32, 48, 1, 1, 1\), found nothing"):
        load_checkpoint(tmp_path / "cut.safetensors")

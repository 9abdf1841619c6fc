"""Files and folders of users as the parts of a training."""

from __future__ import annotations

import numpy as np
import pytest
from event_files import dvs128, write

from neurodeploy.data.dataset import Dataset, Frames
from neurodeploy.data.encodings import rate
from neurodeploy.data.parts import encode, encode_lazily, load_splits
from neurodeploy.errors import DataError, RecipeError
from neurodeploy.network.activity import Events, Samples, save_samples
from neurodeploy.recipe.data import DataRecipe
from neurodeploy.recipe.files import find_recipe, parse_recipe


def _recipe(path, **keys) -> DataRecipe:
    return DataRecipe.model_validate({"path": str(path), "n_steps": 4, **keys})


def _raster(n: int, seed: int = 0) -> np.ndarray:
    return np.random.default_rng(seed).random((n, 4, 2, 3)) < 0.4


def test_spikes_of_a_file_are_the_frames_of_the_parts_and_every_sample_is_in_one(tmp_path):
    raster, labels = _raster(40), np.arange(40) % 2
    np.savez(tmp_path / "a.npz", spikes=raster, labels=labels)
    parts = load_splits(_recipe(tmp_path / "a.npz"))
    assert all(isinstance(part, Frames) for part in parts)
    assert parts[0].shape == (2, 3)
    rows = np.concatenate([part.raster(slice(None)) for part in parts]).reshape(40, -1)
    assert sorted(map(bytes, rows)) == sorted(map(bytes, raster.reshape(40, -1).astype(np.uint8)))
    seen = np.concatenate([part.labels for part in parts])
    by_row = {bytes(row): label for row, label in zip(raster.reshape(40, -1).astype(np.uint8), labels)}
    assert [by_row[bytes(row)] for row in rows] == seen.tolist()


def test_test_part_of_its_own_is_kept_whole(tmp_path):
    np.savez(tmp_path / "train.npz", spikes=_raster(20), labels=np.arange(20) % 2)
    np.savez(tmp_path / "test.npz", spikes=_raster(6, seed=1), labels=np.arange(6) % 2)
    keys = {"root": str(tmp_path), "test_path": "test.npz"}
    train, validation, test = load_splits(_recipe("train.npz", **keys))
    assert (len(train.labels) + len(validation.labels), len(test.labels)) == (20, 6)
    samples = encode(test, _recipe("train.npz", **keys), "test")
    assert (samples.name, samples.n_steps, samples.shapes["input"]) == ("own/test/frames", 4, (2, 3))


def test_samples_that_were_saved_are_taken_too(tmp_path):
    raster = _raster(20).reshape(20, 4, 6)
    save_samples(Samples(inputs={"input": Events.from_dense(raster)}, labels=np.arange(20) % 2), tmp_path / "a.npz")
    assert sum(len(part.labels) for part in load_splits(_recipe(tmp_path / "a.npz"))) == 20


def test_values_are_encoded_by_the_recipe(tmp_path):
    values = np.random.default_rng(0).random((20, 5))
    np.savez(tmp_path / "a.npz", values=values, labels=np.arange(20) % 2)
    recipe = _recipe(tmp_path / "a.npz")
    train = load_splits(recipe)[0]
    assert isinstance(train, Dataset)
    index = [int(np.flatnonzero((values.astype(np.float32) == row).all(axis=1))[0]) for row in train.values]
    raster = encode_lazily(train, recipe, "train").raster(slice(None))
    assert np.array_equal(raster, rate(values[index].astype(np.float32), 4))


def test_folders_of_recordings_have_the_classes_of_the_training_part(tmp_path):
    for part, names in (("train", ("a", "b", "c")), ("test", ("c", "a"))):
        for k, name in enumerate(names):
            for i in range(4):
                write(tmp_path / part / name / f"{i}.aedat", dvs128([(0, 1, k, i), (900, 0, k, i)]))
    keys = {"test_path": str(tmp_path / "test"), "duration_s": 1e-3, "pool": 32, "validation_fraction": 0.5}
    train, validation, test = load_splits(_recipe(tmp_path / "train", **keys))
    assert sorted(test.labels) == [0] * 4 + [2] * 4
    assert sorted([*train.labels, *validation.labels]) == [0] * 4 + [1] * 4 + [2] * 4
    assert train.shape == (2, 4, 4)
    write(tmp_path / "test" / "d" / "0.aedat", dvs128([(0, 1, 1, 1)]))
    with pytest.raises(DataError, match="holds the class 'd', the training part does not; it has a, b, c"):
        load_splits(_recipe(tmp_path / "train", **keys))


@pytest.mark.parametrize(
    ("arrays", "message"),
    [
        ({"spikes": _raster(8)}, "has no labels, which training needs"),
        (
            {"spikes": _raster(8) * 3, "labels": np.zeros(8, int)},
            r"holds payloads \(3 to 3\), training takes plain spikes",
        ),
        ({"spikes": _raster(8)[:, :3], "labels": np.zeros(8, int)}, "write data.n_steps = 3 in the recipe"),
        ({"values": np.full((8, 2), 1.5), "labels": np.zeros(8, int)}, "reach from 1.5 to 1.5"),
        ({"values": np.zeros((8, 2))}, "has no labels, which training needs"),
    ],
)
def test_what_training_does_not_take_is_refused(tmp_path, arrays, message):
    np.savez(tmp_path / "a.npz", **arrays)
    with pytest.raises(DataError, match=message):
        load_splits(_recipe(tmp_path / "a.npz"))


def test_missing_file_says_where_it_was_sought(tmp_path):
    with pytest.raises(DataError, match=f"no file or folder {tmp_path / 'a.npz'}; data.path is read from"):
        load_splits(_recipe("a.npz", root=str(tmp_path)))


def test_parts_of_different_shapes_are_refused(tmp_path):
    np.savez(tmp_path / "a.npz", spikes=_raster(20), labels=np.arange(20) % 2)
    np.savez(tmp_path / "b.npz", spikes=_raster(20)[..., :2], labels=np.arange(20) % 2)
    with pytest.raises(DataError, match=r"samples of the shape \(2, 3\), .*b.npz of \(2, 2\)"):
        load_splits(_recipe(tmp_path / "a.npz", test_path=str(tmp_path / "b.npz")))


def test_recordings_need_a_duration(tmp_path):
    write(tmp_path / "a" / "0.aedat", dvs128([(0, 1, 1, 1)]))
    with pytest.raises(DataError, match="holds recordings; say how long they are: data.duration_s"):
        load_splits(_recipe(tmp_path))


@pytest.mark.parametrize(
    ("lines", "message"),
    [
        ('name = "mnist"\npath = "a.npz"', "'path', 'test_path', 'time_unit' and 'sensor' are for data of your own"),
        ('name = "own"', "data of your own need 'path'"),
        ('path = "a.npz"\ntime_unit = "min"', "data.time_unit = 'min'"),
        ('name = "mnits"', "data.name = 'mnits'.*'own'"),
    ],
)
def test_keys_that_do_not_go_together_are_refused(lines, message):
    text = find_recipe("digits-mlp").read_text(encoding="utf-8")
    text = text.replace('name = "digits"\nencoding = "rate"', lines)
    with pytest.raises(RecipeError, match=message):
        parse_recipe(text, "mine.toml")

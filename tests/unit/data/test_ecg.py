"""Electrocardiograms with a label in every step: files as published, fewer steps, late labels, and damaged ones."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.io import savemat

from neurodeploy.data.catalog import verify_data_set
from neurodeploy.data.parts import encode, load_splits
from neurodeploy.errors import DataError
from neurodeploy.recipe.data import DataRecipe

N_STEPS = 1301


def write(root, *, n=10, **changes):
    """Write ``n`` training and three test samples; a lead's channel 1 fires where class 2 begins."""
    folder = root / "ECG-QTDB"
    folder.mkdir()
    for part, count in (("train", n), ("test", 3)):
        rng = np.random.default_rng(count)
        classes = np.repeat(rng.integers(0, 6, (count, 14)), 93, axis=1)[:, :N_STEPS]
        y = np.eye(6, dtype=np.uint8)[classes]
        y[:, :19] = 0  # before the first annotated wave
        x = (rng.random((count, N_STEPS, 4)) < 0.05).astype(np.int16)
        x[:, 0, 0] = -1
        savemat(folder / f"QTDB_{part}.mat", {"x": x, "y": y, **changes}, do_compression=True)
    return {"x": x, "y": y}


def parts(root, **keys):
    return load_splits(DataRecipe.model_validate({"name": "ECG-QTDB", "n_steps": N_STEPS, "root": str(root), **keys}))


def test_events_and_labels_are_those_of_the_file(tmp_path):
    held = write(tmp_path)
    train, validation, test = parts(tmp_path, validation_fraction=0.2)
    assert (len(train.labels), len(validation.labels), test.labels.shape) == (8, 2, (3, N_STEPS))
    whole = {raster.tobytes(): label for raster, label in zip((held["x"] == 1).astype(np.uint8), held["y"].argmax(-1))}
    for raster, label in zip(test.raster(slice(None)), test.labels):
        assert np.array_equal(whole[raster.tobytes()], label)
    assert not test.labels[:, :19].any()  # as argmax has it, class 0
    assert test.seen is None or test.seen.dropped


def test_fewer_steps_have_the_label_of_their_middle(tmp_path):
    write(tmp_path)
    test, coarse = parts(tmp_path)[2], parts(tmp_path, n_steps=325, frames="counts")[2]
    middles = ((np.arange(325) + 0.5) * N_STEPS / 325).astype(int)
    assert np.array_equal(coarse.labels, test.labels[:, middles])
    assert coarse.raster(slice(None)).sum() == test.raster(slice(None)).sum()


def test_late_labels_are_those_of_earlier_steps(tmp_path):
    write(tmp_path)
    test, late = parts(tmp_path)[2], parts(tmp_path, label_lag=8)[2]
    assert np.array_equal(late.labels[:, 8:], test.labels[:, :-8])
    assert (late.labels[:, :8] == test.labels[:, :1]).all()
    samples = encode(late, DataRecipe.model_validate({"name": "ecg", "n_steps": N_STEPS}), "test")
    assert np.array_equal(samples.labels, late.labels)


def test_verify_counts_classes_of_steps(tmp_path):
    write(tmp_path)
    found = verify_data_set("ecg", tmp_path)
    assert (found["train"], found["test"], found["verdict"]) == (10, 3, "subset")
    assert sum(found["per_class"]) == 13 * 20  # the command reads 20 steps
    assert found["events"]["dropped"] == {"values of minus one": 13}


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"y": np.zeros((10, 5, 6))}, r"x has the shape \(10, 1301, 4\), y \(10, 5, 6\)"),
        ({"x": np.full((10, N_STEPS, 4), 7)}, "x holds other numbers than -1, 0 and 1"),
        ({"x": "text"}, "x and y are no arrays"),
    ],
)
def test_damaged_files_are_refused(changes, message, tmp_path):
    write(tmp_path, **changes)
    with pytest.raises(DataError, match=message):
        parts(tmp_path)


def test_missing_files_say_where_they_were_sought(tmp_path):
    with pytest.raises(DataError, match="QTDB_train.mat"):
        parts(tmp_path)

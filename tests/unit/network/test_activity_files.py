"""Files of samples and of activities: labels that are none, and every part that can be damaged, named in the message."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from neurodeploy.errors import FileError, SimulationError
from neurodeploy.network.activity import (
    Activity,
    Events,
    Samples,
    load_activity,
    load_samples,
    save_activity,
    save_samples,
)

_EVENTS = Events.from_dense(np.eye(4, dtype=bool)[None].repeat(2, axis=0))


def _samples(path: Path, **changes: Any) -> Path:
    """Write a file of samples with arrays replaced, and taken out where they are None."""
    save_samples(Samples(inputs={"in": _EVENTS}, labels=[2, 0], shapes={"in": (4,)}), path)
    return _changed(path, changes)


def _activity(path: Path, **changes: Any) -> Path:
    states = {("out", "v"): np.zeros((2, 4, 4), np.int32)}
    save_activity(Activity(engine="event", network="n", n_steps=4, spikes={"out": _EVENTS}, states=states), path)
    return _changed(path, changes)


def _changed(path: Path, changes: dict[str, Any]) -> Path:
    with np.load(path) as archive:
        arrays = dict(archive)
    header = json.loads(str(arrays["header"]))
    for name, value in changes.items():
        if name.startswith("header_"):
            header[name.removeprefix("header_")] = value
            header = {key: kept for key, kept in header.items() if kept is not None}
            arrays["header"] = np.array(json.dumps(header))
        elif value is None:
            del arrays[name]
        else:
            arrays[name] = np.asarray(value)
    np.savez(path, **arrays)
    return path


class TestLabels:
    @pytest.mark.parametrize(
        ("labels", "message"),
        [
            (np.array([2**32 + 2, 0]), r"sample 0 has the label 4294967298 \(1 such\)"),
            (np.array([2**32 + 2] * 2, np.uint64), r"sample 0 has the label 4294967298 \(2 such\)"),
            (np.array([0, -5]), r"sample 1 has the label -5 \(1 such\); classes are counted from 0"),
            (np.array([2.9, 2.5]), "labels must be whole numbers, .*these are float64"),
            (np.array([np.nan, 2.0]), "labels must be whole numbers"),
            (np.array(["a", "b"]), "labels must be whole numbers, .*these are <U1"),
            (np.array([[0, 1]]), r"2 labels of shape \(1, 2\) for 2 samples"),
        ],
    )
    def test_what_is_no_class_is_refused_and_never_wraps_or_is_cut(self, tmp_path, labels, message):
        with pytest.raises(SimulationError, match=message):
            Samples(inputs={"in": _EVENTS}, labels=labels)
        with pytest.raises(FileError, match=f"a.npz: .*{message}"):
            load_samples(_samples(tmp_path / "a.npz", labels=labels))

    def test_largest_label_is_kept(self):
        assert Samples(inputs={"in": _EVENTS}, labels=[2**31 - 1, 0]).labels.tolist() == [2**31 - 1, 0]


class TestDamage:
    def test_whole_files_are_read(self, tmp_path):
        assert load_samples(_samples(tmp_path / "a.npz")).labels.tolist() == [2, 0]
        assert load_activity(_activity(tmp_path / "b.npz")).states["out", "v"].shape == (2, 4, 4)

    @pytest.mark.parametrize(
        ("changes", "message"),
        [
            ({"header": "[" * 100_000}, r"damaged or no neurodeploy .npz file \(it nests too deep\)"),
            ({"header": "{"}, "damaged or no neurodeploy .npz file"),
            ({"header_inputs": 5}, "array 'header' lacks 'inputs', or holds something else there"),
            ({"header_inputs": []}, "lacks 'inputs'"),
            ({"header_shapes": [1]}, "lacks 'shapes'"),
            ({"header_shapes": {"in": ["x"]}}, "lacks 'shapes'"),
            ({"header_shapes": {"in": [5]}}, r"no input 'in' has the shape \(5,\)"),
            ({"header_name": None}, "lacks 'name'"),
            ({"span0": 5}, "array 'span0' must hold three whole numbers"),
            ({"span0": [4, 4]}, "array 'span0' must hold three whole numbers"),
            ({"span0": [4.0, 4.0, 2.0]}, "array 'span0' must hold three whole numbers"),
            ({"span0": [2**30, 2**30, 2**30]}, "array 'span0' claims 1073741824 channels"),
            (
                {"span0": [4, 10**9, 2], "labels": None},
                "claims 2 samples of 1,000,000,000 steps, together 2,000,000,000",
            ),
            ({"span0": [4, 8, 2 * 10**9], "labels": None}, "claims 2,000,000,000 samples of 8 steps"),
            ({"neuron0": np.zeros(8, complex)}, "arrays sample0, step0, neuron0: event column 'neuron'"),
            ({"neuron0": np.full(8, "x")}, "arrays sample0, step0, neuron0: event column 'neuron'"),
            ({"step0": None}, "lacks the array 'step0'"),
            ({"payload0": np.zeros(8, np.int32)}, "array 'payload0': event 0 has the payload 0"),
            ({"payload0": np.ones(7, np.int32)}, "array 'payload0': event payload differs in length"),
            (
                {"payload0": np.full(8, 2**40)},
                "array 'payload0': an event has the payload 1099511627776, which does not",
            ),
            ({"payload0": np.ones(8)}, "array 'payload0': event payloads must be whole numbers, they are float64"),
        ],
    )
    def test_samples_name_the_file_and_the_array(self, tmp_path, changes, message):
        path = _samples(tmp_path / "a.npz", **changes)
        with pytest.raises(FileError, match=message) as caught:
            load_samples(path)
        assert str(path) in str(caught.value)
        assert len(str(caught.value).splitlines()) == 1

    @pytest.mark.parametrize(
        ("changes", "message"),
        [
            ({"header_engine": 5}, "lacks 'engine'"),
            ({"header_n_steps": "4"}, "lacks 'n_steps'"),
            ({"header_states": [["out"]]}, "lacks 'states'"),
            ({"header_overflow": {"out": "x"}}, "lacks 'overflow'"),
            ({"header_populations": "out"}, "lacks 'populations'"),
            ({"state0": None}, "lacks the array 'state0'"),
            ({"state0": np.zeros(3)}, "array 'state0' must hold whole numbers by sample, step and place"),
            ({"updated": np.zeros(3)}, "array 'updated' must hold whole numbers by sample, step and place"),
        ],
    )
    def test_activities_name_the_file_and_the_array(self, tmp_path, changes, message):
        path = _activity(tmp_path / "a.npz", **changes)
        with pytest.raises(FileError, match=message) as caught:
            load_activity(path)
        assert str(path) in str(caught.value)

    def test_another_kind_of_file_shows_the_three_lines_that_make_samples(self, tmp_path):
        np.savez(tmp_path / "a.npz", foo=np.zeros(3))
        with pytest.raises(FileError, match=r"(?s)a.npz holds something else.*np.savez_compressed\("):
            load_samples(tmp_path / "a.npz")
        with pytest.raises(FileError, match="holds neurodeploy-activity/1, expected neurodeploy-samples/1"):
            load_samples(_activity(tmp_path / "b.npz"))

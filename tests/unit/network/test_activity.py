"""``Events``, ``Samples`` and ``Activity``: order, ranges, parts, and files."""

import numpy as np
import pytest
from building import samples

from neurodeploy.errors import FileError, SimulationError
from neurodeploy.network.activity import (
    Activity,
    Events,
    Samples,
    join_samples,
    load_activity,
    load_samples,
    save_activity,
    save_samples,
    window,
)

RASTER = np.array([[[1, 0, 0], [0, 1, 1]], [[0, 0, 0], [1, 0, 1]]], np.int8)


def events(sample=(0, 1), step=(1, 0), neuron=(2, 0), **changes):
    span = {"size": 3, "n_steps": 2, "n_samples": 2}
    columns = {"sample": np.array(sample), "step": np.array(step), "neuron": np.array(neuron)}
    return Events(**{**span, **columns, **changes})


class TestEvents:
    def test_raster_and_events_are_the_same_thing(self):
        there = Events.from_dense(RASTER)
        assert len(there) == 5
        assert there.sample.dtype == there.step.dtype == there.neuron.dtype == np.int32
        assert np.array_equal(there.to_dense(), RASTER)

    def test_events_are_sorted_by_sample_step_neuron_with_their_payload(self):
        mixed = events(sample=(1, 0, 0), step=(0, 1, 1), neuron=(1, 2, 0), payload=np.array([7, 8, 9]))
        assert list(zip(mixed.sample, mixed.step, mixed.neuron, mixed.payload)) == [
            (0, 1, 0, 9),
            (0, 1, 2, 8),
            (1, 0, 1, 7),
        ]

    def test_columns_are_read_only_copies(self):
        column = np.array([0, 1])
        own = events(sample=column)
        column[0] = 1
        assert own.sample.tolist() == [0, 1]
        with pytest.raises(ValueError, match="read-only"):
            own.sample[0] = 1

    @pytest.mark.parametrize(
        ("changes", "message"),
        [
            ({"neuron": np.array([3, 0])}, r"event column 'neuron' holds 3, outside 0\.\.2"),
            ({"step": np.array([-1, 0])}, r"event column 'step' holds -1, outside 0\.\.1"),
            ({"sample": np.array([0, 2])}, r"event column 'sample' holds 2, outside 0\.\.1"),
            ({"step": np.array([0.0, 1.0])}, "event column 'step' must be a list of whole numbers, it is float64"),
            ({"step": np.array([[0, 1]])}, "event column 'step' must be a list"),
            ({"step": np.array([0])}, "event columns sample, step and neuron differ in length"),
            ({"payload": np.array([1])}, "event payload differs in length"),
        ],
    )
    def test_events_out_of_range(self, changes, message):
        with pytest.raises(SimulationError, match=message):
            events(**changes)

    def test_repeated_event_is_named(self):
        with pytest.raises(SimulationError, match="neuron 2 has two events in step 1 of sample 1"):
            events(sample=(1, 0, 1), step=(1, 0, 1), neuron=(2, 0, 2))

    @pytest.mark.parametrize(
        ("raster", "message"),
        [
            (np.zeros((2, 2), int), r"this one has shape \(2, 2\)"),
            (np.zeros((1, 1, 1)), "this one is float64"),
            (np.full((1, 1, 1), 2), r"holds 0 and 1, this one 2\.\.2"),
            (np.full((1, 1, 1), -1), r"holds 0 and 1, this one -1\.\.-1"),
        ],
    )
    def test_rasters_that_are_none(self, raster, message):
        with pytest.raises(SimulationError, match=message):
            Events.from_dense(raster)

    def test_counts_per_neuron_and_sample(self):
        assert Events.from_dense(RASTER).counts().tolist() == [[1, 1, 1], [1, 0, 1]]

    def test_take_and_join_are_inverse(self):
        whole = Events.from_dense(RASTER)
        parts = [whole.take(0, 1), whole.take(1, 5)]
        assert [part.n_samples for part in parts] == [1, 1]
        assert np.array_equal(parts[1].to_dense(), RASTER[1:])
        assert np.array_equal(join_samples(parts).to_dense(), RASTER)

    def test_window_counts_steps_from_its_start(self):
        whole = Events.from_dense(RASTER)
        assert np.array_equal(window(whole, 1, 3).to_dense()[:, :1], RASTER[:, 1:])
        assert window(whole, 1, 3).n_steps == 3

    def test_payload_travels(self):
        graded = events(payload=np.array([-5, 7]))
        assert graded.to_dense()[0, 1, 2] == -5
        assert graded.take(1, 2).payload.tolist() == [7]
        assert join_samples([graded, graded]).payload.tolist() == [-5, 7, -5, 7]
        assert window(graded, 1, 1).payload.tolist() == [-5]


class TestSamples:
    def test_size_and_parts(self):
        given = samples(RASTER, "x", labels=np.array([4, 5]), name="two")
        assert (given.n_samples, given.n_steps) == (2, 2)
        second = given.take(1, 2)
        assert (second.n_samples, second.labels.tolist(), second.name) == (1, [5], "two")

    def test_inputs_must_agree_and_labels_must_count(self):
        one = Events.from_dense(RASTER)
        with pytest.raises(SimulationError, match="differ in number of samples or steps"):
            Samples(inputs={"x": one, "y": one.take(0, 1)})
        with pytest.raises(SimulationError, match="or there is none"):
            Samples(inputs={})
        with pytest.raises(SimulationError, match="3 labels for 2 samples"):
            Samples(inputs={"x": one}, labels=np.arange(3))


def activity():
    return Activity(
        engine="reference",
        network="f00",
        n_steps=2,
        spikes={"x": Events.from_dense(RASTER), "a": events(payload=np.array([3, -4]))},
        states={("a", "u"): np.arange(12, dtype=np.int32).reshape(2, 2, 3)},
        updated=np.arange(8).reshape(2, 2, 2),
        overflow={"a": 3},
    )


class TestFiles:
    def test_activity_comes_back_whole(self, tmp_path):
        save_activity(activity(), tmp_path / "a.npz")
        back = load_activity(tmp_path / "a.npz")
        assert (back.engine, back.network, back.n_steps, back.n_samples) == ("reference", "f00", 2, 2)
        assert dict(back.overflow) == {"a": 3}
        assert np.array_equal(back.spikes["x"].to_dense(), RASTER)
        assert back.spikes["a"].payload.tolist() == [3, -4]
        assert np.array_equal(back.states["a", "u"], activity().states["a", "u"])
        assert np.array_equal(back.updated, activity().updated)

    def test_samples_come_back_whole(self, tmp_path):
        save_samples(Samples(inputs={"x": events()}, labels=np.array([1, 0]), name="n"), tmp_path / "s.npz")
        back = load_samples(tmp_path / "s.npz")
        assert (back.name, back.labels.tolist(), back.inputs["x"].neuron.tolist()) == ("n", [1, 0], [2, 0])

    def test_missing_damaged_and_foreign_files(self, tmp_path):
        with pytest.raises(FileError, match="there is no file"):
            load_samples(tmp_path / "none.npz")
        (tmp_path / "text.npz").write_text("no archive")
        with pytest.raises(FileError, match="damaged or no neurodeploy"):
            load_samples(tmp_path / "text.npz")
        save_activity(activity(), tmp_path / "a.npz")
        with pytest.raises(FileError, match="holds neurodeploy-activity/1, expected neurodeploy-samples/1"):
            load_samples(tmp_path / "a.npz")
        (tmp_path / "cut.npz").write_bytes((tmp_path / "a.npz").read_bytes()[:300])
        with pytest.raises(FileError, match="damaged"):
            load_activity(tmp_path / "cut.npz")

    def test_failed_write_leaves_the_old_file_and_no_rest(self, tmp_path, monkeypatch):
        path = tmp_path / "a.npz"
        save_activity(activity(), path)
        before = path.read_bytes()

        def full(*_args, **_arrays):
            raise OSError("disk full")

        monkeypatch.setattr("numpy.lib.format.write_array", full)
        with pytest.raises(OSError, match="disk full"):
            save_activity(activity(), path)
        assert path.read_bytes() == before
        assert [p.name for p in tmp_path.iterdir()] == ["a.npz"]

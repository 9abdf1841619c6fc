"""Arrays, files and folders of users as samples: what they mean is told by their names, or asked for."""

from __future__ import annotations

import re
from collections import Counter
from pathlib import Path

import h5py
import numpy as np
import pytest
from building import ROOT, chain, entry
from event_files import bin5, davis346, dvs128, evt2, some_rows, write
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.io import savemat

from neurodeploy.commands.samples import as_samples
from neurodeploy.data.binning import binned
from neurodeploy.data.own import read_own
from neurodeploy.data.reading import Own, Reading, Wanted
from neurodeploy.data.recording import EventFile
from neurodeploy.data.window import DataWarning
from neurodeploy.errors import DataError, FileError, UsageError
from neurodeploy.network.activity import Events, Samples, save_samples


def _wanted(shape: tuple[int, ...], *, graded: bool = False, dt_s: float = 1e-3) -> Wanted:
    return Wanted(given=entry("in", shape, graded), dt_s=dt_s)


def _network(size: int, *, classes: int = 9, **rest):
    return chain([np.ones((classes, size), int)], **rest)


def _raster(*shape: int, seed: int = 0) -> np.ndarray:
    return np.random.default_rng(seed).random(shape) < 0.3


def _dense(samples: Samples) -> np.ndarray:
    return next(iter(samples.inputs.values())).to_dense()


class TestSpikes:
    def test_array_has_samples_steps_and_channels_in_c_order_of_the_rest(self):
        raster = _raster(3, 4, 2, 5, 6)
        samples = as_samples(raster, [0, 1, 1])
        assert np.array_equal(_dense(samples), raster.reshape(3, 4, 60))
        assert (samples.shapes["input"], samples.labels.tolist()) == ((2, 5, 6), [0, 1, 1])

    @pytest.mark.parametrize("kind", [bool, np.uint8, np.int64, np.float32])
    def test_whole_numbers_of_any_type_are_spikes(self, kind):
        raster = _raster(2, 4, 5)
        samples = as_samples(raster.astype(kind))
        assert np.array_equal(_dense(samples), raster)
        assert samples.inputs["input"].payload is None

    def test_other_whole_numbers_are_payloads(self):
        raster = np.array([[[0, 3, -2], [1, 0, 0]]])
        samples = as_samples(raster)
        assert np.array_equal(_dense(samples), raster)
        assert samples.inputs["input"].payload.tolist() == [3, -2, 1]

    def test_spikes_for_a_graded_input_carry_the_payload_1(self):
        samples = as_samples(_raster(2, 4, 5), network=_network(5, graded=8))
        assert set(samples.inputs["in"].payload.tolist()) == {1}

    def test_fractions_are_refused_with_the_way_to_encode_them(self):
        with pytest.raises(DataError, match=r"must be whole numbers, one of them is 0.5; .*'values' .*data.path"):
            as_samples(np.full((1, 2, 3), 0.5))
        with pytest.raises(DataError, match="one of them is nan"):
            as_samples(np.full((1, 2, 3), np.nan))

    def test_channels_last_are_the_order_where_nothing_else_is_said(self):
        assert as_samples(_raster(3, 4, 5)).n_steps == 4

    def test_labels_tell_that_steps_come_first_and_it_is_said(self):
        raster = _raster(4, 3, 5)
        with pytest.warns(DataWarning, match=r"shape \(4, 3, 5\) are read as 3 samples of 4 steps, 5 channels \(TNC\)"):
            samples = as_samples(raster, [0, 1, 2], network=_network(5))
        assert np.array_equal(_dense(samples), raster.transpose(1, 0, 2))

    def test_the_input_tells_that_steps_come_last_and_it_is_said(self):
        raster = _raster(3, 5, 4)
        with pytest.warns(DataWarning, match=r"3 samples of 4 steps, 5 channels \(NCT\)"):
            samples = as_samples(raster, network=_network(5))
        assert np.array_equal(_dense(samples), raster.transpose(0, 2, 1))

    def test_as_many_steps_as_channels_are_asked_about(self):
        raster = _raster(3, 5, 5)
        with pytest.raises(DataError, match=r"which axis is that of the 5 channels\? Say it: axes='NTC'"):
            as_samples(raster, network=_network(5))
        samples = as_samples(raster, network=_network(5), axes="NCT")
        assert np.array_equal(_dense(samples), raster.transpose(0, 2, 1))
        assert np.array_equal(_dense(as_samples(raster, network=_network(5), axes="NTC")), raster)

    def test_array_that_fits_in_no_order_says_what_it_was_read_as(self):
        message = (
            r"3 samples of 4 steps and 5 channels, but there are 7 labels and the input 'in' has 6 channels \(6,\).*TNC"
        )
        with pytest.raises(DataError, match=message):
            as_samples(_raster(3, 4, 5), np.zeros(7, int), network=_network(6))

    def test_two_axes_are_refused_with_what_to_write(self):
        with pytest.raises(DataError, match=r"need three axes: samples, steps, channels. One sample: spikes\[None\]"):
            as_samples(_raster(4, 5))

    def test_samples_of_one_input_take_the_name_of_the_network_s(self):
        samples = as_samples(as_samples(_raster(3, 4, 5), [0, 1, 2]), network=_network(5))
        assert (list(samples.inputs), samples.labels.tolist()) == (["in"], [0, 1, 2])

    def test_labels_that_no_output_stands_for_are_told(self):
        raster = _raster(3, 4, 5)
        with pytest.warns(
            DataWarning, match=r"1 of 3 samples have a label of 2 or more \(up to 7\).*classes 0 to 1: they count"
        ):
            samples = as_samples(raster, [0, 7, 1], network=_network(5, classes=2))
        assert samples.labels.tolist() == [0, 7, 1]

    def test_only_so_many_samples_are_taken(self):
        assert as_samples(_raster(3, 4, 5), n_samples=2).n_samples == 2
        with pytest.raises(DataError, match="asked for 4 samples, the array has 3"):
            as_samples(_raster(3, 4, 5), n_samples=4)


class TestLabels:
    def _labels(self, labels) -> list[int]:
        return as_samples({"spikes": _raster(3, 4, 5), "labels": labels}).labels.tolist()

    def test_rows_of_one_1_are_the_place_of_the_1(self):
        assert self._labels(np.eye(4)[[2, 0, 3]]) == [2, 0, 3]

    def test_columns_and_whole_floats_are_labels(self):
        assert self._labels(np.array([[2.0], [0.0], [1.0]])) == [2, 0, 1]

    @pytest.mark.parametrize(
        ("labels", "message"),
        [
            ([0, 1], "but there are 2 labels"),
            ([0, 1, -1], "sample 2 has the label -1; classes are counted from 0"),
            ([0, 1, 2**32], "sample 2 has the label 4294967296"),
            ([0, 1.5, 1], "labels must be whole numbers, one of them is 1.5"),
            (np.zeros((3, 4, 2)), r"shape \(3, 4, 2\); give one label a sample, or one a step.*--labels none"),
            (np.zeros((3, 6)), "there are labels for 3 samples of 6 steps"),
            (np.full((3, 5), -1), "sample 0 has the label -1 in step 0; classes are counted from 0"),
            (np.array(["a", "b", "c"]), "'labels' holds <U1; give numbers"),
        ],
    )
    def test_what_is_no_label_is_refused(self, labels, message):
        with pytest.raises(DataError, match=message):
            self._labels(np.asarray(labels))


class TestLists:
    def test_events_with_times_fall_into_the_steps_of_the_network(self):
        table = {"times": [0.0, 1.9, 2.0, 4.0], "units": [1, 1, 0, 2], "samples": [0, 0, 1, 2], "labels": [5, 6, 7]}
        samples = as_samples(table, network=_network(3), time_unit="ms")
        assert np.argwhere(_dense(samples)).tolist() == [[0, 0, 1], [0, 1, 1], [1, 2, 0], [2, 4, 2]]
        assert samples.labels.tolist() == [5, 6, 7]

    @pytest.mark.parametrize(("name", "factor"), [("t_us", 1), ("times_ms", 1e-3), ("time [s]", 1e-6), ("ts_ns", 1e3)])
    def test_unit_of_time_may_stand_in_the_name(self, name, factor):
        table = {name: np.array([0, 3000, 7000]) * factor, "channel": [0, 1, 2]}
        samples = as_samples(table, dt_s=1e-3, sensor=(3,))
        assert np.argwhere(_dense(samples)).tolist() == [[0, 0, 0], [0, 3, 1], [0, 7, 2]]

    def test_unit_of_time_may_stand_beside(self):
        samples = as_samples({"t": [0, 3], "units": [0, 1], "time_unit": "ms", "shape": [2]}, dt_s=1e-3)
        assert samples.n_steps == 4

    def test_missing_unit_of_time_is_asked_for(self):
        with pytest.raises(
            DataError,
            match=r"in which unit are the times\? Say it: the name of the array, as in times_ms, time_unit='ms'",
        ):
            as_samples({"times": [0.0], "units": [0]}, dt_s=1e-3)

    def test_missing_sensor_is_asked_for_with_what_the_events_reach(self):
        table = {"t_us": [0, 5], "x": [3, 4], "y": [1, 9], "p": [0, 1]}
        with pytest.raises(DataError, match=r"--sensor 2x34x34. Its events reach polarity to 1, row to 9, column to 4"):
            as_samples(table, dt_s=1e-3)

    def test_missing_length_of_steps_is_asked_for(self):
        with pytest.raises(DataError, match="how are its recordings cut into steps.*--steps, --dt"):
            as_samples({"t_us": [0], "units": [0]}, sensor=(3,))

    def test_steps_need_no_unit_and_keep_their_number(self):
        table = {"steps": [0, 9, 3], "neurons": [2, 0, 1], "samples": [0, 0, 1], "n_steps": 12}
        samples = as_samples(table, sensor=(3,))
        assert np.argwhere(_dense(samples)).tolist() == [[0, 0, 2], [0, 9, 0], [1, 3, 1]]
        assert samples.n_steps == 12
        with pytest.raises(DataError, match="an event lies in step 9, samples have 5 steps"):
            as_samples({**table, "n_steps": 5}, sensor=(3,))

    def test_labels_of_events_become_those_of_their_samples(self):
        table = {"t_us": [0, 500, 900], "units": [0, 1, 0], "sample": [0, 1, 0], "label": [4, 5, 4]}
        assert as_samples(table, n_steps=1, dt_s=1e-3, sensor=(2,)).labels.tolist() == [4, 5]
        with pytest.raises(DataError, match="the events of sample 0 bear different labels"):
            as_samples({**table, "label": [4, 5, 6]}, n_steps=1, dt_s=1e-3, sensor=(2,))

    def test_polarities_of_minus_1_are_off(self):
        table = {"t_us": [0, 900], "x": [1, 1], "y": [0, 0], "p": [-1, 1]}
        samples = as_samples(table, n_steps=1, dt_s=1e-3, sensor=(2, 2, 2))
        assert np.argwhere(_dense(samples)).tolist() == [[0, 0, 1], [0, 0, 5]]

    @pytest.mark.parametrize(
        ("table", "message"),
        [
            ({"t_us": [0], "x": [1]}, "need the channel of each event .* it holds times, x"),
            ({"t_us": [0, 1], "units": [1]}, r"differ in length: \[2, 1\]"),
            ({"t_us": [0], "units": [-1]}, "'units' holds -1 to -1; channels are counted from 0"),
            ({"t_us": [np.inf], "units": [1]}, "a time is inf, which is none"),
            ({"t_us": [0], "units": [9]}, r"an event at channel 9, the sensor has 0\.\.2"),
            ({"t_us": [0], "units": [0], "channels": [0]}, "several arrays of units"),
            ({"t_us": [0], "x": [0], "y": [0], "p": [3]}, "polarities are 0 and 1, or -1 and 1; there are 3 to 3"),
            ({"t_us": [0], "units": [0], "samples": [-1]}, "'samples' holds -1 to -1; samples are counted from 0"),
        ],
    )
    def test_what_does_not_belong_together_is_refused(self, table, message):
        with pytest.raises(DataError, match=message):
            as_samples(table, dt_s=1e-3, sensor=(2, 4, 4) if "x" in table else (3,))

    def test_names_that_tell_nothing_show_the_three_lines_that_make_a_right_file(self):
        with pytest.raises(DataError) as caught:
            as_samples({"foo": np.zeros(3)})
        text = str(caught.value)
        assert "holds 'foo', neither spikes nor times" in text
        lines = [line for line in text.splitlines() if line.startswith("    ")]
        made: dict = {"np": np, "n_samples": 2, "n_steps": 3, "n_channels": 4}
        for line in lines[:2]:
            exec(line.strip(), made)
        assert as_samples({"spikes": made["spikes"], "labels": made["labels"]}).n_steps == 3


class TestFiles:
    def test_three_lines_of_the_message_make_a_file_that_is_read(self, tmp_path):
        from neurodeploy.network.activity import SAMPLES_IN_THREE_LINES

        text = SAMPLES_IN_THREE_LINES.replace('"samples.npz"', repr(str(tmp_path / "samples.npz")))
        exec(
            "\n".join(line.strip() for line in text.splitlines()),
            {"np": np, "n_samples": 2, "n_steps": 3, "n_channels": 4},
        )
        samples = as_samples(tmp_path / "samples.npz")
        assert (samples.n_samples, samples.n_steps, samples.labels.tolist()) == (2, 3, [0, 0])

    def test_every_kind_of_table_gives_the_same_samples(self, tmp_path):
        raster, labels = _raster(5, 4, 3), np.array([0, 2, 1, 1, 0])
        np.savez(tmp_path / "a.npz", spikes=raster, labels=labels)
        np.savez_compressed(tmp_path / "b.npz", Spikes=raster.astype(np.uint8), target=labels)
        savemat(tmp_path / "a.mat", {"x": raster.astype(np.int16), "y": np.eye(3)[labels]}, do_compression=True)
        savemat(tmp_path / "b.mat", {"data": {"spikes": raster.astype(float), "labels": labels}})
        with h5py.File(tmp_path / "a.h5", "w") as file:
            file["group/spikes"], file["group/labels"] = raster, labels
        with h5py.File(tmp_path / "c.mat", "w", userblock_size=512) as file:
            file["spikes"], file["labels"] = raster.astype(float).T, labels.astype(float)[None].T
        content = (tmp_path / "c.mat").read_bytes()
        write(tmp_path / "c.mat", b"MATLAB 7.3 MAT-file".ljust(512, b" ") + content[512:])
        for name in ("a.npz", "b.npz", "a.mat", "b.mat", "c.mat", "a.h5"):
            samples = as_samples(tmp_path / name)
            assert np.array_equal(_dense(samples), raster), name
            assert samples.labels.tolist() == labels.tolist(), name

    def test_every_kind_of_list_gives_the_same_samples(self, tmp_path):
        rows = some_rows(60, shape=(8, 9), longest_us=100)
        time, on, row, column = (np.array(c) for c in zip(*rows))
        structured = np.zeros(60, [("t", "<i8"), ("x", "<u2"), ("y", "<u2"), ("p", "?")])
        for name, values in (("t", time), ("x", column), ("y", row), ("p", on)):
            structured[name] = values
        np.save(tmp_path / "a.npy", structured)
        with h5py.File(tmp_path / "a.h5", "w") as file:
            file["CD/events"], file["CD/indexes"] = structured, np.zeros(4)
        with h5py.File(tmp_path / "b.hdf5", "w") as file:
            for name, values in (("t", time), ("x", column), ("y", row), ("p", on)):
                file[f"events/{name}"] = values
        savemat(tmp_path / "a.mat", {"TD": {"x": column, "y": row, "p": on, "ts": time}})
        text = "\n".join(f"{t},{x},{y},{p}" for t, x, y, p in zip(time, column, row, on))
        write(tmp_path / "a.csv", f"t_us,x,y,p\n{text}\n".encode())
        write(tmp_path / "b.txt", f"# t_us x y p\n{text.replace(',', ' ')}\n".encode())
        write(tmp_path / "c.csv", f't_us;"x";y;p\n{text.replace(",", ";")}\n'.encode())
        expected = Counter((t // 1000, on * 72 + r * 9 + c) for t, on, r, c in rows)
        for name in ("a.npy", "a.h5", "b.hdf5", "a.mat", "a.csv", "b.txt", "c.csv"):
            unit = "us" if name in ("a.npy", "a.mat") else None
            samples = as_samples(tmp_path / name, dt_s=1e-3, sensor=(2, 8, 9), time_unit=unit)
            assert {(step, cell) for _, step, cell in np.argwhere(_dense(samples)).tolist()} == set(expected), name

    def test_layout_of_shd_is_read_in_seconds(self, tmp_path):
        with h5py.File(tmp_path / "a.h5", "w") as file:
            for name, dtype, rows in (
                ("times", np.float32, [[0.0, 0.5], [0.25]]),
                ("units", np.uint16, [[3, 1], [2]]),
            ):
                lists = file.create_dataset(f"spikes/{name}", (2,), dtype=h5py.vlen_dtype(dtype))
                for i, row in enumerate(rows):
                    lists[i] = np.array(row, dtype)
            file["labels"] = np.array([7, 8])
        samples = as_samples(tmp_path / "a.h5", n_steps=4, duration_s=1.0, sensor=(4,))
        assert np.argwhere(_dense(samples)).tolist() == [[0, 0, 3], [0, 2, 1], [1, 1, 2]]
        assert samples.labels.tolist() == [7, 8]

    @pytest.mark.parametrize(
        ("name", "content", "message"),
        [
            ("a.csv", b"1,2,3\n4,5,6\n", "the first line must name the columns, as in 't_us,x,y,p'"),
            ("a.csv", b"t_us,units\n1,2,3\n", "3 numbers in a line, its first line names 2 columns"),
            ("a.csv", b"t_us,units\n1,two\n", "damaged .*below its first line"),
            ("a.mat", b"hello", "begins with 'MATLAB 5.0' or 'MATLAB 7.3'"),
            ("a.h5", b"hello", "HDF5: "),
            ("a.npy", b"hello", "damaged header"),
        ],
    )
    def test_damaged_tables_are_refused_with_what_is_wrong(self, tmp_path, name, content, message):
        path = write(tmp_path / name, content)
        with pytest.raises(DataError, match=message) as caught:
            as_samples(path, dt_s=1e-3)
        assert str(path) in str(caught.value)

    def test_hdf5_that_needs_prophesee_s_plugin_says_so(self, tmp_path):
        with h5py.File(tmp_path / "a.h5", "w") as file:
            layout = h5py.h5p.create(h5py.h5p.DATASET_CREATE)
            layout.set_chunk((8,))
            layout.set_filter(0x8ECF, h5py.h5z.FLAG_OPTIONAL, ())
            space = h5py.h5s.create_simple((8,))
            h5py.h5d.create(file.create_group("CD").id, b"events", h5py.h5t.NATIVE_INT32, space, layout)
        with pytest.raises(DataError, match="'CD/events' is packed with Prophesee's ECF: .*HDF5_PLUGIN_PATH"):
            as_samples(tmp_path / "a.h5", dt_s=1e-3)

    def test_hdf5_that_reads_other_files_is_refused(self, tmp_path):
        write(tmp_path / "secret.bin", bytes(32))
        with h5py.File(tmp_path / "a.h5", "w") as file:
            file.create_dataset("spikes", (32,), np.uint8, external=[(str(tmp_path / "secret.bin"), 0, 32)])
        with pytest.raises(DataError, match="'spikes' lies in another file"):
            as_samples(tmp_path / "a.h5")
        with h5py.File(tmp_path / "b.h5", "w") as file:
            file["spikes"] = h5py.ExternalLink("a.h5", "spikes")
        with pytest.raises(DataError, match="'spikes' is a link; files of data hold their data themselves"):
            as_samples(tmp_path / "b.h5")

    def test_hdf5_that_claims_more_than_it_holds_is_refused_before_memory_is_asked_for(self, tmp_path):
        with h5py.File(tmp_path / "a.h5", "w") as file:
            file.create_dataset("spikes", (2**40,), np.uint8, chunks=(2**20,))
        with pytest.raises(DataError, match="'spikes' claims 1,099,511,627,776 bytes"):
            as_samples(tmp_path / "a.h5")

    @pytest.mark.parametrize("size", [0, 2**40])
    def test_hdf5_with_a_damaged_heap_of_lists_is_refused_where_hdf5_itself_would_search_for_ever(self, tmp_path, size):
        with h5py.File(tmp_path / "a.h5", "w") as file:
            lists = file.create_dataset("spikes/times", (3,), h5py.vlen_dtype(np.float32))
            for i in range(3):
                lists[i] = np.arange(5 + i, dtype=np.float32)
        content = bytearray((tmp_path / "a.h5").read_bytes())
        first = content.index(b"GCOL") + 16
        assert int.from_bytes(content[first + 8 : first + 16], "little") == 20
        content[first + 8 : first + 16] = size.to_bytes(8, "little")
        with pytest.raises(DataError, match=r"a.h5 is damaged .*HDF5: (the free rest of a|an object in a) heap claims"):
            as_samples(write(tmp_path / "a.h5", bytes(content)))

    def test_npz_that_is_no_archive_is_a_damaged_file_of_samples(self, tmp_path):
        with pytest.raises(FileError, match=r"a\.npz is damaged"):
            as_samples(write(tmp_path / "a.npz", b"hello"))

    def test_missing_file_is_named(self, tmp_path):
        with pytest.raises(FileError, match="there is no file .*gone.npz"):
            as_samples(tmp_path / "gone.npz")

    def test_file_of_another_kind_lists_what_is_read(self, tmp_path):
        write(tmp_path / "a.docx", b"")
        with pytest.raises(
            DataError, match=r"(?s)neither a file of samples or events \(\.aedat, .*np.savez_compressed"
        ):
            as_samples(tmp_path / "a.docx")

    def test_labels_beside_a_file_are_refused(self, tmp_path):
        with pytest.raises(UsageError, match="labels are given beside a file"):
            as_samples(tmp_path / "a.npz", [0])


def test_code_in_the_documentation_runs(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    text = (ROOT / "docs" / "data.md").read_text(encoding="utf-8")
    blocks = re.findall(r"```python\n(.*?)```", text, re.DOTALL)
    assert len(blocks) == 4
    for block in blocks:
        exec(block, {})
    assert as_samples("samples.npz").n_samples == 20
    assert sorted(as_samples("two-inputs.npz").inputs) == ["camera", "touch"]


class TestRecordings:
    def _read(self, path: Path, wanted: Wanted | None = None, labels: str | None = None, **keys) -> Own:
        return read_own(path, Reading(**keys), wanted, labels=labels)

    @pytest.mark.filterwarnings("ignore::neurodeploy.data.window.DataWarning")
    @settings(max_examples=60, deadline=None)
    @given(
        st.lists(st.tuples(st.integers(0, 3000), st.integers(0, 1), st.integers(0, 4), st.integers(0, 5)), max_size=60),
        st.integers(1, 7),
        st.sampled_from([None, (4, 4), (3, 6)]),
        st.integers(1, 3),
        st.sampled_from(["separate", "merged", "on", "off"]),
    )
    def test_counts_are_those_of_counting_event_by_event(self, rows, n_steps, crop, pool, polarity):
        time, *place = (np.array(c, np.int64) for c in zip(*rows)) if rows else (np.empty(0, np.int64),) * 4
        event_file = EventFile(time_us=time, place=tuple(place), shape=(2, 5, 6), camera="x")
        reading = Reading(n_steps=n_steps, duration_s=2e-3, crop=crop, pool=pool, polarity=polarity, counts=True)
        height, width = crop or (5, 6)
        rows_out, columns_out = -(-height // pool), -(-width // pool)
        expected: Counter = Counter()
        for t, on, row, column in rows:
            row, column = row - (5 - height) // 2, column - (6 - width) // 2
            other = polarity in ("on", "off") and polarity != ("off", "on")[on]
            if t >= 2000 or not (0 <= row < height and 0 <= column < width) or other:
                continue
            channel = on if polarity == "separate" else 0
            expected[t * n_steps // 2000, (channel * rows_out + row // pool) * columns_out + column // pool] += 1
        if not expected:
            with pytest.raises(DataError, match="2 of 2 samples have no event in the first 0.002 s"):
                binned([("x", event_file)] * 2, None, reading, None, "x")
            return
        raster = _dense(binned([("x", event_file)] * 2, None, reading, None, "x").samples)[1]
        assert {(int(a), int(b)): int(raster[a, b]) for a, b in np.argwhere(raster)} == expected

    def test_several_events_in_a_step_are_one_spike_or_a_count_for_a_graded_input(self, tmp_path):
        path = write(tmp_path / "a.bin", bin5([(0, 1, 0, 1), (1, 1, 0, 1), (999, 1, 0, 1), (1000, 1, 0, 1)]))
        plain = self._read(path, _wanted((2, 2, 2)))
        assert _dense(plain.samples)[0, :, 5].tolist() == [1, 1]
        graded = self._read(path, _wanted((2, 2, 2), graded=True))
        assert _dense(graded.samples)[0, :, 5].tolist() == [3, 1]

    def test_windows_cut_a_recording_into_samples_and_leave_out_the_rest(self, tmp_path):
        path = write(tmp_path / "a.bin", bin5([(t, 0, 0, 0) for t in (0, 1500, 2000, 3999, 4000)]))
        own = self._read(path, window_s=2e-3, dt_s=1e-3, sensor=(1, 1, 1), labels="3")
        assert _dense(own.samples)[:, :, 0].tolist() == [[1, 1], [1, 1]]
        assert own.samples.labels.tolist() == [3, 3]

    @pytest.mark.parametrize(
        ("keys", "span"),
        [
            ({"n_steps": 4, "duration_s": 8e-3}, (4, [0, 1, 3])),
            ({"n_steps": 4, "dt_s": 2e-3}, (4, [0, 1, 3])),
            ({"dt_s": 2e-3, "duration_s": 8e-3}, (4, [0, 1, 3])),
            ({"dt_s": 2e-3}, (5, [0, 1, 3, 4])),
            ({"dt_s": 1e-3}, (9, [0, 3, 6, 8])),
        ],
    )
    def test_steps_are_told_by_two_of_number_length_and_duration_or_the_length(self, tmp_path, keys, span):
        path = write(tmp_path / "a.bin", bin5([(t, 0, 0, 0) for t in (0, 3000, 6500, 8000)]))
        raster = _dense(self._read(path, sensor=(1, 1, 1), **keys).samples)[0, :, 0]
        assert (len(raster), np.flatnonzero(raster).tolist()) == span

    @pytest.mark.parametrize(
        ("keys", "message"),
        [
            ({"n_steps": 3, "dt_s": 1e-3, "duration_s": 1.0}, "3 steps of 0.001 s are not 1 s"),
            ({"dt_s": 1.5e-6}, "no whole number of microseconds"),
            ({"dt_s": 1e-6, "duration_s": 99.0}, "at most 1,000,000 steps are read"),
            ({"dt_s": 1e-3, "window_s": 1.0}, "is shorter than the window of 1 s"),
            ({"dt_s": 1e-3, "crop": (9, 9)}, "crop asks for 9x9 pixels, the sensor has 1x1"),
        ],
    )
    def test_settings_that_cannot_be_are_refused(self, tmp_path, keys, message):
        path = write(tmp_path / "a.bin", bin5([(t, 0, 0, 0) for t in (0, 8000)]))
        with pytest.raises(DataError, match=message):
            self._read(path, sensor=(1, 1, 1), **keys)

    def test_sensor_of_the_input_is_taken_where_the_file_names_none(self, tmp_path):
        path = write(tmp_path / "a.bin", bin5([(0, 1, 2, 3)]))
        own = self._read(path, _wanted((2, 5, 7)))
        assert np.argwhere(_dense(own.samples)).tolist() == [[0, 0, 35 + 2 * 7 + 3]]

    def test_recording_that_does_not_fit_the_input_says_what_would(self, tmp_path):
        path = write(tmp_path / "a.raw", evt2(some_rows(5, shape=(480, 640))))
        message = (
            "has 2x480x640 channels, the input 'in' 1x120x160; neurodeploy data convert .* --pool 4 --polarity merged"
        )
        with pytest.raises(DataError, match=message):
            self._read(path, _wanted((1, 120, 160)))

    def test_camera_is_named_where_another_sensor_is_said(self, tmp_path):
        path = write(tmp_path / "a.aedat", davis346(some_rows(5, shape=(260, 346))))
        with pytest.raises(DataError, match="Davis346blue, 346x260 has a sensor of 2x260x346, not 2x34x34"):
            self._read(path, dt_s=1e-3, sensor=(2, 34, 34))

    def test_dropped_events_and_cameras_are_told(self, tmp_path):
        path = write(tmp_path / "a.aedat", davis346(some_rows(5, shape=(260, 346)), extra=[1 << 10]))
        own = self._read(path, dt_s=1e-3)
        assert (own.seen.dropped, own.cameras) == (
            {"signals of other devices": 1},
            ("AEDAT 2.0 of the camera Davis346blue, 346x260",),
        )


class TestFolders:
    def _folder(self, root: Path, names: tuple[str, ...], n: int = 2) -> Path:
        for k, name in enumerate(names):
            for i in range(n):
                write(root / name / f"{i}.aedat", dvs128([(0, 1, k, i), (500, 0, k, i)]))
        return root

    def test_one_folder_a_class_in_the_order_of_numbers_or_letters(self, tmp_path):
        own = read_own(self._folder(tmp_path / "a", ("10", "9", "2")), Reading(dt_s=1e-3), None)
        assert (own.classes, own.samples.labels.tolist()) == (("2", "9", "10"), [0, 0, 1, 1, 2, 2])
        assert np.argwhere(_dense(own.samples)[0, 0].reshape(2, 128, 128))[0].tolist() == [0, 2, 0]
        own = read_own(self._folder(tmp_path / "b", ("dog", "cat")), Reading(dt_s=1e-3), None)
        assert own.classes == ("cat", "dog")

    def test_files_beside_each_other_have_no_labels_unless_a_file_tells_them(self, tmp_path):
        folder = self._folder(tmp_path, ("one",), 3) / "one"
        assert read_own(folder, Reading(dt_s=1e-3), None).samples.labels is None
        np.save(tmp_path / "labels.npy", np.array([4, 0, 2]))
        own = read_own(folder, Reading(dt_s=1e-3), None, labels=str(tmp_path / "labels.npy"))
        assert own.samples.labels.tolist() == [4, 0, 2]
        write(tmp_path / "labels.csv", b"label\n1\n2\n3\n")
        own = read_own(folder, Reading(dt_s=1e-3), None, labels=str(tmp_path / "labels.csv"))
        assert own.samples.labels.tolist() == [1, 2, 3]
        np.save(tmp_path / "few.npy", np.array([4, 0]))
        with pytest.raises(DataError, match="2 labels for the 3 files"):
            read_own(folder, Reading(dt_s=1e-3), None, labels=str(tmp_path / "few.npy"))

    def test_labels_can_be_left_out(self, tmp_path):
        folder = self._folder(tmp_path, ("a", "b"))
        assert read_own(folder, Reading(dt_s=1e-3), None, labels="none").samples.labels is None

    def test_folders_and_files_together_are_ambiguous(self, tmp_path):
        folder = self._folder(tmp_path, ("a",))
        write(folder / "x.aedat", dvs128([(0, 1, 0, 0)]))
        with pytest.raises(DataError, match=r"holds both folders and files of events \(x.aedat\)"):
            read_own(folder, Reading(dt_s=1e-3), None)

    def test_cameras_of_two_sizes_are_refused(self, tmp_path):
        folder = self._folder(tmp_path, ("a",))
        write(folder / "a" / "z.aedat", davis346([(0, 1, 0, 0)]))
        with pytest.raises(DataError, match="z.aedat has a sensor of 2x260x346, others in .* one of 2x128x128"):
            read_own(folder, Reading(dt_s=1e-3), None)

    def test_empty_folder_lists_what_is_read(self, tmp_path):
        with pytest.raises(DataError, match=r"holds no file of events \(.aedat, .*one a class"):
            read_own(tmp_path, Reading(dt_s=1e-3), None)

    def test_folder_of_recordings_is_taken_by_its_path(self, tmp_path):
        folder = self._folder(tmp_path, ("a", "b"))
        network = _network(2 * 128 * 128)
        assert as_samples(str(folder), network=network).labels.tolist() == [0, 0, 1, 1]


class _Pairs:
    """A data set as torch has them."""

    def __init__(self, rows, labels) -> None:
        self.rows, self.labels = rows, labels

    def __len__(self) -> int:
        return len(self.rows)

    def __getitem__(self, i: int):
        return self.rows[i], self.labels[i]


class TestDataSetsInMemory:
    def test_pairs_of_rasters_and_labels(self):
        raster = _raster(4, 6, 5)
        samples = as_samples(_Pairs(raster, [3, 1, 0, 2]), network=_network(5))
        assert np.array_equal(_dense(samples), raster)
        assert samples.labels.tolist() == [3, 1, 0, 2]

    def test_pairs_of_events_and_labels_have_times_in_microseconds(self):
        rows = np.array([(0, 1, 2, 1), (2500, 0, 0, 0)], [("t", "<i8"), ("x", "<i2"), ("y", "<i2"), ("p", "<i2")])
        samples = as_samples(_Pairs([rows, rows[:1]], [1, 0]), dt_s=1e-3, sensor=(2, 3, 4))
        assert np.argwhere(_dense(samples)).tolist() == [[0, 0, 21], [0, 2, 0], [1, 0, 21]]

    def test_torch_data_sets_and_tensors(self):
        torch = pytest.importorskip("torch")
        raster = torch.from_numpy(_raster(4, 6, 5)).float()
        data = torch.utils.data.TensorDataset(raster, torch.tensor([1, 0, 2, 0]))
        samples = as_samples(data)
        assert np.array_equal(_dense(samples), raster.numpy())
        assert samples.labels.tolist() == [1, 0, 2, 0]
        assert np.array_equal(_dense(as_samples(raster, [1, 0, 2, 0])), raster.numpy())
        with pytest.raises(UsageError, match=r"Tensor is no array .*tensor.detach\(\)"):
            as_samples(raster.requires_grad_())

    @pytest.mark.parametrize(
        ("thing", "message"),
        [
            (_Pairs([], []), "the _Pairs holds no samples"),
            (_Pairs([np.zeros((2, 3)), np.zeros((3, 3))], [0, 1]), r"differ in shape: \(2, 3\) and \(3, 3\)"),
            (_Pairs([np.zeros((2, 3))] * 2, [[0, 1], [1]]), "gives labels of different shapes"),
            (_Pairs([np.zeros((2, 3))], [[3, 1, 2]]), "there are labels for 1 samples of 3 steps"),
            ([1, 2], "sample 0 of the list is a int; give pairs"),
            (object(), "samples are Samples, a file, .* not object"),
        ],
    )
    def test_what_is_no_data_set_is_refused(self, thing, message):
        with pytest.raises((DataError, UsageError), match=message):
            as_samples(thing)

    def test_a_network_of_several_inputs_takes_an_array_for_each(self):
        from building import connect, neuron, wired

        projections = [connect("a", "out", [[1, 1, 1]] * 2), connect("b", "out", [[1, 1]] * 2)]
        network = wired({"a": 3, "b": 2}, {"out": (2, neuron())}, projections)
        first, second = _raster(2, 4, 3), _raster(2, 4, 2, seed=1)
        samples = as_samples({"a": first, "b": second, "labels": [1, 0]}, network=network)
        assert np.array_equal(samples.inputs["a"].to_dense(), first)
        assert np.array_equal(samples.inputs["b"].to_dense(), second)
        with pytest.raises(DataError, match="the network has the inputs 'a', 'b'; give Samples"):
            as_samples(first, network=network)

    def test_samples_are_handed_on(self):
        samples = Samples(inputs={"x": Events.from_dense(_raster(1, 2, 3))})
        assert as_samples(samples) is samples

    def test_saved_samples_are_read_whatever_they_hold(self, tmp_path):
        payload = Events.from_dense(np.array([[[0, 2], [-1, 0]]]), graded=True)
        save_samples(Samples(inputs={"x": payload}, labels=[1], shapes={"x": (2, 1)}), tmp_path / "a.npz")
        again = as_samples(tmp_path / "a.npz")
        assert np.array_equal(again.inputs["x"].to_dense(), payload.to_dense())
        assert again.shapes["x"] == (2, 1)


@pytest.mark.parametrize("shape", [(0, 30, 20), (6, 0, 20), (6, 30, 0)])
def test_an_array_of_no_size_is_refused_with_its_shape(shape, tmp_path):
    np.save(tmp_path / "x.npy", np.zeros(shape, np.uint8))
    with pytest.raises(
        DataError, match=rf"spikes have the shape \({shape[0]}, {shape[1]}, {shape[2]}\), so that there is none"
    ):
        as_samples(tmp_path / "x.npy")

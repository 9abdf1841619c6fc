"""Files of events of every camera: events in, the same events out; what is no pixel is counted, what is damaged refused."""

from __future__ import annotations

import struct
import sys
from pathlib import Path

import numpy as np
import pytest
from event_files import (
    aedat3,
    bin5,
    dat,
    davis346,
    dvs128,
    evt2,
    evt3,
    evt3_file,
    from_first,
    slow_evt3,
    some_rows,
    write,
)
from hypothesis import given, settings
from hypothesis import strategies as st

from neurodeploy.data.readers import read_events
from neurodeploy.data.recording import EventFile, check_clock, unwrapped
from neurodeploy.errors import DataError, MissingPackageError

RECORDED = Path(__file__).parent / "recorded"
"""Sixty events of a DAVIS346 and a trigger, written by dv-processing 2.0.4 without packing, with LZ4 and with Zstandard."""


def _columns(found: EventFile) -> list[list[int]]:
    return [found.time_us.tolist(), *(axis.tolist() for axis in found.place)]


class TestEveryFormat:
    @pytest.mark.parametrize(
        ("name", "make", "shape"),
        [
            ("a.aedat", dvs128, (128, 128)),
            ("a.aedat", lambda rows: dvs128(rows, version="1.0"), (128, 128)),
            ("a.aedat", davis346, (260, 346)),
            ("a.aedat", aedat3, (128, 128)),
            ("a.aedat", lambda rows: aedat3(rows, version="3.0"), (128, 128)),
            ("a.aedat", lambda rows: aedat3(rows, source="DAVIS346"), (260, 346)),
            ("a.raw", evt2, (480, 640)),
            ("a.raw", evt3, (480, 640)),
            ("a.dat", dat, (480, 640)),
        ],
    )
    @pytest.mark.parametrize("seed", [0, 1])
    def test_events_come_back_with_times_from_the_first_and_the_size_of_the_camera(
        self, tmp_path, name, make, shape, seed
    ):
        rows = some_rows(300, shape=shape, seed=seed)
        found = read_events(write(tmp_path / name, make(rows)))
        assert _columns(found) == from_first(rows)
        assert found.shape == (2, *shape)
        assert found.dropped == {}

    @pytest.mark.parametrize("name", ["none", "lz4", "zstd"])
    def test_aedat_4_of_dv_processing_is_read_packed_or_not(self, name):
        if name != "none":
            pytest.importorskip({"lz4": "lz4.frame", "zstd": "zstandard"}[name])
        rng = np.random.default_rng(3)
        time = np.cumsum(rng.integers(0, 900, 60))
        column, row, on = rng.integers(0, 346, 60), rng.integers(0, 260, 60), rng.integers(0, 2, 60)
        found = read_events(RECORDED / f"{name}.aedat4")
        assert _columns(found) == [(time - time[0]).tolist(), on.tolist(), row.tolist(), column.tolist()]
        assert (found.shape, found.dropped) == ((2, 260, 346), {"packets of triggers": 1})
        assert found.camera == "AEDAT 4.0, 346x260"

    def test_bin_files_keep_their_times_and_name_no_sensor(self, tmp_path):
        rows = some_rows(50, shape=(34, 34))
        found = read_events(write(tmp_path / "a.bin", bin5(rows)))
        assert _columns(found) == [[row[i] for row in rows] for i in range(4)]
        assert found.shape is None

    @pytest.mark.parametrize("make", [dvs128, aedat3, evt2, evt3, dat])
    def test_recording_without_events_is_empty(self, tmp_path, make):
        name = {evt2: "a.raw", evt3: "a.raw", dat: "a.dat"}.get(make, "a.aedat")
        found = read_events(write(tmp_path / name, make([])))
        assert _columns(found) == [[], [], [], []]

    def test_packed_file_is_unpacked(self, tmp_path):
        import gzip

        rows = some_rows(20)
        found = read_events(write(tmp_path / "a.aedat.gz", gzip.compress(dvs128(rows))))
        assert _columns(found) == from_first(rows)


class TestNoPixels:
    def test_signals_of_other_devices_on_a_dvs128_are_dropped_and_counted(self, tmp_path):
        rows = some_rows(20)
        found = read_events(write(tmp_path / "a.aedat", dvs128(rows, extra=[1 << 15] * 3)))
        assert found.dropped == {"signals of other devices": 3}
        assert _columns(found) == from_first(rows)

    def test_frames_motion_and_signals_of_a_davis_are_dropped_and_counted(self, tmp_path):
        rows = some_rows(20, shape=(260, 346))
        extra = [1 << 31 | 5, 1 << 31 | 7 << 12, 1 << 31 | 3 << 10, 1 << 10]
        found = read_events(write(tmp_path / "a.aedat", davis346(rows, extra=extra)))
        assert found.dropped == {
            "samples of frames": 2,
            "samples of the motion sensor": 1,
            "signals of other devices": 1,
        }
        assert _columns(found) == from_first(rows)

    def test_frames_and_invalid_events_of_aedat_3_are_dropped_and_counted(self, tmp_path):
        rows = some_rows(200)
        found = read_events(write(tmp_path / "a.aedat", aedat3(rows, frames=2, invalid=5)))
        assert found.dropped == {"frames": 4, "events marked invalid": 5}
        assert _columns(found) == from_first(rows[5:])

    def test_triggers_and_words_before_the_clock_are_dropped_and_counted(self, tmp_path):
        rows = some_rows(30, shape=(480, 640))
        found = read_events(write(tmp_path / "a.raw", evt2(rows, triggers=4)))
        assert found.dropped == {"signals of other devices": 4}
        early = [0x2001, 0x0005, 0x2001, 0xA000, 0x8000, 0x6007, 0x2009]
        found = read_events(write(tmp_path / "b.raw", evt3_file(early)))
        assert found.dropped == {"words before the first row and time": 2, "signals of other devices": 1}
        assert _columns(found) == [[0], [0], [5], [9]]


class TestClocks:
    @pytest.mark.parametrize("make", [dvs128, dat])
    def test_clock_of_32_bits_that_runs_over_goes_on(self, tmp_path, make):
        rows = [(2**32 - 500 + 100 * i, 1, 3, i) for i in range(20)]
        found = read_events(write(tmp_path / ("a.dat" if make is dat else "a.aedat"), make(rows)))
        assert found.time_us.tolist() == list(range(0, 2000, 100))

    def test_clock_of_aedat_3_that_ran_over_is_counted_by_its_packets(self, tmp_path):
        rows = [(2**31 - 1000 + 100 * i, 1, 3, i) for i in range(20)]
        found = read_events(write(tmp_path / "a.aedat", aedat3(rows, packet=10)))
        assert found.time_us.tolist() == list(range(0, 2000, 100))

    @pytest.mark.parametrize("bits", [24, 34])
    def test_clock_of_evt_that_runs_over_goes_on(self, tmp_path, bits):
        rows = [(2**bits - 500 + 100 * i, 1, 3, i) for i in range(20)]
        found = read_events(write(tmp_path / "a.raw", (evt3 if bits == 24 else evt2)(rows)))
        assert found.time_us.tolist() == list(range(0, 2000, 100))

    def test_mark_of_the_clock_in_bin_files_adds_8192_microseconds_and_is_no_event(self, tmp_path):
        rows = [(1000 * i, i % 2, 2, i) for i in range(30)]
        found = read_events(write(tmp_path / "a.bin", bin5(rows, turns=(9, 20))))
        assert found.time_us.tolist() == [1000 * i for i in range(30)]
        assert found.dropped == {"marks of the clock": 2}

    @pytest.mark.parametrize("make", [dvs128, aedat3, evt2, dat, bin5])
    def test_clock_that_starts_anew_is_refused_with_the_event(self, tmp_path, make):
        first = [(400_000 + 1000 * i, 1, 3, i) for i in range(10)]
        name = {evt2: "a.raw", dat: "a.dat", bin5: "a.bin"}.get(make, "a.aedat")
        path = write(tmp_path / name, make([*first, *((i, 1, 3, i) for i in range(5))]))
        message = (
            r"the clock starts anew at event 10, where 0.009000 s after the first event are followed by -0.400000 s"
        )
        with pytest.raises(DataError, match=message):
            read_events(path)

    @pytest.mark.parametrize("times", [(-(2**62), 2**62, 2**62), (2**62, -(2**62), 0), (2**63 - 1, -(2**63), -1)])
    def test_times_further_apart_than_64_bits_count_are_refused_and_not_wrapped(self, times):
        with pytest.raises(DataError, match=rf"a.aedat: times of {min(times)} and {max(times)} us are further apart"):
            check_clock(np.array(times, np.int64), Path("a.aedat"))

    def test_a_large_step_back_of_times_that_64_bits_count_is_told_exactly(self):
        with pytest.raises(DataError, match=r"0.000000 s after the first event are followed by -9223372036854.775"):
            check_clock(np.array([2**62, -(2**62) + 1], np.int64), Path("a.aedat"))

    def test_small_steps_back_are_kept(self, tmp_path):
        rows = [(time, 1, 3, 4) for time in (0, 5000, 4000, 9000)]
        assert read_events(write(tmp_path / "a.dat", dat(rows))).time_us.tolist() == [0, 5000, 4000, 9000]

    @given(
        st.lists(st.integers(-(2**7) + 1, 2**7 - 1), min_size=1, max_size=60), st.integers(0, 255), st.integers(8, 8)
    )
    def test_unwrapped_times_step_as_the_true_ones(self, steps, start, bits):
        """Steps of less than half the range of the clock are told exactly."""
        true = start + np.concatenate([[0], np.cumsum(steps)])
        assert np.array_equal(unwrapped(true % 2**bits, bits) - start % 2**bits, true - start)


class TestEvt3:
    @settings(max_examples=200)
    @given(st.lists(st.one_of(
        st.integers(0, 15).map(lambda row: row),
        st.integers(0, 63).map(lambda column: 0x2000 | column),
        st.integers(0, 63).map(lambda column: 0x3800 | column),
        st.integers(0, 0xFFF).map(lambda bits: 0x4000 | bits),
        st.integers(0, 0xFFF).map(lambda bits: 0x5000 | bits),
        st.integers(0, 30).map(lambda low: 0x6000 | low),
        st.integers(0, 1).map(lambda high: 0x8000 | high),
        st.sampled_from([0xA000, 0xE001, 0x7003]),
    ), max_size=60))  # fmt: skip
    def test_any_words_give_the_events_of_the_slow_decoder(self, tmp_path_factory, words):
        expected = slow_evt3(words)
        path = write(tmp_path_factory.mktemp("evt3") / "a.raw", evt3_file(words))
        steps = np.diff([row[0] for row in expected])
        if steps.size and steps.min() < -10_000:
            return
        first = expected[0][0] if expected else 0
        assert _columns(read_events(path)) == [
            [row[0] - first for row in expected],
            *([row[i] for row in expected] for i in (1, 2, 3)),
        ]

    def test_vectors_begin_where_the_last_one_ended(self, tmp_path):
        words = [0x8000, 0x6000, 0x0007, 0x3800 | 100, 0x4000 | 0b1001, 0x5000 | 0b10000001, 0x4000 | 1]
        found = read_events(write(tmp_path / "a.raw", evt3_file(words)))
        assert _columns(found)[3] == [100, 103, 112, 119, 120]
        assert _columns(found)[1] == [1] * 5


class TestRefused:
    @pytest.mark.parametrize(
        ("name", "content", "message"),
        [
            ("a.aedat", b"hello", "its first line is not #!AER-DAT"),
            ("a.aedat", b"#!AER-DAT9.1\r\n", "AEDAT 9.1, known are 1.0, 2.0"),
            ("a.aedat", dvs128(some_rows(3))[:-3], "no multiple of 8, the size of an event of AEDAT 2.0"),
            ("a.aedat", dvs128(some_rows(3), chip="DVXplorer"), "DVXplorer, whose addresses are not known"),
            ("a.aedat", dvs128(some_rows(3), chip=None), "header names no camera .*--sensor DVS128"),
            ("a.aedat", dvs128(some_rows(3), extra=[1 << 20]), "more than 16 bits, but its header says .*DVS128"),
            ("a.aedat", davis346([(0, 1, 0, 0)], extra=[300 << 22]), r"an event at row 300, the camera has 0\.\.259"),
            ("a.aedat", aedat3(some_rows(20))[:-5], r"claims 20 events of 8 bytes, 155 bytes are there"),
            ("a.aedat", aedat3([(0, 1, 200, 3)]), r"an event at row 200 or 200, AEDAT 3.1 of the camera DVS128"),
            ("a.aedat", b"#!AER-DAT3.1\r\n#!END-HEADER\r\nabc", "the packet at byte 28 is cut short"),
            ("a.aedat4", b"#!AER-DAT4.0\r\n\xff\xff\xff\xff", "AEDAT 4.0: "),
            ("a.raw", b"% evt 9\n% end\n", "a RAW file of the format EVT9; known are EVT2 and EVT3"),
            ("a.raw", b"\0\0\0\0", "that its header does not name"),
            ("a.raw", evt2(some_rows(3)) + b"\0", "no multiple of 4, the size of a word of EVT2"),
            ("a.raw", evt2([(0, 1, 470, 10)], shape=(400, 640)), "an event at row 470, its header says EVT2, 640x400"),
            ("a.dat", dat(some_rows(3), version=None), "a DAT file of version unknown, known is 2"),
            ("a.dat", dat(some_rows(3), version="1"), "a DAT file of version 1, known is 2"),
            ("a.dat", dat(some_rows(3), kind=14), "events of kind 14 and 8 bytes"),
            ("a.dat", dat(some_rows(3))[:-1], "no multiple of 8"),
            ("a.bin", b"1234567", "7 bytes are no multiple of 5"),
        ],
    )
    def test_damaged_and_unknown_files_are_refused_with_what_is_wrong(self, tmp_path, name, content, message):
        path = write(tmp_path / name, content)
        with pytest.raises(DataError, match=message) as caught:
            read_events(path)
        assert str(path) in str(caught.value)

    def test_camera_may_be_said_where_the_header_names_none(self, tmp_path):
        rows = some_rows(20)
        path = write(tmp_path / "a.aedat", dvs128(rows, chip=None))
        assert _columns(read_events(path, "DVS128")) == from_first(rows)

    def test_event_that_begins_as_a_header_line_is_an_event(self, tmp_path):
        """0x23 is the first byte of the address at row 118; its line would not be text."""
        rows = [(256 * i, 1, 259 - 141, 345 - 200) for i in range(30)]
        data = davis346(rows)
        assert data.count(b"#") > 30
        assert _columns(read_events(write(tmp_path / "a.aedat", data))) == from_first(rows)

    @pytest.mark.parametrize(("name", "module"), [("lz4", "lz4.frame"), ("zstd", "zstandard")])
    def test_packed_aedat_4_names_the_package_that_is_missing(self, monkeypatch, name, module):
        monkeypatch.setitem(sys.modules, module, None)
        with pytest.raises(MissingPackageError, match=r"packed with .*pip install 'neurodeploy-snn\[events\]'"):
            read_events(RECORDED / f"{name}.aedat4")

    def test_packet_of_aedat_4_that_claims_more_than_is_there_is_refused(self, tmp_path):
        data = bytearray((RECORDED / "none.aedat4").read_bytes())
        start = data.index(b"EVTS", data.index(b"EVTS") + 4)  # the identifier of the first packet, behind the XML
        count = next(at for at in range(start, start + 64) if struct.unpack_from("<I", data, at)[0] == 60)
        struct.pack_into("<I", data, count, 2**31)
        with pytest.raises(DataError, match="a packet claims 2147483648 events"):
            read_events(write(tmp_path / "a.aedat4", bytes(data)))

"""The door to HDF5 files: what leads out of a file, claims more than it holds, or holds HDF5 up, is refused first."""

from __future__ import annotations

import os
import resource
import signal
import time

import h5py
import numpy as np
import pytest

from neurodeploy.files import hdf5
from neurodeploy.files.budget import most_unpacked
from neurodeploy.files.hdf5 import Refused, open_hdf5


def made(path, write):
    with h5py.File(path, "w") as file:
        write(file)
    return path


def refusal(path, **options):
    with pytest.raises(Refused) as caught, open_hdf5(path, "test files", **options):
        pass
    return str(caught.value)


def keys(path, **options):
    with open_hdf5(path, "test files", **options) as file:
        return sorted(file)


def test_a_whole_file_is_opened(tmp_path):
    path = made(tmp_path / "a.h5", lambda file: file.create_dataset("x", data=np.arange(9), compression="gzip"))
    with open_hdf5(path, "test files") as file:
        assert file["x"][()].tolist() == list(range(9))


def test_content_in_memory_is_opened_as_a_file_is(tmp_path):
    path = made(tmp_path / "a.h5", lambda file: file.create_dataset("x", data=[1]))
    assert keys(path, content=path.read_bytes()) == ["x"]


def repeat_first(path):
    """Make all 200,000 rows of the data set ``t`` share the text or list of the first."""
    content = bytearray(path.read_bytes())
    with h5py.File(path) as file:
        begin = file["t"].id.get_offset()
    content[begin : begin + 16 * 200_000] = bytes(content[begin : begin + 16]) * 200_000
    path.write_bytes(content)


class TestOutOfTheFile:
    def test_links(self, tmp_path):
        for link in (h5py.ExternalLink("other.h5", "/x"), h5py.SoftLink("/g")):
            path = made(tmp_path / "a.h5", lambda file, link=link: file.create_group("g").__setitem__("in", link))
            assert refusal(path) == "'g/in' is a link; test files hold their data themselves"

    def test_names_that_are_no_text(self, tmp_path):
        path = tmp_path / "a.h5"
        with h5py.File(path, "w") as file:
            h5py.h5g.create(file.create_group("node").id, b"tau\xff")
        assert refusal(path) == "the name 'node/tau\N{REPLACEMENT CHARACTER}' is no text in UTF-8"

    def test_soft_links_may_be_allowed_for_a_reader_that_leaves_them_out(self, tmp_path):
        path = made(tmp_path / "a.h5", lambda file: file.__setitem__("soft", h5py.SoftLink("/nowhere")))
        assert keys(path, foreign=True) == ["soft"]
        path = made(tmp_path / "b.h5", lambda file: file.__setitem__("hard", h5py.ExternalLink("other.h5", "/x")))
        assert "'hard' is a link" in refusal(path, foreign=True)

    def test_external_storage_and_virtual_data_sets(self, tmp_path):
        (tmp_path / "secret").write_bytes(bytes(8))
        inner = made(tmp_path / "other.h5", lambda file: file.create_dataset("x", data=np.arange(8)))
        layout = h5py.VirtualLayout((8,), np.int64)
        layout[:] = h5py.VirtualSource(str(inner), "x", (8,))
        stored = [(str(tmp_path / "secret"), 0, 8)]
        for write in (
            lambda file: file.create_dataset("d", (8,), np.uint8, external=stored),
            lambda file: file.create_virtual_dataset("d", layout),
        ):
            assert "'d' lies in another file" in refusal(made(tmp_path / "a.h5", write))

    def test_a_pipe_is_not_waited_for(self, tmp_path):
        os.mkfifo(tmp_path / "pipe.h5")
        assert refusal(tmp_path / "pipe.h5") == "it is a device or a pipe, no file"
        stored = [(str(tmp_path / "pipe.h5"), 0, 8)]
        path = made(tmp_path / "a.h5", lambda file: file.create_dataset("d", (8,), np.uint8, external=stored))
        assert "'d' lies in another file" in refusal(path)


class TestKinds:
    """HDF5 has other values than numbers and texts; damage makes them out of a text, and HDF5 breaks on reading those."""

    @pytest.mark.parametrize("kind", [h5py.vlen_dtype(np.dtype("i4")), h5py.ref_dtype, h5py.regionref_dtype])
    def test_lists_and_references_are_refused(self, tmp_path, kind):
        path = made(tmp_path / "a.h5", lambda file: file.create_dataset("node/d", (2,), kind))
        assert refusal(path) == "'node/d' holds lists or references; test files hold numbers and texts"
        assert keys(path, foreign=True) == ["node"]
        path = made(tmp_path / "b.h5", lambda file: file.attrs.create("d", file.ref, dtype=h5py.ref_dtype))
        assert "attribute 'd' holds lists or references" in refusal(path)

    def test_a_table_with_texts_is_refused(self, tmp_path):
        kind = np.dtype([("a", "i4"), ("t", h5py.string_dtype())])
        path = made(tmp_path / "a.h5", lambda file: file.create_dataset("d", (2,), kind))
        assert "'d' holds lists or references" in refusal(path)

    @pytest.mark.parametrize("shape", [(), (3,)])
    def test_a_text_whose_type_was_damaged_to_a_list(self, tmp_path, shape):
        """One bit; HDF5 ends the process that reads it."""
        path = made(
            tmp_path / "a.h5",
            lambda file: file.create_dataset("t", data=np.full(shape, b"text", object), dtype=h5py.string_dtype()),
        )
        content = path.read_bytes()
        assert content.count(b"\x19\x01") == 1  # a type of class 9, version 1, of texts
        path.write_bytes(content.replace(b"\x19\x01", b"\x19\x00"))
        assert "'t' holds lists or references" in refusal(path)
        assert keys(path, foreign=True) == ["t"]

    def test_lists_of_a_foreign_file_are_counted(self, tmp_path):
        def write(file):
            file.create_dataset("t", (200_000,), h5py.vlen_dtype(np.dtype("u1")))
            file["t"][0] = np.zeros(40_000, np.uint8)

        path = made(tmp_path / "a.h5", write)
        repeat_first(path)
        assert "its texts and lists take more than" in refusal(path, foreign=True)


class TestBudget:
    def test_links_that_lead_to_the_same_groups_count_each_time(self, tmp_path):
        """13 KB whose 8 links to each of 14 levels make 8**14 paths."""

        def write(file):
            below = file.create_group("0")
            for level in range(1, 15):
                group = file.create_group(str(level))
                for i in range(8):
                    group[f"way{i}"] = below
                below = group

        assert "its links lead to more than 131,072 groups" in refusal(made(tmp_path / "a.h5", write))

    def test_a_data_set_shared_by_two_links_is_fine(self, tmp_path):
        def write(file):
            file["a"] = np.arange(5)
            file["b"] = file["a"]

        assert keys(made(tmp_path / "a.h5", write)) == ["a", "b"]

    def test_shared_numbers_count_each_time(self, tmp_path):
        """100 links to 8 MB that are packed to 8 KB."""

        def write(file):
            file.create_dataset("n0", data=np.zeros(2**20), compression="gzip", chunks=(2**17,))
            for i in range(1, 100):
                file[f"n{i}"] = file["n0"]

        assert "its data sets take 838,860,800 bytes unpacked" in refusal(made(tmp_path / "a.h5", write))

    def test_a_group_that_holds_itself(self, tmp_path):
        assert refusal(
            made(tmp_path / "a.h5", lambda file: file.create_group("g").__setitem__("again", file["g"]))
        ) == ("a group in it holds itself")

    def test_depth(self, tmp_path):
        path = made(tmp_path / "a.h5", lambda file: file.create_group("/".join("g" * 70)))
        assert refusal(path) == "it nests groups deeper than 64"

    @pytest.mark.parametrize("options", [{}, {"chunks": (2**16, 2)}, {"chunks": (2**16, 2), "compression": "gzip"}])
    def test_numbers_of_which_nothing_is_stored(self, tmp_path, options):
        path = made(tmp_path / "a.h5", lambda file: file.create_dataset("edges", (2**27, 2), np.int64, **options))
        assert "'edges' claims 2,147,483,648 bytes, the 0 stored for it" in refusal(path)

    def test_one_text_that_stands_for_many_takes_no_memory(self, tmp_path):
        """A heap holds a text once, and any number of elements may point at it."""

        def write(file):
            file.create_dataset("t", (200_000,), h5py.string_dtype())
            file["t"][0] = "x" * 40_000

        path = made(tmp_path / "a.h5", write)
        repeat_first(path)
        before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
        assert refusal(path) == f"its texts and lists take more than {most_unpacked(path.stat().st_size):,} bytes"
        assert resource.getrusage(resource.RUSAGE_SELF).ru_maxrss < before + 2**16


class TestSurvey:
    """The process that looks through a file first."""

    @pytest.fixture
    def path(self, tmp_path):
        return made(tmp_path / "a.h5", lambda file: file.create_dataset("x", data=[1]))

    def failure(self, path):
        with pytest.raises(OSError, match="HDF5") as caught, open_hdf5(path, "test files"):
            pass
        return str(caught.value)

    def test_one_that_does_not_end_is_ended(self, path, monkeypatch):
        def for_ever(*given):
            given[-1]()
            while True:
                pass

        monkeypatch.setattr(hdf5, "_survey", for_ever)
        started = time.perf_counter()
        assert self.failure(path) == "HDF5 does not come to an end with it"
        assert time.perf_counter() - started < 30
        with pytest.raises(ChildProcessError):
            os.waitpid(-1, os.WNOHANG)

    def test_one_that_waits_is_ended(self, path, monkeypatch):
        monkeypatch.setattr(hdf5, "_survey", lambda *_: time.sleep(60))
        monkeypatch.setattr(hdf5, "_WAIT_S", 0.2)
        assert self.failure(path) == "HDF5 does not come to an end with it"

    @pytest.mark.parametrize("number", [signal.SIGSEGV, signal.SIGABRT])
    def test_one_that_breaks_leaves_us_alive(self, path, monkeypatch, capfd, number):
        monkeypatch.setattr(hdf5, "_survey", lambda *_: os.kill(os.getpid(), number))
        assert self.failure(path) == "HDF5 breaks on it"
        assert capfd.readouterr() == ("", "")

    def test_one_that_asks_for_too_much_is_refused(self, path, monkeypatch):
        monkeypatch.setattr(hdf5, "_survey", lambda *_: bytearray(2**32))
        assert refusal(path) == "it claims more memory than it may take"

    def test_without_a_process_the_survey_runs_here(self, path, monkeypatch):
        def no_room():
            raise OSError("no more processes")

        monkeypatch.setattr(os, "fork", no_room)
        assert keys(path) == ["x"]
        path = made(path, lambda file: file.__setitem__("soft", h5py.SoftLink("/x")))
        assert "'soft' is a link" in refusal(path)


def test_a_damaged_heap_of_texts_that_hdf5_searches_for_ever_is_an_error(tmp_path):
    """One byte: the size of an object in the heap of texts."""
    path = made(
        tmp_path / "a.h5", lambda file: file.create_dataset("t", data=["one", "two"], dtype=h5py.string_dtype())
    )
    content = bytearray(path.read_bytes())
    heap = content.index(b"GCOL")
    content[heap + 16 + 8 : heap + 16 + 16] = bytes(8)  # the size of the first object
    content[heap + 16 : heap + 18] = b"\x09\x00"
    path.write_bytes(content)
    with pytest.raises(OSError), open_hdf5(path, "test files") as file:  # noqa: PT011
        file["t"][()]

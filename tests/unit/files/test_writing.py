"""Files are whole, old or absent, whatever happens while they are written."""

from __future__ import annotations

import os
import signal
import subprocess
import sys

import pytest

from neurodeploy.errors import FileError
from neurodeploy.files.writing import LOCK_FILE, check_new_file, locked, locked_folder, replacing, write_text

HOLD = """
import sys, time
from pathlib import Path
from neurodeploy.files.writing import locked
with locked(Path(sys.argv[1]), "test"):
    print("held", flush=True)
    time.sleep(60)
"""


def test_text_replaces_an_older_file_and_leaves_nothing_beside_it(tmp_path):
    write_text("old", tmp_path / "a.txt")
    write_text("new", tmp_path / "a.txt")
    assert [(p.name, p.read_text(encoding="utf-8")) for p in tmp_path.iterdir()] == [("a.txt", "new")]


def test_a_failure_while_writing_keeps_the_old_file_alone(tmp_path):
    write_text("old", tmp_path / "a.txt")

    def fail():
        with replacing(tmp_path / "a.txt") as partial:
            partial.write_text("half", encoding="utf-8")
            raise RuntimeError("stop")

    with pytest.raises(RuntimeError, match="stop"):
        fail()
    assert [(p.name, p.read_text(encoding="utf-8")) for p in tmp_path.iterdir()] == [("a.txt", "old")]


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="this system has no named pipes")
@pytest.mark.parametrize("linked", [False, True])
def test_a_pipe_or_device_is_never_replaced_even_by_force(tmp_path, linked):
    pipe = tmp_path / "pipe"
    os.mkfifo(pipe)
    path = tmp_path / "link" if linked else pipe
    if linked:
        path.symlink_to(pipe)
    with pytest.raises(FileError, match=r"is a device or a pipe, which a file would replace"):
        write_text("new", path)
    with pytest.raises(FileError, match=r"^export: .*is a device or a pipe"):
        check_new_file("export", path, force=True)
    assert pipe.is_fifo()
    assert path.is_symlink() == linked
    assert sorted(tmp_path.iterdir()) == sorted({pipe, path})


def test_a_lock_holds_the_process_id_and_is_removed_however_its_block_ends(tmp_path):
    path = tmp_path / "row.lock"
    with locked(path, "test"):
        assert path.read_text(encoding="utf-8") == str(os.getpid())
    assert not path.exists()
    with pytest.raises(RuntimeError, match="stop"), locked(path, "test"):
        raise RuntimeError("stop")
    assert not path.exists()


def test_a_lock_of_a_living_process_is_refused_and_that_of_a_killed_one_taken_over(tmp_path):
    path = tmp_path / "row.lock"
    with subprocess.Popen([sys.executable, "-c", HOLD, str(path)], stdout=subprocess.PIPE, text=True) as holder:
        try:
            assert holder.stdout.readline() == "held\n"
            refused = rf"test is being made by process {holder.pid} \(.*row.lock\); wait for it, then start again"
            with pytest.raises(FileError, match=refused), locked(path, "test"):
                pass
            assert path.read_text(encoding="utf-8") == str(holder.pid)
        finally:
            holder.send_signal(signal.SIGKILL)
    assert path.read_text(encoding="utf-8") == str(holder.pid)
    with locked(path, "test"):
        assert path.read_text(encoding="utf-8") == str(os.getpid())


def test_a_lock_whose_file_its_holder_removed_in_the_same_moment_is_refused(tmp_path, monkeypatch):
    """Between our opening and our locking: else a third process would lock a file of the same name beside us."""
    import fcntl

    path, flock = tmp_path / "row.lock", fcntl.flock

    def late(file, how):
        path.unlink()
        path.write_text("7", encoding="utf-8")
        flock(file, how)

    monkeypatch.setattr(fcntl, "flock", late)
    with pytest.raises(FileError, match="test is being made"), locked(path, "test"):
        pass
    assert path.read_text(encoding="utf-8") == "7"


def test_what_a_killed_process_left_is_removed_and_what_a_living_one_writes_stays(tmp_path):
    gone = subprocess.Popen([sys.executable, "-c", ""])
    gone.wait()
    for name in (f"a.txt.{gone.pid}.part", f"a.txt.{os.getppid()}.part", "a.txt.part", f"b.txt.{gone.pid}.part"):
        (tmp_path / name).write_text("half", encoding="utf-8")
    write_text("new", tmp_path / "a.txt")
    left = sorted(p.name for p in tmp_path.iterdir())
    assert left == sorted(["a.txt", f"a.txt.{os.getppid()}.part", "a.txt.part", f"b.txt.{gone.pid}.part"])


def test_an_unfinished_file_carries_the_process(tmp_path):
    with replacing(tmp_path / "a.txt") as partial:
        assert partial.name == f"a.txt.{os.getpid()}.part"
        partial.write_text("new", encoding="utf-8")


class TestFolders:
    def test_a_folder_is_made_held_and_left_without_a_trace_of_the_lock(self, tmp_path):
        folder = tmp_path / "a" / "run"
        with locked_folder(folder, "train: run"):
            assert (folder / LOCK_FILE).read_text(encoding="utf-8") == str(os.getpid())
            (folder / "result").touch()
        assert [p.name for p in folder.iterdir()] == ["result"]

    def test_a_folder_in_which_nothing_was_written_is_removed_again(self, tmp_path):
        with locked_folder(tmp_path / "run", "train: run"):
            pass
        assert not list(tmp_path.iterdir())

    def test_its_own_process_may_enter_again_and_holds_it_until_it_leaves(self, tmp_path):
        with locked_folder(tmp_path / "run", "demo: run"):
            with locked_folder(tmp_path / "run" / ".." / "run", "train: run"):
                pass
            assert (tmp_path / "run" / LOCK_FILE).exists()

    def test_another_process_is_named_and_taken_over_from_when_it_was_killed(self, tmp_path):
        tmp_path.joinpath("run").mkdir()
        path = tmp_path / "run" / LOCK_FILE
        with subprocess.Popen([sys.executable, "-c", HOLD, str(path)], stdout=subprocess.PIPE, text=True) as holder:
            try:
                assert holder.stdout.readline() == "held\n"
                with (
                    pytest.raises(FileError, match=f"train: run is being made by process {holder.pid}"),
                    locked_folder(tmp_path / "run", "train: run"),
                ):
                    pass
            finally:
                holder.send_signal(signal.SIGKILL)
        with locked_folder(tmp_path / "run", "train: run"):
            assert path.read_text(encoding="utf-8") == str(os.getpid())

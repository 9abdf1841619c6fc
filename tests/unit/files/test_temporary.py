"""Folders that live as long as a computation: gone at its end, also where that is a kill."""

from __future__ import annotations

import os
import signal
import subprocess
import sys

import pytest

from neurodeploy.errors import FileError
from neurodeploy.files.temporary import remove_left, temporary_folder

if sys.platform == "win32":
    pytest.skip("has no locks on folders", allow_module_level=True)

HOLD = """
import time
from neurodeploy.files.temporary import temporary_folder
with temporary_folder("test") as folder:
    (folder / "inner").mkdir()
    print(folder, flush=True)
    time.sleep(60)
"""


@pytest.fixture
def here(tmp_path, monkeypatch):
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    return tmp_path


def names(folder):
    return sorted(path.name for path in folder.iterdir())


def ended_process() -> int:
    done = subprocess.Popen([sys.executable, "-c", ""])
    done.wait()
    return done.pid


def test_a_folder_is_there_and_then_gone(here):
    with temporary_folder("test") as folder:
        (folder / "file").write_text("x", encoding="utf-8")
        assert names(here) == [folder.name]
        assert folder.name.startswith(f"neurodeploy-test-{os.getpid()}-")
    assert names(here) == []


def test_without_a_place_the_error_says_what_to_do(monkeypatch):
    def nowhere():
        raise FileNotFoundError(2, "No usable temporary directory found in ['/tmp']")

    monkeypatch.setattr("tempfile.gettempdir", nowhere)
    message = "no folder for temporary files can be written into; name one with TMPDIR"
    with pytest.raises(FileError, match=message), temporary_folder("test"):
        pass


def test_what_a_killed_process_left_is_removed_by_the_next_and_what_a_living_one_has_stays(here):
    holders = [
        subprocess.Popen(
            [sys.executable, "-c", HOLD], stdout=subprocess.PIPE, text=True, env={**os.environ, "TMPDIR": str(here)}
        )
        for _ in range(2)
    ]
    try:
        first, second = (holder.stdout.readline().strip() for holder in holders)
        holders[0].send_signal(signal.SIGKILL)
        holders[0].wait()
        assert os.path.exists(first)
        with temporary_folder("test"):
            assert not os.path.exists(first)
            assert os.path.exists(second)
    finally:
        for holder in holders:
            holder.kill()
            holder.communicate()


def test_a_folder_whose_lock_is_held_stays_though_its_process_is_not_seen_here(here):
    """As one of a process in another container, which shares the folder for temporary files."""
    import fcntl

    left = here / f"neurodeploy-test-{ended_process()}-x"
    left.mkdir()
    handle = os.open(left, os.O_RDONLY)
    fcntl.flock(handle, fcntl.LOCK_EX)
    remove_left(here)
    assert names(here) == [left.name]
    os.close(handle)
    remove_left(here)
    assert names(here) == []


def test_nothing_else_is_removed(here):
    number = ended_process()
    (here / "outside").mkdir()
    (here / f"neurodeploy-test-{number}-link").symlink_to(here / "outside")
    (here / f"neurodeploy-test-{number}-file").touch()
    (here / "neurodeploy-test-0x-y").mkdir()
    (here / f"neurodeploy-test-{os.getpid()}-own").mkdir()
    before = names(here)
    remove_left(here)
    assert names(here) == before

"""What the tests of the engines share: a check that a run of Lava leaves nothing behind."""

from __future__ import annotations

import os

import pytest
from watching import processes_with

from neurodeploy.engines.lava import supervise


@pytest.fixture
def leaves_nothing(tmp_path, monkeypatch):
    """Check after the test that no process, shared memory or folder of its workers is left."""
    folder = tmp_path / "temporary"
    folder.mkdir()
    prefix = f"ndtest{os.getpid()}_"
    monkeypatch.setattr("tempfile.tempdir", str(folder))
    monkeypatch.setattr(supervise, "_new_prefix", lambda: prefix)
    yield
    assert processes_with(str(folder)) == []
    assert [name for name in os.listdir("/dev/shm") if name.startswith(prefix)] == []
    assert list(folder.iterdir()) == []

"""Plain files: what is no file, or larger than the machine, is refused before it is read."""

from __future__ import annotations

import pytest

from neurodeploy.files.plain import read_whole


def test_a_file_larger_than_the_memory_of_the_machine_is_not_read(tmp_path, monkeypatch):
    path = tmp_path / "a.raw"
    path.write_bytes(b"12345")
    monkeypatch.setattr("neurodeploy.files.plain.machine_bytes", lambda: 5)
    assert read_whole(path) == b"12345"
    monkeypatch.setattr("neurodeploy.files.plain.machine_bytes", lambda: 4)
    with pytest.raises(OSError, match="it has 5 bytes, this machine 4 of memory"):
        read_whole(path)

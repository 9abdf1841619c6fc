"""Files are whole, old or absent, whatever happens while they are written."""

from __future__ import annotations

import pytest

from neurodeploy.files import replacing, write_text


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

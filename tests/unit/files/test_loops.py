"""The cache of compiled loops: used where it works, and never in the way."""

from __future__ import annotations

import importlib.util
import sys

import numba
import pytest

LOOP = """
from neurodeploy.files.loops import compiled

@compiled(nogil=True)
def twice(n):
    return 2 * n
"""


@pytest.fixture
def load(tmp_path, monkeypatch):
    (tmp_path / "loop.py").write_text(LOOP, encoding="utf-8")
    monkeypatch.setattr(numba.config, "CACHE_DIR", str(tmp_path / "cache"))

    def fresh():
        spec = importlib.util.spec_from_file_location("loop_of_test", tmp_path / "loop.py")
        module = importlib.util.module_from_spec(spec)
        sys.modules["loop_of_test"] = module
        spec.loader.exec_module(module)
        return module.twice

    yield fresh
    sys.modules.pop("loop_of_test", None)


def kept(tmp_path):
    return sorted(path for path in (tmp_path / "cache").rglob("*") if path.suffix in (".nbi", ".nbc"))


def test_a_loop_is_kept_and_found_again(load, tmp_path):
    assert load()(4) == 8
    assert [path.suffix for path in kept(tmp_path)] == [".nbc", ".nbi"]
    again = load()
    assert again(5) == 10
    assert sum(again.stats.cache_hits.values()) == 1


@pytest.mark.parametrize("suffix", [".nbi", ".nbc"])
@pytest.mark.parametrize("damage", [b"", b"\x80\x04damaged", b"\x80\x04N."])
def test_a_damaged_cache_is_as_good_as_none_and_is_replaced(load, tmp_path, suffix, damage):
    load()(4)
    for path in kept(tmp_path):
        if path.suffix == suffix:
            path.write_bytes(damage)
    assert load()(6) == 12
    again = load()
    assert again(5) == 10
    assert sum(again.stats.cache_hits.values()) == 1


def test_a_cache_that_cannot_be_written_is_left_out(load, tmp_path, monkeypatch):
    (tmp_path / "a file").touch()
    monkeypatch.setattr(numba.config, "CACHE_DIR", str(tmp_path / "a file" / "cache"))
    assert load()(4) == 8

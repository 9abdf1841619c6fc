"""The cache of compiled loops: used where it works, and never in the way."""

from __future__ import annotations

import importlib.util
import os
import subprocess
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


CALLED = """
from neurodeploy.files.loops import compiled

@compiled(nogil=True)
def factor(n):
    return 3 * n
"""

CALLS = """
from called_of_test import factor
from constant_of_test import OFFSET
from neurodeploy.files.loops import compiled

@compiled(nogil=True)
def moved(n):
    return factor(n) + OFFSET
"""


def test_a_loop_is_compiled_again_where_a_loop_that_it_calls_or_a_constant_of_another_file_changes(tmp_path):
    """Each time in a process of its own: that is where a stale loop would come back."""

    def told() -> str:
        run = "from calls_of_test import moved; print(moved(10), sum(moved.stats.cache_hits.values()))"
        environment = {
            **os.environ,
            "NUMBA_CACHE_DIR": str(tmp_path / "cache"),
            "PYTHONPATH": os.pathsep.join([str(tmp_path), *sys.path]),
        }
        return subprocess.run(
            [sys.executable, "-c", run], env=environment, capture_output=True, text=True, check=True
        ).stdout

    def write(name: str, text: str) -> None:
        (tmp_path / f"{name}_of_test.py").write_text(text, encoding="utf-8")

    write("called", CALLED)
    write("calls", CALLS)
    write("constant", "OFFSET = 1")
    assert told() == "31 0\n"
    assert told() == "31 1\n"
    write("called", CALLED.replace("3 *", "40 *"))
    assert told() == "401 0\n"
    write("constant", "OFFSET = 2")
    assert told() == "402 0\n"
    assert told() == "402 1\n"

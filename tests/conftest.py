"""What all tests share: marks that skip where torch or Lava is missing, and the folder of outside reference data."""

from __future__ import annotations

import importlib.util
import os
import subprocess
import sys
from pathlib import Path

import pytest

if "PYTEST_XDIST_WORKER" in os.environ:
    os.environ.setdefault("OMP_NUM_THREADS", "1")  # before numpy and torch: each worker has one core, not all

from building import ROOT


def _has_train() -> bool:
    return all(importlib.util.find_spec(name) for name in ("torch", "sklearn", "safetensors"))


def _has_slayer() -> bool:
    try:
        return _has_train() and importlib.util.find_spec("lava.lib.dl") is not None
    except ModuleNotFoundError:
        return False


def _has_lava() -> bool:
    """Whether the Lava backend finds a Python with lava-nc, in its own words."""
    try:
        from neurodeploy.engines.lava import find_lava_python
        from neurodeploy.errors import LavaError

        find_lava_python()
    except LavaError:
        return False
    return True


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Skip tests marked ``train``, ``slayer`` or ``lava`` where what they need is not installed."""
    wanted = {mark for item in items for mark in ("train", "slayer", "lava") if item.get_closest_marker(mark)}
    missing = {
        "train": "needs torch, safetensors and scikit-learn (extra train)"
        if "train" in wanted and not _has_train()
        else "",
        "slayer": "needs torch and lava-dl (extra slayer, Python 3.10)"
        if "slayer" in wanted and not _has_slayer()
        else "",
        "lava": "needs a Python with lava-nc (extra lava, or NEURODEPLOY_LAVA_PYTHON)"
        if "lava" in wanted and not _has_lava()
        else "",
    }
    for item in items:
        for mark, reason in missing.items():
            if reason and item.get_closest_marker(mark):
                item.add_marker(pytest.mark.skip(reason=reason))


@pytest.fixture(scope="session")
def shared() -> Path:
    """The folder ``shared`` beside the project, with outside data and cases; skips where it is absent."""
    folder = ROOT.parent / "shared"
    if not folder.is_dir():
        pytest.skip("the folder shared/ with outside data is not beside the project")
    return folder


_PROGRAM = """
import sys
from neurodeploy.cli import main, working
sys.argv[0] = "neurodeploy"
working.SOON_S = 3600.0
main()
"""
"""The program without words of what it is at, which come or not by the speed of the machine."""


@pytest.fixture
def run_cli():
    """Run the command line in a process of its own, as a user does; returns the finished process."""

    def run(*args: str | Path, cwd: Path | None = None, env: dict[str, str] | None = None, timeout: float = 300.0):
        return subprocess.run(
            [sys.executable, "-c", _PROGRAM, *map(str, args)],
            capture_output=True,
            text=True,
            cwd=cwd,
            env=env,
            timeout=timeout,
            check=False,
        )

    return run

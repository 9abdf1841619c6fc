"""Pythons that have a package which this one may lack, for peers that run in a process of their own."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterable

from neurodeploy.engines.workers import has_module


def python_with(module: str, others: Iterable[str]) -> str | None:
    """Return a Python that has ``module``: this one, or the first of ``others``; None if no one has it."""
    if has_module(module):
        return sys.executable
    code = f"from importlib.util import find_spec; assert find_spec({module!r})"
    for python in others:
        try:
            done = subprocess.run([python, "-c", code], capture_output=True, timeout=60, check=False)
        except (OSError, subprocess.TimeoutExpired):
            continue
        if done.returncode == 0:
            return python
    return None

"""Parameters of tests that run on emulated cores: skipped with the line to type where the tools are missing."""

from __future__ import annotations

import pytest

from neurodeploy.targets.c.cores import CORES, missing_tools, needed_tools

USUAL = "cortex-m4"
"""The core that the tests use which are not slow."""


def with_tools(name: str, *more: pytest.MarkDecorator) -> object:
    """Return a core as a parameter that is skipped where its compiler or emulator is missing."""
    lacking = pytest.mark.skipif(bool(missing_tools(name)), reason=f"tools not found; {needed_tools(name)}")
    return pytest.param(name, marks=[lacking, *more])


def core(name: str) -> object:
    """Return a core as a parameter; all but the usual one are slow."""
    return with_tools(name, *([] if name == USUAL else [pytest.mark.slow]))


every_core = pytest.mark.parametrize("name", [core(name) for name in CORES])
m4 = pytest.mark.parametrize("name", [core(USUAL)])

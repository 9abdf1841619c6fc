"""Random damage to files of every kind: each is read, or refused in a message of ours, within time and memory."""

from __future__ import annotations

import sys

import pytest
from fuzz.loaders import LOADERS, NEEDS_TRAIN
from fuzz.run import BATCH, fuzz, run_apart

if sys.platform == "win32":
    pytest.skip("has no limits for a process", allow_module_level=True)

NAMES = [pytest.param(name, marks=pytest.mark.train if name in NEEDS_TRAIN else ()) for name in LOADERS]


@pytest.mark.parametrize("name", NAMES)
def test_damaged_files_are_read_or_refused_and_nothing_else(name):
    found = fuzz(name, 300)
    assert not found.wrong
    assert found.refused > 30


@pytest.mark.slow
@pytest.mark.parametrize("name", NAMES)
def test_ten_thousand_damaged_files(name):
    for first in range(0, 10_000, BATCH):
        assert not run_apart(name, BATCH, 1, first, None).wrong

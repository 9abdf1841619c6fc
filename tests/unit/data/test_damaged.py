"""Random damage to files of every kind: each is read, or refused in a message of ours."""

from __future__ import annotations

from collections import Counter

import pytest
from damaged_files import outcomes, read, whole_files


def test_every_whole_file_is_read(tmp_path):
    for path in whole_files(tmp_path):
        read(path, tmp_path)


@pytest.mark.parametrize(("n", "seed"), [(400, 0), pytest.param(5000, 1, marks=pytest.mark.slow)])
def test_damaged_files_are_read_or_refused_and_nothing_else(tmp_path, n, seed):
    found = dict(outcomes(tmp_path, n, seed))
    wrong = {name: outcome for name, outcome in found.items() if outcome not in ("read", "refused")}
    assert not wrong
    assert Counter(found.values())["refused"] > n // 2
    assert not list(tmp_path.rglob("*.part"))

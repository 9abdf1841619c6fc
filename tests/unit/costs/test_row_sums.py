"""Sums over chosen rows of a table, by the compiled loop and by numpy."""

from __future__ import annotations

from itertools import chain

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from neurodeploy.costs import row_sums


@pytest.mark.parametrize("least", [0, 2**40], ids=["compiled", "numpy"])
@settings(max_examples=50, deadline=None)
@given(
    groups=st.lists(st.lists(st.integers(0, 4), max_size=6), min_size=1, max_size=6),
    columns=st.integers(1, 4),
    seed=st.integers(0, 99),
)
def test_each_group_sums_its_rows_as_often_as_they_come(groups, columns, seed, least):
    table = np.random.default_rng(seed).integers(-(2**60), 2**60, (5, columns))  # beyond what floats hold
    start = np.concatenate(([0], np.cumsum([len(group) for group in groups]))).astype(np.int64)
    rows = np.array(list(chain(*groups)), np.int32)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(row_sums, "_WORTH_COMPILING", least)
        patch.setattr(row_sums, "_AT_ONCE", 4)
        found = row_sums.sums_of_rows(start, rows, table)
    expected = [[sum(int(table[row, c]) for row in group) for c in range(columns)] for group in groups]
    assert (found.astype(object) == (np.array(expected, object) + 2**63) % 2**64 - 2**63).all()


def test_a_group_is_summed_whole_however_few_rows_are_copied_at_a_time(monkeypatch):
    monkeypatch.setattr(row_sums, "_AT_ONCE", 1)
    found = row_sums.sums_of_rows(np.array([0, 5, 5, 6]), np.zeros(6, np.int32), np.array([[True, False]]))
    assert found.tolist() == [[5, 0], [0, 0], [1, 0]]

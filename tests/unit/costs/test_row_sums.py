"""Sums over chosen rows of a table."""

from __future__ import annotations

from itertools import chain

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from neurodeploy.costs.row_sums import sums_of_rows


@settings(max_examples=50, deadline=None)
@given(
    groups=st.lists(st.lists(st.integers(0, 4), max_size=6), min_size=1, max_size=6),
    columns=st.integers(1, 4),
    seed=st.integers(0, 99),
)
def test_each_group_sums_its_rows_as_often_as_they_come(groups, columns, seed):
    table = np.random.default_rng(seed).integers(-(2**60), 2**60, (5, columns))  # beyond what floats hold
    start = np.concatenate(([0], np.cumsum([len(group) for group in groups]))).astype(np.int64)
    found = sums_of_rows(start, np.array(list(chain(*groups)), np.int32), table)
    expected = [[sum(int(table[row, c]) for row in group) for c in range(columns)] for group in groups]
    assert (found.astype(object) == (np.array(expected, object) + 2**63) % 2**64 - 2**63).all()

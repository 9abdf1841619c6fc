"""Sparse float matrices: their products are sums in a stated order, bit for bit."""

from __future__ import annotations

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from neurodeploy.exchange.nir.sparse_matrix import of_dense, of_entries, sums_of_rows

SIDES = st.tuples(*[st.integers(1, 6)] * 3)
VALUES = st.sampled_from([0.0, 0.0, 0.1, -0.3, 1 / 3, 1e16, -1e16, 7.0])


@st.composite
def pairs(draw):
    n, inner, width = draw(SIDES)
    return draw(arrays(np.float64, (n, inner), elements=VALUES)), draw(
        arrays(np.float64, (inner, width), elements=VALUES)
    )


def added_in_order(left: np.ndarray, right: np.ndarray) -> np.ndarray:
    """The product by its definition, column of ``left`` by column."""
    total = np.zeros((len(left), right.shape[1]))
    for j in range(left.shape[1]):
        total = total + left[:, j, None] * right[j]
    return total


@settings(max_examples=100, deadline=None)
@given(pairs())
def test_both_products_add_in_the_order_of_the_left_columns(pair):
    left, right = pair
    expected = added_in_order(left, right)
    assert np.array_equal(of_dense(left).times(of_dense(right)).dense(), expected)
    assert np.array_equal(sums_of_rows(left, right), expected)


@settings(max_examples=50, deadline=None)
@given(pairs(), st.integers(0, 99))
def test_the_order_of_entries_plays_no_part(pair, seed):
    left, right = pair
    row, column = np.nonzero(left)
    mixed = np.random.default_rng(seed).permutation(row.size)
    again = of_entries(row[mixed], column[mixed], left[row, column][mixed], left.shape)
    assert np.array_equal(again.dense(), left)
    assert np.array_equal(again.times(of_dense(right)).dense(), added_in_order(left, right))


def test_a_product_of_products_keeps_their_grouping():
    one, two, three = (np.random.default_rng(i).normal(size=(5, 5)) for i in range(3))
    found = of_dense(one).times(of_dense(two).times(of_dense(three))).dense()
    assert np.array_equal(found, added_in_order(one, added_in_order(two, three)))

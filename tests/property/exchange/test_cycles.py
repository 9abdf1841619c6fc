"""Which connections close a cycle: laws over random graphs."""

from __future__ import annotations

import numpy as np
from hypothesis import given
from hypothesis import strategies as st
from scipy.sparse import coo_array
from scipy.sparse.csgraph import connected_components

from neurodeploy.exchange.nir.lowering import _components, recurrent_pairs

NAMES = st.integers(0, 9).map("n{}".format)
PAIRS = st.lists(st.tuples(NAMES, NAMES), max_size=30)


@given(PAIRS)
def test_nodes_share_a_component_exactly_where_each_reaches_the_other(pairs):
    """Held against scipy's components, another algorithm by others."""
    found = _components(pairs)
    names = sorted(found)
    at = [[names.index(pair[end]) for pair in pairs] for end in (0, 1)]
    graph = coo_array((np.ones(len(pairs)), at), shape=(len(names), len(names))) if pairs else np.zeros((0, 0))
    labels = connected_components(graph, directed=True, connection="strong")[1] if pairs else []
    assert set(names) == {name for pair in pairs for name in pair}
    for one, label in zip(names, labels):
        assert [found[one] == found[other] for other in names] == [label == own for own in labels]


def test_a_long_chain_with_a_way_back_is_one_component_and_needs_no_deep_stack():
    chain = [(f"n{i}", f"n{i + 1}") for i in range(50_000)]
    assert len(set(_components([*chain, ("n50000", "n0")]).values())) == 1
    assert recurrent_pairs(chain, {}) == frozenset()

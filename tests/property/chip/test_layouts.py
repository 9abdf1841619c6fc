"""The layout rules of Loihi 1 against a plain reading of NxTF's rules, one list and one entry at a time."""

from collections.abc import Iterator

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from neurodeploy.chip import load_chip
from neurodeploy.chip.layouts import Lists, nxtf_words
from neurodeploy.chip.rules import list_rule, words

WIDTHS = st.integers(1, 15)
INDICES = st.lists(
    st.one_of(st.integers(0, 1023), st.integers(0, 80), st.integers(60, 130)), min_size=1, max_size=160, unique=True
).map(sorted)
"""Local indices of one list: spread over a core, or close together around the limits of an entry."""


def entries(indices: list[int], longest_gap: int) -> Iterator[list[int]]:
    """Give runs of at most 60 indices without a larger step than ``longest_gap``."""
    run: list[int] = []
    for index in indices:
        if run and (len(run) == 60 or index - run[-1] > longest_gap):
            yield run
            run = []
        run.append(index)
    yield run


def index_bits(index: int) -> int:
    return max(6, index.bit_length())


def sparse(indices: list[int], width: int) -> int:
    return sum(10 + len(run) * (width + index_bits(run[-1])) for run in entries(indices, 1024))


def runlength(indices: list[int], width: int) -> int:
    total = 0
    for run in entries(indices, 31):
        steps = [b - a for a, b in zip(run, run[1:])]
        total += 10 + index_bits(run[0]) + len(run) * (width + max([2, *(step.bit_length() for step in steps)]))
    return total


def dense(indices: list[int], width: int) -> int:
    broken = sum(10 + index_bits(run[0]) + len(run) * width for run in entries(indices, 1))
    filled, left = 0, indices
    while left:
        inside = [index for index in left if index < left[0] + 60]
        filled += 10 + index_bits(left[0]) + (inside[-1] - left[0] + 1) * width
        left = left[len(inside) :]
    return min(broken, filled)


RULES = {"sparse": sparse, "runlength": runlength, "dense": dense}


@settings(deadline=None, max_examples=200)
@given(st.lists(INDICES, min_size=1, max_size=4), WIDTHS)
def test_every_list_takes_the_bits_of_the_plain_reading(lists: list[list[int]], width: int) -> None:
    chip = load_chip("loihi1")
    given_lists = Lists(
        np.repeat(np.arange(len(lists)), [len(one) for one in lists]),
        np.concatenate(lists).astype(np.int64),
        len(lists),
    )
    for name, rule in RULES.items():
        fmt = chip.format(name)
        layout = list_rule(fmt)(given_lists, width, fmt)
        assert layout.bits.tolist() == [rule(one, width) for one in lists], name


@given(st.integers(1, 10_000))
def test_an_axon_takes_a_word_more_where_fewer_than_six_bits_are_left(bits: int) -> None:
    """``ceil(B / 64)``, and one more where ``B mod 64`` is 0 or at least 59."""
    expected = -(-bits // 64) + (bits % 64 == 0 or bits % 64 >= 59)
    assert nxtf_words(np.array([bits]), 64).tolist() == [expected]


@given(st.integers(1, 4096), st.integers(1, 8))
def test_loihi_2_takes_index_and_weight_for_each_synapse_and_a_header(n: int, width: int) -> None:
    fmt = load_chip("loihi2").format("fc")
    layout = list_rule(fmt)(Lists(np.zeros(n, np.int64), np.arange(n), 1), width, fmt)
    assert words(fmt, layout.bits, 64).tolist() == [-(-(n * (width + 12) + 8) // 64)]

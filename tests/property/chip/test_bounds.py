"""The words that a budget charges for a list: never fewer than any layout of so many synapses takes, exact on Loihi 2."""

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from neurodeploy.chip import load_chip
from neurodeploy.chip.layouts import Lists
from neurodeploy.chip.rules import RULES, UNUSABLE, list_rule, most_words, words

FORMATS = [
    (chip.name, fmt, chip.cores.word_bits.value if chip.cores.word_bits else 8)
    for chip in (load_chip(name) for name in ("loihi1", "loihi2", "spinnaker2", "truenorth"))
    for fmt in chip.synapse_format
    if fmt.connection == "list" and RULES[fmt.rule].at_most
]


@st.composite
def core_lists(draw: st.DrawFn) -> tuple[int, list[int]]:
    """A core of up to 300 neurons, and the local indices of one list on it: anywhere, in a row, or far apart."""
    n = draw(st.integers(1, 300))
    kind = draw(st.sampled_from(["any", "run", "comb"]))
    if kind == "any":
        return n, sorted(draw(st.sets(st.integers(0, n - 1), min_size=1, max_size=n)))
    start = draw(st.integers(0, n - 1))
    step = 1 if kind == "run" else draw(st.integers(1, 70))
    return n, list(range(start, n, step))


@settings(deadline=None, max_examples=300)
@given(core_lists(), st.sampled_from(FORMATS), st.integers(1, 14))
def test_no_list_takes_more_words_than_its_length_is_charged(found, given_format, width):
    n, local = found
    name, fmt, word_bits = given_format
    lists = Lists(np.zeros(len(local), np.int64), np.array(local, np.int64), 1)
    taken = int(words(fmt, list_rule(fmt)(lists, width, fmt).bits, word_bits)[0])
    charged = int(most_words(n, width, fmt, word_bits)[len(local)])
    assert taken <= charged
    if name in ("loihi2", "spinnaker2", "truenorth"):
        assert taken == charged


@settings(deadline=None, max_examples=60)
@given(st.integers(1, 1024), st.sampled_from(FORMATS), st.integers(1, 14))
def test_a_longer_list_never_costs_less_and_an_empty_one_nothing(n, given_format, width):
    _, fmt, word_bits = given_format
    table = most_words(n, width, fmt, word_bits)
    assert table.shape == (n + 1,)
    assert table[0] == 0
    assert (np.diff(table) >= 0).all()


def test_loihi_2_by_hand():
    """8-bit weights: 20 bits a synapse and 8 a list; 2 synapses take 48 bits, 3 take 68."""
    fmt = next(f for f in load_chip("loihi2").synapse_format if f.rule == "lava-fc")
    assert most_words(18, 8, fmt, 64)[[0, 1, 2, 3, 6, 7, 18]].tolist() == [0, 1, 1, 2, 2, 3, 6]


def test_loihi_1_by_hand():
    """Sparse, 64 neurons: 10 + 14 n bits an axon, one word more where fewer than 6 bits stay free."""
    fmt = next(f for f in load_chip("loihi1").synapse_format if f.rule == "nxtf-sparse")
    # 52 bits; 66; 122 (2 words, 6 bits free); 136
    assert most_words(64, 8, fmt, 64)[[3, 4, 8, 9]].tolist() == [1, 2, 2, 3]


def test_a_list_longer_than_its_format_allows_is_unusable():
    fmt = next(f for f in load_chip("loihi1").synapse_format if f.rule == "nxtf-sparse")
    table = most_words(1024, 8, fmt, 64)
    assert table[-1] == UNUSABLE
    assert table[800] < UNUSABLE

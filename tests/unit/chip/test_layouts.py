"""Bits and words of the list layouts, by hand."""

import numpy as np
import pytest

from neurodeploy.chip import Chip, load_chip
from neurodeploy.chip.layouts import (
    Lists,
    bit_length,
    channel_runs,
    lava_conv_words,
    nxtf_dense_broken,
    nxtf_dense_filled,
    nxtf_words,
    power_of_two_runs,
)
from neurodeploy.chip.rules import list_rule, words


@pytest.fixture(scope="module")
def loihi1() -> Chip:
    return load_chip("loihi1")


@pytest.fixture(scope="module")
def loihi2() -> Chip:
    return load_chip("loihi2")


def one_list(*local: int) -> Lists:
    return Lists(np.zeros(len(local), np.int64), np.array(local, np.int64), 1)


def bits(chip: Chip, name: str, lists: Lists, width: int = 8) -> int:
    fmt = chip.format(name)
    return int(list_rule(fmt)(lists, width, fmt).bits.sum())


def test_sparse_entry_has_header_and_an_index_of_at_least_six_bits(loihi1: Chip) -> None:
    assert bits(loihi1, "sparse", one_list(0)) == 10 + (8 + 6)
    assert bits(loihi1, "sparse", one_list(3, 63)) == 10 + 2 * (8 + 6)


def test_sparse_index_is_as_wide_as_the_largest_of_its_entry(loihi1: Chip) -> None:
    assert bits(loihi1, "sparse", one_list(3, 64)) == 10 + 2 * (8 + 7)
    assert bits(loihi1, "sparse", one_list(1023)) == 10 + (8 + 10)


def test_sparse_opens_a_second_entry_with_its_own_index_width_after_60_synapses(loihi1: Chip) -> None:
    assert bits(loihi1, "sparse", one_list(*range(60))) == 10 + 60 * 14
    assert bits(loihi1, "sparse", one_list(*range(60), 200)) == (10 + 60 * 14) + (10 + 8 + 8)


def test_runlength_counts_steps_and_starts_with_the_first_index(loihi1: Chip) -> None:
    assert bits(loihi1, "runlength", one_list(5)) == 10 + 6 + (8 + 2)
    assert bits(loihi1, "runlength", one_list(0, 3)) == 10 + 6 + 2 * (8 + 2)
    assert bits(loihi1, "runlength", one_list(0, 4)) == 10 + 6 + 2 * (8 + 3)
    assert bits(loihi1, "runlength", one_list(0, 31)) == 10 + 6 + 2 * (8 + 5)


def test_runlength_opens_an_entry_where_a_step_does_not_fit_five_bits(loihi1: Chip) -> None:
    assert bits(loihi1, "runlength", one_list(0, 32)) == 2 * (10 + 6 + 8 + 2)
    assert bits(loihi1, "runlength", one_list(0, 100)) == (10 + 6 + 8 + 2) + (10 + 7 + 8 + 2)


def test_dense_takes_no_index_but_the_first(loihi1: Chip) -> None:
    assert bits(loihi1, "dense", one_list(*range(52))) == 10 + 6 + 52 * 8 == 432
    assert bits(loihi1, "dense", one_list(*range(61))) == (10 + 6 + 60 * 8) + (10 + 6 + 8)


def test_dense_fills_a_short_gap_and_breaks_at_a_long_one(loihi1: Chip) -> None:
    dense = loihi1.format("dense")
    short, long = one_list(0, 2), one_list(0, 4)
    assert nxtf_dense_filled(short, 8, dense).bits[0] == 16 + 3 * 8 == bits(loihi1, "dense", short)
    assert nxtf_dense_broken(long, 8, dense).bits[0] == 2 * (16 + 8) == bits(loihi1, "dense", long)
    assert list_rule(dense)(short, 8, dense).stored[0] == 3
    assert list_rule(dense)(long, 8, dense).stored[0] == 2


def test_filled_dense_does_not_fill_between_two_entries(loihi1: Chip) -> None:
    layout = nxtf_dense_filled(one_list(0, 59, 60, 500), 8, loihi1.format("dense"))
    assert layout.stored[0] == 60 + 1 + 1
    assert layout.bits[0] == (16 + 60 * 8) + (16 + 8) + (10 + 9 + 8)


@pytest.mark.parametrize(
    ("bits_of_axon", "expected"), [(0, 0), (1, 1), (58, 1), (59, 2), (63, 2), (64, 2), (65, 2), (122, 2), (123, 3)]
)
def test_an_axon_takes_one_word_more_when_fewer_than_six_bits_are_left(bits_of_axon: int, expected: int) -> None:
    assert nxtf_words(np.array([bits_of_axon]), 64)[0] == expected


def test_52_dense_synapses_of_8_bits_take_7_words(loihi1: Chip) -> None:
    assert words(loihi1.format("dense"), np.array([432]), 64)[0] == 7


@pytest.mark.parametrize(
    ("neurons", "width", "expected"),
    [(100, 3, 24), (17, 3, 5), (50, 4, 13), (10, 5, 3), (1, 6, 1), (100, 4, 26), (50, 6, 15), (18, 8, 6)],
)
def test_fully_connected_rows_of_the_loihi_2_compiler(loihi2: Chip, neurons: int, width: int, expected: int) -> None:
    """Words of one axon as the compiler printed them for PilotNet; the last row is the worked example."""
    fmt = loihi2.format("fc")
    layout = list_rule(fmt)(one_list(*range(neurons)), width, fmt)
    assert words(fmt, layout.bits, 64)[0] == expected


@pytest.mark.parametrize(
    ("channels", "width", "expected"), [(24, 5, 3), (36, 4, 4), (48, 4, 5), (64, 4, 5), (64, 5, 6)]
)
def test_convolution_rows_of_the_loihi_2_compiler(loihi2: Chip, channels: int, width: int, expected: int) -> None:
    """Words of one kernel tap and input channel as the compiler printed them for PilotNet."""
    assert lava_conv_words(channels, width, loihi2.format("conv"), 64) == expected


def test_channels_are_stored_in_power_of_two_runs() -> None:
    assert power_of_two_runs(48) == [32, 16]
    assert power_of_two_runs(36) == [32, 4]
    assert power_of_two_runs(1) == [1]
    assert power_of_two_runs(0) == []


def test_bit_length_is_that_of_python() -> None:
    values = [0, 1, 2, 3, 4, 31, 32, 1023, 1024, 2**40 - 1, 2**40]
    assert bit_length(np.array(values)).tolist() == [v.bit_length() for v in values]


def test_rules_of_several_lists_give_each_list_its_own_bits(loihi1: Chip) -> None:
    owner, local = np.array([0, 0, 2, 2, 2]), np.array([0, 40, 1, 2, 3])
    for name in ("sparse", "runlength", "dense"):
        fmt = loihi1.format(name)
        together = list_rule(fmt)(Lists(owner, local, 3), 8, fmt)
        assert together.bits.tolist() == [bits(loihi1, name, one_list(0, 40)), 0, bits(loihi1, name, one_list(1, 2, 3))]


def test_channels_are_counted_in_runs_as_printed_for_pilotnet() -> None:
    """24, 36 and 48 channels are two runs, 64 are one, and an image of three channels is one."""
    assert channel_runs(np.array([24, 36, 48, 64, 3, 0]), 4).tolist() == [2, 2, 2, 1, 1, 0]
    assert channel_runs(np.array([24, 36, 48, 64, 3]), 1).tolist() == [2, 2, 2, 1, 2]

"""Formats of rows of synapses: the bytes that can be counted by hand, and which format a rule chooses."""

from __future__ import annotations

import numpy as np
import pytest

from neurodeploy.tables.rows import _PACKERS, Rows, choose_format, common_shift, make_rows, weights_for


def rows(matrix) -> Rows:
    """Rows of a matrix ``(n_rows, n_columns)``."""
    given = np.asarray(matrix)
    row, column = np.nonzero(given)
    return make_rows(row, column, given[row, column], given.shape)


def random_rows(n_rows: int, n_columns: int, density: float) -> Rows:
    rng = np.random.default_rng(0)
    return rows(rng.integers(1, 100, (n_rows, n_columns)) * (rng.random((n_rows, n_columns)) < density))


def test_rows_are_sorted_and_without_zeros():
    made = make_rows(np.array([1, 0, 1, 1]), np.array([2, 1, 0, 1]), np.array([5, 6, 7, 0]), (2, 3))
    assert made.start.tolist() == [0, 1, 3]
    assert made.column.tolist() == [1, 0, 2]
    assert made.weight.tolist() == [6, 7, 5]
    assert made.matrix().tolist() == [[0, 6, 0], [7, 0, 5]]


FAR = np.zeros((2, 600), int)
FAR[0, [0, 255, 256, 599]] = (1, 2, 3, 4)
FAR[1, 520] = -128


class TestBytes:
    @pytest.mark.parametrize(
        ("name", "n_bytes", "entries"),
        [
            ("rows", 2 * 600, [600, 600]),
            ("lanes", 2 * 150 * 4, [600, 600]),
            ("idx8", 7 * 2 + 5 * 2, [4, 1]),  # 2 rows of 3 blocks, 5 synapses
            ("delta8", 3 * 2 + (5 + 2 + 1) * 2, [5, 3]),  # 343 = 255 + 88; 520 = 2 * 255 + 10
            ("idx16", 3 * 2 + 5 * 3, [4, 1]),
            ("bitmap", 2 * 19 * 4 + 3 * 2 + 5, [4, 1]),
        ],
    )
    def test_of_each_format(self, name, n_bytes, entries):
        packed = _PACKERS[name](rows(FAR))
        assert packed.n_bytes == n_bytes
        assert packed.entries.tolist() == entries

    def test_a_gap_of_255_needs_no_filler_and_one_of_256_does(self):
        for gap, n in ((255, 2), (256, 3), (510, 3), (511, 4)):
            matrix = np.zeros((1, 600), int)
            matrix[0, [0, gap]] = 1
            assert _PACKERS["delta8"](rows(matrix)).arrays["gap"].size == n, gap

    def test_pointers_take_32_bits_only_beyond_65535_entries(self):
        assert _PACKERS["idx16"](rows(np.ones((3, 21_845), int))).arrays["start"].dtype == np.uint16
        assert _PACKERS["idx16"](rows(np.ones((2, 32_768), int))).arrays["start"].dtype == np.uint32


def test_lanes_hold_weights_plus_128_with_columns_0_and_1_in_the_even_bytes():
    packed = _PACKERS["lanes"](rows([[1, 2, 3, 4, -128]]))
    assert [hex(word) for word in packed.arrays["word"].tolist()] == ["0x84828381", "0x80808000"]
    assert _PACKERS["lanes"](rows([[128, 1]])) is None


@pytest.mark.parametrize(
    ("values", "kind"),
    [([-128, 127], np.int8), ([0, 255], np.uint8), ([-1, 255], np.int16), ([-129], np.int16), ([], np.int8)],
)
def test_weights_take_the_smallest_type(values, kind):
    assert weights_for(np.array(values, np.int32)).dtype == kind


def test_common_shift_counts_the_zero_bits_that_all_weights_share():
    assert [common_shift(np.array(w)) for w in ([4, -12, 8], [1, 2], [], [0], [-256])] == [2, 0, 0, 0, 8]


class TestChoice:
    @pytest.mark.parametrize(
        ("optimize", "density", "n_columns", "chosen"),
        [
            ("balance", 1.0, 256, "lanes"),
            ("balance", 0.1, 256, "idx8"),
            ("balance", 0.1, 512, "delta8"),
            ("balance", 0.3, 512, "delta8"),
            ("flash", 0.3, 512, "bitmap"),
            ("flash", 0.02, 512, "delta8"),
            ("speed", 0.1, 2000, "idx16"),
            ("speed", 0.1, 256, "idx8"),
        ],
    )
    def test_of_a_rule(self, optimize, density, n_columns, chosen):
        assert choose_format(random_rows(256, n_columns, density), optimize, lanes=True).format == chosen

    def test_flash_is_never_larger_and_speed_never_slower_than_balance(self):
        for density in (0.01, 0.1, 0.4, 0.9):
            given = random_rows(100, 300, density)
            balance, flash = (choose_format(given, rule, lanes=True) for rule in ("balance", "flash"))
            assert flash.n_bytes <= balance.n_bytes

    def test_lanes_only_where_sums_may_be_kept_in_halves(self):
        assert choose_format(random_rows(64, 64, 1.0), "balance", lanes=False).format == "rows"

"""Vectors of compiled functions: lane by lane what numpy computes, on every instruction set."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numba import njit

from neurodeploy.engines.event.vector import restored, towards_zero
from neurodeploy.engines.lanes.vectors import (
    absolute,
    as_floats,
    as_ints,
    decayed,
    decayed_towards_zero,
    fma,
    high_half,
    joined,
    larger,
    load_16,
    load_32,
    low_half,
    mask_16,
    mask_32,
    round_even,
    select,
    spread_16,
    spread_32,
    store,
    to_float32,
    to_int32,
    turn_16,
    word,
)


@njit
def _floats(a, b, out):
    x, y = load_16(a, 0), load_16(b, 0)
    store(out, 0, x + y)
    store(out, 16, x - y)
    store(out, 32, x * y)
    store(out, 48, x / y)
    store(out, 64, larger(x, y))
    store(out, 80, absolute(x))
    store(out, 96, round_even(x))
    store(out, 112, fma(x, y, x))
    store(out, 128, select(x > y, x, y))
    store(out, 144, as_floats(as_ints(x)))


def test_operations_on_floats_are_those_of_numpy():
    rng = np.random.default_rng(0)
    a, b = (rng.normal(size=16).astype(np.float32) * 9 for _ in range(2))
    out = np.empty(160, np.float32)
    _floats(a, b, out)
    exact = (a.astype(np.float64) * b + a).astype(np.float32)
    wanted = [a + b, a - b, a * b, a / b, np.maximum(a, b), abs(a), np.rint(a), exact, np.maximum(a, b), a]
    for part, values in zip(out.reshape(-1, 16), wanted):
        assert np.array_equal(part, values)


@njit
def _ints(a, b, out, words):
    x, y = load_32(a, 0), load_32(b, 0)
    shift = spread_32(np.int32(3))
    store(out, 0, x & y)
    store(out, 32, x | y)
    store(out, 64, x ^ y)
    store(out, 96, x << shift)
    store(out, 128, x >> shift)
    store(out, 160, to_int32(to_float32(x)))
    words[0], words[1], words[2], words[3] = word(x > y), word(x < y), word(x >= y), word(x == y)


def test_operations_on_integers_are_those_of_numpy():
    rng = np.random.default_rng(0)
    a, b = (rng.integers(-1000, 1000, 32).astype(np.int32) for _ in range(2))
    b[::5] = a[::5]
    out, words = np.empty(192, np.int32), np.empty(4, np.uint32)
    _ints(a, b, out, words)
    for part, values in zip(out.reshape(-1, 32), [a & b, a | b, a ^ b, a << 3, a >> 3, a]):
        assert np.array_equal(part, values)
    for found, values in zip(words, [a > b, a < b, a >= b, a == b]):
        assert found == int(np.packbits(values, bitorder="little").view(np.uint32)[0])


@njit
def _pieces(a, bits, out, halves):
    whole = joined(load_16(a, 0), load_16(a, 16))
    store(out, 0, low_half(whole, whole))
    store(out, 16, high_half(whole, whole))
    store(out, 32, select(mask_32(bits), whole, spread_32(np.float32(-1))))
    halves[0] = word(mask_16(np.uint16(bits & np.uint32(0xFFFF))))
    store(out, 64, spread_16(np.float32(7)))


def test_masks_and_halves_keep_their_order():
    a, bits = np.arange(32, dtype=np.float32), np.uint32(0x80F0_0A05)
    out, halves = np.empty(80, np.float32), np.empty(1, np.uint16)
    _pieces(a, bits, out, halves)
    chosen = np.unpackbits(np.array([bits]).view(np.uint8), bitorder="little").astype(bool)
    assert np.array_equal(out[:32], a)
    assert np.array_equal(out[32:64], np.where(chosen, a, -1))
    assert halves[0] == 0x0A05
    assert np.all(out[64:] == 7)


@njit
def _stored(a, out):
    store(out, 0, load_16(a, 0))


@pytest.mark.parametrize(("of", "to"), [(np.int8, np.int16), (np.int16, np.int32), (np.int32, np.int16)])
def test_a_store_widens_or_cuts_integers(of, to):
    a, out = np.arange(-8, 8).astype(of), np.empty(16, to)
    _stored(a, out)
    assert np.array_equal(out, a)


@njit
def _turned(a, out):
    turn_16(a, 0, 16, out, 0, 16)


@pytest.mark.parametrize(("of", "to"), [(np.int16, np.int32), (np.int32, np.int32), (np.float32, np.float32)])
def test_sixteen_rows_are_transposed(of, to):
    a, out = np.arange(256).astype(of), np.empty(256, to)
    _turned(a, out)
    assert np.array_equal(out.reshape(16, 16), a.reshape(16, 16).T)


@njit
def _cut(x, keep, out, quotient):
    before = towards_zero()
    for k in range(0, x.size, 32):
        store(out, k, decayed_towards_zero(load_32(x, k), load_32(keep, k)))
    restored(before)
    quotient[0] = quotient[1] / quotient[2]


@settings(max_examples=50, deadline=None)
@given(st.integers(0, 2**32 - 1))
def test_where_rounding_is_set_a_thread_rounds_as_before_afterwards(seed):
    rng = np.random.default_rng(seed)
    x = rng.integers(1 - 2**24, 2**24, 512)
    x[:64] = rng.integers(-3, 4, 64)
    keep = rng.integers(0, 4097, 512)
    out, quotient = np.empty(512, np.float32), np.array([0, 2, 3], np.float32)
    _cut(x.astype(np.float32), (keep / 4096).astype(np.float32), out, quotient)
    assert np.array_equal(out, np.sign(x) * (abs(x) * keep >> 12))
    assert quotient[0] == np.float32(2) / np.float32(3)
    assert float(quotient[0]) > 2 / 3  # rounded up to the nearest


@njit
def _decayed(x, keep, out):
    for k in range(0, x.size, 32):
        store(out, k, decayed(load_32(x, k), load_32(keep, k)))


@settings(max_examples=50, deadline=None)
@given(st.integers(0, 2**32 - 1))
def test_a_decay_rounds_towards_zero_for_every_state_of_24_bits(seed):
    rng = np.random.default_rng(seed)
    x = rng.integers(-(2**23), 2**23 + 1, 2048)
    x[:64] = np.arange(-32, 32)
    x[64:68] = -(2**23), 2**23, 2**23 - 1, 1 - 2**23
    keep = rng.integers(0, 4097, x.size)
    keep[100:200] = rng.choice([0, 1, 4095, 4096], 100)
    out = np.empty(x.size, np.float32)
    _decayed(x.astype(np.float32), (keep / 4096).astype(np.float32), out)
    assert np.array_equal(out, np.sign(x) * (abs(x) * keep >> 12))


def test_vectors_of_two_types_do_not_add():
    @njit
    def mixed(a, b, out):
        store(out, 0, load_16(a, 0) + load_16(b, 0))

    from numba import TypingError

    with pytest.raises(TypingError):
        mixed(np.zeros(16, np.float32), np.zeros(16, np.int32), np.zeros(16, np.float32))

"""Sum pools at the beginning of kernels are found where there is one, and only there."""

import numpy as np
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from neurodeploy.exchange.nir.ops import Window, window_sum
from neurodeploy.mapping.pooling import pooled
from neurodeploy.network import Conv, Pool


def sums(conv: Conv, x: np.ndarray) -> np.ndarray:
    geometry = (conv.input_shape, conv.stride, conv.padding, conv.dilation, conv.groups)
    names = ("input_shape", "stride", "padding", "dilation", "groups")
    return window_sum(Window(kernel=conv.weights.astype(float), **dict(zip(names, geometry))), x)


@settings(max_examples=150, deadline=None)
@given(
    st.integers(1, 4),
    st.integers(1, 4),
    st.integers(0, 4),
    st.integers(8, 19),
    st.sampled_from([1, 2, 3, 4, 8]),
    st.data(),
)
def test_pool_and_what_is_left_give_the_sums_of_the_whole(repeat, stride, padding, size, kernel, data):
    """Whatever is found is exact, also at the border and where the pool leaves rows out."""
    rng = np.random.default_rng(data.draw(st.integers(0, 99)))
    taps = rng.integers(-3, 4, (2, 2, kernel, kernel)).repeat(repeat, axis=2).repeat(repeat, axis=3)
    assume(taps.shape[2] <= size)
    conv = Conv(weights=taps, input_shape=(2, size, size), stride=(stride,) * 2, padding=(padding,) * 2)
    found, left = pooled(conv, (2, size, size), (1, 2, 4))
    x = rng.integers(0, 2, (2, 2, size, size)).astype(float)
    pool = Pool(input_shape=(2, size, size), kernel=(found, found), stride=(found, found), weight=1).as_conv()
    assert np.array_equal(sums(left, sums(pool, x)), sums(conv, x))


def test_pool_is_found_wherever_it_divides_the_image():
    rng = np.random.default_rng(0)
    for size in (2, 4):
        taps = rng.integers(1, 4, (2, 2, 3, 3)) * np.arange(1, 10).reshape(3, 3)
        whole = taps.repeat(size, axis=2).repeat(size, axis=3)
        conv = Conv(weights=whole, input_shape=(2, 16, 16), stride=(size, size), padding=(size, size))
        found, left = pooled(conv, (2, 16, 16), (1, 2, 4))
        assert (found, left.stride, left.padding) == (size, (1, 1), (1, 1))
        assert np.array_equal(left.weights, taps)

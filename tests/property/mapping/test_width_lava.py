"""The width of stored weights equals that of Lava's own function."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from neurodeploy.mapping.memory.synapses import needed_bits

weightutils = pytest.importorskip("lava.utils.weightutils", reason="needs lava-nc")
pytestmark = pytest.mark.lava


@st.composite
def weights(draw: st.DrawFn) -> np.ndarray:
    """Weights of both signs, or positive ones with zeros, that share a power of two."""
    shift = draw(st.integers(0, 6))
    low = -(256 >> shift) if draw(st.booleans()) else 0
    values = draw(st.lists(st.integers(low, 254 >> shift), min_size=1, max_size=12))
    return np.array([*values, 1, -1 if low else 0]) << shift


@settings(deadline=None, max_examples=500)
@given(weights())
def test_width_is_that_of_optimize_weight_bits(array: np.ndarray) -> None:
    expected = weightutils.optimize_weight_bits(array, weightutils.determine_sign_mode(array))
    found = needed_bits(array.astype(np.int16), shared_sign=True, drops_common_power=True)
    assert found == expected.num_weight_bits

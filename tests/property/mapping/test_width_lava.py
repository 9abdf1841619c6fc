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
    """Weights of both signs, excitatory or inhibitory ones, with zeros or without, that share a power of two."""
    shift = draw(st.integers(0, 7))
    low, high = draw(st.sampled_from([(-256, 255), (0, 255), (1, 255), (-255, 0), (-255, -1)]))
    values = draw(st.lists(st.integers(-(-low >> shift), high >> shift), min_size=1, max_size=12))
    array = np.array(values) << shift
    if array.max() <= 0:
        array = np.maximum(array, -(255 >> shift << shift))  # Lava refuses -256 among inhibitory weights
    return array if np.any(array) else array + (np.sign(low + high) << shift)


@settings(deadline=None, max_examples=500)
@given(weights())
def test_width_is_that_of_optimize_weight_bits(array: np.ndarray) -> None:
    expected = weightutils.optimize_weight_bits(array, weightutils.determine_sign_mode(array))
    found = needed_bits(array.astype(np.int16), shared_sign=True, drops_common_power=True)
    beyond = 255 in array and array.min() < 0  # no chip stores it: Lava counts a bit more than hold the values
    assert found == expected.num_weight_bits - beyond
    assert not beyond or found == 9

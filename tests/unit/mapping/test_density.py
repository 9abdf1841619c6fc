"""Bits of a stored synapse, and where formats cross."""

import pytest

from neurodeploy.chip import load_chip
from neurodeploy.errors import UsageError
from neurodeploy.mapping.fit.density import bits_per_synapse, crossing_density


def test_full_lists_take_the_bits_worked_out_by_hand() -> None:
    """18 neurons at 8 bits on Loihi 2: 6 words; 52 dense ones on Loihi 1: 7 words."""
    assert bits_per_synapse(load_chip("loihi2"), "fc", 18, 1.0, 8) == pytest.approx(6 * 64 / 18)
    assert bits_per_synapse(load_chip("loihi1"), "dense", 52, 1.0, 8) == pytest.approx(7 * 64 / 52)


def test_thin_lists_cost_more_a_synapse_because_of_whole_words() -> None:
    chip = load_chip("loihi2")
    assert bits_per_synapse(chip, "fc", 100, 0.01, 8) > 1.5 * bits_per_synapse(chip, "fc", 100, 1.0, 8)


@pytest.mark.parametrize(
    ("neurons", "width", "published"), [(256, 8, 0.50), (1024, 8, 0.44), (256, 4, 0.33), (256, 1, 0.11)]
)
def test_sparse_and_dense_cross_where_the_estimate_without_headers_says(
    neurons: int, width: int, published: float
) -> None:
    """``density < b / (b + index bits)`` leaves headers, rounding and the skipped ends of a list out."""
    found = crossing_density(load_chip("loihi1"), "sparse", "dense", neurons, width)
    assert found == pytest.approx(published, abs=0.06)


def test_formats_that_do_not_cross_give_none() -> None:
    assert crossing_density(load_chip("loihi1"), "dense", "sparse", 64, 8) is None


def test_unknown_format_lists_the_known_ones() -> None:
    with pytest.raises(UsageError, match="'fc' is no list format of chip 'loihi1'; known: sparse, runlength, dense"):
        bits_per_synapse(load_chip("loihi1"), "fc", 10, 0.5, 8)


@pytest.mark.parametrize("density", [0.0, 1.5, -1.0])
def test_density_out_of_range_is_refused(density: float) -> None:
    with pytest.raises(UsageError, match="need 0 < density <= 1"):
        bits_per_synapse(load_chip("loihi1"), "sparse", 10, density, 8)

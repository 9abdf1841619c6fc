"""Laws of the exchange: what is written comes back, number by number."""

import numpy as np
import pytest
from building import one_layer
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from neurodeploy.exchange.nir.read import from_nir
from neurodeploy.exchange.nir.write import to_nir
from neurodeploy.network import Cuba, difference

STEPS = (1.0, 1e-3, 1e-4, 1e-6, 5e-3, 0.1, 1 / 3)


def layer(model, n, *, weights=None, mask=None, exponent=0, delay=0, dt=1e-3):
    weights = np.full((n, 1), 2) if weights is None else weights
    return one_layer(weights, model, target="p", mask=mask, weight_exponent=exponent, delay=delay, dt=dt)


class TestDecays:
    """``tau = 4096 dt/d`` back to ``d`` for every decay (nir.md 4.2 and 4.3)."""

    @pytest.mark.parametrize("dt", STEPS)
    @pytest.mark.parametrize("metadata", [True, False])
    def test_every_decay_comes_back_from_the_euler_form(self, dt, metadata):
        decays = np.arange(4097)
        model = Cuba(current_decay=decays, voltage_decay=decays[::-1], threshold=7)
        back = from_nir(to_nir(layer(model, 4097, dt=dt), metadata=metadata)).populations[0].model
        assert np.array_equal(back.current_decay, decays)
        assert np.array_equal(back.voltage_decay, decays[::-1])
        assert np.all(back.threshold == 7)

    @pytest.mark.parametrize("dt", STEPS)
    @pytest.mark.parametrize("metadata", [True, False])
    def test_every_decay_but_4096_comes_back_from_the_exponential_form(self, dt, metadata):
        decays = np.arange(4096)
        model = Cuba(current_decay=decays, voltage_decay=decays[::-1], threshold=7)
        graph = to_nir(layer(model, 4096, dt=dt), metadata=metadata, discretization="exponential")
        back = from_nir(graph, discretization="exponential").populations[0].model
        assert np.array_equal(back.current_decay, decays)
        assert np.array_equal(back.voltage_decay, decays[::-1])
        assert np.all(back.threshold == 7)


def parameter(n, low, high):
    return st.one_of(st.integers(low, high), arrays(np.int64, n, elements=st.integers(low, high)))


@st.composite
def layers(draw):
    n, m = draw(st.integers(1, 6)), draw(st.integers(1, 6))
    model = Cuba(
        current_decay=draw(parameter(n, 0, 4096)),
        voltage_decay=draw(parameter(n, 0, 4096)),
        threshold=draw(parameter(n, 0, 2**17 - 1)),
        bias=draw(parameter(n, 1 - 2**23, 2**23 - 1)),
    )
    mask = draw(st.one_of(st.none(), arrays(np.bool_, (n, m))))
    weights = draw(arrays(np.int64, (n, m), elements=st.integers(-256, 255)))
    return layer(
        model,
        n,
        weights=weights if mask is None else weights * mask,
        mask=mask,
        exponent=draw(st.integers(-8, 7)),
        delay=draw(parameter(m, 0, 62)),
        dt=draw(st.sampled_from(STEPS)),
    )


@settings(deadline=None, max_examples=150)
@given(network=layers(), dtype=st.sampled_from(["float32", "float16"]))
def test_any_layer_comes_back_exactly(network, dtype):
    back = from_nir(to_nir(network, weights=dtype))
    assert difference(back, network) is None
    assert back.ledger == ()
    assert back.fingerprint == network.fingerprint

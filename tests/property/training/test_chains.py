"""Law of training: whatever layers a recipe chains, each backend and the exported integers give the same spikes."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

pytestmark = pytest.mark.train
torch = pytest.importorskip("torch", reason="needs torch (extra train)")

from building import samples

from neurodeploy.engines.event.run import run_event
from neurodeploy.engines.reference import run_reference
from neurodeploy.errors import RecipeError
from neurodeploy.proofs.compare import compare_activities
from neurodeploy.recipe.files import load_recipe
from neurodeploy.recipe.layers import ConvLayer, DenseLayer, LayerNeuron, PoolLayer, layer_shapes
from neurodeploy.training.model.backends import build
from neurodeploy.training.model.integers import to_network
from neurodeploy.training.model.recorded import recorded_spikes

RECIPE = load_recipe("digits-mlp")
small = st.integers(1, 3)
neurons = st.none() | st.builds(
    LayerNeuron,
    threshold=st.sampled_from([2, 40, 63, 64, 200]),
    current_decay=st.sampled_from([1, 1024, 2048, 4095, 4096]),
    voltage_decay=st.sampled_from([1, 512, 2048, 4096]),
)
dropout = st.sampled_from([0.0, 0.4])


@st.composite
def windows(draw):
    """A convolution or a pool."""
    if draw(st.booleans()):
        return PoolLayer(kernel=(draw(small), draw(small)), weight=2 * draw(st.integers(1, 127)), neuron=draw(neurons))
    groups = draw(st.sampled_from([1, 1, 2]))
    return ConvLayer(
        channels=groups * draw(small),
        kernel=(draw(small), draw(small)),
        stride=(draw(st.integers(1, 2)), draw(st.integers(1, 2))),
        padding=(draw(st.integers(0, 2)), draw(st.integers(0, 2))),
        dilation=(draw(st.integers(1, 2)), draw(st.integers(1, 2))),
        groups=groups,
        delay=draw(st.sampled_from([0, 0, 3, 62])),
        dropout=draw(dropout),
        neuron=draw(neurons),
    )


dense = st.builds(
    DenseLayer,
    neurons=st.integers(1, 12),
    recurrent=st.booleans(),
    delay=st.sampled_from([0, 0, 1, 20, 62]),
    dropout=dropout,
    neuron=neurons,
)
last = st.builds(DenseLayer, neurons=st.integers(1, 8), recurrent=st.booleans(), neuron=neurons)


@st.composite
def chains(draw):
    """An input shape and layers that take what the one before gives; windows that do not fit are left out."""
    shape = (draw(st.sampled_from([1, 2, 4])), draw(st.integers(2, 9)), draw(st.integers(2, 9)))
    layers = []
    for layer in draw(st.lists(windows(), max_size=3)):
        try:
            layer_shapes([*layers, layer], shape)
        except RecipeError:
            continue
        layers.append(layer)
    return shape, (*layers, *draw(st.lists(dense, max_size=2)), draw(last))


@pytest.mark.parametrize("backend", ["native", pytest.param("slayer", marks=pytest.mark.slayer)])
@given(chain=chains(), seed=st.integers(0, 2**16), batch_size=st.integers(1, 4))
@settings(max_examples=25, deadline=None)
def test_backend_reference_and_event_engine_agree_on_any_chain_of_layers(backend, chain, seed, batch_size):
    shape, layers = chain
    network = RECIPE.network.model_copy(update={"layers": layers})
    training = RECIPE.training.model_copy(update={"weight_scale": 3.0, "backend": backend})
    with torch.random.fork_rng():
        torch.manual_seed(seed)
        model = build(RECIPE.model_copy(update={"network": network, "training": training}), shape)
    masks = {name: torch.ones_like(weight, dtype=torch.bool) for name, weight in model.weights().items()}
    exported = to_network(model, masks, 1e-3)
    raster = np.random.default_rng(seed).random((4, 30, int(np.prod(shape)))) < 0.4
    shown = samples(raster, "input")
    own = None if backend == "native" else slayers_neurons(model)
    trainer = recorded_spikes(model, exported, shown, engine=backend, respond=own, batch_size=batch_size)
    for run in (run_reference, run_event):
        result = compare_activities([trainer, run(exported, shown)])
        assert result.equal, str(result.first_difference)
    if own is None:
        return
    with torch.no_grad():
        rows = torch.from_numpy(raster.transpose(0, 2, 1).astype(np.float32))
        fused, unfused = model.eval().layers(rows), model.layers(rows, respond=own)
    assert all(torch.equal(fused[name], layer) for name, layer in unfused.items())


def slayers_neurons(model):
    from neurodeploy.training.model.slayer import own_neurons

    return own_neurons(model)

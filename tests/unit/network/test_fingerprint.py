"""The fingerprint of a network, SHA-256 over names and int64 numbers, is taken block by block; arrays that are shared."""

import hashlib

import numpy as np
import pytest
from building import chain, connect, every_kind, neuron, nonzero

from neurodeploy.errors import NetworkError
from neurodeploy.network import Conv, Dense, Network, Sparse, record
from neurodeploy.network.record import _described


def whole(network: Network) -> str:
    """The fingerprint by its definition: every array cast to int64 in one piece, in C order."""
    digest = hashlib.sha256()
    for where, value in _described(network):
        array = np.asarray(value)
        if array.dtype.kind in "iub":
            array = array.astype(np.int64)
        digest.update(f"{where}|{array.dtype.kind}|{array.shape}|".encode())
        digest.update(np.ascontiguousarray(array).tobytes())
    return digest.hexdigest()


@pytest.mark.parametrize("block", [1, 7, 64, 2**18])
@pytest.mark.parametrize("order", ["C", "F"])
def test_blocks_of_any_size_and_order_in_memory_give_the_digest_of_the_whole(block, order, monkeypatch):
    monkeypatch.setattr(record, "_BLOCK", block)
    rng = np.random.default_rng(0)
    weights = np.array(rng.integers(-200, 200, (13, 11)), order=order)
    conv = Conv(weights=np.array(rng.integers(-9, 9, (11, 2, 3, 1)), order=order), input_shape=(2, 3, 1))
    settings = {"p2": {"mask": np.ones((13, 11), bool, order=order), "delay": rng.integers(0, 9, (13, 11))}}
    layers = [conv, Dense(weights=weights), nonzero(rng.integers(-5, 6, (4, 13)))]
    network = chain(layers, neuron(threshold=8), more=settings, shapes={"p1": (11,)})
    assert network.fingerprint == whole(network)


def test_every_kind_of_neuron_has_the_digest_of_the_whole():
    network = every_kind()[0]
    assert network.fingerprint == whole(network)


def test_names_that_are_used_twice_are_named():
    extra = [connect("p1", "p1", ((1,),), name) for name in ("x", "y", "y")]
    with pytest.raises(NetworkError, match="projection name used twice: x, y$"):
        chain([((1,),)], wire="x", extra=extra)


def test_a_read_only_array_of_its_own_is_taken_and_others_are_copied():
    own = np.array([[1, 2]], np.int16)
    assert Dense(weights=own).weights is not own
    own.setflags(write=False)
    assert Dense(weights=own).weights is own
    assert Dense(weights=own.astype(np.int32)).weights.dtype == np.int16
    seen = np.array([[3, 4]], np.int16)
    view = seen.view()
    view.setflags(write=False)
    taken = Dense(weights=view).weights
    seen[0, 0] = 9
    assert taken.tolist() == [[3, 4]]


@pytest.mark.parametrize(
    ("start", "target", "right"),
    [
        ([0, 2, 4], [0, 3, 0, 3], True),
        ([0, 2, 4], [0, 3, 3, 4], True),
        ([0, 0, 0, 3, 3], [0, 1, 2], True),
        ([0, 2, 4], [3, 0, 0, 3], False),
        ([0, 2, 4], [0, 3, 3, 3], False),
        ([0, 3, 4], [0, 2, 1, 3], False),
        ([0, 4, 4], [0, 1, 2, 2], False),
    ],
)
def test_targets_rise_within_a_source_and_start_again_at_the_next(start, target, right):
    def make():
        return Sparse(n_target=5, start=start, target=target, weights=np.ones(len(target), int))

    if right:
        assert make().target.tolist() == target
    else:
        with pytest.raises(NetworkError, match="must rise within each source neuron"):
            make()

"""Whatever is done to the HDF5 structure of a NIR file, the answer is a network or one of our errors, in finite time."""

import shutil
from contextlib import suppress
from dataclasses import replace

import h5py
import numpy as np
import pytest
from building import chain, connect
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from neurodeploy.errors import NeurodeployError
from neurodeploy.exchange.doctor.check import check_nir
from neurodeploy.exchange.nir.read import from_nir
from neurodeploy.exchange.nir.write import to_nir
from neurodeploy.network import Conv, Cuba, Network, Pool

SETTINGS = settings(deadline=None, max_examples=40, suppress_health_check=[HealthCheck.function_scoped_fixture])
BAD_VALUES = [
    np.nan,
    np.inf,
    -1.0,
    0.0,
    1e300,
    -(2**62),
    "text",
    b"\xff\xfe",
    "",
    "NIRGraph",
    "Input",
    "same",
    np.zeros((0,)),
    np.zeros((0, 3)),
    np.ones((1, 1, 1, 1, 1)),
    np.full(3, np.nan),
    np.array([[1, 2], [3, 4]], dtype=complex),
    np.array(["a", "b"], dtype="S1"),
    np.array([True, False]),
    np.arange(7),
    h5py.Empty("f8"),
]


def example() -> Network:
    """A convolution of payloads, a pooling, a dense recurrent layer with delays: most kinds of nodes and of metadata."""
    rng = np.random.default_rng(0)
    conv = Conv(weights=rng.integers(-9, 9, (2, 1, 3, 3)), input_shape=(1, 6, 6))
    pool = Pool(input_shape=(2, 4, 4), kernel=(2, 2), stride=(2, 2), weight=32)
    cuba = Cuba(current_decay=1024, voltage_decay=128, threshold=80, bias=3, reset="subtract")
    weights = rng.integers(-9, 9, (3, 8))
    loop = connect("dense", "dense", np.eye(3, dtype=int), "r", delay=2)
    layers = {"conv": conv, "pool": pool, "dense": weights}
    network = chain(layers, cuba, wire="{target[0]}", more={"dense": {"mask": weights != 0}}, extra=[loop])
    pixels = replace(network.inputs[0], payload_bits=8, scale=1 / 255)
    return replace(network, inputs=[pixels])


@pytest.fixture(scope="module")
def whole(tmp_path_factory):
    path = tmp_path_factory.mktemp("nir") / "whole.nir"
    to_nir(example(), path)
    return path


def members(path):
    found = []
    with h5py.File(path) as file:
        file.visit(found.append)
    return sorted(found)


def message(read, path):
    try:
        read(path)
    except NeurodeployError as error:
        return str(error)
    return "it is a network or a report"


def answer(path):
    """Read the file in both ways; only our own errors may come out, with a message that says something."""
    for read in (from_nir, check_nir):
        assert len(message(read, path)) > 20


class TestDamage:
    @SETTINGS
    @given(data=st.data())
    def test_member_replaced_by_nonsense(self, whole, tmp_path, data):
        path = shutil.copy(whole, tmp_path / "a.nir")
        name = data.draw(st.sampled_from(members(whole)))
        value = data.draw(st.sampled_from(BAD_VALUES))
        with h5py.File(path, "a") as file:
            del file[name]
            file[name] = value
        answer(path)

    @SETTINGS
    @given(data=st.data())
    def test_members_removed_moved_or_linked(self, whole, tmp_path, data):
        path = shutil.copy(whole, tmp_path / "a.nir")
        names = members(whole)
        with h5py.File(path, "a") as file:
            for _ in range(data.draw(st.integers(1, 3))):
                name, other = data.draw(st.sampled_from(names)), data.draw(st.sampled_from(names))
                action = data.draw(st.sampled_from(["remove", "group", "hard", "soft"]))
                with suppress(KeyError, RuntimeError, ValueError):  # what an earlier round took away
                    target = {"group": None, "hard": file[other], "soft": h5py.SoftLink("/" + other)}.get(action)
                    del file[name]
                    if action == "group":
                        file.create_group(name)
                    elif action != "remove":
                        file[name] = target
        answer(path)

    @SETTINGS
    @given(data=st.data())
    def test_edges_rewired_at_random(self, whole, tmp_path, data):
        """Cycles without a neuron, unknown names, unreachable neurons, many edges into one node."""
        path = shutil.copy(whole, tmp_path / "a.nir")
        with h5py.File(path, "a") as file:
            nodes = [*file["node/nodes"], "gone"]
            edges = data.draw(st.lists(st.tuples(st.sampled_from(nodes), st.sampled_from(nodes)), max_size=14))
            del file["node/edges"]
            file["node/edges"] = np.array(edges, dtype="S20").reshape(-1, 2)
        answer(path)

    @SETTINGS
    @given(data=st.data())
    def test_bytes_cut_off_or_changed(self, whole, tmp_path, data):
        content = bytearray(whole.read_bytes())
        if data.draw(st.booleans()):
            content = content[: data.draw(st.integers(0, len(content)))]
        for _ in range(data.draw(st.integers(0, 20))):
            if content:
                content[data.draw(st.integers(0, len(content) - 1))] = data.draw(st.integers(0, 255))
        path = tmp_path / "a.nir"
        path.write_bytes(bytes(content))
        answer(path)

    def test_group_that_contains_itself_ends(self, whole, tmp_path):
        path = shutil.copy(whole, tmp_path / "a.nir")
        with h5py.File(path, "a") as file:
            file["node/metadata/loop"] = file["node/metadata"]
            file["node/nodes/d/type"][()] = "NIRGraph"
            file["node/nodes/d/nodes"] = file["node/nodes"]
        answer(path)

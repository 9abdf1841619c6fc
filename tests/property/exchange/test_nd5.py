"""Laws of ``.nd5`` files: any network comes back whole, and of a file that was damaged come it or one of our errors."""

import hashlib
import json
import shutil
from contextlib import suppress
from dataclasses import replace
from typing import get_args, get_type_hints

import h5py
import numpy as np
import pytest
from building import every_kind
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from neurodeploy.errors import FileError, NetworkError
from neurodeploy.exchange.nd5 import layout, write
from neurodeploy.exchange.nd5.read import from_nd5
from neurodeploy.exchange.nd5.write import to_nd5
from neurodeploy.network import (
    Approximation,
    Conv,
    Cuba,
    Delta,
    Dense,
    Input,
    LeakyIntegrator,
    Network,
    Output,
    Pool,
    Population,
    Projection,
    ResonateAndFire,
    Sigma,
    SigmaDelta,
    Sparse,
    difference,
)

SETTINGS = settings(deadline=None, max_examples=60, suppress_health_check=[HealthCheck.function_scoped_fixture])
TEXT = st.text(st.characters(exclude_categories=["Cs"]), max_size=12)
LEDGERS = st.lists(st.builds(Approximation, where=TEXT, what=TEXT, size=TEXT), max_size=3)
STEPS = st.floats(0, exclude_min=True, allow_infinity=False) | st.integers(1, 9)
DECODINGS = get_args(get_type_hints(Output)["decoding"])
BIG = 2**23


def pick(rng, choices):
    """Return one of some choices, as it is: numpy would cut a zero off the end of a text."""
    return choices[rng.integers(len(choices))]


def parameter(rng, shape, low, high):
    """One number, or one for each neuron; the ends of the range come up often."""
    size = shape if rng.random() < 0.5 else ()
    ends = rng.choice([low, high], size)
    drawn = np.where(rng.random(size) < 0.2, ends, rng.integers(low, high + 1, size))
    return np.asfortranarray(drawn) if size else int(drawn)


def model(rng, shape):
    def values(low, high):
        return parameter(rng, shape, low, high)

    def flag():
        return bool(rng.random() < 0.5)

    decays = {"current_decay": values(0, 4096), "voltage_decay": values(0, 4096)}
    exponent = int(rng.integers(0, 13))
    return [
        lambda: Cuba(
            **decays,
            threshold=values(0, 2**17 - 1),
            bias=values(1 - BIG, BIG - 1),
            **pick(rng, [{}, {"reset": "subtract"}]),
        ),
        lambda: LeakyIntegrator(**decays, bias=values(1 - BIG, BIG - 1)),
        lambda: ResonateAndFire(
            sin_decay=values(-4096, 4096),
            cos_decay=values(-4096, 4096),
            threshold=values(1, BIG - 1),
            state_exponent=exponent,
            reset=flag(),
        ),
        Sigma,
        lambda: Delta(
            threshold=values(0, BIG - 1), spike_exponent=exponent, state_exponent=exponent, cumulative=flag()
        ),
        lambda: SigmaDelta(
            threshold=values(0, BIG - 1),
            bias=values(1 - BIG, BIG - 1),
            activation=pick(rng, ["none", "relu"]),
            state_exponent=exponent,
            cumulative=flag(),
        ),
    ][rng.integers(0, 6)]()


def sizes(rng):
    return tuple(rng.integers(1, 6, rng.integers(1, 4)).tolist())


def sparse(rng, n_target, n_source):
    stored = rng.random((n_source, n_target)) < pick(rng, [0, 0.3, 1])
    source, target = np.nonzero(stored)
    start = np.concatenate([[0], np.cumsum(np.bincount(source, minlength=n_source))])
    return Sparse(n_target=n_target, start=start, target=target, weights=rng.integers(-256, 256, source.size))


def windowed(rng, shape):
    """A convolution or a pooling of an image, with every option, or None where it leaves nothing."""
    options = {
        "input_shape": shape,
        "stride": tuple(rng.integers(1, 4, 2).tolist()),
        "padding": tuple(rng.integers(0, 3, 2).tolist()),
    }
    kernel = tuple(rng.integers(1, 4, 2).tolist())
    with suppress(NetworkError):
        if rng.random() < 0.4:
            return Pool(**options, kernel=kernel, weight=int(rng.integers(-256, 256)))
        groups = pick(rng, [n for n in range(1, shape[0] + 1) if shape[0] % n == 0])
        weights = rng.integers(-256, 256, (groups * int(rng.integers(1, 3)), shape[0] // groups, *kernel))
        return Conv(**options, weights=weights, groups=groups, dilation=tuple(rng.integers(1, 3, 2).tolist()))
    return None


def projection(rng, name, source, target, synapses, n_source, resonates):
    weights = getattr(synapses, "weights", None)
    mask = None
    if weights is not None and rng.random() < 0.5:
        mask = np.asfortranarray((weights != 0) | (rng.random(weights.shape) < 0.5))
    delay = [0, int(rng.integers(1, 63)), rng.integers(0, 63, n_source)][rng.integers(0, 3)]
    if isinstance(synapses, Dense) and rng.random() < 0.3:
        delay = np.asfortranarray(rng.integers(0, 63, weights.shape))
    return Projection(
        name=name,
        source=source,
        target=target,
        synapses=synapses,
        weight_exponent=int(rng.integers(-8, 8)),
        delay=delay,
        mask=mask,
        component="imag" if resonates and rng.random() < 0.5 else "real",
    )


def anything(seed, names, ledger, dt):
    """Return a network in which whatever can be chosen was drawn."""
    rng, left = np.random.default_rng(seed), list(names)
    inputs = []
    for _ in range(rng.integers(1, 4)):
        signed = bool(rng.random() < 0.5)
        bits = int(rng.integers(2, 33 if signed else 32))
        payload = {"payload_bits": bits, "signed": signed, "scale": float(rng.random() + 1e-9)}
        inputs.append(Input(name=left.pop(), shape=sizes(rng), **(payload if rng.random() < 0.5 else {})))
    populations, projections, shapes = [], [], {i.name: i.shape for i in inputs}
    for _ in range(rng.integers(1, 5)):
        name, source = left.pop(), pick(rng, list(shapes))
        found = windowed(rng, shapes[source]) if len(shapes[source]) == 3 and rng.random() < 0.7 else None
        shape = found.output_shape if found else sizes(rng)
        own = model(rng, shape)
        populations.append(Population(name=name, shape=shape, model=own, first_step=int(rng.integers(0, 9))))
        shapes[name] = shape
        n_target = int(np.prod(shape))
        for start in [source, *(pick(rng, list(shapes)) for _ in range(rng.integers(0, 3)))]:
            n_source = int(np.prod(shapes[start]))
            if found is None or start != source:
                dense = np.array(rng.integers(-256, 256, (n_target, n_source)), order=pick(rng, "CF"))
                found = Dense(weights=dense) if rng.random() < 0.5 else sparse(rng, n_target, n_source)
            resonates = isinstance(own, ResonateAndFire)
            label = f"{len(projections)} {name}"
            projections.append(projection(rng, label, start, name, found, n_source, resonates))
            found = None
    outputs = [
        Output(name=f"{i}", population=pick(rng, populations).name, decoding=pick(rng, DECODINGS))
        for i in range(rng.integers(1, 3))
    ]
    return Network(
        inputs=inputs, populations=populations, projections=projections, outputs=outputs, dt=dt, ledger=ledger
    )


NETWORKS = st.builds(
    anything,
    seed=st.integers(0, 2**32 - 1),
    names=st.lists(TEXT, min_size=8, max_size=8, unique=True),
    ledger=LEDGERS,
    dt=STEPS,
)


@SETTINGS
@given(network=NETWORKS, block=st.sampled_from([200, 2**20]), small=st.sampled_from([0, 2**12]))
def test_any_network_comes_back_whole(network, block, small, tmp_path, monkeypatch):
    monkeypatch.setattr(layout, "BLOCK_BYTES", block)
    monkeypatch.setattr(write, "SMALL_BYTES", small)
    to_nd5(network, tmp_path / "a.nd5", force=True)
    back = from_nd5(tmp_path / "a.nd5")
    assert difference(network, back) is None
    assert back.fingerprint == network.fingerprint
    assert back.ledger == network.ledger
    to_nd5(back, tmp_path / "b.nd5", force=True)
    assert (tmp_path / "a.nd5").read_bytes() == (tmp_path / "b.nd5").read_bytes()


NETWORK = replace(every_kind()[0], ledger=(Approximation(where="cuba", what="rounded", size="1/2"),))
BAD_VALUES = [
    np.nan,
    -1,
    0,
    -(2**62),
    "text",
    b"\xff\xfe",
    "",
    np.zeros((0,)),
    np.zeros((0, 3)),
    np.ones((1, 1, 1, 1, 1)),
    np.array([[1, 2], [3, 4]], dtype=complex),
    np.array(["a", "b"], dtype="S1"),
    np.array([True, False]),
    np.arange(5),
    h5py.Empty("f8"),
]
JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | TEXT | st.just({"shape": [5]}),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(TEXT, inner, max_size=3),
    max_leaves=6,
)


@pytest.fixture(scope="module")
def whole(tmp_path_factory):
    path = tmp_path_factory.mktemp("nd5") / "whole.nd5"
    to_nd5(NETWORK, path)
    return path


def members(path):
    found = []
    with h5py.File(path) as file:
        file.visit(found.append)
        return sorted(found) + [f"@{name}" for name in file.attrs]


def answer(path):
    """Return the network as it was written, or None where there is an error of ours that says what it is about."""
    said = None
    try:
        back = from_nd5(path)
    except (FileError, NetworkError) as error:
        said = str(error)
    if said is not None:
        assert str(path) in said
        assert len(said) > len(str(path)) + 20
        return None
    assert back.fingerprint == NETWORK.fingerprint
    return back


def places(value, at=()):
    """Yield the path to every value inside a header."""
    inside = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    for key, one in inside:
        yield (*at, key)
        yield from places(one, (*at, key))


class TestDamage:
    @SETTINGS
    @given(data=st.data())
    def test_member_replaced_by_nonsense(self, whole, tmp_path, data):
        path = shutil.copy(whole, tmp_path / "a.nd5")
        name = data.draw(st.sampled_from(members(whole)))
        value = data.draw(st.sampled_from(BAD_VALUES))
        with h5py.File(path, "a") as file:
            place, key = (file.attrs, name[1:]) if name.startswith("@") else (file, name)
            del place[key]
            with suppress(TypeError, ValueError, OSError):  # what an attribute cannot hold
                place[key] = value
        assert answer(path) is None

    @SETTINGS
    @given(data=st.data())
    def test_members_removed_moved_or_linked(self, whole, tmp_path, data):
        path = shutil.copy(whole, tmp_path / "a.nd5")
        names = [name for name in members(whole) if not name.startswith("@")]
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
    def test_value_of_the_header_replaced_with_a_hash_that_fits(self, whole, tmp_path, data):
        path = shutil.copy(whole, tmp_path / "a.nd5")
        with h5py.File(path, "a") as file:
            values = json.loads(file["header"][()])
            *above, last = data.draw(st.sampled_from(list(places(values))))
            inside = values
            for key in above:
                inside = inside[key]
            inside[last] = data.draw(JSON)
            text = json.dumps(values).encode()
            del file["header"]
            file["header"] = np.bytes_(text)
            file.attrs["header_sha256"] = np.bytes_(hashlib.sha256(text).hexdigest())
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
        path = tmp_path / "a.nd5"
        path.write_bytes(bytes(content))
        back = answer(path)
        assert back is None or back.ledger == NETWORK.ledger

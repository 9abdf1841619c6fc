"""``.nd5`` files: everything of a network comes back, and a file is there whole or not at all."""

import json
import subprocess
import sys
from dataclasses import fields, replace

import h5py
import numpy as np
import pytest
from building import chain, connect, entry, every_kind, neuron, one_layer

from neurodeploy.errors import FileError, MismatchError, NetworkError
from neurodeploy.exchange.nd5 import layout, write
from neurodeploy.exchange.nd5.read import from_nd5
from neurodeploy.exchange.nd5.values import SECTIONS
from neurodeploy.exchange.nd5.write import to_nd5
from neurodeploy.network import (
    Approximation,
    Conv,
    Delta,
    Input,
    Network,
    Pool,
    ResonateAndFire,
    Sparse,
    difference,
)

RNG = np.random.default_rng(3)
SPARSE = Sparse(n_target=4, start=[0, 2, 2, 5], target=[0, 3, 1, 2, 3], weights=[5, 0, -7, 255, -256])
CONV = Conv(
    weights=RNG.integers(-99, 99, (4, 1, 3, 2)),
    input_shape=(2, 7, 6),
    stride=(2, 1),
    padding=(1, 0),
    dilation=(1, 2),
    groups=2,
)
POOL = Pool(input_shape=(4, 4, 4), kernel=(2, 3), stride=(1, 2), padding=(1, 1), weight=-31)
KEPT = RNG.random((5, 9)) < 0.5

NETWORKS = {
    "every kind of neuron": every_kind()[0],
    "sparse, with zeros stored": one_layer(
        SPARSE, delay=[1, 0, 62], weight_exponent=-8, mask=[True, False, True, True, True]
    ),
    "sparse without a synapse": one_layer(
        Sparse(n_target=2, start=[0, 0, 0], target=np.zeros(0, int), weights=np.zeros(0, int))
    ),
    "one number for each neuron": one_layer(
        RNG.integers(-9, 9, (6, 3)),
        neuron(threshold=np.arange(6).reshape(1, 2, 3), bias=-7, reset="subtract"),
        target_shape=(1, 2, 3),
    ),
    "convolution and pooling": chain([CONV, POOL], more={"p2": {"weight_exponent": 7}}),
    "masks and delays": one_layer(KEPT * RNG.integers(0, 9, (5, 9)), mask=KEPT, delay=RNG.integers(0, 63, (5, 9))),
    "kernels with a mask": one_layer(
        replace(CONV, weights=CONV.weights * (CONV.weights > 0)), mask=CONV.weights > 0, delay=3
    ),
    "graded": replace(
        chain([((4,),)]), inputs=(Input(name="in", shape=(1,), payload_bits=7, signed=True, scale=1 / 3),)
    ),
    "step of a whole number": chain([((4,),)], dt=2),
    "names": chain(
        {"a/b": ((4,),), "ß\0\n": ((4,),), "": ((3,),)}, source=".", wire="{target}'\"{source}", output="../x", dt=1 / 3
    ),
    "ledger": chain(
        [((4,),)],
        ledger=[Approximation(where="in", what="a Größe", size="1/3"), Approximation(where="", what="b", size="")],
    ),
    "order in memory": one_layer(
        np.asfortranarray(RNG.integers(-200, 200, (70, 90))), mask=np.ones((70, 90), bool, order="F")
    ),
}


@pytest.mark.parametrize("name", NETWORKS)
def test_a_network_comes_back_whole(name, tmp_path):
    network = NETWORKS[name]
    to_nd5(network, tmp_path / "a.nd5")
    back = from_nd5(tmp_path / "a.nd5")
    assert difference(network, back) is None
    assert back.fingerprint == network.fingerprint
    assert back.ledger == network.ledger
    assert [p.name for p in tmp_path.iterdir()] == ["a.nd5"]


def test_types_come_back_too(tmp_path):
    """A value that is read is of the type that the record would have given it, so that no later stage sees a difference."""
    network = NETWORKS["convolution and pooling"]
    to_nd5(network, tmp_path / "a.nd5")
    conv, pool = (p.synapses for p in from_nd5(tmp_path / "a.nd5").projections)
    assert [conv.input_shape, conv.stride, conv.dilation, pool.kernel] == [(2, 7, 6), (2, 1), (1, 2), (2, 3)]
    to_nd5(every_kind()[0], tmp_path / "b.nd5")
    back = from_nd5(tmp_path / "b.nd5")
    assert back.population("rf_iz").model.reset is True
    assert back.population("rf").model.reset is False
    for p in back.projections:
        assert p.synapses.weights.dtype == np.int16
        assert not p.synapses.weights.flags.writeable


@pytest.mark.parametrize("n_bytes", [2, 6, 64, 1000])
@pytest.mark.parametrize(
    "name", ["masks and delays", "kernels with a mask", "order in memory", "sparse, with zeros stored"]
)
def test_blocks_of_any_size_give_the_same_network(name, n_bytes, monkeypatch, tmp_path):
    monkeypatch.setattr(layout, "BLOCK_BYTES", max(n_bytes, 8))
    monkeypatch.setattr(write, "SMALL_BYTES", 0 if name != "order in memory" else layout.SMALL_BYTES)
    if name == "order in memory":
        monkeypatch.setattr(layout, "BLOCK_BYTES", 100 * n_bytes)
    to_nd5(NETWORKS[name], tmp_path / "a.nd5")
    with h5py.File(tmp_path / "a.nd5") as file:
        assert any(d.chunks for d in file["projections/0"].values())
    assert from_nd5(tmp_path / "a.nd5").fingerprint == NETWORKS[name].fingerprint


def test_the_same_network_gives_the_same_bytes(tmp_path):
    for name in ("a", "b"):
        to_nd5(every_kind()[0], tmp_path / f"{name}.nd5")
    assert (tmp_path / "a.nd5").read_bytes() == (tmp_path / "b.nd5").read_bytes()


def test_zeros_take_no_room_and_sparse_synapses_are_stored_as_such(tmp_path):
    """A million weights of which 1000 are not zero: 2 MB in memory; a list of them takes 14 kB, and 4 kB for the rest."""
    weights = np.zeros((1000, 1000), int)
    weights[np.arange(1000), RNG.permutation(1000)] = RNG.integers(1, 100, 1000)
    source, target = np.nonzero(weights.T)
    sparse = Sparse(n_target=1000, start=np.arange(1001), target=target, weights=weights[target, source])
    for name, synapses in {"dense": weights, "sparse": sparse}.items():
        to_nd5(one_layer(synapses), tmp_path / f"{name}.nd5")
    assert (tmp_path / "dense.nd5").stat().st_size < 20_000
    assert (tmp_path / "sparse.nd5").stat().st_size < 18_000
    with h5py.File(tmp_path / "sparse.nd5") as file:
        assert {name: d.shape for name, d in file["projections/0"].items()} == {
            "start": (1001,),
            "target": (1000,),
            "weights": (1000,),
        }


def datasets(file):
    places = []
    file.visit(places.append)
    return [place for place in places if isinstance(file[place], h5py.Dataset)]


def test_the_layout_holds_plain_types_only(tmp_path):
    to_nd5(every_kind()[0], tmp_path / "a.nd5")
    to_nd5(NETWORKS["masks and delays"], tmp_path / "b.nd5")
    kinds = set()
    for name in ("a", "b"):
        with h5py.File(tmp_path / f"{name}.nd5") as file:
            assert file.attrs["format"] == b"neurodeploy-network"
            assert file.attrs["version"] == 1
            kinds |= {file.attrs.get_id(key).dtype.kind for key in file.attrs}
            kinds |= {file[place].dtype.kind for place in datasets(file)}
            assert json.loads(file["header"][()])["dt"] == 1e-3
    assert kinds == {"S", "i", "u"}


def test_every_field_of_a_network_is_written():
    assert {f.name for f in fields(Network)} == {"dt", *SECTIONS}


class TestWhatIsRefused:
    def test_a_file_that_exists_stays_without_force(self, tmp_path):
        path = tmp_path / "a.nd5"
        path.write_text("mine")
        with pytest.raises(FileError, match=r"nd5: .*a\.nd5 exists; choose another name or pass force \(--force\)"):
            to_nd5(NETWORKS["ledger"], path)
        assert path.read_text() == "mine"
        to_nd5(NETWORKS["ledger"], path, force=True)
        assert from_nd5(path).fingerprint == NETWORKS["ledger"].fingerprint

    def test_a_folder_that_is_not_there(self, tmp_path):
        with pytest.raises(FileError, match=r"no/a\.nd5 cannot be written \(.*No such file.*\); check the folder"):
            to_nd5(NETWORKS["ledger"], tmp_path / "no" / "a.nd5")

    @pytest.mark.parametrize(
        ("change", "message"),
        [
            ({"dt": np.float32(1e-3)}, r"nd5: dt is .*0\.001\d*\)?, but must be a number to be written"),
            (
                {"ledger": (Approximation(where="a", what="b", size=3),)},
                "nd5: ledger, number 0: size is 3, but must be text",
            ),
            ({"ledger": (Approximation(where="\ud800", what="b", size=""),)}, "nd5: ledger, number 0: where is "),
        ],
    )
    def test_values_that_would_come_back_as_others(self, change, message, tmp_path):
        with pytest.raises(NetworkError, match=message):
            to_nd5(replace(chain([((4,),)]), **change), tmp_path / "a.nd5")
        assert not list(tmp_path.iterdir())

    def test_numbers_of_numpy_are_written_as_the_same_numbers(self, tmp_path):
        network = chain({"p": ((4,),)}, ResonateAndFire(sin_decay=1, cos_decay=2, threshold=3, reset=np.bool_(True)))
        network = replace(
            network, dt=np.float64(0.25), populations=(replace(network.populations[0], first_step=np.int64(3)),)
        )
        to_nd5(network, tmp_path / "a.nd5")
        assert from_nd5(tmp_path / "a.nd5").fingerprint == network.fingerprint

    def test_a_pooling_that_a_reader_would_not_check(self, tmp_path, monkeypatch):
        monkeypatch.setattr(layout, "MAX_WINDOWS", 23)
        with pytest.raises(
            NetworkError, match=r"nd5: projection 'w2': pool of 4 channels with windows \(2, 3\), 24 places; at"
        ):
            to_nd5(NETWORKS["convolution and pooling"], tmp_path / "a.nd5")
        monkeypatch.setattr(layout, "MAX_WINDOWS", 24)
        to_nd5(NETWORKS["convolution and pooling"], tmp_path / "a.nd5")

    def test_a_header_that_a_reader_would_not_read(self, tmp_path, monkeypatch):
        monkeypatch.setattr(write, "MAX_HEADER", 300)
        with pytest.raises(NetworkError, match=r"names, numbers and the ledger take \d+ bytes, a file holds 300"):
            to_nd5(NETWORKS["ledger"], tmp_path / "a.nd5")


class TestReadingBack:
    """What the disk does not give back is not put in place, and an older file stays."""

    @pytest.fixture
    def older(self, tmp_path):
        to_nd5(NETWORKS["ledger"], tmp_path / "a.nd5")
        return tmp_path / "a.nd5"

    def test_other_numbers(self, older, monkeypatch):
        honest = write._write_array
        monkeypatch.setattr(write, "_write_array", lambda file, place, array: honest(file, place, np.flip(array)))
        with pytest.raises(
            MismatchError, match="does not give the network back: .* holds other numbers than were written"
        ):
            to_nd5(every_kind()[0], older, force=True)
        self.stayed(older)

    def test_another_ledger(self, older, monkeypatch):
        header = write._header(chain([((4,),)]))
        monkeypatch.setattr(write, "_header", lambda _: header)
        with pytest.raises(MismatchError, match="does not give the ledger of the network back"):
            to_nd5(NETWORKS["ledger"], older, force=True)
        self.stayed(older)

    def test_an_interruption(self, older, monkeypatch):
        def interrupted(*_):
            raise KeyboardInterrupt

        monkeypatch.setattr(write, "_write_array", interrupted)
        with pytest.raises(KeyboardInterrupt):
            to_nd5(every_kind()[0], older, force=True)
        self.stayed(older)

    @staticmethod
    def stayed(path):
        assert from_nd5(path).fingerprint == NETWORKS["ledger"].fingerprint
        assert [p.name for p in path.parent.iterdir()] == ["a.nd5"]


FULL_DISK = """
import resource, signal, sys
import numpy as np
from building import one_layer
from neurodeploy.exchange.nd5.write import to_nd5

network = one_layer(np.random.default_rng(0).integers(-200, 200, (600, 600)))
signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
resource.setrlimit(resource.RLIMIT_FSIZE, (int(sys.argv[2]),) * 2)
try:
    to_nd5(network, sys.argv[1])
except Exception as error:
    print(type(error).__name__, error)
"""


@pytest.mark.skipif(sys.platform == "win32", reason="has no limits for a process")
@pytest.mark.parametrize("n_bytes", [300, 5_000, 100_000, 400_000])
def test_a_disk_that_is_full_is_one_error_and_no_file(n_bytes, tmp_path):
    """HDF5 itself would end the process with a segmentation fault."""
    done = subprocess.run(
        [sys.executable, "-c", FULL_DISK, str(tmp_path / "a.nd5"), str(n_bytes)],
        capture_output=True,
        text=True,
        env={"PYTHONPATH": ":".join(sys.path)},
        check=False,
    )
    assert done.returncode == 0, done.stderr
    assert done.stderr == ""
    assert done.stdout.startswith("FileError nd5: ")
    assert "cannot be written" in done.stdout
    assert not list(tmp_path.iterdir())


def test_graded_inputs_and_neurons_of_other_kinds_are_told_apart(tmp_path):
    """The same weights behind an input of plain spikes and one of payloads are two networks, in files too."""
    for i, given in enumerate([entry("in", (1,)), entry("in", (1,), 8), entry("in", (1,), True)]):
        network = replace(
            chain({"p": ((4,),)}, Delta(threshold=1), extra=[connect("p", "p", ((1,),))]), inputs=(given,)
        )
        to_nd5(network, tmp_path / f"{i}.nd5")
    assert len({from_nd5(tmp_path / f"{i}.nd5").fingerprint for i in range(3)}) == 3

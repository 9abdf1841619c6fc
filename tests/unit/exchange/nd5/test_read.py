"""Files that are damaged, foreign or hostile: one message that names the file, what is wrong and what to do."""

import hashlib
import json
import shutil
import subprocess
import sys
import tracemalloc
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress

import h5py
import numpy as np
import pytest
from building import chain, connect, neuron, one_layer

from neurodeploy.errors import FileError, NetworkError
from neurodeploy.exchange.nd5 import read
from neurodeploy.exchange.nd5.read import from_nd5
from neurodeploy.exchange.nd5.write import to_nd5
from neurodeploy.exchange.netx.write import to_netx
from neurodeploy.exchange.nir.write import to_nir
from neurodeploy.files.progress import reading
from neurodeploy.network import Conv, Network, Pool, Sparse

LARGE = 300


def example() -> Network:
    """A convolution, a pooling, a matrix with mask and delays, and a loop of sparse synapses; 300 neurons at the end."""
    rng = np.random.default_rng(0)
    conv = Conv(weights=rng.integers(-9, 9, (2, 1, 3, 3)), input_shape=(1, 6, 6))
    pool = Pool(input_shape=(2, 4, 4), kernel=(2, 2), stride=(2, 2), weight=32)
    kept = rng.random((LARGE, 8)) < 0.5
    model = {name: neuron() for name in ("conv", "pool")} | {"dense": neuron(threshold=rng.integers(1, 99, LARGE))}
    n = np.arange(LARGE)
    loop = Sparse(n_target=LARGE, start=np.arange(LARGE + 1), target=n[::-1].copy(), weights=n % 100)
    more = {"dense": {"mask": kept, "delay": rng.integers(0, 9, (LARGE, 8))}}
    extra = [connect("dense", "dense", loop, "loop", delay=n % 60)]
    layers = {"conv": conv, "pool": pool, "dense": kept * rng.integers(-9, 9, (LARGE, 8))}
    return chain(layers, model, more=more, extra=extra)


NETWORK = example()


@pytest.fixture(scope="module")
def whole(tmp_path_factory):
    path = tmp_path_factory.mktemp("nd5") / "whole.nd5"
    to_nd5(NETWORK, path)
    return path


@pytest.fixture
def copy(whole, tmp_path):
    return shutil.copy(whole, tmp_path / "a.nd5")


def change_header(path, change):
    """Change the header by a function of its values, or replace it by text; its hash is made anew."""
    with h5py.File(path, "a") as file:
        values = json.loads(file["header"][()])
        text = change if isinstance(change, bytes) else b""
        if not text:
            change(values)
            text = json.dumps(values).encode()
        del file["header"]
        file["header"] = np.bytes_(text)
        file.attrs["header_sha256"] = np.bytes_(hashlib.sha256(text).hexdigest())


def refusal(path, kind=FileError):
    """Return what the reader says; it names the file."""
    with pytest.raises(kind) as caught:
        from_nd5(path)
    assert str(caught.value).startswith(f"nd5: {path}") or str(caught.value) == f"nd5: there is no file {path}"
    return str(caught.value)


class TestForeignFiles:
    def test_no_file_and_a_folder(self, tmp_path):
        assert refusal(tmp_path / "no.nd5") == f"nd5: there is no file {tmp_path / 'no.nd5'}"
        assert "there is no file" in refusal(tmp_path)

    @pytest.mark.parametrize(
        ("content", "message"),
        [
            (b"", " is empty; write one: neurodeploy export NETWORK --out a.nd5"),
            (b"text\n", " is no HDF5 file, so no .nd5 file"),
        ],
    )
    def test_empty_and_text(self, content, message, tmp_path):
        (tmp_path / "a.nd5").write_bytes(content)
        assert message in refusal(tmp_path / "a.nd5")

    @pytest.mark.parametrize(("write", "suffix"), [(to_nir, ".nir"), (to_netx, ".net")])
    def test_network_files_of_other_formats_are_recognised(self, write, suffix, tmp_path):
        path = tmp_path / "a.nd5"
        write(one_layer([[4, 2]]), path)
        assert (
            f"without the attribute 'format', so no .nd5 file; it looks like a {suffix} file, so name it so"
            in refusal(path)
        )

    def test_other_hdf5_files(self, tmp_path):
        with h5py.File(tmp_path / "a.nd5", "w") as file:
            file["x"] = 1
        assert "without the attribute 'format'" in refusal(tmp_path / "a.nd5")
        with h5py.File(tmp_path / "a.nd5", "a") as file:
            file.attrs["format"] = np.bytes_("weather")
        assert "has the format 'weather', expected 'neurodeploy-network'" in refusal(tmp_path / "a.nd5")

    @pytest.mark.parametrize(
        ("version", "message"),
        [(2, "is of version 2, this neurodeploy reads version 1; update neurodeploy"), (0, "is of version 0")],
    )
    def test_other_versions_are_refused_before_anything_is_read(self, version, message, copy):
        with h5py.File(copy, "a") as file:
            file.attrs["version"] = np.int64(version)
            del file["header"]
        assert message in refusal(copy)

    def test_a_file_that_may_not_be_read(self, copy, monkeypatch):
        def denied(*_, **__):
            raise PermissionError(13, "Permission denied")

        monkeypatch.setattr("pathlib.Path.open", denied)
        assert "cannot be read ([Errno 13] Permission denied); check its permissions" in refusal(copy)

    def test_a_file_that_another_program_writes(self, copy):
        code = f"import h5py; f = h5py.File({str(copy)!r}, 'a'); print('open', flush=True); input()"
        with subprocess.Popen([sys.executable, "-c", code], stdin=-1, stdout=-1, text=True) as other:
            assert other.stdout.readline() == "open\n"
            said = refusal(copy)
            other.communicate("\n")
        assert "is open for writing in another program" in said
        assert "try again later" in said


ATTRIBUTES = {
    "text of any length": ("format", "neurodeploy-network"),
    "two numbers": ("version", np.array([1, 1])),
    "a float": ("version", 1.0),
    "nothing": ("fingerprint", h5py.Empty("S64")),
    "a long text": ("fingerprint", np.bytes_("a" * 1000)),
    "bytes that are no text": ("fingerprint", np.bytes_(b"\xff" * 64)),
}


class TestAttributes:
    @pytest.mark.parametrize("name", ["version", "fingerprint", "header_sha256"])
    def test_missing(self, name, copy):
        with h5py.File(copy, "a") as file:
            del file.attrs[name]
        assert f"lacks the attribute '{name}'; export the network again, or get a whole copy" in refusal(copy)

    @pytest.mark.parametrize("case", ATTRIBUTES)
    def test_of_another_type(self, case, copy):
        name, value = ATTRIBUTES[case]
        with h5py.File(copy, "a") as file:
            del file.attrs[name]
            file.attrs[name] = value
        assert name in refusal(copy) or "is damaged" in refusal(copy)

    def test_a_fingerprint_of_other_numbers(self, copy):
        with h5py.File(copy, "a") as file:
            file.attrs["fingerprint"] = np.bytes_("0" * 64)
        said = refusal(copy)
        assert f"their fingerprint is {NETWORK.fingerprint[:12]}..., that in the file 000000000000..." in said


class TestNumbersThatChanged:
    def test_one_weight(self, copy):
        with h5py.File(copy, "a") as file:
            file["projections/2/weights"][7, 3] += 1
        with suppress(NetworkError):  # it may lie outside the mask
            assert "holds other numbers than were written" in refusal(copy)

    def test_a_value_of_the_header_without_its_hash(self, copy):
        with h5py.File(copy, "a") as file:
            text = file["header"][()].replace(b'"threshold": 100', b'"threshold": 101')
            del file["header"]
            file["header"] = np.bytes_(text)
        assert "the header is not the one that was written" in refusal(copy)

    def test_a_ledger_without_its_hash(self, tmp_path):
        """The fingerprint leaves the ledger out; the hash of the header does not."""
        from neurodeploy.network import Approximation

        path = tmp_path / "a.nd5"
        to_nd5(chain([((4,),)], ledger=[Approximation(where="in", what="rounded", size="1/2")]), path)
        path.write_bytes(path.read_bytes().replace(b"rounded", b"sounded"))
        assert "the header is not the one that was written" in refusal(path)


def set_in(*keys):
    """Return a change that sets a value of the header, or removes it."""
    *path, last, value = keys

    def change(values):
        for key in path:
            values = values[key]
        values.pop(last) if value is ... else values.__setitem__(last, value)

    return change


SYNAPSES = {
    "kind": "sparse",
    "n_target": LARGE,
    "start": {"shape": [LARGE + 1]},
    "target": {"shape": [LARGE]},
    "weights": {"shape": [LARGE]},
}
"""The loop of ``example`` in the header."""
HEADERS = {
    "no JSON": (b"{", "the header is no JSON text"),
    "no table": (b"[]", "the header is no table of values"),
    "deep": (b"[" * 100_000, "the header is no JSON text"),
    "long number": (b'{"dt": ' + b"9" * 5000 + b"}", "a number of 5000 digits"),
    "not a number": (b'{"dt": NaN}', "the header is no JSON text"),
    "no text": (b'{"dt": "\xff"}', "the header is no JSON text"),
    "a section too few": (
        set_in("outputs", ...),
        "the header holds dt, inputs, populations, projections, ledger, expected dt",
    ),
    "a section too many": (set_in("plan", []), "expected dt, inputs, populations, projections, outputs, ledger"),
    "a section of another type": (set_in("inputs", {}), "'inputs' of the header is no list"),
    "an entry of another type": (set_in("inputs", 0, 3), "inputs, number 0 is no table of values"),
    "unknown field": (
        set_in("inputs", 0, "colour", 3),
        "inputs, number 0 has 'colour', which this version of neurodeploy does not know (known: name, shape,",
    ),
    "unknown field of a neuron": (
        set_in("populations", 0, "model", "colour", 3),
        "populations, number 0: model has 'colour', which this version of neurodeploy does not know",
    ),
    "missing field": (set_in("projections", 1, "source", ...), "projections, number 1 lacks 'source'"),
    "missing parameter": (set_in("populations", 0, "model", "threshold", ...), "number 0: model lacks 'threshold'"),
    "unknown neuron": (
        set_in("populations", 0, "model", "kind", "hopf"),
        "populations, number 0: model is of kind 'hopf'; known: cuba, leaky_integrator",
    ),
    "unknown synapses": (
        set_in("projections", 0, "synapses", {"kind": []}),
        "synapses is of kind []; known: dense, sparse",
    ),
    "text for a number": (set_in("populations", 0, "first_step", "1"), "first_step is '1', expected a whole number"),
    "float for a number": (set_in("populations", 0, "first_step", 1.0), "first_step is 1.0, expected a whole number"),
    "truth for a number": (set_in("populations", 0, "first_step", True), "first_step is True, expected a whole number"),
    "number for truth": (set_in("inputs", 0, "signed", 0), "signed is 0, expected true or false"),
    "number for text": (set_in("inputs", 0, "name", 0), "name is 0, expected text"),
    "half a letter": (set_in("inputs", 0, "name", "\ud800"), r"name is '\ud800', expected text"),
    "unknown word": (set_in("outputs", 0, "decoding", "loudest"), "decoding is 'loudest', expected 'count' or"),
    "parameter of another type": (
        set_in("populations", 0, "model", "bias", [1]),
        "bias is [1], expected a whole number or an",
    ),
    "negative size": (set_in("inputs", 0, "shape", [-1]), "shape is [-1], expected a list of whole numbers"),
    "two sizes for three": (
        set_in("projections", 0, "synapses", "input_shape", [6, 6]),
        "input_shape is [6, 6], expected a",
    ),
    "step of another type": (set_in("dt", "1 ms"), "dt is '1 ms', expected a number"),
    "unknown source": (set_in("projections", 0, "source", "x"), "source is 'x', which is neither input nor population"),
    "parameters of another shape": (
        set_in("populations", 2, "model", "threshold", {"shape": [2**40]}),
        "populations, number 2: threshold has shape (1099511627776,), expected (300,)",
    ),
    "weights of another shape": (
        set_in("projections", 2, "synapses", "weights", {"shape": [2**20, 2**20]}),
        "projections, number 2: weights has shape (1048576, 1048576), expected (300, 8)",
    ),
    "more synapses than pairs": (
        set_in("projections", 3, "synapses", SYNAPSES | {"target": {"shape": [90001]}, "weights": {"shape": [90001]}}),
        "projections, number 3: weights has shape (90001,), expected (90000,)",
    ),
    "fewer targets than weights": (
        set_in("projections", 3, "synapses", SYNAPSES | {"target": {"shape": [299]}}),
        "projections, number 3: target has shape (299,), expected (300,)",
    ),
    "fewer sources": (
        set_in("projections", 3, "synapses", "start", {"shape": [LARGE]}),
        "start has shape (300,), expected (301,)",
    ),
    "kernels larger than the image": (
        set_in("projections", 0, "synapses", "weights", {"shape": [2, 1, 2**40, 3]}),
        "weights has shape (2, 1, 1099511627776, 3), expected (2, 1, 6, 3)",
    ),
    "mask of another shape": (
        set_in("projections", 2, "mask", {"shape": [8, LARGE]}),
        "mask has shape (8, 300), expected (300, 8)",
    ),
    "mask of a pooling": (
        set_in("projections", 1, "mask", {"shape": [1]}),
        "mask has shape (1,), expected none, for there",
    ),
    "delays of another shape": (
        set_in("projections", 2, "delay", {"shape": [7]}),
        "delay has shape (7,), expected (8,) or (300, 8)",
    ),
}

VALUES = {
    "step": (set_in("dt", 0), "dt is 0, must be a positive number of seconds"),
    "endless step": (set_in("dt", 1e999), "the header is no JSON text"),
    "decay": (
        set_in("populations", 0, "model", "current_decay", 5000),
        "populations, number 0: network: current_decay is 5000",
    ),
    "size": (set_in("outputs", 0, "population", "in"), "output 'out' reads 'in', which is no population"),
    "shape": (set_in("inputs", 0, "shape", [35]), "connects 36 to 32 neurons, but 'in' has 35"),
    "payload": (set_in("inputs", 0, "payload_bits", 99), "payload_bits is 99, outside 0..31"),
    "exponent": (
        set_in("projections", 0, "weight_exponent", -9),
        "projections, number 0: network: projection 'w1': weight_exp",
    ),
    "names": (set_in("projections", 0, "name", "w2"), "projection name used twice: w2"),
    "windows": (set_in("projections", 1, "synapses", "kernel", [2**20, 2**20]), "pool of 2 channels with windows"),
}


class TestHeader:
    @pytest.mark.parametrize("case", HEADERS)
    def test_refused(self, case, copy):
        change, message = HEADERS[case]
        change_header(copy, change)
        said = refusal(copy)
        assert message in said
        assert said.endswith(
            ("; export the network again, or get a whole copy", "update neurodeploy, or export the network again")
        )

    @pytest.mark.parametrize("case", VALUES)
    def test_values_out_of_range(self, case, copy):
        change, message = VALUES[case]
        change_header(copy, change)
        assert message in refusal(copy, (NetworkError, FileError))

    def test_what_has_a_default_may_be_left_out(self, copy):
        """So a field that later versions add is no reason to refuse the files from before."""
        change_header(copy, set_in("populations", 0, "model", "reset", ...))
        change_header(copy, set_in("projections", 0, "component", ...))
        assert from_nd5(copy).fingerprint == NETWORK.fingerprint

    def test_remarks_of_others_are_no_reason_to_refuse(self, copy):
        with h5py.File(copy, "a") as file:
            file.attrs["remark"] = "mine"
            file["remarks/all"] = [1, 2]
            file["projections/0/remark"] = "mine"
        assert from_nd5(copy).fingerprint == NETWORK.fingerprint

    @pytest.mark.parametrize("value", [h5py.Empty("S10"), [b"a", b"b"], 3, "text of any length"])
    def test_of_another_type(self, value, copy):
        with h5py.File(copy, "a") as file:
            del file["header"]
            file["header"] = value
        assert "'header' " in refusal(copy)


PLACE = "projections/2/weights"


def replaced(file, data=None, place=PLACE, **how):
    del file[place]
    file.create_dataset(place, data=data, **how)


def virtual(file, place=PLACE):
    del file[place]
    layout = h5py.VirtualLayout((LARGE, 8), "<i2")
    layout[...] = h5py.VirtualSource("other.h5", "x", shape=(LARGE, 8))
    file.create_virtual_dataset(place, layout)


def linked(link):
    def change(file):
        del file[PLACE]
        file[PLACE] = link

    return change


def moved_group(file):
    file["elsewhere"] = file["projections"]
    del file["projections"]
    file["projections"] = h5py.SoftLink("/elsewhere")


def packed_by(number):
    def change(file):
        del file[PLACE]
        made = h5py.h5p.create(h5py.h5p.DATASET_CREATE)
        made.set_chunk((LARGE, 8))
        made.set_filter(number, h5py.h5z.FLAG_OPTIONAL)
        space = h5py.h5s.create_simple((LARGE, 8))
        h5py.h5d.create(file.id, PLACE.encode(), h5py.h5t.STD_I16LE, space, made)

    return change


def claimed(shape, **how):
    return lambda file: replaced(file, shape=shape, dtype="<i2", **how)


RIGHT = np.zeros((LARGE, 8), "<i2")
DATASETS = {
    "missing": (lambda file: file.__delitem__(PLACE), f"'{PLACE}' is not there"),
    "missing group": (lambda file: file.__delitem__("projections"), "'projections/0/weights' is not there"),
    "a group": (lambda file: [file.__delitem__(PLACE), file.create_group(PLACE)], f"'{PLACE}' holds no numbers"),
    "a type": (linked(np.dtype("<i2")), f"'{PLACE}' holds no numbers"),
    "no value": (linked(h5py.Empty("<i2")), f"'{PLACE}' holds no numbers"),
    "other type": (
        lambda file: replaced(file, RIGHT.astype("<i4")),
        f"'{PLACE}' is int32 (300, 8), expected int16 (300, 8)",
    ),
    "big-endian": (lambda file: replaced(file, RIGHT.astype(">i2")), "is >i2 (300, 8), expected int16"),
    "floats": (lambda file: replaced(file, RIGHT.astype(float)), "is float64 (300, 8), expected int16"),
    "other shape": (lambda file: replaced(file, RIGHT.T), "is int16 (8, 300), expected int16 (300, 8)"),
    "any length": (
        lambda file: replaced(file, shape=(LARGE, 8), dtype=h5py.vlen_dtype(np.int16)),
        "holds lists or references",
    ),
    "objects": (
        lambda file: replaced(file, shape=(LARGE, 8), dtype=h5py.ref_dtype),
        "holds lists or references",
    ),
    "table": (lambda file: replaced(file, shape=(LARGE, 8), dtype=[("a", "<i2")]), "expected int16 (300, 8)"),
    "soft link": (
        linked(h5py.SoftLink("/projections/0/weights")),
        f"'{PLACE}' is a link; .nd5 files hold their data themselves",
    ),
    "external link": (linked(h5py.ExternalLink("other.h5", "/x")), f"'{PLACE}' is a link"),
    "linked group": (moved_group, "is a link"),
    "virtual": (virtual, f"'{PLACE}' lies in another file"),
    "external": (
        lambda file: replaced(file, shape=(LARGE, 8), dtype="<i2", external=[("other.raw", 0, 4800)]),
        f"'{PLACE}' lies in another file",
    ),
    "no numbers stored": (claimed((LARGE, 8)), "should hold 4800 bytes, but 0 bytes for it in a file of"),
    "strange filter": (packed_by(32001), "is packed with HDF5's filter 32001; known: gzip, shuffle, fletcher32"),
}


class TestDatasets:
    @pytest.mark.parametrize("case", DATASETS)
    def test_refused(self, case, copy, tmp_path):
        with h5py.File(tmp_path / "other.h5", "w") as file:
            file["x"] = RIGHT
        (tmp_path / "other.raw").write_bytes(bytes(4800))
        change, message = DATASETS[case]
        with h5py.File(copy, "a") as file:
            change(file)
        assert message in refusal(copy)

    def test_other_files_are_not_opened(self, copy, tmp_path, monkeypatch):
        """A pipe without a writer would keep whoever opens it waiting for ever."""
        import os

        monkeypatch.chdir(tmp_path)
        os.mkfifo(tmp_path / "pipe")
        with h5py.File(copy, "a") as file:
            replaced(file, shape=(LARGE, 8), dtype="<i2", external=[("pipe", 0, 4800)])
        assert "lies in another file" in refusal(copy)

    def test_a_size_beyond_what_the_file_can_hold_takes_no_memory(self, tmp_path):
        """Header and dataset agree on 100 million synapses; in the file there is nothing of them."""
        path, n = tmp_path / "a.nd5", 10**8
        to_nd5(one_layer(Sparse(n_target=2, start=[0, 1], target=[0], weights=[1])), path)
        shapes = {"target": {"shape": [n]}, "weights": {"shape": [n]}}

        def change(values):
            values["populations"][0]["shape"] = [n]
            values["projections"][0]["synapses"] |= {"n_target": n, **shapes}

        change_header(path, change)
        with h5py.File(path, "a") as file:
            for name, dtype in {"target": "<i4", "weights": "<i2"}.items():
                replaced(
                    file, place=f"projections/0/{name}", shape=(n,), dtype=dtype, chunks=(2**18,), compression="gzip"
                )
        tracemalloc.start()
        assert "'projections/0/target' claims 400,000,000 bytes, the 0 stored for it" in refusal(path)
        assert tracemalloc.get_traced_memory()[1] < 2**21
        tracemalloc.stop()

    def test_zeros_packed_as_far_as_they_can_be_are_read(self, tmp_path):
        """The bound on sizes is above the best that the filter can do."""
        network = one_layer(np.zeros((3000, 2000), int), mask=np.zeros((3000, 2000), bool))
        to_nd5(network, tmp_path / "a.nd5")
        with h5py.File(tmp_path / "a.nd5") as file:
            weights = file["projections/0/weights"]
            assert weights.size * 2 > 700 * weights.id.get_storage_size()
        assert from_nd5(tmp_path / "a.nd5").fingerprint == network.fingerprint

    def test_chunks_that_would_take_too_much_to_unpack(self, copy, monkeypatch):
        monkeypatch.setattr(read, "MAX_CHUNK", 1000)
        assert "lies in chunks of" in refusal(copy)

    def test_other_chunks_and_no_packing_give_the_same_network(self, copy):
        """As h5repack leaves a file."""
        with h5py.File(copy, "a") as file:
            for place in (PLACE, "projections/2/mask", "projections/3/target"):
                data = file[place][()]
                replaced(file, data, place, chunks=tuple(min(n, 7) for n in data.shape), compression=9, fletcher32=True)
            replaced(file, file["projections/3/weights"][()], "projections/3/weights")
        assert from_nd5(copy).fingerprint == NETWORK.fingerprint

    @pytest.mark.parametrize("place", ["projections/3/start", "projections/3/target", PLACE, "projections/2/mask"])
    def test_values_that_a_network_refuses(self, place, copy):
        with h5py.File(copy, "a") as file:
            file[place][...] = (
                file[place][()][::-1].copy()
                if place.endswith("start")
                else 777
                if place.endswith("target")
                else 300
                if place == PLACE
                else 77
            )
        assert f"{place.rsplit('/', 1)[0].replace('/', ', number ')}: network: " in refusal(copy, NetworkError)


@pytest.mark.parametrize("share", [0.1, 0.5, 0.9, 0.999])
def test_a_file_that_was_cut_off(share, whole, tmp_path):
    content = whole.read_bytes()
    (tmp_path / "a.nd5").write_bytes(content[: int(share * len(content))])
    assert "is damaged (" in refusal(tmp_path / "a.nd5")


class TestCrowds:
    def test_the_file_is_closed_so_that_the_path_can_be_written_again(self, copy):
        from_nd5(copy)
        to_nd5(one_layer([[4, 2]]), copy, force=True)
        assert from_nd5(copy).fingerprint == one_layer([[4, 2]]).fingerprint
        with h5py.File(copy, "a") as file:
            del file["header"]
        refusal(copy)
        to_nd5(NETWORK, copy, force=True)
        with h5py.File(copy, "a"):  # nobody holds it open, in any mode
            pass

    def test_many_threads_read_at_once(self, whole):
        with ThreadPoolExecutor(8) as threads:
            found = list(threads.map(lambda _: from_nd5(whole).fingerprint, range(24)))
        assert set(found) == {NETWORK.fingerprint}

    def test_many_processes_read_at_once(self, whole):
        code = f"from neurodeploy.exchange.nd5.read import from_nd5; print(from_nd5({str(whole)!r}).fingerprint)"
        readers = [subprocess.Popen([sys.executable, "-c", code], stdout=subprocess.PIPE, text=True) for _ in range(3)]
        found = {reader.communicate(timeout=120)[0].strip() for reader in readers}
        assert found == {NETWORK.fingerprint}


def test_how_far_reading_is_is_told_up_to_all(whole):
    told = []
    token = reading.set(lambda *call: told.append(call))
    try:
        from_nd5(whole)
    finally:
        reading.reset(token)
    names, done, of = zip(*told)
    assert set(names) == {str(whole)}
    assert list(done) == sorted(done)
    assert done[-1] == of[-1] > LARGE * 8


def test_reading_takes_little_more_memory_than_the_network(tmp_path):
    """Two million weights of 2 bytes in a matrix; of a list of synapses 6 bytes each, and 7 while it is checked."""
    rng = np.random.default_rng(0)
    matrix = rng.integers(-200, 200, (1000, 2000))
    target = np.tile(np.arange(1000), 2000)
    sparse = Sparse(n_target=1000, start=np.arange(0, 2 * 10**6 + 1, 1000), target=target, weights=matrix.T.ravel())
    for synapses, most in ((matrix, 4 * 10**6), (sparse, (6 + 8) * 2 * 10**6)):
        to_nd5(one_layer(synapses), tmp_path / "a.nd5", force=True)
        from_nd5(tmp_path / "a.nd5")
        tracemalloc.start()
        from_nd5(tmp_path / "a.nd5")
        peak = tracemalloc.get_traced_memory()[1]
        tracemalloc.stop()
        assert peak < most + 4 * 2**20

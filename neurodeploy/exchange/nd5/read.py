"""Reading of ``.nd5`` files; links, types, shapes and sizes are checked before numbers are read, for any file may come."""

from __future__ import annotations

import hashlib
import math
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from neurodeploy.errors import FileError, NetworkError
from neurodeploy.exchange.nd5.layout import (
    AGAIN,
    FORMAT,
    HEADER,
    MAX_CHUNK,
    MAX_HEADER,
    VERSION,
    blocks,
    check_pool,
    stored_shape,
    stored_type,
)
from neurodeploy.exchange.nd5.values import SECTIONS, Values, number, values_of
from neurodeploy.files.hdf5 import Refused, is_hdf5, open_hdf5
from neurodeploy.files.json_text import parse_json
from neurodeploy.files.progress import reading
from neurodeploy.files.unreadable import UNREADABLE, plain_text
from neurodeploy.network import Conv, Dense, Network, Pool, Shape, Sparse

if TYPE_CHECKING:
    import h5py

_FILTERS = {1: "gzip", 2: "shuffle", 3: "fletcher32"}
"""HDF5's numbers of the filters that are read."""
_GZIP_MOST = 1032
"""Ratio up to which deflate packs anything: its longest match is 258 bytes, the shortest code for one 2 bits."""
_SLACK = 2**16
"""Bytes that a packed array may take whatever it takes in the file."""


@dataclass(frozen=True, slots=True)
class _Opened:
    """An open file, its size in bytes, the beginning of messages about it, and what is told of numbers that were read."""

    file: h5py.File
    n_bytes: int
    where: str
    tell: Callable[[int], None]


def from_nd5(path: Path | str) -> Network:
    """Return the network of a ``.nd5`` file, with its ledger; its fingerprint is held against the one in the file.

    Memory: the network, and blocks of about 1 MiB.

    Raises:
        FileError: if the file is missing, damaged, of another kind or a newer version, or not complete in itself.
        NetworkError: for numbers out of range, and what else a ``Network`` refuses.
    """
    path = Path(path)
    where = f"nd5: {path}"
    _check_kind(path, where)
    try:
        with open_hdf5(path, ".nd5 files") as file:
            return _network(file, path.stat().st_size, where)
    except Refused as error:
        raise FileError(f"{where}: {error}; {AGAIN}") from error
    except UNREADABLE as error:
        if "unable to lock" in str(error):
            raise FileError(f"{where} is open for writing in another program ({error}); try again later") from error
        raise FileError(f"{where} is damaged ({_short(error)}); {AGAIN}") from error


def _check_kind(path: Path, where: str) -> None:
    if not path.is_file():
        raise FileError(f"nd5: there is no file {path}")
    try:
        with path.open("rb") as file:
            empty = not file.read(1)
    except OSError as error:
        raise FileError(f"{where} cannot be read ({error}); check its permissions") from error
    if empty or not is_hdf5(path):
        what = "is empty" if empty else "is no HDF5 file, so no .nd5 file"
        raise FileError(f"{where} {what}; write one: neurodeploy export NETWORK --out {path.name}")


def _network(file: h5py.File, n_bytes: int, where: str) -> Network:
    _check_version(file, where)
    bare = _Opened(file, n_bytes, where, lambda _: None)
    header = _header(bare)
    known = ["dt", *SECTIONS]
    if sorted(header) != sorted(known):
        raise FileError(
            f"{where}: the header holds {', '.join(header) or 'nothing'}, expected {', '.join(known)}; {AGAIN}"
        )
    values = {name: list(_records(header[name], name, kind, where)) for name, kind in SECTIONS.items()}
    _check_shapes(values, where)
    opened = _Opened(file, n_bytes, where, _teller(where.removeprefix("nd5: "), values))
    records = {name: _made(opened, name, given) for name, given in values.items()}
    with _naming(where):
        network = Network(dt=number(header["dt"], where), **records)
    written = _text(file, "fingerprint", where)
    if network.fingerprint != written:
        raise FileError(
            f"{where} holds other numbers than were written: their fingerprint is {network.fingerprint[:12]}..., that in "
            f"the file {written[:12]}...; {AGAIN}"
        )
    return network


def _check_version(file: h5py.File, where: str) -> None:
    if "format" not in file.attrs:
        other = [f"it looks like a {suffix} file, so name it so" for key, suffix in _OTHERS.items() if key in file]
        what = other[0] if other else "write one: neurodeploy export NETWORK --out FILE.nd5"
        raise FileError(f"{where} is an HDF5 file without the attribute 'format', so no .nd5 file; {what}")
    found = _text(file, "format", where)
    if found != FORMAT:
        raise FileError(f"{where} has the format '{found}', expected '{FORMAT}'; give the .nd5 file of a network")
    version = _attribute(file, "version", "iu", where)
    if version != VERSION:
        newer = "update neurodeploy, or export the network again" if version > VERSION else AGAIN
        raise FileError(f"{where} is of version {version}, this neurodeploy reads version {VERSION}; {newer}")


_OTHERS = {"node": ".nir", "layer": ".net"}
"""Groups by which the HDF5 files of other formats are known."""


def _text(file: h5py.File, name: str, where: str) -> str:
    return bytes(_attribute(file, name, "S", where)).decode("ascii")


def _attribute(file: h5py.File, name: str, kinds: str, where: str) -> Any:
    """Return an attribute of the file: one number, or text of fixed length."""
    if name not in file.attrs:
        raise FileError(f"{where} lacks the attribute '{name}'; {AGAIN}")
    found = file.attrs.get_id(name)
    if found.shape != () or found.dtype.kind not in kinds or found.dtype.itemsize > 128:
        raise FileError(f"{where}: attribute '{name}' is {found.dtype} {found.shape}, not one value; {AGAIN}")
    return file.attrs[name]


def _header(opened: _Opened) -> dict[str, Any]:
    dataset = _dataset(opened, HEADER)
    if dataset.shape != () or dataset.dtype.kind != "S" or dataset.dtype.itemsize > MAX_HEADER:
        raise FileError(
            f"{opened.where}: '{HEADER}' is {dataset.dtype} {dataset.shape}, not text of up to {MAX_HEADER} bytes; {AGAIN}"
        )
    _check_stored(opened, dataset, HEADER)
    text = bytes(dataset[()])
    if hashlib.sha256(text).hexdigest() != _text(opened.file, "header_sha256", opened.where):
        raise FileError(f"{opened.where}: the header is not the one that was written; {AGAIN}")
    try:
        header = parse_json(text.decode("utf-8"))
    except ValueError as error:
        raise FileError(
            f"{opened.where}: the header is no JSON text that can be read ({_short(error)}); {AGAIN}"
        ) from error
    if not isinstance(header, dict):
        raise FileError(f"{opened.where}: the header is no table of values; {AGAIN}")
    return header


def _records(entries: Any, section: str, kind: type[Any], where: str) -> Iterator[Values]:
    if not isinstance(entries, list):
        raise FileError(f"{where}: '{section}' of the header is no list; {AGAIN}")
    for i, entry in enumerate(entries):
        yield values_of(kind, entry, f"{where}: {section}, number {i}")


def _check_shapes(values: dict[str, list[Values]], where: str) -> None:
    """Refuse arrays whose shapes do not fit the populations that they belong to or connect.

    Raises:
        FileError: naming the array, its shape and the right one.
    """
    nodes = [*values["inputs"], *values["populations"]]
    sizes = {node["name"]: math.prod(node["shape"]) for node in nodes}
    for i, population in enumerate(values["populations"]):
        for name, _, shape in population.arrays():
            _check_shape(name, shape, [population["shape"]], f"{where}: populations, number {i}")
    for i, projection in enumerate(values["projections"]):
        at = f"{where}: projections, number {i}"
        for end in ("source", "target"):
            if projection[end] not in sizes:
                raise FileError(f"{at}: {end} is '{projection[end]}', which is neither input nor population; {AGAIN}")
        allowed = _shapes(projection, sizes[projection["target"]], sizes[projection["source"]], at)
        for name, _, shape in projection.arrays():
            _check_shape(name, shape, allowed.get(name, []), at)


def _check_shape(name: str, shape: Shape, allowed: list[Shape], where: str) -> None:
    if shape not in allowed:
        right = " or ".join(map(str, allowed)) or "none, for there can be no such array"
        raise FileError(f"{where}: {name} has shape {shape}, expected {right}; {AGAIN}")


def _shapes(projection: Values, n_target: int, n_source: int, where: str) -> dict[str, list[Shape]]:
    """Return the shapes that each array of a projection may have."""
    synapses = projection["synapses"]
    given = {name: shape for name, _, shape in synapses.arrays()}.get("weights", ())
    delays: list[Shape] = [(n_source,)]
    if synapses.kind is Pool:
        with _naming(where):
            check_pool(synapses["input_shape"][0], synapses["kernel"], "nd5")
        return {"delay": delays}
    if synapses.kind is Dense:
        weights: Shape = (n_target, n_source)
        delays.append(weights)
    elif synapses.kind is Sparse:
        weights = (min(math.prod(given), n_target * n_source),)
    elif synapses.kind is Conv:
        padding = synapses.fields.get("padding", (0, 0))
        height, width = (n + 2 * pad for n, pad in zip(synapses["input_shape"][1:], padding))
        most = (n_target, synapses["input_shape"][0], height, width)
        weights = tuple(map(min, given, most)) if len(given) == 4 else most
    else:
        weights = given
    return {"start": [(n_source + 1,)], "target": [given], "weights": [weights], "mask": [weights], "delay": delays}


def _made(opened: _Opened, section: str, values: list[Values]) -> tuple[Any, ...]:
    return tuple(_record(opened, f"{section}/{i}", given) for i, given in enumerate(values))


def _record(opened: _Opened, group: str, values: Values) -> Any:
    arrays = {name: _array(opened, f"{group}/{name}", dtype, shape) for name, dtype, shape in values.arrays()}
    with _naming(f"{opened.where}: {group.replace('/', ', number ')}"):
        return values.record(arrays)


@contextmanager
def _naming(where: str) -> Iterator[None]:
    """Put the file and the place into errors of records."""
    try:
        yield
    except NetworkError as error:
        raise NetworkError(f"{where}: {error}; {AGAIN}") from error


def _array(opened: _Opened, place: str, dtype: np.dtype[Any], shape: Shape) -> NDArray[Any]:
    """Return the array of a dataset, read block by block, so that each block is unpacked once; it is read-only."""
    dataset = _dataset(opened, place)
    stored, lies = stored_type(dtype), stored_shape(dtype, shape)
    if dataset.dtype != stored or dataset.shape != lies:
        raise FileError(
            f"{opened.where}: '{place}' is {dataset.dtype} {dataset.shape}, expected {stored} {lies}; {AGAIN}"
        )
    _check_stored(opened, dataset, place)
    array = np.empty(shape, dtype)
    flat = array.reshape(-1)
    for block in blocks(lies, stored.itemsize):
        if dtype == np.bool_:
            bits = flat[8 * block[0].start : 8 * block[0].stop]
            bits[...] = np.unpackbits(dataset[block], count=bits.size)
        else:
            dataset.read_direct(array, block, block)
        opened.tell(math.prod(part.stop - part.start for part in block))
    array.setflags(write=False)
    return array


def _dataset(opened: _Opened, place: str) -> h5py.Dataset:
    """Return a dataset of the file."""
    import h5py

    found: Any = opened.file
    for name in place.split("/"):
        found = found.get(name) if isinstance(found, h5py.Group) else None
        if found is None:
            raise FileError(f"{opened.where}: '{place}' is not there; {AGAIN}")
    if not isinstance(found, h5py.Dataset) or found.shape is None:
        raise FileError(f"{opened.where}: '{place}' holds no numbers; {AGAIN}")
    return found


def _check_stored(opened: _Opened, dataset: h5py.Dataset, place: str) -> None:
    """Refuse a dataset that is larger than its bytes in the file can be, before memory is taken for it.

    Raises:
        FileError: for that, for blocks of more than ``MAX_CHUNK`` bytes, and for filters that are not read.
    """
    made = dataset.id.get_create_plist()
    filters = [made.get_filter(i)[0] for i in range(made.get_nfilters())]
    strange = [code for code in filters if code not in _FILTERS]
    if strange:
        raise FileError(
            f"{opened.where}: '{place}' is packed with HDF5's filter {strange[0]}; known: {', '.join(_FILTERS.values())}"
        )
    itemsize = dataset.dtype.itemsize
    chunk = math.prod(dataset.chunks or ()) * itemsize
    if dataset.chunks and chunk > MAX_CHUNK:
        raise FileError(f"{opened.where}: '{place}' lies in chunks of {chunk} bytes; at most {MAX_CHUNK}")
    needed, stored = int(dataset.size) * itemsize, dataset.id.get_storage_size()
    most = stored * _GZIP_MOST + _SLACK if 1 in filters else stored
    if needed > most or stored > opened.n_bytes:
        raise FileError(
            f"{opened.where}: '{place}' should hold {needed} bytes, but {stored} bytes for it in a file of {opened.n_bytes} "
            f"cannot be that; {AGAIN}"
        )


def _teller(name: str, values: dict[str, list[Values]]) -> Callable[[int], None]:
    """Return a function that is told how many numbers were read, and passes the sum on to ``files.progress.reading``."""
    told = reading.get()
    if told is None:
        return lambda _: None
    arrays = [array for records in values.values() for record in records for array in record.arrays()]
    of, done = sum(math.prod(stored_shape(dtype, shape)) for _, dtype, shape in arrays), 0

    def tell(n: int) -> None:
        nonlocal done
        done += n
        told(name, done, of)

    return tell


def _short(value: object) -> str:
    return plain_text(" ".join(str(value).split()))

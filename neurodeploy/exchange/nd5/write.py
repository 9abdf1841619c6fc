"""Writing of a ``Network`` as a ``.nd5`` file, which holds all of it; ``docs/nd5.md`` is the layout."""

from __future__ import annotations

import hashlib
import json
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from neurodeploy.errors import FileError, MismatchError, NetworkError
from neurodeploy.exchange.nd5.layout import (
    FORMAT,
    HEADER,
    MAX_HEADER,
    SMALL_BYTES,
    VERSION,
    block_shape,
    blocks,
    check_pool,
    stored_shape,
    stored_type,
)
from neurodeploy.exchange.nd5.read import from_nd5
from neurodeploy.exchange.nd5.values import SECTIONS, arrays_of, described, plain
from neurodeploy.files.disk import new_hdf5
from neurodeploy.files.writing import replacing
from neurodeploy.network import Network, Pool


def to_nd5(network: Network, path: Path | str, *, force: bool = False) -> None:
    """Write a network as a ``.nd5`` file; it is read back and compared before it is moved into place.

    Memory: while the file is compared, the network is there twice; beside it only blocks of about 1 MiB.

    Raises:
        NetworkError: for a value that is not of its field's type, and a pooling with more than 2**24 places in its windows.
        FileError: if the file exists and ``force`` is not set, or cannot be written.
        MismatchError: if reading the file back gives another network.
    """
    path = Path(path)
    if path.exists() and not force:
        raise FileError(f"nd5: {path} exists; choose another name or pass force (--force)")
    header = _header(network)
    try:
        with replacing(path) as partial:
            with new_hdf5(partial) as file:
                file.attrs["format"] = np.bytes_(FORMAT)
                file.attrs["version"] = np.int64(VERSION)
                file.attrs["fingerprint"] = np.bytes_(network.fingerprint)
                file.attrs["header_sha256"] = np.bytes_(hashlib.sha256(header).hexdigest())
                file[HEADER] = np.bytes_(header)
                for section in SECTIONS:
                    for i, record in enumerate(getattr(network, section)):
                        for name, array in arrays_of(record):
                            _write_array(file, f"{section}/{i}/{name}", array)
            _compare(network, partial)
    except (OSError, RuntimeError) as error:
        raise FileError(f"nd5: {path} cannot be written ({error}); check the folder and the free space") from error


def _header(network: Network) -> bytes:
    """Return everything but the arrays, as JSON in ASCII."""
    for p in network.projections:
        if isinstance(p.synapses, Pool):
            check_pool(p.synapses.input_shape[0], p.synapses.kernel, f"nd5: projection '{p.name}'")
    values: dict[str, Any] = {"dt": plain(network.dt, float, "nd5: dt")}
    for section in SECTIONS:
        records = getattr(network, section)
        values[section] = [described(record, f"nd5: {section}, number {i}") for i, record in enumerate(records)]
    header = json.dumps(values, allow_nan=False).encode("ascii")
    if len(header) > MAX_HEADER:
        raise NetworkError(
            f"nd5: names, numbers and the ledger take {len(header)} bytes, a file holds {MAX_HEADER}; shorten the ledger"
        )
    return header


def _write_array(file: Any, place: str, array: NDArray[Any]) -> None:
    """Write an array block by block; a small one in one piece."""
    stored, shape = stored_type(array.dtype), stored_shape(array.dtype, array.shape)
    packed = {}
    if array.nbytes > SMALL_BYTES:
        packed = {"chunks": block_shape(shape, stored.itemsize), "compression": "gzip", "shuffle": stored.itemsize > 1}
    dataset = file.create_dataset(place, shape, stored, **packed)
    flat = array.reshape(-1) if array.dtype == np.bool_ else None
    for block in blocks(shape, stored.itemsize):
        if flat is None:
            dataset[block] = array[block]
        else:
            dataset[block] = np.packbits(flat[8 * block[0].start : 8 * block[0].stop])


def _compare(network: Network, path: Path) -> None:
    """Read the file back, which compares the fingerprint, and compare the ledger, which that leaves out."""
    try:
        same = from_nd5(path).ledger == network.ledger
    except (FileError, NetworkError) as error:
        raise MismatchError(
            f"nd5: the file does not give the network back: {error}; this is our error, report it"
        ) from error
    if not same:
        raise MismatchError("nd5: the file does not give the ledger of the network back; this is our error, report it")

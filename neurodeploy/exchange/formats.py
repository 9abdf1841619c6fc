"""The table ``FORMATS`` of network files by suffix, and the functions that read and write a network in any of them."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

from neurodeploy.errors import UsageError, check_type
from neurodeploy.exchange.nir.readings import AnyReading, as_reading
from neurodeploy.files.lazy import named_function
from neurodeploy.files.paths import as_path
from neurodeploy.network import Network, Shape
from neurodeploy.network.activity import Samples
from neurodeploy.network.relays import with_relays


@dataclass(frozen=True, slots=True, kw_only=True)
class Format:
    """A file format for networks.

    Attributes:
        title: name of the format, for messages.
        read: ``module:function`` from a path to a ``Network``; None if the format is only written.
        write: ``module:function`` that takes a network, a path and ``force``; None if the format is only read.
        floats: whether files may hold floats, so that ``read`` takes ``data``, ``dt`` and ``weight_bits``, and ``reading``
            where somebody gives one.
        takes: further arguments of ``read_network`` that ``read`` takes where somebody gives them.
    """

    title: str
    read: str | None = None
    write: str | None = None
    floats: bool = False
    takes: tuple[str, ...] = ()


FORMATS: dict[str, Format] = {
    ".nir": Format(
        title="NIR",
        read="neurodeploy.exchange.nir.read:from_nir",
        write="neurodeploy.exchange.nir.write:to_nir",
        floats=True,
        takes=("max_delay",),
    ),
    ".net": Format(
        title="lava-dl",
        read="neurodeploy.exchange.netx.read:from_netx",
        write="neurodeploy.exchange.netx.write:to_netx",
        takes=("input_shape",),
    ),
    ".nd5": Format(
        title="neurodeploy",
        read="neurodeploy.exchange.nd5.read:from_nd5",
        write="neurodeploy.exchange.nd5.write:to_nd5",
    ),
}
"""The formats by suffix. A file with any other suffix is read as NIR, and none is written."""

ANY_NETWORK = ".nd5"
"""Suffix of the format that holds every network."""


def format_of(path: str | Path) -> Format:
    """Return the format in which a file is read, by the suffix of its path, in capitals or not."""
    path = as_path(path)
    return FORMATS.get(path.suffix.lower(), FORMATS[".nir"])


def format_to_write(path: str | Path) -> Format:
    """Return the format in which a file is written, by the suffix of its path, in capitals or not.

    Raises:
        UsageError: for a suffix that is not known, and a format that is only read.
    """
    path = as_path(path)
    known = ", ".join(_suffixes("write"))
    if path.suffix.lower() not in FORMATS:
        suffix = f"the suffix '{path.suffix}', which no format has" if path.suffix else "no suffix"
        raise UsageError(f"export: {path} has {suffix}; known: {known}")
    kind = FORMATS[path.suffix.lower()]
    if kind.write is None:
        raise UsageError(f"export: {kind.title} files are read, not written; known: {known}")
    return kind


def read_network(
    path: str | Path,
    *,
    data: Samples | None = None,
    reading: AnyReading = None,
    dt: float | None = None,
    weight_bits: int = 8,
    input_shape: Shape | None = None,
    max_delay: int | None = None,
) -> Network:
    """Return the network in a file.

    Args:
        data, reading, dt, weight_bits: for formats that may hold floats, as in ``from_nir``.
        input_shape: for formats that may leave the shape of the input out, as in ``from_netx``.
        max_delay: longer delays go through relay neurons, as in ``from_nir``, whatever the format.

    Raises:
        UsageError: for a format that is only written, a ``reading`` of one that holds integers, and an ``input_shape`` of
            one that tells it.
    """
    path = as_path(path)
    kind = format_of(path)
    if kind.read is None:
        raise UsageError(f"{path}: {kind.title} files are written, not read; known: {', '.join(_suffixes('read'))}")
    choices: dict[str, Any] = {"data": data, "dt": dt, "weight_bits": weight_bits} if kind.floats else {}
    said = as_reading(reading, input_shape=input_shape)
    if said.of_nir:
        if not kind.floats:
            raise UsageError(f"{path} holds integers and its own step; --reading and --dt are for NIR files")
        choices["reading"] = said
    if said.input_shape is not None:
        if "input_shape" not in kind.takes:
            raise UsageError(f"{path} tells the shape of its input; --input-shape is for .net files that do not")
        choices["input_shape"] = said.input_shape
    if max_delay is not None and "max_delay" in kind.takes:
        choices["max_delay"] = max_delay
    network: Network = named_function(kind.read)(path, **choices)
    return network if max_delay is None else with_relays(network, max_delay)


def write_network(network: Network, path: str | Path, *, force: bool = False) -> None:
    """Write a network in the format of the path's suffix; the file is read back and compared before it is put in place.

    Raises:
        FileError: if the file exists and ``force`` is not set.
        UsageError: for a suffix that is not known, a format that is only read, and anything but a ``Network``.
        NetworkError, NirError: for what the format cannot hold; a ``.nd5`` file holds every network.
    """
    check_type("export", "network", network, Network, "give a Network: as_network(path)")
    path = as_path(path)
    kind = format_to_write(path)
    assert kind.write is not None
    named_function(kind.write)(network, path, force=force)


def _suffixes(what: str) -> list[str]:
    return [suffix for suffix, kind in FORMATS.items() if getattr(kind, what) is not None]

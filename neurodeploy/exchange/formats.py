"""``FORMATS``: one row for each kind of network file, by suffix; and the two functions that commands read and write with."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

from neurodeploy.errors import UsageError
from neurodeploy.files.lazy import named_function
from neurodeploy.network import Network
from neurodeploy.network.activity import Samples


@dataclass(frozen=True, slots=True, kw_only=True)
class Format:
    """A kind of file that holds a network.

    Attributes:
        title: what it is, in words.
        read: ``module:function``, from a path to a ``Network``; None where it is only written.
        write: ``module:function``, takes a network, a path and ``force``; None where it is only read.
        floats: whether files may hold floats, so that ``read`` takes ``data``, ``dt`` and ``weight_bits``.
    """

    title: str
    read: str | None = None
    write: str | None = None
    floats: bool = False


FORMATS: dict[str, Format] = {
    ".nir": Format(
        title="NIR",
        read="neurodeploy.exchange.nir.read:from_nir",
        write="neurodeploy.exchange.nir.write:to_nir",
        floats=True,
    ),
    ".net": Format(
        title="lava-dl",
        read="neurodeploy.exchange.netx.read:from_netx",
        write="neurodeploy.exchange.netx.write:to_netx",
    ),
}
"""Formats by suffix. A file with another suffix is taken for NIR."""


def format_of(path: Path) -> Format:
    """Return the format that the suffix of a path stands for."""
    return FORMATS.get(path.suffix, FORMATS[".nir"])


def read_network(path: Path, *, data: Samples | None = None, dt: float | None = None, weight_bits: int = 8) -> Network:
    """Return the network in a file.

    Args:
        data, dt, weight_bits: for files in floats, as in ``from_nir``.

    Raises:
        UsageError: for a format that is only written.
    """
    kind = format_of(path)
    if kind.read is None:
        raise UsageError(f"{path}: {kind.title} files are written, not read; known: {', '.join(_suffixes('read'))}")
    choices: dict[str, Any] = {"data": data, "dt": dt, "weight_bits": weight_bits} if kind.floats else {}
    network: Network = named_function(kind.read)(path, **choices)
    return network


def write_network(network: Network, path: Path, *, force: bool = False) -> None:
    """Write a network in the format of the path's suffix; read back and compared before it counts.

    Raises:
        FileError: where the file exists and ``force`` is not set.
        UsageError: for a format that is only read.
    """
    kind = format_of(path)
    if kind.write is None:
        raise UsageError(f"export: {kind.title} files are read, not written; known: {', '.join(_suffixes('write'))}")
    named_function(kind.write)(network, path, force=force)


def _suffixes(what: str) -> list[str]:
    return [suffix for suffix, kind in FORMATS.items() if getattr(kind, what) is not None]

"""The folder of C99 code that a network becomes: library, tables, an example, a CMake file and a sketch."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any

from neurodeploy.errors import FileError, check_type
from neurodeploy.files.paths import as_path
from neurodeploy.files.temporary import temporary_folder
from neurodeploy.files.writing import check_new_folder, locked_folder, replacing
from neurodeploy.network import Network, spiking_model
from neurodeploy.tables import plan_tables
from neurodeploy.tables.rows import Optimize
from neurodeploy.targets.c.code import LIBRARY, library_texts
from neurodeploy.targets.c.host import compile_strictly
from neurodeploy.targets.c.texts import CMAKE, MAIN, SKETCH


def source_hashes(network: Network, optimize: Optimize = "balance") -> dict[str, str]:
    """Return the SHA-256 of each file of ``LIBRARY`` as it is written for a network."""
    texts = library_texts(network, optimize)
    return {name: hashlib.sha256(text.encode()).hexdigest() for name, text in texts.items()}


def write_c(network: Network, out: str | Path, *, optimize: Optimize = "balance", force: bool = False) -> None:
    """Write a network as a folder of C99 code (``docs/c.md``).

    Args:
        out: folder to make: ``network.h``, ``network.c``, ``network_tables.h``, ``example/main.c``, ``CMakeLists.txt``, and
            a sketch for Arduino with the folder's name.
        optimize: how tables are stored: ``balance``, ``flash`` (smallest) or ``speed`` (fewest instructions).
        force: replace these files where they exist.

    Raises:
        NetworkError: for neurons other than CUBA and leaky integrators; names the population.
        FileError: where one of the files exists and ``force`` is not set, or another process writes into the folder; nothing
            is written then.
    """
    check_type("export", "network", network, Network, "give a Network: as_network(path)")
    out = as_path(out)
    _check_free(out, force)
    texts = library_texts(network, optimize)
    texts |= {"example/main.c": MAIN, "CMakeLists.txt": CMAKE, f"{out.resolve().name}.ino": SKETCH}
    with _locked(out):
        _check_free(out, force)  # another process may have written there meanwhile
        _write(texts, out)


def check_ready(network: Network, out: str | Path, *, force: bool) -> None:
    """Refuse what ``write_c`` would refuse of a network and a folder.

    Raises:
        NetworkError, FileError: as ``write_c``.
    """
    for population in network.populations:
        spiking_model(population, "target c")
    _check_free(as_path(out), force)


def describe(network: Network, optimize: Optimize = "balance") -> dict[str, Any]:
    """Return the bytes of all tables and of an instance, and the format and bytes of each layer, as plain values."""
    layout = plan_tables(network, optimize)
    layers = [
        {"projection": w.projection, "format": w.format or "pool", "bytes": w.n_bytes, "delay": w.delay, "mode": w.mode}
        for w in layout.wires
    ]
    return {"table_bytes": layout.flash_bytes, "ram_bytes": layout.ram_bytes, "layers": layers}


def _check_free(out: Path, force: bool) -> None:
    """Refuse a folder that holds an earlier export, unless ``force`` is set."""
    check_new_folder("export", out)
    there = [name for name in (*LIBRARY, "CMakeLists.txt", "example/main.c") if (out / name).exists()]
    if there and not force:
        raise FileError(f"export: {out} holds {there[0]} already; choose another --out, or --force to replace it")


@contextmanager
def _locked(out: Path) -> Iterator[None]:
    """Context that keeps other processes from writing into the folder; what the system refuses is a ``FileError``."""
    try:
        with locked_folder(out, f"export: {out}"):
            yield
    except OSError as error:
        raise FileError(f"export: cannot write {out} ({error.strerror})") from error


def _write(texts: Mapping[str, str], out: Path) -> None:
    """Write files into a folder, all or none."""
    with ExitStack() as stack:
        for name, text in texts.items():
            (out / name).parent.mkdir(parents=True, exist_ok=True)
            stack.enter_context(replacing(out / name)).write_text(text, encoding="utf-8")


def check_c(out: str | Path) -> list[str]:
    """Return what the host's C compiler says against the library in a folder, as C99 and as C++; empty if nothing.

    Raises:
        FileError: where the folder lacks a file of the library.
        MissingPackageError: without a compiler.
    """
    out = as_path(out)
    lacking = [name for name in LIBRARY if not (out / name).is_file()]
    if lacking:
        raise FileError(f"export: {out} holds no C library: {lacking[0]} is missing; write it with export --target c")
    with temporary_folder("c") as made:
        return compile_strictly(out, made)

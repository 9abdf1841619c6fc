"""Search and reading of chip files."""

from __future__ import annotations

import hashlib
import os
import re
from collections.abc import Mapping
from importlib.metadata import EntryPoint, entry_points
from pathlib import Path
from typing import Any

from pydantic import ValidationError

from neurodeploy.chip.record import Chip
from neurodeploy.errors import ChipError
from neurodeploy.files.checked import first_problem
from neurodeploy.files.plain import read_text
from neurodeploy.files.shipped import resource_dir
from neurodeploy.files.toml import TomlError, parse_toml
from neurodeploy.files.unreadable import UNREADABLE, reason

FOLDERS_VARIABLE = "NEURODEPLOY_CHIPS"
"""Environment variable that lists more folders with chip files, separated as in PATH."""
ENTRY_POINTS = "neurodeploy.chips"
"""Entry point group through which a package offers a folder of chip files: a path (``Path`` or str), or a function without
arguments that returns one."""

_NAME = r"[A-Za-z0-9][A-Za-z0-9_.-]*"
"""Names of chips, which are names of files."""


def chip_folders() -> list[Path]:
    """Return the folders with chip files: the one shipped with neurodeploy, the user's, and the folders of other packages.

    Raises:
        ChipError: for an entry point of a package that cannot be loaded.
    """
    given = [Path(folder) for folder in os.environ.get(FOLDERS_VARIABLE, "").split(os.pathsep) if folder]
    return [resource_dir("hardware"), *given, *map(_offered, entry_points(group=ENTRY_POINTS))]


def _offered(point: EntryPoint) -> Path:
    """Return the folder that a package offers."""
    try:
        folder = point.load()
    except (ImportError, AttributeError) as error:
        raise ChipError(
            f"chip: the entry point '{point.name} = {point.value}' of group {ENTRY_POINTS} cannot be loaded ({error}); "
            "repair or remove the package that offers it"
        ) from error
    return Path(folder() if callable(folder) else folder)


def chip_names() -> list[str]:
    """Return the names of all chips in ``chip_folders``, sorted."""
    return sorted({path.stem for folder in chip_folders() for path in folder.glob("*.toml")})


def load_chip(name_or_path: str | Path) -> Chip:
    """Return the chip of a ``.toml`` file, or the chip of that name in the first of ``chip_folders`` that has it.

    Raises:
        ChipError: for an unknown name, a file that cannot be read, or a file that breaks the schema; the message
            gives file and key.
    """
    path = Path(name_or_path)
    if path.suffix != ".toml":
        path = _found(str(name_or_path))
    return _checked(_read(path, ()), path)


def _found(name: str) -> Path:
    shipped = resource_dir("hardware") / f"{name}.toml"
    if shipped.is_file():
        return shipped
    found = [folder / f"{name}.toml" for folder in chip_folders() if (folder / f"{name}.toml").is_file()]
    if not found:
        raise ChipError(
            f"chip: '{name}' is not known; known chips: {', '.join(chip_names())}; or give a .toml file, or a folder of "
            f"them in {FOLDERS_VARIABLE}"
        )
    return found[0]


def new_chip_text(name: str, base: str = "loihi2") -> str:
    """Return the text of a new chip file that extends the chip ``base``, for the user to fill in.

    Raises:
        ChipError: if ``base`` is unknown, or ``name`` is not allowed as a file name.
    """
    if not re.fullmatch(_NAME, name):
        raise ChipError(f"chip: '{name}' cannot name a chip; take letters, digits, '_', '-' and '.'")
    load_chip(base)
    return f"""# Every number is a table with unit, source and grade (measured, calibrated, pre-silicon, published, guess).
# Leave out what is unknown. Tables given here replace those of the chip that this one extends.
extends = "{base}"

[chip]
name = "{name}"
title = "{name}"

# [cores]
# synapse_words = {{ value = 16000, unit = "words", source = "where it stands", grade = "guess" }}
"""


def chip_from_dict(data: Mapping[str, Any]) -> Chip:
    """Return the chip from its description as a dict, as ``Chip.model_dump(mode="json")`` gives it.

    Raises:
        ChipError: if the description breaks the schema.
    """
    return _checked(dict(data), Path(str(data.get("source_file") or "chip")), stamped=True)


def _checked(data: dict[str, Any], path: Path, *, stamped: bool = False) -> Chip:
    if not stamped:
        digest = hashlib.sha256(repr(sorted(data.items())).encode()).hexdigest()
        data = {**data, "source_file": f"{path.parent.name}/{path.name}", "sha256": digest}
    try:
        return Chip.model_validate(data)
    except ValidationError as error:
        raise ChipError(f"chip: {path}: {first_problem(error)}; correct the file") from error
    except UNREADABLE as error:
        raise ChipError(f"chip: {path}: a value is of another kind than its key takes ({reason(error)})") from error


def _read(path: Path, seen: tuple[Path, ...]) -> dict[str, Any]:
    """Return a chip file as a dict, with the file that it extends merged in."""
    if path in seen:
        raise ChipError(f"chip: {path}: extends leads back to itself; remove it from one of the files")
    try:
        data = parse_toml(read_text(path))
    except OSError as error:
        raise ChipError(
            f"chip: cannot read {path} ({error.strerror}); known chips: {', '.join(chip_names())}"
        ) from error
    except (TomlError, UnicodeDecodeError) as error:
        raise ChipError(f"chip: {path} is no TOML file: {error}; correct that line") from error
    base = data.pop("extends", None)
    if base is None:
        return data
    if not isinstance(base, str) or not re.fullmatch(_NAME, base):
        raise ChipError(f"chip: {path}: extends = {base!r} is no name of a chip; give one, as 'loihi2'")
    beside = path.parent / f"{base}.toml"
    inherited = _read(beside if beside.is_file() else _found(str(base)), (*seen, path))
    if "synapse_format" in data:
        if not isinstance(data["synapse_format"], list) or not all(isinstance(f, dict) for f in data["synapse_format"]):
            raise ChipError(f"chip: {path}: synapse_format must be tables [[synapse_format]]; correct the file")
        inherited = _of_formats(inherited, {str(f.get("name")) for f in data["synapse_format"]})
    return _merged(inherited, data)


def _of_formats(table: dict[str, Any], names: set[str]) -> dict[str, Any]:
    """Return a chip's tables without the prices and times of synapses in other formats than ``names``."""
    kept = {}
    for key, value in table.items():
        if key in ("synop", "synop_graded") and isinstance(value, dict):
            kept[key] = {name: price for name, price in value.items() if name in names}
        else:
            kept[key] = _of_formats(value, names) if isinstance(value, dict) else value
    return kept


def _merged(base: dict[str, Any], own: dict[str, Any]) -> dict[str, Any]:
    """Return ``base`` with the tables of ``own`` merged in; a number's table is replaced as a whole."""
    result = dict(base)
    for key, value in own.items():
        both = isinstance(value, dict) and isinstance(base.get(key), dict) and "grade" not in value
        result[key] = _merged(base[key], value) if both else value
    return result

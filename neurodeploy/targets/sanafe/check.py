"""Check of a written folder: SANA-FE runs it, and the results are compared with the expected ones."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from neurodeploy.errors import FileError, MissingPackageError
from neurodeploy.files.json_text import parse_json
from neurodeploy.files.plain import read_text
from neurodeploy.targets.sanafe.script import differing, run


def check_sanafe(folder: Path) -> Iterator[str]:
    """Yield a sentence for each figure of SANA-FE that differs from ``expected.json``.

    Raises:
        FileError: if the folder holds no export.
        MissingPackageError: if SANA-FE is not installed.
    """
    try:
        expected = parse_json(read_text(folder / "expected.json"))
    except (OSError, ValueError) as error:
        raise FileError(f"export: {folder} holds nothing that was written for SANA-FE ({error})") from error
    try:
        found = run(folder, expected["timesteps_executed"], expected["timing_model"])
    except ImportError as error:
        raise MissingPackageError(
            "export: checking needs SANA-FE, which is not installed; pip install sanafe==2.2.9"
        ) from error
    for name in differing(expected, found, expected["timing_model"]):
        yield f"{name} is {found[name]!r}, expected {expected[name]!r}"

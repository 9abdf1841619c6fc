"""What may be hostile is read at one place: HDF5, arrays, pickles, JSON and TOML, each behind its door.

So are folders for temporary files, of which a killed process leaves none for ever.
"""

from __future__ import annotations

import re

import pytest
from building import ROOT

PACKAGE = ROOT / "neurodeploy"
WORKERS = (
    "engines/brian/worker.py",
    *("engines/lava/worker/", "bench/speed/peers/", "targets/sanafe/script.py"),
    *("bench/training/memory.py", "bench/training/worker.py"),
)
"""Processes by themselves, which read what we wrote for them a moment ago and import nothing of ours."""
DOORS = {
    r"h5py\.File\(": ("files/hdf5.py", "files/disk.py"),
    r"\bnp\.load\(|\bnumpy\.load\(|NpzFile": (),
    r"\bnp\.memmap\(|open_memmap\(": (),
    r"pickle\.loads?\(|Unpickler\)": ("data/files.py",),
    r"\bjson\.loads?\(": ("files/json_text.py",),
    r"tomli?(lib)?\.loads?\(": ("files/toml.py",),
    r"torch\.load\(": (),
    r"zipfile\.ZipFile\(": ("files/arrays.py", "data/audio.py", "data/events.py"),
    r"\bnjit\(": ("files/loops.py",),
    r"\btempfile\b": ("files/temporary.py",),
    r"yaml\.(unsafe_|full_)?load\(": (),
    r"(?<![.\w])(eval|exec)\(": (),
}
"""A pattern of code -> the files that may have it."""


@pytest.mark.parametrize("pattern", DOORS)
def test_only_the_door_has_it(pattern):
    found = [
        f"{path.relative_to(PACKAGE)}:{number}"
        for path in sorted(PACKAGE.rglob("*.py"))
        if str(path.relative_to(PACKAGE)) not in DOORS[pattern]
        and not str(path.relative_to(PACKAGE)).startswith(WORKERS)
        for number, line in enumerate(path.read_text(encoding="utf-8").splitlines(), 1)
        if re.search(pattern, line.partition("#")[0])
    ]
    assert not found, f"use the door: {DOORS[pattern]}"


def test_the_doors_are_where_the_table_says():
    for pattern, homes in DOORS.items():
        for home in homes:
            assert re.search(pattern, (PACKAGE / home).read_text(encoding="utf-8")), (pattern, home)

"""What the commands print for a small trained network, against what was read and kept. Regenerate and read the difference::

    python tests/golden/test_commands.py

Text is exact; floats of JSON may differ by one part in a billion. Versions, times and the hashes of chip files are blotted
out. Nothing here needs torch or Lava. The network and its samples were made once, by::

    neurodeploy train tests/golden/commands/digits.toml --out run
    neurodeploy export run --out digits.nir
    python -c "from neurodeploy import *; from pathlib import Path
    save_samples(load_samples(Path('run/test.npz')).take(0, 40), Path('digits.npz'))"
"""

from __future__ import annotations

import io
import os
import re
import shutil
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager, redirect_stderr, redirect_stdout
from pathlib import Path
from unittest.mock import patch

import h5py
import pytest

from neurodeploy.cli import main, working

FOLDER = Path(__file__).with_name("commands")

CASES = [
    # name, arguments, exit code
    ("check", "check digits.nir", 0),
    ("check_chip", "check digits.nir --chip truenorth", 6),
    ("map_loihi1", "map digits.nir --chip loihi1", 0),
    ("map_loihi2", "map digits.nir --chip loihi2", 0),
    ("map_spinnaker2", "map digits.nir --chip spinnaker2", 0),
    ("map_does_not_fit", "map digits.nir --chip xylo_a2", 8),
    ("simulate", "simulate digits.nir digits.npz --json", 0),
    ("verify", "verify digits.nir digits.npz --engines reference,event --samples 8 --json", 0),
    ("estimate", "estimate digits.nir --chip loihi1 --data digits.npz --deadline 10ms --json", 0),
    ("report", "report digits.nir --data digits.npz --out report --deadline 10ms", 0),
    ("chips_list", "chips list", 0),
    ("chips_show", "chips show loihi1", 0),
    ("diff", "diff digits.nir changed.nir", 12),
    ("compare", "compare report.json worse.json --gate gate.toml", 17),
]
WRITTEN = {"report": "report/report.json"}
"""The file of a case that is kept beside what it prints."""

BLOTTED = [
    (r'("seconds": )[0-9.e+-]+', r"\g<1>0.0"),
    (r'("versions": )\{[^}]*\}', r"\1{}"),
    (r"(?m)^(versions +)\S.*(\n +.*)*", r"\1..."),
    (r"(Provenance\nwhat +which\n)─+", r"\1─"),  # as wide as the versions
    (r"\(sha256 [0-9a-f]+\)", "(sha256 ...)"),
    (r"(?m) +$", ""),
]
FLOAT = re.compile(r"-?\b\d+(?:\.\d+)?(?:e[-+]?\d+)?\b")


@contextmanager
def inputs(folder: Path) -> Iterator[None]:
    """Work in ``folder``, with the network, samples for it, and a changed network and report."""
    for path in (FOLDER / "digits.nir", FOLDER / "digits.npz", FOLDER / "report.json"):
        shutil.copy(path, folder)
    shutil.copy(folder / "digits.nir", folder / "changed.nir")
    with h5py.File(folder / "changed.nir", "r+") as file:
        file["node/nodes/hidden1_to_output/weight"][3, 5] += 2.0
        file["node/nodes/output/v_threshold"][0] *= 2.0
    text = (folder / "report.json").read_text(encoding="utf-8")
    worse = text.replace('"test": 0.925', '"test": 0.9').replace('"n_cores": 2', '"n_cores": 3')
    (folder / "worse.json").write_text(worse, encoding="utf-8")
    gate = "require_equal = true\nmax_accuracy_drop = 0.01\n[max_increase]\ncores = 0.25\nenergy = 0.0\n"
    (folder / "gate.toml").write_text(gate, encoding="utf-8")
    before = Path.cwd()
    os.chdir(folder)
    try:
        yield
    finally:
        os.chdir(before)


def outcome(arguments: str) -> tuple[int, str]:
    """Run the program in this process; return its exit code, and what it printed, what went to standard error at the end."""
    out, messages, before = io.StringIO(), io.StringIO(), sys.argv
    sys.argv = ["neurodeploy", *arguments.split()]
    code: object = 0
    try:
        with redirect_stdout(out), redirect_stderr(messages), patch.object(working, "SOON_S", 3600.0):
            main()
    except SystemExit as end:
        code = end.code or 0
    finally:
        sys.argv = before
    assert isinstance(code, int)
    printed = f"$ neurodeploy {arguments}\n{out.getvalue()}"
    if messages.getvalue():
        printed += f"-- standard error\n{messages.getvalue()}"
    return code, blotted(printed).rstrip("\n") + "\n"


def blotted(text: str) -> str:
    """Return a text without what differs from one run or installation to the next, and without blanks at line ends."""
    for pattern, instead in BLOTTED:
        text = re.sub(pattern, instead, text)
    return text


def floats(text: str) -> tuple[str, list[float]]:
    """Return a text of JSON with ``~`` for every number with a point or an exponent, and these numbers."""
    found: list[float] = []

    def kept(match: re.Match[str]) -> str:
        if not set(match[0]) & set(".e"):
            return match[0]
        found.append(float(match[0]))
        return "~"

    return FLOAT.sub(kept, text), found


def assert_same(made: str, golden: str, *, json: bool) -> None:
    if not json:
        assert made.splitlines() == golden.splitlines()
        return
    (made, numbers), (golden, expected) = floats(made), floats(golden)
    assert made.splitlines() == golden.splitlines()
    assert numbers == pytest.approx(expected, rel=1e-9, abs=0.0)


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    for name in ("FORCE_COLOR", "NEURODEPLOY_CHIPS"):
        monkeypatch.delenv(name, raising=False)
    with inputs(tmp_path):
        yield tmp_path


@pytest.mark.parametrize(("name", "arguments", "code"), CASES, ids=[name for name, _, _ in CASES])
def test_a_command_prints_what_was_kept(folder: Path, name: str, arguments: str, code: int) -> None:
    if name == "report":
        pytest.importorskip("plotly", reason="needs plotly (extra report)")
        pytest.importorskip("jinja2", reason="needs jinja2 (extra report)")
    got, printed = outcome(arguments)
    assert got == code, printed
    assert_same(printed, (FOLDER / f"{name}.txt").read_text(encoding="utf-8"), json="--json" in arguments)
    if name in WRITTEN:
        path = folder / WRITTEN[name]
        golden = (FOLDER / path.name).read_text(encoding="utf-8")
        assert_same(blotted(path.read_text(encoding="utf-8")), golden, json=True)


def test_every_kept_text_belongs_to_a_case() -> None:
    assert {path.stem for path in FOLDER.glob("*.txt")} == {name for name, _, _ in CASES}


if __name__ == "__main__":
    for case, line, expected in CASES:
        with tempfile.TemporaryDirectory() as work, inputs(Path(work)):
            exit_code, text = outcome(line)
            if exit_code != expected:
                sys.exit(f"{case} ends with {exit_code}, not {expected}: {text}")
            (FOLDER / f"{case}.txt").write_text(text, encoding="utf-8")
            if case in WRITTEN:
                file = Path(WRITTEN[case])
                (FOLDER / file.name).write_text(blotted(file.read_text(encoding="utf-8")), encoding="utf-8")

"""Measures what today's frameworks export: ``python tests/bridges/run.py [FOLDER] [--write FILE] [--keep]``.

Each framework has an environment of its own; its interpreter is named by a variable such as
``NEURODEPLOY_BRIDGE_SNNTORCH=/path/to/python``. A framework without one is left out, and the table says so. Without a
single one the stored files of ``tests/bridges/files`` are measured. ``--keep`` stores the new files there.
"""

from __future__ import annotations

import argparse
import gzip
import inspect
import json
import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

HERE = Path(__file__).resolve().parent
sys.path.insert(0, str(HERE))
from conventions import Convention, File, differing, known, load, search, steps_of
from recognition import recognised

FILES = HERE / "files"
FRAMEWORKS = ("snntorch", "norse", "sinabs", "spikingjelly", "rockpool", "spyx")


@dataclass(frozen=True)
class Case:
    """A network as its exporter wrote it, with what the framework itself computed."""

    name: str
    facts: Mapping[str, Any]
    path: Path
    file: File
    x: Any
    spikes: Mapping[str, Any]

    @property
    def framework(self) -> str:
        return str(self.facts["framework"])

    @property
    def bits(self) -> int:
        """Number of recorded values, over all layers, samples and steps."""
        return sum(values.size for values in self.spikes.values())


@dataclass
class Row:
    """What was measured of a network."""

    framework: str
    name: str
    title: str
    refused: str = ""
    bits: int = 0
    recognised: str = ""
    option: str = ""
    check: str = ""
    wrong: dict[str, int | str] = field(default_factory=dict)
    classes: str = ""
    told: dict[str, Any] = field(default_factory=dict)


PAGE = """\
# Networks of other frameworks, measured

What snnTorch 1.0.0, Norse 1.1.0, sinabs 3.1.3, SpikingJelly 2.0.0, rockpool 3.1.0 and Spyx 1.0.0 write as NIR, beside
the spikes that they themselves computed. The table is written by

    NEURODEPLOY_BRIDGE_SNNTORCH=... python tests/bridges/run.py --write docs/bridges.md

with the Python of an environment for each framework (`_NORSE`, `_SINABS`, `_SPIKINGJELLY`, `_ROCKPOOL`, `_SPYX`
alike).

*recognised*: what `check` takes the file for. *reading*: what `--reading` was given. *bits*: spikes compared, of all
layers, samples and steps. The next four columns count those that differ: read *as NIR says*; *as meant*, with an
independent simulator; our *floats* with the reading; our *engine*, after rounding to 8-bit weights. *classes*:
samples of the same class on the engine. *check*: what it says without a reading. A framework that could not write the
file is named with its error.

"""
"""What stands above the table on its page."""


def variable(framework: str) -> str:
    """Return the name of the variable that holds a framework's interpreter."""
    return f"NEURODEPLOY_BRIDGE_{framework.upper()}"


def export(folder: Path) -> dict[str, str]:
    """Run the script of each framework whose interpreter is given; return why the others are left out."""
    left_out = {}
    for framework in FRAMEWORKS:
        python = os.environ.get(variable(framework))
        if not python:
            left_out[framework] = f"{variable(framework)} is not set"
            continue
        command = [python, str(HERE / f"export_{framework}.py"), str(folder)]
        ordered = os.environ | {"PYTHONHASHSEED": "0"}  # nirtorch writes edges in the order of a set
        done = subprocess.run(command, capture_output=True, text=True, timeout=900, env=ordered)
        if done.returncode:
            left_out[framework] = (done.stderr.strip().splitlines() or ["no message"])[-1]
    return left_out


def keep(folder: Path) -> None:
    """Store the files of a run: the bytes of each ``.nir`` compressed, and the recordings as they are."""
    for path in sorted(folder.glob("*.nir")):
        (FILES / f"{path.name}.gz").write_bytes(gzip.compress(path.read_bytes(), 9, mtime=0))
    for path in (*folder.glob("*.npz"), *folder.glob("*.json")):
        shutil.copy(path, FILES / path.name)


def unpack(folder: Path) -> None:
    """Put the stored files into a folder, as the exporters wrote them."""
    for path in sorted(FILES.glob("*.nir.gz")):
        (folder / path.name[:-3]).write_bytes(gzip.decompress(path.read_bytes()))
    for path in (*FILES.glob("*.npz"), *FILES.glob("*.json")):
        shutil.copy(path, folder / path.name)


def listed(folder: Path) -> Iterator[tuple[str, dict[str, Any]]]:
    """Yield framework and entry of all networks, also of those that an exporter refused."""
    for framework in FRAMEWORKS:
        path = folder / f"{framework}.json"
        if path.exists():
            for entry in json.loads(path.read_text())["networks"]:
                yield framework, entry


def case(folder: Path, name: str) -> Case | None:
    """Return a network with its recording, or None where there is no file."""
    path = folder / f"{name}.nir"
    if not path.exists():
        return None
    with np.load(folder / f"{name}.npz") as arrays:
        spikes = {key[10:]: arrays[key] for key in arrays.files if key.startswith("spikes of ")}
        return Case(name, json.loads(str(arrays["facts"])), path, load(path), arrays["x"], spikes)


def literal(own: Case) -> Convention:
    """Return the convention of NIR itself: forward Euler, all fields as they are, reset to ``v_reset``, above."""
    steps = steps_of(own.file)
    said = steps.get("ratio") or steps.get("IF")
    return Convention(dt=own.facts.get("dt", said or 1.0))


def wrong_bits(own: Case, convention: Convention) -> int:
    """Return how many recorded values differ under a convention."""
    with np.errstate(all="ignore"):
        return sum(differing(own.file, own.x, own.spikes, convention).values())


def measure(own: Case) -> Row:
    """Measure a file: under NIR's own convention, under the exporter's, and with the package."""
    row = Row(own.framework, own.name, str(own.facts["title"]), bits=own.bits, option=option(own))
    row.recognised = recognised(own.file) or "no"
    row.check = verdict(own)
    row.wrong["literal"] = wrong_bits(own, literal(own))
    row.wrong["exporter's"] = wrong_bits(own, known(own.framework, own.facts, own.file))
    row.wrong["float"], row.wrong["engine"], row.classes = package(own)
    return row


def option(own: Case) -> str:
    """Return the value of ``--reading`` under which a file means what its framework computed."""
    facts = own.facts
    text = {"norse": f"norse,dt={facts.get('dt', 0):g}", "spikingjelly": f"spikingjelly,dt={facts.get('dt', 0):g}"}
    plain = text.get(own.framework, own.framework)
    usual = {"sinabs": "subtract", "rockpool": "subtract", "spyx": "subtract"}.get(own.framework, "zero")
    return plain if facts["reset"] in (usual, "none") else f"{plain},reset={facts['reset']}"


def verdict(own: Case) -> str:
    """Return what ``check`` says of a file: "faithful", or the first node that is not, with its reason."""
    from neurodeploy import NeurodeployError, check_nir

    try:
        report = check_nir(own.path, **({} if "norse" not in own.framework else {"dt": own.facts["dt"]}))
    except NeurodeployError as error:
        return str(error).replace(str(own.path), own.path.name)
    wrong = [node for node in report.nodes if node.verdict == "unsupported"]
    if not wrong:
        return "can be taken over"
    return f"{wrong[0].name}: {wrong[0].reason}".replace(str(own.path), own.path.name)


def package(own: Case) -> tuple[int | str, int | str, str]:
    """Return bits that differ in the package's float run and in its reference engine, and how many classes agree."""
    from neurodeploy import NeurodeployError, from_nir, interpret, simulate

    options = reading(own, inspect.signature(from_nir).parameters)
    entry = next(n for n in own.file.of("Input") if not any(b == n for _, b in own.file.edges))
    try:
        run = interpret(own.path, {entry: own.x}, **options)
        spikes = {name: run.spikes[_node(name, run.spikes)] for name in own.spikes}
        floats: int | str = counted(own, {n: v.reshape(*v.shape[:2], -1) for n, v in spikes.items()})
    except (NeurodeployError, KeyError) as error:
        floats = str(error)
    try:
        network = from_nir(own.path, **options)
        found, classes = engine_spikes(own, network, entry, simulate)
    except (NeurodeployError, KeyError) as error:
        return floats, str(error), ""
    return floats, counted(own, found), classes


def reading(own: Case, known_options: Mapping[str, Any]) -> dict[str, Any]:
    """Return the options under which the package reads a file best."""
    if "reading" in known_options:  # from_nir reads it by name
        return {"reading": option(own)}
    exponential = own.framework in ("sinabs", "rockpool")
    return {
        "dt": known(own.framework, own.facts, own.file).dt,
        "discretization": "exponential" if exponential else "euler",
    }


def engine_spikes(own: Case, network: Any, entry: str, simulate: Any) -> tuple[dict[str, Any], str]:
    """Return the spikes of each layer on the file's clock, and how many samples get the class of the framework."""
    from neurodeploy import Events, Samples

    n_samples, n_steps = own.x.shape[:2]
    events = Events.from_dense(own.x.reshape(n_samples, n_steps, -1))
    activity = simulate(
        network, Samples(inputs={entry: events}), engine="reference", n_steps=n_steps + len(network.populations)
    )
    first = {p.name: p.first_step for p in network.populations}
    nodes = {name: _node(name, first) for name in own.spikes}
    found = {name: activity.spikes[n].to_dense()[:, first[n] : first[n] + n_steps] for name, n in nodes.items()}
    last = list(own.spikes)[-1]
    theirs = own.spikes[last].reshape(n_samples, n_steps, -1).sum(1).argmax(-1)
    same = int((found[last].sum(1).argmax(-1) == theirs).sum())
    return found, f"{same} of {n_samples}"


def _node(name: str, known_names: Mapping[str, Any]) -> str:
    """Return the name that the package gives to a layer: an LI and its Threshold are one population."""
    return name if name in known_names else name.removesuffix("_threshold")


def counted(own: Case, found: Mapping[str, Any]) -> int:
    """Return how many values differ, with layers that send late in the framework moved back."""
    wrong, late = 0, int(own.facts.get("lag", 0))
    for depth, (name, values) in enumerate(own.spikes.items(), start=1):
        shift, n_steps = late * depth, values.shape[1]
        theirs = values.reshape(*values.shape[:2], -1)[:, shift:]
        wrong += int(np.count_nonzero(theirs != found[name][:, : n_steps - shift]))
    return wrong


def rows(folder: Path) -> list[Row]:
    """Measure all networks of a folder."""
    measured = []
    for framework, entry in listed(folder):
        own = None if entry.get("empty_nodes") else case(folder, entry["name"])
        row = measure(own) if own else Row(framework, entry["name"], entry["title"])
        row.refused = entry.get("refused") or entry.get("not_written") or ""
        row.told = {k: v for k, v in entry.items() if k not in ("name", "title")}
        measured.append(row)
    return measured


def table(measured: list[Row], left_out: Mapping[str, str]) -> str:
    """Return the measured rows in Markdown."""
    lines = [
        "| framework | network | recognised | reading | bits | as NIR says | as meant | floats | engine | classes | check |"
    ]
    lines.append("|---" * 11 + "|")
    for row in measured:
        values = [str(row.wrong.get(key, "")) for key in ("literal", "exporter's", "float", "engine")]
        said = f" ({row.refused})" if row.refused else ""
        named = [row.framework, f"{row.name}: {row.title}{said}", row.recognised, row.option]
        cells = [*named, str(row.bits or ""), *values, row.classes, row.check]
        lines.append("| " + " | ".join(cell.replace("|", "/").replace("\n", " ") for cell in cells) + " |")
    for framework, reason in left_out.items():
        lines.append(f"\n{framework}: left out, {reason}.")
    return "\n".join(lines) + "\n"


def conventions_found(own: Case) -> dict[str, list[Any]]:
    """Return the values of each choice among all conventions under which no bit differs (see ``search``)."""
    steps = sorted({1.0, 1e-3, 1e-4, 1e-6, *steps_of(own.file).values(), known(own.framework, own.facts, own.file).dt})
    found = search(own.file, own.x, own.spikes, steps)
    return (
        {name: sorted({getattr(c, name) for c in found}, key=str) for name in Convention.__dataclass_fields__}
        if found
        else {}
    )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else "")
    parser.add_argument(
        "folder", nargs="?", type=Path, help="where the exported files go; by default a temporary folder"
    )
    parser.add_argument("--write", type=Path, help="write the table to this file")
    parser.add_argument("--keep", action="store_true", help=f"store the files in {FILES.name}")
    parser.add_argument("--search", action="store_true", help="list the conventions under which no bit differs")
    given = parser.parse_args()
    with tempfile.TemporaryDirectory() as temporary:
        folder = given.folder or Path(temporary)
        folder.mkdir(parents=True, exist_ok=True)
        left_out: dict[str, str] = {}
        if any(os.environ.get(variable(f)) for f in FRAMEWORKS):
            left_out = export(folder)
            if given.keep:
                keep(folder)
        elif not any(folder.glob("*.nir")):
            unpack(folder)
        text = table(rows(folder), left_out)
        print(text)
        if given.write:
            given.write.write_text(PAGE + text, encoding="utf-8")
        if given.search:
            for _, entry in listed(folder):
                own = case(folder, entry["name"])
                if own:
                    print(own.name, conventions_found(own))


if __name__ == "__main__":
    main()

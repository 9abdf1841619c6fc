"""Bad inputs of every command (``bad_inputs.toml``): one message, the exit code of its kind, nothing written or changed."""

from __future__ import annotations

import re
import shlex
import shutil
import sys
from hashlib import sha256
from pathlib import Path

import numpy as np
import pytest
from building import one_layer, samples

from neurodeploy.chip import load_chip
from neurodeploy.cli.entry import main
from neurodeploy.exchange.formats import write_network
from neurodeploy.exchange.nir.write import to_nir
from neurodeploy.files.toml import parse_toml
from neurodeploy.mapping.mapper import map_network
from neurodeploy.mapping.record import save_mapping
from neurodeploy.network import Cuba, Network
from neurodeploy.network.activity import save_samples

CASES = parse_toml((Path(__file__).parent / "bad_inputs.toml").read_text(encoding="utf-8"))["case"]
_SWEEP = """name = "small"
recipe = "digits-mlp"
[grid]
method = ["static"]
density = [0.1]
"""


def _network(n_in: int, n_out: int) -> Network:
    weights = 2 * np.random.default_rng(0).integers(-100, 100, (n_out, n_in))
    cuba = Cuba(current_decay=2048, voltage_decay=512, threshold=200)
    return one_layer(weights, cuba, source="input", target="output", wire="input_to_output", output="class")


@pytest.fixture(scope="module")
def made(tmp_path_factory):
    """A folder with every file that a case may need."""
    folder = tmp_path_factory.mktemp("made")
    small = _network(12, 5)
    to_nir(small, folder / "small.nir")
    to_nir(_network(20_000, 4), folder / "large.nir")
    write_network(small, folder / "small.nd5")
    for kind in ("nir", "nd5"):
        whole = (folder / f"small.{kind}").read_bytes()
        (folder / f"cut.{kind}").write_bytes(whole[: len(whole) // 2])
    for name, width in (("samples", 12), ("wide", 7)):
        raster = np.random.default_rng(1).random((6, 10, width)) < 0.4
        save_samples(samples(raster, "input", labels=np.arange(6) % 5, name="random"), folder / f"{name}.npz")
    save_mapping(map_network(small, load_chip("loihi2")), folder / "mapping.json")
    (folder / "sweep.toml").write_text(_SWEEP)
    (folder / "empty").mkdir()
    return folder


def _contents(folder: Path) -> dict[str, str]:
    """Return every path below a folder, with the hash of a file."""
    return {
        str(path.relative_to(folder)): sha256(path.read_bytes()).hexdigest() if path.is_file() else "folder"
        for path in sorted(folder.rglob("*"))
    }


@pytest.mark.parametrize("case", CASES, ids=lambda case: case["name"])
def test_a_bad_input_is_one_message_with_its_own_exit_code_and_nothing_written(
    case, made, tmp_path, monkeypatch, capfd
):
    if "package" in case:  # without it, its absence is what the command says
        pytest.importorskip(case["package"], reason=f"needs {case['package']}")
    for name in case.get("needs", ()):
        copy = shutil.copytree if (made / name).is_dir() else shutil.copy
        copy(made / name, tmp_path / name)
    for name, text in case.get("texts", {}).items():
        (tmp_path / name).write_text(text, encoding="utf-8")
    for name, value in case.get("environment", {}).items():
        monkeypatch.setenv(name, value)
    before = _contents(tmp_path)
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "argv", ["neurodeploy", *shlex.split(case["command"])])
    with pytest.raises(SystemExit) as ended:
        main()
    told = capfd.readouterr()
    assert ended.value.code == case["code"], f"{ended.value.code}: {told.err}"
    assert re.search(case["message"], told.err, re.DOTALL), told.err
    assert "Traceback" not in told.err
    assert told.out == ""
    assert len(re.findall("^neurodeploy: (?!warning)|^Usage: ", told.err, re.MULTILINE)) == 1, told.err
    assert _contents(tmp_path) == before


def test_there_are_forty_bad_inputs_and_every_command_has_one():
    from typer.main import get_command

    from neurodeploy.cli.program import app

    assert len(CASES) >= 40
    assert len({case["name"] for case in CASES}) == len(CASES)
    named = {shlex.split(case["command"])[0] for case in CASES}
    assert set(get_command(app).commands) - {"doctor"} <= named

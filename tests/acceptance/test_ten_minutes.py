"""The commands of ``docs/ten_minutes.md`` run as they stand there, on a network that snnTorch wrote."""

from __future__ import annotations

import gzip
import json
import os
import re
import shlex
import shutil
import subprocess
import sys

import pytest
from building import ROOT

from neurodeploy.targets.c.cores import missing_tools, needed_tools

PAGE = (ROOT / "docs" / "ten_minutes.md").read_text(encoding="utf-8")
LINES = re.findall(r"^    (\S.*)$", PAGE, re.MULTILINE)
TRAINED = ROOT / "tests" / "bridges" / "files" / "snntorch_leaky_zero.nir.gz"

pytestmark = pytest.mark.skipif(shutil.which("cc") is None, reason="needs a C compiler: apt-get install gcc")


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """A folder with the network and the samples, in which the commands run one after the other."""
    made = tmp_path_factory.mktemp("ten")
    (made / "trained.nir").write_bytes(gzip.decompress(TRAINED.read_bytes()))
    (script,) = re.findall(r"```python\n(.*?)```", PAGE, re.DOTALL)
    subprocess.run([sys.executable, "-c", script], cwd=made, check=True)
    return made


def run(line, folder):
    words = shlex.split(line)
    if words[0] == "neurodeploy":
        words = [sys.executable, "-m", "neurodeploy", *words[1:]]
    path = os.pathsep.join([str(ROOT), os.environ.get("PYTHONPATH", "")])
    environment = {**os.environ, "PYTHONPATH": path}
    return subprocess.run(words, cwd=folder, capture_output=True, text=True, check=False, env=environment)


@pytest.mark.parametrize("line", LINES)
def test_a_command_of_the_page_succeeds(line, folder):
    if "c:cortex-m4" in line and missing_tools("cortex-m4"):
        pytest.skip(needed_tools("cortex-m4"))
    done = run(line, folder)
    assert done.returncode == 0, f"{line}\n{done.stdout}\n{done.stderr}"


def test_no_spike_differed(folder):
    """The commands before have written both proofs, of whole layers that spike."""
    proof = json.loads((folder / "proof.json").read_text(encoding="utf-8"))
    assert proof["equal"]
    assert all(population["spikes"] > 100 for population in proof["populations"])
    assert set(proof["targets"]["c"]["sources"]) == {"network.h", "network.c", "network_tables.h"}
    if not missing_tools("cortex-m4"):
        emulated = json.loads((folder / "cortex-m4.json").read_text(encoding="utf-8"))
        assert emulated["equal"]
        assert emulated["targets"]["c:cortex-m4"]["instructions"]["step_mean"] > 100


def test_the_page_goes_from_the_file_to_the_processor():
    assert [line.split()[1] for line in LINES if line.startswith("neurodeploy")] == [
        "check", "export", "export", "verify", "verify", "map", "estimate"
    ]  # fmt: skip

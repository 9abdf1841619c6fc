"""Every script in examples/ runs from an empty folder and prints what it promises."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

import pytest
from building import ROOT

EXAMPLES = ROOT / "examples"


def _run(script: str, folder: Path) -> str:
    done = subprocess.run(
        [sys.executable, EXAMPLES / script], cwd=folder, capture_output=True, text=True, timeout=600, check=False
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


@pytest.mark.train
@pytest.mark.lava
def test_whole_path_reaches_95_percent_with_no_spike_different(tmp_path):
    printed = _run("whole_path.py", tmp_path)
    accuracy, different, compared = re.search(r"accuracy ([\d.]+)%, (\d+) of (\d+) spikes differ", printed).groups()
    assert float(accuracy) >= 95
    assert int(different) == 0
    assert int(compared) > 10_000
    assert re.search(r"loihi1: \d+ cores, \d+ bytes, [\d.]+ uJ a sample", printed)
    assert (tmp_path / "runs" / "example" / "model.nir").is_file()


def test_the_15_lines_of_the_readme_are_the_example():
    """The README shows the example's code, without its docstring and blank lines at the top."""
    readme = (EXAMPLES.parent / "README.md").read_text(encoding="utf-8")
    code = (EXAMPLES / "whole_path.py").read_text(encoding="utf-8").split('"""\n', 1)[1].strip()
    assert code in readme

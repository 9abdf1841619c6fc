"""A layer of 65,536 by 65,536 neurons with 4.3 million synapses is written, read and mapped in less than 3 GB."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from building import ROOT

N = 65_536
MOST_MIB = 3000 / 1.048576
"""3 GB; as a matrix, the weights alone would take 8.6 GB, and 17 GB as floats."""


def measured(act: str, path: Path) -> dict[str, Any]:
    """Return what an act takes in a process of its own (``tests/benchmarks/bench_nd5.py``)."""
    command = [sys.executable, ROOT / "tests" / "benchmarks" / "bench_nd5.py", act, path, str(N)]
    return json.loads(subprocess.run(command, capture_output=True, text=True, check=True).stdout)


@pytest.fixture(scope="module")
def written(tmp_path_factory):
    """The file, and what writing it took."""
    path = tmp_path_factory.mktemp("large") / "large.nd5"
    return path, measured("write", path)


@pytest.mark.slow
def test_writing_and_reading_take_little_more_than_the_network(written):
    """The network is 26 MB; a process that does nothing but import takes about 50."""
    path, taken = written
    assert taken["peak"] < 600  # making the network is most of it
    assert path.stat().st_size < 15e6
    assert measured("read", path)["peak"] < 200


@pytest.mark.slow
def test_it_is_mapped_onto_a_large_board(written):
    taken = measured("nahuku32", written[0])
    assert taken["found"].endswith(" cores")
    assert not taken["found"].startswith("does")
    assert taken["peak"] < MOST_MIB


@pytest.mark.slow
def test_a_chip_that_is_too_small_says_how_many_cores_it_would_take(written):
    taken = measured("loihi2", written[0])
    assert taken["found"].startswith("does not fit: ")
    assert int(taken["found"].split()[-2]) > 120
    assert taken["peak"] < MOST_MIB

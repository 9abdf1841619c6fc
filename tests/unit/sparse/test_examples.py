"""The examples of rewiring in a loop of one's own run, learn, and stay exactly as sparse as they say."""

from __future__ import annotations

import importlib.util
import re
import subprocess
import sys

import pytest
from building import ROOT

pytestmark = [pytest.mark.train, pytest.mark.slow]
EXAMPLES = ROOT / "examples"


@pytest.mark.parametrize(
    ("name", "package", "connections", "weights"),
    [
        ("rewire_slayer.py", "lava", round(0.05 * 9472), 9472),
        ("rewire_snntorch.py", "snntorch", round(0.1 * 7400), 7400),
    ],
)
def test_example_learns_with_the_connections_it_was_given(name, package, connections, weights):
    """Counted are weights that are not 0; a connection grown late that never had a gradient may still be."""
    if importlib.util.find_spec(package) is None or importlib.util.find_spec("torch") is None:
        pytest.skip(f"needs {package}")
    done = subprocess.run([sys.executable, EXAMPLES / name], capture_output=True, text=True, check=True)
    found = re.search(r"accuracy ([\d.]+)% with (\d+) of (\d+) connections", done.stdout)
    assert found, done.stdout
    assert float(found[1]) > 70
    assert 0.9 * connections < int(found[2]) <= connections
    assert int(found[3]) == weights

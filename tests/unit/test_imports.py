"""The Lava-free half imports neither torch nor Lava, and the command line starts without the heavy packages."""

from __future__ import annotations

import pkgutil
import subprocess
import sys

import pytest

import neurodeploy

NEEDS_TORCH = (
    "neurodeploy.training",
    "neurodeploy.sparse",
    "neurodeploy.bench.methods.r",  # run, row
    "neurodeploy.engines.lava.worker",
)
MODULES = [
    module.name
    for module in pkgutil.walk_packages(neurodeploy.__path__, "neurodeploy.")
    if not module.name.startswith(NEEDS_TORCH) and not module.name.endswith("__main__")
]


def _imported_by(statement: str) -> set[str]:
    code = f"import sys; {statement}; print(' '.join(sorted({{m.split('.')[0] for m in sys.modules}})))"
    return set(subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout.split())


def test_importing_every_module_of_the_lava_free_half_loads_neither_torch_nor_lava():
    assert "neurodeploy.mapping" in MODULES
    assert "neurodeploy.engines.reference" in MODULES
    loaded = _imported_by("import " + ", ".join(MODULES))
    assert not {"torch", "lava", "tonic", "sanafe", "kahypar"} & loaded


@pytest.mark.parametrize("name", ["Network", "from_nir", "load_chip", "map_network", "compare_activities"])
def test_public_names_load_without_torch_and_lava(name):
    assert not {"torch", "lava"} & _imported_by(f"from neurodeploy import {name}")


def test_importing_the_package_or_its_command_line_loads_no_heavy_package():
    loaded = _imported_by("import neurodeploy, neurodeploy.cli")
    assert not {"torch", "lava", "numba", "scipy", "h5py", "nir", "plotly"} & loaded


def test_every_public_name_exists():
    for name in set(neurodeploy.__all__) - {"__version__"}:
        assert getattr(neurodeploy, name) is not None


def test_unknown_public_name_is_an_attribute_error():
    with pytest.raises(AttributeError, match="no attribute 'nothing'"):
        _ = neurodeploy.nothing

"""The Lava-free half imports neither torch nor Lava, and the command line starts without the heavy packages."""

from __future__ import annotations

import ast
import pkgutil
import re
import subprocess
import sys
from pathlib import Path

import pytest

import neurodeploy
from neurodeploy import commands

ROOT = Path(__file__).resolve().parents[2]
DOCUMENTED = [
    "README.md",
    *(str(p.relative_to(ROOT)) for p in sorted((ROOT / "docs").glob("*.md")) if p.name != "growing.md"),
    *(str(p.relative_to(ROOT)) for p in sorted((ROOT / "examples").glob("*.py"))),
]
"""Pages and examples for users; ``docs/growing.md`` is for those who add rows, in the rooms of the tables."""
NEEDS_TORCH = (
    "neurodeploy.training",
    "neurodeploy.sparse",
    "neurodeploy.bench.methods.r",  # run, row
    "neurodeploy.bench.training.",
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


def test_every_module_of_the_lava_free_half_imports_without_scipy():
    """It takes as much room as all of the rest but the compiler; numba loads it where it is installed."""
    assert "numba" in _imported_by("import sys; sys.modules['scipy'] = None; import " + ", ".join(MODULES))


@pytest.mark.parametrize("name", ["Network", "from_nir", "load_chip", "map_network", "compare_activities"])
def test_public_names_load_without_torch_and_lava(name):
    assert not {"torch", "lava"} & _imported_by(f"from neurodeploy import {name}")


def test_importing_the_package_or_its_command_line_loads_no_heavy_package():
    loaded = _imported_by("import neurodeploy, neurodeploy.cli")
    assert not {"torch", "lava", "numba", "scipy", "h5py", "nir", "plotly"} & loaded


NEEDING_TORCH = {name for name, module in neurodeploy._module_of.items() if re.search(r"\.(sparse|training)\.", module)}


@pytest.mark.parametrize("name", sorted(set(neurodeploy.__all__) - {"__version__"}))
def test_every_public_name_exists(name):
    if name in NEEDING_TORCH:
        pytest.importorskip("torch")
    assert getattr(neurodeploy, name) is not None


@pytest.mark.parametrize(
    ("room", "module_of"), [(neurodeploy, neurodeploy._module_of), (commands, commands._module_of)]
)
def test_type_checkers_see_the_names_that_load_on_first_use(room, module_of):
    tree = ast.parse(Path(room.__file__).read_text(encoding="utf-8"))
    (seen,) = (node for node in tree.body if isinstance(node, ast.If))
    imported = {
        alias.name: node.module for node in seen.body if isinstance(node, ast.ImportFrom) for alias in node.names
    }
    assert imported == module_of
    assert set(imported) == set(room.__all__) - {"__version__"}


def test_a_command_loads_no_other():
    code = "import sys; from neurodeploy.commands import check; print(*sys.modules)"
    loaded = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout.split()
    assert "neurodeploy.commands.check" in loaded
    assert not {f"neurodeploy.commands.{other}" for other in ("report", "sweep", "train", "verify")} & set(loaded)
    assert not {"numba", "plotly"} & set(loaded)


@pytest.mark.parametrize("name", DOCUMENTED)
def test_readme_docs_and_examples_import_from_the_top_level(name):
    """What a page or an example imports from neurodeploy comes from the top level, and is there."""
    for line in re.findall(
        r"^\s*from (neurodeploy[\w.]*) import ", (ROOT / name).read_text(encoding="utf-8"), re.MULTILINE
    ):
        assert line == "neurodeploy", f"{name}: from {line} import ..."


def test_unknown_public_name_is_an_attribute_error():
    with pytest.raises(AttributeError, match="no attribute 'nothing'"):
        _ = neurodeploy.nothing

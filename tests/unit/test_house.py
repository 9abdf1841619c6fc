"""The plan of the package: what CONTRIBUTING says of its rooms, held against the code itself.

``python tests/unit/test_house.py`` writes the table of rooms in CONTRIBUTING anew.
"""

from __future__ import annotations

import ast
import re
from graphlib import CycleError, TopologicalSorter
from pathlib import Path

import pytest

import neurodeploy
from neurodeploy.chip.rules import RULES
from neurodeploy.data.encodings import ENCODINGS
from neurodeploy.engines import ENGINES
from neurodeploy.engines.dynamics import DYNAMICS
from neurodeploy.engines.lava.neurons import PROCESSES
from neurodeploy.exchange.formats import FORMATS
from neurodeploy.files.lazy import named_function
from neurodeploy.network.neurons import NEURON_KINDS
from neurodeploy.proofs.departures import DEPARTURES as DEPARTURES
from neurodeploy.recipe.data import DataRecipe
from neurodeploy.recipe.data_sets import DATA_SETS
from neurodeploy.recipe.sparse import METHODS, SparseRecipe
from neurodeploy.targets import TARGETS

ROOT = Path(__file__).resolve().parents[2]
PACKAGE = ROOT / "neurodeploy"
CONTRIBUTING = ROOT / "CONTRIBUTING.md"
LOWEST = ("errors", "dicts", "units", "plugins", "processes", "version", "__init__", "__main__")
"""Modules beside the rooms: they import ``errors`` alone, or (the first and the last to run) names on first use."""


def _name(path: Path) -> str:
    parts = path.relative_to(ROOT).with_suffix("").parts
    return ".".join(parts[:-1] if parts[-1] == "__init__" else parts)


FILES = {_name(path): path for path in sorted(PACKAGE.rglob("*.py"))}
"""Every module of the package by its dotted name."""
TREES = {name: ast.parse(path.read_text(encoding="utf-8")) for name, path in FILES.items()}
ROOMS = sorted(path.parent.relative_to(PACKAGE).as_posix() for path in PACKAGE.rglob("__init__.py"))
"""Folders of the package, itself as ``.``."""


def _imports(module: str) -> set[str]:
    """Return the modules of the package that a module imports anywhere, inside functions too."""
    found = set()
    for node in ast.walk(TREES[module]):
        if isinstance(node, ast.ImportFrom) and node.module:
            inner = {f"{node.module}.{alias.name}" for alias in node.names}
            found |= {name if name in FILES else node.module for name in inner}
            if node.module == "neurodeploy":  # a name of the top level stands for the module that defines it
                found |= {
                    neurodeploy._module_of[alias.name] for alias in node.names if alias.name in neurodeploy._module_of
                }
        elif isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names}
    return {name for name in found if name in FILES and name != module}


IMPORTS = {module: _imports(module) for module in FILES if module != "neurodeploy"}


def _room(module: str) -> str:
    """Return the room on the ground plan that a module lies in: the first folder, or the file beside the folders."""
    return module.split(".")[1] if "." in module else "__init__"


def _floors() -> list[list[str]]:
    """Return the floors that CONTRIBUTING lists, from the top down."""
    block = re.search(r"## The floors.*?\n\n((?:    [^\n]*\n)+)", CONTRIBUTING.read_text(encoding="utf-8"), re.DOTALL)
    assert block, "CONTRIBUTING lists no floors"
    return [line.split("#")[0].split() for line in block.group(1).splitlines()]


def _caption(room: str) -> str:
    """Return the first line of a folder's docstring."""
    documented = ast.get_docstring(TREES[_name(PACKAGE / room / "__init__.py")])
    assert documented, f"{room} has no docstring"
    return documented.splitlines()[0]


def rooms_table() -> str:
    """Return the table of rooms as CONTRIBUTING holds it."""
    rows = [f"| `{room}/` | {_caption(room)} |" for room in ROOMS if room != "."]
    return "\n".join(["| room | what it holds |", "|---|---|", *rows]) + "\n"


def test_no_circle_between_files():
    try:
        TopologicalSorter(IMPORTS).prepare()
    except CycleError as error:
        raise AssertionError(f"these modules import each other: {' <- '.join(error.args[1])}") from None


def test_every_room_stands_on_a_floor():
    listed = [room for floor in _floors() for room in floor]
    assert len(listed) == len(set(listed))
    assert set(listed) == {_room(module) for module in IMPORTS} - set(LOWEST)


def test_a_room_imports_only_from_lower_floors():
    level = {room: height for height, floor in enumerate(reversed(_floors()), start=1) for room in floor}
    level |= dict.fromkeys(LOWEST, 0)
    wrong = [
        f"{module} imports {other}"
        for module, others in IMPORTS.items()
        for other in sorted(others)
        if _room(module) not in LOWEST and _room(other) != _room(module) and level[_room(other)] >= level[_room(module)]
    ]
    assert not wrong, "\n".join(wrong)


@pytest.mark.parametrize("name", [name for name in LOWEST if not name.startswith("__")])
def test_what_lies_beside_the_rooms_imports_errors_alone(name):
    assert IMPORTS[f"neurodeploy.{name}"] <= {"neurodeploy.errors"}


@pytest.mark.parametrize("room", [room for room in ROOMS if room != "."])
def test_a_face_defines_nothing(room):
    """It hands on names from its room: a docstring, imports and ``__all__``; the commands' face does so on first use."""
    tree = TREES[_name(PACKAGE / room / "__init__.py")]
    body = [part for node in tree.body for part in (node.body if _is_for_type_checkers(node) else [node])]
    if room == "commands":
        body = [node for node in body if not ast.unparse(node).startswith(("_HOME = {", "hand_on_at_first_use("))]
    for node in body:
        docstring = isinstance(node, ast.Expr) and isinstance(node.value, ast.Constant)
        names = isinstance(node, ast.Assign) and ast.unparse(node.targets[0]) == "__all__"
        assert docstring or names or isinstance(node, ast.ImportFrom), f"{room}: {ast.unparse(node)[:60]}"


def _is_for_type_checkers(node: ast.stmt) -> bool:
    return isinstance(node, ast.If) and ast.unparse(node.test) == "TYPE_CHECKING" and not node.orelse


@pytest.mark.parametrize("room", [room for room in ROOMS if room not in ("cli", "commands")])
def test_no_module_bears_the_name_of_a_public_function_beside_it(room):
    folder = PACKAGE / room
    beside = {path.stem for path in folder.glob("*.py")} | {path.name for path in folder.iterdir() if path.is_dir()}
    functions = {
        node.name
        for path in folder.glob("*.py")
        for node in TREES[_name(path)].body
        if isinstance(node, ast.FunctionDef) and not node.name.startswith("_")
    }
    assert not functions & beside
    if room == ".":
        assert not set(neurodeploy.__all__) & beside


def test_contributing_has_every_room_with_its_caption():
    assert rooms_table() in CONTRIBUTING.read_text(encoding="utf-8"), "run python tests/unit/test_house.py"


def test_the_map_of_changes_names_files_that_exist():
    text = CONTRIBUTING.read_text(encoding="utf-8")
    rows = re.search(r"## Where a change goes\n.*?\n((?:\|[^\n]*\n)+)", text, re.DOTALL)
    assert rows, "CONTRIBUTING has no table of changes"
    lines = rows.group(1).splitlines()[2:]
    assert len(lines) >= 10
    for line in lines:
        files = re.findall(r"`([^`]+\.(?:py|toml|md|j2|json))`", line.split("|")[2])
        assert files, line
        for file in files:
            assert (ROOT / file).is_file(), f"{file} of {line}"


def test_every_row_of_a_table_names_a_function_that_is_there():
    lazy = [engine.run for engine in ENGINES.values()] + [e.seconds for e in ENGINES.values() if e.seconds]
    lazy += [way for kind in FORMATS.values() for way in (kind.read, kind.write) if way]
    lazy += [way for target in TARGETS.values() for way in (target.write, target.check, target.run) if way]
    lazy += [known.load for known in DATA_SETS.values()]
    for reference in lazy:
        assert callable(named_function(reference)), reference
    for reference in [method.start for method in METHODS.values()]:
        module, function = reference.split(":")
        assert function in {node.name for node in TREES[module].body if isinstance(node, ast.FunctionDef)}


def test_every_table_of_neurons_has_a_row_for_every_kind():
    """Stages that take some kinds only refuse the others in ``unit/network/test_kinds_refused.py``."""
    for table in (DYNAMICS, PROCESSES, DEPARTURES):
        assert set(table) == set(NEURON_KINDS.values())


def test_vocabularies_are_those_of_the_tables():
    """Where a record lists words itself, they are the keys of the table that acts on them."""
    assert all(rule.layout is not None or rule.at_most is None for rule in RULES.values())
    encodings = set(DataRecipe.model_fields["encoding"].annotation.__args__)
    assert encodings - {"frames"} == set(ENCODINGS)
    assert set(SparseRecipe.model_fields) >= {name for m in METHODS.values() for name in m.settings}


def test_growth_rules_and_distributions_of_recipes_are_those_of_the_engine():
    pytest.importorskip("torch")
    from neurodeploy.sparse.budgets import DISTRIBUTIONS
    from neurodeploy.sparse.scores import GROWTH

    words = {name: SparseRecipe.model_fields[name].annotation for name in ("growth", "distribution")}
    growth = {word for part in words["growth"].__args__ for word in getattr(part, "__args__", ())}
    assert growth == set(GROWTH)
    assert set(words["distribution"].__args__) == set(DISTRIBUTIONS) - {"dense"}


if __name__ == "__main__":
    text = CONTRIBUTING.read_text(encoding="utf-8")
    written = re.sub(r"\| room \| what it holds \|\n(?:\|.*\n)*", lambda _: rooms_table(), text)
    CONTRIBUTING.write_text(written, encoding="utf-8")

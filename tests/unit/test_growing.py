"""A package from outside adds a chip with a synapse format, a method, an engine, a data set, a file format and a target.

``tests/outside`` is that package: it adds rows to tables and offers a folder of chips, and no file of neurodeploy knows it.
``docs/growing.md`` shows the same, thing by thing.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from neurodeploy import load_plugins, simulate, verify
from neurodeploy.chip import RULES, load_chip
from neurodeploy.commands import load_network
from neurodeploy.engines import ENGINES
from neurodeploy.errors import UsageError
from neurodeploy.exchange.formats import FORMATS
from neurodeploy.mapping import map_network
from neurodeploy.network.activity import Events, Samples, save_samples
from neurodeploy.recipe import load_recipe, parse_recipe
from neurodeploy.recipe.data_sets import DATA_SETS
from neurodeploy.recipe.sparse import METHODS
from neurodeploy.sweeps.run import workers
from neurodeploy.targets import TARGETS, check_target, write_target

TESTS = Path(__file__).resolve().parents[1]
TABLES = (RULES, METHODS, ENGINES, DATA_SETS, FORMATS, TARGETS)
MATRIX = {"weights": [[40, 0, -8], [0, 24, 16]], "threshold": 30}


@pytest.fixture(scope="module", autouse=True)
def installed(tmp_path_factory):
    """The package as pip leaves it: importable, with its entry points in its metadata; its rows go again at the end."""
    site = tmp_path_factory.mktemp("site")
    info = site / "outside-1.0.dist-info"
    info.mkdir()
    (info / "METADATA").write_text("Metadata-Version: 2.1\nName: outside\nVersion: 1.0\n")
    (info / "entry_points.txt").write_text(
        "[neurodeploy.plugins]\noutside = outside.rows\n[neurodeploy.chips]\noutside = outside.rows:folder\n"
    )
    before = [dict(table) for table in TABLES]
    sys.path.insert(0, str(site))
    try:
        assert load_plugins() == ["outside"]
        yield site
    finally:
        sys.path.remove(str(site))
        for table, rows in zip(TABLES, before):
            table.clear()
            table.update(rows)
        sys.modules.pop("outside.rows", None)


@pytest.fixture
def file(tmp_path: Path) -> Path:
    path = tmp_path / "net.matrix"
    path.write_text(json.dumps(MATRIX))
    return path


@pytest.fixture
def samples() -> Samples:
    spikes = np.random.default_rng(0).random((4, 12, 3)) < 0.4
    return Samples(inputs={"input": Events.from_dense(spikes)}, labels=np.array([0, 1, 0, 1], np.int32), name="x")


def test_every_table_has_its_row():
    names = ("pairs", "half-static", "outside", "stripes", ".matrix", "matrix")
    assert all(name in table for name, table in zip(names, TABLES))


def test_a_chip_with_its_own_synapse_format_is_mapped_onto(file):
    """A row of one synapse takes the room of two: 2 + 2 + 2 + 2 slots of 16 bits, each list in whole words of 32."""
    mapping = map_network(load_network(file), load_chip("pairs"))
    assert [load.words for load in mapping.cores] == [{"weights": 3}]
    assert [load.formats for load in mapping.cores] == [{"weights": "pairs"}]


def test_an_engine_and_a_target_that_runs_take_part_in_proofs(file, samples):
    proof = verify(file, samples, engines=["reference", "outside", "matrix"], n_samples=None)
    assert proof["equal"]
    assert proof["spikes_compared"] > 0
    assert simulate(load_network(file), samples, engine="outside").engine == "outside"


def test_a_file_format_is_read_and_a_target_is_written_and_checked(file, tmp_path):
    network = load_network(file)
    write_target("matrix", network, tmp_path / "again.matrix")
    assert json.loads((tmp_path / "again.matrix").read_text()) == MATRIX
    assert check_target("matrix", tmp_path / "again.matrix") == []


def test_a_target_that_needs_a_mapping_says_so(file, tmp_path):
    with pytest.raises(UsageError, match="target 'sanafe' needs mapping and activity besides the network"):
        write_target("sanafe", load_network(file), tmp_path)


def recipe(name: str = "stripes", method: str = "half-static") -> str:
    return f"""
name = "outside"
[data]
name = "{name}"
n_steps = 8
[network]
layers = [{{ neurons = 16 }}, {{ neurons = 8 }}]
neuron = {{ threshold = 64, current_decay = 2048, voltage_decay = 512, tau_grad = 0.01 }}
[sparse]
method = "{method}"
density = 0.5
[training]
epochs = 2
learning_rate = 3e-3
"""


@pytest.mark.train
def test_a_data_set_is_trained_on_with_a_method(tmp_path):
    from neurodeploy import as_network, train

    (tmp_path / "mine.toml").write_text(recipe())
    found = train(tmp_path / "mine.toml", out=tmp_path / "run")
    assert found["epochs"] == 2
    hidden = as_network(tmp_path / "run").projections[0]
    assert hidden.mask is None or hidden.mask.mean() == 0.5
    assert np.count_nonzero(hidden.synapses.weights.reshape(-1)[1::2]) == 0


def test_recipes_name_the_rows_that_are_there():
    assert parse_recipe(recipe(), "mine").data.name == "stripes"
    with pytest.raises(Exception, match=r"'fsdd' or 'stripes'"):
        parse_recipe(recipe(name="spots"), "mine")
    with pytest.raises(Exception, match=r"'rkd' or 'half-static'"):
        parse_recipe(recipe(method="magic"), "mine")
    assert load_recipe("digits-mlp").sparse.method == "esl"


def test_the_command_line_knows_the_package(installed, file, samples, tmp_path):
    save_samples(samples, tmp_path / "x.npz")
    path = os.pathsep.join([str(installed), str(TESTS), os.environ.get("PYTHONPATH", "")])

    def run(*args: str | Path) -> str:
        done = subprocess.run(
            [sys.executable, "-m", "neurodeploy", *map(str, args)],
            capture_output=True,
            text=True,
            env={**os.environ, "PYTHONPATH": path},
            check=False,
        )
        assert done.returncode == 0, done.stderr
        return done.stdout

    assert json.loads(run("map", file, "--chip", "pairs", "--json"))["cores"] == 1
    assert json.loads(run("simulate", file, tmp_path / "x.npz", "--engine", "outside", "--json"))["engine"] == "outside"
    assert "reference, outside, matrix: equal" in run(
        "verify", file, tmp_path / "x.npz", "--engines", "reference,outside,matrix", "--samples", "4"
    )
    run("export", file, "--out", tmp_path / "x.nir")
    run("export", tmp_path / "x.nir", "--out", tmp_path / "back.matrix")
    assert json.loads((tmp_path / "back.matrix").read_text()) == MATRIX
    assert "stripes" in run("data", "list")


@pytest.mark.filterwarnings("ignore::DeprecationWarning")
def test_workers_of_a_sweep_know_the_package():
    with workers(1) as submit:
        assert submit(parse_recipe, recipe(), "mine").result(timeout=120).data.name == "stripes"


def test_a_package_that_cannot_be_loaded_is_named(tmp_path, monkeypatch):
    info = tmp_path / "broken-1.0.dist-info"
    info.mkdir()
    (info / "METADATA").write_text("Metadata-Version: 2.1\nName: broken\nVersion: 1.0\n")
    (info / "entry_points.txt").write_text("[neurodeploy.plugins]\nmine = no_such_module\n")
    monkeypatch.syspath_prepend(str(tmp_path))
    with pytest.raises(UsageError, match=r"plugins: 'mine' of package 'broken' cannot be loaded from no_such_module"):
        load_plugins()

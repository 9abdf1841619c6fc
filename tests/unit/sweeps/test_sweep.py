"""Sweeps: the plan and its errors, front and knee, stages done once, and the whole command on digits."""

from __future__ import annotations

import json
import subprocess
import sys
from concurrent.futures import Future
from itertools import product
from pathlib import Path

import numpy as np
import pytest
from building import one_layer, samples
from hypothesis import given
from hypothesis import strategies as st

from neurodeploy.errors import FileError, FitError, SimulationError, SweepError
from neurodeploy.files.toml import parse_toml
from neurodeploy.recipe.files import method_recipe
from neurodeploy.sweeps import run as run_module
from neurodeploy.sweeps.pareto import knee, pareto_front
from neurodeploy.sweeps.plan import Point, load_plan, parse_plan
from neurodeploy.sweeps.results import make_results, markdown
from neurodeploy.sweeps.run import sweep
from neurodeploy.sweeps.store import Store, content_key

PLAN = """
name = "small"
recipe = "digits-mlp"
samples = 60

[grid]
method = ["static", "dense", { method = "pq", gamma = 2.0 }]
density = [0.05, 0.2]
weight_bits = [8, 4]
chip = ["loihi1", "loihi2"]

[changes.training]
epochs = 1
[changes.network]
layers = [{ neurons = 24 }, { neurons = 10 }]
"""


def front_by_definition(costs: list[list[int]]) -> list[bool]:
    """A point is beaten by one that is nowhere larger and somewhere smaller."""
    return [
        not any(all(a <= b for a, b in zip(q, p)) and any(a < b for a, b in zip(q, p)) for q in costs) for p in costs
    ]


@given(st.integers(1, 4).flatmap(lambda k: st.lists(st.lists(st.integers(0, 4), min_size=k, max_size=k), max_size=12)))
def test_front_is_what_no_other_point_beats(costs: list[list[int]]) -> None:
    assert pareto_front(costs).tolist() == front_by_definition(costs)


def test_knee_is_the_point_of_the_front_farthest_below_the_line_between_its_ends() -> None:
    assert knee([[0, 100], [2, 30], [4, 20], [10, 0], [9, 99]]) == 1


def test_knee_is_the_same_whatever_the_units() -> None:
    costs = np.array([[0, 10], [1, 6], [2, 2], [7, 1], [10, 0]])
    assert knee(costs) == knee(costs * [1e-9, 1e6]) == 2


@pytest.mark.parametrize("costs", [[[1, 2], [2, 1]], [[0, 2], [1, 1], [2, 0]], [[1, 1], [1, 1], [1, 1]], []])
def test_there_is_no_knee_without_a_point_below_the_line(costs: list[list[int]]) -> None:
    assert knee(costs) is None


def test_points_are_every_combination_and_methods_without_density_have_one() -> None:
    plan, points = parse_plan(PLAN, where="plan")
    wanted = [
        *product(["static"], [0.05, 0.2], [8, 4], ["loihi1", "loihi2"]),
        *product(["dense"], [None], [8, 4], ["loihi1", "loihi2"]),
        *product(["pq gamma=2.0"], [0.05, 0.2], [8, 4], ["loihi1", "loihi2"]),
    ]
    assert [(p.method, p.density, p.weight_bits, p.chip) for p in points] == wanted
    assert plan.samples == 60


def test_a_method_that_loses_connections_ends_at_the_density_of_its_point() -> None:
    points = parse_plan(PLAN, where="plan")[1]
    sparse = [parse_toml(p.recipe_text)["sparse"] for p in points if p.method.startswith("pq")]
    assert {(s["density"], s["floor"], s["gamma"]) for s in sparse} == {(0.5, 0.05, 2.0), (0.5, 0.2, 2.0)}


def test_settings_of_another_method_do_not_reach_a_point() -> None:
    base = {"sparse": {"method": "esl", "density": 0.1, "growth": "random", "every_steps": 7, "distribution": "er"}}
    recipe = method_recipe(base, {"method": "static"}, 0.3, 5)
    assert recipe == {"seed": 5, "sparse": {"method": "static", "density": 0.3, "distribution": "er"}}


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (('"digits-mlp"', '"nowhere"'), "there is no file nowhere"),
        (
            ("[grid]", "[grid]\nbits = [8]"),
            "unknown key 'grid.bits'; known keys there: chip, density, method, placement",
        ),
        (
            ("samples = 60", "sample = 60"),
            "unknown key 'sample'; known keys there: changes, grid, name, recipe, samples",
        ),
        (("density = [0.05, 0.2]", "density = []"), "key 'grid.density' is empty"),
        (("density = [0.05, 0.2]", "density = [0.05, 1.2]"), "key 'grid.density.1' = 1.2"),
        (
            ("density = [0.05, 0.2]", 'density = ["much"]'),
            "key 'grid.density.0' = 'much': input should be a valid number",
        ),
        (("weight_bits = [8, 4]", "weight_bits = [9]"), "key 'grid.weight_bits.0' = 9"),
        (('"static", "dense"', '"stactic"'), "unknown method 'stactic'; known: dense, static"),
        (('"loihi1", "loihi2"', '"loihi9"'), "key 'grid.chip': chip: "),
        (("[grid]", '[grid]\nsplit = ["equals"]'), "unknown split 'equals'; known: equal, overlap"),
        (("gamma = 2.0", "growth_rate = 2.0"), "growth_rate"),
        (("epochs = 1", "epochs = 0"), "epochs"),
        (('name = "small"', 'name = "small'), "is not valid TOML"),
        (('name = "small"\n', ""), "key 'name' is missing"),
    ],
)
def test_a_bad_plan_is_one_message_with_file_and_key(change: tuple[str, str], message: str) -> None:
    with pytest.raises(SweepError) as caught:
        parse_plan(PLAN.replace(*change), where="my.toml")
    assert str(caught.value).startswith("sweep: my.toml: ") or "my.toml is not valid TOML" in str(caught.value)
    assert message in str(caught.value)
    assert "\n" not in str(caught.value)


def test_a_missing_plan_is_one_message(tmp_path: Path) -> None:
    with pytest.raises(SweepError, match="none.toml cannot be read"):
        load_plan(tmp_path / "none.toml")


def test_a_cut_short_result_counts_as_not_there(tmp_path: Path) -> None:
    store = Store(tmp_path)
    store.save("train", "k", {"seconds": 1.5, "files": {"model.nir": b"abc"}})
    assert store.load("train", "k") == {"seconds": 1.5, "files": {"model.nir": b"abc"}}
    (store.path("train", "k") / "model.nir").unlink()
    assert store.load("train", "k") is None


def test_keys_depend_on_stage_and_every_part_and_its_borders() -> None:
    keys = [content_key("a", b"xy", b"z"), content_key("a", b"x", b"yz"), content_key("b", b"xy", b"z")]
    keys += [content_key("a", b"xy", 1), content_key("a", b"xy", 2)]
    assert len(set(keys)) == len(keys)


class Stages:
    """Stands for the three stages: counts the calls, and fails where it is told to."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.calls: list[str] = []
        self.failing: dict[str, Exception] = {}
        for name in ("train", "quantise", "price"):
            monkeypatch.setattr(run_module, f"{name}_stage", getattr(self, name))

    def submit(self, work, *given):  # type: ignore[no-untyped-def]
        future: Future[dict[str, object]] = Future()
        self.calls.append(work.__name__)
        try:
            if work.__name__ in self.failing:
                raise self.failing[work.__name__]
            future.set_result(work(*given))
        except Exception as error:
            future.set_exception(error)
        return future

    def train(self, text: str, folder: str | None) -> dict[str, object]:
        assert folder is not None
        files = {"model.nir": text.encode(), "test.npz": b"samples"}
        return {"validation_accuracy": 0.5, "seconds": 1.0, "best_epoch": 1, "files": files}

    def quantise(self, nir: bytes, samples: bytes, bits: int, n_samples: int | None) -> dict[str, object]:
        assert (samples, n_samples) == (b"samples", 60)
        return {"accuracy": bits / 10, "samples": 60, "files": {"model.nir": nir + bytes([bits])}}

    def price(self, nir: bytes, _samples: bytes, chip, _split, _placement, _n) -> dict[str, object]:  # type: ignore[no-untyped-def]
        band = {"low": 1.0, "nominal": float(nir[-1]), "high": 20.0, "grade": "guess"}
        figures = {"cores": 2 if chip.name == "loihi1" else 1, "chips": 1, "synaptic_bytes": 100}
        return {"fits": True, **figures, "energy_j": band, "latency_s": band, "worst_latency_s": band, "error": None}


@pytest.fixture
def stages(monkeypatch: pytest.MonkeyPatch) -> Stages:
    return Stages(monkeypatch)


def run(stages: Stages, points: tuple[Point, ...], folder: Path) -> list[dict[str, object]]:
    return sweep(points, folder, submit=stages.submit, n_samples=60)


def test_each_training_and_quantisation_is_done_once_and_a_second_run_does_nothing(
    stages: Stages, tmp_path: Path
) -> None:
    points = parse_plan(PLAN, where="plan")[1]
    rows = run(stages, points, tmp_path)
    assert {name: stages.calls.count(name) for name in stages.calls} == {"train": 5, "quantise": 10, "price": 20}
    assert [(row["weight_bits"], row["accuracy"]) for row in rows] == [
        (p.weight_bits, p.weight_bits / 10) for p in points
    ]
    stages.calls.clear()
    assert run(stages, points, tmp_path) == rows
    assert stages.calls == []


def test_a_finer_grid_does_only_what_is_new(stages: Stages, tmp_path: Path) -> None:
    run(stages, parse_plan(PLAN, where="plan")[1], tmp_path)
    stages.calls.clear()
    run(stages, parse_plan(PLAN.replace("[8, 4]", "[8, 4, 2]"), where="plan")[1], tmp_path)
    assert {name: stages.calls.count(name) for name in stages.calls} == {"quantise": 5, "price": 10}


def test_a_network_to_start_from_that_changed_is_trained_again(stages: Stages, tmp_path: Path) -> None:
    start = tmp_path / "start.nir"
    recipe = f"""
        name = "on"
        start = {{ file = {json.dumps(str(start))} }}
        data = {{ name = "digits", n_steps = 4 }}
        sparse = {{ method = "static" }}
        training = {{ epochs = 1, batch_size = 256 }}
    """
    points = tuple(p.model_copy(update={"recipe_text": recipe}) for p in parse_plan(PLAN, where="plan")[1][:1])
    for content, trained in ((b"one", 1), (b"one", 0), (b"other", 1), (b"one", 0)):
        start.write_bytes(content)
        stages.calls.clear()
        run(stages, points, tmp_path / "sweep")
        assert stages.calls.count("train") == trained


def test_a_failed_stage_is_an_error_in_its_rows_and_is_tried_again(stages: Stages, tmp_path: Path) -> None:
    points = parse_plan(PLAN, where="plan")[1]
    stages.failing = {"quantise": SimulationError("simulate: broken")}
    rows = run(stages, points, tmp_path)
    assert {row["error"] for row in rows} == {"simulate: broken"}
    stages.failing = {}
    assert {row["error"] for row in run(stages, points, tmp_path)} == {None}


def test_an_unexpected_failure_is_not_hidden_in_a_row(stages: Stages, tmp_path: Path) -> None:
    stages.failing = {"price": ZeroDivisionError("ours")}
    with pytest.raises(ZeroDivisionError):
        run(stages, parse_plan(PLAN, where="plan")[1], tmp_path)


def test_front_and_knee_of_the_results_leave_out_points_that_do_not_fit(stages: Stages, tmp_path: Path) -> None:
    plan, points = parse_plan(PLAN, where="plan")
    rows = run(stages, points, tmp_path)
    rows[0].update(fits=False, error=str(FitError("map: too large")), energy_j=None)
    results = make_results(plan, points, rows)
    assert 0 not in results["front"]
    assert {rows[i]["weight_bits"] for i in results["front"]} == {4, 8}
    assert {rows[i]["cores"] for i in results["front"]} == {1}
    text = markdown(results)
    assert "map: too large" in text
    assert text.count("| front |") == len(results["front"])


@pytest.fixture(scope="module")
def swept(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The command on digits with a tiny network, in two processes; one chip is far too small."""
    pytest.importorskip("torch", reason="training needs torch (Python 3.10)")
    folder = tmp_path_factory.mktemp("sweep")
    tiny = '"loihi2", "tiny.toml"'
    text = PLAN.replace('"dense", { method = "pq", gamma = 2.0 }', "").replace('"loihi1", "loihi2"', tiny)
    (folder / "sweep.toml").write_text(text.replace("[0.05, 0.2]", "[0.2]"))
    command(folder, "chips", "new", "tiny", "--base", "loihi2", "--out", "tiny.toml")
    chip = (folder / "tiny.toml").read_text()
    (folder / "tiny.toml").write_text(chip + TINY_CORES)
    command(folder, "sweep", "sweep.toml", "--out", "out", "--jobs", "2")
    return folder


TINY_CORES = """
[cores.count]
value = 1
unit = "cores"
source = "made up for a test"
grade = "guess"
"""


def command(folder: Path, *arguments: str) -> str:
    done = subprocess.run(
        [sys.executable, "-m", "neurodeploy", *arguments],
        cwd=folder,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


def test_the_command_trains_places_and_prices_every_point(swept: Path) -> None:
    results = json.loads((swept / "out" / "results.json").read_text())
    by_chip = {(row["chip"], row["weight_bits"]): row for row in results["rows"]}
    good, bad = by_chip["loihi2", 8], by_chip["tiny.toml", 8]
    assert good["fits"]
    assert good["error"] is None
    assert 0.1 < good["accuracy"] <= 1
    assert good["energy_j"]["low"] <= good["energy_j"]["nominal"] <= good["energy_j"]["high"]
    assert not bad["fits"]
    assert bad["binding"]["limit"] == 1
    assert by_chip["loihi2", 4]["nonzero_density"] <= good["nonzero_density"]
    page = (swept / "out" / "sweep.html").read_text()
    assert "https://" not in page.split("<script>")[0]
    assert "Pareto front" in page


def test_a_second_run_reads_every_stage_from_the_folder(swept: Path) -> None:
    kept = {path: path.stat().st_mtime_ns for path in (swept / "out" / "stages").rglob("*")}
    again = json.loads(command(swept, "sweep", "sweep.toml", "--out", "out", "--json"))
    assert {path: path.stat().st_mtime_ns for path in (swept / "out" / "stages").rglob("*")} == kept
    assert again["rows"] == json.loads((swept / "out" / "results.json").read_text())["rows"]


def test_another_sweep_does_not_replace_the_results(swept: Path) -> None:
    from neurodeploy import commands

    other = swept / "other.toml"
    other.write_text((swept / "sweep.toml").read_text().replace('"small"', '"another"'))
    with pytest.raises(FileError, match="holds another sweep"):
        commands.sweep(other, out=swept / "out")


def test_the_same_sweep_on_a_local_ray_cluster_gives_the_same_rows(swept: Path) -> None:
    pytest.importorskip("ray", reason="needs the extra sweep")
    rows = json.loads(command(swept, "sweep", "sweep.toml", "--out", "ray", "--ray", "local", "--json"))["rows"]
    here = json.loads((swept / "out" / "results.json").read_text())["rows"]
    untimed = [
        [{key: value for key, value in row.items() if key != "seconds"} for row in some] for some in (rows, here)
    ]
    assert untimed[0] == untimed[1]


def test_a_network_that_is_read_from_its_last_voltage_is_quantised_with_its_accuracy(tmp_path: Path) -> None:
    from neurodeploy.engines.decoding import accuracy
    from neurodeploy.engines.table import simulate
    from neurodeploy.exchange.nir.write import to_nir
    from neurodeploy.network import LeakyIntegrator
    from neurodeploy.network.activity import load_samples, save_samples
    from neurodeploy.sweeps.stages import quantise_stage

    rng = np.random.default_rng(0)
    model = LeakyIntegrator(current_decay=2048, voltage_decay=512)
    network = one_layer(rng.integers(-60, 61, (3, 12)) * 2, model, decoding="last_voltage")
    given = samples((rng.random((20, 8, 12)) < 0.3).astype(np.int8), labels=rng.integers(0, 3, 20).astype(np.int32))
    to_nir(network, tmp_path / "n.nir")
    save_samples(given, tmp_path / "s.npz")
    found = quantise_stage((tmp_path / "n.nir").read_bytes(), (tmp_path / "s.npz").read_bytes(), 8, None)
    activity = simulate(network, load_samples(tmp_path / "s.npz"), probe=[("out", "v")])
    assert found["accuracy"] == accuracy(network, activity, given)


@pytest.mark.train
def test_a_recipe_with_a_network_to_start_from_trains_that_network_as_its_reading_says(tmp_path: Path) -> None:
    pytest.importorskip("torch", reason="needs torch (extra train)")
    import nir

    from neurodeploy import from_nir
    from neurodeploy.sweeps.stages import train_stage

    n = np.ones(10, np.float32)
    nodes = {
        "input": nir.Input(np.array([64])),
        "fc": nir.Linear(np.full((10, 64), 0.25)),
        "out": nir.Output(np.array([10])),
    }
    nodes |= {"lif": nir.LIF(tau=10 * n, r=n, v_leak=0 * n, v_threshold=n)}
    nir.write(tmp_path / "n.nir", nir.NIRGraph(nodes, [("input", "fc"), ("fc", "lif"), ("lif", "out")]))
    text = f"""
        name = "on"
        start = {{ file = {json.dumps(str(tmp_path / "n.nir"))}, reading = "sinabs,dt=1e-3" }}
        data = {{ name = "digits", n_steps = 4 }}
        sparse = {{ method = "static" }}
        training = {{ epochs = 1, batch_size = 256 }}
    """
    made = train_stage(text, str(tmp_path / "run"))
    (tmp_path / "m.nir").write_bytes(made["files"]["model.nir"])
    network = from_nir(tmp_path / "m.nir")
    assert (network.dt, [p.size for p in network.populations]) == (1e-3, [10])
    assert network.populations[0].model.voltage_decay == round(4096 * (1 - np.exp(-0.1)))

"""``report`` on any NIR file with samples, its verdicts, the export to SANA-FE, and one clear message for each bad input."""

from __future__ import annotations

import json
import sys
from collections import Counter
from importlib import import_module

import numpy as np
import pytest
from building import one_layer, samples

from neurodeploy import commands
from neurodeploy.chip import load_chip
from neurodeploy.cli import main
from neurodeploy.costs.pricing import estimate
from neurodeploy.engines.table import simulate
from neurodeploy.errors import FileError, UsageError
from neurodeploy.exchange.nir.read import from_nir
from neurodeploy.exchange.nir.write import to_nir
from neurodeploy.files.shipped import resource_dir
from neurodeploy.mapping.mapper import map_network
from neurodeploy.network import Cuba, Network
from neurodeploy.network.activity import Samples, load_samples, save_activity, save_samples
from neurodeploy.reports.record import load_report
from neurodeploy.targets.sanafe.write import FILE_NAMES


def network(seed: int = 0, *, one_bit: bool = False) -> Network:
    rng = np.random.default_rng(seed)
    weights = 2 * rng.integers(-100, 100, (5, 12)) * (rng.random((5, 12)) < 0.5)
    weights = np.where(weights, 64, 0) if one_bit else weights
    model = Cuba(current_decay=2048, voltage_decay=512, threshold=200)
    return one_layer(weights, model, source="input", target="output", output="class")


@pytest.fixture(scope="module")
def files(tmp_path_factory):
    """A network as a NIR file, another one, samples with and without labels, and an activity of the first."""
    folder = tmp_path_factory.mktemp("files")
    for name, seed in (("small.nir", 0), ("other.nir", 1)):
        to_nir(network(seed), folder / name)
    raster = np.random.default_rng(1).random((6, 10, 12)) < 0.4
    given = samples(raster, "input", labels=np.arange(6) % 5, name="random")
    save_samples(given, folder / "samples.npz")
    save_samples(Samples(inputs=given.inputs), folder / "unlabelled.npz")
    save_activity(simulate(from_nir(folder / "small.nir"), given), folder / "activity.npz")
    to_nir(network(one_bit=True), folder / "one_bit.nir")
    return folder


@pytest.fixture
def cli(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]):
    """Run the command line in this process; returns exit code, standard output and standard error."""

    def run(*arguments, cwd=None) -> tuple[int, str, str]:
        monkeypatch.setattr(sys, "argv", ["neurodeploy", *map(str, arguments)])
        if cwd is not None:
            monkeypatch.chdir(cwd)
        with pytest.raises(SystemExit) as ended:
            main()
        shown = capsys.readouterr()
        return int(ended.value.code or 0), shown.out, shown.err

    return run


class TestReportOfAFile:
    @pytest.fixture(scope="class")
    def made(self, files, tmp_path_factory):
        out = tmp_path_factory.mktemp("out") / "report"
        result = commands.report(
            files / "small.nir",
            data=files / "samples.npz",
            out=out,
            n_samples=4,
            step_period_s=1e-4,
            deadline_s=1e-2,
            rate_hz=200.0,
        )
        return result["report"], out

    def test_all_four_files_are_in_the_folder_and_the_json_is_what_was_returned(self, made) -> None:
        report, out = made
        assert sorted(p.name for p in out.iterdir()) == ["report.html", "report.json", "report.md", "report.txt"]
        assert load_report(out / "report.json") == json.loads(json.dumps(report))

    def test_verdicts_come_first_in_text_and_markdown_and_name_bound_and_safe_rate(self, made) -> None:
        report, out = made
        first = (out / "report.txt").read_text().splitlines()[2]
        assert first.startswith("Intel Loihi: Deadline of 10 ms: met; needs 1.1 ms")
        assert "bound by step period" in first
        bullets = [line for line in (out / "report.md").read_text().splitlines() if line.startswith("- ")]
        assert bullets[0].startswith("- Intel Loihi: Deadline of 10 ms: met")
        assert "Rate of 200 Hz (5 ms a sample): met" in bullets[1]
        assert "of input spikes." in bullets[1]
        assert report["demands_met"] is True

    def test_the_page_starts_with_the_verdicts_and_claims_nothing_of_the_samples(self, made) -> None:
        page = (made[1] / "report.html").read_text()
        first = page.index("Deadline of 10 ms: met; needs 1.1 ms")
        assert first < page.index("Spikes that differ") < page.index("Where it lies")
        assert "never used to choose anything" not in page

    def test_safe_rate_is_the_factor_times_the_input_of_a_sample_in_the_time_allowed(self, made, files) -> None:
        spikes = len(load_samples(files / "samples.npz").inputs["input"]) / 6
        for cost in made[0]["targets"]:
            for verdict in cost["verdicts"]:
                allowed = verdict["allowed_s"] * (11 if verdict["demand"] == "step period" else 1)
                assert verdict["safe_input_hz"] == pytest.approx(verdict["safe_event_factor"] * spikes / allowed)

    def test_figures_are_those_of_the_stages_run_one_by_one(self, made, files) -> None:
        net, samples = from_nir(files / "small.nir"), load_samples(files / "samples.npz")
        for name, cost in zip(("loihi1", "loihi2"), made[0]["targets"]):
            mapping = map_network(net, load_chip(name))
            activity = simulate(net, samples, engine="reference", labels=mapping.core_labels())
            alone = json.loads(json.dumps(estimate(net, mapping, activity).to_json()))
            assert (cost["counts"], cost["energy"], cost["memory"]) == (
                alone["counts"],
                alone["energy"],
                alone["memory"],
            )

    def test_it_says_where_samples_come_from_and_claims_no_held_out_part(self, made) -> None:
        report, _ = made
        assert report["title"] == "small"
        assert report["accuracy"]["held_out"] is False
        assert set(report["provenance"]["files"]) == {"small.nir", "samples.npz"}
        assert report["verification"]["engines"] == ["reference", "event"]
        assert report["verification"]["n_samples"] == 4

    def test_an_older_report_is_only_replaced_by_force(self, made, files) -> None:
        _, out = made
        arguments = {"data": files / "unlabelled.npz", "out": out, "chips": ["loihi2"], "n_samples": 2}
        with pytest.raises(FileError, match=r"report\.json exists; choose another --out, or --force"):
            commands.report(files / "small.nir", **arguments)
        before = (out / "report.json").read_text()
        again = commands.report(files / "small.nir", **arguments, force=True)["report"]
        assert again["accuracy"] is None
        assert again["demands_met"] is None
        assert (out / "report.json").read_text() != before


def test_every_engine_runs_once(files, tmp_path, monkeypatch: pytest.MonkeyPatch) -> None:
    ran: Counter[str] = Counter()

    def counting(net, samples, *, engine="event", **options):
        ran[engine] += 1
        return simulate(net, samples, engine=engine, **options)

    monkeypatch.setattr(import_module("neurodeploy.commands.report"), "simulate", counting)
    commands.report(
        files / "small.nir", data=files / "samples.npz", out=tmp_path, chips=["loihi1", "loihi2", "nahuku32"]
    )
    assert ran == {"reference": 1, "event": 1}


def test_a_run_for_each_chip_where_counts_of_all_would_take_too_much_memory(files, tmp_path, monkeypatch) -> None:
    once = commands.report(files / "small.nir", data=files / "samples.npz", out=tmp_path / "once")["report"]
    monkeypatch.setattr(import_module("neurodeploy.commands.report"), "_LABEL_BYTES", 0)
    monkeypatch.setattr(import_module("neurodeploy.commands.report"), "_PROBE_BYTES", 0)
    each = commands.report(files / "small.nir", data=files / "samples.npz", out=tmp_path / "each")["report"]
    assert each["targets"] == once["targets"]
    assert once["neurobench"]["membrane_updates"] > 0
    assert each["neurobench"]["membrane_updates"] is None


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({}, "small.nir is a file; say which samples to run: --data DATA"),
        ({"data": "samples.npz"}, "small.nir is a file; say where to write: --out DIR"),
        ({"data": "samples.npz", "out": "x", "engines": ["event"]}, "at least two engines to compare, not event"),
        ({"data": "samples.npz", "out": "x", "engines": ["event", "slayer"]}, "engine 'slayer' runs a checkpoint"),
        ({"data": "samples.npz", "out": "x", "engines": ["event", "spice"]}, "unknown engine 'spice'"),
        ({"data": "samples.npz", "out": "x", "chips": []}, "name at least one chip"),
    ],
)
def test_what_cannot_become_a_report_is_refused_before_anything_runs(files, options, message, tmp_path) -> None:
    at = {"data": files, "out": tmp_path}
    given = {name: at[name] / value if name in at else value for name, value in options.items()}
    with pytest.raises(UsageError, match=message):
        commands.report(files / "small.nir", **given)
    assert not list(tmp_path.iterdir())


def test_export_writes_what_sanafe_reads(cli, files, tmp_path) -> None:
    arguments = ("--chip", "loihi1", "--data", files / "samples.npz")
    target = ("export", files / "small.nir", "--target", "sanafe", "--out", tmp_path / "sanafe", *arguments)
    code, out, err = cli(*target, "--json")
    assert code == 0, err
    assert sorted(p.name for p in (tmp_path / "sanafe").iterdir()) == sorted(FILE_NAMES)
    expected = json.loads((tmp_path / "sanafe" / "expected.json").read_text())
    _, cost, _ = cli("estimate", files / "small.nir", *arguments, "--json")
    assert 0 < expected["spikes"] < json.loads(cost)["counts"]["synop.dense"]
    assert "run.py" in json.loads(out)["compare"]
    code, _, err = cli(*target)
    assert code == 3
    assert "arch.yaml exists; choose another folder, or --force" in err


PRICED = ("estimate", "small.nir", "--chip", "loihi1", "--data", "samples.npz")


class TestDemands:
    def test_a_missed_demand_fails_where_it_is_asked_to(self, cli, files) -> None:
        code, out, err = cli(*PRICED, "--deadline", "1us", "--fail-on-missed", cwd=files)
        assert code == 19
        assert "Intel Loihi: memory" in out  # the estimate is printed all the same
        assert "estimate: missed: Intel Loihi: Deadline of 1 µs: MISSED; needs" in err
        assert cli(*PRICED, "--deadline", "1us", cwd=files)[0] == 0

    def test_a_demand_that_only_the_host_misses_fails_too(self, cli, files) -> None:
        _, out, _ = cli(*PRICED, "--deadline", "1s", "--json", cwd=files)
        verdict = json.loads(out)["verdicts"][0]
        between = (verdict["needed_s"]["nominal"] + verdict["needed_with_host_s"]["nominal"]) / 2
        code, _, err = cli(*PRICED, "--deadline", f"{between}s", "--fail-on-missed", cwd=files)
        assert code == 19
        assert "met without host input, MISSED with it; needs" in err
        assert "With the input injected by the host: MISSED" in err

    def test_met_demands_pass(self, cli, files, tmp_path) -> None:
        assert cli(*PRICED, "--deadline", "1s", "--rate", "10Hz", "--fail-on-missed", cwd=files)[0] == 0
        arguments = ("report", "small.nir", "--data", "samples.npz", "--out", tmp_path / "r", "--chip", "loihi1")
        assert cli(*arguments, "--deadline", "1s", "--fail-on-missed", cwd=files)[0] == 0
        code, _, err = cli(*arguments, "--force", "--deadline", "1us", "--fail-on-missed", cwd=files)
        assert code == 19
        assert "report: missed: Intel Loihi" in err
        assert (tmp_path / "r" / "report.json").exists()

    def test_without_a_demand_there_is_nothing_to_fail_on(self, cli, files) -> None:
        code, _, err = cli(*PRICED, "--fail-on-missed", cwd=files)
        assert code == 2
        assert "--fail-on-missed needs a demand: give --deadline, --rate or --period" in err

    def test_a_battery_and_a_rate_are_part_of_the_first_line(self, cli, files) -> None:
        code, out, _ = cli(*PRICED, "--rate", "10Hz", "--battery", "1000 mWh", cwd=files)
        assert code == 0
        first = " ".join(out.split("\n\n")[0].split())
        assert "a sample for the whole chip" in first
        assert "100 ms per sample at 10 Hz, average power" in first
        assert "on 1,000 mWh" in first
        code, _, err = cli(*PRICED, "--battery", "1000mAh", cwd=files)
        assert code == 2
        assert "--battery: '1000mAh' needs a number and a unit of Wh, mWh, J, mJ" in err

    def test_comparing_without_a_gate_judges_nothing(self, cli, files, tmp_path) -> None:
        commands.report(files / "small.nir", data=files / "samples.npz", out=tmp_path)
        code, out, _ = cli("compare", tmp_path / "report.json", tmp_path / "report.json")
        assert code == 0
        assert "No gate was given, so nothing is judged" in out
        assert "passes" not in out


@pytest.mark.parametrize(
    ("arguments", "code", "message"),
    [
        (
            ["estimate", "other.nir", "--chip", "loihi1", "--activity", "activity.npz"],
            16,
            "the activity ('event') is of network",
        ),
        (
            ["estimate", "small.nir", "--chip", "loihi1", "--data", "samples.npz", "--deadline", "10"],
            2,
            "--deadline: '10' needs a number and a unit of s, ms, us, ns, as in 10ms",
        ),
        (
            ["report", "small.nir", "--data", "samples.npz", "--out", "x", "--rate", "5ms"],
            2,
            "--rate: '5ms' needs a number and a unit of Hz, kHz, MHz, as in 10kHz",
        ),
        (
            ["estimate", "small.nir", "--chip", "loihi1", "--sanafe", "x"],
            2,
            "neurodeploy export small.nir --target sanafe --out x --chip loihi1 --data DATA",
        ),
        (
            ["export", "small.nir", "--target", "sanafe", "--out", "x", "--chip", "loihi1"],
            2,
            "give samples to run (--data DATA), or the activity of a run",
        ),
        (
            ["export", "small.nir", "--target", "sanafe", "--out", "x", "--data", "samples.npz"],
            2,
            "target 'sanafe' needs a chip (--chip NAME), or a mapping",
        ),
        (
            ["export", "small.nir", "--target", "sanafe", "--out", "x", "--chip", "loihi2", "--data", "samples.npz"],
            16,
            "chip 'loihi2' has no mesh",
        ),
        (["export", "small.nir", "--target", "c", "--out", "x", "--chip", "loihi1"], 2, "target 'c' takes no --chip"),
        (["export", "small.nir", "--target", "c"], 2, "say where to write for target 'c': --out PATH"),
        (["export", "small.nir", "--target", "verilog", "--out", "x"], 2, "unknown target 'verilog'; known: c, sanafe"),
        (["export", "small.nir", "--out", "x.nir", "--optimize", "flash"], 2, "--optimize is for a target; name one"),
        (
            ["export", "small.nir", "--target", "netx", "--out", "x.net", "--optimize", "flash"],
            2,
            "target 'netx' has no setting 'optimize'; targets with it: c",
        ),
        (
            ["export", "small.nir", "--target", "c", "--out", "x", "--optimize", "size"],
            2,
            "optimize is 'size'; known: balance, flash, speed",
        ),
        (["export", "small.nir", "--target", "c", "--out", "small.nir"], 3, "small.nir is a file; name a folder"),
        (
            ["estimate", "one_bit.nir", "--chip", "truenorth", "--data", "samples.npz", "--deadline", "10ms"],
            16,
            "deadline_s needs times, but hardware/truenorth.toml has no table [latency]",
        ),
        (["compare", "report.json", "future.json"], 17, "schema is 'neurodeploy-report/9', expected"),
    ],
)
def test_bad_input_gives_one_clear_message_and_its_own_exit_code(cli, files, arguments, code, message) -> None:
    if arguments[0] == "compare":
        made = commands.report(files / "small.nir", data=files / "samples.npz", out=files)["report"]
        (files / "future.json").write_text(json.dumps({**made, "schema": "neurodeploy-report/9"}))
    found, out, err = cli(*arguments, cwd=files)
    assert (found, out, "Traceback" in err) == (code, "", False), err
    (line,) = (line for line in err.splitlines() if line.startswith("neurodeploy: "))
    assert message in line
    assert not (files / "x").exists()


def test_a_chip_without_prices_is_named_with_what_its_file_lacks(cli, files, tmp_path) -> None:
    whole = (resource_dir("hardware") / "loihi1.toml").read_text(encoding="utf-8")
    (tmp_path / "bare.toml").write_text(whole.split("[energy.synop]")[0], encoding="utf-8")
    arguments = ("estimate", files / "small.nir", "--chip", tmp_path / "bare.toml")
    code, out, err = cli(*arguments, "--data", files / "samples.npz")
    assert (code, out) == (16, "")
    assert "chip 'loihi1' has no prices" in err
    assert "has neither [energy] nor [latency]; add them, choose another chip" in err
    assert cli(*arguments)[0] == 0  # memory and cores are known

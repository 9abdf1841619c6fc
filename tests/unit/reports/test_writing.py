"""report.json, its schema, and the texts and the page made from it."""

from __future__ import annotations

import copy
import json
import re
import subprocess
import sys
import time
from html.parser import HTMLParser
from pathlib import Path

import jsonschema
import numpy as np
import pytest
from building import chain, one_layer, samples

from neurodeploy.chip import load_chip
from neurodeploy.costs.pricing import estimate
from neurodeploy.costs.record import Band
from neurodeploy.engines.reference import run_reference
from neurodeploy.errors import MissingPackageError, ReportError
from neurodeploy.mapping.mapper import map_network
from neurodeploy.network import Approximation, Cuba, Network, Sparse
from neurodeploy.network.activity import Activity, Events
from neurodeploy.proofs.compare import compare_activities
from neurodeploy.reports.facts import network_facts, raster_facts
from neurodeploy.reports.figures import band, kib, percent, si
from neurodeploy.reports.pictures.charts import core_map
from neurodeploy.reports.pictures.cores import core_places
from neurodeploy.reports.record import SCHEMA_FILE, load_report
from neurodeploy.reports.schema import json_schema
from neurodeploy.reports.writing import (
    chips_summary,
    html_report,
    make_report,
    markdown_report,
    text_cost,
    text_report,
    write_report,
)

SCHEMA = json.loads(SCHEMA_FILE.read_text(encoding="utf-8"))


def random_network() -> Network:
    rng = np.random.default_rng(0)
    model = Cuba(current_decay=2048, voltage_decay=256, threshold=40)
    masks = {"hidden": rng.random((30, 20)) < 0.2, "out": rng.random((5, 30)) < 0.5}
    weights = {name: (m * 2 * rng.integers(-60, 60, m.shape)).astype(np.int16) for name, m in masks.items()}
    rounded = Approximation(where="hidden", what="threshold rounded", size="1 part in 64")
    kept = {name: {"mask": mask} for name, mask in masks.items()}
    return chain(weights, model, more=kept, output="answer", ledger=(rounded,))


@pytest.fixture(scope="module")
def report() -> dict:
    network = random_network()
    raster = np.random.default_rng(1).random((3, 8, 20)) < 0.4
    given = samples(raster)
    costs = []
    for name in ("loihi1", "loihi2"):
        mapping = map_network(network, load_chip(name))
        activity = run_reference(network, given, labels=mapping.core_labels())
        costs.append(estimate(network, mapping, activity, step_period_s=1e-3, deadline_s=1e-2))
    spikes = sum(len(events) for events in activity.spikes.values())
    return make_report(
        title="a <small> network & its cost",
        network=network_facts(network),
        costs=costs,
        accuracy={"test": 0.9, "n_samples": 50},
        verification={
            "equal": True,
            "engines": ["slayer", "reference", "lava"],
            "n_samples": 3,
            "n_steps": 10,
            "spikes_compared": spikes,
            "spikes_different": 0,
            "populations": [{"name": "hidden", "places": 900, "spikes": 12, "different": 0}],
            "first_difference": None,
        },
        raster=raster_facts(network, activity, 1),
        provenance={
            "command": "neurodeploy demo",
            "seed": 7,
            "files": {"m.nir": "ab" * 32},
            "versions": {"numpy": "1"},
        },
    )


class TestSchema:
    def test_a_report_fits_the_published_schema(self, report: dict) -> None:
        jsonschema.Draft202012Validator.check_schema(SCHEMA)
        jsonschema.validate(json.loads(json.dumps(report)), SCHEMA)

    def test_the_published_schema_is_that_of_the_records(self) -> None:
        """Regenerate with ``python -m neurodeploy.reports.schema``."""
        made, published = json_schema(), SCHEMA
        assert made["properties"].keys() == published["properties"].keys()
        assert {name: sorted(d.get("properties", ())) for name, d in made["$defs"].items()} == {
            name: sorted(d.get("properties", ())) for name, d in published["$defs"].items()
        }

    def test_a_field_that_the_schema_does_not_know_is_refused_by_both(self, report: dict) -> None:
        wrong = copy.deepcopy(report)
        wrong["network"]["colour"] = "blue"
        with pytest.raises(jsonschema.ValidationError):
            jsonschema.validate(wrong, SCHEMA)
        with pytest.raises(ReportError, match=r"report: network\.colour"):
            text_report(wrong)

    def test_a_report_of_another_schema_is_refused(self, report: dict) -> None:
        older = {name: value for name, value in report.items() if name != "demands_met"}
        assert text_report(older) == text_report(report)  # fields that can be absent do not change the schema's number
        with pytest.raises(ReportError, match="schema is 'neurodeploy-report/0', expected 'neurodeploy-report/1'"):
            text_report({**report, "schema": "neurodeploy-report/0"})

    def test_an_accuracy_above_one_is_refused(self) -> None:
        with pytest.raises(ReportError, match=r"accuracy\.test"):
            make_report(
                title="t", network=network_facts(random_network()), costs=[], accuracy={"test": 96, "n_samples": 1}
            )


class TestFacts:
    def test_both_densities_are_counted_from_the_network(self) -> None:
        network = random_network()
        facts = network_facts(network)
        kept = sum(int(p.mask.sum()) for p in network.projections)
        nonzero = sum(int(np.count_nonzero(p.synapses.weights)) for p in network.projections)
        assert (facts["weights"], facts["mask"], facts["nonzero"]) == (750, kept, nonzero)
        assert kept > nonzero
        assert facts["density"] == kept / 750
        assert facts["density_nonzero"] == nonzero / 750

    def test_a_raster_of_few_neurons_holds_every_spike(self, report: dict) -> None:
        layer = report["raster"]["layers"][0]
        raster = np.random.default_rng(1).random((3, 8, 20)) < 0.4
        assert sorted(zip(layer["step"], layer["row"])) == list(zip(*(i.tolist() for i in np.nonzero(raster[1]))))

    def test_a_raster_of_many_neurons_shows_some_and_says_which(self) -> None:
        model = Cuba(current_decay=0, voltage_decay=0, threshold=1)
        network = one_layer(np.zeros((2, 3000), np.int16), model, target="p")
        busy = samples(np.ones((1, 40, 3000), bool))
        layer = raster_facts(network, run_reference(network, busy))["layers"][0]
        assert layer["size"] == 3000
        assert len(layer["neurons"]) * 40 == len(layer["step"]) <= 4000
        assert layer["neurons"][0] == 0
        assert layer["neurons"][-1] == 2999


class TestSummary:
    def test_chips_summary_gives_cores_bytes_and_energy(self, report: dict) -> None:
        summary = chips_summary(report)
        assert list(summary) == ["loihi1", "loihi2"]
        first = report["targets"][0]
        assert summary["loihi1"]["cores"] == first["memory"]["n_cores"] == 2
        assert summary["loihi1"]["synaptic_bytes"] == sum(c["synaptic_bytes"] for c in first["memory"]["cores"])
        energy = summary["loihi1"]["energy_per_sample_j"]
        assert 0 < energy["low"] < energy["nominal"] < energy["high"]
        assert energy["nominal"] == pytest.approx(sum(x["energy_j"]["nominal"] for x in first["energy"]["lines"]))

    def test_energy_that_is_not_known_is_none(self) -> None:
        network = random_network()
        cost = estimate(network, map_network(network, load_chip("loihi1")))
        report = make_report(title="t", network=network_facts(network), costs=[cost])
        assert chips_summary(report)["loihi1"]["energy_per_sample_j"] is None
        assert "not available without an activity" in text_report(report)


class TestTexts:
    def test_second_opinions_stand_side_by_side_with_their_grades(self, report: dict) -> None:
        text = markdown_report(report)
        rows = [line for line in text.split("the same counts at other prices")[1].splitlines() if line.startswith("| ")]
        assert [row.split(" |")[0].removeprefix("| ") for row in rows[2:6]] == [
            "loihi1 (this estimate)",
            "davies2018",
            "45 nm MACs of a dense ANN of equal shape (arithmetic only)",
            "45 nm additions (arithmetic only)",
        ]
        assert [row.split(" | ")[2] for row in rows[3:6]] == ["pre-silicon", "published", "published"]
        assert "nominal prices of this estimate come from SANA-FE." in text

    def test_text_says_verdict_first_and_every_price_with_its_grade(self, report: dict) -> None:
        text = text_report(report)
        head = text[: text.index("Network:")]
        assert re.search(r"0 of \d+ spikes differ between slayer, reference, lava \(3 samples\)", head)
        assert "90 % test accuracy on 50 samples" in head
        assert "Davies et al. 2018" in text
        assert "calibrated" in text
        assert "weakest grade of all" in text

    def test_a_difference_between_engines_is_shown_with_its_place(self, report: dict) -> None:
        other = copy.deepcopy(report)
        place = {"population": "hidden", "neuron": 4, "step": 2, "sample": 1}
        other["verification"].update(
            equal=False,
            spikes_different=3,
            first_difference={**place, "engines": ["slayer", "lava"], "values": [0, 1]},
        )
        words = "population 'hidden', neuron 4, step 2 of sample 1: slayer has 0, lava has 1."
        assert words in text_report(other)
        assert words.replace("'", "&#39;") in html_report(other)
        jsonschema.validate(json.loads(json.dumps(other)), SCHEMA)

    @pytest.mark.parametrize("different", [False, True])
    def test_what_verify_gives_fits_into_a_report(self, different: bool) -> None:
        network = random_network()
        raster = np.random.default_rng(1).random((2, 6, 20)) < 0.4
        rasters = (raster, raster ^ (np.arange(20) == 3) if different else raster)
        runs = [run_reference(network, samples(seen)) for seen in rasters]
        outcome = compare_activities(runs)
        made = make_report(title="t", network=network_facts(network), costs=[], verification=outcome.to_json())
        assert made["verification"]["spikes_different"] == outcome.spikes_different
        assert ("First difference" in text_report(made)) == different

    def test_texts_have_no_control_characters_of_a_name(self, report: dict) -> None:
        named = {**report, "title": "\x1b[31mred"}
        for text in (text_report(named), markdown_report(named)):
            assert "\\x1b[31mred" in text
            assert "\x1b" not in text

    def test_text_names_what_has_no_price(self, report: dict) -> None:
        assert "energy.spike_out is not in hardware/loihi2.toml" in " ".join(text_report(report).split())

    def test_text_keeps_to_its_width(self, report: dict) -> None:
        assert max(len(line) for line in text_report(report, width=100).splitlines()) <= 100

    def test_text_of_a_cost_is_that_of_its_chip(self) -> None:
        network = random_network()
        text = text_cost(estimate(network, map_network(network, load_chip("loihi2"))))
        assert text.startswith("Intel Loihi 2: 2 of 120 cores")

    def test_markdown_tables_have_equal_columns_and_escape_bars_and_tags(self, report: dict) -> None:
        markdown = markdown_report({**report, "title": "a|b <i>"})
        assert markdown.startswith("# a\\|b &lt;i>")
        tables = [block for block in markdown.split("\n\n") if block.startswith("|")]
        assert len(tables) >= 8
        for table in tables:
            assert len({row.count("|") - row.count("\\|") for row in table.splitlines()}) == 1


class _Links(HTMLParser):
    def __init__(self) -> None:
        super().__init__()
        self.links: list[str] = []

    def handle_starttag(self, _tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.links += [value or "" for name, value in attrs if name in ("src", "href", "srcset")]


class TestPage:
    @pytest.fixture(scope="class")
    def page(self, report: dict) -> str:
        return html_report(report)

    def test_page_fetches_nothing(self, page: str) -> None:
        parser = _Links()
        parser.feed(page)
        assert parser.links == ["data:,"]
        assert "@import" not in page[: page.index("</style>")]
        assert "url(" not in page[: page.index("</style>")]

    def test_page_is_below_eight_megabytes(self, page: str) -> None:
        assert len(page.encode()) < 8 * 2**20

    def test_text_from_outside_is_escaped(self, page: str) -> None:
        assert "a &lt;small&gt; network &amp; its cost" in page
        assert "<small> network" not in page

    def test_every_picture_has_a_place_and_data(self, page: str) -> None:
        places = re.findall(r'<div class="plot" id="(\w+)"', page)
        data = dict(re.findall(r'<script type="application/json" data-plot="(\w+)">(.*?)</script>', page, re.S))
        pictures = ["map", "energy", "tornado", "steps"]
        assert set(places) == set(data) == {f"{p}{i}" for p in pictures for i in (0, 1)} | {"memory", "raster"}
        for text in data.values():
            assert json.loads(text)["data"]

    def test_energy_picture_shows_the_figures_of_the_report(self, page: str, report: dict) -> None:
        text = re.search(r'data-plot="energy0">(.*?)</script>', page, re.S).group(1)
        bars = json.loads(text)["data"][0]
        nominal = {x["energy_j"]["nominal"] for x in report["targets"][0]["energy"]["lines"] if x["energy_j"]["high"]}
        assert sorted(bars["x"]) == pytest.approx(sorted(v / 1e-9 for v in nominal))

    def test_verdict_comes_before_the_pictures(self, page: str) -> None:
        assert page.index("Spikes that differ") < page.index("Test accuracy") < page.index('id="map0"')

    def test_page_of_memory_alone_has_a_core_map_and_says_what_is_missing(self) -> None:
        network = random_network()
        costs = [estimate(network, map_network(network, load_chip(name))) for name in ("loihi1", "loihi2")]
        page = html_report(make_report(title="t", network=network_facts(network), costs=costs))
        assert set(re.findall(r'data-plot="(\w+)"', page)) == {"map0", "map1", "memory"}
        assert "not available without an activity" in page
        assert "No engines were compared." in page

    def test_page_without_chips_still_says_what_the_network_is(self) -> None:
        page = html_report(make_report(title="t", network=network_facts(random_network()), costs=[]))
        assert "Connections kept" in page
        assert 'class="plot"' not in page

    def test_missing_package_error_names_the_extra(self, report: dict, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.delitem(sys.modules, "neurodeploy.reports.html", raising=False)
        monkeypatch.setitem(sys.modules, "jinja2", None)
        with pytest.raises(MissingPackageError, match=r"needs jinja2.*neurodeploy-snn\[report\]"):
            html_report(report)


def test_a_report_of_100_000_neurons_is_made_in_seconds_and_stays_below_eight_megabytes() -> None:
    rng, size, fan_out = np.random.default_rng(0), 25_000, 5
    layers = {}
    for name in "abcd":
        reached = np.sort((rng.integers(0, size, (size, 1)) + np.arange(fan_out) * 997) % size, axis=1)
        weights = rng.integers(1, 100, size * fan_out).astype(np.int16)
        target = reached.ravel().astype(np.int32)
        layers[name] = Sparse(n_target=size, start=np.arange(size + 1) * fan_out, target=target, weights=weights)
    network = chain(layers)
    spikes = {n: Events.from_dense(rng.random((2, 40, size), np.float32) < 0.03) for n in network.sizes}
    activity = Activity(engine="synthetic", network=network.fingerprint, n_steps=40, spikes=spikes)
    mapping = map_network(network, load_chip("loihi2"), split="equal")
    cost = estimate(network, mapping, activity)
    started = time.perf_counter()
    report = make_report(
        title="large", network=network_facts(network), costs=[cost], raster=raster_facts(network, activity)
    )
    assert report["network"]["neurons"] == 100_000
    assert len(html_report(report).encode()) < 8 * 2**20
    assert time.perf_counter() - started < 20


class TestFiles:
    def test_all_four_files_are_written_and_json_reads_back(self, report: dict, tmp_path: Path) -> None:
        files = write_report(report, tmp_path / "out")
        assert sorted(p.name for p in (tmp_path / "out").iterdir()) == [
            "report.html",
            "report.json",
            "report.md",
            "report.txt",
        ]
        assert load_report(files["report_json"]) == json.loads(json.dumps(report))

    def test_the_page_alone_is_left_out_when_it_cannot_be_made(
        self, report: dict, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.delitem(sys.modules, "neurodeploy.reports.html", raising=False)
        monkeypatch.setitem(sys.modules, "plotly", None)
        told: list[str] = []
        files = write_report(report, tmp_path / "out", told.append)
        assert sorted(p.name for p in (tmp_path / "out").iterdir()) == ["report.json", "report.md", "report.txt"]
        assert set(files) == {"report_json", "report_text", "report_markdown"}
        (line,) = told
        assert line.startswith("report: the HTML page needs plotly, which is not installed; pip install")
        with pytest.raises(MissingPackageError):
            html_report(report)

    @pytest.mark.parametrize(("text", "message"), [("{", "is no JSON file"), ("[]", "schema is None")])
    def test_a_damaged_file_is_refused(self, text: str, message: str, tmp_path: Path) -> None:
        (tmp_path / "r.json").write_text(text)
        with pytest.raises(ReportError, match=message):
            load_report(tmp_path / "r.json")

    @pytest.mark.parametrize(
        ("place", "value", "message"),
        [
            (("raster", "layers", 0, "row"), [0], "raster.layers.0: step, row and payload have different lengths"),
            (("raster", "layers", 0, "neurons"), [], "raster.layers.0: a row is none of those of the 0 neurons"),
            (("raster", "layers", 0, "payload"), [1], "step, row and payload have different lengths"),
            (("targets", 0, "latency", "bindings"), [], "targets.0.latency: bindings: nothing decides a step"),
        ],
    )
    def test_lists_that_do_not_fit_each_other_are_refused(
        self, report: dict, place: tuple[str | int, ...], value: object, message: str, tmp_path: Path
    ) -> None:
        changed = json.loads(json.dumps(report))
        within = changed
        for key in place[:-1]:
            within = within[key]
        within[place[-1]] = value
        (tmp_path / "r.json").write_text(json.dumps(changed))
        with pytest.raises(ReportError, match=message):
            load_report(tmp_path / "r.json")


class TestUnits:
    def test_prefixes_change_at_a_thousand(self) -> None:
        assert [si(v, "s") for v in (0.9994e-6, 0.9996e-6, 1.5, 0.0)] == ["999 ns", "1 µs", "1.5 s", "0 s"]

    def test_a_range_is_in_the_unit_of_its_nominal_figure(self) -> None:
        assert band(Band(low=2e-7, nominal=1.5e-6, high=4e-3, grade="guess"), "J") == "1.5 µJ (0.2 to 4,000)"

    def test_sizes_and_shares(self) -> None:
        assert (kib(1024), kib(20 * 2**20), percent(0.08233)) == ("1.0 KiB", "20.0 MiB", "8.233 %")


@pytest.mark.parametrize("name", ["loihi1", "loihi2"])
def test_the_cores_of_the_report_lie_where_the_picture_of_the_mapping_has_them(name: str) -> None:
    chip, network = load_chip(name), random_network()
    hover = core_map(estimate(network, map_network(network, chip)).memory).data[0].hovertext
    for core, (column, row, *_) in enumerate(core_places(chip)):
        assert re.match(rf"(<b>)?core {core}\b", hover[row][column])


def test_importing_estimate_and_report_loads_neither_torch_nor_lava_nor_plotly() -> None:
    code = (
        "import neurodeploy.costs, neurodeploy.reports, sys;"
        "print([m for m in ('torch', 'lava', 'plotly', 'jinja2') if m in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"

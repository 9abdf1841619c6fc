"""Facts of silicon: their file, what a row says, the ranges that follow, and that the page in docs/ is what is written."""

from __future__ import annotations

import json
import math
import re
from pathlib import Path

import pytest
from building import ROOT
from scipy.stats import t as student

from neurodeploy.bench.silicon import bench_silicon
from neurodeploy.bench.silicon.facts import SHIPPED, load_facts
from neurodeploy.bench.silicon.page import markdown
from neurodeploy.bench.silicon.rows import Range, SiliconRow, measure
from neurodeploy.bench.silicon.spread import Spread, fit_spread, student_quantile
from neurodeploy.bench.silicon.workloads import chain, wheel_file
from neurodeploy.chip import load_chip
from neurodeploy.cli import main
from neurodeploy.costs.pricing import estimate
from neurodeploy.errors import FileError
from neurodeploy.mapping.mapper import map_network

PAGE, FACTS_PAGE = ROOT / "docs" / "silicon.md", ROOT / "docs" / "facts.md"
STATIC = """
[[fact]]
workload = "board A"
quantity = "idle"
kind = "static"
boundary = "chip"
chip = "loihi1"
chips = 2
measured = 61.0
unit = "mW"
source = "log"
"""
SMALL = """
[[workload]]
name = "small"
chip = "loihi1"
input = [2, 6, 6]
layers = [{ conv = 3, stride = [2, 1], padding = [1, 0] }, { pool = 2 }, { dense = 8, density = 0.5, recurrent = 0.2 }]
rates = [0.01, 0.05, 0.2]
input_per_step = [4]

[[fact]]
workload = "small"
quantity = "time of a step"
kind = "time"
boundary = "chip"
activity = "assumed"
measured = 5
unit = "us"
source = "nowhere"
"""
needs_wheel = pytest.mark.skipif(
    wheel_file("ntidigits/ntidigits.net") is None,
    reason="needs the wheel of lava-dl, which carries the networks and their spikes (extra train)",
)


def file(tmp_path: Path, text: str) -> Path:
    path = tmp_path / "facts.toml"
    path.write_text(text, encoding="utf-8")
    return path


def row(**changed: object) -> SiliconRow:
    values = {"workload": "w", "quantity": "q", "kind": "energy", "boundary": "cores", "role": "validation", "note": ""}
    values |= {"activity": "recorded", "chip": "c", "unit": "mJ", "measured": 3.0, "source": "x"}
    values |= {"low": 2.0, "nominal": 3.0, "high": 4.0, "inside": True, "inside_left_out": True}
    values |= {"low_left_out": 2.0, "nominal_left_out": 3.0, "high_left_out": 4.0}
    return SiliconRow(**{**values, **changed})


class TestRows:
    def test_static_power_is_that_of_the_chip_file_times_the_chips(self, tmp_path: Path) -> None:
        (found,) = bench_silicon(facts=file(tmp_path, STATIC))
        low, nominal, high = load_chip("loihi1").static.chip.si
        assert (found["low"], found["nominal"], found["high"]) == pytest.approx(
            (2e3 * low, 2e3 * nominal, 2e3 * high), rel=1e-12
        )
        assert found["inside"]
        assert (found["kind"], found["boundary"], found["role"]) == ("static", "chip", "validation")

    @pytest.mark.parametrize(("measured", "inside"), [(59.2, True), (59.1, False), (360.0, True), (361.0, False)])
    def test_a_measurement_is_inside_from_the_low_to_the_high_end(self, tmp_path, measured, inside) -> None:
        text = STATIC.replace("61.0", str(measured))
        assert bench_silicon(facts=file(tmp_path, text))[0]["inside"] is inside

    def test_a_bound_holds_where_the_whole_range_stays_below(self, tmp_path: Path) -> None:
        text = STATIC.replace("chips = 2", 'chips = 2\nrole = "bound"')
        low, high = (bench_silicon(facts=file(tmp_path, text.replace("61.0", m)))[0]["inside"] for m in ("359", "360"))
        assert (low, high) == (False, True)

    def test_a_range_that_a_workload_is_left_out_of_comes_from_the_others_alone(self, tmp_path: Path) -> None:
        other = STATIC.replace("board A", "board B").replace("61.0", "200.0")
        first, second = bench_silicon(facts=file(tmp_path, STATIC + other))
        nominal = 208.0  # two chips of 104 mW
        for found, measured in ((first, 200.0), (second, 61.0)):
            spread = fit_spread([("other", measured / nominal)], 2.0)
            assert found["low_left_out"] == pytest.approx(nominal * spread.low, rel=1e-9)
            assert found["high_left_out"] == pytest.approx(nominal * spread.high, rel=1e-9)

    def test_times_have_their_boundaries_one_inside_the_other(self, tmp_path: Path) -> None:
        rows = {}
        for boundary in ("cores", "chip", "board"):
            text = SMALL.replace('boundary = "chip"', f'boundary = "{boundary}"')
            (rows[boundary],) = bench_silicon(facts=file(tmp_path, text))
        assert rows["chip"]["nominal"] == pytest.approx(rows["cores"]["nominal"] + 3.44, rel=1e-9)
        spikes = (rows["board"]["nominal"] - rows["chip"]["nominal"]) / 3.0  # 3 us for an injected spike
        assert spikes == pytest.approx(round(20 * spikes) / 20, rel=1e-9)  # a whole number in 20 steps
        assert 2 < spikes < 6  # 4 a step on average
        assert rows["chip"]["low"] < rows["chip"]["nominal"] < rows["chip"]["high"]

    def test_published_dynamic_energy_may_hold_the_cpus(self, tmp_path: Path) -> None:
        text = SMALL.replace('kind = "time"', 'kind = "energy"').replace('unit = "us"', 'unit = "uJ"\nstep_us = 10')
        cores, cpus, chip = (
            bench_silicon(facts=file(tmp_path, text.replace('boundary = "chip"', f'boundary = "{b}"')))[0]["nominal"]
            for b in ("cores", "cpus", "chip")
        )
        assert cpus - cores == pytest.approx(1e6 * 0.040 * 20 * 10e-6, rel=1e-9)
        assert chip - cpus == pytest.approx(1e6 * 0.104 * 20 * 10e-6, rel=1e-9)

    def test_numbers_that_others_give_take_the_place_of_those_of_the_file(self, tmp_path: Path) -> None:
        text = SMALL.replace('source = "nowhere"', 'source = "nowhere"\nwithout = { "latency.management" = [1, 2, 3] }')
        (found,) = bench_silicon(facts=file(tmp_path, text))
        assert found["nominal"] - found["nominal_left_out"] == pytest.approx(1.44, rel=1e-9)

    def test_a_fact_that_cannot_run_is_a_row_and_does_not_stop_the_others(self, tmp_path: Path) -> None:
        said: list[str] = []
        missing = SMALL.replace("input = [2, 6, 6]", 'network = "none.nir"')
        missing = re.sub(r"layers = .*\n", "", missing)
        rows = bench_silicon(facts=file(tmp_path, STATIC + missing), say=said.append)
        assert [r["error"] is None for r in rows] == [True, False]
        assert "none.nir does not exist" in rows[1]["error"]
        assert (rows[1]["nominal"], rows[1]["inside"]) == (None, False)
        assert any("none.nir" in line for line in said)

    def test_without_lava_dl_its_networks_are_left_out(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        said: list[str] = []
        monkeypatch.setattr("neurodeploy.bench.silicon.workloads.wheel_file", lambda name: None)  # noqa: ARG005
        text = SMALL.replace("input = [2, 6, 6]", 'network = "lava-dl:x.net"')
        text = STATIC + re.sub(r"layers = .*\n", "", text)
        assert len(bench_silicon(facts=file(tmp_path, text), say=said.append)) == 1
        assert "'small' is left out: it needs lava-dl:x.net in the wheel of lava-dl" in said[0]

    def test_the_command_prints_rows_and_coverage(self, tmp_path: Path, monkeypatch, capsys) -> None:
        arguments = ["bench", "silicon", "--facts", str(file(tmp_path, STATIC)), "--json"]
        monkeypatch.setattr("sys.argv", ["neurodeploy", *arguments])
        with pytest.raises(SystemExit) as end:
            main()
        assert not end.value.code
        out, err = capsys.readouterr()
        assert {"workload", "quantity", "kind", "boundary", "role", "activity", "measured"} <= json.loads(out)[0].keys()
        assert "recorded activity, static: measured over nominal 0.29 (0.29 to 0.29); inside 1 of 1 as fitted" in err

    def test_chip_files_lie_beside_the_facts_and_priors_come_from_the_package(self, tmp_path: Path) -> None:
        source = (ROOT / "hardware" / "loihi1.toml").read_text(encoding="utf-8")
        (tmp_path / "mine.toml").write_text(source.replace('name = "loihi1"', 'name = "mine"'), encoding="utf-8")
        text = STATIC.replace('"loihi1"', '"mine.toml"') + SMALL.replace('"loihi1"', '"mine.toml"')
        static, time = bench_silicon(facts=file(tmp_path, text))
        assert (static["error"], static["chip"], time["chip"]) == (None, "mine", "mine")
        spread = fit_spread([], 1.243)  # of loihi1, whose prices these are
        assert static["nominal"] == pytest.approx(208)
        assert time["high_left_out"] / time["low_left_out"] > spread.high / spread.low
        quick = SMALL.replace("[0.01, 0.05, 0.2]", "[0.05, 0.05, 0.05]")
        (time,) = bench_silicon(facts=file(tmp_path, quick.replace('"loihi1"', '"mine.toml"')))
        assert time["high_left_out"] / time["low_left_out"] == pytest.approx(spread.high / spread.low, rel=1e-9)


class TestFile:
    @pytest.mark.parametrize(
        ("text", "message"),
        [
            ("", "it has no [[fact]]"),
            (STATIC.replace('unit = "mW"', 'unit = "mV"'), "'idle': fact.0: unit 'mV' is none of kind 'static'"),
            (STATIC.replace('boundary = "chip"', 'boundary = "core"'), "fact.0.boundary"),
            (STATIC.replace('boundary = "chip"', 'boundary = "board"'), "known: chip, cpus"),
            (
                STATIC.replace("chips = 2", "chip_count = 2"),
                "unknown key 'fact.0.chip_count'; known keys there: activity",
            ),
            (STATIC.replace('chip = "loihi1"\n', ""), "needs chip, as in chip = "),
            (STATIC.replace('source = "log"', ""), "key 'fact.0.source' is missing"),
            (STATIC.replace("[[fact]]", "[fact]"), "write [[fact]] with two brackets"),
            (SMALL.replace('workload = "small"', 'workload = "smal"'), "no [[workload]] of this name; known: 'small'"),
            (SMALL.replace("rates = [0.01, 0.05, 0.2]", "rates = [0.2, 0.1, 0.3]"), "three shares that rise"),
            (SMALL.replace("{ pool = 2 }", "{ pool = 2, conv = 4 }"), "just one of dense, conv and pool"),
            ("fact = [", "is no TOML file"),
        ],
    )
    def test_a_wrong_file_is_refused_with_its_place_and_what_belongs_there(self, tmp_path, text, message) -> None:
        with pytest.raises(FileError, match=re.escape(message)):
            load_facts(file(tmp_path, text))

    def test_a_missing_file_is_named(self, tmp_path: Path) -> None:
        with pytest.raises(FileError, match=r"cannot read the facts .*none\.toml"):
            load_facts(tmp_path / "none.toml")

    def test_a_number_that_the_chip_file_lacks_is_named(self, tmp_path: Path) -> None:
        text = SMALL.replace('source = "nowhere"', 'source = "nowhere"\nwithout = { "latency.manage" = [1, 2, 3] }')
        (found,) = bench_silicon(facts=file(tmp_path, text))
        assert 'without."latency.manage" is no number of' in found["error"]

    def test_the_examples_of_the_documentation_are_facts(self, tmp_path: Path) -> None:
        blocks = re.findall(r"```toml\n(.*?)```", FACTS_PAGE.read_text(encoding="utf-8"), re.S)
        facts = load_facts(file(tmp_path, "\n".join([*blocks[:2], blocks[3]])))
        assert [fact.kind for fact in facts.fact] == ["static", "energy", "time"]
        shapes = load_facts(file(tmp_path, f'[[workload]]\nname = "x"\nchip = "loihi1"\n{blocks[2]}{STATIC}'))
        net = chain(shapes.workload[0].input, shapes.workload[0].layers)
        assert [p.size for p in net.populations][-2:] == [256, 10]


class TestSpread:
    def test_without_a_fact_the_prior_decides(self) -> None:
        spread = fit_spread([], 1.25)
        # two degrees of freedom, scale log(1.25) * sqrt(2): Student's 10 % and 95 % points are -1.8856 and 2.9200
        scale = math.log(1.25) * math.sqrt(2)
        assert math.log(spread.low) == pytest.approx(-1.88562 * scale, rel=1e-5)
        assert math.log(spread.high) == pytest.approx(2.91999 * scale, rel=1e-5)

    @pytest.mark.parametrize("freedom", [1, 2, 3, 4, 7, 12, 40])
    @pytest.mark.parametrize("level", [0.05, 0.1, 0.3, 0.5, 0.95, 0.99])
    def test_quantiles_are_those_of_scipy(self, level: float, freedom: int) -> None:
        assert student_quantile(level, freedom) == pytest.approx(student.ppf(level, freedom), rel=1e-9, abs=1e-9)

    def test_facts_of_one_workload_count_once(self) -> None:
        assert fit_spread([("a", 2.0), ("a", 0.5), ("b", 1.0)], 1.2) == fit_spread([("a", 1.0), ("b", 1.0)], 1.2)

    def test_facts_that_agree_narrow_a_range(self) -> None:
        few, many = (fit_spread([(str(i), 1.0) for i in range(n)], 1.5) for n in (2, 10))
        assert few.low < many.low < 1 < many.high < few.high

    def test_chip_files_take_the_factors_rounded_outwards(self) -> None:
        assert Spread(0.767, 1.587, 3).rounded == (0.75, 1.6)
        assert Spread(0.75, 1.6, 3).rounded == (0.75, 1.6)


class TestShipped:
    def test_every_kind_is_there_and_every_fact_has_a_source(self) -> None:
        facts = load_facts()
        assert {fact.kind for fact in facts.fact} == {"energy", "time", "static", "cores"}
        assert all(fact.source for fact in facts.fact)

    def test_the_shapes_are_those_that_were_measured(self) -> None:
        """33,802 parameters with biases (NxTF), and the cores that slayer2loihi printed."""
        workloads = {w.name: w for w in load_facts().workload}
        cnn = workloads["MNIST CNN 28x28-16c5s2-32c3-64c3s2-10c4"]
        net = chain(cnn.input, cnn.layers)
        weights = [p.synapses.weights for p in net.projections]
        assert sum(w.size + len(w) for w in weights) == 33_802
        sdnn = workloads["PilotNet SDNN, by shape"]
        assert [p.shape for p in chain(sdnn.input, sdnn.layers).populations[:5]] == [
            *((24, 32, 99), (36, 15, 49), (48, 7, 24), (64, 4, 22), (64, 2, 20))
        ]

    def test_random_weights_have_the_width_and_the_density_that_are_asked_for(self) -> None:
        facts = load_facts()
        lsnn = next(w for w in facts.workload if w.name.startswith("LSNN"))
        net = chain(lsnn.input, lsnn.layers)
        shares = [(p.synapses.weights != 0).mean() for p in net.projections]
        assert shares == pytest.approx([0.22, 0.18, 0.35], abs=0.02)
        mapping = map_network(net, load_chip("loihi1"))
        assert {bits for load in mapping.cores for bits in load.weight_bits.values()} == {8}
        assert estimate(net, mapping).memory.n_cores == len(mapping.cores)


def test_the_page_counts_and_shows_misses() -> None:
    wide = Range(chip="c", kind="energy", boundary="", spread=Spread(0.5, 2.0, 1), inside=1, of=2)
    missed = row(measured=1.0, inside=False, inside_left_out=False, quantity="r")
    page = markdown([row(), missed], [wide])
    assert "| energy | 2 | 0.58 (0.33 to 1.00) | 1 of 2 | 1 of 2 (50%) |" in page
    assert "**Missed aims**: all kinds together (1 of 2, asked 80%), energy (1 of 2, asked 70%)." in page
    assert (
        "| w | c | r | energy, cores | validation | 1 mJ | 3 (2 to 4) | NO: measured 0.50 times the low end |" in page
    )


def test_an_older_page_is_kept_without_force(tmp_path) -> None:
    (tmp_path / "page.md").write_text("kept")
    with pytest.raises(FileError, match=r"page\.md exists; choose another --out, or --force"):
        bench_silicon(out=tmp_path / "page.md")
    assert (tmp_path / "page.md").read_text() == "kept"


@pytest.fixture(scope="module")
def shipped() -> tuple[list[SiliconRow], list[Range]]:
    return measure()


@pytest.mark.slow
@needs_wheel
class TestWhatIsMeasured:
    def test_the_page_in_docs_is_what_the_command_writes(self, shipped) -> None:
        assert markdown(*shipped) == PAGE.read_text(encoding="utf-8")

    def test_most_recorded_facts_lie_inside_with_their_workload_left_out(self, shipped) -> None:
        rows = [r for r in shipped[0] if r.activity == "recorded" and r.role != "bound"]
        for kind, asked in (("energy", 0.7), ("time", 0.7), ("static", 0.7), ("cores", 0.7), (None, 0.8)):
            own = [r.inside_left_out for r in rows if kind in (None, r.kind)]
            assert sum(own) >= asked * len(own)

    def test_chip_files_have_the_ranges_that_follow(self, shipped) -> None:
        found = {(r.chip, r.kind): r.spread.rounded for r in shipped[1]}
        for name in ("loihi1", "loihi2"):
            chip = load_chip(name)
            energies = [*chip.energy.synop.values(), chip.energy.neuron_update, *chip.energy.neuron_update_of.values()]
            times = [*chip.latency.synop.values(), chip.latency.neuron_update]
            if name == "loihi1":
                own = chip.latency
                energies += [chip.energy.neuron_access, chip.energy.spike_out, chip.energy.message_out]
                times += [own.management, own.host_input, own.message_in, *(level.time for level in own.barrier)]
            for kind, prices in (("energy", energies), ("time", times)):
                for price in prices:
                    factors = (price.low / price.nominal, price.high / price.nominal)
                    assert factors == pytest.approx(found[name, kind], rel=1e-9)

    def test_chip_files_say_the_coverage_that_was_found(self, shipped) -> None:
        for name in ("loihi1", "loihi2"):
            for kind, covered in load_chip(name).coverage.items():
                own = [r for r in shipped[1] if (r.chip, r.kind) == (name, kind)]
                inside = sum(r.inside if r.between is None else r.between for r in own)
                assert (covered.inside, covered.of) == (inside, sum(r.of for r in own))

    def test_ranges_are_no_wider_than_asked(self, shipped) -> None:
        found = {(r.chip, r.kind): r.spread.rounded for r in shipped[1]}
        assert found["loihi1", "energy"][0] >= 0.6
        assert found["loihi1", "energy"][1] <= 1.6
        assert found["loihi1", "time"][0] >= 0.7
        assert found["loihi1", "time"][1] <= 2.0


def test_the_facts_are_shipped_beside_their_reader() -> None:
    assert SHIPPED.is_file()

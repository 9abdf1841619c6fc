"""``bench_simulate``: what its rows say, and that a contestant with other spikes gets no ratio."""

import argparse
import importlib.util
import json
import sys
from pathlib import Path

import numpy as np
import pytest
from building import ROOT
from typer.testing import CliRunner

from neurodeploy.bench.speed import run as bench
from neurodeploy.bench.speed.claims import CaseTable
from neurodeploy.bench.speed.counts import core_events, core_fans, core_labels
from neurodeploy.bench.speed.networks import make_network, random_samples
from neurodeploy.bench.speed.peers import PEERS, Peer, local, remote, worker
from neurodeploy.bench.speed.peers.local import as_sparse, numba_scatter
from neurodeploy.bench.speed.run import Case, available_peers, bench_simulate
from neurodeploy.cli import app
from neurodeploy.engines.event.run import run_event
from neurodeploy.engines.reference import run_reference
from neurodeploy.errors import SimulationError, UsageError
from neurodeploy.network import Dense, Sparse
from neurodeploy.network.activity import Activity, Events

CASE = Case("30-40-5", 0.5, 0.1, {1: 2.0, 3: None})


def right(net, samples):
    return run_reference(net, samples.take(0, 1))


def wrong(net, samples):
    activity = run_event(net, samples.take(0, 1))
    raster = activity.spikes["layer2"].to_dense()
    raster[0, 5, 0] ^= 1
    spikes = {**activity.spikes, "layer2": Events.from_dense(raster)}
    return Activity(engine="x", network="", n_steps=activity.n_steps, spikes=spikes)


def always(run, **how):
    """A peer that takes a million seconds for what ``run`` gives."""

    def start(net, samples):
        while True:
            yield 1e6, run(net, samples)

    return Peer(start=start, **how)


def network(name="30-40-5"):
    return make_network(name, 0.5, 0.1, np.random.default_rng(0))


def test_rows_name_network_kernel_peer_and_ratio():
    seen = []
    rows = bench_simulate(cases=[CASE], peers={"numba-scatter": PEERS["numba-scatter"]}, rounds=1, progress=seen.append)
    assert seen == rows
    assert [(row["batch"], row["threads"], row["peer"], row["equal"]) for row in rows] == [
        (1, 1, "numba-scatter", True),
        (3, 2, "numba-scatter", True),
    ]
    for row in rows:
        assert row["ratio"] == pytest.approx(row["peer_ms"] / row["ms"])
        assert (row["network"], row["density"], row["rate"], row["kernel"]) == ("30-40-5", 0.5, 0.1, "dense")


def test_bar_counts_for_lava_alone():
    rows = bench_simulate(cases=[CASE], peers={"lava": always(right), "other": always(right)}, rounds=1)
    assert [(row["peer"], row["batch"], row["bar"], row["met"]) for row in rows] == [
        ("lava", 1, 2.0, True),
        ("lava", 3, None, None),
        ("other", 1, None, None),
        ("other", 3, None, None),
    ]


def test_higher_bars_hold_with_avx512_alone():
    table = CaseTable(
        network="5-5", density=1, rate=1, batches=(1, 64), over_lava={1: 2, 64: 10}, over_lava_avx512={64: 30}
    )
    assert table.case("avx512").bars == {1: 2, 64: 30}
    assert table.case("avx2").bars == {1: 2, 64: 10}
    with pytest.raises(ValueError, match="over_lava_avx512 has a bar for batch 8, but the batches are"):
        CaseTable(network="5-5", density=1, rate=1, batches=(1, 64), over_lava_avx512={8: 30})


def test_peer_with_other_spikes_has_no_ratio_and_misses_the_bar():
    row = bench_simulate(cases=[CASE], peers={"lava": always(wrong)}, rounds=1)[0]
    assert (row["equal"], row["ratio"], row["met"]) == (False, None, False)


def test_one_turn_with_other_spikes_is_enough():
    def start(net, samples):
        yield 1.0, right(net, samples)
        yield 1.0, wrong(net, samples)
        yield 1.0, right(net, samples)

    assert not bench_simulate(cases=[CASE], peers={"x": Peer(start=start)}, rounds=3)[0]["equal"]


def test_peer_that_cannot_run_the_network_gives_no_row():
    def start(_net, _samples):
        yield from ()

    assert bench_simulate(cases=[CASE], peers={"none": Peer(start=start)}, rounds=1) == []


def test_slow_starter_takes_fewer_turns():
    taken = []
    count = always(lambda net, samples: taken.append("count") or right(net, samples), most_turns=2)
    assert len(bench_simulate(cases=[CASE], peers={"x": count, "y": always(right)}, rounds=3)) == 4
    assert len(taken) == 2


def test_peer_that_fails_later_gives_no_row_and_one_line_and_the_others_go_on():
    def start(net, samples):
        yield 1.0, right(net, samples)
        raise SimulationError("bench: it broke")

    said = []
    peers = {"x": Peer(start=start), "y": always(right)}
    rows = bench_simulate(cases=[CASE], peers=peers, rounds=2, say=said.append)
    assert {row["peer"] for row in rows} == {"y"}
    assert said == ["bench: it broke (30-40-5 at 50% density, 10% rate)"]


def test_bars_of_the_other_peers_hold_at_the_rate_of_the_bars_and_batches_are_those_of_the_peer():
    case = Case("30-40-5", 0.5, bench.BAR_RATE, {1: None, 3: None})
    peers = {
        "few": always(right, bar=1e3, batch=3, neuron="IF"),
        "one": always(right, bar=1e99, counts=True),
        "slow": always(right, most_rate=0.01),
    }
    rows = bench_simulate(cases=[case], peers=peers, rounds=1)
    assert [(r["peer"], r["batch"], r["peer_batch"], r["neuron"], r["counts"], r["met"]) for r in rows] == [
        ("few", 3, 3, "IF", False, True),
        ("one", 1, 1, "CUBA", True, False),
    ]
    assert all(r["bar"] is None for r in bench_simulate(cases=[CASE], peers={"few": peers["few"]}, rounds=1))


def test_bars_of_the_other_peers_do_not_hold_where_only_that_of_lava_does():
    case = Case("30-40-5", 0.5, bench.BAR_RATE, {1: 2.0}, only_lava=True)
    rows = bench_simulate(cases=[case], peers={"lava": always(right), "few": always(right, bar=1e3)}, rounds=1)
    assert [(row["peer"], row["bar"]) for row in rows] == [("lava", 2.0), ("few", None)]
    assert [case.network for case in bench.CASES if case.only_lava] == ["8192-8192"]


def test_peer_that_is_not_installed_is_left_out_with_the_reason(monkeypatch):
    monkeypatch.setattr(remote, "find_python", lambda _peer: None)
    said = []
    assert list(available_peers(["sanafe", "numba-scatter"], say=said.append)) == ["numba-scatter"]
    assert said == [
        "bench: peer sanafe is left out: no package 'sanafe' in this Python nor in one that NEURODEPLOY_ORACLE_PYTHON or "
        "NEURODEPLOY_LAVA_PYTHON names; install it in an environment of its own and set the first of them to its python"
    ]
    with pytest.raises(UsageError, match="unknown peer 'brian'; known: numba-scatter, c, lava"):
        available_peers(["brian"])


def test_the_c_code_gives_the_same_spikes_and_is_left_out_for_tables_that_compilers_choke_on(monkeypatch):
    if (reason := PEERS["c"].available()) is not None:
        pytest.skip(reason)
    net = make_network("30-40-5", 0.5, 0.1)
    samples = random_samples(net, 3, 0.1, np.random.default_rng(5))
    turns = PEERS["c"].start(net, samples)
    seconds, activity = next(turns)
    turns.close()
    assert seconds > 0
    assert bench._equal(run_event(net, samples), activity)
    monkeypatch.setattr(local, "MOST_TABLE_BYTES", 100)
    assert list(PEERS["c"].start(net, samples)) == []


@pytest.mark.slow
@pytest.mark.parametrize("name", list(remote.MODULES))
def test_other_simulator_gives_the_same_spikes(name):
    """In the Python that has it: sums of integers are exact in float, and nengo-loihi's emulator rounds as Lava does."""
    peer = PEERS[name]
    if (reason := peer.available()) is not None:
        pytest.skip(reason)
    net = make_network("30-40-5", 0.5, 0.1, model=bench._OWN[peer.neuron])
    samples = random_samples(net, 64, 0.1, np.random.default_rng(5))
    turns = peer.start(net, samples)
    (seconds, activity), again = next(turns), next(turns)
    turns.close()
    assert seconds > 0
    assert again[0] > 0
    assert bench._equal(run_event(net, samples), activity)
    assert all(len(activity.spikes[p.name]) > 20 for p in net.populations)


def test_worker_reads_the_job_that_is_written_for_it_and_torch_spikes_are_moved_by_their_layer(tmp_path):
    net = network()
    samples = random_samples(net, 3, 0.2, np.random.default_rng(5))
    remote._write_job(net, samples, tmp_path / "job.npz")
    job = worker.read_job(tmp_path / "job.npz")
    assert np.array_equal(job.raster, samples.inputs["in"].to_dense())
    assert [w.tolist() for w in job.weights] == [p.synapses.weights.tolist() for p in net.projections]
    assert job.thresholds == [p.model.threshold for p in net.populations]
    assert (job.current_decay, job.voltage_decay, job.n_steps) == (1024, 128, 100)
    raster = np.array([[1], [0], [1], [1]], bool)
    assert worker._later(raster, 2).ravel().tolist() == [False, False, True, False]


def test_worker_that_dies_is_reported_with_its_last_words(monkeypatch):
    monkeypatch.setattr(remote, "find_python", lambda _peer: sys.executable)
    monkeypatch.setitem(remote.BATCHES, "broken", 1)
    net = network()
    turns = remote.run_peer("broken", net, random_samples(net, 1, 0.2, np.random.default_rng(5)))
    with pytest.raises(SimulationError, match="bench: broken ended without an answer, .*; it said: KeyError: 'broken'"):
        next(turns)


def test_events_of_cores_by_hand():
    """Two cores of 1024 and 6 neurons, and one of 2; every synapse is stored."""
    net = make_network("3-1030-2", 1.0, 0.3)
    labels, fans = core_labels(net), core_fans(net)
    assert [np.bincount(labels[name]).tolist() for name in ("layer1", "layer2")] == [[1024, 6], [0, 0, 2]]
    stored = net.projections[0].synapses.weights != 0
    activity = run_event(net, random_samples(net, 2, 0.3, np.random.default_rng(1)))
    operations, messages = core_events(activity, fans).transpose(0, 2, 1)
    given = activity.spikes["in"].to_dense().reshape(-1, 3)
    assert operations[0].tolist() == (given @ stored[:1024].sum(axis=0)).tolist()
    assert operations[1].tolist() == (given @ stored[1024:].sum(axis=0)).tolist()
    assert messages[1].tolist() == (given @ stored[1024:].any(axis=0)).tolist()
    assert messages[2].sum() == len(activity.spikes["layer1"])


def test_populations_fire_at_about_the_rate_of_the_input():
    net = network("60-200-100")
    activity = run_event(net, random_samples(net, 5, 0.1, np.random.default_rng(3)))
    for name, events in activity.spikes.items():
        assert 0.05 < len(events) / (events.size * events.n_steps * events.n_samples) < 0.15, name


def test_plain_loop_gives_the_spikes_of_the_reference():
    net = network()
    samples = random_samples(net, 2, 0.1, np.random.default_rng(4))
    _, activity = next(numba_scatter(net, samples))
    assert bench._equal(run_reference(net, samples), activity)
    assert len(activity.spikes["layer1"]) > 100


def test_conv_net_has_34426_neurons_and_no_plain_loop():
    net = make_network("conv-34x34x2", 1.0, 0.02, np.random.default_rng(0))
    assert sum(p.size for p in net.populations) == 34426
    samples = random_samples(net, 1, 0.02, np.random.default_rng(0))
    assert list(numba_scatter(net, samples)) == []
    assert not remote._fits("sanafe", net)


def test_sparse_form_computes_the_same():
    net = network()
    form = as_sparse(net)
    assert {type(p.synapses) for p in net.projections} == {Dense}
    assert {type(p.synapses) for p in form.projections} == {Sparse}
    samples = random_samples(net, 1, 0.2, np.random.default_rng(5))
    assert bench._equal(run_reference(net, samples), run_reference(form, samples))


def test_four_times_over_repeats_the_first_sample():
    samples = random_samples(network(), 2, 0.2, np.random.default_rng(6))
    long = local._repeated(samples, 4).inputs["in"].to_dense()
    one = samples.inputs["in"].to_dense()[:1]
    assert np.array_equal(long, np.concatenate([one] * 4, axis=1))


def test_lava_whose_time_drowns_in_other_load_is_left_out_with_the_reason(monkeypatch):
    """The long run ends before the short one would have: no time, and no ratio below 0."""
    import neurodeploy.engines.lava as lava

    moments = iter([0.0, 5.0, 6.0, 6.0, 11.0, 12.0])
    monkeypatch.setattr(lava, "run_lava", run_event)
    monkeypatch.setattr(local.time, "perf_counter", lambda: next(moments))
    net = network()
    with pytest.raises(SimulationError, match="bench: lava took -1333 ms for a sample by the difference of two runs"):
        next(local.lava_runtime(net, random_samples(net, 1, 0.1, np.random.default_rng(5))))


def test_unknown_network_and_no_rounds():
    with pytest.raises(UsageError, match="there is no network 'resnet'"):
        network("resnet")
    with pytest.raises(UsageError, match="rounds is 0"):
        bench_simulate(cases=[CASE], peers={}, rounds=0)


class TestCommand:
    def run(self, monkeypatch, *options):
        monkeypatch.setattr(bench, "CASES", (CASE, Case("20-5", 1.0, 0.02, {1: None})))
        return CliRunner().invoke(app, ["bench", "simulate", "--rounds", "1", *options])

    def test_json_holds_the_columns_and_only_the_chosen_network_and_peer(self, monkeypatch):
        result = self.run(monkeypatch, "--network", "20-5", "--peer", "numba-scatter", "--json")
        assert result.exit_code == 0
        (row,) = json.loads(result.stdout)
        named = ("network", "density", "rate", "batch", "threads", "kernel", "peer", "equal")
        assert [row[key] for key in named] == ["20-5", 1.0, 0.02, 1, 1, "dense", "numba-scatter", True]
        assert row["ratio"] == pytest.approx(row["peer_ms"] / row["ms"])

    def test_unknown_network_and_peer_are_usage_errors_that_name_the_known_ones(self, monkeypatch):
        for option, known in (("--network", "known: 20-5, 30-40-5"), ("--peer", "known: numba-scatter, c, lava")):
            error = self.run(monkeypatch, option, "resnet").exception
            assert isinstance(error, UsageError)
            assert "resnet" in str(error)
            assert known in str(error)


class TestScript:
    @pytest.fixture
    def script(self):
        path = ROOT / "tests" / "benchmarks" / "bench_simulate.py"
        spec = importlib.util.spec_from_file_location("bench_simulate_script", path)
        module = importlib.util.module_from_spec(spec)
        spec.loader.exec_module(module)
        return module

    def test_resume_keeps_what_the_file_holds_and_measures_the_rest(self, script, monkeypatch, tmp_path):
        monkeypatch.setattr(script, "CASES", (CASE, Case("20-5", 1.0, 0.1, {1: None})))
        rows, page = tmp_path / "rows.json", tmp_path / "page.md"
        common = ["x", "--rounds", "1", "--peers", "numba-scatter", "--json", str(rows), "--out", str(page)]
        monkeypatch.setattr(sys, "argv", [*common, "--only", "peers", "--cases", "0"])
        script.main()
        before = json.loads(rows.read_text())["peers"]
        assert [row["batch"] for row in before] == [1, 3]
        monkeypatch.setattr(sys, "argv", [*common, "--only", "peers", "--resume"])
        script.main()
        after = json.loads(rows.read_text())["peers"]
        assert after[:2] == before
        assert [row["network"] for row in after] == ["30-40-5", "30-40-5", "20-5"]
        text = page.read_text()
        assert text.startswith("# Speed of the simulators\n")
        assert text.count("| numba-scatter |") == 3

    def test_rows_of_another_instruction_set_stand_beside_these(self, script, monkeypatch):
        """A second process, restricted to AVX2, measures the cases with a bar over Lava."""
        monkeypatch.setattr(script, "instruction_set", lambda: "avx2")
        monkeypatch.setattr(script, "CASES", (CASE,))
        assert script.bench_avx2(None) == []
        started = []

        def run(command, *, env, check):
            assert check
            started.append((command[2:-3], env["NUMBA_CPU_NAME"], env["NUMBA_CPU_FEATURES"]))
            assert command[-2:] == ["--cases", "0"]
            file = command[command.index("--json") + 1]
            Path(file).write_text(json.dumps({"peers": [{"isa": "avx2", "met": False, "bar": 9.0, "ratio": 3.0}]}))

        monkeypatch.setattr(script, "instruction_set", lambda: "avx512")
        monkeypatch.setattr(script.subprocess, "run", run)
        rows = script.bench_avx2(argparse.Namespace(rounds=1))
        assert [row["isa"] for row in rows] == ["avx2"]
        ((command, name, features),) = started
        assert command[:6] == ["--only", "peers", "--peers", "lava", "--rounds", "1"]
        assert (name, features) == ("x86-64-v3", "")
        page = script.document({"avx2": rows}, 1)
        assert "## Beside Lava, restricted to AVX2" in page
        assert "Bars that are missed here:\n\n- avx2, avx2: " in page
        assert ": 3, bar 9" in page
        assert "All bars are met." in script.document({"avx2": [rows[0] | {"met": True}]}, 1)

    def test_small_chip_fires_at_the_rate_that_is_asked_for(self, script):
        network = script.chip_network(3, 512, 20, 0.1, np.random.default_rng(0))
        silent = random_samples(network, 1, 0.0, np.random.default_rng(0))
        activity = run_event(network, silent, n_steps=60)
        later = sum(int((activity.spikes[p.name].step >= 20).sum()) for p in network.populations)
        assert later / (40 * 3 * 512) == pytest.approx(0.1, rel=0.2)

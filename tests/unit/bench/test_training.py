"""``bench train``: what is timed computes the same, and other frameworks train in processes of their own."""

from __future__ import annotations

import sys
from dataclasses import replace

import pytest

pytestmark = pytest.mark.train
torch = pytest.importorskip("torch", reason="needs torch (extra train)")

from neurodeploy import commands
from neurodeploy.bench.training import cases, others, run
from neurodeploy.bench.training.cases import Case
from neurodeploy.bench.training.page import exponents, write_page
from neurodeploy.errors import FileError, SimulationError, UsageError

SMALL = Case(network="40-30-10", density=0.2, rate=0.2, n_steps=10, batch=16)


@pytest.fixture(autouse=True)
def _small(monkeypatch):
    monkeypatch.setitem(cases.LAYERS, "40-30-10", ((40,), "[{ neurons = 30 }, { neurons = 10 }]"))


def test_rows_compare_time_and_say_whether_spikes_are_equal():
    seen = []
    rows = run.bench_train(cases=[SMALL], peers=("dense-fused",), rounds=1, memory=False, progress=seen.append)
    assert seen == rows
    (row,) = rows
    assert row.keys() == run.Row.__annotations__.keys()
    assert (row["network"], row["density"], row["peer"], row["backend"]) == ("40-30-10", 0.2, "dense-fused", "native")
    assert row["equal"] is True
    assert row["ratio"] == pytest.approx(row["peer_ms"] / row["ms"])
    assert row["memory_ratio"] is None


@pytest.mark.slayer
def test_slayers_own_neurons_fire_alike():
    (row,) = run.bench_train(cases=[SMALL], peers=("slayer-masked",), rounds=1, memory=False)
    assert row["equal"] is True


@pytest.mark.slayer
def test_peers_of_a_large_case_are_not_in_memory_together(monkeypatch):
    held, rows_of = [], run._rows
    monkeypatch.setattr(
        run, "_rows", lambda case, peers, *rest: held.append(list(peers)) or rows_of(case, peers, *rest)
    )
    peers = ("slayer-masked", "dense-fused", "norse")
    rows = run.bench_train(cases=[replace(SMALL, large=True)], peers=peers, rounds=1, memory=False)
    assert held == [["slayer-masked"], ["dense-fused"]]
    assert [row["peer"] for row in rows] == ["slayer-masked", "dense-fused"]


def test_only_ours_stores_connections():
    ours, dense = (cases.run_of(SMALL, which) for which in ("native", "dense-fused"))
    assert set(ours.model.stored) == {"hidden1", "output"}
    assert not dense.model.stored
    assert all(torch.equal(w, dense.model.dense_weights()[n]) for n, w in ours.model.dense_weights().items())


def test_a_time_of_other_spikes_does_not_count(monkeypatch):
    monkeypatch.setattr(run, "_same_spikes", lambda *_: False)
    (row,) = run.bench_train(cases=[SMALL], peers=("dense-fused",), rounds=1, memory=False)
    assert (row["equal"], row["ratio"]) == (False, None)


def test_equal_spikes_are_a_comparison_of_every_layer():
    ours, other = cases.run_of(SMALL, "native"), cases.run_of(SMALL, "dense-fused")
    assert run._same_spikes(ours, other)
    with torch.no_grad():
        other.model.weights()["hidden1"].mul_(1.3)
    assert run._same_spikes(ours, other) is False


def test_layers_that_never_fire_prove_nothing():
    ours, other = cases.run_of(SMALL, "native"), cases.run_of(SMALL, "dense-fused")
    with torch.no_grad():
        for one in (ours, other):
            one.model.weights()["hidden1"].zero_()
    assert run._same_spikes(ours, other) is None


@pytest.mark.slow
@pytest.mark.parametrize("case", cases.CASES, ids=lambda c: f"{c.network}-{c.density}-{c.rate}-{c.n_steps}-{c.batch}")
def test_every_network_stores_its_sparse_layers_and_fires(case):
    made = cases.run_of(replace(case, batch=min(case.batch, 8)), "native")
    assert set(made.model.stored) == (set(made.model.weights()) if case.density < 1 else set())
    made.model.eval()
    with torch.no_grad():
        fired = made.model.layers(made.spikes[:])
    assert all(0.005 < layer.float().mean() < 0.6 for layer in fired.values())


def test_peers_that_are_missing_are_left_out_with_the_reason(monkeypatch):
    monkeypatch.setattr(others, "find_python", lambda _: None)
    said = []
    assert run.available_peers(("norse", "dense-fused"), said.append) == ["dense-fused"]
    assert said == [
        "bench: peer norse is left out: no package 'norse' in this Python nor in one that NEURODEPLOY_TRAIN_PYTHONS names; "
        "install it in an environment of its own and name its python there"
    ]


def test_slayer_is_left_out_where_lava_dl_is_not_installed(monkeypatch):
    for module in [name for name in sys.modules if name.startswith("neurodeploy.training.model.")]:
        if module.rpartition(".")[2] in ("slayer", "blocks"):
            monkeypatch.delitem(sys.modules, module)
    monkeypatch.setitem(sys.modules, "lava.lib.dl.slayer.block", None)
    said = []
    assert run.available_peers(("slayer-masked", "dense-fused"), said.append) == ["dense-fused"]
    assert said == ["bench: peer slayer-masked is left out: lava-dl is not installed (extra slayer, Python 3.10)"]


def test_a_peer_that_dies_is_reported_with_its_last_words(monkeypatch):
    monkeypatch.setattr(others, "find_python", lambda _: sys.executable)
    with others.Other("no-such-framework", SMALL, 1) as other, pytest.raises(SimulationError, match="KeyError"):
        other.step()


@pytest.mark.parametrize("peer", others.OTHERS)
def test_another_framework_takes_a_step(peer):
    if reason := others.missing(peer):
        pytest.skip(f"{reason} (NEURODEPLOY_TRAIN_PYTHONS)")
    (row,) = run.bench_train(cases=[SMALL], peers=(peer,), rounds=1, memory=False)
    assert row["equal"] is None
    assert row["peer_ms"] > 0


def test_the_page_names_instruction_set_and_every_row(tmp_path):
    row = dict.fromkeys(run.Row.__annotations__)
    row |= {"isa": "avx2", "threads": 1, "network": "40-30-10", "ratio": 2.5, "equal": True, "peer": "dense-fused"}
    write_page([row], tmp_path / "page.md", 3)
    text = (tmp_path / "page.md").read_text(encoding="utf-8")
    assert "bench train --rounds 3` on avx2, " in text
    assert "| 40-30-10 |  |  |  |  | dense-fused |  |  | 2.5 |  |  |  | yes |" in text


def test_what_is_unknown_is_named_with_what_is_known(tmp_path):
    with pytest.raises(UsageError, match="bench: unknown network '1-2'; known: 2312-512-512-11, 784-512-10, "):
        commands.bench_train(networks=["1-2"])
    with pytest.raises(UsageError, match="bench: unknown density '0.3'; known: 0.1, 0.02, 0.5"):
        commands.bench_train(densities=[0.3])
    with pytest.raises(UsageError, match="bench: unknown peer 'jax'; known: slayer-masked, dense-fused, snntorch"):
        commands.bench_train(peers=["jax"])
    (tmp_path / "there.md").write_text("mine", encoding="utf-8")
    with pytest.raises(FileError, match="exists; choose another --out, or --force"):
        commands.bench_train(out=tmp_path / "there.md")


def test_exponents_compare_cases_that_differ_in_one_quantity():
    same = {"rate": 0.02, "steps": 16, "batch": 32}
    rows = [
        {"network": "784-512-10", "density": 0.1, "ms": 4.0, **same},
        {"network": "784-512-10", "density": 0.4, "ms": 8.0, **same},
        {"network": "784-512-10", "density": 0.1, "ms": 16.0, **(same | {"steps": 64})},
        {"network": "1568-512-10", "density": 0.4, "ms": 8.0, **same},
        {"network": "mnist-conv", "density": 0.4, "ms": 1.0, **same},
    ]
    found = {name: power for name, _, _, power in exponents(rows)}
    assert found == {"possible synapses": 0, "density": pytest.approx(0.5), "steps": pytest.approx(1)}
    assert exponents(rows[:1]) == []

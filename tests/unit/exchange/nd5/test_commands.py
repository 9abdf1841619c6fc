"""Every command that takes a network takes a ``.nd5`` file, and says what a chip or another format cannot do with it."""

from __future__ import annotations

import json

import numpy as np
import pytest
from building import chain, connect, every_kind, neuron, samples

from neurodeploy import as_network, commands
from neurodeploy.errors import UsageError
from neurodeploy.exchange.formats import write_network
from neurodeploy.exchange.nir.write import to_nir
from neurodeploy.network import Approximation
from neurodeploy.network.activity import save_samples

WEIGHTS = {"hidden": [[40, 0, -8], [0, 24, 16]], "out": [[10, 20], [30, -6]]}
NETWORK = chain(WEIGHTS)


@pytest.fixture
def files(tmp_path):
    """The same network as ``.nd5`` and ``.nir``, and six samples with labels."""
    write_network(NETWORK, tmp_path / "a.nd5")
    to_nir(NETWORK, tmp_path / "a.nir")
    spikes = np.random.default_rng(0).random((6, 12, 3)) < 0.4
    save_samples(samples(spikes, labels=np.array([0, 1, 0, 1, 0, 1], np.int32)), tmp_path / "x.npz")
    return tmp_path


RUNS = {
    "map": lambda file, _: commands.map(file, chip="loihi2")[1]["cores"],
    "simulate": lambda file, data: commands.simulate(file, data)[1]["outputs"],
    "verify": lambda file, data: commands.verify(file, data, n_samples=6)["spikes_compared"],
    "estimate": lambda file, data: commands.estimate(file, chip="loihi1", data=data).model_dump(),
    "faults": lambda file, data: commands.faults(file, data, fault="drop", rates=[0.1]),
    "search": lambda file, _: commands.search(file)["smallest_chip"],
    "as_network": lambda file, _: as_network(file).fingerprint,
}


@pytest.mark.parametrize("command", RUNS)
def test_a_command_says_the_same_of_both_files(command, files):
    of_nd5, of_nir = (RUNS[command](files / name, files / "x.npz") for name in ("a.nd5", "a.nir"))
    assert of_nd5 == of_nir
    assert of_nd5


def test_a_report(files):
    done = commands.report(files / "a.nd5", data=files / "x.npz", out=files / "report")
    assert done["report"]["title"] == "a"
    assert done["report"]["network"]["fingerprint"] == NETWORK.fingerprint


def test_a_recipe_may_start_from_it(files):
    from neurodeploy.commands.inputs import load_start
    from neurodeploy.recipe.record import StartRecipe

    assert load_start(StartRecipe(file=str(files / "a.nd5"))).fingerprint == NETWORK.fingerprint


class TestCheck:
    def test_integers_are_faithful_but_for_what_the_ledger_says(self, tmp_path):
        ledger = [Approximation(where="hidden", what="decay rounded", size="1/4096")]
        write_network(chain(WEIGHTS, ledger=ledger), tmp_path / "a.nd5")
        report = commands.check(tmp_path / "a.nd5")
        assert report.ok
        assert report.source == str(tmp_path / "a.nd5")
        assert [(n.name, n.type, n.verdict) for n in report.nodes] == [
            ("in", "Input", "faithful"),
            ("hidden", "Cuba", "approximate"),
            ("out", "Cuba", "faithful"),
            ("w1", "Dense", "faithful"),
            ("w2", "Dense", "faithful"),
        ]
        assert (report.nodes[1].reason, report.nodes[1].size) == ("decay rounded", "1/4096")
        assert json.loads(report.to_json())["ok"]

    def test_what_a_chip_cannot_do_is_said_of_each_population(self, tmp_path):
        write_network(every_kind()[0], tmp_path / "a.nd5")
        report = commands.check(tmp_path / "a.nd5", chip="loihi1")
        assert not report.ok
        assert report.chip == "loihi1"
        verdicts = {n.name: n.verdict for n in report.nodes}
        assert verdicts["cuba"] == "faithful"
        assert verdicts["rf"] == verdicts["sigma_delta"] == "unsupported"
        reasons = {n.name: n.reason for n in report.nodes}
        assert "resonate-and-fire" in reasons["rf"]
        assert "chip 'loihi1'" in reasons["rf"]

    def test_a_limit_of_a_chip_is_that_of_the_nir_file(self, tmp_path):
        wide = chain({"hidden": np.full((2000, 300), 2)})
        write_network(wide, tmp_path / "a.nd5")
        to_nir(wide, tmp_path / "a.nir")
        nd5, nir = (commands.check(tmp_path / name, chip="xylo_a2") for name in ("a.nd5", "a.nir"))
        assert not nd5.ok
        assert {n.reason for n in nd5.nodes if n.verdict == "unsupported"} == {
            n.reason for n in nir.nodes if n.verdict == "unsupported"
        }

    @pytest.mark.parametrize("setting", [{"fix": "b.nir"}, {"draw": "b.svg"}, {"dt": 1e-3}])
    def test_what_is_for_graphs_is_refused_with_the_way_to_one(self, setting, files):
        with pytest.raises(
            UsageError, match=r"holds integers and no graph; --fix, --draw and --dt are .* --out .*a\.nir writes"
        ):
            commands.check(files / "a.nd5", **setting)

    def test_the_command_ends_with_6_where_a_chip_cannot(self, tmp_path, run_cli):
        write_network(every_kind()[0], tmp_path / "a.nd5")
        done = run_cli("check", tmp_path / "a.nd5", "--chip", "loihi1")
        assert done.returncode == 6
        assert "unsupported" in done.stdout
        assert run_cli("check", tmp_path / "a.nd5").returncode == 0


class TestDiff:
    def test_nothing_differs_between_formats(self, files, run_cli):
        assert commands.diff(files / "a.nd5", files / "a.nir") == []
        assert run_cli("diff", files / "a.nd5", files / "a.nir").returncode == 0

    def test_every_difference_is_named(self, files):
        ledger = [Approximation(where="hidden", what="rounded", size="1")]
        kept = np.array(WEIGHTS["hidden"]) != 0
        model = {"hidden": neuron(threshold=[100, 90], bias=3), "out": neuron("leaky_integrator")}
        extra = [connect("out", "hidden", [[1, 2], [3, 4]], "loop")]
        weights = {"hidden": [[40, 0, -8], [0, 24, 10]], "out": [[10, 20], [30, -6]]}
        more = {"hidden": {"mask": kept}, "out": {"delay": 2}}
        changed = chain(weights, model, dt=2e-3, ledger=ledger, more=more, extra=extra)
        write_network(changed, files / "b.nd5")
        assert commands.diff(files / "a.nir", files / "b.nd5") == [
            {"where": "dt", "what": "0.001 s -> 0.002 s"},
            {"where": "population 'hidden' threshold", "what": "100 -> [100, 90]"},
            {"where": "population 'hidden' bias", "what": "0 -> 3"},
            {"where": "population 'out'", "what": "Cuba -> LeakyIntegrator"},
            {"where": "projection 'w1' weights", "what": "1 of 6 numbers differ, at most by 6"},
            {"where": "projection 'w1' mask", "what": "none -> array (2, 3)"},
            {"where": "projection 'w2' delay", "what": "0 -> 2"},
            {"where": "projection 'loop'", "what": "only in the second"},
            {"where": "ledger, hidden", "what": "rounded (1) only in the second"},
        ]
        assert "ledger, hidden" not in {
            d["where"] for d in commands.diff(files / "a.nir", files / "b.nd5", metadata=False)
        }
        assert {"where": "projection 'loop'", "what": "only in the first"} in commands.diff(
            files / "b.nd5", files / "a.nir"
        )

    def test_another_order_is_another_network(self, tmp_path):
        loops = [connect("hidden", "hidden", [[1, 2], [3, 4]], "x"), connect("hidden", "hidden", [[1, 2], [3, 4]], "y")]
        for name, extra in {"a": loops, "b": loops[::-1]}.items():
            write_network(chain(WEIGHTS, extra=extra), tmp_path / f"{name}.nd5")
        assert commands.diff(tmp_path / "a.nd5", tmp_path / "b.nd5") == [
            {"where": "projections", "what": "order w1, w2, x, y -> w1, w2, y, x"}
        ]


def test_neurons_of_every_kind_are_simulated_and_verified_from_a_file(tmp_path):
    network, given, _ = every_kind()
    write_network(network, tmp_path / "a.nd5")
    save_samples(given, tmp_path / "x.npz")
    proof = commands.verify(tmp_path / "a.nd5", tmp_path / "x.npz", n_samples=None)
    assert proof["equal"]
    assert proof["spikes_compared"] > 100
    activity, facts = commands.simulate(tmp_path / "a.nd5", tmp_path / "x.npz")
    assert activity.network == network.fingerprint
    assert facts["spikes"]["rf"] > 0

"""What ``check`` calls faithful, every command takes over; what it calls unsupported, every command refuses."""

import nir
import numpy as np
import pytest

from neurodeploy import commands
from neurodeploy.commands.inputs import load_start
from neurodeploy.errors import FileError, NirError
from neurodeploy.exchange.doctor.check import check_nir
from neurodeploy.network.activity import Events, Samples, save_samples
from neurodeploy.recipe.record import StartRecipe

N = 4


def neurons(threshold=1.0):
    own = {"tau_syn": 2e-3, "w_in": 2.0, "tau_mem": 4e-3, "r": 4.0, "v_leak": 0.0, "v_threshold": threshold}
    return nir.CubaLIF(**{name: np.full(N, value) for name, value in own.items()})


def linear(weight=0.5):
    return nir.Linear(np.full((N, N), weight))


def delay(steps):
    return nir.Delay(np.full(N, steps * 1e-3))


def graph(edges, **nodes):
    """Return a graph of ``a -> b -> c``, ``d -> e`` and so on, from Input to Output."""
    pairs = [pair for way in edges for pair in zip(way.split(" "), way.split(" ")[1:])]
    ends = {"in": nir.Input(np.array([N])), "out": nir.Output(np.array([N]))}
    return nir.NIRGraph({**ends, **nodes}, list(dict.fromkeys(pairs)), type_check=False)


def two(**more):
    return {"w1": linear(), "n1": neurons(), "w2": linear(), "n2": neurons(), **more}


CASES = {
    "plain": graph(["in w1 n1 w2 n2 out"], **two()),
    "residual edge without weights": graph(["in w1 n1 w2 n2 out", "n1 n2"], **two()),
    "input straight into a neuron": graph(["in n1 w2 n2 out"], n1=neurons(), w2=linear(), n2=neurons()),
    "two neurons in a row": graph(["in w1 n1 n2 out"], w1=linear(), n1=neurons(), n2=neurons()),
    "recurrent": graph(["in w1 n1 r n1 w2 n2 out"], **two(r=linear(0.25))),
    "recurrent with a delay": graph(["in w1 n1 d r n1 w2 n2 out"], **two(r=linear(0.25), d=delay(3))),
    "recurrent without weights": graph(["in w1 n1 w2 n2 out", "n1 n1"], **two()),
    "feedback over two populations": graph(["in w1 n1 w2 n2 out", "n2 r n1"], **two(r=linear(0.25))),
    "feedback with a delay": graph(["in w1 n1 w2 n2 out", "n2 d r n1"], **two(r=linear(0.25), d=delay(1))),
    "delay beyond the limit": graph(["in d w1 n1 w2 n2 out"], **two(d=delay(70))),
    "delay of half a step": graph(["in d w1 n1 w2 n2 out"], **two(d=delay(0.5))),
    "neuron that nothing reaches": graph(["in w1 n1 w2 n2 out", "n3 w3 n2"], **two(n3=neurons(), w3=linear())),
    "two weights in a row": graph(["in w1 w3 n1 w2 n2 out"], **two(w3=linear())),
    "weights beside the grid": graph(["in w1 n1 w2 n2 out"], **two() | {"w1": linear(0.1234567)}),
    "thresholds of unequal size": graph(["in w1 n1 w2 n2 out"], **two() | {"n1": neurons(np.array([1, 1e-3, 1, 1]))}),
}
TAKEN = {
    "plain",
    "residual edge without weights",
    "input straight into a neuron",
    "two neurons in a row",
    "recurrent",
    "recurrent with a delay",
    "recurrent without weights",
    "feedback with a delay",
    "two weights in a row",
    "weights beside the grid",
    "thresholds of unequal size",
}


def asked(path, folder, data):
    """Return by command the message with which it refuses the file, "" where it takes it over."""
    asks = {
        "simulate": lambda: commands.simulate(path, data),
        "map": lambda: commands.map(path, chip="loihi2"),
        "export": lambda: commands.export(path, out=folder / "out.nir", force=True),
        "train --from": lambda: load_start(StartRecipe(file=str(path))),
    }
    return {name: refusal(ask) for name, ask in asks.items()}


def refusal(ask):
    """Return the message with which something is refused, "" where it is not."""
    try:
        ask()
    except (NirError, FileError) as error:
        return str(error)
    return ""


@pytest.fixture
def data(tmp_path):
    raster = np.random.default_rng(0).random((2, 10, N)) < 0.4
    save_samples(Samples(inputs={"in": Events.from_dense(raster)}), tmp_path / "x.npz")
    return tmp_path / "x.npz"


@pytest.mark.parametrize("name", CASES)
def test_every_command_says_what_check_says(name, tmp_path, data):
    path = tmp_path / "case.nir"
    nir.write(path, CASES[name])
    report = check_nir(path)
    answers = asked(path, tmp_path, data)
    assert {command: not refused for command, refused in answers.items()} == dict.fromkeys(answers, report.ok)
    assert report.ok == (name in TAKEN)


@pytest.mark.parametrize("name", sorted(TAKEN))
def test_file_that_check_mends_is_taken_by_every_command(name, tmp_path, data):
    path, fixed = tmp_path / "case.nir", tmp_path / "fixed.nir"
    nir.write(path, CASES[name])
    assert check_nir(path, fix=fixed).ok
    assert set(asked(fixed, tmp_path, data).values()) == {""}


@pytest.mark.slow
def test_commands_agree_on_the_shared_cases(shared):
    """Asked is whether the file is taken over; a chip may still be too small for the network."""

    def taken(path):
        return not refusal(lambda: commands.load_network(path))

    def faithful(path):
        reports = []
        return not refusal(lambda: reports.append(check_nir(path))) and reports[0].ok

    paths = sorted(
        p for p in (shared / "cases").rglob("*.nir") if "-h5-" not in p.parent.name
    )  # crafted to harm readers
    assert [path for path in paths if taken(path) != faithful(path)] == []

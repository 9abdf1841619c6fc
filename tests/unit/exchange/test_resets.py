"""What hangs on the reset of a graph, which NIR cannot say: one line, with numbers where there are samples."""

import nir
import numpy as np
import pytest
from building import chain

from neurodeploy import DataError, Events, Samples, check_nir, commands, from_nir, interpret, save_samples, to_nir
from neurodeploy.exchange.doctor.resets import reset_cost
from neurodeploy.network import Cuba

RNG = np.random.default_rng(1)
W = RNG.normal(0.2, 0.6, (4, 6))
X = (RNG.random((5, 30, 6)) < 0.5).astype(int)
SAMPLES = Samples(inputs={"input": Events.from_dense(X)}, labels=[0, 1, 2, 3, 0], name="noise")


def graph(tau=1e-3, r=10.0, v_reset=0.0, metadata=None, read_out=False):
    n = 4
    own = {"tau": np.full(n, tau), "r": np.full(n, r), "v_leak": np.zeros(n)}
    fires = {"v_threshold": np.ones(n), "v_reset": np.full(n, v_reset)}
    nodes = {"input": nir.Input(np.array([6])), "fc": nir.Linear(W), "lif": nir.LIF(**own, **fires)}
    edges = [("input", "fc"), ("fc", "lif"), ("lif", "output")]
    if read_out:
        nodes |= {"out": nir.Linear(np.eye(n)), "li": nir.LI(**own)}
        edges[-1:] = [("lif", "out"), ("out", "li"), ("li", "output")]
    return nir.NIRGraph({**nodes, "output": nir.Output(np.array([n]))}, edges, metadata=metadata or {})


def test_the_numbers_are_those_of_both_float_runs():
    given = graph()
    zero, subtract = (interpret(given, {"input": X}, reset=r).spikes["lif"] for r in ("zero", "subtract"))
    cost = reset_cost(given, data=SAMPLES)
    assert (cost.reset, cost.said, cost.samples) == ("zero", False, "noise (5 samples of 30 steps)")
    assert (cost.differing, cost.bits) == (np.count_nonzero(zero != subtract), zero.size)
    changed = zero.sum(1).argmax(-1) != subtract.sum(1).argmax(-1)
    assert (cost.classes_changed, cost.n_samples) == (changed.sum(), 5)
    assert cost.differing > 50
    assert cost.line == (
        "reset zero, as NIR says; the file cannot tell which was trained, and snnTorch subtracts by default: "
        "--reading snntorch,reset=subtract (in Python reading='snntorch,reset=subtract'); on noise (5 samples "
        f"of 30 steps), reset subtract changes {cost.differing} of 600 spikes ({cost.differing / 600:.1%}) and the class of "
        f"{cost.classes_changed} of 5 samples"
    )


def test_a_reading_that_says_the_reset_is_measured_against_the_other():
    known = reset_cost(graph(), reading="snntorch,reset=subtract", data=SAMPLES)
    assert known.said
    assert known.line.startswith("reset subtract: a spike takes the threshold off the voltage; on noise")
    assert "reset zero changes" in known.line
    late = interpret(graph(), {"input": X}, reading="snntorch,reset=subtract").spikes["lif"]
    zero = interpret(graph(), {"input": X}, reading="snntorch,reset=zero").spikes["lif"]
    assert known.differing == np.count_nonzero(late != zero)


def test_without_samples_the_line_says_how_to_measure():
    assert reset_cost(graph()).line.endswith("; samples (--data) measure what that changes")
    assert reset_cost(graph(), reading="euler,reset=zero").line == "reset zero: a spike sets the voltage to v_reset"


def test_a_read_out_is_judged_by_its_class_and_the_spikes_before_it():
    cost = reset_cost(graph(read_out=True), data=SAMPLES)
    assert (cost.bits, cost.n_samples) == (600, 5)
    assert cost.differing > 50


def test_nothing_hangs_on_the_reset_of_neurons_that_forget_or_of_files_of_neurodeploy():
    assert reset_cost(graph(tau=1e-3, r=1.0), dt=1e-3) is None
    network = chain({"p1": W.round().astype(int) * 64}, Cuba(current_decay=4096, voltage_decay=400, threshold=70))
    assert reset_cost(to_nir(network)) is None


def test_a_reset_value_keeps_the_cost_from_being_measured_and_the_line_says_so():
    cost = reset_cost(graph(v_reset=-0.5), data=SAMPLES)
    assert cost.bits is None
    assert "what it costs was not measured: nir: node 'lif' (LIF): v_reset is -0.5" in cost.line


def test_samples_of_another_network_are_refused():
    other = Samples(inputs={"input": Events.from_dense(X[:, :, :3])})
    with pytest.raises(DataError, match="the data hold the inputs 'input' of 3, but the graph has 'input' of 6"):
        reset_cost(graph(), data=other)


def test_check_and_export_print_the_line(tmp_path, run_cli):
    nir.write(tmp_path / "a.nir", graph())
    save_samples(SAMPLES, tmp_path / "noise.npz")
    expected = reset_cost(graph(), data=SAMPLES)
    for command in ("check", "export"):
        more = ("--out", "b.nir") if command == "export" else ()
        done = run_cli(command, "a.nir", "--data", "noise.npz", *more, cwd=tmp_path)
        assert done.returncode == 0, done.stderr
        assert expected.line in done.stdout
    result = commands.export(tmp_path / "a.nir", out=tmp_path / "c.nir", reading="snntorch,reset=subtract")
    assert result["reset"]["reset"] == "subtract"
    assert from_nir(tmp_path / "c.nir").populations[0].model.reset == "subtract"
    assert check_nir(tmp_path / "c.nir").reset is None
    assert commands.export(tmp_path / "c.nir", out=tmp_path / "d.nir")["reset"] is None

"""``--reading`` and ``--dt`` on every command that reads NIR files, on a file that means nothing without them."""

import json

import h5py
import nir
import numpy as np
import pytest
import typer
from building import ROOT

from neurodeploy import Events, Samples, as_network, commands, from_nir, save_samples
from neurodeploy.cli.entry import app
from neurodeploy.errors import NirError, UsageError

N = 6
RNG = np.random.default_rng(2)
COMMANDS = {
    "check": "check net.nir {}",
    "export": "export net.nir --out out.nir {}",
    "map": "map net.nir --chip loihi2 {}",
    "simulate": "simulate net.nir noise.npz {}",
    "verify": "verify net.nir noise.npz --samples 2 {}",
    "faults": "faults net.nir noise.npz --fault drop --rates 0 --repeats 1 {}",
    "estimate": "estimate net.nir --chip loihi2 {}",
    "report": "report net.nir --data noise.npz --out report --chip loihi2 {}",
    "diff": "diff net.nir same.nd5 --no-metadata {}",
    "train": "train net.toml --from net.nir --out run {}",
}
"""Each with what --reading or --dt say in the place of the braces."""


@pytest.fixture
def folder(tmp_path):
    """A network as sinabs writes it, but for its names: time constants count steps, and nothing tells their length."""
    weight = RNG.normal(0.5, 1.0, (N, 64)).astype(np.float32)
    n = np.ones(N, np.float32)
    nodes = {"input": nir.Input(np.array([64])), "fc": nir.Linear(weight), "output": nir.Output(np.array([N]))}
    nodes |= {"lif": nir.LIF(tau=10 * n, r=n, v_leak=0 * n, v_threshold=0.5 * n)}
    nir.write(tmp_path / "net.nir", nir.NIRGraph(nodes, [("input", "fc"), ("fc", "lif"), ("lif", "output")]))
    x = (RNG.random((4, 12, 64)) < 0.3).astype(int)
    save_samples(
        Samples(inputs={"input": Events.from_dense(x)}, labels=[0, 1, 2, 3], name="noise"), tmp_path / "noise.npz"
    )
    commands.export(tmp_path / "net.nir", out=tmp_path / "same.nd5", reading="sinabs")
    (tmp_path / "net.toml").write_text(
        'name = "net"\ndata = { name = "digits", n_steps = 4 }\nsparse = { method = "static" }\n'
        "training = { epochs = 1, batch_size = 64 }\n"
    )
    return tmp_path


def test_every_command_that_takes_a_network_has_the_options():
    found = {}
    for name, command in typer.main.get_command(app).commands.items():
        options = {option for parameter in command.params for option in getattr(parameter, "opts", [])}
        found[name] = {"--reading", "--dt", "--input-shape"} & options
    assert {name for name, options in found.items() if options} == set(COMMANDS)
    assert all(found[name] == {"--reading", "--dt", "--input-shape"} for name in COMMANDS)


@pytest.mark.parametrize("name", [pytest.param(n, marks=pytest.mark.train) if n == "train" else n for n in COMMANDS])
def test_a_command_asks_for_a_reading_and_takes_it(name, folder, run_cli):
    if name == "train":
        pytest.importorskip("torch", reason="needs torch (extra train)")
        nodes = nir.read(folder / "net.nir")
        weight = np.vstack([nodes.nodes["fc"].weight, nodes.nodes["fc"].weight])[:10]
        n = np.ones(10, np.float32)
        own = {"input": nir.Input(np.array([64])), "fc": nir.Linear(weight), "output": nir.Output(np.array([10]))}
        own |= {"lif": nir.LIF(tau=10 * n, r=n, v_leak=0 * n, v_threshold=0.5 * n)}
        nir.write(folder / "net.nir", nir.NIRGraph(own, nodes.edges))
    asked = run_cli(*COMMANDS[name].format("").split(), cwd=folder)
    message = asked.stdout + asked.stderr
    assert asked.returncode == 6, message
    said = " ".join(message.split())
    assert "length of a step" in said
    if name != "check":  # its table breaks lines in the middle of words
        assert (
            "say it with --dt SECONDS (in Python pass dt=SECONDS), or name the framework that wrote it with --reading"
            in said
        )
    done = run_cli(*COMMANDS[name].format("--reading sinabs,reset=zero").split(), cwd=folder)
    assert done.returncode == 0, done.stdout + done.stderr


def test_dt_is_short_for_the_reading_of_a_step(folder, run_cli):
    for options in ("--dt 1", "--reading dt=1", "--reading euler,dt=1"):
        done = run_cli("simulate", "net.nir", "noise.npz", "--json", *options.split(), cwd=folder)
        assert done.returncode == 0, done.stderr
        spikes = json.loads(done.stdout)["spikes"]["lif"]
        network = from_nir(folder / "net.nir", dt=1)
        assert network.populations[0].model.voltage_decay == 410
        assert spikes == commands.simulate(folder / "net.nir", folder / "noise.npz", reading="dt=1")[1]["spikes"]["lif"]
    done = run_cli("simulate", "net.nir", "noise.npz", "--reading", "sinabs,dt=1", "--dt", "2", cwd=folder)
    assert (done.returncode, done.stderr) == (
        2,
        "neurodeploy: reading: 'sinabs,dt=1.0' says dt=1.0, but dt is given as 2.0; give it once\n",
    )


def test_the_reading_decides_the_network_that_a_command_gets(folder, run_cli):
    done = run_cli("simulate", "net.nir", "noise.npz", "--json", "--reading", "sinabs", cwd=folder)
    assert done.returncode == 0, done.stderr
    network = from_nir(folder / "net.nir", reading="sinabs")
    assert network.populations[0].model.voltage_decay == round(4096 * (1 - np.exp(-0.1)))
    expected = commands.simulate(folder / "net.nir", folder / "noise.npz", reading="sinabs")[1]["spikes"]
    assert json.loads(done.stdout)["spikes"] == expected
    other = commands.simulate(folder / "net.nir", folder / "noise.npz", reading="dt=1")[1]["spikes"]
    assert other != expected


def test_files_of_integers_need_no_reading(folder, run_cli):
    for command in ("map same.nd5 --chip loihi2", "simulate same.nd5 noise.npz", "export same.nd5 --out x.nir"):
        done = run_cli(*command.split(), "--reading", "sinabs", cwd=folder)
        assert done.returncode == 2
        assert "same.nd5 holds integers and its own step; --" in done.stderr
    with pytest.raises(UsageError, match="a reading says what a NIR file means; a Network needs none"):
        as_network(from_nir(folder / "net.nir", dt=1), reading="sinabs")
    assert as_network(folder / "net.nir", reading="sinabs").dt == 1.0


def test_a_run_of_neurodeploy_is_read_as_it_was_written():
    golden = ROOT / "tests" / "golden" / "commands" / "digits.nir"
    with pytest.raises(NirError, match="was written by neurodeploy, .* leave --reading norse out"):
        commands.map(golden, chip="loihi2", reading="norse")


def first_conv(path):
    """A .net file as slayer writes it, of a convolution and a dense layer; nothing tells the shape of its input."""
    rng = np.random.default_rng(5)
    neuron = {"type": "CUBA", "iDecay": 4096, "vDecay": 512, "vThMant": 40, "refDelay": 1, "gradedSpike": False}
    layers = [
        {"type": "conv", "shape": [4, 4, 4], "weight": rng.integers(-8, 20, (4, 1, 3, 3)), "stride": 2, "padding": 1},
        {"type": "flatten", "shape": [64]},
        {"type": "dense", "shape": [10], "weight": rng.integers(-8, 20, (10, 64)), "inFeatures": 64, "outFeatures": 10},
    ]
    with h5py.File(path, "w") as file:
        for i, layer in enumerate(layers):
            group = file.create_group(f"layer/{i}")
            group.create_dataset("type", (1,), "S10", [layer.pop("type").encode()])
            for name, value in layer.items():
                group[name] = np.asarray(value)
            if i != 1:
                for key, value in neuron.items():
                    group[f"neuron/{key}"] = value
    return path


def of_net(line):
    return line.replace("net.nir", "conv.net").replace("same.nd5", "shaped.nd5").replace("{}", "{} ").strip()


@pytest.mark.parametrize("name", [pytest.param(n, marks=pytest.mark.train) if n == "train" else n for n in COMMANDS])
def test_a_command_asks_for_the_shape_of_an_input_and_takes_it(name, folder, run_cli):
    if name == "train":
        pytest.importorskip("torch", reason="needs torch (extra train)")
    first_conv(folder / "conv.net")
    commands.export(folder / "conv.net", out=folder / "shaped.nd5", input_shape=(1, 8, 8))
    line = of_net(COMMANDS[name])
    asked = run_cli(*line.format("").split(), cwd=folder)
    said = " ".join((asked.stdout + asked.stderr).split())
    assert asked.returncode == 7, said
    assert (
        "say it with --input-shape (in Python input_shape=): 1,7,7 is the smallest that fits, 1,8,8 the largest" in said
    )
    option = "--reading input_shape=1x8x8" if name == "estimate" else "--input-shape 1,8,8"
    done = run_cli(*line.format(option).split(), cwd=folder)
    assert done.returncode == 0, done.stdout + done.stderr


def test_the_shape_of_an_input_is_for_files_that_do_not_tell_it(folder, run_cli):
    for command in (
        "map net.nir --chip loihi2",
        "check net.nir",
        "simulate same.nd5 noise.npz",
        "export same.nd5 --out x.nir",
    ):
        done = run_cli(*command.split(), "--input-shape", "64", cwd=folder)
        assert done.returncode == 2, done.stdout + done.stderr
        assert "tells the shape of its input; --input-shape is for .net files that do not" in done.stderr
    done = run_cli("map", "net.nir", "--chip", "loihi2", "--input-shape", "4,x", cwd=folder)
    assert (done.returncode, done.stderr) == (
        2,
        "neurodeploy: reading: the shape of the input is '4,x', expected whole numbers as 4,8,8\n",
    )

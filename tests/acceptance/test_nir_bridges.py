"""Other frameworks, with their real packages (each test skips where its package is missing).

Measured with snntorch 1.0.0, norse 1.1.0, sinabs 2.0.3 and 3.1.3, spikingjelly 0.0.0.0.14, nirtorch 2.6 and nir 1.0.8 on
Python 3.10. Two of their exports give
graphs that nir itself cannot write (parameters without axes, missing input shapes): such a graph is handed over in memory,
and ``check_nir(graph, fix=...)`` writes a file that nir opens.
"""

import re
import runpy
import subprocess
import sys

import nir
import numpy as np
import pytest
from building import ROOT, chain

from neurodeploy.exchange.doctor.check import check_nir
from neurodeploy.exchange.nir.interpreter import interpret
from neurodeploy.exchange.nir.read import from_nir
from neurodeploy.exchange.nir.write import to_nir
from neurodeploy.network import Cuba

pytestmark = pytest.mark.filterwarnings("default")
torch = pytest.importorskip("torch", reason="needs torch")
DT = 1e-4


@pytest.fixture
def raster():
    return (np.random.default_rng(3).random((60, 20)) < 0.4).astype(np.float32)


def ours():
    """Two layers on the chip's grid, dt of 1e-4 as snnTorch's import has it fixed."""
    rng = np.random.default_rng(0)
    layers = {"hidden": rng.integers(-40, 60, (12, 20)), "out": rng.integers(-40, 60, (4, 12))}
    models = {
        "hidden": Cuba(current_decay=1024, voltage_decay=512, threshold=300),
        "out": Cuba(current_decay=2048, voltage_decay=256, threshold=200),
    }
    return chain(layers, models, wire="w{target}", output="class", dt=DT)


def run(module, raster):
    """Spikes of a torch module step by step, ``(n_steps, size)``; modules that take and give a state keep it."""
    spikes, state = [], None
    for step in torch.from_numpy(raster):
        out, state = module(step[None], state)
        spikes.append(out[0].detach().numpy())
    return np.stack(spikes) > 0


def same_spikes(module, raster, tmp_path):
    expected = interpret(tmp_path / "a.nir", {"in": raster[None]}).spikes["out"][0]
    assert expected.sum() > 50
    assert np.count_nonzero(run(module, raster) != expected) == 0


def test_our_file_runs_in_snntorch_with_the_same_spikes(tmp_path, raster):
    pytest.importorskip("snntorch")
    from snntorch.import_nir import import_from_nir

    to_nir(ours(), tmp_path / "a.nir")
    same_spikes(import_from_nir(nir.read(tmp_path / "a.nir", type_check=True)), raster, tmp_path)


def test_our_file_runs_in_norse_with_the_same_spikes(tmp_path, raster):
    norse = pytest.importorskip("norse.torch")
    to_nir(ours(), tmp_path / "a.nir")
    same_spikes(norse.from_nir(nir.read(tmp_path / "a.nir", type_check=True), dt=DT), raster, tmp_path)


def test_snntorch_network_arrives_through_its_own_export(raster):
    """Leaky with threshold and beta given for each neuron, which its export needs; NIR's reset is ``zero``."""
    snn = pytest.importorskip("snntorch")
    from snntorch import utils
    from snntorch.export_nir import export_to_nir

    torch.manual_seed(1)
    options = {"init_hidden": True, "reset_mechanism": "zero", "reset_delay": False}
    module = torch.nn.Sequential(
        torch.nn.Linear(20, 30),
        snn.Leaky(beta=0.9 * torch.ones(30), threshold=torch.ones(30), **options),
        torch.nn.Linear(30, 5, bias=False),
        snn.Leaky(beta=0.8 * torch.ones(5), threshold=0.3 * torch.ones(5), output=True, **options),
    )
    with torch.no_grad():
        for weights in module.parameters():
            weights *= 3
    graph = export_to_nir(module, torch.randn(20))
    utils.reset(module)
    theirs = np.stack([module(step)[0].detach().numpy() > 0 for step in torch.from_numpy(raster)])
    assert theirs.sum() > 10
    assert np.count_nonzero(interpret(graph, {"input": raster[None]}).spikes["3"][0] != theirs) == 0
    network = from_nir(graph)
    assert network.dt == DT
    assert [p.model.voltage_decay for p in network.populations] == [410, 819]


def norse_graph():
    norse = pytest.importorskip("norse.torch")
    module = norse.SequentialState(
        torch.nn.Linear(20, 30), norse.LIFBoxCell(), torch.nn.Linear(30, 5), norse.LIBoxCell()
    )
    return norse.to_nir(module, torch.randn(1, 20)), 1e-6


def sinabs_graph():
    layers = pytest.importorskip("sinabs.layers")
    from sinabs.nir import to_nir as sinabs_to_nir

    module = torch.nn.Sequential(
        torch.nn.Conv2d(2, 4, 3, bias=False),
        layers.IAFSqueeze(batch_size=1),
        layers.SumPool2d(2),
        torch.nn.Flatten(),
        torch.nn.Linear(36, 5, bias=False),
        layers.IAFSqueeze(batch_size=1),
    )
    return sinabs_to_nir(module, torch.randn(1, 2, 8, 8)), None


@pytest.mark.parametrize("make", [norse_graph, sinabs_graph])
def test_graph_that_nir_cannot_write_arrives_and_is_repaired(tmp_path, make):
    graph, dt = make()
    with pytest.raises(TypeError):
        nir.write(tmp_path / "broken.nir", graph)
    assert len(from_nir(graph, dt=dt).populations) == 2
    report = check_nir(graph, dt=dt, fix=tmp_path / "fixed.nir")
    assert report.ok
    assert report.repairs
    assert len(nir.read(tmp_path / "fixed.nir", type_check=True).nodes) == len(graph.nodes)
    assert check_nir(tmp_path / "fixed.nir", dt=dt).repairs == ()


def test_spikingjelly_network_arrives_through_the_route_of_the_example():
    """A convolution, IF and both forms of LIF: not one spike differs between SpikingJelly and the floats of its graph."""
    pytest.importorskip("spikingjelly")
    script = ROOT / "examples" / "nir_from_spikingjelly.py"
    done = subprocess.run([sys.executable, script], capture_output=True, text=True, timeout=300, check=True)
    assert re.search(
        r"^0 of 250 neuron steps differ, (1|2)\d\d spikes\n3 layers in integers, 281 neurons$", done.stdout, re.M
    )


def test_spikingjelly_resetting_by_subtraction_is_refused():
    neuron = pytest.importorskip("spikingjelly.activation_based.neuron")
    path = ROOT / "examples" / "nir_from_spikingjelly.py"
    example = runpy.run_path(str(path))
    with pytest.raises(ValueError, match="resets by subtraction"):
        example["nir_graph"](torch.nn.Sequential(torch.nn.Linear(3, 2), neuron.IFNode(v_reset=None)), (3,))


def test_spikingjelly_own_export_arrives():
    """The development version of 2026 writes NIR; with nir 1.0.8 its export fails, with older ones the file arrives."""
    exchange = pytest.importorskip("spikingjelly.activation_based.nir_exchange", reason="needs a SpikingJelly with NIR")
    from spikingjelly.activation_based import functional, neuron

    torch.manual_seed(3)
    module = torch.nn.Sequential(
        torch.nn.Linear(20, 30), neuron.IFNode(), torch.nn.Linear(30, 5), neuron.LIFNode(tau=4.0, decay_input=False)
    )
    with torch.no_grad():
        for weights in module.parameters():
            weights *= 4
    try:
        graph = exchange.export_to_nir(module, torch.rand(1, 20), dt=DT)
    except TypeError as error:
        pytest.skip(f"SpikingJelly's export does not know this nir: {error}")
    raster = (torch.rand(60, 1, 20) < 0.5).float()
    functional.reset_net(module)
    theirs = np.stack([module(step)[0].detach().numpy() > 0 for step in raster])
    (name,) = (n for n, node in graph.nodes.items() if isinstance(node, nir.Input))
    run = interpret(graph, {name: raster.numpy()[None, :, 0]})
    assert run.dt == DT
    assert theirs.sum() > 5
    (last,) = (a for a, b in graph.edges if isinstance(graph.nodes[b], nir.Output))
    assert np.count_nonzero(run.spikes[last][0] != theirs) == 0

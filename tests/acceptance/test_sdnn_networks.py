"""lava-dl's own sigma-delta networks through map, estimate and report, beside the tables that Intel's compiler printed.

The wheel of lava-dl 0.6.0 brings a PilotNet of four convolutions for images of 100 x 33, and the parts of ``tinynet_sdnn``.
The printed table (61 cores) is that of the tutorial's PilotNet, of five convolutions for images of 200 x 66, which only the
source of lava-dl has: ``NEURODEPLOY_LAVA_DL`` names a folder with it.
"""

from __future__ import annotations

import json
import os
from dataclasses import dataclass
from importlib.metadata import PackageNotFoundError, distribution
from pathlib import Path

import numpy as np
import pytest
from building import connect, samples, wired

from neurodeploy.chip import load_chip
from neurodeploy.costs.pricing import estimate
from neurodeploy.engines.table import simulate
from neurodeploy.exchange.netx.read import from_netx
from neurodeploy.mapping.mapper import map_network
from neurodeploy.mapping.record import Mapping
from neurodeploy.network import Conv, Delta, Dense, Network, Sigma, SigmaDelta, Sparse
from neurodeploy.network.activity import Events, Samples, save_samples

TUTORIAL = "tutorials/lava/lib/dl/netx/pilotnet_sdnn/network.net"


@pytest.fixture(scope="module")
def files() -> Path:
    try:
        found = Path(distribution("lava-dl").locate_file("tests/lava/lib/dl/netx/gts"))
    except PackageNotFoundError:
        pytest.skip("lava-dl is not installed")
    if not (found / "pilotnet_sdnn" / "network.net").is_file():
        pytest.skip(f"this lava-dl brings no networks ({found})")
    return found


@pytest.fixture(scope="module")
def tutorial() -> Path:
    folder = os.environ.get("NEURODEPLOY_LAVA_DL")
    if not folder:
        pytest.skip("the tutorial's PilotNet is in the source of lava-dl alone: NEURODEPLOY_LAVA_DL names its folder")
    path = Path(folder) / TUTORIAL
    if not path.is_file():
        pytest.skip(f"there is no {path}")
    return path


def cores(mapping: Mapping) -> dict[str, int]:
    return {name: len(mapping.layer_cores(name)) for name in mapping.sizes}


def words(mapping: Mapping, register: str = "synapse_words") -> dict[str, int]:
    """Entries of a core of each layer in a register, averaged and rounded down as printed."""
    loads = {name: [mapping.cores[i] for i in mapping.layer_cores(name)] for name in mapping.sizes}
    return {name: sum(load.used[register] for load in own) // len(own) for name, own in loads.items()}


def as_printed(network: Network) -> Mapping:
    """Map as the compiler of the notebooks did: its limits, its cut, and matrices with their zeros."""
    return map_network(network, load_chip("loihi2_2023"), split="compiler", store_zeros=True)


def frame(files: Path) -> np.ndarray:
    """The image of the recording, int64 ``(1, 9900)``, in C order of (channel, y, x)."""
    image = np.load(files / "pilotnet_sdnn/input.npy")
    return image.T.reshape(image.shape[-1], -1).astype(np.int64)


class TestPrintedTable:
    """Rows of the table in ``pilotnet_sdnn/benchmark.ipynb`` of lava-dl: layers, cores, words of a core."""

    CORES = (25, 13, 3, 3, 2, 12, 1, 1, 1)
    WORDS = (81, 864, 1620, 2592, 2880, 7253, 1500, 150, 10)
    AXONS = (2, 2, 2, 1, 1, 2560, 100, 50, 10)
    AXON_MAP = (253, 113, 112, 29, 1280, 8, 50, 10, 1)

    def test_the_tutorials_network_takes_the_printed_61_cores_and_words(self, tutorial: Path) -> None:
        """``netx`` left the encoder out (``skip_layers=1``): it ran on the embedded processor."""
        mapping = as_printed(from_netx(tutorial, encode_input=False))
        assert tuple(cores(mapping).values()) == self.CORES
        assert tuple(words(mapping).values()) == self.WORDS
        assert tuple(words(mapping, "input_axons").values()) == self.AXONS
        assert tuple(words(mapping, "axon_map").values()) == self.AXON_MAP
        assert len(mapping.cores) == 61

    def test_with_the_encoder_on_the_chip_it_takes_ten_more(self, tutorial: Path) -> None:
        """39,600 delta neurons, at most 4,096 of them on a core, each with one word for the wire of its value."""
        mapping = as_printed(from_netx(tutorial))
        assert tuple(cores(mapping).values()) == (10, *self.CORES)
        assert tuple(words(mapping).values()) == (3960, *self.WORDS)
        assert len(mapping.cores) == 71

    def test_first_matrix_takes_the_printed_26_words_an_axon_unsplit(self, tutorial: Path) -> None:
        """ "allocation=66560" for 2560 axons, before the compiler cut it."""
        layer = from_netx(tutorial, encode_input=False)
        matrix = next(p for p in layer.projections if p.name == "layer7_dense").synapses
        whole = wired(
            {"in": 2560},
            {"fc": (100, layer.population("layer7_dense").model)},
            [connect("in", "fc", matrix)],
            graded=["in"],
        )
        roomy = load_chip("loihi2")
        counts = {
            name: getattr(roomy.cores, name).model_copy(update={"value": 2**20})
            for name in ("synapse_words", "pool_words")
        }
        roomy = roomy.model_copy(update={"cores": roomy.cores.model_copy(update=counts)})
        (core,) = map_network(whole, roomy, store_zeros=True).cores
        assert core.used["synapse_words"] == 66560 == 26 * 2560

    def test_the_wheels_network_agrees_where_its_layers_do(self, files: Path) -> None:
        """Its matrices have the sizes of the tutorial's, but its second one needs 5 bits, not 6: 14 words, not 15."""
        mapping = as_printed(from_netx(files / "pilotnet_sdnn/network.net", encode_input=False))
        assert cores(mapping) == {
            "layer1_conv": 7, "layer2_conv": 2, "layer3_conv": 3, "layer4_conv": 2,
            "layer6_dense": 12, "layer7_dense": 1, "layer8_dense": 1, "layer9_dense": 1,
        }  # fmt: skip
        found = words(mapping)
        assert (found["layer1_conv"], found["layer2_conv"], found["layer3_conv"]) == (81, 864, 1620)
        assert (found["layer6_dense"], found["layer8_dense"], found["layer9_dense"]) == (7253, 150, 10)
        assert found["layer7_dense"] == 14 * 100
        width = {p: w for load in mapping.cores for p, w in load.weight_bits.items()}
        assert (width["layer6_dense"], width["layer7_dense"]) == (4, 5)


@dataclass(frozen=True)
class Run:
    """A network with its samples, as files."""

    network: Path
    data: Path


@pytest.fixture(scope="module")
def pilotnet(files: Path, tmp_path_factory: pytest.TempPathFactory) -> Run:
    """The recorded image, shown for nine steps."""
    data = tmp_path_factory.mktemp("pilotnet") / "image.npz"
    events = Events.from_dense(np.repeat(frame(files), 9, axis=0)[None], graded=True)
    save_samples(Samples(inputs={"input": events}), data)
    return Run(files / "pilotnet_sdnn/network.net", data)


class TestPilotNetOnTheCommandLine:
    def test_it_is_mapped(self, run_cli, pilotnet: Run) -> None:
        done = run_cli("map", pilotnet.network, "--chip", "loihi2", "--json")
        found = json.loads(done.stdout)
        assert found["fits"]
        assert found["cores"] == sum(layer["cores"] for layer in found["layers"]) == 19
        assert found["synaptic_bytes"] == 431_160
        assert found["layers"][0]["synaptic_bytes"] == 9900 * 8  # one word for each wire of the encoder

    def test_it_is_priced(self, run_cli, pilotnet: Run) -> None:
        done = run_cli("estimate", pilotnet.network, "--chip", "loihi2", "--data", pilotnet.data, "--json")
        cost = json.loads(done.stdout)
        counts, network = cost["counts"], from_netx(pilotnet.network)
        assert counts["host_input"] == 9 * np.count_nonzero(frame(pilotnet.network.parents[1]))
        activity = simulate(
            network, samples(np.repeat(frame(pilotnet.network.parents[1]), 9, axis=0)[None], "input", graded=True)
        )
        assert counts["spike_out"] == sum(len(activity.spikes[p.name]) for p in network.populations)
        reads = {name: n for name, n in counts.items() if name.startswith("synop")}
        assert set(reads) == {"synop_graded.conv", "synop_graded.fc"}
        total = cost["energy"]["total_j"]
        assert total["grade"] == "guess"
        assert 0 < total["low"] < total["nominal"] < total["high"]
        assert cost["latency"]["sample_s"]["mean"]["nominal"] >= 18 * 10e-6  # the barrier of each of 9 + 9 steps
        assert {p["name"] for p in cost["payloads"]} == set(network.sizes)
        assert all(p["fits"] for p in cost["payloads"])

    def test_it_is_reported(self, run_cli, pilotnet: Run, tmp_path: Path) -> None:
        pytest.importorskip("plotly", reason="needs plotly (extra report)")
        done = run_cli("report", pilotnet.network, "--data", pilotnet.data, "--out", tmp_path / "report")
        assert done.returncode == 0, done.stderr
        report = json.loads((tmp_path / "report/report.json").read_text(encoding="utf-8"))
        assert report["verification"]["equal"]
        (cost,) = report["targets"]
        assert (cost["chip"], cost["memory"]["n_cores"]) == ("loihi2", 19)
        assert report["network"]["weights"] == 327_534  # the wires of the encoder are none
        assert report["neurobench"]["parameters"] == 327_534
        assert report["neurobench"]["effective_macs"] > 0
        assert cost["baselines"][0]["energy_j"]["nominal"] > cost["energy"]["total_j"]["nominal"]


def tinynet(files: Path) -> tuple[Network, np.ndarray]:
    """The layers of ``tinynet_sdnn`` in a row: encoder, convolution, summing output; with the values of its input."""
    folder = files / "tinynet_sdnn"
    kernel = np.load(folder / "layer1_kernel.npy")  # channel out, x, y, channel in, as Lava convolves
    conv = Conv(weights=kernel.transpose(0, 3, 2, 1)[:, :, ::-1, ::-1], input_shape=(3, 16, 16), stride=(2, 2))
    bias = np.broadcast_to((np.load(folder / "layer1_bias.npy") << 12)[:, None, None], conv.output_shape)
    weights = np.load(folder / "layer2_weight.npy")
    one_each = Sparse(n_target=768, start=np.arange(769), target=np.arange(768), weights=np.ones(768, np.int64))
    network = wired(
        {"in": (3, 16, 16)},
        {
            "encoder": ((3, 16, 16), Delta(threshold=20 << 12, spike_exponent=6, state_exponent=6)),
            "conv": (conv.output_shape, SigmaDelta(threshold=20 << 12, bias=bias, state_exponent=6), 2),
            "output": (100, Sigma(), 3),
        },
        [
            connect("in", "encoder", one_each),
            connect("encoder", "conv", conv),
            connect("conv", "output", Dense(weights=weights)),
        ],
        graded=["in"],
    )
    values = np.load(folder / "input_bias.npy")[..., None]
    values = (np.repeat(values, 15, axis=3) * np.sin(2 * np.pi * np.arange(15) / 15)).astype(int)
    return network, values.T.reshape(15, -1).astype(np.int64)


def test_tinynet_of_sigma_delta_neurons_is_mapped_and_priced(files: Path) -> None:
    network, values = tinynet(files)
    mapping = map_network(network, load_chip("loihi2"))
    assert cores(mapping) == {"encoder": 1, "conv": 1, "output": len(mapping.layer_cores("output"))}
    activity = simulate(network, samples(values[None], graded=True), labels=mapping.core_labels())
    cost = estimate(network, mapping, activity)
    assert cost.counts["neuron_update_of.sigma_delta"] == activity.updated[..., mapping.layer_cores("conv")].sum() > 0
    conv = network.projections[1]
    assert cost.counts["synop_graded.conv"] > np.count_nonzero(conv.synapses.weights)
    assert cost.energy.total_j.nominal > 0
    assert cost.latency.step_s.worst.nominal >= 10e-6
    recorded = np.count_nonzero(np.load(files / "tinynet_sdnn/input.npy"))
    assert next(p for p in cost.payloads if p.name == "encoder").messages >= recorded  # one step more than recorded

"""The rows of the package ``outside``; importing this module adds them."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np

from neurodeploy.chip.layouts import Ints, Layout, Lists
from neurodeploy.chip.rules import RULES, Rule
from neurodeploy.chip.synapse_format import SynapseFormat
from neurodeploy.data.dataset import Dataset
from neurodeploy.engines import ENGINES, Engine
from neurodeploy.engines.reference import run_reference
from neurodeploy.exchange.formats import FORMATS, Format
from neurodeploy.network import Cuba, Dense, Input, Network, Output, Population, Projection
from neurodeploy.network.activity import Activity, Samples
from neurodeploy.recipe.data_sets import DATA_SETS, DataSet
from neurodeploy.recipe.sparse import METHODS, Method
from neurodeploy.targets import TARGETS, Target


def folder() -> Path:
    """Return where the chip files lie."""
    return Path(__file__).with_name("hardware")


def pairs(lists: Lists, width: int, fmt: SynapseFormat) -> Layout:
    """Return the layout of two synapses to a pair, each with an index: a single one takes the room of two."""
    count = np.bincount(lists.owner, minlength=lists.n_lists)
    assert fmt.index_bits is not None
    return Layout((count + count % 2) * (width + fmt.index_bits.value[0]), count)


def most_pairs(lengths: Ints, n_neurons: int, width: int, fmt: SynapseFormat) -> Ints:  # noqa: ARG001
    """Return the bits of a list of each length: the length alone decides."""
    assert fmt.index_bits is not None
    return (lengths + lengths % 2) * (width + fmt.index_bits.value[0])


def half_static(weights: Any, optimizer: Any, settings: Any) -> Any:
    """Every other connection, for good: the simplest method there can be."""
    import torch

    from neurodeploy.sparse.rewirer import Rewirer

    masks = {name: torch.arange(w.numel()).reshape(w.shape) % 2 == 0 for name, w in weights.items()}
    with torch.no_grad():
        for name, weight in weights.items():
            weight *= masks[name]
    return Rewirer(weights, masks, optimizer, ratio=0.0, end_step=0, seed=settings.seed)


def run_renamed(network: Network, samples: Samples, **options: Any) -> Activity:
    """Return what the reference does; ``simulate`` gives it the name of this engine."""
    return run_reference(network, samples, **options)


def load_stripes(_root: Path) -> Dataset:
    """Return 8x8 images with one bright row; the class is the row."""
    labels = np.arange(160, dtype=np.int32) % 8
    values = np.full((160, 64), 0.05, np.float32)
    values.reshape(160, 8, 8)[np.arange(160), labels] = 0.9
    return Dataset(name="stripes", shape=(1, 8, 8), values=values, labels=labels, n_classes=8)


def read_matrix(path: Path) -> Network:
    """Return the one-layer network in a JSON file with ``weights`` and ``threshold``."""
    given = json.loads(path.read_text())
    weights = np.array(given["weights"], np.int16)
    return Network(
        inputs=(Input(name="input", shape=weights.shape[1:]),),
        populations=(
            Population(
                name="layer",
                shape=weights.shape[:1],
                model=Cuba(current_decay=4096, voltage_decay=0, threshold=given["threshold"]),
            ),
        ),
        projections=(Projection(name="weights", source="input", target="layer", synapses=Dense(weights=weights)),),
        outputs=(Output(name="class", population="layer", decoding="count"),),
    )


def write_matrix(network: Network, path: Path, *, force: bool = False) -> None:
    """Write a one-layer network as JSON."""
    assert force or not path.exists()
    (population,), (projection,) = network.populations, network.projections
    assert isinstance(population.model, Cuba)
    assert isinstance(projection.synapses, Dense)
    content = {"weights": projection.synapses.weights.tolist(), "threshold": int(population.model.threshold)}
    path.write_text(json.dumps(content))


def check_matrix(path: Path) -> list[str]:
    """Return what is wrong with a file that ``write_matrix`` wrote."""
    return [] if "weights" in json.loads(path.read_text()) else ["no weights"]


def run_matrix(network: Network, samples: Samples, **options: Any) -> Activity:
    """Return what the network does after a way through the target's file."""
    import tempfile

    with tempfile.TemporaryDirectory() as made:
        write_matrix(network, Path(made) / "net.matrix")
        options.pop("progress", None)
        back = read_matrix(Path(made) / "net.matrix")
        return replace(run_reference(back, samples, **options), engine="matrix", network=network.fingerprint)


RULES["pairs"] = Rule(needs=("index_bits",), layout=pairs, at_most=most_pairs, beside="index_bits")
METHODS["half-static"] = Method(start="outside.rows:half_static")
ENGINES["outside"] = Engine(run="outside.rows:run_renamed")
DATA_SETS["stripes"] = DataSet(
    title="one bright row",
    kind="images",
    shape=(1, 8, 8),
    n_classes=8,
    n_train=160,
    n_test=None,
    folder="",
    source="made by this package",
    load="outside.rows:load_stripes",
)
FORMATS[".matrix"] = Format(title="matrix", read="outside.rows:read_matrix", write="outside.rows:write_matrix")
TARGETS["matrix"] = Target(
    title="a matrix in JSON",
    write="outside.rows:write_matrix",
    check="outside.rows:check_matrix",
    run="outside.rows:run_matrix",
)

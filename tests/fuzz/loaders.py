"""Every loader with a whole file that it reads: what the fuzz runs damage."""

from __future__ import annotations

import json
import shutil
import warnings
from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import Any

import damaged_files
import numpy as np
from building import ROOT, chain, every_kind, one_layer, spikes
from fuzz.mutate import damages, inside_header, odd_arrays, odd_fields, slips

from neurodeploy.chip import load_chip
from neurodeploy.data.window import DataWarning
from neurodeploy.exchange.nd5.read import from_nd5
from neurodeploy.exchange.nd5.write import to_nd5
from neurodeploy.exchange.netx.read import from_netx
from neurodeploy.exchange.netx.write import to_netx
from neurodeploy.exchange.nir.read import from_nir
from neurodeploy.exchange.nir.write import to_nir
from neurodeploy.mapping import map_network
from neurodeploy.mapping.record import load_mapping, save_mapping
from neurodeploy.proofs.proof import broken, load_proof
from neurodeploy.recipe.files import load_recipe
from neurodeploy.recipe.pins import load_pins
from neurodeploy.reports.compare import compare_reports, load_gate
from neurodeploy.reports.record import load_report
from neurodeploy.reports.writing import html_report, markdown_report, text_report
from neurodeploy.sweeps.plan import load_plan

Damage = Callable[[bytes, np.random.Generator], bytes]


@dataclass(frozen=True, slots=True, kw_only=True)
class Loader:
    """A loader: ``make`` writes a whole file into a folder and returns its path, ``read`` reads it, ``damage`` spoils it."""

    make: Callable[[Path], Path]
    read: Callable[[Path], Any]
    damage: Damage = damages


def _network(folder: Path, suffix: str, write: Any) -> Path:
    path = folder / f"network{suffix}"
    write(chain([((4,),), ((3,),)]) if suffix != ".nd5" else every_kind()[0], path)
    return path


_NEURONS: dict[str, dict[str, Any]] = {
    "CUBA": {"iDecay": 1024, "vDecay": [128, 100], "vThMant": 80, "refDelay": 1, "gradedSpike": False},
    "RF_PHASE": {"sinDecay": 2000, "cosDecay": -3000, "vThMant": 70},
    "SDNN": {"activation": "relu", "vThMant": 5},
}


def _net_of(kind: str, folder: Path) -> Path:
    """Write a ``.net`` file as lava-dl does: a convolution, a pool and dense layers of one kind of neurons."""
    import h5py

    rng, complex_weights = np.random.default_rng(0), kind == "RF_PHASE"
    whole = {"stride": [1, 1], "padding": [0, 0], "dilation": [1, 1]}
    twos = {"kernelSize": [2, 2], **whole, "stride": [2, 2]}
    conv = {"type": "conv", "shape": (2, 3, 3), "weight": rng.integers(-9, 9, (2, 1, 2, 2, 1)), "groups": 1, **whole}
    pool = {"type": "pool", "shape": (2, 1, 1), "weight": np.full((1, 1, 2, 2), 64.0), **twos}
    rec = {"type": "dense_rec", "shape": (2, 1, 1), "weight_rec": np.eye(2), "delay": [1.0, 2.0], "bias": [3.0, 4.0]}
    dense = {"type": "dense", "shape": (2, 1, 1), "inFeatures": 2}
    given = [{"type": "input", "shape": (2,) if complex_weights else (1, 4, 4)}]
    given += [dense] if complex_weights else [conv, pool, {"type": "flatten"}, dense, rec, dense]
    with h5py.File(folder / "kinds.net", "w") as file:
        for i, layer in enumerate(given):
            group = file.create_group(f"layer/{i}")
            for name, value in layer.items():
                group[name] = np.array([value], "S9") if isinstance(value, str) else np.asarray(value)
            if layer["type"].startswith("dense"):
                for part in ("weight/real", "weight/imag") if complex_weights else ("weight",):
                    group[part] = rng.integers(-9, 9, (2, 2)).astype(np.float32)
            if layer["type"] not in ("input", "flatten") or (kind == "SDNN" and i == 0):
                group["neuron/type"] = np.array([kind], "S9")
                for name, value in _NEURONS[kind].items():
                    many = np.size(value) > 1 and layer["type"] == "pool"
                    one = value if many or isinstance(value, str) else np.reshape(value, -1)[0]
                    group[f"neuron/{name}"] = np.array([one], "S9") if isinstance(one, str) else np.asarray(one)
    return folder / "kinds.net"


def _packed_nd5(folder: Path) -> Path:
    to_nd5(one_layer(np.random.default_rng(0).integers(-9, 9, (60, 50))), folder / "packed.nd5")
    return folder / "packed.nd5"


def _text(name: str, text: str, folder: Path) -> Path:
    (folder / name).write_text(text, encoding="utf-8")
    return folder / name


def _copy(source: Path, folder: Path) -> Path:
    return Path(shutil.copy(source, folder))


def _mapping(folder: Path) -> Path:
    network = chain([((4,),), ((3,),)])
    save_mapping(map_network(network, load_chip("loihi2")), folder / "mapping.json")
    return folder / "mapping.json"


def _proof(folder: Path) -> Path:
    from neurodeploy.engines.table import ENGINES, simulate
    from neurodeploy.proofs.compare import compare_activities, readouts
    from neurodeploy.proofs.proof import make_proof

    assert ENGINES
    network = chain([((4,),), ((3,),)])
    samples = spikes((2, 4, network.inputs[0].size), source=network.inputs[0].name)
    runs = [simulate(network, samples, engine=name) for name in ("reference", "event")]
    proof = make_proof(network, samples, runs, compare_activities(runs, readouts(network)))
    return _text("proof.json", json.dumps(proof), folder)


def _read_report(path: Path) -> None:
    report = load_report(path)
    compare_reports(report, report)
    for made in (text_report, markdown_report, html_report):
        made(report)


def _read_proof(path: Path) -> None:
    proof = load_proof(path)
    broken(proof, proof)


_PINS = """chip = "loihi2"
[layers.hidden1]
cores = 2
split = "equal"
weight_bits = 8
[[layers.output.parts]]
neurons = ["0:5", "8"]
chip = 0
core = 12
"""
_SWEEP = """name = "small"
recipe = "digits-mlp"
samples = 20
[grid]
method = ["set", { method = "pq", gamma = 3.0 }]
density = [0.1, 0.2]
seed = [0, 1]
weight_bits = [8, 4]
chip = ["loihi2"]
split = ["overlap"]
placement = ["traffic"]
[changes.training]
epochs = 1
"""
_GATE = """min_accuracy = 0.95
max_accuracy_drop = 0.005
[max_increase]
cores = 0.0
synaptic_bytes = 0.05
energy = 0.05
latency = 0.1
"""


def _checkpoint(folder: Path) -> Path:
    import torch

    from neurodeploy.recipe.files import parse_recipe
    from neurodeploy.training.checkpoint import save_checkpoint
    from neurodeploy.training.model.backends import build

    text = (ROOT / "models" / "digits-mlp.toml").read_text(encoding="utf-8").replace("neurons = 256", "neurons = 16")
    model = build(parse_recipe(text, "fuzz"), (1, 8, 8))
    masks = {name: torch.ones_like(weight, dtype=torch.bool) for name, weight in model.weights().items()}
    path = folder / "checkpoint.safetensors"
    save_checkpoint(path, model, masks, recipe_text=text, epoch=1, validation_accuracy=0.5)
    return path


def _read_checkpoint(path: Path) -> None:
    from neurodeploy.training.checkpoint import checkpoint_network

    checkpoint_network(path)


def _data(number: int, folder: Path) -> Path:
    return damaged_files.whole_files(folder)[number]


def _read_data(depth: int, path: Path) -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DataWarning)  # damage may leave a sample without an event
        damaged_files.read(path, path.parents[depth])


_DATA = (
    *(
        "dvs128.aedat",
        "first.aedat",
        "davis.aedat",
        "third.aedat",
        "third0.aedat",
        "two.raw",
        "three.raw",
        "events.dat",
    ),
    *(
        "events.bin",
        "none.aedat4",
        "lz4.aedat4",
        "zstd.aedat4",
        "samples.npz",
        "activity.npz",
        "plain.npz",
        "lists.npz",
    ),
    *("plain.npy", "rows.npy", "plain.mat", "struct.mat", "prophesee.h5", "table.csv", "shd/SHD/shd_train.h5"),
    *("shd-packed/SHD/shd_train.h5.gz", "cifar10/cifar-10-batches-py/data_batch_1"),
    *("mnist/MNIST/raw/t10k-images-idx3-ubyte.gz", "nmnist/NMNIST/Train/0/00000.bin"),
    *("fsdd/FSDD/recordings/0_ann_0.wav", "gesture/DVSGesture/ibmGestureTrain/user01/3.npy", "own.toml"),
)
"""The files of ``damaged_files.whole_files``, in their order."""

_IN_HDF5 = (
    "nir",
    "nd5",
    "nd5-packed",
    "net",
    *(f"net-{kind}" for kind in _NEURONS),
    "prophesee.h5",
    "shd/SHD/shd_train.h5",
)

LOADERS: dict[str, Loader] = {
    "nir": Loader(make=partial(_network, suffix=".nir", write=to_nir), read=from_nir),
    "nd5": Loader(make=partial(_network, suffix=".nd5", write=to_nd5), read=from_nd5),
    "nd5-packed": Loader(make=_packed_nd5, read=from_nd5),
    "net": Loader(make=partial(_network, suffix=".net", write=to_netx), read=from_netx),
    **{f"net-{kind}": Loader(make=partial(_net_of, kind), read=from_netx) for kind in _NEURONS},
    "checkpoint": Loader(make=_checkpoint, read=_read_checkpoint, damage=inside_header),
    "chip": Loader(make=partial(_copy, ROOT / "hardware" / "loihi2.toml"), read=load_chip, damage=slips),
    "recipe": Loader(make=partial(_copy, ROOT / "models" / "digits-mlp.toml"), read=load_recipe, damage=slips),
    "pins": Loader(make=partial(_text, "pins.toml", _PINS), read=load_pins, damage=slips),
    "sweep": Loader(make=partial(_text, "sweep.toml", _SWEEP), read=load_plan, damage=slips),
    "gate": Loader(make=partial(_text, "gate.toml", _GATE), read=load_gate, damage=slips),
    "mapping": Loader(make=_mapping, read=load_mapping, damage=slips),
    "proof": Loader(make=_proof, read=_read_proof, damage=slips),
    "report": Loader(make=partial(_copy, ROOT / "tests/golden/commands/report.json"), read=_read_report, damage=slips),
    **{
        name: Loader(
            make=partial(_data, number),
            read=partial(_read_data, name.count("/")),
            damage=slips if name.endswith((".toml", ".csv")) else damages,
        )
        for number, name in enumerate(_DATA)
    },
}
LOADERS |= {
    f"{name}: values": replace(LOADERS[name], damage=odd_fields if name in _IN_HDF5 else odd_arrays)
    for name in (*_IN_HDF5, "samples.npz", "activity.npz", "plain.npz", "lists.npz")
}
"""By name: what ``python tests/fuzz NAME`` takes."""
NEEDS_TRAIN = frozenset({"checkpoint"})
"""Loaders that need torch."""

"""Checkpoints: weights and masks in a safetensors file whose header holds the recipe. Nothing is unpickled on load."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import save

from neurodeploy.data.encoded_part import INPUT_NAME
from neurodeploy.errors import FileError
from neurodeploy.files.json_text import parse_json
from neurodeploy.files.paths import as_path
from neurodeploy.files.unreadable import UNREADABLE, reason
from neurodeploy.files.writing import replacing
from neurodeploy.network import Cuba, Input, Network
from neurodeploy.recipe.files import parse_recipe
from neurodeploy.recipe.needs import count_weights
from neurodeploy.recipe.record import NetworkRecipe, Recipe, on_backend
from neurodeploy.run_folder import CHECKPOINT_FILE, OLDEST_BACKEND
from neurodeploy.training.model.backends import build
from neurodeploy.training.model.chain import ChainModel
from neurodeploy.training.model.integers import to_network

_FORMAT = "neurodeploy-checkpoint/1"
_PARAMETERS = ("current_decay", "voltage_decay", "threshold", "bias")
_PAYLOAD = ("payload_bits", "signed", "scale")


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Checkpoint:
    """A trained model with its masks and its recipe, the epoch it was saved after, and its accuracy then."""

    model: ChainModel
    masks: Mapping[str, torch.Tensor]
    recipe: Recipe
    epoch: int
    validation_accuracy: float


def save_checkpoint(
    path: Path,
    model: ChainModel,
    masks: Mapping[str, torch.Tensor],
    *,
    recipe_text: str,
    epoch: int,
    validation_accuracy: float,
    network: NetworkRecipe | None = None,
) -> None:
    """Write the masked weights and the masks; the file is complete or not there.

    ``network``: the layers, if they come from the network file that the recipe names; the integers of the neurons are then
    written too.
    """
    weights = {name: weight * masks[name] for name, weight in model.dense_weights().items()}
    tensors = {f"weight/{name}": weight for name, weight in weights.items()}
    tensors.update({f"mask/{name}": mask.to(torch.uint8) for name, mask in masks.items()})
    tensors.update({f"delay/{name}": fraction for name, fraction in model.delay_fractions().items()})
    header = {
        "recipe": recipe_text,
        "backend": model.backend.name,
        "inputs": "x".join(map(str, model.entry.shape)),
        "epoch": str(epoch),
        "validation_accuracy": repr(validation_accuracy),
    }
    if model.entry.graded:
        header["payload"] = json.dumps({key: getattr(model.entry, key) for key in _PAYLOAD})
    if network is not None:
        header["network"] = network.model_dump_json()
        tensors.update(_neuron_tensors(model))
    write_tensors(path, _FORMAT, tensors, header)


def write_tensors(path: Path, kind: str, tensors: Mapping[str, torch.Tensor], header: Mapping[str, str]) -> None:
    """Write a safetensors file of this kind, complete or not at all; equal contents give equal bytes."""
    own = {name: value.detach().cpu().clone().contiguous() for name, value in tensors.items()}
    made = _in_order(save(own, metadata={"format": kind, **header}))
    with replacing(path) as partial:
        partial.write_bytes(made)


def _in_order(made: bytes) -> bytes:
    """Return a safetensors file with its header sorted, since the library's order of metadata changes from run to run.

    The format: length of the header (8 bytes, little-endian), header (JSON, padded with spaces to 8 bytes), tensors.
    """
    end = 8 + int.from_bytes(made[:8], "little")
    header = json.dumps(parse_json(made[8:end]), sort_keys=True, separators=(",", ":")).encode()
    header += b" " * (-len(header) % 8)
    return len(header).to_bytes(8, "little") + header + made[end:]


def read_tensors(path: Path, kind: str) -> tuple[dict[str, torch.Tensor], dict[str, str]]:
    """Return the tensors and the header of a safetensors file; raises ``FileError`` if damaged or of another kind."""
    try:
        with safe_open(path, framework="pt") as file:
            header = file.metadata() or {}
            tensors = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118
    except (SafetensorError, *UNREADABLE) as error:
        raise FileError(
            f"checkpoint: {path} is damaged or no safetensors file ({reason(error)}); train again"
        ) from error
    if header.get("format") != kind:
        raise FileError(f"checkpoint: {path} holds {header.get('format') or 'something else'}, expected {kind}")
    return tensors, header


def load_checkpoint(path: str | Path, backend: str | None = None) -> Checkpoint:
    """Return the checkpoint in a file.

    Args:
        path: the file.
        backend: backend of the model, whose integers are the same on each; by default the one that trained it.

    Raises:
        FileError: if the file is missing, damaged, of another kind, or lacks the weight or mask of a layer.
        MissingPackageError: if the backend is not installed.
    """
    path = as_path(path)
    if not path.is_file():
        raise FileError(f"checkpoint: there is no file {path}; train first: neurodeploy train RECIPE --out FOLDER")
    tensors, header = read_tensors(path, _FORMAT)
    try:
        return _checkpoint(path, tensors, header, backend)
    except UNREADABLE as error:
        raise FileError(f"checkpoint: {path} is damaged ({reason(error)}); train again") from error


def _checkpoint(
    path: Path, tensors: Mapping[str, torch.Tensor], header: Mapping[str, str], backend: str | None
) -> Checkpoint:
    recipe = parse_recipe(header["recipe"], where=f"{path} (its header)")
    if "network" in header:
        network = NetworkRecipe.model_validate_json(header["network"])
        recipe = recipe.model_copy(update={"network": network})
    recipe = on_backend(recipe, backend or header.get("backend", OLDEST_BACKEND))
    shape = tuple(int(size) for size in header["inputs"].split("x"))
    entry = Input(name=INPUT_NAME, shape=shape, **parse_json(header.get("payload", "{}")))
    claimed, there = count_weights(recipe.network.layers, shape), sum(value.numel() for value in tensors.values())
    if claimed > there:
        raise FileError(f"checkpoint: {path} tells of {claimed:,} weights, {there:,} numbers are there; train again")
    with torch.random.fork_rng():
        model = build(recipe, entry)
    if "network" in header:
        for name, built in dict(model.neurons).items():
            model.set_neuron(name, replace(_neuron(tensors, name, path), reset=built.reset))
    masks = {}
    for name, weight in model.weights().items():
        masks[name] = _tensor(tensors, f"mask/{name}", weight, path).to(torch.bool)
        with torch.no_grad():
            weight.copy_(_tensor(tensors, f"weight/{name}", weight, path))
    for name, fraction in model.delay_fractions().items():
        with torch.no_grad():
            fraction.copy_(_tensor(tensors, f"delay/{name}", fraction, path))
    return Checkpoint(
        model=model,
        masks=masks,
        recipe=recipe,
        epoch=int(header["epoch"]),
        validation_accuracy=float(header["validation_accuracy"]),
    )


def _neuron_tensors(model: ChainModel) -> dict[str, torch.Tensor]:
    return {
        f"neuron/{name}/{parameter}": torch.from_numpy(np.array(getattr(neuron, parameter), np.int32))
        for name, neuron in model.neurons.items()
        for parameter in _PARAMETERS
    }


def _neuron(tensors: Mapping[str, torch.Tensor], name: str, path: Path) -> Cuba:
    if missing := [p for p in _PARAMETERS if f"neuron/{name}/{p}" not in tensors]:
        raise FileError(f"checkpoint: {path} lacks 'neuron/{name}/{missing[0]}'; train again")
    return Cuba(**{p: tensors[f"neuron/{name}/{p}"].numpy() for p in _PARAMETERS})


def _tensor(tensors: Mapping[str, torch.Tensor], name: str, like: torch.Tensor, path: Path) -> torch.Tensor:
    if name not in tensors or tensors[name].shape != like.shape:
        found = tuple(tensors[name].shape) if name in tensors else "nothing"
        raise FileError(f"checkpoint: {path}: '{name}' should be {tuple(like.shape)}, found {found}; train again")
    return tensors[name]


def checkpoint_network(run: str | Path, backend: str | None = None) -> tuple[ChainModel, Network]:
    """Return the model in a run's folder or checkpoint file, and the integer network exported from it.

    ``backend``: as for ``load_checkpoint``.
    """
    run = as_path(run)
    checkpoint = load_checkpoint(run / CHECKPOINT_FILE if run.is_dir() else run, backend)
    return checkpoint.model, to_network(checkpoint.model, checkpoint.masks, checkpoint.recipe.network.dt)

"""Torch models that a recipe built, or of a user's slayer blocks, as the integer ``Network`` that they compute with."""

from __future__ import annotations

import copy
from typing import Any

import torch

from neurodeploy.errors import NetworkError
from neurodeploy.exchange.netx.read import from_netx
from neurodeploy.files.disk import new_hdf5
from neurodeploy.files.temporary import temporary_folder
from neurodeploy.network import Network
from neurodeploy.training.model.chain import ChainModel
from neurodeploy.training.model.cuba_dense import CubaDense, network_of_layers
from neurodeploy.training.model.integers import to_network


def network_of_model(model: torch.nn.Module, *, dt: float = 1e-3) -> Network:
    """Return the integers that a model computes with; the model stays as it is.

    Args:
        model: a ``ChainModel`` or a module of ``CubaDense`` layers (every connection whose weight is not zero counts as
            kept), or a module whose blocks have ``export_hdf5``, which must have seen an input that tells their shapes.
            Layers and blocks are taken in the order in which the module registers them.
        dt: length of a step in seconds.

    Raises:
        NetworkError: for a model without layers of either kind or with both, a block that did not see an input, and what a
            chip cannot hold.
    """
    if isinstance(model, ChainModel):
        masks = {name: weight != 0 for name, weight in model.dense_weights().items()}
        return to_network(model, masks, dt)
    layers = {name or "layer": module for name, module in model.named_modules() if isinstance(module, CubaDense)}
    blocks = _blocks(_copy(model))
    if layers and blocks:
        raise NetworkError(
            f"network: {type(model).__name__} has CubaDense layers ({', '.join(layers)}) and slayer blocks "
            f"({', '.join(blocks)}); build it of one kind"
        )
    if layers:
        return network_of_layers(layers, dt)
    if not blocks:
        raise NetworkError(
            f"network: {type(model).__name__} has neither CubaDense layers nor slayer blocks (modules with export_hdf5); "
            "models of other frameworks come through NIR: from_nir(graph)"
        )
    with temporary_folder("net") as folder:
        path = folder / "model.net"
        with new_hdf5(path) as file:
            for number, (name, block) in enumerate(blocks.items()):
                _export(block, name, file.create_group(f"layer/{number}"))
        return from_netx(path, dt=dt)


def _export(block: Any, name: str, group: Any) -> None:
    try:
        block.export_hdf5(group)
    except (AttributeError, TypeError, ValueError) as error:
        raise NetworkError(
            f"network: block '{name}' ({type(block).__name__}) cannot be exported ({error}); blocks learn their shape from "
            "an input: run the model once"
        ) from error


def _blocks(model: torch.nn.Module) -> dict[str, Any]:
    """Return the outermost modules that can be exported, by name."""
    found: dict[str, Any] = {}
    for name, module in model.named_modules():
        inside = any(name.startswith(f"{outer}.") for outer in found)
        if name and not inside and hasattr(module, "export_hdf5"):
            found[name] = module
    return found


def _copy(model: torch.nn.Module) -> torch.nn.Module:
    """Return a copy of a model: exporting a block takes its weight norm away for good.

    Tensors in the middle of a graph (states, normalised weights) cannot be copied as they are; their values are.
    """
    inner = {}
    for module in model.modules():
        for tensor in [*vars(module).values(), *module._buffers.values()]:
            if isinstance(tensor, torch.Tensor) and not tensor.is_leaf:
                inner[id(tensor)] = tensor.detach().clone()
    copied: torch.nn.Module = copy.deepcopy(model, inner)
    return copied

"""A network in any form that a user has it: a ``Network``, a file, a run's folder, or a torch model of slayer blocks."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, TypeAlias

from neurodeploy.commands.inputs import load_network
from neurodeploy.errors import FileError, UsageError, needing
from neurodeploy.exchange.nir.readings import AnyReading
from neurodeploy.network import Network
from neurodeploy.run_folder import CHECKPOINT_FILE, NETWORK_FILE

if TYPE_CHECKING:
    import nir
    import torch

    AnyNetwork: TypeAlias = Network | str | Path | torch.nn.Module
else:
    AnyNetwork: TypeAlias = Any


def as_network(thing: AnyNetwork, *, reading: AnyReading = None, dt: float | None = None) -> Network:
    """Return the network that ``thing`` is, holds or names.

    Args:
        thing: a ``Network``; a ``.nir``, ``.nd5`` or ``.net`` file, or a checkpoint; the folder of a run (its exported
            network, else that of its checkpoint); or a torch model: one that a recipe built, a module of ``CubaDense``
            layers, or one of slayer blocks, each of which can ``export_hdf5``, as in lava-dl's tutorials, after a first
            forward pass.
        reading: what the framework that wrote a NIR file means by it, as in ``from_nir``.
        dt: length of a step in seconds, where the thing does not say.

    Raises:
        UsageError: for anything else, and a ``reading`` of what is no NIR file.
        FileError: where there is no such file, or the folder holds no network.
        NetworkError: for blocks that a chip cannot hold, and blocks that did not see an input yet.
    """
    if isinstance(thing, str | Path):
        return _stored(Path(thing), reading, dt)
    if reading is not None:
        raise UsageError(f"a reading says what a NIR file means; a {type(thing).__name__} needs none")
    if isinstance(thing, Network):
        return thing
    torch = sys.modules.get("torch")
    if torch is not None and isinstance(thing, torch.nn.Module):
        from neurodeploy.training.model.live import network_of_model

        network: Network = network_of_model(thing, dt=1e-3 if dt is None else dt)
        return network
    raise UsageError(
        "a network is a Network, a file, a run's folder or a torch model of CubaDense layers or slayer blocks, not "
        f"{type(thing).__name__}; "
        "models of other frameworks come through NIR: from_nir(graph)"
    )


def _stored(path: Path, reading: AnyReading, dt: float | None) -> Network:
    if path.suffix == ".safetensors" or (path.is_dir() and not (path / NETWORK_FILE).is_file()):
        if path.is_dir() and not (path / CHECKPOINT_FILE).is_file():
            raise FileError(f"{path} holds no network: neither {NETWORK_FILE} nor {CHECKPOINT_FILE}")
        if reading is not None:
            raise UsageError(f"{path} holds a checkpoint, which says all that it means; --reading is for NIR files")
        return trained_network(path)
    return load_network(path, reading=reading, dt=dt)


def trained_network(path: Path) -> Network:
    """Return the network of a checkpoint, or of the one in a run's folder."""
    with needing("export", "train"):
        from neurodeploy.training.checkpoint import checkpoint_network

    return checkpoint_network(path)[1]


def _to_export(thing: AnyNetwork) -> Network:
    """Return the network to write: for a run's folder that of its checkpoint, whatever was exported before."""
    if isinstance(thing, str | Path) and (Path(thing) / CHECKPOINT_FILE).is_file():
        return trained_network(Path(thing))
    return as_network(thing)


def to_nir(
    network: AnyNetwork,
    path: str | Path | None = None,
    *,
    weights: Literal["float32", "float16"] = "float32",
    delays: Literal["node", "error"] = "node",
    discretization: Literal["euler", "exponential"] = "euler",
    dt: float | None = None,
    metadata: bool = True,
    force: bool = False,
) -> nir.NIRGraph:
    """Return a network (see ``as_network``) as a NIR graph, and write it to ``path`` if one is given.

    The file is read back and compared before it counts. Of a run's folder the checkpoint is written.

    Args:
        weights: float type of the weights; both hold them exactly, float16 files are smaller.
        delays: write delays as Delay nodes, which few other readers know, or refuse them.
        discretization: form of the time constants; most readers expect ``euler``.
        dt: length of a step in seconds that the graph speaks of, by default the network's; snnTorch takes 1e-4 only.
        metadata: also record names, masks and decoding; without it only what decides the spikes is written.
        force: replace the file if it exists.

    Raises:
        FileError: where the file exists and ``force`` is not set.
        NirError, NetworkError: for what NIR cannot say.
    """
    from neurodeploy.exchange.nir import write

    return write.to_nir(
        _to_export(network),
        path,
        weights=weights,
        delays=delays,
        discretization=discretization,
        dt=dt,
        metadata=metadata,
        force=force,
    )


def to_netx(network: AnyNetwork, path: str | Path, *, force: bool = False) -> None:
    """Write a network (see ``as_network``) as lava-dl's ``.net`` file, read back and compared before it counts.

    Raises:
        FileError: where the file exists and ``force`` is not set.
        NetworkError: for what such a file cannot say.
    """
    from neurodeploy.exchange.netx import write

    write.to_netx(_to_export(network), path, force=force)

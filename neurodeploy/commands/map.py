"""A network on a chip: does it fit, and where does it lie."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

from neurodeploy.chip import Chip, chip_names, load_chip
from neurodeploy.commands.inputs import load_network
from neurodeploy.costs.objective import OBJECTIVES, Choice, choose_mapping
from neurodeploy.errors import FitError, UsageError
from neurodeploy.exchange.nir.readings import AnyReading
from neurodeploy.files.paths import as_path
from neurodeploy.files.writing import check_new_file
from neurodeploy.mapping.fit.bounds import core_bounds
from neurodeploy.mapping.fit.search import find_highest_density, find_smallest_chip, fit
from neurodeploy.mapping.fit.verdict import LARGE, Fit, loads_of
from neurodeploy.mapping.places.traffic import count_traffic
from neurodeploy.mapping.record import save_mapping
from neurodeploy.mapping.summary import fit_summary, mapping_summary
from neurodeploy.network import Network, n_nonzero
from neurodeploy.network.activity import Activity, load_activity
from neurodeploy.recipe.pins import load_pins
from neurodeploy.reports.pictures.mapping import check_picture, draw_mapping
from neurodeploy.run_folder import NETWORK_FILE, recipe_pins

QUICK = 10**5
"""Synapses up to which all objectives are tried on the way, in well under a second."""
LARGE_FILE = 4 * 10**6
"""Bytes from which on reading a file takes long enough to say so."""


def map(
    file: str | Path,
    *,
    chip: str,
    reading: AnyReading = None,
    split: str = "overlap",
    store_zeros: bool = False,
    pin: str | Path | None = None,
    activity: str | Path | None = None,
    objective: str | None = None,
    out: str | Path | None = None,
    draw: str | Path | None = None,
    force: bool = False,
    say: Callable[[str], None] | None = None,
    tried: Callable[[Chip], None] | None = None,
) -> tuple[Fit, dict[str, Any]]:
    """Say whether the network of a NIR file fits a chip, where it lies, and if not, what would make it fit.

    Args:
        file: a NIR file, or a run's folder.
        chip: name of a chip, or a chip file.
        reading: what the framework that wrote a NIR file means by it (``from_nir``).
        split: how layers are cut, a name in ``neurodeploy.mapping.SPLITS``.
        store_zeros: store the zeros of matrices, as Lava's Dense process does on Loihi 2.
        pin: TOML file of what is fixed by hand (``neurodeploy.recipe.pins``); by default the table ``[mapping]`` of a
            run's recipe, where ``file`` is a run's folder and its recipe has one for this chip.
        activity: a run of this network: its spikes say which neurons are busy, and how many messages there are.
        objective: ``memory`` (the default: fewest cores in the smallest formats), ``energy`` or ``latency``: the best of
            some mappings priced with ``activity``, or with an assumed rate (``neurodeploy.costs.objective``).
        out: JSON file to write the mapping to, if it fits.
        draw: page (``.html``) or picture (``.svg``) to draw cores, messages and memory into, if it fits.
        force: replace ``out`` and ``draw`` if they exist.
        say: called at once with the size of a large network, and soon after with bounds of its cores.
        tried: called with the chip before each mapping (``neurodeploy.fit``).

    Returns:
        The verdict, and the same as plain values (``neurodeploy.mapping.summary``) with the messages between cores.
    """
    file, pin, activity, out, draw = as_path(file), as_path(pin), as_path(activity), as_path(out), as_path(draw)
    if draw is not None:
        check_picture(draw)
    for option, path in (("--out", out), ("--draw", draw)):
        if path is not None:
            check_new_file("map", path, force=force, option=option)
    if say is not None and (size := _size(file)) >= LARGE_FILE:
        say(f"map: reading {file} ({size / 1e6:.0f} MB)")
    network, pins = load_network(file, reading=reading), load_pins(pin) if pin is not None else None
    target = load_chip(chip)
    pins = pins or recipe_pins(file, target)
    recorded = None if activity is None else load_activity(activity)
    if say is not None:
        _tell_size(network, target, file, say)
    if objective not in (None, *OBJECTIVES):
        raise UsageError(f"map: objective '{objective}' is not known; known: {', '.join(OBJECTIVES)}")
    plain = not store_zeros and (pins is None or not pins.layers)
    if objective not in (None, "memory") and not plain:
        raise UsageError("map: --objective chooses formats and cores itself; leave out --store-zeros and pins")
    found = fit(network, target, split=split, store_zeros=store_zeros, pins=pins, activity=recorded, tried=tried)
    if found.mapping is None:
        return found, {**fit_summary(found), "chip": chip}
    mapping = found.mapping
    tried_all = plain and (objective is not None or _quick(network, target))
    choices = choose_mapping(network, target, activity=recorded, split=split) if tried_all else {}
    if objective in ("energy", "latency"):
        mapping = choices[objective].mapping
        found = replace(found, mapping=mapping, loads=tuple(loads_of(mapping)))
    flow = count_traffic(network, mapping, recorded)
    if draw is not None:
        draw_mapping(mapping, flow, draw)
    if out is not None:
        save_mapping(mapping, out)
    more = {
        "objective": objective or "memory",
        "objectives": {name: _figures(c, recorded) for name, c in choices.items()},
    }
    return found, {**fit_summary(found), "messages_per_spike": flow.per_spike, "hops": flow.hops, **more}


def _quick(network: Network, chip: Chip) -> bool:
    """Return whether the other objectives may be tried on the way: a small network, on a chip with prices and a choice."""
    fixed = chip.recurrent_core is not None or chip.layer_core
    return not fixed and chip.latency is not None and sum(n_nonzero(p) for p in network.projections) < QUICK


def _figures(choice: Choice, activity: Activity | None) -> dict[str, Any]:
    """Return a choice as plain values; ``spikes`` says whether they were recorded or assumed."""
    return {
        "cores": len(choice.mapping.cores),
        "synaptic_bytes": choice.mapping.synaptic_bytes,
        "energy_j": choice.energy_j,
        "sample_s": choice.sample_s,
        "spikes": "assumed" if activity is None else "recorded",
    }


def _size(file: Path) -> int:
    """Return the bytes of a network's file, 0 where there is none."""
    path = file / NETWORK_FILE if file.is_dir() else file
    return path.stat().st_size if path.is_file() else 0


def _tell_size(network: Network, chip: Chip, file: Path, say: Callable[[str], None]) -> None:
    """Say how large a large network is, and between which bounds its cores lie."""
    synapses = sum(n_nonzero(p) for p in network.projections)
    if synapses < LARGE or chip.fixed or not chip.synapse_format:
        return
    say(f"map: {file}: {len(network.populations)} layers, {synapses:,} synapses, onto {chip.name}")
    try:
        bounds = core_bounds(network, chip)
    except FitError:
        return  # the mapping says it, with remedies
    most = f" and at most {bounds.high:,}" if bounds.high is not None else ""
    room = "" if bounds.low <= chip.n_cores else ", so it cannot fit: looking for what would make it fit"
    say(f"map: at least {bounds.low:,}{most} of {chip.n_cores:,} cores{room}")


def search(
    file: str | Path, *, chip: str | None = None, reading: AnyReading = None, split: str = "overlap"
) -> dict[str, Any]:
    """Return the smallest of all known chips that a network fits; with ``chip``, the highest density that fits that one."""
    file = as_path(file)
    network = load_network(file, reading=reading)
    if chip is None:
        mapping = find_smallest_chip(network, chip_names(), split=split)
        return {"smallest_chip": None} if mapping is None else {"smallest_chip": mapping_summary(mapping)}
    found = find_highest_density(network, load_chip(chip), split=split)
    if found is None:
        return {"share_of_weights": None}
    return {"share_of_weights": found[0], **mapping_summary(found[1])}

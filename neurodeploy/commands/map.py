"""A network on a chip: does it fit, and where does it lie."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from neurodeploy.chip import chip_names, load_chip
from neurodeploy.commands.inputs import load_network
from neurodeploy.errors import FileError
from neurodeploy.exchange.nir.readings import AnyReading
from neurodeploy.files.paths import as_path
from neurodeploy.mapping.fit.search import find_highest_density, find_smallest_chip, fit
from neurodeploy.mapping.fit.verdict import Fit
from neurodeploy.mapping.places.traffic import count_traffic
from neurodeploy.mapping.record import save_mapping
from neurodeploy.mapping.summary import fit_summary, mapping_summary
from neurodeploy.network.activity import load_activity
from neurodeploy.recipe.pins import load_pins
from neurodeploy.reports.pictures.mapping import check_picture, draw_mapping
from neurodeploy.run_folder import recipe_pins


def map(
    file: str | Path,
    *,
    chip: str,
    reading: AnyReading = None,
    split: str = "overlap",
    store_zeros: bool = False,
    pin: str | Path | None = None,
    activity: str | Path | None = None,
    out: str | Path | None = None,
    draw: str | Path | None = None,
    force: bool = False,
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
        out: JSON file to write the mapping to, if it fits.
        draw: page (``.html``) or picture (``.svg``) to draw cores, messages and memory into, if it fits.
        force: replace ``out`` and ``draw`` if they exist.

    Returns:
        The verdict, and the same as plain values (``neurodeploy.mapping.summary``) with the messages between cores.
    """
    file, pin, activity, out, draw = as_path(file), as_path(pin), as_path(activity), as_path(out), as_path(draw)
    if draw is not None:
        check_picture(draw)
    for option, path in (("--out", out), ("--draw", draw)):
        if path is not None and path.exists() and not force:
            raise FileError(f"map: {path} exists; choose another {option}, or --force to replace it")
    network, pins = load_network(file, reading=reading), load_pins(pin) if pin is not None else None
    target = load_chip(chip)
    pins = pins or recipe_pins(file, target)
    recorded = None if activity is None else load_activity(activity)
    found = fit(network, target, split=split, store_zeros=store_zeros, pins=pins, activity=recorded)
    if found.mapping is None:
        return found, {**fit_summary(found), "chip": chip}
    flow = count_traffic(network, found.mapping, recorded)
    if draw is not None:
        draw_mapping(found.mapping, flow, draw)
    if out is not None:
        save_mapping(found.mapping, out)
    return found, {**fit_summary(found), "messages_per_spike": flow.per_spike, "hops": flow.hops}


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

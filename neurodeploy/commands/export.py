"""A run or a network file to a network file of another format, or to what a target reads."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from neurodeploy.chip import load_chip
from neurodeploy.commands.inputs import Progress, load_data, load_network
from neurodeploy.commands.networks import AnyNetwork, as_network, trained_network
from neurodeploy.commands.samples import AnySamples
from neurodeploy.errors import NetworkError, NirError, UsageError
from neurodeploy.exchange.formats import ANY_NETWORK, FORMATS, format_of, format_to_write, write_network
from neurodeploy.exchange.nir.readings import AnyReading, Reading, as_reading
from neurodeploy.files.lazy import named_function
from neurodeploy.files.paths import as_path
from neurodeploy.files.writing import check_new_file
from neurodeploy.mapping.mapper import map_network
from neurodeploy.mapping.record import Mapping, load_mapping
from neurodeploy.network import Network
from neurodeploy.network.activity import Activity, Samples, load_activity
from neurodeploy.network.relays import with_relays
from neurodeploy.reports.facts import network_facts
from neurodeploy.run_folder import CHECKPOINT_FILE, NETWORK_FILE, recipe_pins
from neurodeploy.targets.table import TARGETS, Target, check_settings, find_target, write_target


def export(
    source: AnyNetwork,
    *,
    out: str | Path | None = None,
    target: str | None = None,
    optimize: str | None = None,
    chip: str | None = None,
    mapping: str | Path | None = None,
    activity: str | Path | None = None,
    data: AnySamples = None,
    n_samples: int | None = None,
    reading: AnyReading = None,
    dt: float | None = None,
    weight_bits: int = 8,
    input_shape: tuple[int, ...] | None = None,
    max_delay: int | None = None,
    force: bool = False,
    progress: Progress | None = None,
) -> dict[str, Any]:
    """Write a network in the format of the suffix of ``out``: NIR, ``.nd5`` or lava-dl's ``.net``; or for a ``target``.

    The file is read back and compared before the function returns. A NIR file in floats, from another framework, becomes
    one in integers; with ``data`` the scale of each layer is chosen on it, and the integers are held against the floats.

    Args:
        source: a run's folder or checkpoint, or a network file (``.nir``, ``.nd5``, ``.net``); for a target also a network
            in memory, in any form that ``as_network`` takes.
        target: a name in ``targets.table.TARGETS``, as ``c``; ``out`` is the folder or file to write then.
        optimize: of target ``c``: ``balance``, ``flash`` or ``speed``.
        chip, mapping, activity: for targets that describe a chip (``sanafe``): the chip, or a mapping that ``map`` wrote;
            the activity of an earlier run, or ``data`` to run.
        out: file to write; by default ``model.nir`` in the run's folder, or the source with the suffix ``.nir``.
            A ``.nd5`` file holds every network, the others refuse what they cannot say.
        data: samples for a NIR file in floats (see ``load_data``); ``n_samples`` takes only so many.
        reading: what the framework that wrote a NIR file means by it (``from_nir``).
        dt: length of a step in seconds, where a NIR file does not say.
        weight_bits: bits for weights of a NIR file that have to be rounded, 2 to 8.
        input_shape: shape of the input of a ``.net`` file that begins with a convolution (``from_netx``).
        max_delay: longest delay of a synapse in steps; longer ones go through relay neurons (``from_nir``).
        force: replace ``out`` if it exists.
        progress: called with the samples done and all samples while integers and floats are compared.

    Returns:
        For a target: its name, the path, and what it says of the files. Else the path, its size in bytes, the counts of
        connections, recounted from the file, the fingerprint, the ledger of approximations, under ``reset`` what hangs on
        the reset of the neurons (``ResetCost``) where a NIR file does not say it, and with ``data`` under
        ``beside_floats`` how the whole network differs from the floats, with the shares of samples that are ``tied`` and
        ``silent``, and under ``silence`` what its run left unsaid (``engines.silence.Silence``).

    Raises:
        UsageError: for an unknown target, one without what it needs, an ``out`` whose suffix no format has, and choices that
            do not go together.
        FileError: if ``out`` exists and ``force`` is not set.
        NetworkError, NirError: for what the format cannot hold.
    """
    out, said = as_path(out), as_reading(reading, dt=dt, input_shape=input_shape)
    given = {"--optimize": optimize, "--chip": chip, "--mapping": mapping, "--activity": activity}
    if target is not None:
        found = find_target(target)
        settings = {} if optimize is None else {"optimize": optimize}
        check_settings(target, settings)
        if out is None:
            raise UsageError(f"export: say where to write for target '{target}': --out PATH")
        samples = None if data is None or found.needs else load_data(data, n_samples=n_samples)
        network = _network(source, samples, said, weight_bits, max_delay)
        if found.ready is not None:
            named_function(found.ready)(network, out, force=force)
        wanted = _Wanted(chip, as_path(mapping), as_path(activity), data, n_samples)
        placed, spikes = _needed(found, target, network, source, wanted)
        write_target(target, network, out, mapping=placed, activity=spikes, settings=settings, force=force)
        facts = {} if found.facts is None else named_function(found.facts)(network, **settings)
        return {"target": target, "path": str(out), **facts, "fingerprint": network.fingerprint}
    for option, value in given.items():
        if value is not None:
            raise UsageError(f"export: {option} is for a target; name one with --target: {', '.join(TARGETS)}")
    if not isinstance(source, str | Path):
        raise UsageError("export: a network in memory is written with to_nir or save_network, or for a target=...")
    source = as_path(source)
    path = out or (source / NETWORK_FILE if source.is_dir() else source.with_suffix(".nir"))
    format_to_write(path)
    if path == source:
        raise UsageError(f"export: {source} would replace itself; name another file with --out")
    check_new_file("export", path, force=force)
    trained = source.is_dir() or source.suffix == ".safetensors"
    floats = not trained and format_of(source).floats
    if not floats and (data is not None or said.of_nir):
        raise UsageError(
            f"export: {source} holds integers and its own step; --data and --dt are for NIR files in floats, as is --reading"
        )
    samples = None if data is None else load_data(data, n_samples=n_samples)
    network = _network(source, samples, said, weight_bits, max_delay)
    _write(network, source, path, force)
    facts = network_facts(load_network(path))
    result = {
        "path": str(path),
        "bytes": path.stat().st_size,
        **{key: facts[key] for key in ("weights", "mask", "nonzero", "density", "density_nonzero", "fingerprint")},
        "ledger": [asdict(entry) for entry in network.ledger],
    }
    if floats and format_of(source) is FORMATS[".nir"]:
        from neurodeploy.exchange.doctor.resets import reset_cost

        cost = reset_cost(source, reading=reading, dt=dt, data=samples)
        result["reset"] = None if cost is None else cost.to_dict()
    if samples is not None:
        from neurodeploy.engines.decoding import decoding_probes
        from neurodeploy.engines.silence import find_silence
        from neurodeploy.engines.table import simulate
        from neurodeploy.proofs.floats import beside_floats, renamed

        beside = beside_floats(source, network, samples, progress, reading=reading, dt=dt)
        own = renamed(samples, network)
        silence = find_silence(network, simulate(network, own, probe=decoding_probes(network)), own)
        if beside is not None and len(silence.outputs) == 1:
            beside |= next(iter(silence.outputs.values()))
        result |= {"beside_floats": beside, "silence": silence.to_json()}
    return result


def _network(
    source: AnyNetwork, samples: Samples | None, said: Reading, weight_bits: int, max_delay: int | None
) -> Network:
    """Return the network to write: of a run that of its checkpoint, whatever was exported before."""
    if not isinstance(source, str | Path):
        network = as_network(source, reading=said)
        return network if max_delay is None else with_relays(network, max_delay)
    source = as_path(source)
    named = source.is_dir() and ((source / CHECKPOINT_FILE).is_file() or not (source / NETWORK_FILE).is_file())
    if source.suffix != ".safetensors" and not named:
        return load_network(source, data=samples, reading=said, weight_bits=weight_bits, max_delay=max_delay)
    if said.input_shape is not None:
        raise UsageError(f"export: {source} tells the shape of its input; --input-shape is for .net files that do not")
    network = trained_network(source)
    return network if max_delay is None else with_relays(network, max_delay)


@dataclass(frozen=True, slots=True)
class _Wanted:
    """What the user gave for a target that describes a chip."""

    chip: str | None
    mapping: Path | None
    activity: Path | None
    data: AnySamples
    n_samples: int | None


def _needed(
    found: Target, target: str, network: Network, source: AnyNetwork, given: _Wanted
) -> tuple[Mapping | None, Activity | None]:
    """Return mapping and activity for a target that needs them.

    Raises:
        UsageError: where something is missing or given twice.
    """
    if not found.needs:
        for option, value in (("--chip", given.chip), ("--mapping", given.mapping), ("--activity", given.activity)):
            if value is not None:
                raise UsageError(f"export: target '{target}' takes no {option}; leave it out")
        return None, None
    if (given.chip is None) == (given.mapping is None):
        raise UsageError(f"export: target '{target}' needs a chip (--chip NAME), or a mapping (--mapping FILE)")
    if (given.data is None) == (given.activity is None):
        raise UsageError(
            f"export: target '{target}' writes the spikes of a sample: give samples to run (--data DATA), or the activity "
            "of a run (--activity FILE)"
        )
    if given.mapping is not None:
        placed = load_mapping(given.mapping)
    else:
        chip = load_chip(str(given.chip))
        pins = recipe_pins(source, chip) if isinstance(source, str | Path) else None
        placed = map_network(network, chip, pins=pins)
    if given.activity is not None:
        return placed, load_activity(given.activity)
    from neurodeploy.engines.table import simulate

    samples = load_data(given.data, n_samples=given.n_samples, network=network)
    labels = placed.core_labels()
    activity = simulate(network, samples, labels={p.name: labels[p.name] for p in network.populations})
    return placed, activity


def _write(network: Network, source: Path, path: Path, force: bool) -> None:
    """Write a network; where the format cannot hold it, say which one can."""
    try:
        write_network(network, path, force=force)
    except (NetworkError, NirError) as error:
        other = path.with_suffix(ANY_NETWORK)
        if path.suffix.lower() == ANY_NETWORK or other == source:
            raise
        raise type(error)(f"{error}. A {ANY_NETWORK} file holds every network: --out {other}") from error

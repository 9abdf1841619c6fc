"""One public function for each command of the command line: files in, files and records out.

Every function here only joins stages; the work is done in the packages it calls. torch and Lava are imported by
``train``, ``export`` and by ``verify`` and ``demo`` with the engine that needs them, and by nothing else.
"""

from __future__ import annotations

import json
import os
import platform
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import asdict
from importlib import import_module, metadata
from pathlib import Path
from typing import TYPE_CHECKING, Any

from neurodeploy.activity import Activity, Samples, load_activity, load_samples, save_activity
from neurodeploy.chip import chip_names, load_chip, new_chip_text
from neurodeploy.errors import (
    DataError,
    FileError,
    LavaError,
    MismatchError,
    UsageError,
)
from neurodeploy.estimate import estimate as estimate_cost
from neurodeploy.estimate.record import Cost
from neurodeploy.files import write_text
from neurodeploy.mapping import Fit, fit, highest_density, map_network, smallest_chip, traffic
from neurodeploy.mapping.record import Mapping as ChipMapping
from neurodeploy.mapping.record import save_mapping
from neurodeploy.mapping.summary import layer_summary, mapping_summary, summary
from neurodeploy.network import Network
from neurodeploy.recipe import Recipe, find_recipe, load_recipe, parse_recipe
from neurodeploy.report import chips_summary
from neurodeploy.report.facts import file_hashes, network_facts, versions
from neurodeploy.report.text import target_line
from neurodeploy.simulate import ENGINES
from neurodeploy.simulate import simulate as simulate_network
from neurodeploy.simulate.decode import accuracy
from neurodeploy.simulate.proof import broken, load_proof, make_proof
from neurodeploy.simulate.verify import compare

if TYPE_CHECKING:
    from neurodeploy.exchange.check import CheckReport
    from neurodeploy.report.compare import Comparison

CHECKPOINT_FILE = "checkpoint.safetensors"
NETWORK_FILE = "model.nir"
RECIPE_FILE = "recipe.toml"
TEST_FILE = "test.npz"
DEMO_RECIPE = "digits-mlp"
ALL_ENGINES = ("slayer", "reference", "event", "lava")
VERIFICATION_KEYS = (
    *("equal", "engines", "n_samples", "n_steps"),
    *("spikes_compared", "spikes_different", "populations", "first_difference"),
)
DEMO_CHIPS = ("loihi1", "loihi2")

Progress = Callable[[int, int], None]


def train(
    recipe: str | Path,
    *,
    out: Path | None = None,
    force: bool = False,
    resume: bool = False,
    tensorboard: bool = False,
    on_epoch: Callable[[Any], None] | None = None,
) -> dict[str, Any]:
    """Train a recipe (a file or the name of a shipped one) into the folder ``out``, by default ``runs/<its name>``.

    Args:
        force: replace the results of an earlier run there.
        resume: go on with the run there; it ends with the same weights as an unbroken one.
        tensorboard: write curves for TensorBoard as well.
        on_epoch: called with the metrics of each epoch.

    Returns:
        What ``neurodeploy.train.loop.TrainingResult`` holds, as plain values.
    """
    text = find_recipe(recipe).read_text(encoding="utf-8")
    checked = parse_recipe(text, where=str(recipe))
    loop = import_module("neurodeploy.train.loop")
    result = loop.train(
        checked,
        out or Path("runs") / checked.name,
        recipe_text=text,
        force=force,
        resume=resume,
        tensorboard=tensorboard,
        on_epoch=on_epoch,
    )
    return {key: str(value) if isinstance(value, Path) else value for key, value in asdict(result).items()}


def export(source: Path, *, out: Path | None = None, force: bool = False) -> dict[str, Any]:
    """Write a network as a NIR file, or as lava-dl's ``.net`` file where ``out`` ends so.

    The file is read back and compared before the function returns.

    Args:
        source: a run's folder or checkpoint, a ``.net`` file of lava-dl, or a NIR file.
        out: file to write; by default ``model.nir`` in the run's folder, or the source with the suffix ``.nir``.
        force: replace ``out`` if it exists.

    Returns:
        The path, its size in bytes, the counts of connections, recounted from the file, and the fingerprint.
    """
    path = out or (source / NETWORK_FILE if source.is_dir() else source.with_suffix(".nir"))
    if path == source:
        raise UsageError(f"export: {source} would replace itself; name another file with --out")
    trained = source.is_dir() or source.suffix == ".safetensors"
    network = _checkpoint_network(source)[1] if trained else load_network(source)
    if path.suffix == ".net":
        from neurodeploy.exchange.to_netx import to_netx

        to_netx(network, path, force=force)
    else:
        from neurodeploy.exchange.to_nir import to_nir

        to_nir(network, path, force=force)
    facts = network_facts(load_network(path))
    return {
        "path": str(path),
        "bytes": path.stat().st_size,
        **{key: facts[key] for key in ("weights", "mask", "nonzero", "density", "density_nonzero", "fingerprint")},
    }


def load_network(path: Path) -> Network:
    """Return the network in a NIR file, in the ``model.nir`` of a run's folder, or in a ``.net`` file of lava-dl."""
    if path.suffix == ".net":
        from neurodeploy.exchange.from_netx import from_netx

        return from_netx(path)
    from neurodeploy.exchange.from_nir import from_nir

    return from_nir(path / NETWORK_FILE if path.is_dir() else path)


def load_data(data: str | Path, *, n_samples: int | None = None) -> Samples:
    """Return samples from an ``.npz`` file, a run's folder (its test part), or a recipe (its test part, encoded anew).

    Args:
        n_samples: only so many, from the first on.

    Raises:
        DataError: where ``data`` is none of these, or holds fewer samples than asked for.
    """
    path = Path(data)
    if path.is_dir():
        samples = load_samples(path / TEST_FILE)
    elif path.suffix == ".npz":
        samples = load_samples(path)
    elif path.suffix == ".toml" or not path.exists():
        samples = _recipe_samples(data)
    else:
        raise DataError(f"data: {data} is neither an .npz file of samples, a run's folder nor a recipe")
    if n_samples is None:
        return samples
    if not 1 <= n_samples <= samples.n_samples:
        raise DataError(f"data: asked for {n_samples} samples, {data} has {samples.n_samples}")
    return samples.take(0, n_samples)


def check(
    file: Path, *, fix: Path | None = None, draw: Path | None = None, dt: float | None = None, force: bool = False
) -> CheckReport:
    """Return the verdict on each node of a NIR file; with ``fix``, write the repaired graph there.

    Args:
        draw: write a drawing of the graph (SVG) there, nodes coloured by verdict.
        dt: length of a step in seconds, where the file does not say.
        force: replace ``fix`` and ``draw`` if they exist.
    """
    from neurodeploy.exchange.check import check_nir
    from neurodeploy.exchange.draw import draw_nir

    if draw is not None and draw.exists() and not force:
        raise FileError(f"check: {draw} exists; choose another --draw, or --force to replace it")
    path = file / NETWORK_FILE if file.is_dir() else file
    report = check_nir(path, fix=fix, dt=dt, force=force)
    if draw is not None:
        write_text(draw_nir(path, report), draw)
    return report


def diff(a: Path, b: Path, *, metadata: bool = True) -> list[dict[str, str]]:
    """Return what differs between the graphs of two NIR files: nodes, fields, edges; empty where nothing does."""
    from neurodeploy.exchange.diff import diff_nir

    return [asdict(found) for found in diff_nir(a, b, metadata=metadata)]


def bench_simulate(
    *,
    rounds: int = 3,
    threads: int = 2,
    networks: Sequence[str] = (),
    on_row: Callable[[dict[str, Any]], None] | None = None,
) -> list[dict[str, Any]]:
    """Return the event-driven engine's speed beside its peers on this machine (``neurodeploy.simulate.bench``).

    Args:
        networks: only cases whose network has one of these names; by default all.
    """
    from neurodeploy.simulate.bench import CASES
    from neurodeploy.simulate.bench import bench_simulate as bench

    known = sorted({case.network for case in CASES})
    unknown = [name for name in networks if name not in known]
    if unknown:
        raise UsageError(f"bench: unknown network '{unknown[0]}'; known: {', '.join(known)}")
    cases = [case for case in CASES if not networks or case.network in networks]
    return [dict(row) for row in bench(cases=cases, rounds=rounds, threads=threads, progress=on_row)]


def bench_methods(
    folder: Path = Path("runs/methods"),
    *,
    methods: Sequence[str] = (),
    densities: Sequence[float] = (0.1, 0.015),
    seeds: Sequence[int] = (0, 1, 2, 3),
    on_row: Callable[[dict[str, Any]], None] | None = None,
) -> list[dict[str, Any]]:
    """Train every rewiring method on digits and return one row each; finished rows in ``folder`` are not trained again."""
    bench = import_module("neurodeploy.train.bench_methods")
    chosen = {"methods": tuple(methods)} if methods else {}
    rows = bench.bench_methods(folder, densities=densities, seeds=seeds, on_row=on_row, **chosen)
    return [dict(row) for row in rows]


def map(
    file: Path,
    *,
    chip: str,
    split: str = "overlap",
    store_zeros: bool = False,
    out: Path | None = None,
    force: bool = False,
) -> tuple[Fit, dict[str, Any]]:
    """Say whether the network of a NIR file fits a chip, where it lies, and if not, what would make it fit.

    Args:
        file: a NIR file, or a run's folder.
        chip: name of a chip, or a chip file.
        split: how layers are cut, a name in ``neurodeploy.mapping.SPLITS``.
        store_zeros: store the zeros of matrices, as Lava's Dense process does on Loihi 2.
        out: JSON file to write the mapping to, if it fits.
        force: replace ``out`` if it exists.

    Returns:
        The verdict, and the same as plain values (``neurodeploy.mapping.summary``) with the messages between cores.
    """
    if out is not None and out.exists() and not force:
        raise FileError(f"map: {out} exists; choose another --out, or --force to replace it")
    network = load_network(file)
    found = fit(network, load_chip(chip), split=split, store_zeros=store_zeros)
    if found.mapping is None:
        return found, {**summary(found), "chip": chip}
    if out is not None:
        save_mapping(found.mapping, out)
    flow = traffic(network, found.mapping)
    return found, {**summary(found), "messages_per_spike": flow.per_spike, "hops": flow.hops}


def search(file: Path, *, chip: str | None = None, split: str = "overlap") -> dict[str, Any]:
    """Return the smallest of all known chips that a network fits; with ``chip``, the highest density that fits that one."""
    network = load_network(file)
    if chip is None:
        mapping = smallest_chip(network, chip_names(), split=split)
        return {"smallest_chip": None} if mapping is None else {"smallest_chip": mapping_summary(mapping)}
    found = highest_density(network, load_chip(chip), split=split)
    if found is None:
        return {"share_of_weights": None}
    return {"share_of_weights": found[0], **mapping_summary(found[1])}


def compare_files(a: Path, b: Path, *, gate: Path | None = None) -> Comparison:
    """Compare two ``report.json`` files: may ``b`` take the place of ``a``?

    Args:
        gate: TOML file of what may get worse and by how much (``neurodeploy.report.compare``).
    """
    from neurodeploy.report.compare import compare_reports, load_gate
    from neurodeploy.report.record import load_report

    return compare_reports(load_report(a), load_report(b), load_gate(gate) if gate else None)


def new_chip(name: str, *, base: str = "loihi2", out: Path | None = None, force: bool = False) -> Path:
    """Write a chip file that extends a known chip, to be filled in; by default ``NAME.toml`` in this folder."""
    path = out or Path(f"{name}.toml")
    if path.exists() and not force:
        raise FileError(f"chips: {path} exists; choose another --out, or --force to replace it")
    write_text(new_chip_text(name, base), path)
    return path


def chip_rows(name: str) -> list[dict[str, str]]:
    """Return every number of a chip with its key, value, unit, grade and source."""
    return list(_rows("", load_chip(name).model_dump(exclude_none=True)))


def _rows(key: str, value: Any) -> Iterator[dict[str, str]]:
    if isinstance(value, dict) and "grade" in value:
        band = [value[k] for k in ("low", "nominal", "high") if k in value]
        shown = (
            f"{band[0]:g} / {band[1]:g} / {band[2]:g}" if len(set(band)) > 1 else band[0] if band else value["value"]
        )
        shown = " ".join(str(v) for v in shown) if isinstance(shown, tuple | list) else str(shown)
        yield {"key": key, "value": shown, "unit": value["unit"], "grade": value["grade"], "source": value["source"]}
    elif isinstance(value, dict):
        for name, inner in value.items():
            yield from _rows(f"{key}.{name}".lstrip("."), inner)
    elif isinstance(value, list | tuple):
        for i, inner in enumerate(value):
            named = inner.get("name", i) if isinstance(inner, dict) else i
            yield from _rows(f"{key}[{named}]", inner)


def simulate(
    file: Path,
    data: str | Path,
    *,
    engine: str = "event",
    n_samples: int | None = None,
    timeout_s: float | None = None,
    out: Path | None = None,
    force: bool = False,
    say: Callable[[str], None] | None = None,
    progress: Progress | None = None,
) -> tuple[Activity, dict[str, Any]]:
    """Run the network of a NIR file on samples; with ``out``, write the activity there as ``.npz``.

    Args:
        timeout_s: time limit for engine ``lava``; by default far above the time that it is predicted to take.
        out: file to write; ``force`` replaces an older one.
        say: told how long ``lava`` will take before it starts.

    Returns:
        The activity, and a summary of it as plain values: accuracy where the samples carry labels, spikes, overflow.
    """
    if out is not None and out.exists() and not force:
        raise FileError(f"simulate: {out} exists; choose another --out, or --force to replace it")
    network, samples = load_network(file), load_data(data, n_samples=n_samples)
    started = time.perf_counter()
    if engine == "lava":
        from neurodeploy.simulate.lava import predict_seconds, run_lava

        seconds = predict_seconds(network, samples, samples.n_steps + network.depth)
        (say or _silent)(f"simulate: lava will take about {seconds:.0f} s")
        activity = run_lava(network, samples, timeout_s=timeout_s, progress=progress)
    else:
        activity = simulate_network(network, samples, engine=engine, progress=progress)
    facts = {
        "engine": engine,
        "samples": samples.n_samples,
        "steps": activity.n_steps,
        "accuracy": None if samples.labels is None else accuracy(network, activity, samples),
        "spikes": {name: len(events) for name, events in activity.spikes.items()},
        "overflow": dict(activity.overflow),
        "seconds": time.perf_counter() - started,
    }
    if out is not None:
        save_activity(activity, out)
    return activity, facts


def verify(
    source: Path,
    data: str | Path | None = None,
    *,
    engines: Sequence[str] = ALL_ENGINES,
    n_samples: int | None = 64,
    out: Path | None = None,
    against: Path | None = None,
    force: bool = False,
    progress: Progress | None = None,
) -> dict[str, Any]:
    """Run the same samples on several engines and compare every spike.

    ``slayer`` runs the checkpoint of a run's folder, the others the NIR file, so that the file itself is under test.

    Args:
        source: a run's folder, or a NIR file where ``slayer`` takes no part.
        data: samples (see ``load_data``); by default the test part of the run.
        engines: at least two of ``slayer`` and the simulators.
        out: JSON file to write the proof to: the outcome with hashes of network, samples and rasters.
        against: an earlier proof; it is checked that all its hashes still hold.
        force: replace ``out`` if it exists.

    Returns:
        The proof (``neurodeploy.simulate.proof``); ``equal`` tells the outcome, ``diagnosis`` explains a difference.

    Raises:
        UsageError: for an unknown engine, fewer than two, ``slayer`` without a run's folder, or a file without data.
        MismatchError: where the run's checkpoint and file do not hold the same network, or ``against`` no longer holds.
    """
    if out is not None and out.exists() and not force:
        raise FileError(f"verify: {out} exists; choose another --out, or --force to replace it")
    earlier = None if against is None else load_proof(against)
    proof = _prove(source, data, engines, n_samples, progress)
    if out is not None:
        _write_json(proof, out)
    failed = [] if earlier is None else broken(earlier, proof)
    if failed:
        raise MismatchError(f"verify: {against} no longer holds: {'; '.join(failed)}")
    return proof


def _prove(
    source: Path, data: str | Path | None, engines: Sequence[str], n_samples: int | None, progress: Progress | None
) -> dict[str, Any]:
    unknown = [e for e in engines if e != "slayer" and e not in ENGINES]
    if unknown:
        raise UsageError(f"verify: unknown engine '{unknown[0]}'; known: slayer, {', '.join(ENGINES)}")
    if "slayer" in engines and not source.is_dir():
        raise UsageError(
            f"verify: engine 'slayer' runs a checkpoint, but {source} is not a run's folder; name the folder, or leave "
            "slayer out of --engines"
        )
    if data is None and not source.is_dir():
        raise UsageError(f"verify: {source} is a file; say which samples to run: neurodeploy verify FILE DATA")
    network, samples = load_network(source), load_data(source if data is None else data, n_samples=n_samples)
    runs = [_run_engine(engine, source, network, samples, progress) for engine in engines]
    return make_proof(network, samples, runs, compare(runs))


def faults(
    file: Path,
    data: str | Path,
    *,
    fault: str,
    rates: Sequence[float],
    engine: str = "event",
    n_samples: int | None = None,
    repeats: int = 3,
    seed: int = 0,
) -> list[dict[str, Any]]:
    """Return the accuracy of a network under one kind of fault at several rates (``neurodeploy.simulate.faults``)."""
    from neurodeploy.simulate.faults import robustness

    def run(network: Network, samples: Samples) -> Activity:
        return simulate_network(network, samples, engine=engine)

    network, samples = load_network(file), load_data(data, n_samples=n_samples)
    rows = robustness(network, samples, fault=fault, rates=rates, run=run, repeats=repeats, seed=seed)
    return [asdict(row) for row in rows]


def estimate(
    file: Path,
    *,
    chip: str,
    data: str | Path | None = None,
    activity: Path | None = None,
    engine: str = "event",
    n_samples: int | None = None,
    step_period_s: float | None = None,
    deadline_s: float | None = None,
    rate_hz: float | None = None,
) -> Cost:
    """Return what a network costs on a chip; without samples or an activity: memory and cores alone.

    Args:
        file: a NIR file, or a run's folder.
        chip: name of a chip, or a chip file.
        data: samples to run (see ``load_data``).
        activity: the activity of an earlier run instead.
        engine: which simulator runs ``data``.
        n_samples: only so many samples of ``data``.
        step_period_s, deadline_s, rate_hz: demands, see ``neurodeploy.estimate.estimate``.

    Raises:
        UsageError: where both ``data`` and ``activity`` are given.
    """
    if data is not None and activity is not None:
        raise UsageError("estimate: give samples to run (--data) or the activity of a run (--activity), not both")
    network = load_network(file)
    mapping = map_network(network, load_chip(chip))
    recorded = None if activity is None else load_activity(activity)
    if data is not None:
        samples = load_data(data, n_samples=n_samples)
        recorded = simulate_network(network, samples, engine=engine, labels=mapping.core_labels())
    return estimate_cost(
        network, mapping, recorded, step_period_s=step_period_s, deadline_s=deadline_s, rate_hz=rate_hz
    )


def report(
    run: Path,
    *,
    chips: Sequence[str] = DEMO_CHIPS,
    engines: Sequence[str] = ALL_ENGINES,
    n_samples: int = 64,
    command: str | None = None,
    say: Callable[[str], None] | None = None,
    progress: Progress | None = None,
) -> dict[str, Any]:
    """Prove, place and price the exported network of a run, and write its report as JSON, text, Markdown and HTML.

    Accuracy and energy are measured on the run's whole test part, exactness on its first ``n_samples``.

    Args:
        say: called with a line for each stage that is done.

    Returns:
        The report's object (``report``) and the paths of what was written (``files``).

    Raises:
        MismatchError: where an engine gives another spike; nothing is written then.
    """
    from neurodeploy.report import make_report, raster_facts, write_report

    tell = say or _silent
    network, samples = load_network(run), load_data(run)
    proof = _prove(run, None, engines, min(n_samples, samples.n_samples), progress)
    if not proof["equal"]:
        raise MismatchError(
            f"report: {run} is not bit-exact: {proof['first_difference']}; neurodeploy verify {run} says more"
        )
    tell(
        f"verify    {', '.join(proof['engines'])}: {proof['spikes_different']} of {proof['spikes_compared']:,} spikes "
        f"different, all {len(proof['populations']) - 1} layers and the input, {proof['n_samples']} test samples"
    )
    if not chips:
        raise UsageError("report: name at least one chip")
    costs: list[Cost] = []
    for name in chips:
        mapping = map_network(network, load_chip(name))
        activity = simulate_network(network, samples, labels=mapping.core_labels())
        right = accuracy(network, activity, samples)
        if not costs:
            tell(f"simulate  test accuracy {right:.2%} on {samples.n_samples} samples never used to choose anything")
        tell(f"map       {name}: {len(mapping.cores)} cores, {_formats(mapping)}")
        costs.append(estimate_cost(network, mapping, activity, with_baselines=True))
        tell(f"estimate  {target_line(costs[-1])}")
    recipe = _run_recipe(run)
    made = make_report(
        title=recipe.name,
        network=network_facts(network),
        costs=costs,
        accuracy={"test": right, "n_samples": samples.n_samples},
        verification={key: proof[key] for key in VERIFICATION_KEYS},
        raster=raster_facts(network, activity),
        neurobench=_neurobench(network, samples.take(0, min(n_samples, samples.n_samples))),
        provenance={
            "command": command or f"neurodeploy report {run}",
            "seed": recipe.seed,
            "files": file_hashes([run / name for name in (CHECKPOINT_FILE, NETWORK_FILE, TEST_FILE)]),
            "versions": versions(("neurodeploy", "numpy", "nir", "torch", "lava-dl", "lava-nc")),
        },
    )
    return {"report": made, "files": {key: str(path) for key, path in write_report(made, run).items()}}


def demo(
    *,
    out: Path = Path("runs/demo"),
    force: bool = False,
    say: Callable[[str], None] | None = None,
    progress: Callable[[str, int, int], None] | None = None,
) -> dict[str, Any]:
    """Run the whole path on scikit-learn's digits: train, export, map, simulate on Lava, verify, estimate, report.

    Args:
        out: folder for everything that is written.
        force: replace an earlier demo there.
        say: called with a line for each stage that is done.
        progress: called with a text and the parts done and to do of the current stage.

    Returns:
        The figures measured, as plain values, and the paths of the files.
    """
    tell, advance = say or _silent, progress or _silent
    started = time.perf_counter()
    epochs = load_recipe(DEMO_RECIPE).training.epochs
    trained = train(
        DEMO_RECIPE, out=out, force=force, on_epoch=lambda m: advance(f"train: {m.loss:.3f}", m.epoch, epochs)
    )
    tell(
        f"train     {DEMO_RECIPE}: {epochs} epochs in {trained['seconds']:.0f} s, best validation accuracy "
        f"{trained['validation_accuracy']:.2%} in epoch {trained['best_epoch']}"
    )
    exported = export(out, force=force)
    tell(
        f"export    {exported['path']}: {exported['mask']:,} of {exported['weights']:,} connections kept (density "
        f"{exported['density']:.4f}), {exported['nonzero']:,} not zero after quantisation "
        f"({exported['density_nonzero']:.4f})"
    )
    made = report(out, command="neurodeploy demo", say=tell, progress=lambda n, of: advance("verify", n, of))
    seconds = time.perf_counter() - started
    tell(f"report    {made['files']['report_html']}, and report.json, .txt and .md beside it; {seconds:.0f} s in all")
    found, proof = made["report"], made["report"]["verification"]
    return {
        "test_accuracy": found["accuracy"]["test"],
        "test_samples": found["accuracy"]["n_samples"],
        "density": exported["density"],
        "density_nonzero": exported["density_nonzero"],
        "connections": {key: exported[key] for key in ("weights", "mask", "nonzero")},
        "samples_compared": proof["n_samples"],
        "spikes_compared": proof["spikes_compared"],
        "spikes_different": proof["spikes_different"],
        "engines": proof["engines"],
        "chips": chips_summary(found),
        "seconds": seconds,
        "files": {"nir": exported["path"], "checkpoint": trained["checkpoint"], **made["files"]},
    }


def doctor() -> dict[str, Any]:
    """Return which Python, torch and Lava were found and what is broken, as plain values.

    The ``state`` of each check is ``ok``, ``missing`` (optional and not installed) or ``broken``; ``ok`` tells whether
    nothing is broken.
    """
    checks = [_python_check(), *(_package_check(package, extra) for package, extra in _PACKAGES.items()), _lava_check()]
    return {"ok": all(c["state"] != "broken" for c in checks), "checks": checks}


def _lava_check() -> dict[str, Any]:
    """Ask the worker's interpreter to import Lava; one that is named in the environment and cannot is broken."""
    from neurodeploy.simulate.lava import find_lava_python

    named = "NEURODEPLOY_LAVA_PYTHON" in os.environ
    check = {"what": "Lava worker", "found": None, "state": "broken" if named else "missing"}
    try:
        python = find_lava_python()
        subprocess.run([python, "-c", "import lava.magma"], check=True, capture_output=True, timeout=60)
    except LavaError as error:
        return {**check, "note": str(error)}
    except (OSError, subprocess.SubprocessError) as error:
        return {**check, "found": python, "state": "broken", "note": f"cannot import Lava: {error}"}
    return {**check, "found": python, "state": "ok", "note": ""}


_PACKAGES = {
    "numpy": "",
    "numba": "",
    "nir": "",
    "torch": "train",
    "lava-dl": "train",
    "lava-nc": "lava",
    "scikit-learn": "train",
    "plotly": "report",
    "jinja2": "report",
}


_PYTHON_310_ONLY = ("torch", "lava-dl", "lava-nc")


def _python_check() -> dict[str, Any]:
    supported = (3, 10) <= sys.version_info[:2] <= (3, 13)
    note = "" if supported else "neurodeploy runs on Python 3.10 to 3.13"
    if supported and sys.version_info[:2] != (3, 10):
        note = "training needs Python 3.10; everything from the NIR file onwards works here"
    found = f"{platform.python_version()} ({sys.executable})"
    return {"what": "Python", "found": found, "state": "ok" if supported else "broken", "note": note}


def _package_check(package: str, extra: str) -> dict[str, Any]:
    """A package is broken where it is installed and does not import, or is missing from the core."""
    try:
        version = metadata.version(package)
    except metadata.PackageNotFoundError:
        note = f"pip install 'neurodeploy[{extra}]'" if extra else "pip install neurodeploy"
        if package in _PYTHON_310_ONLY and sys.version_info[:2] != (3, 10):
            note = f"needs Python 3.10: {note} there"
        return {"what": package, "found": None, "state": "missing" if extra else "broken", "note": note}
    module = {"lava-dl": "lava.lib.dl", "lava-nc": "lava.magma", "scikit-learn": "sklearn"}.get(package, package)
    try:
        import_module(module)
    except Exception as error:
        return {"what": package, "found": version, "state": "broken", "note": f"does not import: {error}"}
    return {"what": package, "found": version, "state": "ok", "note": ""}


def _write_json(value: Any, path: Path) -> None:
    write_text(json.dumps(value, indent=1) + "\n", path)


def _silent(*_: Any) -> None:
    """Say and show nothing."""


def _formats(mapping: ChipMapping) -> str:
    """Say the synapse format of each layer."""
    layers = (layer_summary(mapping, name) for name in mapping.sizes)
    return ", ".join(f"{layer['name']} {layer['format']}" for layer in layers)


def _neurobench(network: Network, samples: Samples) -> dict[str, Any]:
    """Return the NeuroBench metrics of some samples; voltages are probed for the membrane updates."""
    from neurodeploy.estimate.neurobench import neurobench_metrics

    probes = [(p.name, "v") for p in network.populations]
    return neurobench_metrics(network, simulate_network(network, samples, probe=probes)).to_json()


def _run_recipe(run: Path) -> Recipe:
    """Return the recipe that a run's folder was trained with."""
    return parse_recipe((run / RECIPE_FILE).read_text(encoding="utf-8"), where=str(run / RECIPE_FILE))


def _checkpoint_network(run: Path) -> tuple[Any, Network]:
    """Return the model of a run's checkpoint and the network exported from it."""
    load_checkpoint = import_module("neurodeploy.train.checkpoint").load_checkpoint
    slayer = import_module("neurodeploy.train.slayer")
    checkpoint = load_checkpoint(run / CHECKPOINT_FILE if run.is_dir() else run)
    return checkpoint.model, slayer.to_network(checkpoint.model, checkpoint.masks, checkpoint.recipe.network.dt)


def _run_engine(engine: str, run: Path, network: Network, samples: Samples, progress: Progress | None) -> Activity:
    if engine != "slayer":
        return simulate_network(network, samples, engine=engine, progress=progress)
    model, trained = _checkpoint_network(run)
    if trained.fingerprint != network.fingerprint:
        raise MismatchError(
            f"verify: {run / NETWORK_FILE} does not hold the network of {run / CHECKPOINT_FILE}; export again: "
            f"neurodeploy export {run} --force"
        )
    activity: Activity = import_module("neurodeploy.train.slayer").run_slayer(model, network, samples)
    return activity


def _recipe_samples(recipe: str | Path) -> Samples:
    from neurodeploy.data import encode, load_splits

    checked = load_recipe(recipe).data
    return encode(load_splits(checked)[2], checked, "test")

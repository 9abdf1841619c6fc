"""Export of a mapped network as architecture and network for SANA-FE 2.2.9, so that anybody can check our counts and prices.

SANA-FE (SLAM-Lab/SANA-FE, GPL, ``pip install sanafe==2.2.9``) is an independent simulator; it is never imported here. The
folder that ``write_sanafe`` makes holds ``arch.yaml``, ``net.yaml``, ``expected.json`` with the expected results, and
``run.py``, a script that runs SANA-FE and compares (``python FOLDER/run.py``).

There are two modes for neurons. ``dynamics``: SANA-FE computes the spikes itself; used if its neuron computes the same
integers (no current state, a voltage that decays not at all or at once, no delays, no stored zeros; both resets).
``replay``: every neuron sends the recorded spikes, and weights are written as 0; then SANA-FE does not see the updates of
neurons that do not fire. ``expected.json`` counts updates as SANA-FE does in the given mode, so that all its figures must be
equal.

Inputs that the host injects lie on a separate tile behind the last column of the mesh, with prices of 0. SANA-FE charges
hops for their messages (``host_hops``), unlike our estimate; ``expected.json`` includes these hops.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import ExitStack
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from neurodeploy.costs.counts import check_belongs
from neurodeploy.costs.fanout import FanOut, fan_outs
from neurodeploy.costs.pricing import estimate
from neurodeploy.errors import EstimateError, FileError
from neurodeploy.files.json_text import to_json
from neurodeploy.files.paths import as_path
from neurodeploy.files.writing import check_new_folder, locked_folder, replacing
from neurodeploy.mapping.memory.synapses import matrix_of
from neurodeploy.mapping.record import CoreLoad, Mapping
from neurodeploy.network import DECAY_ONE, Cuba, LeakyIntegrator, Network, Population
from neurodeploy.network.activity import Activity
from neurodeploy.targets.sanafe.yaml import Mode, architecture, host_inputs, network_text

RUN_FILE = Path(__file__).with_name("script.py")
FILE_NAMES = ("arch.yaml", "net.yaml", "expected.json", "run.py")


@dataclass(frozen=True, slots=True, kw_only=True)
class SanafeFiles:
    """The two YAML texts, the mode of the neurons, and the results that SANA-FE must give.

    Args:
        arch, net: texts of ``arch.yaml`` and ``net.yaml``.
        mode: ``dynamics`` or ``replay``.
        n_steps: number of steps to run.
        host_hops: hops east-west and north-south of all messages from the host's tile in the sample.
        expected: results of SANA-FE's ``sim``, under its names (``spikes`` are synaptic events): ``timesteps_executed``,
            ``spikes``, ``packets_sent``, ``neurons_updated``, ``neurons_fired``, ``hops``, ``energy`` (joules, total),
            ``sim_time`` (seconds, timing model ``simple``), and ``step_s``, the time of each step.
    """

    arch: str
    net: str
    mode: Mode
    n_steps: int
    host_hops: tuple[int, int]
    expected: dict[str, Any]


def check_network(network: Network) -> None:
    """Refuse a network that SANA-FE cannot describe.

    Raises:
        EstimateError: for neurons other than CUBA and leaky integrators, or an input with payloads; names the first.
    """
    for reason in _lacks(network):
        raise EstimateError(f"export: no export to SANA-FE: {reason}; choose another target")


def _lacks(network: Network) -> Iterator[str]:
    """Yield what the network needs and SANA-FE has not."""
    for population in network.populations:
        if not isinstance(population.model, Cuba | LeakyIntegrator):
            kind = population.model.kind.replace("_", "-")
            yield f"population '{population.name}' has {kind} neurons, which SANA-FE does not have"
    for given in network.inputs:
        if given.graded:
            yield f"input '{given.name}' carries payloads, and spikes of SANA-FE carry none"


def sanafe_files(network: Network, mapping: Mapping, activity: Activity, *, sample: int = 0) -> SanafeFiles:
    """Return the files for SANA-FE to run one sample of an activity, and the expected results.

    Raises:
        EstimateError: if SANA-FE cannot describe the network (``check_network``) or the mapping (several chips, no mesh, a
            core with projections into one population in different formats, or a missing price), or if the sample does not
            exist.
    """
    check_network(network)
    check_belongs(network, mapping, activity)
    _check(mapping, activity, sample)
    fans = fan_outs(network, mapping)
    mode: Mode = "dynamics" if _exact(network, fans) else "replay"
    one = _one_sample(activity, sample)
    hops = _host_hops(network, mapping, one, fans)
    return SanafeFiles(
        arch="\n".join(architecture(network, mapping, mode)) + "\n",
        net="\n".join(network_text(network, mapping, one, mode)) + "\n",
        mode=mode,
        n_steps=activity.n_steps,
        host_hops=hops,
        expected=_expected(network, mapping, one, mode, hops),
    )


def write_sanafe(
    network: Network, mapping: Mapping, activity: Activity, folder: str | Path, *, sample: int = 0, force: bool = False
) -> SanafeFiles:
    """Write ``arch.yaml``, ``net.yaml``, ``expected.json`` and ``run.py`` to a folder, all or none.

    Raises:
        EstimateError: as in ``sanafe_files``.
        FileError: if one of the files exists and ``force`` is not set.
    """
    folder = as_path(folder)
    check_free(folder, force=force)
    files = sanafe_files(network, mapping, activity, sample=sample)
    expected = {"sample": sample, "mode": files.mode, "timing_model": "simple", **files.expected}
    texts = (files.arch, files.net, to_json(expected, 1) + "\n", RUN_FILE.read_text(encoding="utf-8"))
    with ExitStack() as stack:
        stack.enter_context(locked_folder(folder, f"export: {folder}"))
        check_free(folder, force=force)  # another process may have written there meanwhile
        for name, text in zip(FILE_NAMES, texts):
            stack.enter_context(replacing(folder / name)).write_text(text, encoding="utf-8")
    return files


def check_ready(network: Network, folder: str | Path, *, force: bool) -> None:
    """Refuse what ``write_sanafe`` would refuse of a network and a folder.

    Raises:
        EstimateError, FileError: as ``check_network`` and ``check_free``.
    """
    check_network(network)
    check_free(folder, force=force)


def describe(_: Network) -> dict[str, str]:
    """Return how to compare SANA-FE with what is written."""
    return {"compare": "python run.py, in this folder, runs SANA-FE 2.2.9 and compares"}


def check_free(folder: str | Path, *, force: bool) -> None:
    """Refuse a folder with an earlier export, unless ``force`` is set.

    Raises:
        FileError: names the first file that would be replaced.
    """
    folder = as_path(folder)
    check_new_folder("export", folder)
    older = [name for name in FILE_NAMES if (folder / name).exists()]
    if older and not force:
        raise FileError(f"estimate: {folder / older[0]} exists; choose another folder, or --force to replace it")


def _check(mapping: Mapping, activity: Activity, sample: int) -> None:
    reason = None
    if mapping.n_chips > 1:
        reason = f"the mapping takes {mapping.n_chips} chips, SANA-FE describes one; choose another chip or network"
    elif mapping.n_tiles is None:
        reason = f"chip '{mapping.chip.name}' has no mesh (cores.mesh, cores.per_tile); choose another chip"
    elif mapping.chip.latency is None or mapping.chip.latency.model != "messages":
        reason = f"chip '{mapping.chip.name}' has no times of the model 'messages'; choose another chip"
    elif not 0 <= sample < activity.n_samples:
        reason = f"sample {sample} is not one of the {activity.n_samples} of the activity; choose one of them"
    if reason is not None:
        raise EstimateError(f"export: no export to SANA-FE: {reason}")


def _exact(network: Network, fans: list[FanOut]) -> bool:
    """Return whether SANA-FE's neurons compute the same integers as ours.

    That needs neurons without current state and bias, voltages that decay not at all or at once, no delays, no sums that are
    rounded, and no stored zeros.
    """
    if any(p.max_delay or p.weight_exponent < 0 for p in network.projections):
        return False
    if any(sum(int(r.sum()) for r in fan.reads.values()) != int(fan.effective.sum()) for fan in fans):
        return False  # SANA-FE counts a stored zero as an input
    return all(
        isinstance(m, Cuba)
        and all(isinstance(v, int) for v in (m.current_decay, m.voltage_decay, m.threshold, m.bias))
        and (m.current_decay, m.bias) == (DECAY_ONE, 0)
        and m.voltage_decay in (0, DECAY_ONE)
        for m in (p.model for p in network.populations)
    )


def _one_sample(activity: Activity, sample: int) -> Activity:
    return replace(
        activity,
        spikes={name: events.take(sample, sample + 1) for name, events in activity.spikes.items()},
        updated=None,
        states={},
    )


def _expected(network: Network, mapping: Mapping, one: Activity, mode: Mode, hops: tuple[int, int]) -> dict[str, Any]:
    """Return the counts and prices that SANA-FE must give: our estimate, with updates counted by SANA-FE's rule."""
    cost = estimate(network, mapping, replace(one, updated=_updated(network, mapping, one, mode)))
    counts, latency = cost.counts, cost.latency
    assert cost.energy is not None
    assert cost.energy.total_j is not None
    assert latency is not None
    host = sum(len(one.spikes[name]) for name in host_inputs(network, mapping))
    prices = (mapping.chip.energy.hop_ew, mapping.chip.energy.hop_ns)
    of_host = sum(n * price.si[1] for n, price in zip(hops, prices) if price is not None)
    return {
        "timesteps_executed": one.n_steps,
        "spikes": sum(n for name, n in counts.items() if name.startswith("synop.")),
        "packets_sent": counts["message_in"],
        "neurons_updated": counts["neuron_update"] + host,
        "neurons_fired": counts["spike_out"] + host,
        "hops": counts["hop_ew"] + counts["hop_ns"] + sum(hops),
        "energy": cost.energy.total_j.nominal + of_host,
        "sim_time": latency.sample_s.mean.nominal,
        "step_s": list(latency.trace.step_s),
    }


def _updated(network: Network, mapping: Mapping, one: Activity, mode: Mode) -> NDArray[np.int64]:
    """Return the neurons that SANA-FE updates on each core, int64 ``(1, n_steps, n_cores)``, without relay neurons.

    Replayed neurons are updated when they fire; computed neurons when their voltage was not 0 or a spike arrives.
    """
    total = np.zeros((1, one.n_steps, len(mapping.cores)), np.int64)
    labels = mapping.core_labels()
    for population in network.populations:
        name = population.name
        raster = one.spikes[name].to_dense()[0] != 0
        updated = raster if mode == "replay" else _changing(network, population, one, raster)
        step, neuron = np.nonzero(updated)
        np.add.at(total[0], (step, labels[name][neuron]), 1)
    return total


def _changing(network: Network, population: Population, one: Activity, fired: NDArray[np.bool_]) -> NDArray[np.bool_]:
    """Return which neurons (without current, with full or no decay) have a voltage or an input, ``(n_steps, size)``."""
    arriving = np.zeros(fired.shape, np.int64)
    reached = np.zeros(fired.shape, np.int64)
    for p in network.into(population.name):
        matrix, sent = matrix_of(p), one.spikes[p.source].to_dense()[0][:-1].astype(np.int64)
        weight = np.zeros((matrix.n_source, matrix.n_target), np.int64)
        weight[matrix.source, matrix.target] = matrix.weight
        arriving[1:] += (sent @ weight) << p.weight_exponent
        reached[1:] += sent @ (weight != 0)
    model = population.model
    assert isinstance(model, Cuba)
    charged = np.zeros(fired.shape, np.bool_)
    voltage = np.zeros(fired.shape[1], np.int64)
    for t in range(len(fired)):
        charged[t] = voltage != 0
        voltage = arriving[t] + (voltage if model.voltage_decay == 0 else 0)
        after = voltage - np.ravel(model.threshold) if model.reset == "subtract" else 0
        voltage = np.where(fired[t], after, voltage)
    return charged | (reached > 0)


def _host_hops(network: Network, mapping: Mapping, one: Activity, fans: list[FanOut]) -> tuple[int, int]:
    mesh, inputs = mapping.chip.cores.mesh, host_inputs(network, mapping)
    assert mesh is not None
    total = np.zeros(2, np.int64)
    for fan in fans:
        if fan.source in inputs:
            sent = np.bincount(one.spikes[fan.source].neuron, minlength=len(fan.reached))
            messages = sent @ fan.reached
            loads = [mapping.cores[c] for c in fan.cores]
            for axis in (0, 1):
                total[axis] += int(messages @ np.array([_distance(load, mesh.value[0], axis) for load in loads], int))
    return int(total[0]), int(total[1])


def _distance(load: CoreLoad, width: int, axis: int) -> int:
    """Return the hops east-west (axis 0) or north-south (axis 1) from the host's tile, at the top right of the mesh."""
    assert load.x is not None
    assert load.y is not None
    return width - load.x if axis == 0 else load.y

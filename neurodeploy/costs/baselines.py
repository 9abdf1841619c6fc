"""Baselines for the same task: a dense ANN or this network on a microcontroller, and the dense network on the chip.

Prices of the microcontrollers come from measured energies of MLPerf Tiny v1.1 (closed division, logs in
mlcommons/tiny_results_v1.1), divided by the multiply-accumulates (MAC) of its four networks; a band spans the four values,
its nominal value is their median. A spiking network on a microcontroller needs an index load and an addition for each event;
this is charged at the price of a MAC (our judgement).
"""

from __future__ import annotations

from collections import Counter
from dataclasses import replace
from statistics import median

import numpy as np

from neurodeploy.costs.counts import count_events
from neurodeploy.costs.energy import family, price_energy
from neurodeploy.costs.record import Band, Baseline, Boundary, Cost
from neurodeploy.costs.totals import events_of, totals_of
from neurodeploy.errors import FitError
from neurodeploy.mapping.mapper import SPLITS, map_network
from neurodeploy.mapping.memory.synapses import conv_of, joins_encoder, matrix_of
from neurodeploy.mapping.record import Mapping
from neurodeploy.network import (
    WEIGHT_MAX,
    Dense,
    Network,
    Projection,
    Sparse,
    n_nonzero,
    n_parameters,
    synapse_shape,
)
from neurodeploy.network.activity import Activity

MLPERF_TINY_MACS = {"AD": 0.264e6, "KWS": 2.66e6, "IC": 12.5e6, "VWW": 7.49e6}
"""Multiply-accumulates of one inference of the reference networks; not checked against a source, hence the prices' grade."""
MLPERF_TINY_UJ = {
    "STM32L4R5 (Cortex-M4)": {"AD": 294.0, "KWS": 2833.0, "IC": 7019.0, "VWW": 5618.0},
    "STM32H7A3 (Cortex-M7)": {"AD": 221.0, "KWS": 1869.0, "IC": 6311.0, "VWW": 3699.0},
    "STM32U575 (Cortex-M33)": {"AD": 121.0, "KWS": 1004.0, "IC": 3384.0, "VWW": 1921.0},
}
"""Measured microjoules for one inference, by board and network."""
_NEURONS = ("neuron_update", "neuron_idle")
"""How counts begin that do not depend on the synapses."""


def mac_price(board: str) -> Band:
    """Return the joules for one MAC on a board of ``MLPERF_TINY_UJ``."""
    prices = [1e-6 * joules / MLPERF_TINY_MACS[task] for task, joules in MLPERF_TINY_UJ[board].items()]
    return Band(low=min(prices), nominal=median(prices), high=max(prices), grade="guess")


def price_baselines(network: Network, mapping: Mapping, activity: Activity, cost: Cost) -> tuple[Baseline, ...]:
    """Return the baselines for a cost that was estimated with the same activity.

    Break-even figures keep everything else fixed: ``break_even_activity`` is the factor by which all spikes could grow until
    the chip's dynamic energy reaches the baseline's, ``break_even_density`` the density up to which connections could grow.
    They are computed from nominal figures; None where the energy of the chip is unknown.

    ``against_j``, ``times``, ``even_activity`` and ``even_density`` compare within one boundary: a microcontroller is a
    whole chip, so it is compared with the whole chip at the operating point of the estimate.
    """
    macs, events = dense_macs(network), cost.counts["effective_synops"] / activity.n_samples
    rows = [_dense_on_chip(network, mapping, activity, cost)]
    for board in MLPERF_TINY_UJ:
        ann = f"one inference of a dense ANN of equal shape, {macs:,} MACs, on {board}"
        snn = f"this network, {events:,.0f} events a sample, on {board}"
        rows += [_row(what, mac_price(board).times(n), cost, network) for what, n in ((ann, macs), (snn, events))]
    return tuple(rows)


def dense_macs(network: Network) -> int:
    """Return the MACs of one pass through all layers without any sparsity; windows of a pool count as taps.

    Complex weights are two matrices, and wires to an encoder none.
    """
    return sum(_macs(p) for p in _layers(network))


def _layers(network: Network) -> list[Projection]:
    """Return the projections that have weights in a network without spikes, too."""
    return [p for p in network.projections if not joins_encoder(network, p)]


def _macs(projection: Projection) -> int:
    conv = conv_of(projection)
    if conv is None:
        n_target, n_source = synapse_shape(projection.synapses)
        return n_target * n_source
    taps = conv.weights.shape[0] * conv.weights.shape[1]
    for axis in (0, 1):
        size, stride, pad, dilation = (
            conv.input_shape[1 + axis],
            *(given[axis] for given in (conv.stride, conv.padding, conv.dilation)),
        )
        at = np.arange(conv.output_shape[1 + axis])[:, None] * stride - pad
        at = at + np.arange(conv.weights.shape[2 + axis])[None, :] * dilation
        taps *= int(np.count_nonzero((at >= 0) & (at < size)))
    return taps


def _row(
    what: str, energy_j: Band, cost: Cost, network: Network, note: str = "", boundary: Boundary = "chip"
) -> Baseline:
    activity, density = _break_even(energy_j.nominal, cost)
    kept, possible = (sum(of(p) for p in _layers(network)) for of in (n_nonzero, n_parameters))
    share = kept / possible if possible else None
    against = cost.total(boundary)
    even = (None, None) if against is None else _break_even(energy_j.nominal, cost, against.energy_j.nominal)
    return Baseline(
        what=what,
        energy_j=energy_j,
        break_even_activity=activity,
        break_even_density=None if density is None or share is None else density * share,
        note=note,
        boundary=boundary,
        operation=None if against is None else against.operation,
        against_j=None if against is None else against.energy_j,
        times=None if against is None else energy_j.over(against.energy_j),
        even_activity=even[0],
        even_density=None if even[1] is None or share is None else even[1] * share,
    )


def _break_even(limit_j: float, cost: Cost, whole_j: float | None = None) -> tuple[float | None, float | None]:
    """Return the factors by which all events, or all synapses, may grow until the energy reaches ``limit_j``.

    Accesses and updates of neurons do not grow with events here: accesses are paid in every step, updates saturate. The
    energy is the dynamic one, or ``whole_j``, of which all but the dynamic energy is fixed.
    """
    if cost.energy is None or cost.energy.total_j is None:
        return None, None
    total = cost.energy.total_j.nominal
    limit_j -= 0.0 if whole_j is None else whole_j - total
    fixed = sum(x.energy_j.nominal for x in cost.energy.lines if x.component.startswith("neuron_"))
    synapses = sum(x.energy_j.nominal for x in cost.energy.lines if family(x.component) == "synop")
    return _factor(limit_j - fixed, total - fixed), _factor(limit_j - total + synapses, synapses)


def _factor(room: float, part: float) -> float | None:
    return max(room, 0.0) / part if part > 0 else None


def dense_twin(network: Network) -> Network:
    """Return the network with every connection of its matrices stored: zeros get the smallest weight of the matrix.

    Wires to an encoder stay as they are.
    It shows how much memory and how many events sparsity saves; it is not meant to be run.
    """
    return Network(
        inputs=network.inputs,
        populations=network.populations,
        projections=tuple(p if joins_encoder(network, p) else _filled(p) for p in network.projections),
        outputs=network.outputs,
        dt=network.dt,
    )


def _filled(projection: Projection) -> Projection:
    if not isinstance(projection.synapses, Dense | Sparse):
        return projection
    matrix = matrix_of(projection)
    smallest = np.abs(matrix.weight).min(initial=WEIGHT_MAX) if matrix.weight.size else 1
    weights = np.full((matrix.n_target, matrix.n_source), smallest, np.int16)
    weights[matrix.target, matrix.source] = matrix.weight
    return replace(projection, synapses=Dense(weights=weights), mask=None)


def _dense_on_chip(network: Network, mapping: Mapping, activity: Activity, cost: Cost) -> Baseline:
    """Return the baseline of the dense twin, mapped anew, with the same spikes and the same neuron updates."""
    what, twin, chip = f"the dense network on {cost.chip}, same spikes", dense_twin(network), mapping.chip
    try:
        placed = map_network(twin, chip, split=mapping.split if mapping.split in SPLITS else "equal")
    except FitError as error:
        return Baseline(what=what, energy_j=None, break_even_activity=None, break_even_density=None, note=str(error))
    spikes = replace(activity, network=twin.fingerprint, updated=None)
    totals = Counter[str]()
    for counts in count_events(twin, placed, spikes):
        totals.update(totals_of(counts))
    totals = Counter({name: n for name, n in totals.items() if not name.startswith(_NEURONS)})
    totals.update({name: n for name, n in cost.counts.items() if name.startswith(_NEURONS)})
    dense = price_energy(events_of(totals, activity.n_samples), chip.energy, chip.name, chip.source_file)
    memory = f"{len(placed.cores)} cores, {placed.synaptic_bytes:,} bytes of synapses"
    if dense.total_j is None:
        return Baseline(what=what, energy_j=None, break_even_activity=None, break_even_density=None, note=memory)
    return _row(what, dense.total_j, cost, network, memory, "cores")

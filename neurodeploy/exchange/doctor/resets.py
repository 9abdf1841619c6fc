"""What the reset of a graph's neurons decides: the float spikes with the one beside those with the other.

NIR sets the voltage of a neuron that fired to ``v_reset``. snnTorch, sinabs and Spyx take the threshold off by default,
which a file cannot say. So the question is put to the user, with what hangs on it.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from neurodeploy.errors import NirError
from neurodeploy.exchange.nir.calibrate import Witness, observe, with_payloads
from neurodeploy.exchange.nir.graph import Graph, Node
from neurodeploy.exchange.nir.neurons import SPIKING_KINDS, float_neuron
from neurodeploy.exchange.nir.node_metadata import RESETS, RESETTING_KINDS, reset_of
from neurodeploy.exchange.nir.own_metadata import description_of
from neurodeploy.exchange.nir.prepare import Opened, flattened, opened, prepared, read_neuron, understood
from neurodeploy.exchange.nir.readings import READINGS, AnyReading, looks_like
from neurodeploy.network.activity import Samples

if TYPE_CHECKING:
    import nir

_DONE = {
    "zero": "a spike sets the voltage to v_reset",
    "subtract": "a spike takes the threshold off the voltage",
    "mixed": "some spikes set the voltage to v_reset, some take the threshold off",
}


@dataclass(frozen=True, slots=True, kw_only=True)
class ResetCost:
    """What is known of the reset of a graph, and what the other one would change.

    Attributes:
        reset: how the graph is read: "zero" or "subtract", "mixed" where its neurons differ.
        said: whether file, framework or user say so.
        reading: name of the reading; where the file is taken as NIR says, of the one that it looks like, or "".
        samples: name and size of the data that were run, "" without data; then all numbers are None.
        differing, bits: how many spikes differ with the other reset, of how many neuron steps: of the neurons that outputs
            read, or of all where those do not spike.
        classes_changed, n_samples: samples whose class changes, of how many; None where there is not one output.
        why_not: why nothing was measured though there are data.
    """

    reset: str
    said: bool
    reading: str = ""
    samples: str = ""
    differing: int | None = None
    bits: int | None = None
    classes_changed: int | None = None
    n_samples: int | None = None
    why_not: str = ""

    @property
    def line(self) -> str:
        """One line for people: what the reset is, what hangs on it, and how to say another one."""
        other = "zero" if self.reset == "subtract" else "subtract"
        name = self.reading or "NAME"
        if self.said:
            start = f"reset {self.reset}: {_DONE[self.reset]}"
        else:
            start = (
                f"reset {self.reset}, as NIR says; the file cannot tell which was trained, and {_usual(self.reading)} by "
                f"default: --reading {name},reset={other} (in Python reading='{name},reset={other}')"
            )
        if self.why_not:
            return f"{start}; what it costs was not measured: {self.why_not}"
        if self.bits is None:
            return start if self.said else f"{start}; samples (--data) measure what that changes"
        changed = f"{self.differing:,} of {self.bits:,} spikes ({(self.differing or 0) / self.bits:.1%})"
        if self.classes_changed is not None:
            changed += f" and the class of {self.classes_changed} of {self.n_samples} samples"
        return f"{start}; on {self.samples}, reset {other} changes {changed}"

    def to_dict(self) -> dict[str, Any]:
        """Return all values, and the line, as plain values."""
        return {name: getattr(self, name) for name in (*self.__dataclass_fields__, "line")}


def _usual(reading: str) -> str:
    """Return in words what neurons of a framework do if nobody chose a reset."""
    if reading not in READINGS:
        return "snnTorch, sinabs and Spyx subtract"
    row = READINGS[reading]
    return f"{row.title} {'subtracts' if row.usual == 'subtract' else 'resets to zero'}"


def reset_cost(
    source: Path | str | nir.NIRGraph | Graph,
    *,
    reading: AnyReading = None,
    dt: float | None = None,
    data: Samples | None = None,
    payload_scale: float = 1.0,
) -> ResetCost | None:
    """Return what hangs on the reset of a graph; None where nothing does, or neurodeploy recorded it in its own file.

    Args:
        reading, dt, payload_scale: as in ``from_nir``.
        data: samples to measure it on, with floats; at most 4 million neuron states, from evenly chosen samples.

    Raises:
        DataError: if the data do not fit the inputs of the graph.
        NirError: for a graph that cannot be read.
    """
    return cost_of(opened(source, reading=reading, dt=dt), data, payload_scale)


def cost_of(meant: Opened, data: Samples | None, payload_scale: float = 1.0) -> ResetCost | None:
    """Return what ``reset_cost`` does, of a graph that is open already."""
    if isinstance(description_of(meant.given).get("reset"), str):
        return None
    resets = {reset_of(n) for n in meant.flat.nodes.values() if n.kind in RESETTING_KINDS and _remembers(n, meant)}
    if not resets:
        return None
    cost = ResetCost(
        reset=resets.pop() if len(resets) == 1 else "mixed",
        said=meant.reset_said,
        reading=looks_like(meant.flat) if READINGS[meant.reading.name].literal else meant.reading.name,
    )
    if data is None or cost.reset == "mixed":
        return cost
    try:
        runs = dict(zip(RESETS, _runs(meant, data, payload_scale)))
    except NirError as error:
        return replace(cost, why_not=str(error))
    return replace(cost, **_compared(prepared(meant.flat), runs["zero"], runs["subtract"]))


def _remembers(node: Node, meant: Opened) -> bool:
    """Return whether any neuron of a node keeps some of its voltage, so that a reset has an effect."""
    return bool(np.any(float_neuron(node, meant.dt, meant.discretization).voltage_factor < 1))


def _runs(meant: Opened, data: Samples, payload_scale: float) -> Iterator[Witness]:
    """Yield the float run of a graph with each of ``RESETS``, read as its reading says but for the reset."""
    flat, repairs = flattened(meant.given, axes_go=not READINGS[meant.reading.name].literal)
    for reset in RESETS:
        graph = understood(meant.given, flat, repairs, replace(meant.reading, reset=reset), found=False)
        yield observe(with_payloads(graph.flat, data, payload_scale), data, graph.dt, graph.discretization)


def _compared(graph: Graph, zero: Witness, subtract: Witness) -> dict[str, Any]:
    outputs = [read_neuron(graph, n) for n in graph.nodes.values() if n.kind == "Output"]
    read = [name for name in outputs if name is not None]
    counted = [n for n in read if graph.nodes[n].kind in SPIKING_KINDS]
    counted = counted or [n.name for n in graph.nodes.values() if n.kind in SPIKING_KINDS]
    facts: dict[str, Any] = {
        "samples": zero.name,
        "differing": sum(int(np.count_nonzero(zero.spikes[n] != subtract.spikes[n])) for n in counted),
        "bits": sum(zero.spikes[n].size for n in counted),
    }
    if len(read) == 1:
        one, other = (_classes(graph, read[0], run) for run in (zero, subtract))
        facts |= {"classes_changed": int(np.count_nonzero(one != other)), "n_samples": len(one)}
    return facts


def _classes(graph: Graph, neuron: str, run: Witness) -> NDArray[np.int64]:
    """Return the class of each sample: the neuron with the most spikes, or of a read-out with the highest last voltage."""
    fires = graph.nodes[neuron].kind in SPIKING_KINDS
    values: NDArray[Any] = run.spikes[neuron].sum(axis=1) if fires else run.voltages[neuron][:, -1]
    best: NDArray[np.int64] = np.argmax(values, axis=1)
    return best

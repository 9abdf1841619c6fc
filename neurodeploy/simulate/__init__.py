"""Simulators: a ``Network`` and input events become an ``Activity``. No chip, no mapping, no torch.

``ENGINES`` names them: ``reference`` is the definition in plain numpy, ``event`` gives the same bits faster, ``lava`` runs
the same integers as Lava processes in a worker, and ``lava-in-process`` steps Lava's process models without its runtime.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from importlib import import_module
from typing import Any

import numpy as np
from numpy.typing import NDArray

from neurodeploy.errors import UsageError
from neurodeploy.network import Network
from neurodeploy.network.activity import Activity, Samples
from neurodeploy.simulate.dynamics import OVERFLOWS

ENGINES: Mapping[str, tuple[str, str]] = {
    "reference": ("neurodeploy.simulate.reference", "run_reference"),
    "event": ("neurodeploy.simulate.event", "run_event"),
    "lava": ("neurodeploy.simulate.lava", "run_lava"),
    "lava-in-process": ("neurodeploy.simulate.lava.in_process", "run_lava_in_process"),
}
"""Engine name -> module and function, imported on first use."""


def simulate(
    network: Network,
    samples: Samples,
    *,
    engine: str = "event",
    n_steps: int | None = None,
    probe: Sequence[tuple[str, str]] = (),
    labels: Mapping[str, NDArray[np.int32]] | None = None,
    on_overflow: str = "report",
    progress: Callable[[int, int], None] | None = None,
) -> Activity:
    """Return what the network does with the samples on one of the ``ENGINES``.

    Args:
        network: what to run.
        samples: input events; every sample starts from state 0.
        engine: name of the engine; all give the same bits.
        n_steps: steps run for each sample; by default those of the samples plus the network's depth.
        probe: pairs of a population and one of its model's ``states`` to record.
        labels: one whole number per neuron, its core, say; asks for ``Activity.updated``. Not on Lava.
        on_overflow: what to do with a state that leaves 24 bits. ``"report"``: as Lava does, where a current wraps once;
            counted in ``Activity.overflow``, except on ``lava``. ``"error"``: the same, refused; not on ``lava``, which
            does not see it. ``"wrap"``, ``"clip"``: currents, sigma and sums of convolutions wrap until they fit, or stop
            at ``+-(2**23 - 1)``; on ``reference`` and ``event``, since Lava computes neither.
        progress: called with the numbers of finished and of all samples.

    Raises:
        UsageError: for an unknown engine, or what it does not offer.
        SimulationError: for events that do not fit the network.
    """
    if engine not in ENGINES:
        raise UsageError(f"simulate: unknown engine '{engine}'; known: {', '.join(ENGINES)}")
    module, function = ENGINES[engine]
    run: Callable[..., Activity] = getattr(import_module(module), function)
    options: dict[str, Any] = {"n_steps": n_steps, "probe": probe, "progress": progress}
    if labels is not None:
        if engine.startswith("lava"):
            raise UsageError(f"simulate: engine '{engine}' counts no updated neurons; use another engine with labels")
        options["labels"] = labels
    check_offered(engine, on_overflow)
    if on_overflow != "report":
        options["on_overflow"] = on_overflow
    return run(network, samples, **options)


def check_offered(engine: str, on_overflow: str) -> None:
    """Refuse what an engine cannot do on overflow.

    Raises:
        UsageError: for an unknown choice, or one that the engine does not offer, with those that do.
    """
    if on_overflow not in OVERFLOWS:
        raise UsageError(f"simulate: on_overflow is '{on_overflow}'; known: {', '.join(OVERFLOWS)}")
    offered = {"lava": OVERFLOWS[:1], "lava-in-process": OVERFLOWS[:2]}.get(engine, OVERFLOWS)
    if on_overflow not in offered:
        why = "does not see an overflow" if on_overflow == "error" else "computes what Lava computes"
        raise UsageError(
            f"simulate: engine '{engine}' {why}, so on_overflow '{on_overflow}' is not possible; use engine reference or "
            "event"
        )

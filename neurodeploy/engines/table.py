"""``ENGINES``: one row for each simulator, and ``simulate``, which runs any of them."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

from neurodeploy.engines.dynamics import OVERFLOWS
from neurodeploy.errors import UsageError
from neurodeploy.files.lazy import named_function
from neurodeploy.network import Network
from neurodeploy.network.activity import Activity, Samples


@dataclass(frozen=True, slots=True, kw_only=True)
class Engine:
    """A simulator, and what it offers.

    Attributes:
        run: ``module:function``, imported on first use; it takes what ``simulate`` takes, as far as the engine offers it,
            and returns an ``Activity``.
        refused: choices of ``on_overflow`` that it does not offer -> why; one that refuses ``error`` sees no overflow.
        counts_updates: whether it counts updated neurons by label.
        seconds: ``module:function`` that predicts from network, samples and steps how many seconds a run takes; for an
            engine that runs in a process of its own, which then takes ``timeout_s``. None: it is fast.
    """

    run: str
    refused: Mapping[str, str] = field(default_factory=dict)
    counts_updates: bool = True
    seconds: str | None = None

    @property
    def sees_overflow(self) -> bool:
        """Whether it counts the states that leave 24 bits."""
        return "error" not in self.refused

    def predict_seconds(self, network: Network, samples: Samples, n_steps: int) -> float | None:
        """Return the seconds that a run of ``n_steps`` for each sample will take, None where it is not worth saying."""
        if self.seconds is None:
            return None
        return float(named_function(self.seconds)(network, samples, n_steps))


_AS_LAVA = "computes what Lava computes"
ENGINES: dict[str, Engine] = {
    "reference": Engine(run="neurodeploy.engines.reference:run_reference"),
    "event": Engine(run="neurodeploy.engines.event.run:run_event"),
    "lava": Engine(
        run="neurodeploy.engines.lava.runtime:run_lava",
        refused={"error": "does not see an overflow", "wrap": _AS_LAVA, "clip": _AS_LAVA},
        counts_updates=False,
        seconds="neurodeploy.engines.lava.timing:predict_seconds",
    ),
    "lava-in-process": Engine(
        run="neurodeploy.engines.lava.in_process:run_lava_in_process",
        refused={"wrap": _AS_LAVA, "clip": _AS_LAVA},
        counts_updates=False,
    ),
}
"""Engines by name. A row that another package adds is one as good as these."""


def simulate(
    network: Network,
    samples: Samples,
    *,
    engine: str = "event",
    n_steps: int | None = None,
    probe: Sequence[tuple[str, str]] = (),
    labels: Mapping[str, NDArray[np.int32]] | None = None,
    on_overflow: str = "report",
    timeout_s: float | None = None,
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
        timeout_s: time limit in seconds of an engine in a process of its own (``lava``); by default far above the time
            that it is predicted to take.
        progress: called with the numbers of finished and of all samples.

    Raises:
        UsageError: for an unknown engine, or what it does not offer.
        SimulationError: for events that do not fit the network.
    """
    chosen = find_engine(engine)
    options: dict[str, Any] = {"n_steps": n_steps, "probe": probe, "progress": progress}
    if labels is not None:
        if not chosen.counts_updates:
            raise UsageError(f"simulate: engine '{engine}' counts no updated neurons; use another engine with labels")
        options["labels"] = labels
    check_offered(engine, on_overflow)
    if on_overflow != "report":
        options["on_overflow"] = on_overflow
    if timeout_s is not None and chosen.seconds is not None:
        options["timeout_s"] = timeout_s
    activity: Activity = named_function(chosen.run)(network, samples, **options)
    return activity


def check_offered(engine: str, on_overflow: str) -> None:
    """Refuse what an engine cannot do on overflow.

    Raises:
        UsageError: for an unknown choice, or one that the engine does not offer, with those that do.
    """
    if on_overflow not in OVERFLOWS:
        raise UsageError(f"simulate: on_overflow is '{on_overflow}'; known: {', '.join(OVERFLOWS)}")
    why = ENGINES[engine].refused.get(on_overflow) if engine in ENGINES else None
    if why is not None:
        raise UsageError(
            f"simulate: engine '{engine}' {why}, so on_overflow '{on_overflow}' is not possible; use engine reference or "
            "event"
        )


def find_engine(name: str) -> Engine:
    """Return the row of an engine; raises ``UsageError`` with the known names where there is none."""
    if name not in ENGINES:
        raise UsageError(f"simulate: unknown engine '{name}'; known: {', '.join(ENGINES)}")
    return ENGINES[name]

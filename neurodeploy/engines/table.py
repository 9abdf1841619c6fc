"""The table ``ENGINES`` of simulators, and the function ``simulate``, which runs any of them."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from neurodeploy.engines.dynamics import OVERFLOWS
from neurodeploy.errors import UsageError, check_type
from neurodeploy.files.lazy import named_function
from neurodeploy.network import Network
from neurodeploy.network.activity import Activity, Samples


@dataclass(frozen=True, slots=True, kw_only=True)
class Engine:
    """A simulator and the features that it offers.

    Attributes:
        run: ``module:function``, imported on first use. It takes the arguments of ``simulate`` for the features that the
            engine offers, and returns an ``Activity``.
        refused: choices of ``on_overflow`` that the engine does not offer -> reason. An engine that refuses ``error``
            cannot see overflows.
        counts_updates: whether the engine counts updated neurons by label.
        seconds: ``module:function`` that predicts the seconds of a run from network, samples and steps, for an engine that
            runs in a separate process and takes ``timeout_s``; None for fast engines.
        partial: whether the engine expresses only some networks; it refuses the others with a ``SimulationError``.
    """

    run: str
    refused: Mapping[str, str] = field(default_factory=dict)
    counts_updates: bool = True
    seconds: str | None = None
    partial: bool = False

    @property
    def sees_overflow(self) -> bool:
        """Whether the engine counts the states that leave 24 bits."""
        return "error" not in self.refused

    def predict_seconds(self, network: Network, samples: Samples, n_steps: int) -> float | None:
        """Return the predicted seconds of a run with ``n_steps`` for each sample, None for fast engines."""
        if self.seconds is None:
            return None
        return float(named_function(self.seconds)(network, samples, n_steps))


_AS_LAVA = "computes what Lava computes"
_NO_OVERFLOW = "refuses every overflow"
ENGINES: dict[str, Engine] = {
    "reference": Engine(run="neurodeploy.engines.reference:run_reference"),
    "event": Engine(run="neurodeploy.engines.fastest:run_fastest"),
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
    "brian2-loihi": Engine(
        run="neurodeploy.engines.brian.run:run_brian",
        refused={"error": _NO_OVERFLOW, "wrap": _NO_OVERFLOW, "clip": _NO_OVERFLOW},
        counts_updates=False,
        seconds="neurodeploy.engines.brian.run:predict_seconds",
        partial=True,
    ),
}
"""The engines by name. Other packages may add entries."""


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
    """Run a network on samples with one of the ``ENGINES`` and return the activity.

    Args:
        network: the network to run.
        samples: input events; every sample starts from state 0.
        engine: name of the engine; all give the same bits.
        n_steps: steps run for each sample; by default the steps of the samples plus the network's depth.
        probe: states to record: pairs of a population and one of its model's ``states``.
        labels: by population, a whole number for each neuron (for example its core); asks for ``Activity.updated``. Not on
            Lava.
        on_overflow: choice for a state that leaves 24 bits. ``"report"``: as in Lava, where a current wraps once;
            counted in ``Activity.overflow``, except on ``lava``. ``"error"``: refuse the run; not on ``lava``, which
            cannot see overflows. ``"wrap"``, ``"clip"``: currents, sigma and sums of convolutions wrap until they fit, or
            are limited to ``+-(2**23 - 1)``; only on ``reference`` and ``event``, since Lava computes neither.
        timeout_s: time limit in seconds for an engine in a separate process (``lava``); by default far above the predicted
            time.
        progress: called with the numbers of finished and of all samples.

    Raises:
        UsageError: for an unknown engine, or a feature that the engine does not offer.
        SimulationError: for events that do not fit the network.
    """
    check_type("simulate", "network", network, Network, "give a Network: as_network(path)")
    check_type("simulate", "samples", samples, Samples, "give Samples: load_samples(path)")
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
    return activity if activity.engine == engine else replace(activity, engine=engine)


def check_offered(engine: str, on_overflow: str) -> None:
    """Refuse a choice for overflows that an engine does not offer.

    Raises:
        UsageError: for an unknown choice, or a choice that the engine does not offer; names the engines that do.
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
    """Return the entry of an engine; raises ``UsageError`` with the known names if there is none."""
    if name not in ENGINES:
        raise UsageError(f"simulate: unknown engine '{name}'; known: {', '.join(ENGINES)}")
    return ENGINES[name]

"""From names and parameters of a NIR file to the framework whose exporter wrote it, or None where that is not safe.

The rules are those that hold for every file in ``files`` and that no other file there fulfils. They look at what the
exporters cannot help writing: names that they give to nodes, relations between time constants and gains, number types.
A file that says itself what it is, by metadata of this package, is not for these rules.
"""

from __future__ import annotations

import re
from typing import Any

import numpy as np
from conventions import File, steps_of

SPYX = re.compile(r"(input|output|layer_\d+(_threshold)?|layer_\d+\.layer_\d+\.(input|output|lif|w_rec))$")
ROCKPOOL = re.compile(r"(^|[_.\d])(LIFTorch|LIFNeuronTorch|LIFBitshiftTorch|ExpSynTorch|LinearTorch)$")
NEURONS = ("CubaLIF", "LIF", "IF", "LI")
_SAME = 1e-5


def recognised(file: File) -> str | None:
    """Return the name of the framework, or None."""
    neurons = file.of(*NEURONS)
    if not neurons:
        return None
    for name, rule in RULES.items():
        if rule(file, neurons):
            return name
    return None


def _spyx(file: File, neurons: list[str]) -> bool:
    """Nodes are ``layer_N``, and ``r = 1 - dt/tau`` with one ``dt`` (of an IF ``r = 1``, of an LI, which precedes a
    Threshold, too)."""
    if not all(SPYX.match(name) for name in file.types):
        return False
    firing = [n for n in neurons if file.types[n] in ("LIF", "CubaLIF")]
    if not firing:
        return all(np.all(_field(file, n, "r") == 1) for n in neurons)
    with np.errstate(invalid="ignore"):
        steps = np.concatenate([np.ravel(_tau(file, n) * (1 - _field(file, n, "r"))) for n in firing])
    steps = steps[np.isfinite(steps)]
    return bool(steps.size and np.all(steps > 0) and _alike(steps))


def _rockpool(file: File, _neurons: list[str]) -> bool:
    """A module's class is in its name; or ``r = (tau/dt) exp(-dt/tau)`` with a round ``dt``, where ``tau/r`` is none."""
    if any(ROCKPOOL.search(name) for name in file.types):
        return True
    step = steps_of(file).get("lambert")
    cuba = file.of("CubaLIF")
    if step is None or not cuba or any(np.any(_field(file, n, "w_in", 1.0) != 1) for n in cuba):
        return False
    return _round(step) and not _round(steps_of(file).get("ratio", 0.123456789))


def _norse(file: File, neurons: list[str]) -> bool:
    """All gains are 1, single precision, and Input has a batch axis of 1, which no layer behind it takes."""
    if not _gains_of_one(file, neurons) or any(np.asarray(file.fields[n]["r"]).dtype != np.float32 for n in neurons):
        return False
    taus = [np.ravel(_tau(file, n)) for n in neurons if file.types[n] != "IF"]
    fast = not taus or bool(np.concatenate(taus).max() < 1e-3)
    shape = _entry(file)
    return fast and len(shape) in (2, 4) and shape[0] == 1 and _has_zero_bias(file)


def _sinabs(file: File, neurons: list[str]) -> bool:
    """All gains are 1, in steps (``tau`` of 1 and more), no CubaLIF; an IF alone is recognised by missing ``v_reset``."""
    if not _gains_of_one(file, neurons) or file.of("CubaLIF") or not _has_zero_bias(file):
        return False
    taus = [np.ravel(_tau(file, n)) for n in neurons if file.types[n] != "IF"]
    if taus:
        return bool(np.concatenate(taus).min() >= 1)
    return all("v_reset" not in file.fields[n] for n in neurons)


def _spikingjelly(file: File, neurons: list[str]) -> bool:
    """Double precision, equal for all neurons of a node, and an Input named as torch.fx names it."""
    names = ("tau", "tau_mem", "tau_syn", "r", "v_threshold", "v_reset", "v_leak", "w_in")
    arrays = [np.asarray(file.fields[n][k]) for n in neurons for k in names if k in file.fields[n]]
    if any(a.dtype != np.float64 or not a.ndim or np.ptp(a) for a in arrays):
        return False
    if not {"input_1", "x"} & set(file.types) or not all("v_reset" in file.fields[n] for n in neurons) or file.of("LI"):
        return False
    steps = steps_of(file)
    if file.of("IF"):
        return steps.get("IF", 1.0) < 1
    one = all(np.all(_field(file, n, "r") == 1) for n in neurons)
    return one or steps.get("ratio", 1.0) < 1


def _snntorch(file: File, neurons: list[str]) -> bool:
    """``tau = 1e-4 r`` and ``tau_syn = 1e-4 w_in`` everywhere, ``v_leak`` 0, Input ``input`` and Output ``output``."""
    if not {"input", "output"} <= set(file.types) or any(file.types[n] in ("IF", "LI") for n in neurons):
        return False
    ratios = [_tau(file, n) / _field(file, n, "r") for n in neurons]
    ratios += [_field(file, n, "tau_syn") / _field(file, n, "w_in", 1.0) for n in file.of("CubaLIF")]
    flat = np.concatenate([np.ravel(r) for r in ratios])
    return bool(np.all(np.abs(flat / 1e-4 - 1) < _SAME)) and all(
        np.all(_field(file, n, "v_leak") == 0) for n in neurons
    )


RULES = {
    "rockpool": _rockpool,
    "spyx": _spyx,
    "spikingjelly": _spikingjelly,
    "norse": _norse,
    "sinabs": _sinabs,
    "snntorch": _snntorch,
}


def _field(file: File, name: str, field: str, default: float | None = None) -> Any:
    values = file.fields[name]
    return np.asarray(values[field] if default is None or field in values else default, np.float64)


def _tau(file: File, name: str) -> Any:
    return _field(file, name, "tau_mem" if "tau_mem" in file.fields[name] else "tau")


def _alike(values: Any) -> bool:
    return bool(np.ptp(values) <= _SAME * np.abs(values).max())


def _round(value: float) -> bool:
    """Return whether a number is one of two digits, as people write a step."""
    return abs(value / float(f"{value:.2g}") - 1) < _SAME


def _gains_of_one(file: File, neurons: list[str]) -> bool:
    gains = [np.ravel(_field(file, n, "r")) for n in neurons] + [
        np.ravel(_field(file, n, "w_in", 1.0)) for n in neurons
    ]
    return bool(np.all(np.concatenate(gains) == 1))


def _entry(file: File) -> tuple[int, ...]:
    (name,) = (n for n in file.of("Input") if not any(b == n for _, b in file.edges))
    return tuple(int(n) for n in file.fields[name]["shape"])


def _has_zero_bias(file: File) -> bool:
    """Both Norse and sinabs write an Affine for each Linear, with zeros where there is no bias."""
    return not file.of("Linear")

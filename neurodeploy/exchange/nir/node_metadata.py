"""What neurodeploy records in the metadata of single nodes, because NIR has no field for it and spikes depend on it.

A neuron that subtracts its threshold when it fires has ``{"reset": "subtract"}``, one that fires at the threshold as well
``{"fires": "at"}``, an Input whose events carry payloads ``{"payload_bits": 8, "signed": False, "scale": 0.25}``, all under
``neurodeploy``. A neuron without an entry fires above the threshold and resets to ``v_reset``, an Input without one takes
plain spikes. The entry stands at the node, so that it stays there when the node is renamed or the graph around it changes.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any, Literal, TypeAlias

import numpy as np

from neurodeploy.errors import NetworkError, NirError
from neurodeploy.exchange.nir.graph import Node
from neurodeploy.network import Cuba, Input, Population, Shape

Reset: TypeAlias = Literal["zero", "subtract"]

KEY = "neurodeploy"
"""Key of neurodeploy's entry in the metadata of a graph or a node."""
RESETS: tuple[Reset, ...] = ("zero", "subtract")
REST = {KEY: {"holds": "rest of a reset"}}
"""Metadata of a Scale that holds what a neuron has to take off besides its reset (``readings.with_late_resets``)."""
FIRES = ("above", "at")
"""Whether a neuron fires above its threshold, as NIR and the chip have it, or at it as well."""
RESETTING_KINDS = ("CubaLIF", "LIF", "IF")
"""Kinds of nodes that NIR resets after a spike."""
INPUT_KEYS = ("payload_bits", "signed", "scale")
LARGEST_INVERSE = (2**24 - 1) // 255
"""Largest whole number ``n`` for which all weights of a projection, times ``n``, are exact in float32: 65793."""


def entry_of(node: Node) -> Mapping[str, Any]:
    """Return neurodeploy's entry in the metadata of a node, empty if there is none.

    Raises:
        NirError: if something else stands in its place.
    """
    found = node.metadata.get(KEY, {})
    if not isinstance(found, Mapping):
        raise NirError(f"{_where(node)} is no group of values; remove it, or write the file again")
    return found


def neuron_entry(population: Population) -> dict[str, Any]:
    """Return the entry for the node of a population, empty where plain NIR says everything."""
    subtracts = isinstance(population.model, Cuba) and population.model.reset == "subtract"
    return {"reset": "subtract"} if subtracts else {}


def input_entry(given: Input) -> dict[str, Any]:
    """Return the entry for an Input node, empty for plain spikes."""
    return {name: getattr(given, name) for name in INPUT_KEYS} if given.graded else {}


def reset_of(node: Node) -> Reset:
    """Return what a spike does to the voltage of a neuron node: set it to ``v_reset``, or subtract the threshold.

    Raises:
        NirError: for an entry that is no reset, or that stands at a node without one.
    """
    own = entry_of(node)
    _refuse_unknown(node, {key: value for key, value in own.items() if key != "fires"}, ("reset",))
    reset = own.get("reset", "zero")
    if not isinstance(reset, str) or reset not in RESETS:
        raise NirError(f"{_where(node)}: reset is {reset!r}; known: {', '.join(RESETS)}")
    if reset == "zero":
        return "zero"
    if node.kind not in RESETTING_KINDS:
        raise NirError(
            f"{_where(node)} says reset='subtract', but only {', '.join(RESETTING_KINDS)} have a reset; remove it"
        )
    v_reset = np.asarray(node.fields.get("v_reset", 0))
    if np.any(v_reset != 0):
        raise NirError(
            f"nir: node '{node.name}' ({node.kind}): v_reset is {v_reset[v_reset != 0].flat[0]}, but the neuron resets by "
            "subtraction, which sets no value; set v_reset to 0"
        )
    return "subtract"


def is_rest(node: Node) -> bool:
    """Return whether a node holds what a neuron has to take off besides its reset."""
    return node.kind == "Scale" and dict(entry_of(node)) == REST[KEY]


def fires_at(node: Node) -> bool:
    """Return whether a neuron node fires at its threshold as well, as its exporter means it, and not only above it.

    Raises:
        NirError: for an entry that says something else.
    """
    fires = entry_of(node).get("fires", "above")
    if not isinstance(fires, str) or fires not in FIRES:
        raise NirError(f"{_where(node)}: fires is {fires!r}; known: {', '.join(FIRES)}")
    return fires == "at"


def input_of(node: Node, shape: Shape) -> Input:
    """Return the input that an Input node of ``shape`` stands for, with its payloads.

    Raises:
        NirError: for an entry that describes no payloads.
    """
    own = entry_of(node)
    _refuse_unknown(node, own, INPUT_KEYS)
    signed, scale = own.get("signed", False), own.get("scale", 1.0)
    if not isinstance(signed, bool | np.bool_) or not isinstance(scale, int | float | np.number):
        raise NirError(f"{_where(node)}: signed is {signed!r} and scale {scale!r}, expected a truth value and a number")
    try:
        return Input(
            name=node.name,
            shape=shape,
            payload_bits=own.get("payload_bits", 0),
            signed=bool(signed),
            scale=float(scale),
        )
    except (NetworkError, TypeError, ValueError) as error:
        raise NirError(f"{_where(node)}: {error}") from error


def exact_inverse(scale: float) -> float | None:
    """Return ``1/scale`` if it is a whole number below 2**24 times a power of two, else None.

    Weights times such a number, and divided by it again, are exact in float64.

    >>> exact_inverse(1 / 255), exact_inverse(0.25), exact_inverse(0.3)
    (255.0, 4.0, None)
    """
    inverse = 1.0 / scale
    if not math.isfinite(inverse):
        return None
    mantissa, exponent = math.frexp(inverse)
    for bits in range(1, 25):
        found = math.ldexp(round(math.ldexp(mantissa, bits)), exponent - bits)
        if found > 0 and 1.0 / found == scale:
            return found
    return None


def _refuse_unknown(node: Node, own: Mapping[str, Any], known: tuple[str, ...]) -> None:
    unknown = sorted(set(own) - set(known))
    if unknown:
        raise NirError(
            f"{_where(node)} holds {', '.join(unknown)}; at this node only {', '.join(known)} has a meaning. Remove the "
            "others, or read the file with the version of neurodeploy that wrote it"
        )


def _where(node: Node) -> str:
    return f"nir: node '{node.name}' ({node.kind}): its metadata '{KEY}'"

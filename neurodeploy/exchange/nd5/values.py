"""Records of a ``Network`` as plain values for the header of a file, with their arrays apart, by the types of their fields.

A field that a record gains later is written and read without a change here; where it has a default, older files mean that.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import MISSING, dataclass, fields
from types import UnionType
from typing import Any, Literal, Union, get_args, get_origin, get_type_hints

import numpy as np
from numpy.typing import NDArray

from neurodeploy.errors import FileError, NetworkError
from neurodeploy.exchange.nd5.layout import AGAIN
from neurodeploy.network import Approximation, Conv, Dense, Input, Output, Pool, Population, Projection, Shape, Sparse
from neurodeploy.network.neurons import NEURON_KINDS

SECTIONS: dict[str, type[Any]] = {
    "inputs": Input,
    "populations": Population,
    "projections": Projection,
    "outputs": Output,
    "ledger": Approximation,
}
"""Fields of a ``Network`` that hold records; beside them it has ``dt`` alone."""
KINDS: dict[str, Mapping[str, type[Any]]] = {
    "model": NEURON_KINDS,
    "synapses": {kind.kind: kind for kind in (Dense, Sparse, Conv, Pool)},
}
"""Fields of records that hold a record of one of several kinds: the kinds by name."""
_WORDS = {bool: "true or false", int: "a whole number", float: "a number", str: "text", type(None): "null"}


@dataclass(frozen=True, slots=True)
class InFile:
    """An array whose numbers lie in a dataset of their own; the header holds the shape."""

    shape: Shape


@dataclass(frozen=True, slots=True)
class Values:
    """Checked values of a record: ``kind`` is its class; of ``fields`` arrays are ``InFile`` and records are ``Values``."""

    kind: type[Any]
    fields: dict[str, Any]

    def __getitem__(self, name: str) -> Any:
        return self.fields[name]

    def arrays(self) -> Iterator[tuple[str, np.dtype[Any], Shape]]:
        """Yield name, type and shape of each array, also of a record inside."""
        for name, value in self.fields.items():
            if isinstance(value, Values):
                yield from value.arrays()
            elif isinstance(value, InFile):
                yield name, array_type(types_of(self.kind)[name]), value.shape

    def record(self, arrays: Mapping[str, NDArray[Any]]) -> Any:
        """Return the record with its arrays.

        Raises:
            NetworkError: for values that the record refuses.
        """
        inside = {name: value.record(arrays) for name, value in self.fields.items() if isinstance(value, Values)}
        own = {name: arrays[name] for name, value in self.fields.items() if isinstance(value, InFile)}
        return self.kind(**{**self.fields, **inside, **own})


def types_of(kind: type[Any]) -> dict[str, Any]:
    """Return the type of each field of a record, in order."""
    if kind not in _TYPES:
        hints = get_type_hints(kind)
        _TYPES[kind] = {f.name: hints[f.name] for f in fields(kind)}
    return _TYPES[kind]


_TYPES: dict[type[Any], dict[str, Any]] = {}
"""Results of ``types_of``, which is asked for every record of a file."""


def array_type(hint: Any) -> np.dtype[Any]:
    """Return the type of the numbers of a field that may hold an array.

    >>> array_type(Union[int, NDArray[np.int32]])
    dtype('int32')
    """
    (found,) = (get_args(part) for part in _choices(hint) if _holds_arrays(part))
    return np.dtype(get_args(found[1])[0] if len(found) > 1 else found[0])


def described(record: Any, where: str) -> dict[str, Any]:
    """Return a record as plain values; an array is ``{"shape": [...]}``, a record inside has its ``kind`` first.

    Raises:
        NetworkError: for a value that is not of the field's type; ``where`` begins the message.
    """
    found: dict[str, Any] = {}
    for name, hint in types_of(type(record)).items():
        value = getattr(record, name)
        if name in KINDS:
            found[name] = {"kind": value.kind, **described(value, where)}
        else:
            found[name] = plain(value, hint, f"{where}: {name}")
    return found


def plain(value: Any, hint: Any, where: str) -> Any:
    """Return the value of a field as the header holds it.

    Raises:
        NetworkError: for a value that is not of the field's type.
    """
    made = _plain(value, hint)
    if not _fits(made, hint):
        raise NetworkError(f"{where} is {value!r}, but must be {_expected(hint)} to be written")
    return made


def arrays_of(record: Any) -> Iterator[tuple[str, NDArray[Any]]]:
    """Yield the arrays of a record by name, also of a record inside."""
    for name, hint in types_of(type(record)).items():
        value = getattr(record, name)
        if name in KINDS:
            yield from arrays_of(value)
        elif _is_array(value, hint):
            yield name, value


def values_of(kind: type[Any], entry: Any, where: str) -> Values:
    """Return the checked values of a record in the header.

    Raises:
        FileError: for keys that are missing or not known, and values of another type; ``where`` begins the message.
    """
    if not isinstance(entry, dict):
        raise FileError(f"{where} is no table of values; {AGAIN}")
    types = types_of(kind)
    unknown = [name for name in entry if name not in types]
    if unknown:
        raise FileError(
            f"{where} has '{unknown[0]}', which this version of neurodeploy does not know (known: {', '.join(types)}); "
            "update neurodeploy, or export the network again"
        )
    optional = {f.name for f in fields(kind) if f.default is not MISSING}
    missing = [name for name in types if name not in entry and name not in optional]
    if missing:
        raise FileError(f"{where} lacks '{missing[0]}'; {AGAIN}")
    return Values(kind, {name: _value(name, entry[name], types[name], where) for name in types if name in entry})


def number(value: Any, where: str) -> float:
    """Return a number of the header; a whole number stays one.

    Raises:
        FileError: for anything else.
    """
    found: float = _value("dt", value, float, where)
    return found


def _value(name: str, value: Any, hint: Any, where: str) -> Any:
    if name in KINDS:
        return _inside(name, value, where)
    if not _fits(value, hint):
        raise FileError(f"{where}: {name} is {_short(value)}, expected {_expected(hint)}; {AGAIN}")
    if isinstance(value, dict):
        return InFile(tuple(value["shape"]))
    return tuple(value) if isinstance(value, list) else value


def _inside(name: str, value: Any, where: str) -> Values:
    kind = value.get("kind") if isinstance(value, dict) else None
    if not isinstance(kind, str) or kind not in KINDS[name]:
        raise FileError(
            f"{where}: {name} is of kind {_short(kind)}; known: {', '.join(KINDS[name])}; update neurodeploy, or export "
            "the network again"
        )
    return values_of(KINDS[name][kind], {key: v for key, v in value.items() if key != "kind"}, f"{where}: {name}")


def _plain(value: Any, hint: Any) -> Any:
    if _is_array(value, hint):
        return {"shape": list(value.shape)}
    if get_origin(hint) is tuple and isinstance(value, tuple | list | np.ndarray):
        return [_plain(n, int) for n in value]
    if isinstance(value, np.integer | np.bool_ | np.float64):  # the fingerprint tells other floats from these
        value = value.item()
    return bool(value) if hint is bool and isinstance(value, int) and value in (0, 1) else value


def _is_array(value: Any, hint: Any) -> bool:
    return isinstance(value, np.ndarray) and get_origin(hint) is not tuple


def _fits(value: Any, hint: Any) -> bool:
    """Return whether a value of the header is of a field's type."""
    origin, choices = get_origin(hint), _choices(hint)
    if len(choices) > 1:
        return any(_fits(value, choice) for choice in choices)
    if origin is Literal:
        return isinstance(value, str) and value in get_args(hint)
    if _holds_arrays(hint):
        return isinstance(value, dict) and value.keys() == {"shape"} and _fits(value["shape"], Shape)
    if origin is tuple:
        sizes = get_args(hint)
        whole = isinstance(value, list) and all(type(n) is int and n >= 0 for n in value)
        return whole and (sizes[-1] is ... or len(sizes) == len(value))
    if hint is str:
        return isinstance(value, str) and not any("\ud800" <= letter <= "\udfff" for letter in value)
    return type(value) is hint or (hint is float and type(value) is int)


def _holds_arrays(hint: Any) -> bool:
    """Return whether a type is ``NDArray[...]``: ``ndarray[shape, dtype[...]]``, from numpy 2.5 on an alias of its own."""
    return get_origin(hint) in (np.ndarray, NDArray)


def _choices(hint: Any) -> tuple[Any, ...]:
    return get_args(hint) if get_origin(hint) in (Union, UnionType) else (hint,)


def _expected(hint: Any) -> str:
    origin, choices = get_origin(hint), _choices(hint)
    if len(choices) > 1:
        return " or ".join(map(_expected, choices))
    if origin is Literal:
        return " or ".join(f"'{word}'" for word in get_args(hint))
    if _holds_arrays(hint):
        return 'an array ({"shape": [...]})'
    return "a list of whole numbers" if origin is tuple else _WORDS[hint]


def _short(value: Any) -> str:
    text = " ".join(repr(value).split())
    return text if len(text) < 60 else text[:57] + "..."

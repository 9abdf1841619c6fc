"""Compiled loops: numba's compiler with a cache that is never a condition, whether it is absent, full, locked or damaged.

numba keeps a loop until its own file changes. The code of a loop also holds the loops that it calls and constants from other
files, so here it is kept until one of those changes.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Callable, Iterator, Mapping
from contextlib import suppress
from functools import cache
from types import ModuleType
from typing import Any, TypeVar

import numba
from numba.core.dispatcher import Dispatcher
from numba.core.extending import _Intrinsic

from neurodeploy.files.progress import compiling

F = TypeVar("F", bound=Callable[..., Any])


def compiled(**options: Any) -> Callable[[F], F]:
    """Return a decorator as ``numba.njit(cache=True, **options)``; where no cache works, each process compiles."""

    def decorate(function: F) -> F:
        try:
            loop = numba.njit(cache=True, **options)(function)
        except RuntimeError:  # no folder for a cache: an installation that is read-only, and no home
            return numba.njit(**options)(function)  # type: ignore[no-any-return]
        kept = loop._cache._cache_file
        kept._source_stamp = (kept._source_stamp, *sorted(_outside(function.__module__, function.__globals__)))
        loop._cache = _Cache(loop._cache)
        return loop  # type: ignore[no-any-return]

    return decorate


def _outside(module: str, names: Mapping[str, Any]) -> Iterator[str]:
    """Yield what loops of a module depend on: files of the loops and intrinsics that it names, and the constants in it."""
    for name, value in list(names.items()):
        if isinstance(value, int | float | complex) and not name.startswith("__"):
            yield f"{module}.{name} = {value!r}"
        elif isinstance(value, ModuleType) and any(map(_is_loop, vars(value).values())):
            yield from _of_module(value.__name__)
        elif _is_loop(value) and value.__module__ != module:
            yield from _of_module(value.__module__)


@cache
def _of_module(module: str) -> tuple[str, ...]:
    """Return the state of a module's file, and what its loops depend on."""
    found = sys.modules.get(module)
    path = getattr(found, "__file__", None)
    if found is None or path is None or module.partition(".")[0] == "numba":
        return ()
    state = os.stat(path)
    return (f"{module} {state.st_mtime_ns} {state.st_size}", *_outside(module, vars(found)))


def _is_loop(value: Any) -> bool:
    return isinstance(value, Dispatcher | _Intrinsic)


def instruction_set() -> str:
    """Return the vector instructions that compiled loops use here: ``avx512``, ``avx2``, or the processor's name."""
    from numba.core.registry import cpu_target

    _, name, features = cpu_target.target_context.codegen().magic_tuple()
    if "+avx512f" in features.split(","):
        return "avx512"
    return "avx2" if name == "x86-64-v3" or "+avx2" in features.split(",") else str(name)


class _Cache:
    """A cache of numba whose faults are the same as an empty one."""

    def __init__(self, cache: Any) -> None:
        self._cache = cache

    def load_overload(self, signature: Any, context: Any) -> Any:
        """Return a compiled function, None where it is not there or cannot be read."""
        found = None
        with suppress(Exception):  # whatever a damaged pickle raises
            found = self._cache.load_overload(signature, context)
        if found is None and (tell := compiling.get()) is not None:
            tell()
        return found

    def save_overload(self, signature: Any, result: Any) -> None:
        """Keep a compiled function, where that is possible; an index that cannot be read is replaced."""
        try:
            self._cache.save_overload(signature, result)
        except Exception:  # a full disk, a folder that is read-only, or a damaged index
            with suppress(Exception):
                self._cache.flush()
                self._cache.save_overload(signature, result)

    def __getattr__(self, name: str) -> Any:
        return getattr(self._cache, name)

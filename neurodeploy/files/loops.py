"""Compiled loops: numba's compiler with a cache that is never a condition, whether it is absent, full, locked or damaged."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import suppress
from typing import Any, TypeVar

import numba

from neurodeploy.files.progress import compiling

F = TypeVar("F", bound=Callable[..., Any])


def compiled(**options: Any) -> Callable[[F], F]:
    """Return a decorator as ``numba.njit(cache=True, **options)``; where no cache works, each process compiles."""

    def decorate(function: F) -> F:
        try:
            loop = numba.njit(cache=True, **options)(function)
        except RuntimeError:  # no folder for a cache: an installation that is read-only, and no home
            return numba.njit(**options)(function)  # type: ignore[no-any-return]
        loop._cache = _Cache(loop._cache)
        return loop  # type: ignore[no-any-return]

    return decorate


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

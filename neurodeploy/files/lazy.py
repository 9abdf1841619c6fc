"""Names that load on first use: functions of tables that name heavy modules, and the names of a room."""

from __future__ import annotations

import sys
from collections.abc import Callable, Mapping
from contextlib import nullcontext
from importlib import import_module
from types import ModuleType
from typing import Any

from neurodeploy.errors import needing


def named_function(reference: str) -> Callable[..., Any]:
    """Return the function that ``module:function`` names.

    Raises:
        ImportError: if there is no such module.
        AttributeError: if the module has no such function.
    """
    module, _, function = reference.partition(":")
    found: Callable[..., Any] = getattr(import_module(module), function)
    return found


def hand_on_at_first_use(room: str, home: Mapping[str, str], *, extra: str = "") -> None:
    """Make a room hand on names of its modules when they are first used.

    Args:
        room: the dotted name of the room, from whose ``__init__`` this is called.
        home: for each module of the room the names from it, with spaces between. A name may be that of a module of the
            room too: in the room it is the name, never the module.
        extra: the extra whose packages a module may need; where one is missing, using the name says so.
    """
    module = sys.modules[room]
    module.__dict__["_module_of"] = {name: f"{room}.{own}" for own, names in home.items() for name in names.split()}
    module.__dict__["_extra"] = extra
    module.__class__ = _Room


class _Room(ModuleType):
    """A room whose names load on first use."""

    _module_of: Mapping[str, str]
    _extra: str

    def __getattr__(self, name: str) -> Any:
        if name not in self._module_of:
            raise AttributeError(f"module '{self.__name__}' has no attribute '{name}'")
        with needing(name, self._extra) if self._extra else nullcontext():
            value = getattr(import_module(self._module_of[name]), name)
        setattr(self, name, value)
        return value

    def __setattr__(self, name: str, value: Any) -> None:
        # Python sets a module of the room here once it is imported
        if not (isinstance(value, ModuleType) and name in self._module_of):
            super().__setattr__(name, value)

    def __dir__(self) -> list[str]:
        return sorted(self.__all__)

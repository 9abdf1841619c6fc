"""Networks in and out: NIR and lava-dl files. Names load on first use, so importing this package stays cheap."""

from __future__ import annotations

import sys
from importlib import import_module
from types import ModuleType
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from neurodeploy.exchange.check import CheckReport, NodeVerdict, check_nir
    from neurodeploy.exchange.diff import NirDifference, diff_nir
    from neurodeploy.exchange.draw import draw_nir
    from neurodeploy.exchange.from_netx import from_netx
    from neurodeploy.exchange.from_nir import from_nir
    from neurodeploy.exchange.interpreter import Interpretation, interpret
    from neurodeploy.exchange.to_netx import to_netx
    from neurodeploy.exchange.to_nir import to_nir

_HOME = {
    "CheckReport": "check",
    "NodeVerdict": "check",
    "NirDifference": "diff",
    "check_nir": "check",
    "diff_nir": "diff",
    "draw_nir": "draw",
    "from_netx": "from_netx",
    "from_nir": "from_nir",
    "Interpretation": "interpreter",
    "interpret": "interpreter",
    "to_netx": "to_netx",
    "to_nir": "to_nir",
}

__all__ = [
    "CheckReport",
    "Interpretation",
    "NirDifference",
    "NodeVerdict",
    "check_nir",
    "diff_nir",
    "draw_nir",
    "from_netx",
    "from_nir",
    "interpret",
    "to_netx",
    "to_nir",
]


class _Package(ModuleType):
    """Keeps ``to_nir`` and the like the functions; the import system would put the submodules of these names there."""

    def __setattr__(self, name: str, value: Any) -> None:
        if not (name in _HOME and isinstance(value, ModuleType)):
            super().__setattr__(name, value)


sys.modules[__name__].__class__ = _Package


def __getattr__(name: str) -> Any:
    if name not in _HOME:
        raise AttributeError(f"module 'neurodeploy.exchange' has no attribute '{name}'")
    value = getattr(import_module(f"neurodeploy.exchange.{_HOME[name]}"), name)
    globals()[name] = value
    return value

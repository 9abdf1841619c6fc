"""Functions by name, imported on first use, for tables that name heavy modules or modules with optional packages."""

from __future__ import annotations

from collections.abc import Callable
from importlib import import_module
from typing import Any


def named_function(reference: str) -> Callable[..., Any]:
    """Return the function that ``module:function`` names.

    Raises:
        ImportError: if there is no such module.
        AttributeError: if the module has no such function.
    """
    module, _, function = reference.partition(":")
    found: Callable[..., Any] = getattr(import_module(module), function)
    return found

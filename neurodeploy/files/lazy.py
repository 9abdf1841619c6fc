"""Functions by name, imported on first use: tables name modules that are heavy, or need what is not installed."""

from __future__ import annotations

from collections.abc import Callable
from importlib import import_module
from typing import Any


def named_function(reference: str) -> Callable[..., Any]:
    """Return the function that ``module:function`` names.

    Raises:
        ImportError: where there is no such module.
        AttributeError: where the module has no such function.
    """
    module, _, function = reference.partition(":")
    found: Callable[..., Any] = getattr(import_module(module), function)
    return found

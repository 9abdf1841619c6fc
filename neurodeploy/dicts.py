"""The standard library's abstract ``Mapping`` as ``ReadOnlyDict``: ``Mapping`` here means a network mapped onto a chip."""

from collections.abc import Mapping

ReadOnlyDict = Mapping
"""A dict that is only read."""

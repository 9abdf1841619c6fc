"""``ReadOnlyDict``, the standard library's ``Mapping``, a word that means a network mapped onto a chip here."""

from collections.abc import Mapping

ReadOnlyDict = Mapping
"""A dict that is only read."""

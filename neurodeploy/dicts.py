"""``ReadOnlyDict``: what the standard library calls ``Mapping``, a word that is taken here for a network on a chip."""

from collections.abc import Mapping

ReadOnlyDict = Mapping
"""A dict that is only read."""

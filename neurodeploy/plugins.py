"""Rows that other packages add to the tables: engines, methods, data sets, file formats, targets, memory rules.

A package names a module of its own under the entry point group ``neurodeploy.plugins``; importing that module adds the
rows (``neurodeploy.engines.ENGINES["mine"] = ...``). The command line loads all of them before it runs; in Python an
``import`` of the package, or ``load_plugins``, does the same. Chips need none of this: they are files
(``neurodeploy.chip.files``). Worked examples: ``docs/growing.md``.
"""

from __future__ import annotations

from importlib.metadata import entry_points

from neurodeploy.errors import UsageError

GROUP = "neurodeploy.plugins"
"""The group of entry points."""


def load_plugins() -> list[str]:
    """Import the module that each installed package names, and return the names of their entry points.

    Raises:
        UsageError: where one cannot be imported; names the package and the module.
    """
    loaded = []
    for point in entry_points(group=GROUP):
        try:
            point.load()
        except Exception as error:  # another package's module may fail in any way
            package = "" if point.dist is None else f" of package '{point.dist.name}'"
            raise UsageError(
                f"plugins: '{point.name}'{package} cannot be loaded from {point.value}: {error}; repair or remove it"
            ) from error
        loaded.append(point.name)
    return loaded

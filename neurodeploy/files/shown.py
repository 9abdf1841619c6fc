"""``Shown``: how a record shows itself in a console, in a notebook and as a picture."""

from __future__ import annotations

from typing import Any

from neurodeploy.files.lazy import named_function

_ROOM = "neurodeploy.reports.notebook"


class Shown:
    """A record that says in one line what it is; notebooks show a table, ``plot`` a picture (extra ``report``)."""

    __slots__ = ()

    def __repr__(self) -> str:
        return str(named_function(f"{_ROOM}:one_line")(self))

    def __str__(self) -> str:
        return repr(self)

    def _repr_html_(self) -> str:
        return str(named_function(f"{_ROOM}:html_of")(self))

    def plot(self) -> Any:
        """Return the picture of this record as a plotly figure.

        Raises:
            UsageError: for a record that has no picture.
            MissingPackageError: without plotly.
        """
        return named_function(f"{_ROOM}:figure_of")(self)

    def to_pandas(self) -> Any:
        """Return the table of this record as a ``pandas.DataFrame``.

        Raises:
            UsageError: for a record that is no table.
            MissingPackageError: without pandas.
        """
        return named_function(f"{_ROOM}:frame_of")(self)

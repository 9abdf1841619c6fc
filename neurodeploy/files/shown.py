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


class ShownFacts(Shown, dict[str, Any]):
    """Plain values by name, as they go into JSON, that show themselves as a record does."""

    __slots__ = ()


class TrainingFacts(ShownFacts):
    """What ``train`` returns; its picture are the curves of the training, its table the epochs."""

    __slots__ = ()


class ProofFacts(ShownFacts):
    """What ``verify`` returns; its table has a row for each population."""

    __slots__ = ()


class ReportFacts(ShownFacts):
    """The content of a ``report.json``; its table has a row for each chip."""

    __slots__ = ()


class WrittenReport(ShownFacts):
    """A report and the files that hold it; shows itself as ``ReportFacts`` do."""

    __slots__ = ()

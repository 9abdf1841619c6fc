"""The errors of the package: one class for each kind of failure, each with its exit code.

Every message says the stage, the object with its value, the limit, and what to do next (``CONTRIBUTING.md``). The
command line prints the message and ends with ``exit_code``; a caller from Python catches ``NeurodeployError``::

    NeurodeployError                1   base of all
        UsageError                  2   arguments
        FileError                   3   files
        RecipeError                 4   recipes
        ChipError                   5   chip files
        NirError                    6   NIR graphs
        NetworkError                7   networks
        FitError                    8   a network does not fit a chip
        SimulationError             9   input events and settings of a run
        LavaError                  10   the Lava worker
            LavaTimeoutError       11   the Lava worker took too long
        MismatchError              12   two stages disagree
        MissingPackageError        13   optional packages
        DataError                  14   data sets
        TrainingError              15   training
        EstimateError              16   cost estimates
        ReportError                17   reports
        SweepError                 18   sweeps
        DemandError                19   a deadline, rate or period that is missed
        TrainingInterruptedError  130   the user stopped a training
"""

from __future__ import annotations

import importlib.util
import re
import sys
from collections.abc import Iterator
from contextlib import contextmanager

_CONTROL = re.compile(r"[\x00-\x1f\x7f-\x9f\u2028\u2029\u202a-\u202e\u2066-\u2069\ud800-\udfff]")


def printable(text: str, keep: str = "") -> str:
    """Return a text with escapes for control characters, which a terminal would obey; those in ``keep`` stay.

    >>> printable("a\\x1b[31mb\\n")
    'a\\\\x1b[31mb\\\\n'
    """
    return _CONTROL.sub(
        lambda found: found[0] if found[0] in keep else found[0].encode("unicode_escape").decode("ascii"), text
    )


DISTRIBUTION = "neurodeploy-snn"
"""Name under which pip knows this package (``pyproject.toml``); ``neurodeploy`` on the public index is someone else's."""


_OLD_PYTHON_ONLY = {"slayer": (3, 10), "lava": (3, 10)}
"""Extras whose packages exist for one Python alone."""


def install_hint(extra: str = "") -> str:
    """Return the line that installs this package, with the packages of an extra and the Python that they need."""
    line = f"pip install '{DISTRIBUTION}[{extra}]'" if extra else f"pip install {DISTRIBUTION}"
    needed = _OLD_PYTHON_ONLY.get(extra)
    if needed is None or sys.version_info[:2] == needed:
        return line
    here, there = (".".join(map(str, version)) for version in (sys.version_info[:2], needed))
    return f"{line} in a Python {there} (this is {here}, for which there is none)"


class NeurodeployError(Exception):
    """Base of every failure that the user, the data or the machine caused.

    Its message may hold names from files: it is text without control characters, but for the ends of its own lines.
    """

    exit_code = 1

    def __str__(self) -> str:
        return printable(super().__str__(), keep="\n")


class UsageError(NeurodeployError):
    """An argument is missing, contradictory or out of range."""

    exit_code = 2


class FileError(NeurodeployError):
    """A file is missing, damaged, of another kind than expected, or would be overwritten."""

    exit_code = 3


class RecipeError(NeurodeployError):
    """A recipe (``models/*.toml``) has an unknown key or a value out of range."""

    exit_code = 4


class ChipError(NeurodeployError):
    """A chip is unknown, or its file breaks the schema."""

    exit_code = 5


class NirError(NeurodeployError):
    """A NIR graph cannot be imported or exported without a change of meaning."""

    exit_code = 6


class NetworkError(NeurodeployError):
    """A network breaks its own rules: names, shapes or integer ranges."""

    exit_code = 7


class FitError(NeurodeployError):
    """A network does not fit the chip; the message names layer, core of the layer, resource, value and limit.

    ``binding`` holds the same five values (keys layer, core, resource, used, limit) where one limit can be named.
    """

    exit_code = 8

    def __init__(self, message: str, binding: dict[str, str | int] | None = None) -> None:
        super().__init__(message)
        self.binding = binding


class SimulationError(NeurodeployError):
    """Input events or settings that a simulator cannot run."""

    exit_code = 9


class LavaError(NeurodeployError):
    """The Lava worker could not start, raised, died, or was interrupted."""

    exit_code = 10


class LavaTimeoutError(LavaError):
    """The Lava worker ran past its time limit and was ended."""

    exit_code = 11


class MismatchError(NeurodeployError):
    """Two stages that must give the same integers give different ones."""

    exit_code = 12


class MissingPackageError(NeurodeployError):
    """An optional package is missing; the message names the extra that installs it."""

    exit_code = 13


@contextmanager
def needing(stage: str, extra: str) -> Iterator[None]:
    """Turn the absence of a package that is imported inside the block into the message that names its extra.

    Raises:
        MissingPackageError: as ``train: torch is not installed; pip install ...``.
    """
    try:
        yield
    except ModuleNotFoundError as error:
        if (error.name or "").partition(".")[0] == __package__:
            raise
        raise MissingPackageError(f"{stage}: {error.name} is not installed; {install_hint(extra)}") from error


def check_installed(stage: str, extra: str, *modules: str) -> None:
    """Refuse work that needs packages before it begins, without importing them.

    Raises:
        MissingPackageError: names the first module that is missing, and the extra that installs it.
    """
    for module in modules:
        try:
            found = importlib.util.find_spec(module) is not None
        except ValueError:  # a module that says it has no place
            found = module in sys.modules and sys.modules[module] is not None
        if not found:
            raise MissingPackageError(f"{stage}: {module} is not installed; {install_hint(extra)}")


class DataError(NeurodeployError):
    """A data set is absent, damaged, or does not fit the network."""

    exit_code = 14


class TrainingError(NeurodeployError):
    """Training cannot start, go on, or be resumed."""

    exit_code = 15


class EstimateError(NeurodeployError):
    """A figure cannot be derived: activity and mapping do not belong together, or a price is missing."""

    exit_code = 16


class ReportError(NeurodeployError):
    """A report breaks its schema, or two reports cannot be compared."""

    exit_code = 17


class SweepError(NeurodeployError):
    """A sweep file has an unknown key or a value out of range, or a sweep cannot go on."""

    exit_code = 18


class DemandError(NeurodeployError):
    """A deadline, a rate or a step period is missed, and ``--fail-on-missed`` asked for a failure then."""

    exit_code = 19


INTERRUPTED_EXIT_CODE = 130


class TrainingInterruptedError(NeurodeployError):
    """The user stopped a training; its state is saved."""

    exit_code = INTERRUPTED_EXIT_CODE


def check_type(stage: str, name: str, value: object, kind: type | tuple[type, ...], hint: str) -> None:
    """Refuse a value of another type where a user calls in; ``hint`` says what to give.

    Raises:
        UsageError: as ``map: chip is a str; give load_chip('loihi1')``.
    """
    if not isinstance(value, kind):
        raise UsageError(f"{stage}: {name} is a {type(value).__name__}; {hint}")

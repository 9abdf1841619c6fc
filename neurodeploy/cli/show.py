"""Printing for the commands: tables and JSON on standard output, messages and progress on standard error."""

from __future__ import annotations

import sys
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from pathlib import Path

    from neurodeploy.costs.record import Cost

from neurodeploy.cli.working import is_quiet, note, work
from neurodeploy.errors import printable
from neurodeploy.files.json_text import to_json

_NO_LIMIT = 10_000
"""Columns of a line that the terminal itself wraps: one that says it has none would lose the whole line."""


def print_line(text: str) -> None:
    """Print a line, or more, on standard output, without control characters of the names in it, which a terminal obeys."""
    print(printable(text, "\n\t"), flush=True)


def say(line: str) -> None:
    """Print what is being done on standard error, unless ``--quiet`` was given."""
    if not is_quiet():
        print(printable(line, "\n\t"), file=sys.stderr, flush=True)


def warn(line: str) -> None:
    """Print a warning on standard error, in red where that is a terminal."""
    from rich.console import Console
    from rich.text import Text

    own = Text(f"neurodeploy: warning: {printable(line)}", style="bold red")
    Console(stderr=True, width=_NO_LIMIT).print(own, soft_wrap=True)


def tell_silence(silence: dict[str, Any]) -> None:
    """Print what a run left unsaid (``engines.silence.Silence.to_json``) on standard error, warnings in red."""
    for line in silence["warnings"]:
        warn(line)
    for line in silence["notes"]:
        say(f"neurodeploy: {line}")


def check_demanded(stage: str, fail_on_missed: bool, *demands: float | None) -> None:
    """Refuse ``--fail-on-missed`` without a demand before anything runs.

    Raises:
        UsageError: where there is no demand at all.
    """
    from neurodeploy.errors import UsageError

    if fail_on_missed and all(demand is None for demand in demands):
        raise UsageError(f"{stage}: --fail-on-missed needs a demand: give --deadline, --rate or --period")


def fail_if_missed(stage: str, costs: Sequence[Cost]) -> None:
    """End with an error where a chip misses a demand by its nominal figures, host input included where it has a time.

    Raises:
        DemandError: naming the demands.
    """
    from neurodeploy.errors import DemandError
    from neurodeploy.reports.text import verdict_line

    missed = [f"{cost.chip_title}: {verdict_line(v)}" for cost in costs for v in cost.verdicts if v.fails]
    if missed:
        raise DemandError(f"{stage}: missed: {' '.join(missed)} Allow more, or make the network smaller")


def print_written(*paths: Path | None) -> None:
    """Print where that which was written stands, as the last line of a result."""
    made = [str(path) for path in paths if path is not None]
    if made:
        print_line(f"written: {', '.join(made)}")


def print_json(value: Any) -> None:
    print(to_json(value, 2))


def show(result: dict[str, Any], as_json: bool) -> None:
    if as_json:
        print_json(result)
        return
    for key, value in result.items():
        print_line(f"{key.replace('_', ' '):22} {in_words(value)}")


def in_words(value: Any) -> str:
    """Return a value for a reader, without Python's brackets.

    >>> in_words({"input": 301, "output": 115}), in_words((0.52, None)), in_words([])
    ('input 301, output 115', '0.52, -', 'none')
    """
    if isinstance(value, Mapping):
        return ", ".join(f"{name} {in_words(one)}" for name, one in value.items()) or "none"
    if isinstance(value, list | tuple):
        return ", ".join(map(in_words, value)) or "none"
    if isinstance(value, bool):
        return "yes" if value else "no"
    return f"{value:.4g}" if isinstance(value, float) else "-" if value is None else str(value)


def show_rows(rows: list[dict[str, Any]], as_json: bool) -> None:
    if as_json:
        print_json(rows)
    elif rows:
        table("|".join(rows[0]), [tuple(short(v) for v in row.values()) for row in rows])


def table(header: str, rows: list[tuple[Any, ...]]) -> None:
    from rich.console import Console
    from rich.table import Column, Table
    from rich.text import Text

    # on a narrow terminal long words go on in the next line; cut, a name could not be typed
    table = Table(*(Column(name, overflow="fold") for name in header.split("|")), box=None, pad_edge=False)
    for row in rows:
        table.add_row(*(Text(printable(str(cell), "\n")) for cell in row))
    Console(width=None if sys.stdout.isatty() else 160).print(table)


def short(value: Any) -> str:
    return f"{value:.3g}" if isinstance(value, float) else in_words(value)


def kib(n_bytes: int) -> str:
    return f"{n_bytes / 1024:.1f} KiB"


@contextmanager
def progress() -> Iterator[Any]:
    """Context that yields a function ``(text, done, of)`` to move a bar on standard error.

    Where that is no terminal, the text goes into the lines of ``cli/working.py``.
    """
    from rich.console import Console
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn

    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeElapsedColumn())
    console = Console(stderr=True)
    shown = console.is_terminal and not is_quiet()
    with Progress(*columns, console=console, transient=True, disable=not shown) as progress:
        tasks: dict[str, Any] = {}

        def move(text: str, done: int, of: int) -> None:
            note(f"{text}, {done} of {of}")
            now = work.get()
            if now is not None:
                now.barred = shown
            stage = text.split(":")[0]
            if stage not in tasks:
                tasks[stage] = progress.add_task(text, total=of)
            progress.update(tasks[stage], description=text, completed=done, total=of)

        yield move

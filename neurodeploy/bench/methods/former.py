"""Rows that the slayer backend trained before: accuracies and seconds that those of today stand beside (``former.toml``)."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from functools import cache
from pathlib import Path
from statistics import fmean
from typing import Annotated, Any

from pydantic import Field

from neurodeploy.files.checked import Record
from neurodeploy.files.toml import parse_toml

QUARTER = 0.25
_WIDTH = 2.0
"""Standard errors within which two means differ by seed noise."""


class Former(Record):
    """Means over the seeds of a method at a density: accuracy in percent, its standard deviation in points, seconds."""

    recipe: str
    method: str
    density: Annotated[float, Field(gt=0, le=1)] | None = None
    seeds: Annotated[int, Field(ge=2)]
    accuracy: float
    sd: Annotated[float, Field(ge=0)]
    seconds: Annotated[float, Field(gt=0)]


class _Rows(Record):
    rows: tuple[Former, ...]


@cache
def former_rows() -> dict[tuple[str, str, float | None], Former]:
    """Return the rows by recipe, method and density."""
    text = Path(__file__).with_name("former.toml").read_text(encoding="utf-8")
    return {(row.recipe, row.method, row.density): row for row in _Rows.model_validate(parse_toml(text)).rows}


def former_of(group: Mapping[str, Any]) -> Former | None:
    """Return the former row of a summary (``claims.summarise``), None where there is none."""
    return former_rows().get((group["recipe"], group["method"], group["density"]))


def noise(row: Former, seeds: int) -> float:
    """Return the difference in points, from a mean over ``seeds`` seeds, up to which it is seed noise.

    Two standard errors, from the spread over seeds of all former rows of the recipe together: that of a single row, of three
    seeds, says little.
    """
    spreads = [one.sd**2 for one in former_rows().values() if one.recipe == row.recipe]
    return _WIDTH * math.sqrt(fmean(spreads) * (1 / row.seeds + 1 / seeds))


def compared(groups: Sequence[Mapping[str, Any]]) -> str:
    """Return sentences that compare summaries of one recipe with former rows; nothing where there are none."""
    pairs = [(group, row) for group in groups if (row := former_of(group)) is not None]
    if not pairs:
        return ""
    far = [
        f"`{group['method']}` ({group['accuracy_mean'] - row.accuracy:+.2f} points)"
        for group, row in pairs
        if abs(group["accuracy_mean"] - row.accuracy) > noise(row, group["seeds"])
    ]
    slow = [f"`{group['method']}`" for group, row in pairs if _seconds(group) > QUARTER * row.seconds]
    of = f"Of {len(pairs)} rows that the slayer backend trained before, "
    first = "all have the accuracy of today" if not far else f"all but {', '.join(far)} have the accuracy of today"
    then = (
        "all take today at most a quarter of their time"
        if not slow
        else f"{len(pairs) - len(slow)} take today at most a quarter of their time (not {', '.join(slow)})"
    )
    noise_is, time_is = "two standard errors of all rows' spread", "processor seconds, where known"
    return f"{of}{first} within seed noise ({noise_is}); {then} ({time_is}).\n"


def _seconds(group: Mapping[str, Any]) -> float:
    """Return the processor seconds of training, which other work on the machine does not lengthen, or else all of them."""
    own = group["cpu_seconds"]
    return float(group["seconds"] if own is None else own)

"""Speed that the event-driven engine has to reach beside each peer, read from ``claims.toml``."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

from pydantic import Field, model_validator

from neurodeploy.files.checked import Record
from neurodeploy.files.toml import parse_toml

Fraction = Annotated[float, Field(gt=0, le=1)]
Batch = Annotated[int, Field(ge=1)]
Bar = Annotated[int | float, Field(gt=0)]


@dataclass(frozen=True, slots=True)
class Case:
    """One network at one density and input rate, run in batches of several sizes.

    ``bars`` holds, for each batch size, how many times as fast as Lava the engine has to be, or None; the bars of the other
    peers hold unless ``only_lava``.
    """

    network: str
    density: float
    rate: float
    bars: Mapping[int, float | None]
    only_lava: bool = False


class CaseTable(Record):
    """One ``[[cases]]`` table: a ``Case`` with its batch sizes and its bars apart, since TOML has no None.

    ``over_lava`` holds on every processor; where ``over_lava_avx512`` has a bar for a batch, that one holds with AVX-512.
    """

    network: str
    density: Fraction
    rate: Fraction
    batches: Annotated[tuple[Batch, ...], Field(min_length=1)]
    over_lava: Annotated[dict[Batch, Bar], Field(default_factory=dict)]
    over_lava_avx512: Annotated[dict[Batch, Bar], Field(default_factory=dict)]
    only_lava: bool = False

    @model_validator(mode="after")
    def _bars_belong_to_batches(self) -> CaseTable:
        for name, bars in (("over_lava", self.over_lava), ("over_lava_avx512", self.over_lava_avx512)):
            if other := sorted(set(bars) - set(self.batches)):
                raise ValueError(f"{name} has a bar for batch {other[0]}, but the batches are {list(self.batches)}")
        return self

    def case(self, isa: str) -> Case:
        """Return the case that the table describes, with the bars that hold with an instruction set."""
        over_lava = self.over_lava | (self.over_lava_avx512 if isa == "avx512" else {})
        bars = {batch: over_lava.get(batch) for batch in self.batches}
        return Case(self.network, self.density, self.rate, bars, self.only_lava)


class Claims(Record):
    """The whole file: the bars over peers by name, the input rate at which they hold, and the cases."""

    bar_rate: Fraction
    peers: dict[str, Bar]
    cases: Annotated[tuple[CaseTable, ...], Field(min_length=1)]


def load_claims(path: Path) -> Claims:
    """Return the checked claims of a TOML file; raises pydantic's ``ValidationError`` where a key or value is wrong."""
    return Claims.model_validate(parse_toml(path.read_text(encoding="utf-8")))


CLAIMS = load_claims(Path(__file__).with_name("claims.toml"))

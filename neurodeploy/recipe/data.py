"""The table ``[data]`` of a recipe: the data set, its parts, and its encoding as spikes."""

from __future__ import annotations

from collections.abc import Collection, Iterator
from typing import Annotated, Any, Literal

from pydantic import Field, model_validator

from neurodeploy.files.checked import Record, one_of
from neurodeploy.recipe.data_sets import DATA_SETS, known_name

Seed = Annotated[int, Field(ge=0, lt=2**63)]
"""A seed that every library takes."""
OWN = "own"
"""Name of the data in a file or folder of the user's, which ``path`` names."""


class _Names(Collection[str]):
    """The names of data sets that there are at the time, and that of own data."""

    def __contains__(self, name: object) -> bool:
        return name == OWN or name in DATA_SETS

    def __iter__(self) -> Iterator[str]:
        return iter((OWN, *DATA_SETS))

    def __len__(self) -> int:
        return len(DATA_SETS) + 1


class DataRecipe(Record):
    """The data set, its parts, and the encoding of its values or events as spikes over ``n_steps`` steps.

    Images take the encoding ``rate``, ``latency`` or ``current``, or ``direct``: whole numbers of 0..255 instead of spikes,
    the same in every step (``data/encodings.py``). Of grey levels they are the levels; for values in floats ``scale`` says
    the value that 1 stands for. Recordings become ``frames`` of their first ``duration_s`` seconds (by default the length of
    the set's recordings): ``spikes``, or the ``counts`` of the events of a step. Of camera images, ``crop`` keeps the middle
    (height, width), and ``pool`` merges squares of ``pool`` by ``pool`` pixels to one. ``test_fraction`` is used for sets
    that have no test part.

    ``root`` is the folder with the data sets (otherwise NEURODEPLOY_DATA, or ``data``); ``test_samples`` is the largest
    number of samples of the test part that are used.

    ``path`` names a file or folder of samples of one's own instead of a set, ``test_path`` that of its test part, both below
    ``root`` where it is given (``docs/data.md``); of times in arrays ``time_unit`` says the unit.
    """

    name: Annotated[str, one_of(_Names())]
    path: Annotated[str, Field(min_length=1)] | None = None
    test_path: Annotated[str, Field(min_length=1)] | None = None
    time_unit: Literal["s", "ms", "us", "ns"] | None = None
    encoding: Literal["rate", "latency", "current", "direct", "frames"] = "rate"
    scale: Annotated[float, Field(gt=0)] | None = None
    frames: Literal["spikes", "counts"] = "spikes"
    n_steps: Annotated[int, Field(ge=1, le=1000)]
    validation_fraction: Annotated[float, Field(gt=0, lt=1)] = 0.15
    test_fraction: Annotated[float, Field(gt=0, lt=1)] = 0.25
    split_seed: Seed = 0
    root: str | None = None
    duration_s: Annotated[float, Field(ge=1e-3, le=100)] | None = None
    crop: tuple[Annotated[int, Field(ge=1)], Annotated[int, Field(ge=1)]] | None = None
    pool: Annotated[int, Field(ge=1)] = 1
    test_samples: Annotated[int, Field(ge=1)] | None = None

    @model_validator(mode="before")
    @classmethod
    def _events_are_frames(cls, values: Any) -> Any:
        if not isinstance(values, dict):
            return values
        if isinstance(values.get("name"), str):
            values = {**values, "name": known_name(values["name"])}
        elif "path" in values and "name" not in values:
            values = {**values, "name": OWN}
        return {"encoding": "frames", **values} if _has_events(values.get("name")) else values

    @model_validator(mode="after")
    def _fits_kind_of_set(self) -> DataRecipe:
        if self.name != OWN and (self.path or self.test_path or self.time_unit):
            raise ValueError(
                f"'path', 'test_path' and 'time_unit' are for data of your own; leave them or '{self.name}' out"
            )
        if self.name == OWN:
            if self.path is None:
                raise ValueError("data of your own need 'path': a file or folder of samples (docs/data.md)")
            return self._scale_is_of_direct()
        events = _has_events(self.name)
        if events != (self.encoding == "frames"):
            takes = "'frames'" if events else "'rate', 'latency', 'current' or 'direct'"
            raise ValueError(f"'{self.name}' takes the encoding {takes}, not '{self.encoding}'")
        if not events and (self.duration_s or self.crop or self.pool > 1):
            raise ValueError(f"'duration_s', 'crop' and 'pool' are for events; '{self.name}' holds images")
        if self.frames == "counts" and (not events or DATA_SETS[self.name].kind == "sound"):
            raise ValueError(f"frames = 'counts' is for recordings of events, which '{self.name}' does not hold")
        if events and len(DATA_SETS[self.name].shape) == 1 and (self.crop or self.pool > 1):
            raise ValueError(f"'crop' and 'pool' are for cameras; '{self.name}' has channels in a row")
        return self._scale_is_of_direct()

    def _scale_is_of_direct(self) -> DataRecipe:
        if self.scale is not None and self.encoding != "direct":
            raise ValueError(f"'scale' is for the encoding 'direct', not for '{self.encoding}'")
        return self


def _has_events(name: object) -> bool:
    return isinstance(name, str) and name in DATA_SETS and DATA_SETS[name].kind != "images"

"""The table ``[data]`` of a recipe: the data set, its parts, and its encoding as spikes."""

from __future__ import annotations

from collections.abc import Collection, Iterator
from typing import Annotated, Any, Literal

from pydantic import Field, model_validator

from neurodeploy.files.checked import OneOf, Record
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
    """The data set, its parts, and the encoding of its values or events over ``n_steps`` steps (``data/encodings.py``)."""

    name: Annotated[str, OneOf(_Names())]
    """Name of a data set (`neurodeploy data list`), or `own` for samples of your own."""
    path: Annotated[str, Field(min_length=1)] | None = None
    """File or folder of samples of your own instead of a set, below `root` where that is given (docs/data.md)."""
    test_path: Annotated[str, Field(min_length=1)] | None = None
    """File or folder of the test part of samples of your own."""
    time_unit: Literal["s", "ms", "us", "ns"] | None = None
    """Unit of the times in arrays of your own."""
    sensor: (
        tuple[Annotated[int, Field(ge=1)]]
        | tuple[Annotated[int, Field(ge=1)], Annotated[int, Field(ge=1)], Annotated[int, Field(ge=1)]]
        | None
    ) = None
    """Size of the sensor, where recordings of your own do not tell it: `[channels]`, or `[polarities, height, width]`."""
    encoding: Literal["rate", "latency", "current", "direct", "frames"] = "rate"
    """Images become events by `rate`, `latency` or `current`, or stay whole numbers of 0 to 255 in every step (`direct`);
    recordings become `frames`."""
    scale: Annotated[float, Field(gt=0)] | None = None
    """Value that 1 stands for, for `direct` images of floats; grey levels are taken as they are."""
    frames: Literal["spikes", "counts"] = "spikes"
    """What a step of a recording holds: `spikes` (0 or 1), or the `counts` of its events."""
    n_steps: Annotated[int, Field(ge=1, le=10_000)]
    """Steps of a sample."""
    validation_fraction: Annotated[float, Field(gt=0, lt=1)] = 0.15
    """Share of the training part that is kept back to choose the best epoch."""
    test_fraction: Annotated[float, Field(gt=0, lt=1)] = 0.25
    """Share of all samples that is the test part, for sets without one of their own."""
    split_seed: Seed = 0
    """Seed of the division into parts."""
    root: str | None = None
    """Folder with the data sets; otherwise the environment variable NEURODEPLOY_DATA, or `data`."""
    duration_s: Annotated[float, Field(ge=1e-3, le=100)] | None = None
    """Seconds of a recording that are used, from its start; by default the length of the set's recordings."""
    crop: tuple[Annotated[int, Field(ge=1)], Annotated[int, Field(ge=1)]] | None = None
    """Middle of camera images that is kept: height and width in pixels."""
    pool: Annotated[int, Field(ge=1)] = 1
    """Squares of so many by so many pixels of camera images are merged to one."""
    test_samples: Annotated[int, Field(ge=1)] | None = None
    """Largest number of samples of the test part that are used."""
    label_lag: Annotated[int, Field(ge=0, le=10_000)] = 0
    """Where steps have labels: so many steps after a step its class is asked for, so that the network may look ahead."""

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
        if self.name != OWN and (self.path or self.test_path or self.time_unit or self.sensor):
            raise ValueError(
                f"'path', 'test_path', 'time_unit' and 'sensor' are for data of your own; leave them or '{self.name}' out"
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

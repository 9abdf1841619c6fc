"""Files of events and arrays to a file of samples."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any, Literal

import numpy as np

from neurodeploy.errors import DataError, UsageError
from neurodeploy.files.paths import as_path
from neurodeploy.files.writing import check_new_file
from neurodeploy.network.activity import Samples, is_samples_file, load_samples, save_samples


def convert(
    source: str | Path,
    out: str | Path,
    *,
    n_steps: int | None = None,
    dt_s: float | None = None,
    duration_s: float | None = None,
    window_s: float | None = None,
    crop: tuple[int, int] | None = None,
    pool: int = 1,
    polarity: Literal["separate", "merged", "on", "off"] = "separate",
    labels: str | None = None,
    time_unit: str | None = None,
    sensor: Sequence[int] | str | None = None,
    axes: str | None = None,
    counts: bool = False,
    force: bool = False,
) -> dict[str, Any]:
    """Read a file of events or arrays, or a folder with one folder a class, and write its samples as ``.npz``.

    Args:
        source: AEDAT 1.0 to 4.0, Prophesee RAW (EVT 2 and 3) or DAT, N-MNIST ``.bin``, HDF5, ``.mat``, CSV, ``.npz`` or
            ``.npy`` (``docs/data.md``), or a folder of such files of events.
        out: file to write; ``force`` replaces an older one.
        n_steps, dt_s, duration_s: steps of a sample, the length of a step, and the first part of each recording that is
            read; two of them, or ``dt_s`` alone.
        window_s: cut each recording into samples of this length.
        crop, pool: keep the middle (height, width) of a camera's picture, then merge squares of pixels.
        polarity: of cameras: ``separate`` channels, ``merged``, or only ``on`` or ``off``.
        labels: ``none``, one class for all samples, or a file of labels; by default those of the source.
        time_unit: of times in arrays: s, ms, us or ns.
        sensor: shape of the sensor where the file does not tell, or the name of its camera.
        axes: order of the axes of spikes: NTC, TNC or NCT.
        counts: payloads that count the events of a channel in a step, instead of plain spikes.

    Returns:
        ``path``, ``samples``, ``steps``, ``shape``, ``classes`` (names of folders by label), ``per_class``, ``spikes``,
        ``payloads`` (smallest and largest, None for plain spikes), ``cameras``, and of recordings ``events``, ``outside``
        (the time that was read, or the crop), ``empty`` (samples without an event) and ``dropped`` (by kind).

    Raises:
        UsageError: for options that are none.
        FileError: where ``out`` exists and ``force`` is not set, or is no ``.npz`` file.
        DataError: for damaged files, and what stays open.
    """
    from neurodeploy.data.own import is_own, read_own
    from neurodeploy.data.reading import Reading

    path, out = as_path(source), as_path(out)
    if out.suffix != ".npz":
        raise UsageError(f"data: samples are written as .npz, not to {out}; name it --out {out.with_suffix('.npz')}")
    check_new_file("data", out, force=force)
    if not path.exists():
        raise DataError(f"data: there is no file or folder {path}")
    camera, shape = (sensor, None) if isinstance(sensor, str) else (None, sensor)
    reading = Reading(
        n_steps=n_steps,
        dt_s=dt_s,
        duration_s=duration_s,
        window_s=window_s,
        crop=crop,
        pool=pool,
        polarity=polarity,
        time_unit=time_unit,
        sensor=None if shape is None else tuple(shape),
        camera=camera,
        axes=axes,
        counts=counts,
    )
    if path.suffix == ".npz" and is_samples_file(path):
        load_samples(path)
        raise DataError(f"data: {path} is a file of samples already; every command that takes DATA takes it")
    if not is_own(path):
        from neurodeploy.data.own import SUFFIXES

        raise DataError(f"data: {path} is of no kind that is read: {', '.join(SUFFIXES)}, or a folder of events")
    own = read_own(path, reading, None, labels=labels)
    save_samples(own.samples, out)
    seen = own.seen
    return _facts(own.samples, out) | {
        "classes": list(own.classes),
        "cameras": list(own.cameras),
        "events": None if seen is None else int(seen.events.sum()),
        "outside": None if seen is None else int((seen.events - seen.inside).sum()),
        "empty": None if seen is None else seen.n_empty,
        "dropped": {} if seen is None else dict(seen.dropped),
    }


def _facts(samples: Samples, out: Path) -> dict[str, Any]:
    name, events = next(iter(samples.inputs.items()))
    payload = events.payload
    return {
        "path": str(out),
        "samples": samples.n_samples,
        "steps": samples.n_steps,
        "shape": list(samples.shapes.get(name, (events.size,))),
        "per_class": None if samples.labels is None else np.bincount(samples.labels.reshape(-1)).tolist(),
        "labelled": None if samples.labels is None else "samples" if samples.labels.ndim == 1 else "steps",
        "spikes": len(events),
        "payloads": None if payload is None or not payload.size else [int(payload.min()), int(payload.max())],
    }

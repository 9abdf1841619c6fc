"""Loading of data sets by name, and the functions behind ``neurodeploy data list | get | verify``.

The table of data sets is in ``recipe/data_sets.py``.
"""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from importlib import import_module
from pathlib import Path
from typing import Any

import numpy as np

from neurodeploy.data.dataset import Dataset, Frames
from neurodeploy.data.encodings import Frame
from neurodeploy.data.files import data_root
from neurodeploy.errors import DataError, MissingPackageError, UsageError, install_hint
from neurodeploy.files.lazy import named_function
from neurodeploy.files.writing import replacing
from neurodeploy.recipe.data import DataRecipe
from neurodeploy.recipe.data_sets import DATA_SETS, DataSet, known_name, likely_names

Loaded = Dataset | Frames | tuple[Dataset, Dataset] | tuple[Frames, Frames]


def load_set(recipe: DataRecipe, root: Path) -> Loaded:
    """Return the samples of the set that a recipe names, or its training and its test samples.

    Raises:
        DataError: if files are missing or damaged.
        MissingPackageError: if the set comes with a package that is not installed.
    """
    known = DATA_SETS[recipe.name]
    duration_us = known.duration_us if recipe.duration_s is None else round(recipe.duration_s * 1e6)
    arguments: tuple[Any, ...] = ()
    if known.kind == "events":
        frame = Frame(
            n_steps=recipe.n_steps,
            duration_us=duration_us,
            shape=known.shape,
            crop=recipe.crop,
            pool=recipe.pool,
            counts=recipe.frames == "counts",
        )
        arguments = (frame,)
    elif known.kind == "sound":
        arguments = (recipe.n_steps, duration_us)
    loaded: Loaded = named_function(known.load)(root, *arguments)
    return loaded


def list_data_sets(root: str | Path | None = None) -> list[dict[str, Any]]:
    """Return one row for each data set: its facts, its folder below ``root``, and whether the folder exists."""
    base = data_root(root)
    return [
        {
            "name": name,
            "title": entry.title,
            "kind": entry.kind,
            "shape": list(entry.shape),
            "classes": entry.n_classes,
            "train": entry.n_train,
            "test": entry.n_test,
            "folder": str(base / entry.folder) if entry.folder else "",
            "present": not entry.folder or (base / entry.folder).is_dir(),
            "source": entry.source,
        }
        for name, entry in DATA_SETS.items()
    ]


def verify_data_set(name: str, root: str | Path | None = None) -> dict[str, Any]:
    """Read a whole data set and return counts and hashes of the samples and files found.

    Returns:
        ``train`` and ``test``: number of samples found (``test`` is None if the set has no test part); ``expected_train``,
        ``expected_test``: numbers of the complete set; ``complete``: whether both agree; ``per_class``: samples (where steps
        have labels: steps) of each class over all parts; ``hashes``: by file, "as published" or "differs", for files whose
        MD5 is known; ``events``: of recordings, what was read (``_events``), None for others; ``verdict``: ``complete``,
        ``subset`` (fewer samples, nothing wrong with those), or ``differs`` (all samples, but other files than published).

    Raises:
        DataError: if files are missing or damaged, a label is out of range, or many samples have no event.
        UsageError: for an unknown name.
    """
    name, base = known_name(name), data_root(root)
    entry = _entry(name)
    loaded = load_set(DataRecipe.model_validate({"name": name, "n_steps": 20}), base)
    parts = loaded if isinstance(loaded, tuple) else (loaded,)
    n_train, n_test = len(parts[0].labels), len(parts[1].labels) if len(parts) == 2 else None
    expected = entry.n_train + (entry.n_test or 0)
    labels = np.concatenate([part.labels for part in parts])
    hashes = _hashes(entry, base)
    complete = len(labels) == expected
    plain = {file for file in entry.md5 if not file.endswith(".gz")}  # the same content may be packed in another way
    altered = complete and any(hashes.get(file, hashes.get(f"{file}.gz")) == "differs" for file in plain)
    return {
        "name": name,
        "root": str(base),
        "train": n_train,
        "test": n_test,
        "expected_train": entry.n_train,
        "expected_test": entry.n_test,
        "complete": complete,
        "shape": list(entry.shape),
        "per_class": np.bincount(labels.reshape(-1), minlength=entry.n_classes).tolist(),
        "hashes": hashes,
        "events": _events(parts),
        "verdict": "differs" if altered else "complete" if complete else "subset",
    }


def _events(parts: Sequence[Dataset | Frames]) -> dict[str, Any] | None:
    """Return what was seen in the recordings of all parts, None for other data.

    ``all``, ``most`` and ``fewest``: events altogether and of a sample; ``outside``: those after the time that is read;
    ``empty``: samples without an event in it; ``last_s``: the latest event; ``dropped``: what is no event of a pixel, by
    kind.
    """
    seen = [part.seen for part in parts if isinstance(part, Frames) and part.seen is not None]
    if len(seen) != len(parts):
        return None
    events, inside, last_us = (
        np.concatenate([getattr(s, name) for s in seen]) for name in ("events", "inside", "last_us")
    )
    dropped: dict[str, int] = {}
    for kind, n in (item for s in seen for item in s.dropped.items()):
        dropped[kind] = dropped.get(kind, 0) + n
    return {
        "all": int(events.sum()),
        "fewest": int(events.min()),
        "most": int(events.max()),
        "outside": int((events - inside).sum()),
        "empty": int(np.count_nonzero(inside == 0)),
        "last_s": float(last_us.max()) / 1e6,
        "dropped": dropped,
    }


def _hashes(entry: DataSet, root: Path) -> dict[str, str]:
    """Return for each file of known MD5 whether it is as published; a file packed differently is compared by content."""
    from neurodeploy.data.files import read_bytes

    found = {}
    for file, md5 in entry.md5.items():
        path, packed = root / file, root / f"{file}.gz"
        if path.is_file():
            content = path.read_bytes()
        elif packed.is_file():
            content, file = read_bytes(packed), f"{file}.gz"
        else:
            continue
        same = hashlib.md5(content, usedforsecurity=False).hexdigest() == md5
        found[file] = "as published" if same else "differs"
    return found


def fetch_data_set(name: str, root: str | Path | None = None) -> dict[str, Any]:
    """Fetch a set through torchvision or tonic, and return the result of ``verify_data_set`` for it.

    Raises:
        MissingPackageError: if the library is not installed.
        DataError: if no library fetches the set, or fetching failed.
        UsageError: for an unknown name.
    """
    name, base = known_name(name), data_root(root)
    entry = _entry(name)
    if entry.library is None or entry.fetch is None:
        if not entry.folder:
            return verify_data_set(name, base)
        raise DataError(f"data: no library fetches '{name}'; take it from {entry.source} to {base / entry.folder}")
    try:
        module = import_module(f"{entry.library}.datasets")
    except ImportError as error:
        raise MissingPackageError(
            f"data: '{name}' is fetched through {entry.library}, which is not installed; {install_hint('data')}"
        ) from error
    base.mkdir(parents=True, exist_ok=True)
    class_name, calls = entry.fetch
    extra = {"download": True} if entry.library == "torchvision" else {}
    try:
        for arguments in calls:
            getattr(module, class_name)(str(base), **arguments, **extra)
    except (OSError, RuntimeError, ValueError) as error:
        raise DataError(
            f"data: fetching '{name}' through {entry.library} failed ({error}); try again, or put its files into "
            f"{base / entry.folder} yourself"
        ) from error
    if name == "cifar10-dvs":
        _convert_aedat4(base / entry.folder)
    return verify_data_set(name, base)


def _convert_aedat4(folder: Path) -> None:
    """Convert each ``.aedat4`` recording, read by tonic, to a file next to it: an array ``(n, 4)`` of x, y, polarity, us."""
    read = import_module("tonic.io").read_aedat4
    for path in sorted(folder.glob("**/*.aedat4")):
        target = path.with_suffix(".npy")
        if target.exists():
            continue
        rows = read(str(path))
        names = rows.dtype.names
        time_us, x, y, polarity = (rows[n] for n in names) if names else np.asarray(rows).T
        with replacing(target) as partial, partial.open("wb") as file:
            np.save(file, np.stack([x, y, polarity, time_us], axis=1).astype(np.int64))


def _entry(name: str) -> DataSet:
    try:
        return DATA_SETS[name]
    except KeyError:
        near = "".join(f" Did you mean '{likely}'?" for likely in likely_names(name)[:1])
        raise UsageError(f"data: there is no data set '{name}'; known: {', '.join(DATA_SETS)}.{near}") from None

"""Loading of data sets by name, and the functions behind ``neurodeploy data list | get | verify``.

The table of data sets is in ``recipe/data_sets.py``.
"""

from __future__ import annotations

import hashlib
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
from neurodeploy.recipe.data_sets import DATA_SETS, DataSet

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
            n_steps=recipe.n_steps, duration_us=duration_us, shape=known.shape, crop=recipe.crop, pool=recipe.pool
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
        ``expected_test``: numbers of the complete set; ``complete``: whether both agree; ``per_class``: samples of each
        class over all parts; ``hashes``: by file, "as published" or "differs", for files whose MD5 is known.

    Raises:
        DataError: if files are missing or damaged, or a label is out of range.
        UsageError: for an unknown name.
    """
    entry, base = _entry(name), data_root(root)
    loaded = load_set(DataRecipe.model_validate({"name": name, "n_steps": 20}), base)
    parts = loaded if isinstance(loaded, tuple) else (loaded,)
    n_train, n_test = len(parts[0].labels), len(parts[1].labels) if len(parts) == 2 else None
    expected = entry.n_train + (entry.n_test or 0)
    labels = np.concatenate([part.labels for part in parts])
    return {
        "name": name,
        "root": str(base),
        "train": n_train,
        "test": n_test,
        "expected_train": entry.n_train,
        "expected_test": entry.n_test,
        "complete": len(labels) == expected,
        "shape": list(entry.shape),
        "per_class": np.bincount(labels, minlength=entry.n_classes).tolist(),
        "hashes": _hashes(entry, base),
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
    entry, base = _entry(name), data_root(root)
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
        raise UsageError(f"data: there is no data set '{name}'; known: {', '.join(DATA_SETS)}") from None

"""The table of data sets, and what ``neurodeploy data list | get | verify`` do."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from importlib import import_module
from pathlib import Path
from typing import Any, Literal

import numpy as np

from neurodeploy.data import audio, events, images
from neurodeploy.data.dataset import Dataset, Frames
from neurodeploy.data.digits import load_digits
from neurodeploy.data.encodings import Frame
from neurodeploy.data.files import data_root
from neurodeploy.errors import DataError, MissingPackageError, UsageError
from neurodeploy.files.writing import replacing
from neurodeploy.recipe.data import DataRecipe

Loaded = Dataset | Frames | tuple[Dataset, Dataset] | tuple[Frames, Frames]


@dataclass(frozen=True, slots=True, kw_only=True)
class Entry:
    """What is known about a set.

    ``load`` reads it below a root. ``shape`` is that of a sample before cropping and pooling; ``n_train`` and ``n_test`` are
    those of the whole set (``n_test`` None: the set has no test part of its own). ``folder`` is where its files lie;
    ``md5`` those of the files as published. ``library`` names the package that fetches it, and the classes there with their
    arguments; sets without one say in ``source`` where they are.
    """

    title: str
    kind: Literal["images", "events", "sound"]
    shape: tuple[int, ...]
    n_classes: int
    n_train: int
    n_test: int | None
    folder: str
    source: str
    load: Callable[[Path, DataRecipe], Loaded]
    library: Literal["torchvision", "tonic"] | None = None
    fetch: tuple[str, tuple[Mapping[str, Any], ...]] | None = None
    md5: Mapping[str, str] = field(default_factory=dict)


def _frame(recipe: DataRecipe, shape: tuple[int, ...], duration_us: int) -> Frame:
    return Frame(
        n_steps=recipe.n_steps,
        duration_us=_duration_us(recipe, duration_us),
        shape=shape,
        crop=recipe.crop,
        pool=recipe.pool,
    )


def _duration_us(recipe: DataRecipe, default_us: int) -> int:
    return default_us if recipe.duration_s is None else round(recipe.duration_s * 1e6)


_TRAIN_AND_TEST: tuple[Mapping[str, Any], ...] = ({"train": True}, {"train": False})

CATALOG: Mapping[str, Entry] = {
    "digits": Entry(
        title="scikit-learn's 8x8 digits",
        kind="images",
        shape=(1, 8, 8),
        n_classes=10,
        n_train=1797,
        n_test=None,
        folder="",
        source="ships with scikit-learn",
        load=lambda _root, _recipe: load_digits(),
    ),
    "mnist": Entry(
        title="MNIST",
        kind="images",
        shape=(1, 28, 28),
        n_classes=10,
        n_train=60000,
        n_test=10000,
        folder="MNIST/raw",
        source="torchvision.datasets.MNIST",
        load=lambda root, _recipe: images.load_idx_images("mnist", "MNIST", root),
        library="torchvision",
        fetch=("MNIST", _TRAIN_AND_TEST),
        md5={  # of the unpacked files; those of the git blobs in patrick-kidger/equinox agree
            "MNIST/raw/train-images-idx3-ubyte": "6bbc9ace898e44ae57da46a324031adb",
            "MNIST/raw/train-labels-idx1-ubyte": "a25bea736e30d166cdddb491f175f624",
            "MNIST/raw/t10k-images-idx3-ubyte": "2646ac647ad5339dbf082846283269ea",
            "MNIST/raw/t10k-labels-idx1-ubyte": "27ae3e4e09519cfbb04c329615203637",
        },
    ),
    "fashion-mnist": Entry(
        title="Fashion-MNIST",
        kind="images",
        shape=(1, 28, 28),
        n_classes=10,
        n_train=60000,
        n_test=10000,
        folder="FashionMNIST/raw",
        source="torchvision.datasets.FashionMNIST",
        load=lambda root, _recipe: images.load_idx_images("fashion-mnist", "FashionMNIST", root),
        library="torchvision",
        fetch=("FashionMNIST", _TRAIN_AND_TEST),
        md5={  # torchvision 0.18, datasets/mnist.py
            "FashionMNIST/raw/train-images-idx3-ubyte.gz": "8d4fb7e6c68d591d4c3dfef9ec88bf0d",
            "FashionMNIST/raw/train-labels-idx1-ubyte.gz": "25c81989df183df01b3e8a0aad5dffbe",
            "FashionMNIST/raw/t10k-images-idx3-ubyte.gz": "bef4ecab320f06d8554ea6380940ec79",
            "FashionMNIST/raw/t10k-labels-idx1-ubyte.gz": "bb300cfdad3c16e7a12a480ee83cd310",
        },
    ),
    "cifar10": Entry(
        title="CIFAR-10",
        kind="images",
        shape=(3, 32, 32),
        n_classes=10,
        n_train=50000,
        n_test=10000,
        folder="cifar-10-batches-py",
        source="torchvision.datasets.CIFAR10",
        load=lambda root, _recipe: images.load_cifar10(root),
        library="torchvision",
        fetch=("CIFAR10", _TRAIN_AND_TEST),
        md5={  # torchvision 0.18, datasets/cifar.py
            "cifar-10-batches-py/data_batch_1": "c99cafc152244af753f735de768cd75f",
            "cifar-10-batches-py/data_batch_2": "d4bba439e000b95fd0a9bffe97cbabec",
            "cifar-10-batches-py/data_batch_3": "54ebc095f3ab1f0389bbae665268c751",
            "cifar-10-batches-py/data_batch_4": "634d18415352ddfa80567beed471001a",
            "cifar-10-batches-py/data_batch_5": "482c414d41f54cd18b22e5b47cb7c3cb",
            "cifar-10-batches-py/test_batch": "40351d587109b95175f43aff81a1287e",
        },
    ),
    "cifar100": Entry(
        title="CIFAR-100, fine classes",
        kind="images",
        shape=(3, 32, 32),
        n_classes=100,
        n_train=50000,
        n_test=10000,
        folder="cifar-100-python",
        source="torchvision.datasets.CIFAR100",
        load=lambda root, _recipe: images.load_cifar100(root),
        library="torchvision",
        fetch=("CIFAR100", _TRAIN_AND_TEST),
        md5={  # torchvision 0.18, datasets/cifar.py
            "cifar-100-python/train": "16019d7e3df5f24257cddd939b257f8d",
            "cifar-100-python/test": "f0ef6b0ae62326f3e7ffdfab6717acfc",
        },
    ),
    "nmnist": Entry(
        title="N-MNIST",
        kind="events",
        shape=(2, 34, 34),
        n_classes=10,
        n_train=60000,
        n_test=10000,
        folder="NMNIST",
        source="tonic.datasets.NMNIST",
        load=lambda root, recipe: events.load_nmnist(root, _frame(recipe, (2, 34, 34), 340_000)),
        library="tonic",
        fetch=("NMNIST", _TRAIN_AND_TEST),
    ),
    "dvs-gesture": Entry(
        title="DVS128 Gesture",
        kind="events",
        shape=(2, 128, 128),
        n_classes=11,
        n_train=1077,
        n_test=264,
        folder="DVSGesture",
        source="tonic.datasets.DVSGesture",
        load=lambda root, recipe: events.load_dvs_gesture(root, _frame(recipe, (2, 128, 128), 1_500_000)),
        library="tonic",
        fetch=("DVSGesture", _TRAIN_AND_TEST),
    ),
    "cifar10-dvs": Entry(
        title="CIFAR10-DVS",
        kind="events",
        shape=(2, 128, 128),
        n_classes=10,
        n_train=10000,
        n_test=None,
        folder="CIFAR10DVS",
        source="tonic.datasets.CIFAR10DVS",
        load=lambda root, recipe: events.load_cifar10_dvs(root, _frame(recipe, (2, 128, 128), 1_300_000)),
        library="tonic",
        fetch=("CIFAR10DVS", ({},)),
    ),
    "shd": Entry(
        title="Spiking Heidelberg Digits",
        kind="events",
        shape=(700,),
        n_classes=20,
        n_train=8156,
        n_test=2264,
        folder="SHD",
        source="tonic.datasets.SHD",
        load=lambda root, recipe: events.load_shd(root, _frame(recipe, (700,), 1_400_000)),
        library="tonic",
        fetch=("SHD", _TRAIN_AND_TEST),
    ),
    "braille": Entry(
        title="Braille letters under a fingertip",
        kind="events",
        shape=(24,),
        n_classes=27,
        n_train=5400,
        n_test=None,
        folder="Braille",
        source="Zenodo record 7050094 (Mueller-Cleve et al., 2022), a file data_braille_letters_th*",
        load=lambda root, recipe: events.load_braille(root, _frame(recipe, (24,), 1_350_000)),
    ),
    "fsdd": Entry(
        title="Free Spoken Digit Dataset",
        kind="sound",
        shape=(audio.N_BANDS,),
        n_classes=10,
        n_train=2700,
        n_test=300,
        folder="FSDD",
        source="GitHub Jakobovski/free-spoken-digit-dataset, its folder recordings",
        load=lambda root, recipe: audio.load_fsdd(root, recipe.n_steps, _duration_us(recipe, 1_000_000)),
    ),
}


def data_list(root: str | Path | None = None) -> list[dict[str, Any]]:
    """Return one row a data set: its facts, its folder below ``root``, and whether that folder is there."""
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
        for name, entry in CATALOG.items()
    ]


def data_verify(name: str, root: str | Path | None = None) -> dict[str, Any]:
    """Read a set from end to end and return what is there.

    Returns:
        ``train`` and ``test``: samples found (``test`` None where the set has no part of its own); ``expected_train``,
        ``expected_test``: those of the whole set; ``complete``: whether they agree; ``per_class``: samples of each class in
        all; ``hashes``: by file, "as published" or "differs", for files whose MD5 is known.

    Raises:
        DataError: where files are missing or damaged, or a label is out of range.
        UsageError: for an unknown name.
    """
    entry, base = _entry(name), data_root(root)
    loaded = entry.load(base, DataRecipe.model_validate({"name": name, "n_steps": 20}))
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


def _hashes(entry: Entry, root: Path) -> dict[str, str]:
    """Return for each file of known MD5 whether it is as published; one packed otherwise is compared by its content."""
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


def data_get(name: str, root: str | Path | None = None) -> dict[str, Any]:
    """Fetch a set through torchvision or tonic, and return what ``data_verify`` says of it.

    Raises:
        MissingPackageError: where the library is not installed.
        DataError: where no library fetches the set, or fetching failed.
        UsageError: for an unknown name.
    """
    entry, base = _entry(name), data_root(root)
    if entry.library is None or entry.fetch is None:
        if not entry.folder:
            return data_verify(name, base)
        raise DataError(f"data: no library fetches '{name}'; take it from {entry.source} to {base / entry.folder}")
    try:
        module = import_module(f"{entry.library}.datasets")
    except ImportError as error:
        raise MissingPackageError(
            f"data: '{name}' is fetched through {entry.library}, which is not installed; pip install 'neurodeploy[data]'"
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
    return data_verify(name, base)


def _convert_aedat4(folder: Path) -> None:
    """Write each ``.aedat4`` recording, read by tonic, as an array ``(n, 4)`` of x, y, polarity, microseconds beside it."""
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


def _entry(name: str) -> Entry:
    try:
        return CATALOG[name]
    except KeyError:
        raise UsageError(f"data: there is no data set '{name}'; known: {', '.join(CATALOG)}") from None

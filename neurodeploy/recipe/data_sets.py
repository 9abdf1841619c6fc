"""The table ``DATA_SETS`` of data sets that a recipe can name; the loader of a set is imported when the set is read."""

from __future__ import annotations

import difflib
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Literal


@dataclass(frozen=True, slots=True, kw_only=True)
class DataSet:
    """The facts about a data set.

    Attributes:
        title: name of the set in words.
        kind: ``images``, ``events`` of a sensor, or ``sound``.
        shape: shape of a sample before cropping and pooling.
        n_classes: number of classes.
        n_train, n_test: number of samples of the complete set; ``n_test`` is None if the set has no test part.
        folder: folder of its files, below the root of all sets; empty if the set comes with a package.
        source: address where the set is published.
        load: ``module:function`` that reads the set and returns its samples, or its training and its test samples. The
            function takes the root (images), the root and a ``data.encodings.Frame`` (events), or the root, the number of
            steps and the microseconds that they cover (sound).
        duration_us: length of a recording in microseconds; a recipe may use less.
        library: package that fetches the set; ``fetch``: the class in that package, and the arguments of each call.
        md5: file -> MD5 of the file as published.
        licence: licence of the data, as stated where they are published; empty if none is. Networks trained on data without
            one are not passed on (``bench/methods/zoo.py``).
    """

    title: str
    kind: Literal["images", "events", "sound"]
    shape: tuple[int, ...]
    n_classes: int
    n_train: int
    n_test: int | None
    folder: str
    source: str
    load: str
    duration_us: int = 0
    library: Literal["torchvision", "tonic"] | None = None
    fetch: tuple[str, tuple[Mapping[str, Any], ...]] | None = None
    md5: Mapping[str, str] = field(default_factory=dict)
    licence: str = ""


_TRAIN_AND_TEST: tuple[Mapping[str, Any], ...] = ({"train": True}, {"train": False})

DATA_SETS: dict[str, DataSet] = {
    "digits": DataSet(
        title="scikit-learn's 8x8 digits",
        kind="images",
        shape=(1, 8, 8),
        n_classes=10,
        n_train=1797,
        n_test=None,
        folder="",
        source="ships with scikit-learn",
        load="neurodeploy.data.digits:load_digits",
        licence="CC BY 4.0 (UCI)",
    ),
    "mnist": DataSet(
        title="MNIST",
        kind="images",
        shape=(1, 28, 28),
        n_classes=10,
        n_train=60000,
        n_test=10000,
        folder="MNIST/raw",
        source="torchvision.datasets.MNIST",
        load="neurodeploy.data.images:load_mnist",
        licence="CC BY-SA 3.0",
        library="torchvision",
        fetch=("MNIST", _TRAIN_AND_TEST),
        md5={  # of the unpacked files; the git blobs in patrick-kidger/equinox have the same hashes
            "MNIST/raw/train-images-idx3-ubyte": "6bbc9ace898e44ae57da46a324031adb",
            "MNIST/raw/train-labels-idx1-ubyte": "a25bea736e30d166cdddb491f175f624",
            "MNIST/raw/t10k-images-idx3-ubyte": "2646ac647ad5339dbf082846283269ea",
            "MNIST/raw/t10k-labels-idx1-ubyte": "27ae3e4e09519cfbb04c329615203637",
        },
    ),
    "fashion-mnist": DataSet(
        title="Fashion-MNIST",
        kind="images",
        shape=(1, 28, 28),
        n_classes=10,
        n_train=60000,
        n_test=10000,
        folder="FashionMNIST/raw",
        source="torchvision.datasets.FashionMNIST",
        load="neurodeploy.data.images:load_fashion_mnist",
        licence="MIT",
        library="torchvision",
        fetch=("FashionMNIST", _TRAIN_AND_TEST),
        md5={  # of the unpacked training files, and of the packed test files (torchvision 0.18, datasets/mnist.py)
            "FashionMNIST/raw/train-images-idx3-ubyte": "f4a8712d7a061bf5bd6d2ca38dc4d50a",
            "FashionMNIST/raw/train-labels-idx1-ubyte": "9018921c3c673c538a1fc5bad174d6f9",
            "FashionMNIST/raw/t10k-images-idx3-ubyte.gz": "bef4ecab320f06d8554ea6380940ec79",
            "FashionMNIST/raw/t10k-labels-idx1-ubyte.gz": "bb300cfdad3c16e7a12a480ee83cd310",
        },
    ),
    "cifar10": DataSet(
        title="CIFAR-10",
        kind="images",
        shape=(3, 32, 32),
        n_classes=10,
        n_train=50000,
        n_test=10000,
        folder="cifar-10-batches-py",
        source="torchvision.datasets.CIFAR10",
        load="neurodeploy.data.images:load_cifar10",
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
    "cifar100": DataSet(
        title="CIFAR-100, fine classes",
        kind="images",
        shape=(3, 32, 32),
        n_classes=100,
        n_train=50000,
        n_test=10000,
        folder="cifar-100-python",
        source="torchvision.datasets.CIFAR100",
        load="neurodeploy.data.images:load_cifar100",
        library="torchvision",
        fetch=("CIFAR100", _TRAIN_AND_TEST),
        md5={  # torchvision 0.18, datasets/cifar.py
            "cifar-100-python/train": "16019d7e3df5f24257cddd939b257f8d",
            "cifar-100-python/test": "f0ef6b0ae62326f3e7ffdfab6717acfc",
        },
    ),
    "nmnist": DataSet(
        title="N-MNIST",
        kind="events",
        shape=(2, 34, 34),
        n_classes=10,
        n_train=60000,
        n_test=10000,
        folder="NMNIST",
        source="tonic.datasets.NMNIST",
        load="neurodeploy.data.events:load_nmnist",
        licence="CC BY-SA 4.0",
        duration_us=340_000,
        library="tonic",
        fetch=("NMNIST", _TRAIN_AND_TEST),
    ),
    "dvs-gesture": DataSet(
        title="DVS128 Gesture",
        kind="events",
        shape=(2, 128, 128),
        n_classes=11,
        n_train=1077,
        n_test=264,
        folder="DVSGesture",
        source="tonic.datasets.DVSGesture",
        load="neurodeploy.data.events:load_dvs_gesture",
        licence="CC BY 4.0",
        duration_us=1_500_000,
        library="tonic",
        fetch=("DVSGesture", _TRAIN_AND_TEST),
    ),
    "cifar10-dvs": DataSet(
        title="CIFAR10-DVS",
        kind="events",
        shape=(2, 128, 128),
        n_classes=10,
        n_train=10000,
        n_test=None,
        folder="CIFAR10DVS",
        source="tonic.datasets.CIFAR10DVS",
        load="neurodeploy.data.events:load_cifar10_dvs",
        duration_us=1_300_000,
        library="tonic",
        fetch=("CIFAR10DVS", ({},)),
    ),
    "shd": DataSet(
        title="Spiking Heidelberg Digits",
        kind="events",
        shape=(700,),
        n_classes=20,
        n_train=8156,
        n_test=2264,
        folder="SHD",
        source="tonic.datasets.SHD",
        load="neurodeploy.data.events:load_shd",
        duration_us=1_400_000,
        library="tonic",
        fetch=("SHD", _TRAIN_AND_TEST),
    ),
    "braille": DataSet(
        title="Braille letters under a fingertip",
        kind="events",
        shape=(24,),
        n_classes=27,
        n_train=5400,
        n_test=None,
        folder="Braille",
        source="Zenodo record 7050094 (Mueller-Cleve et al., 2022), a file data_braille_letters_th*",
        load="neurodeploy.data.events:load_braille",
        duration_us=1_350_000,
    ),
    "ev-objects": DataSet(
        title="Ev-Objects, household objects under touch sensors",
        kind="events",
        shape=(78,),
        n_classes=36,
        n_train=576,
        n_test=144,
        folder="EvTactile",
        source="GitHub clear-nus/TactileSGNet, its file Ev-Objects.zip (Gu et al., 2020)",
        load="neurodeploy.data.events:load_ev_objects",
        duration_us=5_000_000,
    ),
    "ecg": DataSet(
        title="QT Database, waves of the heartbeat, a label a step",
        kind="events",
        shape=(4,),
        n_classes=6,
        n_train=618,
        n_test=141,
        folder="ECG-QTDB",
        source="GitHub byin-cwi/Efficient-spiking-networks, its files data/QTDB_*.mat (Yin et al., 2021)",
        load="neurodeploy.data.ecg:load_ecg",
        licence="MIT",
        duration_us=5_204_000,
    ),
    "fsdd": DataSet(
        title="Free Spoken Digit Dataset",
        kind="sound",
        shape=(40,),
        n_classes=10,
        n_train=2700,
        n_test=300,
        folder="FSDD",
        source="GitHub Jakobovski/free-spoken-digit-dataset, its folder recordings",
        load="neurodeploy.data.audio:load_fsdd",
        licence="CC BY-SA 4.0",
        duration_us=1_000_000,
    ),
}
"""The data sets by name; the key ``name`` of a recipe's ``[data]`` names one of them."""

_ALSO = {
    "sklearndigits": "digits",
    "fmnist": "fashion-mnist",
    "neuromorphicmnist": "nmnist",
    "dvsgesture128": "dvs-gesture",
    "ibmgesture": "dvs-gesture",
    "dvs128gestures": "dvs-gesture",
    "heidelbergdigits": "shd",
    "brailleletters": "braille",
    "evobjects": "ev-objects",
    "qtdb": "ecg",
    "ecgqtdb": "ecg",
    "evtactile": "ev-objects",
    "freespokendigits": "fsdd",
    "spokendigits": "fsdd",
}
"""What else sets are called, without marks and in lower case."""


def known_name(name: str) -> str:
    """Return the key in ``DATA_SETS`` of a set named as people write it; the name itself where there is none.

    >>> [known_name(name) for name in ("MNIST", "N-MNIST", "fashion_mnist", "DVS128 Gesture", "mnits")]
    ['mnist', 'nmnist', 'fashion-mnist', 'dvs-gesture', 'mnits']
    """
    if name in DATA_SETS:
        return name
    plain = _plain(name)
    written = {_plain(text): key for key, entry in DATA_SETS.items() for text in (entry.title, entry.folder, key)}
    return {**written, **_ALSO}.get(plain, name)


def likely_names(name: str) -> list[str]:
    """Return the keys in ``DATA_SETS`` that a mistyped name may stand for."""
    plain = {_plain(key): key for key in DATA_SETS}
    return [plain[close] for close in difflib.get_close_matches(_plain(name), plain, n=2, cutoff=0.7)]


def _plain(name: str) -> str:
    return "".join(letter for letter in name.lower() if letter.isalnum())

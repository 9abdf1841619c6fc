"""Image sets in torchvision's folder layouts: MNIST, Fashion-MNIST (idx files), CIFAR-10 and CIFAR-100 (pickles)."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from neurodeploy.data.dataset import Dataset, checked_labels
from neurodeploy.data.files import damaged, find_file, find_folder, read_idx, unpickle_plain

IDX_FILES = (
    ("train-images-idx3-ubyte", "train-labels-idx1-ubyte"),
    ("t10k-images-idx3-ubyte", "t10k-labels-idx1-ubyte"),
)
CIFAR10_FILES = ([f"data_batch_{i}" for i in range(1, 6)], ["test_batch"])


def load_idx_images(name: str, folder: str, root: Path) -> tuple[Dataset, Dataset]:
    """Return the train and test parts below ``root/folder/raw`` (or ``root/folder``): shape ``(1, 28, 28)``, 10 classes.

    Raises:
        DataError: for a missing or damaged file, or a label outside 0..9.
    """
    folders = [root / folder / "raw", root / folder]
    train, test = (_idx_part(name, find_file(name, folders, i), find_file(name, folders, k)) for i, k in IDX_FILES)
    return train, test


def _idx_part(name: str, image_file: Path, label_file: Path) -> Dataset:
    images, labels = read_idx(image_file), read_idx(label_file)
    if images.ndim != 3 or images.shape[1:] != (28, 28):
        raise damaged(image_file, f"images of shape {images.shape[1:]}, expected (28, 28)")
    if labels.shape != images.shape[:1]:
        raise damaged(label_file, f"{labels.size} labels for {len(images)} images")
    return Dataset(
        name=name,
        shape=(1, 28, 28),
        values=images.reshape(len(images), -1),
        labels=checked_labels(labels, 10, label_file),
        n_classes=10,
    )


def load_mnist(root: Path) -> tuple[Dataset, Dataset]:
    """Return MNIST's training and test images, ``(1, 28, 28)``."""
    return load_idx_images("mnist", "MNIST", root)


def load_fashion_mnist(root: Path) -> tuple[Dataset, Dataset]:
    """Return Fashion-MNIST's training and test images, ``(1, 28, 28)``."""
    return load_idx_images("fashion-mnist", "FashionMNIST", root)


def load_cifar10(root: Path) -> tuple[Dataset, Dataset]:
    """Return the train and test parts in ``root/cifar-10-batches-py``: shape ``(3, 32, 32)``, 10 classes.

    Raises:
        DataError: for a missing or damaged file, or a label outside 0..9.
    """
    folder = find_folder("cifar10", root, "cifar-10-batches-py", "CIFAR10/cifar-10-batches-py")
    train, test = (_cifar_part("cifar10", folder, files, b"labels", 10) for files in CIFAR10_FILES)
    return train, test


def load_cifar100(root: Path) -> tuple[Dataset, Dataset]:
    """Return the train and test parts in ``root/cifar-100-python``: shape ``(3, 32, 32)``, the 100 fine classes.

    Raises:
        DataError: for a missing or damaged file, or a label outside 0..99.
    """
    folder = find_folder("cifar100", root, "cifar-100-python", "CIFAR100/cifar-100-python")
    train, test = (_cifar_part("cifar100", folder, [file], b"fine_labels", 100) for file in ("train", "test"))
    return train, test


def _cifar_part(name: str, folder: Path, files: list[str], key: bytes, n_classes: int) -> Dataset:
    batches = [_cifar_batch(find_file(name, [folder], file), key, n_classes) for file in files]
    return Dataset(
        name=name,
        shape=(3, 32, 32),
        values=np.concatenate([values for values, _ in batches]),
        labels=np.concatenate([labels for _, labels in batches]),
        n_classes=n_classes,
    )


def _cifar_batch(path: Path, key: bytes, n_classes: int) -> tuple[NDArray[np.uint8], NDArray[np.int32]]:
    """Return the pixels ``(n, 3072)`` and labels of a file; the dictionary's keys are bytes as published, or text."""
    batch = unpickle_plain(path, arrays=True)
    if not isinstance(batch, dict):
        raise damaged(path, "no dictionary")
    fields = {name if isinstance(name, bytes) else str(name).encode(): value for name, value in batch.items()}
    values, labels = fields.get(b"data"), fields.get(key)
    if not isinstance(values, np.ndarray) or values.dtype != np.uint8 or values.shape[1:] != (3072,):
        raise damaged(path, "no array 'data' of bytes, 3072 an image")
    if not isinstance(labels, list) or len(labels) != len(values):
        raise damaged(path, f"no list '{key.decode()}' with a label for each of {len(values)} images")
    return values, checked_labels(labels, n_classes, path)

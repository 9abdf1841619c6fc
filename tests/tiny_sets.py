"""Tiny copies of data sets in the layout of the real ones, written by the tests."""

from __future__ import annotations

import gzip
import pickle
import wave
from pathlib import Path

import h5py
import numpy as np


def idx(array: np.ndarray) -> bytes:
    """Return an idx file of bytes, as MNIST has them."""
    return bytes([0, 0, 8, array.ndim]) + np.array(array.shape, ">u4").tobytes() + array.tobytes()


def write(path: Path, data: bytes) -> None:
    """Write a file in a folder that is made where it is missing."""
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(data)


def write_idx_set(folder, *, packed=True, labels=range(10)):
    """Two train images and one test image a label; image ``i`` has its first pixel at ``i``."""
    for part, repeats in (("train", 2), ("t10k", 1)):
        given = np.repeat(np.array(labels, np.uint8), repeats)
        pixels = np.zeros((len(given), 28, 28), np.uint8)
        pixels[:, 0, 0] = np.arange(len(given))
        for kind, array in (("images-idx3", pixels), ("labels-idx1", given)):
            file = folder / f"{part}-{kind}-ubyte"
            content = idx(array)
            write(file.with_name(file.name + ".gz") if packed else file, gzip.compress(content) if packed else content)


def write_cifar10(root, *, protocol=2, label=9):
    """Two images a batch, all pixels the number of the batch."""
    for i, file in enumerate([f"data_batch_{k}" for k in range(1, 6)] + ["test_batch"]):
        batch = {b"labels": [i, label], b"data": np.full((2, 3072), i, np.uint8)}
        write(root / "cifar-10-batches-py" / file, pickle.dumps(batch, protocol=protocol))


def nmnist_event(x, y, polarity, time_us):
    """Return the five bytes of an event."""
    return bytes([x, y, polarity << 7 | time_us >> 16, time_us >> 8 & 255, time_us & 255])


def write_nmnist(root):
    """Two training recordings and one for testing a label, of three events each."""
    for part, count in (("Train", 2), ("Test", 1)):
        for label in range(10):
            for i in range(count):
                events = nmnist_event(33, 2, 1, 0) + nmnist_event(label, i, 0, 170_000) + nmnist_event(0, 0, 0, 340_000)
                write(root / "NMNIST" / part / str(label) / f"{i:05}.bin", events)


def write_shd(root, *, label=19, packed=False):
    """Two recordings a part, of the labels 0 and ``label``."""
    (root / "SHD").mkdir(parents=True, exist_ok=True)
    for part in ("train", "test"):
        path = root / "SHD" / f"shd_{part}.h5"
        with h5py.File(path, "w") as file:
            ragged = {"times": [[0.0, 0.7], [1.39]], "units": [[0, 699], [5]]}
            for name, dtype in (("times", np.float16), ("units", np.uint16)):
                rows = file.create_dataset(f"spikes/{name}", (2,), dtype=h5py.vlen_dtype(dtype))
                for i, row in enumerate(ragged[name]):
                    rows[i] = np.array(row, dtype)
            file["labels"] = np.array([0, label], np.uint16)
        if packed:
            write(path.with_name(path.name + ".gz"), gzip.compress(path.read_bytes()))
            path.unlink()


def write_wav(path, samples, rate=8000):
    """One channel of 16 bits."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with wave.open(str(path), "wb") as file:
        file.setnchannels(1)
        file.setsampwidth(2)
        file.setframerate(rate)
        file.writeframes(np.asarray(samples, "<i2").tobytes())


def braille_letters(names):
    """Return a Braille recording for each name: two events of the first taxel, one on, one off."""
    return [{"letter": name, "events": [[[0.0], [1.3]]] + [[[], []]] * 11} for name in names]

"""Files of data with random damage: every loader either reads them or refuses them in one of its own errors."""

from __future__ import annotations

import csv
import shutil
import time
import warnings
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import h5py
import numpy as np
from event_files import aedat3, bin5, dat, davis346, dvs128, evt2, evt3, some_rows, write
from fuzz.mutate import damages
from scipy.io import savemat
from tiny_sets import write_cifar10, write_idx_set, write_nmnist, write_shd, write_wav

from neurodeploy.commands.samples import as_samples
from neurodeploy.data.catalog import verify_data_set
from neurodeploy.data.fields import understood
from neurodeploy.data.readers import EVENT_FILES, read_events
from neurodeploy.data.tables import read_table
from neurodeploy.data.window import DataWarning
from neurodeploy.errors import NeurodeployError
from neurodeploy.network.activity import Activity, Events, Samples, load_activity, save_activity, save_samples
from neurodeploy.recipe.files import load_recipe

SLOWEST_S = 20.0
"""A damaged file that takes longer counts as one that hangs; whole ones take milliseconds."""

RECORDED = Path(__file__).parent / "unit" / "data" / "recorded"


def _spikes() -> Any:
    return np.random.default_rng(0).random((4, 6, 5)) < 0.3


def whole_files(folder: Path) -> list[Path]:
    """Write one whole file of every kind into a folder, and return their paths."""
    small, camera = some_rows(60), some_rows(60, shape=(260, 346))
    made = [
        write(folder / "dvs128.aedat", dvs128(small)),
        write(folder / "first.aedat", dvs128(small, version="1.0")),
        write(folder / "davis.aedat", davis346(camera, extra=[1 << 31, 1 << 10])),
        write(folder / "third.aedat", aedat3(small, frames=1)),
        write(folder / "third0.aedat", aedat3(small, version="3.0")),
        write(folder / "two.raw", evt2(camera)),
        write(folder / "three.raw", evt3(camera)),
        write(folder / "events.dat", dat(camera)),
        write(folder / "events.bin", bin5(some_rows(60, shape=(34, 34)), turns=(15,))),
    ]
    made += [Path(shutil.copy(RECORDED / f"{name}.aedat4", folder)) for name in ("none", "lz4", "zstd")]
    save_samples(Samples(inputs={"input": Events.from_dense(_spikes())}, labels=[0, 1, 2, 0]), folder / "samples.npz")
    payloads = Events.from_dense(_spikes() * np.int32(3), graded=True)
    spikes = {"input": payloads, "out": Events.from_dense(_spikes())}
    states = {("out", "v"): np.arange(120, dtype=np.int32).reshape(4, 6, 5)}
    activity = Activity(engine="event", network="x", n_steps=6, spikes=spikes, states=states, overflow={"out": 0})
    save_activity(activity, folder / "activity.npz")
    np.savez(folder / "plain.npz", spikes=np.tile(_spikes(), (5, 1, 1)), labels=np.arange(20) % 2)
    times = np.arange(20) * 0.5
    lists = {"times_ms": times, "units": np.arange(20) % 7, "samples": np.arange(20) // 5, "labels": np.arange(4)}
    np.savez_compressed(folder / "lists.npz", **lists)
    np.save(folder / "plain.npy", _spikes())
    rows = np.zeros(30, [("t", "<i8"), ("x", "<u2"), ("y", "<u2"), ("p", "?")])
    np.save(folder / "rows.npy", rows)
    savemat(folder / "plain.mat", {"x": _spikes().astype(np.int16), "y": np.arange(4)}, do_compression=True)
    savemat(folder / "struct.mat", {"TD": {"x": [1, 2], "y": [3, 4], "p": [0, 1], "ts": [5, 6]}})
    with h5py.File(folder / "prophesee.h5", "w") as file:
        cd = np.zeros(40, [("x", "<u2"), ("y", "<u2"), ("p", "<i2"), ("t", "<i8")])
        file.create_dataset("CD/events", data=cd, compression="gzip")
    with (folder / "table.csv").open("w", newline="", encoding="utf-8") as text:
        csv.writer(text).writerows([["t_us", "x", "y", "p"], *([10 * i, i % 34, i % 30, i % 2] for i in range(30))])
    made += [
        folder / name for name in ("samples.npz", "activity.npz", "plain.npz", "lists.npz", "plain.npy", "rows.npy")
    ]
    made += [folder / name for name in ("plain.mat", "struct.mat", "prophesee.h5", "table.csv")]
    write_shd(folder / "shd")
    write_shd(folder / "shd-packed", packed=True)
    write_cifar10(folder / "cifar10")
    write_idx_set(folder / "mnist" / "MNIST/raw")
    write_nmnist(folder / "nmnist")
    write_wav(folder / "fsdd/FSDD/recordings/0_ann_0.wav", 100 * np.arange(400))
    for part in ("Test", "Train"):
        gesture = folder / f"gesture/DVSGesture/ibmGesture{part}/user01/3.npy"
        gesture.parent.mkdir(parents=True)
        np.save(gesture, np.array([[1, 2, 0, 3.0], [4, 5, 1, 900.0]], np.float32))
    made += [
        folder / "shd/SHD/shd_train.h5",
        folder / "shd-packed/SHD/shd_train.h5.gz",
        folder / "cifar10/cifar-10-batches-py/data_batch_1",
        folder / "mnist/MNIST/raw/t10k-images-idx3-ubyte.gz",
        folder / "nmnist/NMNIST/Train/0/00000.bin",
        folder / "fsdd/FSDD/recordings/0_ann_0.wav",
        gesture,
    ]
    recipe = folder / "own.toml"
    recipe.write_text(_RECIPE.replace("PATH", str(folder / "plain.npz")), encoding="utf-8")
    return [*made, recipe]


_RECIPE = """name = "own"
[data]
path = "PATH"
n_steps = 6
validation_fraction = 0.25
[network]
dt = 1e-3
layers = [{ neurons = 4 }, { neurons = 2 }]
neuron = { threshold = 64, current_decay = 2048, voltage_decay = 512, tau_grad = 0.01, scale_grad = 1.0 }
[sparse]
method = "dense"
[training]
epochs = 1
"""

_SETS = {"shd": "shd", "shd-packed": "shd", "cifar10": "cifar10", "mnist": "mnist", "nmnist": "nmnist", "fsdd": "fsdd",
         "gesture": "dvs-gesture"}  # fmt: skip


def read(path: Path, folder: Path) -> None:
    """Read a file of ``whole_files`` in every way in which commands read it."""
    part = path.relative_to(folder).parts[0]
    if part in _SETS:
        verify_data_set(_SETS[part], folder / part)
    elif path.name == "activity.npz":
        load_activity(path)
    elif path.suffix == ".toml":
        load_recipe(path)
        as_samples(path)
    elif path.suffix in EVENT_FILES:
        read_events(path)
        as_samples(path, dt_s=1e-3, sensor=(2, 300, 400) if path.suffix == ".bin" else None)
    else:
        unit = None if path.stem in ("lists", "plain", "samples") else "us"
        sensor = {"lists.npz": (9,), "samples.npz": None}.get(path.name, (2, 34, 34))
        as_samples(path, dt_s=1e-3, time_unit=unit, sensor=sensor)
        if path.name != "samples.npz":
            understood(read_table(path), str(path), time_unit=unit)


def outcomes(folder: Path, n: int, seed: int) -> Iterator[tuple[str, str]]:
    """Yield for each of ``n`` damaged files its name, and ``read``, ``refused`` or what went wrong."""
    rng = np.random.default_rng(seed)
    files = whole_files(folder)
    whole = {path: path.read_bytes() for path in files}
    for i in range(n):
        path = files[i % len(files)]
        path.write_bytes(damages(whole[path], rng))
        started = time.perf_counter()
        try:
            with warnings.catch_warnings():
                warnings.simplefilter("ignore", DataWarning)  # damage may leave a sample without an event
                read(path, folder)
            outcome = "read"
        except NeurodeployError as error:
            outcome = "refused" if len(str(error)) > 20 else f"says too little: {error}"
        except Exception as error:
            outcome = f"{type(error).__name__}: {error}"[:300]
        if time.perf_counter() - started > SLOWEST_S:
            outcome = f"took {time.perf_counter() - started:.0f} s"
        path.write_bytes(whole[path])
        yield f"{path.relative_to(folder)} (number {i})", outcome

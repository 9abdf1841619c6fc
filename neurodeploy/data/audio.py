"""Spoken digits (Free Spoken Digit Dataset): wav files, encoded as spikes of a mel filter bank."""

from __future__ import annotations

import io
import re
import wave
import zipfile
from collections.abc import Iterator
from functools import lru_cache
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from neurodeploy.data.dataset import Frames
from neurodeploy.data.files import damaged, find_folder, missing, read_bytes
from neurodeploy.files.unreadable import UNREADABLE, reason
from neurodeploy.recipe.data_sets import DATA_SETS

SAMPLE_RATE_HZ = 8000
N_BANDS = DATA_SETS["fsdd"].shape[0]
FLOOR_DB = 50.0
_NAME = re.compile(r"(\d)_([A-Za-z]+)_(\d+)\.wav")
_N_TEST = 5
_MOST_BYTES = 2**28


def load_fsdd(root: Path, n_steps: int, duration_us: int) -> tuple[Frames, Frames]:
    """Return the train and test parts in ``root/FSDD/recordings.zip`` or ``root/FSDD/recordings/*.wav``: 40 channels.

    As the set's README says, recordings 0 to 4 of each digit and speaker are for testing; if these are absent, the five
    recordings with the lowest indices.

    Raises:
        DataError: for a missing folder, an empty one, or a damaged file.
    """
    folder = find_folder("fsdd", root, "FSDD", "free-spoken-digit-dataset")
    files = dict(_wavs(folder))
    if not files:
        raise missing("fsdd", "recordings: no {digit}_{speaker}_{index}.wav", [folder / "recordings", folder])
    speakers: dict[tuple[str, str], list[tuple[int, str]]] = {}
    for name in files:
        digit, speaker, index = _NAME.fullmatch(name).groups()  # type: ignore[union-attr]
        speakers.setdefault((digit, speaker), []).append((int(index), name))
    ordered = [[name for _, name in sorted(group)] for _, group in sorted(speakers.items())]
    parts = [[n for group in ordered for n in group[_N_TEST:]], [n for group in ordered for n in group[:_N_TEST]]]
    train, test = (_part(folder, names, files, n_steps, duration_us) for names in parts)
    return train, test


def _wavs(folder: Path) -> Iterator[tuple[str, bytes]]:
    """Yield name and content of every recording, from the zip file if there is one."""
    archive = folder / "recordings.zip"
    if not archive.is_file():
        for path in sorted((folder / "recordings").glob("*.wav")) or sorted(folder.glob("*.wav")):
            if _NAME.fullmatch(path.name):
                yield path.name, read_bytes(path)
        return
    try:
        with zipfile.ZipFile(archive) as content:
            for name in content.namelist():
                if _NAME.fullmatch(Path(name).name):
                    if content.getinfo(name).file_size > _MOST_BYTES:
                        raise damaged(archive, f"{name} claims more than {_MOST_BYTES:,} bytes")
                    yield Path(name).name, content.read(name)
    except UNREADABLE as error:
        raise damaged(archive, reason(error)) from error


def _part(folder: Path, names: list[str], files: dict[str, bytes], n_steps: int, duration_us: int) -> Frames:
    bits = np.zeros((len(names), -(-n_steps * N_BANDS // 8)), np.uint8)
    for i, name in enumerate(names):
        signal = read_wav(files[name], folder / name)
        bits[i] = np.packbits(accumulate(mel_levels(signal, n_steps, duration_us)))
    labels = np.array([int(name[0]) for name in names], np.int32)
    return Frames(name="fsdd", shape=(N_BANDS,), n_steps=n_steps, bits=bits, labels=labels, n_classes=10)


def read_wav(data: bytes, path: Path) -> NDArray[np.float64]:
    """Return the samples of a mono 16-bit wav file of 8 kHz, in -1..1.

    Raises:
        DataError: if the file has another format.
    """
    try:
        with wave.open(io.BytesIO(data)) as file:
            kind = (file.getnchannels(), file.getsampwidth(), file.getframerate())
            n_frames = file.getnframes()
            content = file.readframes(n_frames)
    except (*UNREADABLE, wave.Error) as error:
        raise damaged(path, str(error) or "a chunk of another length") from error
    if kind != (1, 2, SAMPLE_RATE_HZ):
        raise damaged(
            path, f"{kind[0]} channels of {8 * kind[1]} bits at {kind[2]} Hz, expected 1 of 16 bits at 8000 Hz"
        )
    if not content:
        raise damaged(path, "no samples")
    if len(content) != 2 * n_frames:
        raise damaged(path, f"its header tells {n_frames:,} samples of 2 bytes, {len(content):,} bytes are there")
    return np.frombuffer(content, "<i2") / 2.0**15


def mel_levels(signal: NDArray[np.float64], n_steps: int, duration_us: int) -> NDArray[np.float64]:
    """Return the level of each mel band in each step, ``(n_steps, 40)`` in 0..1.

    A step has the length ``duration_us / n_steps``; its spectrum is taken with a Hann window of at least 256 samples around
    its middle. The level is linear in decibels: 1 is the recording's loudest band, 0 is 50 dB below it, quieter, or silence.
    """
    length = max(256, 2 * SAMPLE_RATE_HZ * duration_us // (1_000_000 * n_steps))
    middle = ((np.arange(n_steps) + 0.5) * duration_us * SAMPLE_RATE_HZ / 1_000_000 / n_steps).astype(np.int64)
    padded = np.concatenate([np.zeros(length), signal, np.zeros(length + int(middle[-1]))])
    windows = padded[middle[:, None] + length // 2 + np.arange(length)] * np.hanning(length)
    power = np.abs(np.fft.rfft(windows)) ** 2 @ _mel_filters(length).T
    peak = power.max()
    if peak == 0:
        return np.zeros((n_steps, N_BANDS))
    decibel = 10 * np.log10(np.maximum(power / peak, 1e-12))
    levels: NDArray[np.float64] = np.clip(1 + decibel / FLOOR_DB, 0, 1)
    return levels


@lru_cache(maxsize=8)
def _mel_filters(length: int) -> NDArray[np.float64]:
    """Return triangular filters ``(40, length // 2 + 1)``, evenly spaced in mel from 100 Hz to 3800 Hz."""
    low, high = (float(2595 * np.log10(1 + hertz / 700)) for hertz in (100, 3800))
    edges = 700 * (10 ** (np.linspace(low, high, N_BANDS + 2) / 2595) - 1)
    frequency = np.fft.rfftfreq(length, 1 / SAMPLE_RATE_HZ)
    rising = (frequency - edges[:-2, None]) / np.diff(edges)[:-1, None]
    falling = (edges[2:, None] - frequency) / np.diff(edges)[1:, None]
    filters: NDArray[np.float64] = np.clip(np.minimum(rising, falling), 0, None)
    return filters


def accumulate(levels: NDArray[np.float64]) -> NDArray[np.uint8]:
    """Return a spike wherever the running sum of a channel's levels passes a whole number: a time-varying rate code.

    Args:
        levels: ``(n_steps, n_channels)`` in 0..1, rounded to multiples of 1/1024 so that sums are exact.

    >>> accumulate(np.array([[0.5], [0.5], [0.5], [1.0]]))[:, 0].tolist()
    [0, 1, 0, 1]
    """
    total = np.cumsum(np.rint(levels * 1024).astype(np.int64), axis=0) // 1024
    return np.diff(total, axis=0, prepend=0).astype(np.uint8)

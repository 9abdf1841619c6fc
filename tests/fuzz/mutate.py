"""Damage to files, the same for the same generator: bytes of any file, values of texts, and arrays of ``.npz`` and HDF5."""

from __future__ import annotations

import io
import re
import warnings
from typing import Any

import numpy as np
from numpy.typing import NDArray

_LARGE = (b"\xff" * 8, b"\xff\xff\xff\x7f", b"\x00" * 8, b"99999999999", b"\x80\x00\x00\x00", b"\x00\x00\x00\x80" * 2)
_VALUES = re.compile(rb'"[^"\n]*"|-?\d+(?:\.\d+)?(?:e-?\d+)?|\btrue\b|\bfalse\b|\[[^\[\]]*\]|\{[^{}]*\}')
_SLIPS = (
    *(
        b"5",
        b"-5",
        b"0",
        b"0.5",
        b"1e999",
        b"nan",
        b"inf",
        b"NaN",
        b"Infinity",
        b"null",
        b"true",
        b'"x"',
        b'""',
        b"[]",
        b"{}",
    ),
    *(
        b"[1, 2]",
        b"{ a = 1 }",
        b'{"a": 1}',
        b"9999999999999999999999999",
        b"1" * 5000,
        b"[" * 1000 + b"]" * 1000,
        b"1e300",
    ),
    *(b'"\\u001b[31m"', b'"../../../etc/passwd"', b"1000000000", b"4294967298", b"1000000000000"),
)


def damages(content: bytes, rng: np.random.Generator) -> bytes:
    """Return content with some bytes changed, a part cut off, doubled or taken out, or a number made large."""
    data = bytearray(content)
    kind = rng.integers(6)
    if not data:
        return b"x"
    at = int(rng.integers(len(data)))
    if kind == 0:
        return bytes(data[:at])
    if kind == 1:
        for place in rng.integers(0, len(data), rng.integers(1, 9)):
            data[place] = rng.integers(256)
    elif kind == 2:
        for place in rng.integers(0, min(len(data), 256), rng.integers(1, 5)):
            data[place] = rng.integers(256)
    elif kind == 3:
        data[at : at + int(rng.integers(1, 64))] = b""
    elif kind == 4:
        data[at:at] = data[at : at + int(rng.integers(1, 200))]
    else:
        big = _LARGE[rng.integers(len(_LARGE))]
        data[at : at + len(big)] = big
    return bytes(data)


def slips(content: bytes, rng: np.random.Generator) -> bytes:
    """Return a text with one to three values replaced by others of any kind; every fourth time with damaged bytes."""
    if rng.random() < 0.25:
        return damages(content, rng)
    for _ in range(int(rng.integers(1, 4))):
        found = list(_VALUES.finditer(content))
        if not found:
            return content
        one = found[rng.integers(len(found))]
        content = content[: one.start()] + _SLIPS[rng.integers(len(_SLIPS))] + content[one.end() :]
    return content


def inside_header(content: bytes, rng: np.random.Generator) -> bytes:
    """Return a safetensors file with slips in its header, whose length stays right; every second time damaged bytes."""
    end = 8 + int.from_bytes(content[:8], "little")
    if rng.random() < 0.5:
        return damages(content, rng)
    header = slips(content[8:end], rng)
    return len(header).to_bytes(8, "little") + header + content[end:]


_NUMBERS = (0, -1, 0.5, -0.0, np.nan, np.inf, -np.inf, 1e300, 1e-300, 2**31 - 1, 2**31, 2**32 + 2, 2**62, 10**9, 65536)
_KINDS = ("f2", "f4", "f8", "i1", "i2", "i8", "u1", "u4", "u8", "c16", "?", "S3", ">i4", ">f8")


def odd(values: NDArray[Any], rng: np.random.Generator) -> NDArray[Any]:
    """Return an array with other numbers, another type or another shape; of texts, with other texts."""
    with warnings.catch_warnings(), np.errstate(all="ignore"):
        warnings.simplefilter("ignore")
        how = rng.integers(8)
        if values.dtype.names is not None:
            return values[:0] if how < 2 else values[list(values.dtype.names)[:-1]] if how < 5 else values[::-1]
        if values.dtype.kind not in "iufb":
            texts = (b"", b"x", b"\xff\xfe", b"a\x1b[31mb", b"9" * 5000, b"../../x")
            return np.full(values.shape if how < 6 else (3,), texts[rng.integers(len(texts))])
        if how < 3:
            new = np.array(values, np.float64 if rng.random() < 0.7 else values.dtype)
            some = rng.random(new.shape) < (0.05, 0.5, 1.0)[rng.integers(3)]
            return np.where(some, np.array(_NUMBERS[rng.integers(len(_NUMBERS))]).astype(new.dtype), new)
        if how == 3:
            return values.astype(_KINDS[rng.integers(len(_KINDS))])
        if how == 4:
            return np.full(values.shape, (2**64 - 1, 2**63, 2**32 + 2, 128)[rng.integers(4)], np.uint64)
        flat = values.reshape(-1)
        shapes = (flat, flat[:0], flat[: len(flat) // 2], np.tile(flat, 2), values.T, values[None], values[..., None])
        other: NDArray[Any] = (*shapes, flat.sum(), np.asfortranarray(values), -values.astype(np.int64))[
            rng.integers(10)
        ]
        return np.asarray(other)


def odd_fields(content: bytes, rng: np.random.Generator) -> bytes:
    """Return an HDF5 file of which one to three data sets hold something else, are groups, empty, or gone."""
    import h5py

    memory = io.BytesIO(content)
    with h5py.File(memory, "r+") as file:
        for _ in range(rng.integers(1, 4)):
            names: list[str] = []
            file.visititems(lambda name, found, to=names: to.append(name) if isinstance(found, h5py.Dataset) else None)
            if not names:
                break
            name = names[rng.integers(len(names))]
            values, how = file[name][()], rng.integers(20)
            del file[name]
            if how == 0:
                file.create_group(name)
            elif how == 1:
                file[name] = h5py.Empty("f4")
            elif how == 2:
                file.create_dataset(name, (3,), h5py.vlen_dtype(np.dtype("i4")))
            elif how == 3:
                file.create_dataset(name, data=file.ref, dtype=h5py.ref_dtype)
            elif how > 4:
                new = np.asarray(values)
                new = odd(new.astype("S") if new.dtype.kind == "O" and isinstance(values, bytes) else new, rng)
                file[name] = new if new.dtype.kind != "O" else np.float64(1.0)
    return memory.getvalue()


def odd_arrays(content: bytes, rng: np.random.Generator) -> bytes:
    """Return an ``.npz`` of which one or two arrays hold something else, or are gone."""
    with np.load(io.BytesIO(content)) as found:
        arrays = dict(found)
    for _ in range(rng.integers(1, 3)):
        name, how = list(arrays)[rng.integers(len(arrays))], rng.integers(12)
        new = odd(arrays[name], rng)
        if how == 0 and len(arrays) > 1:
            del arrays[name]
        elif how == 1:
            arrays[name] = np.array([(1, 2.5)], [("a", "i4"), ("b", "f8")])
        elif how == 2:
            arrays[name] = np.array(["2020-01-01"], "M8[D]")
        elif how == 3:
            arrays[name] = np.array([None, {}])
        elif how == 4:
            arrays[name] = np.array(["x", "\u202ey\x1b"])
        else:
            arrays[name] = new
    memory = io.BytesIO()
    np.savez(memory, **arrays)
    return memory.getvalue()

"""Damage to files, the same for the same generator: bytes of any file, and values of texts."""

from __future__ import annotations

import re

import numpy as np

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

"""``.npy`` and ``.npz`` files: what numpy writes is read, and what is damaged is refused before memory is asked for."""

from __future__ import annotations

import io
import zipfile
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from neurodeploy.files.arrays import parse_npz, read_npy, read_npz, write_npz

_KINDS = st.one_of(
    hnp.scalar_dtypes().filter(lambda dtype: dtype.kind in "biufc"),
    hnp.unicode_string_dtypes(),
    hnp.byte_string_dtypes(),
)


@given(hnp.arrays(_KINDS, hnp.array_shapes(min_dims=0, max_dims=4, min_side=0)), st.booleans(), st.booleans())
def test_every_array_that_numpy_writes_is_read_as_it_is(array, packed, fortran):
    buffer, array = io.BytesIO(), np.asfortranarray(array) if fortran else array
    (np.savez_compressed if packed else np.savez)(buffer, a=array)
    found = parse_npz(io.BytesIO(buffer.getvalue()))["a"]
    assert (found.dtype, found.shape, found.tobytes()) == (array.dtype, array.shape, array.tobytes())


def test_records_are_read(tmp_path):
    rows = np.array([(1, 2.5), (3, 4.5)], [("t", "<i8"), ("p", "<f4")])
    np.save(tmp_path / "a.npy", rows)
    assert np.array_equal(read_npy(tmp_path / "a.npy"), rows)


def _npy(header: str, content: bytes = b"", version: bytes = b"\x01\x00") -> bytes:
    text = header.encode("latin-1")
    return b"\x93NUMPY" + version + len(text).to_bytes(2 if version == b"\x01\x00" else 4, "little") + text + content


def _dict(shape: str, descr: str = "'<i8'") -> str:
    return f"{{'descr': {descr}, 'fortran_order': False, 'shape': {shape}}}\n"


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"", "it has a damaged header"),
        (b"hello, this is no array", "it has a damaged header"),
        (
            _npy(_dict("(1000000000000,)")),
            r"claims 8,000,000,000,000 bytes \(shape \(1000000000000\) of int64\), 0 are there",
        ),
        (_npy(_dict("(2,)"), bytes(24)), "claims 16 bytes .*, 24 are there"),
        (_npy(_dict("(-1,)")), "damaged header|impossible shape"),
        (_npy(_dict("(1,)", "'|O'"), bytes(8)), "holds Python objects"),
        (_npy("(" * 200), "damaged header"),
        (_npy("{'descr': '<i8'"), "damaged header"),
        (_npy(_dict("(1,)"), bytes(8), b"\x03\x00"), r"version \(3, 0\)"),
        (_npy(_dict("(0,)", "'<U0'")), "impossible shape"),
        (_npy(_dict("(" + "1," * 70 + ")", "'<i8'"), bytes(8)), "damaged"),
    ],
)
def test_damaged_arrays_are_refused_with_what_is_wrong(tmp_path, content, message):
    (tmp_path / "a.npy").write_bytes(content)
    with pytest.raises(ValueError, match=message):
        read_npy(tmp_path / "a.npy")


def _archive(path: Path, content: bytes, method: int = zipfile.ZIP_STORED, name: str = "a.npy") -> Path:
    with zipfile.ZipFile(path, "w", method) as archive:
        archive.writestr(name, content)
    return path


def test_array_is_named_where_the_archive_is_damaged(tmp_path):
    with pytest.raises(ValueError, match="array 'a' claims 8,000 bytes"):
        read_npz(_archive(tmp_path / "a.npz", _npy(_dict("(1000,)"))))
    with pytest.raises(ValueError, match="array 'a' is packed in another way"):
        read_npz(_archive(tmp_path / "b.npz", _npy(_dict("(0,)")), zipfile.ZIP_BZIP2))
    (tmp_path / "c.npz").write_bytes(b"hello")
    with pytest.raises(ValueError, match="it is no zip file of arrays"):
        read_npz(tmp_path / "c.npz")


def test_array_that_claims_more_than_its_packed_bytes_can_hold_is_refused(tmp_path):
    path = _archive(tmp_path / "a.npz", _npy(_dict("(1000,)"), bytes(8000)), zipfile.ZIP_DEFLATED)
    data = path.read_bytes()
    size = len(_npy(_dict("(1000,)"), bytes(8000))).to_bytes(4, "little")
    assert data.count(size) == 2
    path.write_bytes(data.replace(size, (2**30).to_bytes(4, "little")))
    with pytest.raises(ValueError, match=r"array 'a' claims 1,073,741,824 bytes, which \d+ packed bytes cannot hold"):
        read_npz(path)


def test_flipped_byte_is_noticed(tmp_path):
    path = _archive(tmp_path / "a.npz", _npy(_dict("(4,)"), bytes(32)))
    data = bytearray(path.read_bytes())
    data[data.index(b"\n") + 5] ^= 1
    path.write_bytes(bytes(data))
    with pytest.raises(ValueError, match="array 'a' is damaged: Bad CRC-32"):
        read_npz(path)


def test_arrays_are_written_with_the_bytes_of_numpy(tmp_path):
    arrays = {"header": np.array("{}"), "b": np.arange(700, dtype=np.int32), "c": np.zeros((3, 4)), "d": np.array(5)}
    write_npz(tmp_path / "ours.npz", arrays)
    np.savez_compressed(tmp_path / "theirs.npz", **arrays)
    assert (tmp_path / "ours.npz").read_bytes() == (tmp_path / "theirs.npz").read_bytes()

"""The one door to HDF5 files: each is surveyed before anything reads it, since any file may come.

A file must hold its own data, and no more than its size allows. HDF5 itself can loop for ever on a damaged file, or end the
process, so the survey runs in a child process, which takes milliseconds (``tests/benchmarks/bench_loaders.py``).
"""

from __future__ import annotations

import faulthandler
import gc
import io
import math
import os
import select
import signal
import stat
import struct
import warnings
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from time import monotonic
from typing import TYPE_CHECKING, Any

from neurodeploy.files.budget import MOST_TIMES, most_unpacked
from neurodeploy.files.unreadable import UNREADABLE, plain_text, reason

if TYPE_CHECKING:
    import h5py

MOST_OBJECTS = 2**17
"""Groups and data sets that are read, each as often as links lead to it."""
MOST_DEPTH = 64
"""Deepest nesting of groups."""
_SLACK = 2**16
"""Bytes that a data set may take though nothing is stored for it, as where it holds its fill value."""
_STEP_S = 0.5
"""Processor time that HDF5 may take for one object."""
_WAIT_S = 60.0
"""Time in which the survey must have ended."""
_ROOM = 2**29
"""Memory that the survey may ask for."""
_TEXTS = 4096
"""Texts and lists that the survey reads at once."""
_GROUP, _DATASET = 0, 1
_HARD, _SOFT = 0, 1
_REFUSED, _DAMAGED = b"R", b"D"


class Refused(ValueError):
    """The file is not read; the message says where in it, and why."""


@contextmanager
def open_hdf5(path: Path, what: str, content: bytes | None = None, *, foreign: bool = False) -> Iterator[h5py.File]:
    """Context with an HDF5 file that was surveyed, open for reading.

    Its data sets hold numbers and texts, which the survey has read itself where that is no work: HDF5 can break on others.

    Args:
        path: the file.
        what: what such files are called, as ``NIR files``, for messages.
        content: the file's content, where it is in memory already.
        foreign: any program may have written the file. Lists of numbers may be there, and soft links and other kinds of
            values, which the reader leaves out (``is_plain``).

    Raises:
        Refused: if the file leads out of itself, claims more than it can hold, or holds other kinds of values.
        OSError: if it cannot be opened or is damaged, also where HDF5 does not come to an end with it.
    """
    import h5py

    if content is None and not stat.S_ISREG(path.stat().st_mode):
        raise Refused("it is a device or a pipe, no file")
    _survey_apart(path, what, content, foreign)
    with h5py.File(path if content is None else io.BytesIO(content), "r") as file:
        yield file


def is_hdf5(path: Path) -> bool:
    """Return whether a path is a file that begins as HDF5 files do."""
    import h5py

    return path.is_file() and bool(h5py.is_hdf5(path))


def is_plain(kind: Any) -> bool:
    """Return whether a numpy type is one of numbers, texts, or lists of numbers; others are references and nested lists."""
    import h5py

    base = h5py.check_vlen_dtype(kind)
    return not kind.hasobject or h5py.check_string_dtype(kind) is not None or (base is not None and not base.hasobject)


def _survey_apart(path: Path, what: str, content: bytes | None, foreign: bool) -> None:
    """Survey a file in a process of its own, which ends itself where HDF5 takes too long; raises ``Refused``."""
    read_end, write_end = os.pipe()
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", DeprecationWarning)  # of threads beside a fork: the child runs HDF5 alone
            child = os.fork()
    except (OSError, AttributeError):  # no room for a process, or a system without fork
        os.close(read_end)
        os.close(write_end)
        _survey(path, what, content, foreign, lambda: None)
        return
    if child == 0:
        os.close(read_end)
        _in_child(path, what, content, foreign, write_end)
    os.close(write_end)
    try:
        told = _all_of(read_end)
    except BaseException:
        os.kill(child, signal.SIGKILL)
        os.waitpid(child, 0)
        raise
    finally:
        os.close(read_end)
    if told is None:
        os.kill(child, signal.SIGKILL)
    ended = os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])
    if told:
        kind: type[Exception] = Refused if told.startswith(_REFUSED) else OSError
        raise kind(told[1:].decode("utf-8", "replace"))
    if told is None or ended == -signal.SIGPROF:
        raise OSError("HDF5 does not come to an end with it")
    if ended != 0:
        raise OSError("HDF5 breaks on it")


def _all_of(read_end: int) -> bytes | None:
    """Return what comes through a pipe until it is closed, None where that takes too long."""
    told, end = b"", monotonic() + _WAIT_S
    while True:
        left = end - monotonic()
        if left <= 0 or not select.select([read_end], [], [], left)[0]:
            return None
        part = os.read(read_end, 2**16)
        if not part:
            return told
        told += part


def _in_child(path: Path, what: str, content: bytes | None, foreign: bool, write_end: int) -> None:
    """Survey the file, write the reason of a refusal to a pipe, and end the process without any clean-up."""
    code = 1
    try:
        for number in (signal.SIGINT, signal.SIGTERM, signal.SIGPROF):
            signal.signal(number, signal.SIG_DFL)
        faulthandler.disable()
        gc.disable()
        os.dup2(os.open(os.devnull, os.O_WRONLY), 2)  # last words of libraries
        _limit_memory()
        try:
            _survey(path, what, content, foreign, lambda: signal.setitimer(signal.ITIMER_PROF, _STEP_S))
        except MemoryError:
            os.write(write_end, _REFUSED + b"it claims more memory than it may take")
        except Refused as error:
            os.write(write_end, _REFUSED + str(error).encode("utf-8", "replace")[:4000])
        except UNREADABLE as error:
            os.write(write_end, _DAMAGED + reason(error).encode("utf-8", "replace"))
        code = 0
    finally:
        os._exit(code)


def _limit_memory() -> None:
    """Let this process take no more memory than it has and ``_ROOM``, where the system says how much it has."""
    import resource

    with suppress(OSError, ValueError, IndexError):
        pages = int(Path("/proc/self/statm").read_text(encoding="ascii").split()[0])
        limit = pages * os.sysconf("SC_PAGE_SIZE") + _ROOM
        hard = resource.getrlimit(resource.RLIMIT_AS)[1]
        if hard == resource.RLIM_INFINITY or limit < hard:
            resource.setrlimit(resource.RLIMIT_AS, (limit, hard))


def _survey(path: Path, what: str, content: bytes | None, foreign: bool, step: Callable[[], Any]) -> None:
    """Refuse what must not be read; ``step`` is called before each object."""
    import h5py

    step()
    n_bytes = path.stat().st_size if content is None else len(content)
    with h5py.File(path if content is None else io.BytesIO(content), "r") as file:
        links = _links(file, what, foreign, step)
        claimed: dict[int, int] = {}
        objects: list[h5py.Dataset] = []
        for name, address in links:
            step()
            if address in claimed:
                continue
            info = h5py.h5o.get_info(file.id, name)
            claimed[address] = 0
            if info.type == _DATASET:
                data = file[name]
                claimed[address] = _claimed(data, _text(name), n_bytes, what)
                _check_kind(data.dtype, f"'{_text(name)}'", what, foreign)
                if data.dtype.hasobject:
                    objects += [data] if is_plain(data.dtype) else []
                elif claimed[address] <= _SLACK:
                    data[()]
        root = h5py.h5o.get_info(file.id).addr
        _check_sums(root, links, claimed, n_bytes)
        if any(h5py.check_string_dtype(data.dtype) is None for data in objects):
            _check_heaps(path.read_bytes() if content is None else content, step)
        _read_objects(objects, n_bytes, step)
        if not foreign:
            _check_attributes(file, what, step)


def _check_kind(kind: Any, where: str, what: str, foreign: bool) -> None:
    """Refuse values of a kind that no reader takes."""
    import h5py

    if not foreign and kind.hasobject and h5py.check_string_dtype(kind) is None:
        raise Refused(f"{where} holds lists or references; {what} hold numbers and texts")


def _check_attributes(file: h5py.File, what: str, step: Callable[[], Any]) -> None:
    """Read the attributes of a file itself; those of its groups and data sets are never read."""
    for name in file.attrs:
        step()
        _check_kind(file.attrs.get_id(name).dtype, f"attribute '{plain_text(name)}'", what, foreign=False)
        file.attrs[name]


def _links(file: h5py.File, what: str, foreign: bool, step: Callable[[], Any]) -> list[tuple[bytes, int]]:
    """Return the path and the address of each link in a file; links that lead elsewhere are refused."""
    found: list[tuple[bytes, int]] = []

    def seen(name: bytes, info: Any) -> str | None:
        """Keep a link; return why the file is refused, which ends the visit."""
        step()
        try:
            name.decode("utf-8")
        except UnicodeDecodeError:  # h5py would give bytes in the place of a text
            return f"the name '{_text(name)}' is no text in UTF-8"
        if info.type == _HARD and len(found) < MOST_OBJECTS:
            found.append((name, int(info.u)))
            return None
        if info.type == _HARD:
            return f"it holds more than {MOST_OBJECTS:,} groups and data sets"
        return (
            None if foreign and info.type == _SOFT else f"'{_text(name)}' is a link; {what} hold their data themselves"
        )

    problem = file.id.links.visit(seen, info=True)
    if problem:
        raise Refused(problem)
    return found


def _claimed(data: h5py.Dataset, name: str, n_bytes: int, what: str) -> int:
    """Return the bytes that a data set takes unpacked; refuse one that lies elsewhere, or that its file cannot hold."""
    if data.is_virtual or data.external:
        raise Refused(f"'{name}' lies in another file; {what} hold their data themselves")
    claimed = int(math.prod(data.shape or ())) * int(data.dtype.itemsize)
    stored = int(data.id.get_storage_size())
    packed = data.id.get_create_plist().get_nfilters() > 0
    if claimed > (MOST_TIMES if packed else 1) * stored + _SLACK or stored > n_bytes:
        raise Refused(
            f"'{name}' claims {claimed:,} bytes, the {stored:,} stored for it in {n_bytes:,} cannot hold them"
        )
    return claimed


def _check_sums(root: int, links: list[tuple[bytes, int]], claimed: dict[int, int], n_bytes: int) -> None:
    """Refuse a file with more objects or numbers than may be read, each counted as often as links lead to it."""
    children: dict[int, list[int]] = {}
    groups = {b"": root}
    for name, address in links:
        parent, _, _ = name.rpartition(b"/")
        children.setdefault(groups[parent], []).append(address)
        groups[name] = address
        if name.count(b"/") >= MOST_DEPTH:
            raise Refused(f"it nests groups deeper than {MOST_DEPTH}")
    sums: dict[int, tuple[int, int, int]] = {}
    stack: list[tuple[int, bool]] = [(root, False)]
    inside: set[int] = set()
    while stack:
        address, summed = stack.pop()
        if summed:
            inside.discard(address)
            parts = [sums[child] for child in children.get(address, ())]
            n_objects = 1 + sum(part[0] for part in parts)
            total = claimed.get(address, 0) + sum(part[1] for part in parts)
            depth = 1 + max((part[2] for part in parts), default=0)
            if n_objects > MOST_OBJECTS:
                raise Refused(f"its links lead to more than {MOST_OBJECTS:,} groups and data sets")
            if depth > MOST_DEPTH:
                raise Refused(f"it nests groups deeper than {MOST_DEPTH}")
            if total > most_unpacked(n_bytes):
                raise Refused(
                    f"its data sets take {total:,} bytes unpacked; of a file of {n_bytes:,} at most "
                    f"{most_unpacked(n_bytes):,} are read"
                )
            sums[address] = (n_objects, total, depth)
        elif address in inside:
            raise Refused("a group in it holds itself")
        elif address not in sums:
            inside.add(address)
            stack.append((address, True))
            stack += [(child, False) for child in children.get(address, ())]


def _read_objects(objects: list[h5py.Dataset], n_bytes: int, step: Callable[[], Any]) -> None:
    """Read all texts and lists, whose lengths only reading tells; refuse more than ``most_unpacked``."""
    total = 0
    for data in objects:
        for first in range(0, int(data.size or 0), _TEXTS):
            step()
            rows = data[()] if data.shape == () else data[_rows(data.shape, first)]
            found = [rows] if data.shape == () else rows.reshape(-1).tolist()
            total += sum(len(one) if isinstance(one, bytes) else one.nbytes for one in found)
            if total > most_unpacked(n_bytes):
                raise Refused(f"its texts and lists take more than {most_unpacked(n_bytes):,} bytes")


def _rows(shape: tuple[int, ...], first: int) -> Any:
    """Return the rows of an array that hold its ``_TEXTS`` items from ``first`` on."""
    width = math.prod(shape[1:])
    return slice(first // width, -(-(first + _TEXTS) // width))


def _check_heaps(content: bytes, step: Callable[[], Any]) -> None:
    """Refuse a heap of lists whose parts do not fill it: HDF5 (2.0) searches such a heap for ever.

    A global heap is ``GCOL``, a version, its size, then objects of number, count, and size, each padded to 8 bytes (HDF5
    File Format Specification 3.0, III.E).
    """
    at = content.find(b"GCOL\x01\0\0\0")
    while at >= 0:
        step()
        if at + 16 > len(content):
            raise Refused("a heap is cut short")
        size = struct.unpack_from("<Q", content, at + 8)[0]
        end, place = at + size, at + 16
        if not 16 <= size <= len(content) - at:
            raise Refused(f"a heap claims {size:,} bytes")
        while place + 16 <= end:
            number, _, n_bytes = struct.unpack_from("<HHxxxxQ", content, place)
            if number == 0:  # the free rest, whose size includes its own 16 bytes
                if n_bytes != end - place:
                    raise Refused(f"the free rest of a heap claims {n_bytes:,} of {end - place:,} bytes")
                break
            place += 16 + (n_bytes + 7) // 8 * 8
            if place > end:
                raise Refused(f"an object in a heap claims {n_bytes:,} bytes")
        at = content.find(b"GCOL\x01\0\0\0", at + 8)


def _text(name: bytes) -> str:
    return plain_text(name.decode("utf-8", "replace"))

"""Saving and resuming the whole state of a training, bit for bit, and stopping on Ctrl-C."""

from __future__ import annotations

import signal
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from types import FrameType

from neurodeploy.errors import FileError, TrainingError
from neurodeploy.files.json_text import parse_json, to_json
from neurodeploy.files.unreadable import UNREADABLE, reason
from neurodeploy.run_folder import OLDEST_BACKEND
from neurodeploy.training.checkpoint import read_tensors, write_tensors
from neurodeploy.training.parallel import ALONE, World
from neurodeploy.training.run import Run

_FORMAT = "neurodeploy-training-state/1"


@dataclass(frozen=True, slots=True, kw_only=True, order=True)
class Best:
    """Rank of an epoch: of two epochs the better one compares greater, field by field.

    Epochs whose number of connections is final rank above all others, then epochs whose states fit 24 bits.
    """

    settled: bool
    in_range: bool
    validation_accuracy: float
    minus_loss: float
    epoch: int


def save_state(path: Path, run: Run, *, recipe_text: str, best: Best | None, seconds: float) -> None:
    """Write the whole state of a run; the file is complete or as it was before."""
    tensors, values = run.state_dict()
    values.update({"best": _fields(best), "seconds": seconds})
    header = {
        "recipe": recipe_text,
        "start": run.start_fingerprint,
        "backend": run.model.backend.name,
        "values": to_json(values),
    }
    write_tensors(path, _FORMAT, tensors, header)


def load_state(path: Path, run: Run, *, recipe_text: str) -> tuple[Best | None, float]:
    """Restore a run from its saved state, of whichever backend; return its best epoch and the seconds spent.

    Raises:
        FileError: if there is no state, or it is damaged.
        TrainingError: if it was saved with another recipe, or started from another network.
    """
    if not path.is_file():
        raise FileError(f"train: there is nothing to resume: {path} does not exist; train without --resume")
    tensors, header = read_tensors(path, _FORMAT)
    if header.get("recipe") != recipe_text:
        raise TrainingError(
            f"train: {path} belongs to another version of the recipe; take that one, or begin anew with --force"
        )
    if header.get("start", "") != run.start_fingerprint:
        raise TrainingError(
            f"train: {path} went on from another network than the file now holds; bring that file back, or begin anew with "
            "--force"
        )
    try:
        values = parse_json(header["values"])
        run.load_state_dict(tensors, values, header.get("backend", OLDEST_BACKEND))
        return Best(**values["best"]) if values["best"] else None, float(values["seconds"])
    except UNREADABLE as error:
        raise FileError(f"train: {path} is damaged ({reason(error)}); begin anew with --force") from error


def shared_best(best: Best | None, world: World) -> Best | None:
    """Return the leading process's best epoch, in every process."""
    if world.size == 1:
        return best
    own = (
        [float(getattr(best, name)) for name in Best.__slots__] if world.leads and best else [0.0] * len(Best.__slots__)
    )
    *values, known = world.total(*own, float(world.leads and best is not None))
    if not known:
        return None
    settled, in_range, accuracy, minus_loss, epoch = values
    return Best(
        settled=bool(settled),
        in_range=bool(in_range),
        validation_accuracy=accuracy,
        minus_loss=minus_loss,
        epoch=int(epoch),
    )


@contextmanager
def stop_on_interrupt(world: World = ALONE) -> Iterator[Callable[[], bool]]:
    """Yield a function that says whether Ctrl-C was pressed (or the process asked to end) inside the block.

    A second Ctrl-C interrupts at once, but not under ``torchrun``, which sends the terminal's signal a second time. Outside
    the main thread, where signals cannot be caught, the function always returns False.
    """
    asked = threading.Event()
    if threading.current_thread() is not threading.main_thread():
        yield asked.is_set
        return

    def remember(number: int, frame: FrameType | None) -> None:  # noqa: ARG001
        if asked.is_set() and world.size == 1:
            raise KeyboardInterrupt
        asked.set()

    before = {number: signal.signal(number, remember) for number in (signal.SIGINT, signal.SIGTERM)}
    try:
        yield asked.is_set
    finally:
        for number, handler in before.items():
            # torchrun sends the signal once more, while its processes are shutting down
            signal.signal(number, signal.SIG_IGN if asked.is_set() and world.size > 1 else handler)


def _fields(best: Best | None) -> dict[str, object] | None:
    return None if best is None else {name: getattr(best, name) for name in Best.__slots__}

"""The run of a sweep: the stages of all points in their order of dependence, in local processes or on a Ray cluster."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import FIRST_COMPLETED, Future, wait
from concurrent.futures.process import BrokenProcessPool
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from neurodeploy.chip import load_chip
from neurodeploy.errors import MissingPackageError, NeurodeployError, SweepError, TrainingInterruptedError, install_hint
from neurodeploy.files.budget import processors
from neurodeploy.plugins import load_plugins
from neurodeploy.processes import worker_pool
from neurodeploy.sweeps.plan import Point
from neurodeploy.sweeps.stages import price_stage, quantise_stage, start_content, train_stage
from neurodeploy.sweeps.store import Store, content_key

Row = dict[str, Any]
Submit = Callable[..., "Future[dict[str, Any]]"]
Progress = Callable[[str, int, int], None]


@dataclass(frozen=True, slots=True, kw_only=True)
class _Task:
    """A stage of one or more points; ``then`` returns the tasks that depend on its result."""

    stage: str
    key: str
    work: Callable[..., dict[str, Any]]
    given: tuple[Any, ...]
    then: Callable[[dict[str, Any]], Iterable[_Task]]
    points: tuple[int, ...]


def sweep(
    points: Sequence[Point],
    folder: Path,
    *,
    submit: Submit,
    n_samples: int | None = None,
    train_here: bool = True,
    progress: Progress | None = None,
) -> list[Row]:
    """Return one row for each point, in the order of the points; results that ``folder`` holds already are reused.

    If a point fails, its row has an ``error``, and the other points go on.

    Args:
        points: the points to run.
        folder: results are stored here (``store.py``); only one sweep at a time may use it.
        submit: function that starts a stage somewhere and returns its future (``workers``, ``ray_workers``).
        n_samples: number of test samples to run, by default all.
        train_here: the processes can access ``folder``, so that a training that was stopped is resumed there.
        progress: called with a stage, and the numbers of its tasks done and known so far.

    Raises:
        SweepError: if a process ended without a result or an error; finished results are kept.
    """
    store = Store(folder)
    rows: list[Row] = [{**point.settings(), "error": None} for point in points]
    waiting = list(_trainings(points, rows, store, n_samples, train_here))
    running: dict[Future[dict[str, Any]], _Task] = {}
    done: dict[str, int] = {}
    known: dict[str, int] = {}

    def finish(task: _Task, result: dict[str, Any] | None, error: str | None) -> None:
        done[task.stage] = done.get(task.stage, 0) + 1
        if progress:
            progress(task.stage, done[task.stage], known[task.stage])
        if result is not None:
            waiting.extend(task.then(result))
        for i in task.points if error else ():
            rows[i]["error"] = error

    while waiting or running:
        for task in _taken(waiting):
            known[task.stage] = known.get(task.stage, 0) + 1
            kept = store.load(task.stage, task.key)
            if kept is not None:
                finish(task, kept, None)
            else:
                running[submit(task.work, *task.given)] = task
        for future in wait(running, return_when=FIRST_COMPLETED).done if running and not waiting else ():
            task = running.pop(future)
            result, error = _outcome(future)
            if result is not None:
                store.save(task.stage, task.key, result)
            finish(task, result, error)
    return rows


def _taken(waiting: list[_Task]) -> list[_Task]:
    """Empty the list in place and return its former content."""
    taken = waiting[:]
    waiting.clear()
    return taken


def _outcome(future: Future[dict[str, Any]]) -> tuple[dict[str, Any] | None, str | None]:
    """Return the result of a stage and None, or None and the error message of the point."""
    try:
        return future.result(), None
    except TrainingInterruptedError:
        raise
    except NeurodeployError as error:
        return None, str(error)
    except BrokenProcessPool as error:
        raise SweepError(
            "sweep: a process ended without a word, as happens when memory runs out; what was done is kept. Run the same "
            "command again, with fewer --jobs"
        ) from error
    except Exception as error:
        cause = getattr(error, "cause", None)  # Ray wraps the error that a task raised
        if isinstance(cause, NeurodeployError):
            return None, str(cause)
        raise


def _trainings(
    points: Sequence[Point], rows: list[Row], store: Store, n_samples: int | None, train_here: bool
) -> Iterator[_Task]:
    """Yield one training for each group of points that share a recipe."""
    for text, mine in _grouped(range(len(points)), lambda i: points[i].recipe_text):
        key = content_key("train", text, *start_content(text))
        folder = str(store.path("train", key)) if train_here else None

        def then(result: dict[str, Any], mine: tuple[int, ...] = mine, key: str = key) -> Iterator[_Task]:
            for i in mine:
                rows[i].update(
                    run=store.path("train", key).name,
                    validation_accuracy=result["validation_accuracy"],
                    seconds=result["seconds"],
                )
            return _quantisations(points, rows, result["files"], mine, n_samples)

        yield _Task(stage="train", key=key, work=train_stage, given=(text, folder), then=then, points=mine)


def _quantisations(
    points: Sequence[Point], rows: list[Row], files: dict[str, bytes], mine: tuple[int, ...], n_samples: int | None
) -> Iterator[_Task]:
    for bits, some in _grouped(mine, lambda i: points[i].weight_bits):
        given = (files["model.nir"], files["test.npz"], bits, n_samples)

        def then(result: dict[str, Any], some: tuple[int, ...] = some) -> Iterator[_Task]:
            figures = {name: value for name, value in result.items() if name != "files"}
            for i in some:
                rows[i].update(figures)
            return _prices(points, rows, result["files"]["model.nir"], files["test.npz"], some, n_samples)

        key = content_key("quantise", *given)
        yield _Task(stage="quantise", key=key, work=quantise_stage, given=given, then=then, points=some)


def _prices(
    points: Sequence[Point], rows: list[Row], nir: bytes, samples: bytes, mine: tuple[int, ...], n_samples: int | None
) -> Iterator[_Task]:
    for i in mine:
        point = points[i]
        given = (nir, samples, load_chip(point.chip_file), point.split, point.placement, n_samples)

        def then(result: dict[str, Any], i: int = i) -> Iterable[_Task]:
            rows[i].update({name: value for name, value in result.items() if name != "files"})
            return ()

        key = content_key("price", *given)
        yield _Task(stage="price", key=key, work=price_stage, given=given, then=then, points=(i,))


def _grouped(indices: Iterable[int], of: Callable[[int], Any]) -> Iterator[tuple[Any, tuple[int, ...]]]:
    groups: dict[Any, list[int]] = {}
    for i in indices:
        groups.setdefault(of(i), []).append(i)
    for value, members in groups.items():
        yield value, tuple(members)


@contextmanager
def workers(jobs: int) -> Iterator[Submit]:
    """Context that yields a function to start a stage in one of ``jobs`` single-thread processes, at most one per CPU."""
    with worker_pool(max(1, min(jobs, processors())), _begin) as pool:
        yield pool.submit


def _begin() -> None:
    """Limit each numeric library of this process to one thread, and load what other packages add to the tables."""
    for name in ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS", "NUMBA_NUM_THREADS"):
        os.environ[name] = "1"
    load_plugins()


def _begun(work: Callable[..., Any], *given: Any) -> Any:
    """Do the work of a stage in a process of a cluster, which starts without what other packages add to the tables."""
    load_plugins()
    return work(*given)


@contextmanager
def ray_workers(address: str) -> Iterator[Submit]:
    """Context that yields a function to start a stage on a Ray cluster, with one CPU for each stage.

    The address ``local`` starts a cluster on this machine.

    Raises:
        MissingPackageError: if ray is not installed.
    """
    try:
        import ray
    except ImportError as error:
        raise MissingPackageError(f"sweep: --ray needs ray; {install_hint('sweep')}") from error
    try:
        ray.init(address=None if address == "local" else address, log_to_driver=False, logging_level="error")
    except ConnectionError as error:
        raise SweepError(f"sweep: no Ray cluster answers at {address}: {error}; start one: ray start --head") from error
    try:
        yield lambda work, *given: ray.remote(num_cpus=1)(_begun).remote(work, *given).future()
    finally:
        ray.shutdown()

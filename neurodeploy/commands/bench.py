"""Measurements on this machine, side by side with their peers."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from neurodeploy.errors import FileError, UsageError, check_installed
from neurodeploy.files.paths import as_path
from neurodeploy.files.writing import check_new_file, check_new_folder


def bench_simulate(
    *,
    rounds: int = 3,
    threads: int = 2,
    networks: Sequence[str] = (),
    peers: Sequence[str] = (),
    on_row: Callable[[dict[str, Any]], None] | None = None,
    say: Callable[[str], None] | None = None,
) -> list[dict[str, Any]]:
    """Return the event-driven engine's speed beside its peers on this machine (``neurodeploy.bench.speed.run``).

    Args:
        networks: only cases whose network has one of these names; by default all.
        peers: only these; by default all that can run here.
        say: told which peer is left out, and why.
    """
    from neurodeploy.bench.speed.run import CASES, available_peers
    from neurodeploy.bench.speed.run import bench_simulate as bench

    known = sorted({case.network for case in CASES})
    unknown = [name for name in networks if name not in known]
    if unknown:
        raise UsageError(f"bench: unknown network '{unknown[0]}'; known: {', '.join(known)}")
    cases = [case for case in CASES if not networks or case.network in networks]
    found = available_peers(peers, say=say)
    return [
        dict(row) for row in bench(cases=cases, peers=found, rounds=rounds, threads=threads, progress=on_row, say=say)
    ]


def bench_train(
    *,
    rounds: int = 5,
    threads: int = 1,
    networks: Sequence[str] = (),
    densities: Sequence[float] = (),
    peers: Sequence[str] = (),
    out: str | Path | None = None,
    force: bool = False,
    on_row: Callable[[dict[str, Any]], None] | None = None,
    say: Callable[[str], None] | None = None,
) -> list[dict[str, Any]]:
    """Return the time and memory of a training step over stored connections beside dense ones (``bench.training.run``).

    Args:
        rounds: how often each contestant is timed.
        threads: threads of each.
        networks, densities: only cases with these; by default all.
        peers: only these; by default all that can run here.
        out: Markdown file to write the table to.
        force: replace it.
        on_row: called with each row.
        say: told which peer is left out, and why.

    Raises:
        UsageError: for an unknown network, density or peer.
        FileError: if ``out`` exists and ``force`` is not set.
    """
    check_installed("bench", "train", "torch", "safetensors")
    from neurodeploy.bench.training.cases import CASES
    from neurodeploy.bench.training.page import write_page
    from neurodeploy.bench.training.run import PEERS, available_peers
    from neurodeploy.bench.training.run import bench_train as bench

    path = None if out is None else as_path(out)
    if path is not None:
        check_new_file("bench", path, force=force)
    _refuse_unknown("network", networks, [c.network for c in CASES])
    _refuse_unknown("density", densities, [c.density for c in CASES])
    _refuse_unknown("peer", peers, PEERS)
    cases = [c for c in CASES if (not networks or c.network in networks) and (not densities or c.density in densities)]
    found = available_peers(peers, say)
    rows = [
        dict(row)
        for row in bench(
            cases=cases,
            peers=found,
            rounds=rounds,
            threads=threads,
            progress=on_row,
        )
    ]
    if path is not None:
        write_page(rows, path, rounds)
    return rows


def _refuse_unknown(what: str, asked: Sequence[object], known: Sequence[object]) -> None:
    if unknown := [one for one in asked if one not in known]:
        raise UsageError(f"bench: unknown {what} '{unknown[0]}'; known: {', '.join(map(str, dict.fromkeys(known)))}")


def bench_methods(
    folder: str | Path = Path("runs/methods"),
    *,
    methods: Sequence[str] = (),
    densities: Sequence[float] = (0.1, 0.015),
    seeds: Sequence[int] = (0, 1, 2, 3),
    recipe: str | Path = "digits-bench",
    data_root: str | Path | None = None,
    jobs: int = 1,
    on_row: Callable[[dict[str, Any]], None] | None = None,
) -> list[dict[str, Any]]:
    """Train rewiring methods on a recipe and return one row for each run; finished rows in ``folder`` are not trained again.

    Args:
        folder: rows and runs are kept here, a folder for each run (``neurodeploy.bench.methods.run``).
        methods: names of rows, by default all.
        densities: of all weights; methods that start dense and lose connections by a rule of their own take none.
        seeds: every method is trained once with each of them.
        recipe: a file, or the name of a shipped recipe: the data, the network and the optimiser of all rows.
        data_root: folder with the data sets.
        jobs: rows trained at the same time.
        on_row: called with each row as soon as it is there.

    Returns:
        The rows, without the answers to single samples (``correct``), which stand in the files.
    """
    folder, data_root = as_path(folder), as_path(data_root)
    check_installed("bench", "train", "torch", "safetensors")
    check_new_folder("bench", folder)
    from neurodeploy.bench.methods import run
    from neurodeploy.bench.methods.variants import VARIANTS

    rows = run.bench_methods(
        folder,
        methods=tuple(methods or VARIANTS),
        densities=densities,
        seeds=seeds,
        recipe=recipe,
        data_root=data_root,
        jobs=jobs,
        on_row=on_row,
    )
    return [{key: value for key, value in row.items() if key != "correct"} for row in rows]


def methods_zoo(
    folder: str | Path,
    zoo: str | Path,
    *,
    methods: Sequence[str] = (),
    densities: Sequence[float] = (0.1, 0.015),
    seeds: Sequence[int] = (0, 1, 2, 3),
    force: bool = False,
) -> list[dict[str, Any]]:
    """Write the networks of finished rows in ``folder`` to ``zoo``: ``NAME.nir`` with ``NAME.json``; train nothing.

    ``neurodeploy simulate NAME.nir RECIPE`` repeats the accuracy that ``NAME.json`` holds.

    Args:
        methods, densities, seeds: the rows, as for ``bench_methods``.

    Returns:
        What stands in each ``NAME.json``, with ``file`` and ``bytes``.

    Raises:
        FileError: see ``neurodeploy.bench.methods.zoo.write_zoo``.
    """
    folder, zoo = as_path(folder), as_path(zoo)
    from neurodeploy.bench.methods.variants import VARIANTS
    from neurodeploy.bench.methods.zoo import write_zoo

    return write_zoo(folder, zoo, methods=methods or tuple(VARIANTS), densities=densities, seeds=seeds, force=force)


def methods_table(folder: str | Path, path: str | Path) -> dict[str, Any]:
    """Write the page with the results of all rows in ``folder``, of whatever recipes, and its pictures; train nothing.

    The rows go to the folder ``rows`` beside the page as well, and rows of the same recipes that lie there already are on
    the page too. What an earlier page says of other recipes stays.

    Returns:
        ``page`` and ``rows`` (their number), and ``verdicts``: claim, recipe, what was measured, seeds, and whether each bar
        is met (None: no rows yet).

    Raises:
        FileError: where ``folder`` holds no rows, a row is damaged, or the folder of ``path`` does not exist.
    """
    folder, path = as_path(folder), as_path(path)
    from neurodeploy.bench.methods import claims

    kept = path.parent / claims.ROWS_FOLDER
    rows, metrics = claims.collect(folder, kept)
    if not path.parent.is_dir():
        raise FileError(f"bench: {path.parent} is no folder; make it, or give --table another place")
    from neurodeploy.bench.methods.page import write_page

    write_page(rows, metrics, path)
    claims.keep_rows(folder, kept)
    verdicts = [
        {"claim": v.bar.claim, "recipe": v.bar.recipe, "measured": v.measured, "seeds": v.seeds, "met": v.met}
        for v in claims.judge(rows)
    ]
    return {"page": str(path), "rows": len(rows), "verdicts": verdicts}

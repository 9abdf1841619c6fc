"""Networks of finished rows as files that others can run: ``NAME.nir`` with the facts of its row in ``NAME.json``."""

from __future__ import annotations

from collections.abc import Collection
from pathlib import Path
from typing import Any

from neurodeploy.bench.methods.claims import read_row
from neurodeploy.engines.decoding import accuracy
from neurodeploy.engines.table import simulate
from neurodeploy.errors import FileError
from neurodeploy.exchange.formats import read_network, write_network
from neurodeploy.files.json_text import to_json
from neurodeploy.files.writing import write_text
from neurodeploy.network.activity import load_samples
from neurodeploy.recipe.data_sets import DATA_SETS
from neurodeploy.run_folder import TEST_FILE


def write_zoo(
    folder: Path,
    zoo: Path,
    *,
    methods: Collection[str],
    densities: Collection[float],
    seeds: Collection[int],
    force: bool = False,
) -> list[dict[str, Any]]:
    """Write the networks of finished rows in a folder, and return what is written about each.

    A file is read back and run on the row's test part: its accuracy must be that of the row.

    Args:
        folder: rows and runs of ``bench_methods``.
        zoo: folder to write to; it is made if absent.
        methods, densities, seeds: rows to write; methods without a density are written whatever ``densities`` holds.
        force: replace files that are there.

    Raises:
        FileError: where no finished row is asked for, the licence of its data does not allow it, a file exists, or a file
            does not repeat the accuracy.
    """
    rows = [(path.parent, read_row(path)) for path in sorted(folder.glob("*/row.json"))]
    chosen = [
        (run, row)
        for run, row in rows
        if row["method"] in methods and row["seed"] in seeds and row["density"] in (None, *densities)
    ]
    if not chosen:
        raise FileError(f"bench: {folder} holds no finished row of these methods, densities and seeds; train it first")
    for _, row in chosen:
        if not _licence(row):
            raise FileError(
                f"bench: the licence of the data '{row['data']}' is not stated, so networks trained on it are not passed "
                "on; leave its rows out, by --method, --densities or --seeds"
            )
    zoo.mkdir(parents=True, exist_ok=True)
    return [_write(run, row, zoo, force) for run, row in chosen]


def _licence(row: dict[str, Any]) -> str:
    return DATA_SETS[row["data"]].licence if row["data"] in DATA_SETS else ""


def _write(run: Path, row: dict[str, Any], zoo: Path, force: bool) -> dict[str, Any]:
    at = "" if row["density"] is None else f"-{100 * row['density']:g}"
    name = f"{row['recipe']}-{row['method']}{at}-{row['seed']}"
    path = zoo / f"{name}.nir"
    if path.exists() and not force:
        raise FileError(f"bench: {path} exists; --force replaces it")
    from neurodeploy.training.checkpoint import checkpoint_network  # needs torch

    write_network(checkpoint_network(run)[1], path, force=True)
    network, samples = read_network(path), load_samples(run / TEST_FILE)
    found = accuracy(network, simulate(network, samples), samples)
    if found != row["accuracy"]:
        path.unlink()
        raise FileError(
            f"bench: {path} has an accuracy of {found}, its row {row['accuracy']}; remove {run / 'row.json'}"
        )
    densities = "" if row["density"] is None else f" --densities {row['density']:g}"
    facts = {
        "recipe": row["recipe"],
        "method": row["method"],
        "accuracy": found,
        "n_test": row["n_test"],
        "mask_density": row["parameter_density"],
        "seed": row["seed"],
        "fingerprint": network.fingerprint,
        "command": (
            f"neurodeploy bench methods --recipe {row['recipe']} --method {row['method']}{densities} --seeds {row['seed']}"
        ),
        "data_licence": _licence(row),
    }
    write_text(to_json(facts, indent=1) + "\n", zoo / f"{name}.json")
    return {"file": str(path), "bytes": path.stat().st_size, **facts}

"""The folder of a training: the names of its files, and what its recipe says to the stages after training."""

from __future__ import annotations

from pathlib import Path

from neurodeploy.chip import Chip
from neurodeploy.files.json_text import parse_json
from neurodeploy.files.paths import as_path
from neurodeploy.recipe.files import load_recipe
from neurodeploy.recipe.pins import Pins
from neurodeploy.recipe.record import Recipe

CHECKPOINT_FILE = "checkpoint.safetensors"
"""Weights and masks of the best epoch."""

STATE_FILE = "state.safetensors"
"""Everything that ``--resume`` needs."""

RECIPE_FILE = "recipe.toml"
METRICS_FILE = "metrics.jsonl"
"""One line for each epoch."""

TEST_FILE = "test.npz"
"""The test part of the data, as input events with labels."""

TEACHER_FILE = "teacher.json"
START_FILE = "start.json"
"""The network that the training started from, if it started from a file, and its accuracy."""

NETWORK_FILE = "model.nir"
"""The exported network; ``neurodeploy export RUN`` writes it."""

BOARD_FOLDER = "tensorboard"

MOST_HEADER = 2**27
"""Length of the longest header of a safetensors file that is read, in bytes."""

OLDEST_BACKEND = "slayer"
"""Backend of the checkpoints and states whose header names none: there was no other when they were written."""


def run_recipe(run: str | Path) -> Recipe:
    """Return the recipe that a run's folder was trained with."""
    run = as_path(run)
    return load_recipe(run / RECIPE_FILE)


def recipe_pins(run: str | Path, chip: Chip) -> Pins | None:
    """Return the table ``[mapping]`` in the recipe of a run's folder, None where there is none for this chip."""
    run = as_path(run)
    if not (run / RECIPE_FILE).is_file():
        return None
    pins = run_recipe(run).mapping
    if pins is None or pins.chip not in (None, chip.name):
        return None
    return pins.model_copy(update={"source_file": str(run / RECIPE_FILE)})


def written_backend(path: Path) -> str | None:
    """Return the backend that wrote a checkpoint or a saved state, None where the file is absent or damaged.

    Reads the header alone, and needs neither torch nor safetensors.
    """
    try:
        with path.open("rb") as file:
            header = parse_json(file.read(min(int.from_bytes(file.read(8), "little"), MOST_HEADER)))
    except (OSError, ValueError, OverflowError, MemoryError):
        return None
    named = header.get("__metadata__", {}) if isinstance(header, dict) else {}
    return str(named.get("backend", OLDEST_BACKEND))

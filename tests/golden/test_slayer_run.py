"""The first epochs of a run on lava-dl's slayer, against what was read and kept. Regenerate and read the difference::

    python tests/golden/test_slayer_run.py

Numbers of connections are exact. Losses and spikes may move by 2 %: the last bits of a product differ between processors.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

pytestmark = [pytest.mark.train, pytest.mark.slayer]

RECIPE = Path(__file__).with_name("commands") / "digits.toml"
GOLDEN = Path(__file__).with_name("test_slayer_run.json")
EPOCHS = 4
EXACT = ("epoch", "settled", "density", "learning_rate", "ratio", "rewired")
CLOSE = ("loss", "validation_loss", "spikes_per_sample", "pq_index")


def metrics(backend: str) -> list[dict[str, Any]]:
    """Return the metrics of the first epochs of the golden recipe."""
    from neurodeploy.data.parts import encode, load_splits
    from neurodeploy.recipe.files import load_recipe
    from neurodeploy.recipe.record import on_backend
    from neurodeploy.training.metrics import measure
    from neurodeploy.training.run import Run

    recipe = on_backend(load_recipe(RECIPE), backend)
    samples, validation = (encode(part, recipe.data, "x") for part in load_splits(recipe.data)[:2])
    run, found = Run(recipe, samples), []
    for _ in range(EPOCHS):
        result = run.epoch()
        assert result is not None
        made = measure(run, validation, *result, 0.0)
        found.append({name: getattr(made, name) for name in (*EXACT, *CLOSE)})
    return found


@pytest.mark.parametrize("backend", ["slayer", "native"])
def test_the_first_epochs_are_those_that_were_kept(backend: str) -> None:
    made, golden = metrics(backend), json.loads(GOLDEN.read_text(encoding="utf-8"))
    assert len(made) == len(golden) == EPOCHS
    for ours, theirs in zip(made, golden):
        assert {name: ours[name] for name in EXACT} == {name: theirs[name] for name in EXACT}
        for name in CLOSE:
            assert ours[name] == pytest.approx(theirs[name], rel=0.02), name
    assert made[-1]["loss"] < 0.7 * made[0]["loss"]


if __name__ == "__main__":
    GOLDEN.write_text(json.dumps(metrics("slayer"), indent=1) + "\n", encoding="utf-8")

"""Rewiring under a chip budget against plain rewiring at the same number of connections, seed by seed.

``python tests/benchmarks/bench_budget.py --runs runs/budget --out docs/budget.md`` trains every variant of every case with
every seed (rows that ``--runs`` holds are not trained again), maps each integer network with ``map_network`` onto as many
cores a layer as the case says, and writes the table. N-MNIST needs its folder (``NEURODEPLOY_DATA``). Not run by the tests.
"""

from __future__ import annotations

import argparse
import hashlib
import json
import statistics
import sys
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

import torch

from neurodeploy.chip import load_chip
from neurodeploy.costs.pricing import estimate
from neurodeploy.engines.decoding import accuracy
from neurodeploy.engines.table import simulate
from neurodeploy.errors import FitError
from neurodeploy.files.writing import write_text
from neurodeploy.mapping.mapper import map_network
from neurodeploy.mapping.places.traffic import count_traffic
from neurodeploy.network import n_masked, n_nonzero
from neurodeploy.network.activity import load_samples
from neurodeploy.recipe.files import parse_recipe
from neurodeploy.run_folder import STATE_FILE
from neurodeploy.training.checkpoint import load_checkpoint
from neurodeploy.training.loop import train
from neurodeploy.training.model.slayer import to_network

Row = dict[str, Any]
CHIPS = ("loihi1", "loihi2")
NEURON = {"threshold": 64, "current_decay": 2048, "voltage_decay": 512, "tau_grad": 0.01}
TRAINING = {"weight_scale": 0.7, "logit_scale": 0.5, "label_smoothing": 0.1}

CASES: Mapping[str, Mapping[str, Any]] = {
    "digits": {
        "title": "Digits (scikit-learn), 64-256-256-10 at 10 % density, hidden layers on 4 cores of 64 neurons each",
        "seeds": (0, 1, 2, 3),
        "cores": {"hidden1": 4, "hidden2": 4, "output": 1},
        "recipe": {
            "data": {"name": "digits", "n_steps": 8},
            "network": {"layers": [{"neurons": 256}, {"neurons": 256}, {"neurons": 10}], "neuron": NEURON},
            "sparse": {"method": "esl", "density": 0.1, "growth": "gradient", "every_steps": 10, "ratio": 0.3},
            "training": {"epochs": 40, "batch_size": 64, "learning_rate": 5e-3, **TRAINING},
        },
        "variants": {
            "plain": None,
            "preference 4": {"preference": 4.0},
            "axons 1/2": {"input_axons": {"hidden1": 32, "hidden2": 128}},
            "axons 1/4": {"input_axons": {"hidden1": 16, "hidden2": 64}},
            "axons 1/4, whole lists": {"input_axons": {"hidden1": 16, "hidden2": 64}, "whole_lists": True},
            "one destination": {"destinations": {"hidden1": 1, "hidden2": 1}},
        },
    },
    "nmnist": {
        "title": "N-MNIST (750 training, 150 test), pooled 2 x 2, 578-256-10 at 10 % density, hidden layer on 4 cores",
        "seeds": (0, 1, 2),
        "cores": {"hidden1": 4, "output": 1},
        "recipe": {
            "data": {"name": "nmnist", "n_steps": 10, "duration_s": 0.3, "pool": 2},
            "network": {"layers": [{"neurons": 256}, {"neurons": 10}], "neuron": NEURON},
            "sparse": {
                "method": "esl",
                "density": 0.1,
                "distribution": "uniform",
                "growth": "gradient",
                "every_steps": 5,
                "ratio": 0.3,
            },
            "training": {"epochs": 16, "batch_size": 32, "learning_rate": 4e-3, **TRAINING},
        },
        "variants": {
            "plain": None,
            "preference 4": {"preference": 4.0},
            "axons 1/4": {"input_axons": {"hidden1": 144}},
            "axons 1/4, whole lists": {"input_axons": {"hidden1": 144}, "whole_lists": True},
            "one destination": {"destinations": {"hidden1": 1}},
        },
    },
}


def rows_of(case: str, runs: Path, seeds: Iterable[int] | None = None, *, finished: bool = False) -> list[Row]:
    """Return one row a variant and seed, trained now or earlier; with ``finished`` only earlier ones."""
    given = CASES[case]
    found = []
    for seed in given["seeds"] if seeds is None else seeds:
        for variant in given["variants"]:
            if finished and not (folder_of(case, variant, seed, runs) / "row.json").exists():
                continue
            found.append(row_of(case, variant, seed, runs))
            print(f"{case} {variant} seed {seed}: {found[-1]['accuracy']:.4f}", file=sys.stderr, flush=True)
    return found


def recipe_text(case: str, variant: str, seed: int) -> str:
    """Return the recipe of one row; every variant has the same data, network, method and number of connections."""
    given = CASES[case]
    values = {"name": case, "seed": seed, **given["recipe"]}
    if given["variants"][variant] is not None:
        values["budget"] = {"chip": "loihi2", "cores": given["cores"], **given["variants"][variant]}
    return "".join(f"{key} = {_toml(value)}\n" for key, value in values.items())


def folder_of(case: str, variant: str, seed: int, runs: Path) -> Path:
    """Return the folder of one row; its name holds a hash of the recipe."""
    name = variant.replace(" ", "_").replace("/", "_")
    return runs / f"{case}-{name}-{seed}-{_digest(recipe_text(case, variant, seed))}"


def row_of(case: str, variant: str, seed: int, runs: Path) -> Row:
    """Train one variant and measure it on the test part and on each chip."""
    given, folder = CASES[case], folder_of(case, variant, seed, runs)
    if (folder / "row.json").exists():
        return dict(json.loads((folder / "row.json").read_text(encoding="utf-8")))
    text = recipe_text(case, variant, seed)
    recipe = parse_recipe(text, where=f"bench budget {case} {variant}")
    result = train(recipe, folder, recipe_text=text, resume=(folder / STATE_FILE).exists())
    checkpoint = load_checkpoint(result.checkpoint)
    network = to_network(checkpoint.model, checkpoint.masks, recipe.network.dt)
    samples = load_samples(result.test_samples)
    activity = simulate(network, samples)
    row: Row = {
        "case": case,
        "variant": variant,
        "seed": seed,
        "accuracy": accuracy(network, activity, samples),
        "validation_accuracy": result.validation_accuracy,
        "connections": sum(n_masked(projection) for projection in network.projections),
        "synapses": sum(n_nonzero(projection) for projection in network.projections),
        "samples": samples.n_samples,
        "chips": {chip: on_chip(network, activity, chip, given["cores"]) for chip in CHIPS},
    }
    write_text(json.dumps(row) + "\n", folder / "row.json")
    return row


def on_chip(network: Any, activity: Any, name: str, cores: Mapping[str, int]) -> Row:
    """Return what a network takes of a chip: at least so many cores a layer, cut by ``map_network``'s default split."""
    chip = load_chip(name)
    try:
        mapping = map_network(network, chip, activity=activity, cores=cores)
    except FitError as error:
        return {"error": str(error)}
    sent = count_traffic(network, mapping, activity)
    cost = estimate(network, mapping, activity)
    assert cost.energy is not None
    n_samples = activity.n_samples
    return {
        "cores": len(mapping.cores),
        "fewest_cores": len(map_network(network, chip).cores),
        "synapse_words": sum(load.used["synapse_words"] for load in mapping.cores),
        "most_words": max(load.used["synapse_words"] for load in mapping.cores),
        "input_axons": sum(load.used["input_axons"] for load in mapping.cores),
        "messages": (sent.messages + int(sent.host.sum())) / n_samples,
        "messages_per_spike": sent.per_spike,
        "host_messages_per_event": int(sent.host.sum()) / max(len(activity.spikes["input"]), 1),
        "energy_j": cost.energy.total_j.nominal,
        "step_s": None if cost.latency is None else cost.latency.step_s.mean.nominal,
    }


INTRO = """# Rewiring under a chip budget

Written by `python tests/benchmarks/bench_budget.py --runs runs/budget --out docs/budget.md`: plain rewiring (ESL with
growth by gradient) against the same rewiring under a budget, at the same number of connections in every layer, with
the same seeds of weights, masks and order of samples. Accuracy is that of the exported integers on test samples that
chose nothing; behind the mean stand the seeds, and their differences from plain rewiring in points. *Synapses* are
the connections whose weight is not 0 after quantisation: only these are stored, so that words compare fairly only
where they are alike.

Both networks are mapped by `map_network`, which may cut either as it likes, onto as many cores a layer as the title
says; *cores at least* is what the mapper takes when it is free. Words, axons and messages are sums over cores,
*fullest core* the most words on one; *messages a sample* counts those of the host too, *per core spike* only those
between cores. Energy is the nominal dynamic estimate; Loihi 2 has no price of a message, and no chip one of the
host's. *Preference s*: growth prefers sources that reach the core; *axons 1/n*: at most a share 1/n of the sources
reaches a core of a hidden layer; *whole lists*: all that a source has on a core is dropped together; *one
destination*: a source reaches one core of a hidden layer.
"""


def table(rows: list[Row]) -> str:
    """Return the tables of all cases as Markdown."""
    cases = [(case, [row for row in rows if row["case"] == case]) for case in CASES]
    return "\n".join([INTRO, *(_case_table(case, own) for case, own in cases if own)])


HEAD = (
    "| variant | seeds | test accuracy (%) | against plain (points, each seed) | synapses | chip | cores at least | "
    "cores used | synapse words | fullest core | input axons | messages a sample | per core spike | energy (µJ a sample) |"
)


def _case_table(case: str, rows: list[Row]) -> str:
    given = CASES[case]
    lines = [f"## {given['title']}", "", HEAD, "|" + "---|" * (HEAD.count("|") - 1)]
    plain = {row["seed"]: row["accuracy"] for row in rows if row["variant"] == "plain"}
    for variant in given["variants"]:
        own = [row for row in rows if row["variant"] == variant]
        lines += [_line(variant, own, plain, chip) for chip in CHIPS if own]
    connections = sorted({row["connections"] for row in rows})
    samples = sorted({row["samples"] for row in rows})
    lines += ["", f"Connections: {', '.join(map(str, connections))}. Test samples: {', '.join(map(str, samples))}.", ""]
    done = {(row["variant"], row["seed"]) for row in rows}
    missing = [f"{v} seed {seed}" for v in given["variants"] for seed in given["seeds"] if (v, seed) not in done]
    if missing:
        lines += [f"Not trained yet, so absent above: {'; '.join(missing)}.", ""]
    return "\n".join(lines)


def _line(variant: str, rows: list[Row], plain: Mapping[int, float], chip: str) -> str:
    found = [row["chips"][chip] for row in rows]
    if any("error" in one for one in found):
        return f"| {variant} | {len(rows)} | | | | {chip} | does not fit: {found[0].get('error')} |" + " |" * 7
    percent = [100 * row["accuracy"] for row in rows]
    gains = [100 * (row["accuracy"] - plain[row["seed"]]) for row in rows if row["seed"] in plain]
    shown = [
        variant,
        len(rows),
        f"{statistics.mean(percent):.2f} ({', '.join(f'{p:.2f}' for p in percent)})",
        f"{statistics.mean(gains):+.2f} ({', '.join(f'{g:+.2f}' for g in gains)})" if gains else "",
        f"{statistics.mean(row['synapses'] for row in rows):,.0f}",
        chip,
        *(_spread([one[key] for one in found]) for key in ("fewest_cores", "cores")),
        *(f"{statistics.mean(one[key] for one in found):,.0f}" for key in ("synapse_words", "most_words")),
        *(f"{statistics.mean(one[key] for one in found):,.0f}" for key in ("input_axons", "messages")),
        f"{statistics.mean(one['messages_per_spike'] for one in found):.2f}",
        f"{1e6 * statistics.mean(one['energy_j'] for one in found):.3f}",
    ]
    return f"| {' | '.join(map(str, shown))} |"


def _spread(values: list[int]) -> str:
    return str(values[0]) if len(set(values)) == 1 else f"{min(values)} to {max(values)}"


def _toml(value: Any) -> str:
    if isinstance(value, Mapping):
        return "{ " + ", ".join(f"{key} = {_toml(part)}" for key, part in value.items()) + " }"
    if isinstance(value, list | tuple):
        return "[" + ", ".join(map(_toml, value)) + "]"
    return json.dumps(value)


def _digest(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()[:10]


def main() -> None:
    """Train what is missing, and write or print the table."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0] if __doc__ else "")
    parser.add_argument("--runs", type=Path, default=Path("runs/budget"), help="folder of runs and finished rows")
    parser.add_argument("--case", choices=tuple(CASES), action="append", help="only this case; may be repeated")
    parser.add_argument("--seed", type=int, action="append", help="only this seed; may be repeated")
    parser.add_argument("--finished", action="store_true", help="train nothing, take the rows that are there")
    parser.add_argument("--out", type=Path, help="Markdown file to write; by default the table is printed")
    parser.add_argument("--json", action="store_true", help="print the rows as JSON")
    asked = parser.parse_args()
    torch.set_num_threads(1)
    rows = [
        row for case in asked.case or CASES for row in rows_of(case, asked.runs, asked.seed, finished=asked.finished)
    ]
    if asked.json:
        print(json.dumps(rows, indent=1))
    elif asked.out is None:
        print(table(rows))
    else:
        write_text(table(rows), asked.out)


if __name__ == "__main__":
    main()

"""Our counts, energy and times against the installed SANA-FE on random networks, live.

    NEURODEPLOY_ORACLE_PYTHON=/path/to/python pytest tests/benchmarks/bench_sanafe.py -s

Needs ``sanafe==2.2.9`` (extra ``oracle``) in this Python or in the one that is named. Event counts are equal, energy and
the time of every step (timing model ``simple``) to rounding, and the time is within 10 % of the ``detailed`` scheduler.
"""

from __future__ import annotations

import json
import os
import resource
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from neurodeploy.chip import load_chip
from neurodeploy.costs.pricing import estimate
from neurodeploy.engines.reference import run_reference
from neurodeploy.mapping.manual import map_by_hand
from neurodeploy.mapping.record import Mapping
from neurodeploy.network import Cuba, Dense, Input, Network, Output, Population, Projection
from neurodeploy.network.activity import Activity, Events, Samples
from neurodeploy.targets.sanafe.write import write_sanafe


def random_case(seed: int) -> tuple[Network, Mapping, Activity]:
    """One to three layers, perhaps recurrent or delayed, on up to 60 cores by hand, with or without relay neurons."""
    rng = np.random.default_rng(seed)
    sizes = rng.integers(10, 150, int(rng.integers(2, 5))).tolist()
    names = ["in", *(f"layer{i}" for i in range(1, len(sizes)))]
    current = int(rng.choice([1024, 4096]))
    model = Cuba(
        current_decay=current, voltage_decay=0 if current == 4096 else 300, threshold=int(rng.integers(60, 300))
    )
    pairs = list(zip(range(len(sizes)), range(1, len(sizes)))) + [(len(sizes) - 1,) * 2] * int(rng.integers(2))
    density, delay = float(rng.choice([0.05, 0.3, 1.0])), int(rng.integers(2))
    projections = [
        Projection(
            name=f"w{a}{b}",
            source=names[a],
            target=names[b],
            synapses=Dense(weights=_weights(rng, (sizes[b], sizes[a]), density)),
            delay=delay if a != b else 0,
        )
        for a, b in pairs
    ]
    network = Network(
        inputs=(Input(name="in", shape=(sizes[0],)),),
        populations=tuple(
            Population(name=n, shape=(s,), model=model, first_step=i) for i, (n, s) in enumerate(zip(names, sizes)) if i
        ),
        projections=tuple(projections),
        outputs=(Output(name="o", population=names[-1]),),
    )
    on_cores = names if rng.integers(2) else names[1:]
    cores = {name: rng.integers(0, int(rng.integers(1, 61)), network.sizes[name]) for name in on_cores}
    mapping = map_by_hand(network, load_chip("loihi1"), cores, formats=str(rng.choice(["sparse", "packed", "dense"])))
    raster = rng.random((1, 20, sizes[0])) < rng.choice([0.02, 0.2])
    return network, mapping, run_reference(network, Samples(inputs={"in": Events.from_dense(raster)}))


def _weights(rng: np.random.Generator, shape: tuple[int, int], density: float) -> np.ndarray:
    return ((rng.random(shape) < density) * rng.integers(1, 100, shape) * 2).astype(np.int16)


def mlp(density: float) -> tuple[Network, Mapping, Activity]:
    """2312-512-10 with inputs on three cores, 20 steps of 2 % input, every synapse at the price of sparse lists."""
    rng = np.random.default_rng(0)
    model = Cuba(current_decay=4096, voltage_decay=0, threshold=6000)
    network = Network(
        inputs=(Input(name="in", shape=(2312,)),),
        populations=(
            Population(name="hidden", shape=(512,), model=model, first_step=1),
            Population(name="out", shape=(10,), model=model, first_step=2),
        ),
        projections=(
            Projection(
                name="w1", source="in", target="hidden", synapses=Dense(weights=_weights(rng, (512, 2312), density))
            ),
            Projection(
                name="w2", source="hidden", target="out", synapses=Dense(weights=_weights(rng, (10, 512), density))
            ),
        ),
        outputs=(Output(name="o", population="out"),),
    )
    parts = 2 if density < 0.1 else 10
    cores = {"in": np.arange(2312) // 771, "hidden": 3 + np.arange(512) * parts // 512, "out": np.full(10, 3 + parts)}
    mapping = map_by_hand(network, load_chip("loihi1"), cores, formats="sparse")
    raster = rng.random((1, 20, 2312)) < 0.02
    return network, mapping, run_reference(network, Samples(inputs={"in": Events.from_dense(raster)}))


CASES = {**{f"random {seed}": (random_case, seed) for seed in range(8)}, "mlp 5 %": (mlp, 0.05)}


def ask(folder: Path, timing_model: str) -> dict[str, Any]:
    python = os.environ.get("NEURODEPLOY_ORACLE_PYTHON") or sys.executable
    done = subprocess.run(
        [python, folder / "run.py", "--json", "--timing-model", timing_model],
        capture_output=True,
        text=True,
        timeout=1800,
        check=False,
        env={**os.environ, "OMP_NUM_THREADS": "1"},
    )
    if "No module named 'sanafe'" in done.stderr:
        pytest.skip("needs sanafe (extra oracle), here or in the Python that NEURODEPLOY_ORACLE_PYTHON names")
    assert done.stdout.strip(), done.stderr
    answer: dict[str, Any] = json.loads(done.stdout.strip().splitlines()[-1])
    return answer


@pytest.mark.parametrize("name", CASES)
def test_sanafe_says_the_same(name: str, tmp_path: Path) -> None:
    make, argument = CASES[name]
    network, mapping, activity = make(argument)
    files = write_sanafe(network, mapping, activity, tmp_path)
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    simple = ask(tmp_path, "simple")
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    theirs = after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime
    started = time.process_time()
    estimate(network, mapping, activity)
    ours = time.process_time() - started
    assert simple["equal"], {n: (simple["expected"][n], simple["found"][n]) for n in simple["different"]}
    assert simple["found"]["step_s"] == pytest.approx(simple["expected"]["step_s"], rel=1e-12)
    detailed = ask(tmp_path, "detailed")["found"]["sim_time"] / simple["found"]["sim_time"]
    found = simple["found"]
    print(
        f"\n{name}: {files.mode}, {len(mapping.cores)} cores, {found['spikes']:,} synaptic events, "
        f"{found['energy'] * 1e6:.4f} uJ equal, {found['sim_time'] * 1e6:.3f} us equal, detailed {detailed:.3f} of it; "
        f"CPU {ours:.3f} s here, {theirs:.2f} s there (start and YAML included)"
    )
    assert detailed == pytest.approx(1.0, abs=0.1)

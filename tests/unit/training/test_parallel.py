"""Two processes that train data-parallel keep the same masks and weights, and those of one that accumulates.

With free growth by each rule, and by gradient under a budget of 8 input axons on each core of 16 neurons.
"""

from __future__ import annotations

import os
import subprocess
import sys

import numpy as np
import pytest
from building import ROOT

pytestmark = [pytest.mark.train, pytest.mark.slow]
torch = pytest.importorskip("torch", reason="needs torch (extra train)")

WORKER = """
import os, sys, torch
import torch.distributed as dist
from neurodeploy.chip import load_chip
from neurodeploy.mapping.budget.limits import chip_budget
from neurodeploy.sparse.masks import find_weights
from neurodeploy.sparse.methods import RewiringSettings, start_rewiring

torch.set_num_threads(1)
torch.manual_seed(0)
world = int(os.environ.get("WORLD_SIZE", 1))
rank = int(os.environ.get("RANK", 0))
if world > 1:
    dist.init_process_group("gloo")
net = torch.nn.Sequential(torch.nn.Linear(20, 48, bias=False), torch.nn.ReLU(), torch.nn.Linear(48, 5, bias=False))
optimizer = torch.optim.AdamW(net.parameters(), lr=0.01)
growth, limits = sys.argv[2], {}
if growth == "budget":
    chip, on_a_core = load_chip("loihi2"), {"cores": 3, "input_axons": {"0.weight": 8}}
    budget = lambda masks: chip_budget(chip, {n: m.numpy() for n, m in masks.items()}, **on_a_core)
    growth, limits = "gradient", {"budget": budget, "preference": 1.0, "whole_lists": True}
settings = RewiringSettings(density=0.2, every_steps=3, end_step=1000, growth=growth, **limits)
rewirer = start_rewiring("esl", find_weights(net), optimizer, settings)
model = torch.nn.parallel.DistributedDataParallel(net) if world > 1 else net
generator = torch.Generator().manual_seed(1)
for _ in range(30):
    x, y = torch.randn(32, 20, generator=generator), torch.randint(5, (32,), generator=generator)
    optimizer.zero_grad()
    for half in [rank] if world > 1 else [0, 1]:
        part = slice(16 * half, 16 * half + 16)
        loss = torch.nn.functional.cross_entropy(model(x[part]), y[part])
        (loss if world > 1 else loss / 2).backward()
    rewirer.before_step()
    optimizer.step()
    rewirer.after_step()
assert rewirer.n_rewirings == 10
torch.save({**rewirer.masks, **{"w" + n: w.detach() for n, w in rewirer.weights.items()}}, f"{sys.argv[1]}-{world}-{rank}")
if world > 1:
    dist.destroy_process_group()
"""


@pytest.mark.parametrize("growth", ["random", "gradient", "momentum", "budget"])
def test_two_ranks_equal_each_other_and_one_process_that_accumulates_both_halves(growth, tmp_path):
    script = tmp_path / "worker.py"
    script.write_text(WORKER, encoding="utf-8")
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join([str(ROOT), os.environ.get("PYTHONPATH", "")])}
    environment.pop("WORLD_SIZE", None)
    launcher = [sys.executable, "-m", "torch.distributed.run", "--standalone", "--nproc-per-node=2"]
    for command in ([sys.executable], launcher):
        done = subprocess.run(
            [*command, script, tmp_path / "out", growth], env=environment, capture_output=True, text=True, check=False
        )
        assert done.returncode == 0, done.stderr
    one, *ranks = (torch.load(tmp_path / f"out-{name}", weights_only=True) for name in ("1-0", "2-0", "2-1"))
    for name, value in one.items():
        assert torch.equal(ranks[0][name], ranks[1][name])
        assert torch.equal(ranks[0][name], value)
    if growth == "budget":
        lists = np.add.reduceat(one["0.weight"].numpy(), [0, 16, 32], axis=0)
        assert ((lists > 0).sum(axis=1) <= 8).all()

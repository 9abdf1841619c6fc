"""Cost of a growth step by topology (CH3-L3) beside one by gradient, up to 4096 x 4096 at 2 %, on one thread.

    python tests/benchmarks/bench_growth.py [--rounds 3]

Medians side by side. A step by gradient ranks all absent positions by a dense gradient that is there already.
"""

from __future__ import annotations

import argparse
import statistics
import time
import tracemalloc
from collections.abc import Callable

import numpy as np
import torch

from neurodeploy.sparse.paths import path_scores
from neurodeploy.sparse.topology import even_mask

CASES = [
    (256, 784, 0.02),
    (256, 1568, 0.02),
    (256, 1568, 0.1),
    (1568, 784, 0.05),
    (4096, 4096, 0.005),
    (4096, 4096, 0.02),
]


def by_paths(mask: np.ndarray, n_grow: int) -> torch.Tensor:
    """Return the positions that CH-SNN grows."""
    score = torch.from_numpy(path_scores(mask)).flatten()
    score += 1e-3 * score[score > 0].mean()
    noise = -torch.rand(len(score), dtype=torch.float64).clamp(min=1e-300).log().neg().log()
    return (score.log() + noise).topk(n_grow).indices


def by_gradient(mask: np.ndarray, gradient: torch.Tensor, n_grow: int) -> torch.Tensor:
    """Return the positions that RigL grows."""
    return torch.where(torch.from_numpy(mask), -1.0, gradient.abs()).flatten().topk(n_grow).indices


def seconds(call: Callable[[], object]) -> float:
    """Return the seconds that a call takes."""
    start = time.perf_counter()
    call()
    return time.perf_counter() - start


def main() -> None:
    """Print a row for each size."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=3)
    rounds = parser.parse_args().rounds
    torch.set_num_threads(1)
    rng = np.random.default_rng(0)
    path_scores(np.eye(3, dtype=bool))  # compile
    print(f"{'size':>12} {'density':>8} {'paths s':>9} {'gradient s':>11} {'ratio':>7} {'peak MiB':>9} {'above 0':>8}")
    for n_target, n_source, density in CASES:
        mask = even_mask(n_target, n_source, round(density * n_target * n_source), rng)
        gradient, n_grow = torch.randn(mask.shape), int(0.3 * mask.sum())
        calls = (lambda: by_paths(mask, n_grow), lambda: by_gradient(mask, gradient, n_grow))  # noqa: B023
        took = [[seconds(call) for call in calls] for _ in range(rounds)]
        paths, plain = (statistics.median(times) for times in zip(*took))
        tracemalloc.start()
        found = path_scores(mask)
        peak = tracemalloc.get_traced_memory()[1] / 2**20
        tracemalloc.stop()
        share = (found > 0).sum() / (~mask).sum()
        size = f"{n_target}x{n_source}"
        print(
            f"{size:>12} {density:>8.1%} {paths:>9.3f} {plain:>11.4f} {paths / plain:>7.0f} {peak:>9.0f} {share:>8.1%}"
        )


if __name__ == "__main__":
    main()

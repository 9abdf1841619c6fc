"""Data-parallel training under ``torchrun``: every process computes a part of each batch and takes the same step.

``torchrun --nproc_per_node 2 -m neurodeploy train RECIPE`` starts the processes (ranks); they exchange sums over gloo.
"""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass

import torch
import torch.distributed as dist

_LAST_EXCHANGE_S = 0.2
"""Seconds that gloo's thread gets to free its tensors before the group ends."""


@dataclass(frozen=True, slots=True)
class World:
    """The ``size`` processes that train one network together; this one has number ``rank``, and 0 leads."""

    rank: int = 0
    size: int = 1

    @property
    def leads(self) -> bool:
        """Whether this process is the one that writes and prints."""
        return self.rank == 0

    def own(self, parts: Sequence[torch.Tensor]) -> Iterator[tuple[int, torch.Tensor]]:
        """Yield the parts of a batch that this process computes, with their numbers; empty parts are left out."""
        for number, part in enumerate(parts):
            if number % self.size == self.rank and len(part):
                yield number, part

    def add_gradients(self, parameters: Iterable[torch.nn.Parameter]) -> None:
        """Replace every gradient by the sum over all processes."""
        if self.size == 1:
            return
        learned = [p for p in parameters if p.requires_grad]
        gradients = []
        for p in learned:
            if p.grad is None:
                p.grad = torch.zeros_like(p)
            gradients.append(p.grad)
        line = torch.cat([gradient.flatten() for gradient in gradients])
        dist.all_reduce(line)
        for gradient, total in zip(gradients, torch.split(line, [g.numel() for g in gradients])):
            gradient.copy_(total.view_as(gradient))

    def add(self, values: torch.Tensor) -> None:
        """Replace a tensor by its sum over all processes."""
        if self.size > 1:
            dist.all_reduce(values)

    def total(self, *values: float) -> list[float]:
        """Return the sums over all processes, in float64."""
        if self.size == 1:
            return list(values)
        line = torch.tensor(values, dtype=torch.float64)
        dist.all_reduce(line)
        return list(line.tolist())

    def any(self, ask: Callable[[], bool]) -> Callable[[], bool]:
        """Return a function that has the same result in all processes: whether ``ask()`` is true in any of them."""
        return lambda: bool(self.total(float(ask()))[0])

    def wait(self) -> None:
        """Wait until all processes have called this."""
        if self.size > 1:
            dist.barrier()


ALONE = World()


def world_size() -> int:
    """Return the number of processes that ``torchrun`` started, 1 without it."""
    return int(os.environ.get("WORLD_SIZE", 1))


@contextmanager
def joined() -> Iterator[World]:
    """Join the processes that ``torchrun`` started and leave them at the end; without ``torchrun``, yield ``ALONE``."""
    size = world_size()
    if size == 1:
        yield ALONE
        return
    dist.init_process_group("gloo")
    try:
        yield World(dist.get_rank(), size)
    finally:
        # gloo's thread frees the tensors of the last exchange with the GIL, which the group's end holds while it waits for
        # that thread (torch 2.3): without a pause about a third of all runs on a busy machine never ended
        time.sleep(_LAST_EXCHANGE_S)
        dist.destroy_process_group()

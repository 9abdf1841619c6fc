"""Estimates beside published measurements of chips: facts as data, their rows, and the ranges that follow from them."""

from neurodeploy.bench.silicon.rows import bench_silicon

__all__ = ["bench_silicon"]

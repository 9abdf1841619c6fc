"""Estimates beside published measurements of chips: facts as data, their rows, and the ranges that follow from them."""

from neurodeploy.bench.silicon.run import bench_silicon

__all__ = ["bench_silicon"]

"""Benchmarks: simulation speed against other simulators, rewiring methods, and estimates against measured chips."""

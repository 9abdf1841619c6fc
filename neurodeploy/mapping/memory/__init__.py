"""Exact memory of a core: the synapses of each part, laid out by the chip's formats."""

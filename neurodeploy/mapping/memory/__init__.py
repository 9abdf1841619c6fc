"""Exact synaptic memory of a core: the synapses of each part, laid out in the chip's formats."""

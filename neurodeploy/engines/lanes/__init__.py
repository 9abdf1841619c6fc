"""Spikes of many samples and steps side by side in vector lanes: portable vectors, sums over synapses, neurons, a run."""

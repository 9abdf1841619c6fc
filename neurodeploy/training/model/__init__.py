"""The trainable model: slayer's layers, a compiled neuron loop with exactly slayer's results, weights on the chip's grid."""

"""The trainable model: synapses of a backend (torch alone, or slayer), compiled neurons, weights on the chip's grid."""

"""The network while it trains: layers of slayer, the fused neuron with slayer's bits, weights on the chip's grid."""

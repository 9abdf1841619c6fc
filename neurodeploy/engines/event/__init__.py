"""The event-driven engine: compiled kernels that read only synapses of neurons that spiked; same bits as the reference."""

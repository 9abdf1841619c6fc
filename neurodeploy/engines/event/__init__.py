"""The event-driven engine: compiled kernels that touch only what a spike touches, with the bits of the reference."""

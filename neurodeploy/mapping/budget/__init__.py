"""Limits of a chip that rewiring keeps during training: the free room of each core, layer and source."""

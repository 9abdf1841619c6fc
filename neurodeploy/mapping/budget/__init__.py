"""Limits of a chip that rewiring keeps while it trains: room by core, layer and source."""

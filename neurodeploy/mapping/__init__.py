"""Synapse formats, limits and placement: a Network and a Chip become a Mapping."""

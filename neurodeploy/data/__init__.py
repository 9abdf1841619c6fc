"""Data sets: found in their folders, split into parts, and encoded as input events."""

"""Data sets: loading from their folders, splitting into parts, and encoding as input events."""

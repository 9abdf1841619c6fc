"""Checks of network files: a verdict on each node, the differences between two files, and a drawing of a NIR graph."""

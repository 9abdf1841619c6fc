"""Checks of NIR files: a verdict on each node, the differences between two files, and a drawing."""

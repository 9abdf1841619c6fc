"""Verdicts: whether a network fits a chip, which limit binds, and remedies that were checked by mapping."""

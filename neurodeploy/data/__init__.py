"""Data sets to spike tensors and labels."""

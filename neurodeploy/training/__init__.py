"""Training with the chip's integers in the forward pass, from a recipe to a folder with the best checkpoint. Needs torch."""

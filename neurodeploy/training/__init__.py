"""Training with slayer's arithmetic, from a recipe to a folder with the best checkpoint. Needs torch."""

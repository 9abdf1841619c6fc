"""Training with slayer's arithmetic: a recipe becomes a folder with the best checkpoint. Needs torch."""

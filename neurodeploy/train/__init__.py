"""Recipes to trained networks, in lava-dl's slayer."""

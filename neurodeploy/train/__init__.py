"""Recipes to trained networks, in lava-dl's slayer. Needs Python 3.10 and the extra ``train``."""

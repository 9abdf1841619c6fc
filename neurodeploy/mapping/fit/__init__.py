"""Does it fit, and if not, why not: loads against limits, remedies that were mapped before they are offered."""

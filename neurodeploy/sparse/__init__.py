"""The rewiring engine: budgets, scores, ratios and masks for any torch module."""

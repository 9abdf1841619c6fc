"""Rewiring methods side by side: rows, what they show together, and the page of results."""

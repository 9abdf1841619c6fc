"""Comparison of the rewiring methods: training runs, their statistics, and the page of results."""

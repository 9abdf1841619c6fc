"""Pictures as SVG or plotly figures: cores by load, messages between them, memory, charts of a report."""

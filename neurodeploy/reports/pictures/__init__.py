"""Pictures as SVG or plotly figures: cores by load, messages between cores, memory, and the charts of a report."""

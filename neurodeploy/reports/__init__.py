"""Reports: the record ``report.json``, and a terminal table, Markdown and offline pages made from it."""

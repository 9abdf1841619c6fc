"""``report.json`` and what is made from it: terminal table, Markdown, and pages that work offline."""

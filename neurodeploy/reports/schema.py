"""The published JSON schema of ``report.json``: ``python -m neurodeploy.reports.schema`` writes it from the records."""

from __future__ import annotations

import json
from typing import Any

from neurodeploy.reports.record import SCHEMA, SCHEMA_FILE, Report


def json_schema() -> dict[str, Any]:
    """Return the JSON schema (draft 2020-12) of the records."""
    return {
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        **Report.model_json_schema(by_alias=True, mode="serialization"),
        "title": SCHEMA,
    }


if __name__ == "__main__":
    SCHEMA_FILE.write_text(json.dumps(json_schema(), indent=1, sort_keys=True) + "\n", encoding="utf-8")

"""``neurodeploy doctor``: a check of this environment."""

from __future__ import annotations

import typer

from neurodeploy.cli.program import Json, app
from neurodeploy.cli.show import print_json, table


@app.command(epilog="Example: neurodeploy doctor")
def doctor(as_json: Json = False) -> None:
    """Say which Python, torch and Lava were found and what is broken."""
    from neurodeploy import commands

    result = commands.doctor()
    if as_json:
        print_json(result)
    else:
        rows = [(c["state"], c["what"], c["found"] or "-", c["note"]) for c in result["checks"]]
        table("State|What|Found|Note", rows)
    if not result["ok"]:
        raise typer.Exit(13)

"""``neurodeploy compare``: two reports side by side."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from neurodeploy.cli.program import Json, app
from neurodeploy.cli.show import print_json, print_line


@app.command(epilog="Example: neurodeploy compare old/report.json new/report.json --gate gate.toml")
def compare(
    a: Annotated[Path, typer.Argument(metavar="A.json", help="The report to compare with.")],
    b: Annotated[Path, typer.Argument(metavar="B.json", help="The report in question.")],
    gate: Annotated[Path | None, typer.Option(help="TOML file: what may get worse, and by how much.")] = None,
    as_json: Json = False,
) -> None:
    """Two reports side by side as Markdown; with a gate, an exit code for continuous integration."""
    from neurodeploy import commands
    from neurodeploy.errors import ReportError

    result = commands.compare_files(a, b, gate=gate)
    if as_json:
        print_json(result.to_json())
    else:
        print_line(result.markdown())
    if not result.ok:
        raise typer.Exit(ReportError.exit_code)

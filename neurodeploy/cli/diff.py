"""``neurodeploy diff``: the differences between two NIR files."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from neurodeploy.cli.program import Json, app
from neurodeploy.cli.show import print_json, table


@app.command(epilog="Example: neurodeploy diff old.nir new.nir")
def diff(
    a: Annotated[Path, typer.Argument(metavar="A.nir", help="A NIR file.")],
    b: Annotated[Path, typer.Argument(metavar="B.nir", help="Another one.")],
    metadata: Annotated[bool, typer.Option(help="Compare metadata too.")] = True,
    as_json: Json = False,
) -> None:
    """What differs between two NIR files, node by node; exit code 12 where anything does."""
    from neurodeploy import commands
    from neurodeploy.errors import MismatchError

    found = commands.diff(a, b, metadata=metadata)
    if as_json:
        print_json(found)
    else:
        table("Where|What", [(d["where"], d["what"]) for d in found])
    if found:
        raise typer.Exit(MismatchError.exit_code)

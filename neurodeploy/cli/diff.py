"""``neurodeploy diff``: the differences between two network files."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from neurodeploy.cli.program import Dt, InputShape, Json, ReadingText, app, reading_of
from neurodeploy.cli.show import print_json, print_line, table


@app.command(epilog="Example: neurodeploy diff old.nir new.nir")
def diff(
    a: Annotated[Path, typer.Argument(metavar="A", help="A network file: .nir, .nd5 or .net.")],
    b: Annotated[Path, typer.Argument(metavar="B", help="Another one.")],
    reading: ReadingText = None,
    dt: Dt = None,
    input_shape: InputShape = None,
    metadata: Annotated[bool, typer.Option(help="Compare metadata or ledgers too.")] = True,
    as_json: Json = False,
) -> None:
    """What differs between two network files; exit code 12 where anything does.

    Two NIR files are compared node by node, other files value by value of their networks.
    """
    from neurodeploy import commands
    from neurodeploy.errors import MismatchError

    found = commands.diff(a, b, reading=reading_of(reading, dt, input_shape), metadata=metadata)
    if as_json:
        print_json(found)
    else:
        if found:
            table("Where|What", [(d["where"], d["what"]) for d in found])
        else:
            print_line(f"{a} and {b} do not differ")
    if found:
        raise typer.Exit(MismatchError.exit_code)

"""``neurodeploy chips list|show|validate|new``: chips and chip files."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from neurodeploy.cli.program import Force, Json, chips_app
from neurodeploy.cli.show import print_json, print_line, table


@chips_app.command("list", epilog="Example: neurodeploy chips list --json")
def chips_list(as_json: Json = False) -> None:
    """List the chips that networks can be mapped onto."""
    from neurodeploy.chip import chip_names, load_chip

    chips = [load_chip(name).chip for name in chip_names()]
    if as_json:
        print_json([{"name": c.name, "title": c.title, "year": c.year} for c in chips])
    else:
        table("Name|Chip|Year|Evidence", [(c.name, c.title, c.year, c.evidence) for c in chips])


@chips_app.command("show", epilog="Example: neurodeploy chips show loihi2")
def chips_show(
    name: Annotated[str, typer.Argument(help="Name of a chip, or a chip file.")], as_json: Json = False
) -> None:
    """Show every number of a chip, and what its neurons can do, with unit, source and grade."""
    from neurodeploy import commands

    rows = commands.chip_rows(name)
    if as_json:
        print_json(rows)
    else:
        table("Key|Value|Unit|Grade|Source", [tuple(r.values()) for r in rows])


@chips_app.command("validate", epilog="Example: neurodeploy chips validate mine.toml")
def chips_validate(
    file: Annotated[Path, typer.Argument(help="A chip file.")],
    as_json: Json = False,
) -> None:
    """Check a chip file: every key, unit, source and grade."""
    from neurodeploy import commands

    rows = commands.chip_rows(str(file))
    if as_json:
        print_json({"ok": True, "numbers": sum(bool(row["unit"]) for row in rows)})
    else:
        words = sum(not row["unit"] for row in rows)
        more = f", and {words} list{'s' * (words > 1)} of words with source and grade" if words else ""
        print_line(f"{file}: {len(rows) - words} numbers, each with unit, source and grade{more}")


@chips_app.command("new", epilog="Example: neurodeploy chips new mine --base loihi2")
def chips_new(
    name: Annotated[str, typer.Argument(help="Name of the new chip.")],
    base: Annotated[str, typer.Option(help="Chip that it starts from.")] = "loihi2",
    out: Annotated[Path | None, typer.Option(help="File to write; by default NAME.toml.")] = None,
    force: Force = False,
) -> None:
    """Write a chip file to be filled in."""
    from neurodeploy import commands

    print_line(str(commands.new_chip(name, base=base, out=out, force=force)))

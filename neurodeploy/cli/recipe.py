"""``neurodeploy recipe keys|new|check``: what the keys of files mean, new recipes, and checks of them."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from neurodeploy.cli.program import Force, Json, recipe_app
from neurodeploy.cli.show import print_json, print_line, table


@recipe_app.command("keys", epilog="Example: neurodeploy recipe keys training")
def recipe_keys(
    key: Annotated[str | None, typer.Argument(metavar="[KEY]", help="A table or a key; by default all.")] = None,
    of: Annotated[str, typer.Option("--of", help="Kind of file: recipe, sweep, gate, pins or chip.")] = "recipe",
    as_json: Json = False,
) -> None:
    """Say what each key of a file means, with its unit, range and default."""
    from neurodeploy import commands

    rows = commands.key_rows(commands.file_keys(key, of=of))
    if as_json:
        print_json(rows)
    else:
        table("Key|Meaning|Value|Default", [tuple(row.values()) for row in rows])


@recipe_app.command("new", epilog="Example: neurodeploy recipe new mine --data samples.npz")
def recipe_new(
    name: Annotated[str, typer.Argument(help="Name of the new recipe; that of a known one starts from it.")],
    base: Annotated[str | None, typer.Option(help="Recipe that it starts from: a name or a file.")] = None,
    data: Annotated[Path | None, typer.Option(help="File or folder of samples of your own.")] = None,
    out: Annotated[Path | None, typer.Option(help="File to write; by default NAME.toml.")] = None,
    force: Force = False,
) -> None:
    """Write a recipe in which every key is explained."""
    from neurodeploy import commands

    path = commands.new_recipe(name, base=base, data=data, out=out, force=force, say=print_line)
    print_line(f"{path}; train it with: neurodeploy train {path}")


@recipe_app.command("check", epilog="Example: neurodeploy recipe check mine.toml")
def recipe_check(
    recipe: Annotated[str, typer.Argument(help="A recipe: a name or a file.")], as_json: Json = False
) -> None:
    """Check every key of a recipe, without training it; all that is wrong is said at once."""
    from neurodeploy import commands

    found = commands.check_recipe(recipe)
    if as_json:
        print_json(found)
        return
    density = "" if found["density"] is None else f" at density {found['density']:g}"
    layers = " - ".join(str(layer.get("neurons", layer["kind"])) for layer in found["layers"])
    print_line(f"{recipe}: layers {layers} on {found['data']}, {found['method']}{density}, {found['epochs']} epochs")

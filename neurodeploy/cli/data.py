"""``neurodeploy data list|verify|get``: data sets."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from neurodeploy.cli.program import Json, data_app
from neurodeploy.cli.show import show, show_rows

DataRoot = Annotated[
    Path | None, typer.Option("--root", help="Folder of data sets; by default NEURODEPLOY_DATA or ./data.")
]


@data_app.command("list", epilog="Example: neurodeploy data list --root ~/data")
def data_list(root: DataRoot = None, as_json: Json = False) -> None:
    """List the data sets and which of them are there."""
    from neurodeploy.data.catalog import list_data_sets as listed

    rows = listed(root)
    shown = ("name", "title", "kind", "classes", "train", "test", "present", "folder")
    show_rows(rows if as_json else [{key: row[key] for key in shown} for row in rows], as_json)


@data_app.command("verify", epilog="Example: neurodeploy data verify MNIST --root ~/data")
def data_verify(
    name: Annotated[str, typer.Argument(help="Name of a data set.")], root: DataRoot = None, as_json: Json = False
) -> None:
    """Read a data set whole: counts, classes, and hashes where they are known."""
    from neurodeploy.data.catalog import verify_data_set as verified

    show(verified(name, root), as_json)


@data_app.command("get", epilog="Example: neurodeploy data get MNIST --root ~/data")
def data_get(
    name: Annotated[str, typer.Argument(help="Name of a data set.")], root: DataRoot = None, as_json: Json = False
) -> None:
    """Fetch a data set through torchvision or tonic (extra data) into the folder of data sets."""
    from neurodeploy.data.catalog import fetch_data_set as fetched

    show(fetched(name, root), as_json)

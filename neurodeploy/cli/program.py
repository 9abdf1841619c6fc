"""The program without its commands: its groups, and the options that commands share."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from neurodeploy.version import __version__

if TYPE_CHECKING:
    from neurodeploy.exchange.nir.readings import Reading

app = typer.Typer(
    name="neurodeploy",
    help="Train sparse spiking networks, prove them bit-exact, and size them for a neuromorphic chip.",
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    rich_markup_mode="rich",
)


def _print_version(wanted: bool) -> None:
    if wanted:
        print(f"neurodeploy {__version__}")
        raise typer.Exit


@app.callback()
def _options(
    _version: Annotated[
        bool, typer.Option("--version", callback=_print_version, is_eager=True, help="Show the version and exit.")
    ] = False,
    _debug: Annotated[
        bool, typer.Option("--debug", help="With an error, show where in the code it and its causes arose.")
    ] = False,
    _quiet: Annotated[
        bool, typer.Option("--quiet", help="Nothing but results, warnings and errors: no word of what is being done.")
    ] = False,  # both are taken out of the words of any command by main
) -> None:
    pass


chips_app = typer.Typer(no_args_is_help=True, help="Chips that networks can be mapped onto.")
app.add_typer(chips_app, name="chips")
data_app = typer.Typer(no_args_is_help=True, help="Data sets: which are known, which are there, and how to get them.")
app.add_typer(data_app, name="data")
recipe_app = typer.Typer(no_args_is_help=True, help="Recipes: what their keys mean, new ones, and checks.")
app.add_typer(recipe_app, name="recipe")
bench_app = typer.Typer(no_args_is_help=True, help="Measurements on this machine, side by side with their peers.")
app.add_typer(bench_app, name="bench")


def reading_of(text: str | None, dt: float | None, input_shape: str | None = None) -> Reading | None:
    """Return what --reading, --dt and --input-shape say, None where they are left out."""
    from neurodeploy.exchange.nir.readings import as_reading, as_shape

    shape = None if input_shape is None else as_shape(input_shape)
    return None if text is None and dt is None and shape is None else as_reading(text, dt=dt, input_shape=shape)


Json = Annotated[bool, typer.Option("--json", help="Print one JSON object.")]
Force = Annotated[bool, typer.Option("--force", help="Replace results of an earlier run.")]
NirFile = Annotated[Path, typer.Argument(metavar="FILE", help="A .nir, .nd5 or .net file, or a run's folder.")]
Data = Annotated[
    str,
    typer.Argument(metavar="DATA", help="A file of samples or events, a folder of them, a run's folder, or a recipe."),
]
ChipName = Annotated[str, typer.Option("--chip", help="Name of a chip, or a chip file.")]
ReadingText = Annotated[
    str | None,
    typer.Option(
        "--reading",
        metavar="NAME[,dt=S][,reset=R]",
        help="Which framework's numbers a NIR file holds: snntorch, norse, sinabs, rockpool, spyx, spikingjelly, lava-dl, "
        "euler or exponential; length of a step in seconds; reset zero or subtract. Found out where that is safe.",
    ),
]
Dt = Annotated[
    float | None,
    typer.Option("--dt", help="Length of a step in seconds, where the file does not say: --reading dt=SECONDS."),
]
FailOnMissed = Annotated[
    bool,
    typer.Option(
        "--fail-on-missed", help="End with exit code 19 where a deadline, rate or period is missed (nominal)."
    ),
]
InputShape = Annotated[
    str | None,
    typer.Option(
        "--input-shape", metavar="C,H,W", help="Input of a .net file that begins with a convolution, as 4,8,8."
    ),
]
NSamples = Annotated[int | None, typer.Option("--samples", min=1, help="Only so many samples.")]

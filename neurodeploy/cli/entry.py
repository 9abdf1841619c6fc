"""The program with all its commands: importing the module of a command adds the command, in the order of the imports."""

from __future__ import annotations

import io
import os
import sys
import traceback
import warnings
from importlib import import_module
from typing import Any, NoReturn

from neurodeploy.cli.program import app
from neurodeploy.cli.reading import reading_bar, telling_of_compilation
from neurodeploy.cli.working import working
from neurodeploy.errors import NeurodeployError
from neurodeploy.files.unreadable import plain_text
from neurodeploy.plugins import load_plugins

_COMMANDS = (
    "demo recipe train export check diff map chips simulate verify faults estimate compare report sweep bench data "
    "doctor"
)
_OF_ALL = ("--debug", "--quiet")
"""Options of the program that may stand anywhere among the words of a command."""
_PIPE_EXIT_CODE = 141
"""As the shell tells it: 128 and the number of SIGPIPE."""
_MOST_LETTERS = 2000
"""Length of a line of an error message."""
for _command in _COMMANDS.split():
    import_module(f"neurodeploy.cli.{_command}")


def _warn(message: Warning | str, category: type[Warning], *_: Any, **__: Any) -> None:
    """Print a warning as one line; where in the code it was made does not help on the command line."""
    print(f"neurodeploy: warning: {message}" if category.__name__ == "DataWarning" else str(message), file=sys.stderr)


def main() -> None:
    """Run the command line; the entry point of the program ``neurodeploy``."""
    _open_closed_streams()
    warnings.showwarning = _warn
    debug, quiet = (word in sys.argv[1:] for word in _OF_ALL)
    sys.argv[1:] = [word for word in sys.argv[1:] if word not in _OF_ALL]
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors="backslashreplace")  # for letters that the locale has not
    try:
        load_plugins()
        with working(_command_in(sys.argv[1:]), quiet=quiet), reading_bar(), telling_of_compilation():
            try:
                app()
            finally:
                sys.stdout.flush()
    except NeurodeployError as error:
        _end(str(error), error.exit_code, debug)
    except BrokenPipeError:
        _silence_output()  # nobody reads on
        sys.exit(_PIPE_EXIT_CODE)
    except OSError as error:
        if error.filename is None:  # of the output, not of a file
            _silence_output()
        _end(f"{error.strerror or error}: {error.filename or ''}".rstrip(": "), 3, debug)
    except MemoryError:
        _end("memory ran out; take fewer samples, or a smaller network", 1, debug)


def _open_closed_streams() -> None:
    """Open standard streams that are closed, so that no file takes their place: nothing comes in, and nothing goes out."""
    for number, (name, mode) in enumerate((("stdin", "r"), ("stdout", "w"), ("stderr", "w"))):
        try:
            os.fstat(number)
        except OSError:
            os.open(os.devnull, os.O_RDWR)  # gets the lowest number that is free
        if getattr(sys, name) is None:
            setattr(sys, name, open(number, mode, encoding="utf-8", closefd=False))  # noqa: SIM115 - as long as the program runs


def _command_in(words: list[str]) -> str:
    """Return the words of the command, as ``map`` or ``bench silicon``."""
    named = [word for word in words[:2] if not word.startswith("-")]
    groups = {group.name for group in app.registered_groups}
    return " ".join(named if named and named[0] in groups else named[:1]) or "neurodeploy"


def _silence_output() -> None:
    """Send what is left of the output nowhere, so that Python does not complain of it at the end."""
    os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())


def _end(message: str, code: int, debug: bool) -> NoReturn:
    """Print a message and end the program; with ``--debug`` also where in the code the error and its causes arose."""
    if debug:
        traceback.print_exc()
    lines = [plain_text(line, _MOST_LETTERS) for line in message.split("\n")]
    print("neurodeploy: " + "\n".join(lines), file=sys.stderr)
    sys.exit(code)

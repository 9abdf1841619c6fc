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
from neurodeploy.cli.reading import reading_bar
from neurodeploy.errors import NeurodeployError
from neurodeploy.files.unreadable import plain_text
from neurodeploy.plugins import load_plugins

_COMMANDS = (
    "demo recipe train export check diff map chips simulate verify faults estimate compare report sweep bench data "
    "doctor"
)
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
    warnings.showwarning = _warn
    debug = "--debug" in sys.argv[1:]
    sys.argv[1:] = [word for word in sys.argv[1:] if word != "--debug"]
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors="backslashreplace")  # for letters that the locale has not
    try:
        load_plugins()
        with reading_bar():
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

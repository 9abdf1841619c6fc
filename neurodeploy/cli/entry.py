"""The program with all its commands: importing the module of a command adds the command, in the order of the imports."""

from __future__ import annotations

import sys
import warnings
from importlib import import_module
from typing import Any

from neurodeploy.cli.program import app
from neurodeploy.cli.reading import reading_bar
from neurodeploy.errors import NeurodeployError
from neurodeploy.plugins import load_plugins

_COMMANDS = (
    "demo recipe train export check diff map chips simulate verify faults estimate compare report sweep bench data "
    "doctor"
)
for _command in _COMMANDS.split():
    import_module(f"neurodeploy.cli.{_command}")


def _warn(message: Warning | str, category: type[Warning], *_: Any, **__: Any) -> None:
    """Print a warning as one line; where in the code it was made does not help on the command line."""
    print(f"neurodeploy: warning: {message}" if category.__name__ == "DataWarning" else str(message), file=sys.stderr)


def main() -> None:
    """Run the command line; the entry point of the program ``neurodeploy``."""
    warnings.showwarning = _warn
    try:
        load_plugins()
        with reading_bar():
            app()
    except NeurodeployError as error:
        print(f"neurodeploy: {error}", file=sys.stderr)
        sys.exit(error.exit_code)
    except OSError as error:
        print(f"neurodeploy: {error.strerror or error}: {error.filename or ''}".rstrip(": "), file=sys.stderr)
        sys.exit(3)

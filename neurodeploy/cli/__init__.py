"""The command line: one command = one public function of ``neurodeploy.commands``. Nothing is computed here.

Results go to standard output (``--json``: as one JSON object), messages and progress to standard error. A failure is one
message and an exit code of its own (``neurodeploy.errors``), without a traceback. Importing a module below adds its
commands to the program, in the order of the list.
"""

from importlib import import_module

from neurodeploy.cli.program import app, main

_COMMANDS = (
    "demo train export check diff map chips simulate verify faults estimate compare report sweep bench data doctor"
)
for _command in _COMMANDS.split():
    import_module(f"neurodeploy.cli.{_command}")

__all__ = ["app", "main"]

"""The command line: one command = one public function of ``neurodeploy.commands``. Nothing is computed here.

Results go to standard output (``--json``: as one JSON object), messages and progress to standard error. A failure is one
message and an exit code of its own (``neurodeploy.errors``), without a traceback. Importing a module below adds its
commands to the program, in the order of the list.
"""

from importlib import import_module

from neurodeploy.cli.app import app, main

_TOPICS = "demonstration training nir placement running costs reporting sweeping datasets environment"
for _topic in _TOPICS.split():
    import_module(f"neurodeploy.cli.{_topic}")

__all__ = ["app", "main"]

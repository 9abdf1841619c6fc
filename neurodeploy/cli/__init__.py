"""The command line: options, printing and exit codes; the work is done by ``neurodeploy.commands`` and the rooms below.

Results go to standard output (``--json``: as one JSON object), messages and progress to standard error. A failure prints
one message, without a traceback, and exits with the code of its error class (``neurodeploy.errors``).
"""

from neurodeploy.cli.entry import main
from neurodeploy.cli.program import app

__all__ = ["app", "main"]

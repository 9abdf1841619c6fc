"""The command line: each command calls one public function of ``neurodeploy.commands``; nothing is computed here.

Results go to standard output (``--json``: as one JSON object), messages and progress to standard error. A failure prints
one message, without a traceback, and exits with the code of its error class (``neurodeploy.errors``).
"""

from neurodeploy.cli.entry import main
from neurodeploy.cli.program import app

__all__ = ["app", "main"]

"""The command line: one command = one public function of ``neurodeploy.commands``. Nothing is computed here.

Results go to standard output (``--json``: as one JSON object), messages and progress to standard error. A failure is one
message and an exit code of its own (``neurodeploy.errors``), without a traceback.
"""

from neurodeploy.cli.entry import main
from neurodeploy.cli.program import app

__all__ = ["app", "main"]

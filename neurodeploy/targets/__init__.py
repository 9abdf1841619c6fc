"""What a network is written for besides our own engines: simulators and chips of others, one folder each.

``TARGETS`` (``table.py``) names them; ``write_target`` writes, ``check_target`` checks what was written.
"""

from neurodeploy.targets.table import TARGETS, Target, check_target, write_target

__all__ = ["TARGETS", "Target", "check_target", "write_target"]

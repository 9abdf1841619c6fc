"""Export targets: simulators and chips of others that a network can be written for, one folder for each.

The table ``TARGETS`` (``table.py``) lists them; ``write_target`` writes for a target, ``check_target`` checks the result.
"""

from neurodeploy.targets.table import TARGETS, Target, check_target, write_target

__all__ = ["TARGETS", "Target", "check_target", "write_target"]

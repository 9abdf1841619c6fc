"""Simulators: a ``Network`` and input events become an ``Activity``. No chip, no mapping, no torch.

``ENGINES`` (``table.py``) names them: ``reference`` is the definition in plain numpy, ``event`` gives the same bits faster,
``lava`` runs the same integers as Lava processes in a worker, and ``lava-in-process`` steps Lava's process models without
its runtime.
"""

from neurodeploy.engines.decoding import accuracy, decode, decoding_probes
from neurodeploy.engines.table import ENGINES, Engine, check_offered, simulate

__all__ = ["ENGINES", "Engine", "accuracy", "check_offered", "decode", "decoding_probes", "simulate"]

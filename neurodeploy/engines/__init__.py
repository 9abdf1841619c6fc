"""Simulators: they run a ``Network`` on input events and return an ``Activity``, without chip, mapping or torch.

The table ``ENGINES`` (``table.py``) lists them: ``reference`` is the definition in plain numpy, ``event`` computes the same
bits faster, ``lava`` runs the same integers as Lava processes in a worker, and ``lava-in-process`` steps Lava's process
models without Lava's runtime.
"""

from neurodeploy.engines.decoding import Answers, accuracy, answers, decode, decoding_probes
from neurodeploy.engines.silence import Silence, find_silence
from neurodeploy.engines.table import ENGINES, Engine, check_offered, simulate

__all__ = [
    "ENGINES",
    "Answers",
    "Engine",
    "Silence",
    "accuracy",
    "answers",
    "check_offered",
    "decode",
    "decoding_probes",
    "find_silence",
    "simulate",
]

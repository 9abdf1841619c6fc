"""Engines that run a network as Lava's fixed-point processes, to confirm our engines independently.

``run_lava`` uses Lava's runtime in a worker process, which may be another Python. ``run_lava_in_process`` steps the same
models in this process, which must have Lava.
"""

from neurodeploy.engines.lava.in_process import run_lava_in_process
from neurodeploy.engines.lava.runtime import find_lava_python, run_lava
from neurodeploy.engines.lava.timing import predict_seconds

__all__ = ["find_lava_python", "predict_seconds", "run_lava", "run_lava_in_process"]

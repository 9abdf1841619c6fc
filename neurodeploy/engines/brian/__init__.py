"""Engine ``brian2-loihi``: a witness made by others, the Loihi neurons and synapses that brian2-loihi gives to Brian 2.

``run_brian`` runs it in a worker process, with the Python that has it, and refuses what it cannot express exactly.
"""

from neurodeploy.engines.brian.run import find_brian_python, predict_seconds, run_brian

__all__ = ["find_brian_python", "predict_seconds", "run_brian"]

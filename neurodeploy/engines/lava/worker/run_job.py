"""The Lava worker: ``python run_job.py FOLDER PARENT`` runs the job in a folder and writes the results to the same folder.

PARENT is the number of the process that started it.

Reads ``job.json`` and ``arrays.npz``. Writes ``spikes<i>.bin`` for each population, ``state<i>.bin`` for each probe,
``progress`` with the number of finished samples, and at the end ``done`` or ``error.json``.
"""

import json
import os
import sys
import traceback

HERE = os.path.dirname(os.path.abspath(__file__))
sys.path[:0] = [HERE, os.path.join(HERE, "processes")]

import watch  # noqa: E402


def main(folder, parent):
    """Run the job under a guard process; never returns."""
    watch.run_guarded(lambda: work(folder), folder, parent)


def work(folder):
    """Run the job in this process; errors are written to ``error.json``."""
    try:
        job = load_job(folder)
        watch.keep_together(job["shared_memory"])
        run(job, folder)
    except BaseException as error:
        fail(folder, error)


def fail(folder, error):
    """Report an error and end this process at once, because Lava's stop() and its exit handlers hang after an error."""
    try:
        report(folder, watch.in_words(error, "".join(traceback.format_tb(error.__traceback__))))
    finally:
        os._exit(1)


def report(folder, message):
    """Write an error to ``error.json`` if it is the first; later errors follow from the first."""
    path = os.path.join(folder, "error.json")
    if not os.path.exists(path):
        write(path, json.dumps({"message": message}))


def write(path, text):
    """Write a small file atomically; several processes may do so at the same time."""
    partial = f"{path}.{os.getpid()}.part"
    with open(partial, "w") as file:
        file.write(text)
    os.replace(partial, path)


def load_job(folder):
    """Return the job, with its arrays in place of their references."""
    import numpy as np

    with np.load(os.path.join(folder, "arrays.npz"), allow_pickle=False) as archive:
        arrays = dict(archive)

    def place(value):
        return arrays[value["array"]] if set(value) == {"array"} else value

    with open(os.path.join(folder, "job.json")) as file:
        return json.load(file, object_hook=place)


def run(job, folder):
    """Build Lava's processes and run every sample. Lava is not stopped here: in all cases the guard ends its processes."""
    import numpy as np
    from lava.magma.core.run_conditions import RunSteps
    from lava.magma.core.run_configs import Loihi2SimCfg
    from net import build_network

    report_model_errors(folder)
    np.seterr(invalid="raise")  # Lava's Conv casts floats to int32; beyond 32 bits that is undefined
    net = build_network(job, folder)
    watching = watch.ChildWatch(lambda: children_of(net.any), lambda message: report(folder, message))
    net.any.create_runtime(Loihi2SimCfg(select_tag="fixed_pt"))
    for sample in range(job["n_samples"]):
        net.run_sample(RunSteps)
        write(os.path.join(folder, "progress"), str(sample + 1))
    watching.stop()
    write(os.path.join(folder, "done"), "")
    os._exit(0)  # Lava's exit handlers wait for its children


def children_of(process):
    """Return the operating-system processes that Lava has started so far; Lava 0.10.0 has no public function for that."""
    messaging = getattr(process.runtime, "_messaging_infrastructure", None)
    return [] if messaging is None else list(messaging.actors)


def report_model_errors(folder):
    """Make a Lava process whose model raises report the error and end.

    Lava's own loop calls ``join`` while it handles the error; the call waits for ever, and the error is never seen.
    """
    from lava.magma.core.model.py.model import AbstractPyProcessModel

    join = AbstractPyProcessModel.join

    def report_or_join(self):
        error = sys.exc_info()[1]
        if error is not None:
            fail(folder, error)
        join(self)

    AbstractPyProcessModel.join = report_or_join


if __name__ == "__main__":
    main(sys.argv[1], int(sys.argv[2]))

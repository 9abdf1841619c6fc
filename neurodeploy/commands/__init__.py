"""One public function for each command of the command line: files in, files and records out.

Every function here only joins stages; the work is done in the packages it calls. torch and Lava are imported by
``train``, ``export`` and by ``verify`` and ``demo`` with the engine that needs them, and by nothing else.
"""

from neurodeploy.commands.costs import compare_files, estimate
from neurodeploy.commands.demonstration import demo
from neurodeploy.commands.environment import doctor
from neurodeploy.commands.inputs import load_data, load_network
from neurodeploy.commands.nir import check, diff, export
from neurodeploy.commands.placement import chip_rows, map, new_chip, search
from neurodeploy.commands.reporting import DEMO_CHIPS, report
from neurodeploy.commands.running import bench_simulate, faults, simulate, verify
from neurodeploy.commands.sweeping import sweep
from neurodeploy.commands.training import bench_methods, train

__all__ = [
    "DEMO_CHIPS",
    "bench_methods",
    "bench_simulate",
    "check",
    "chip_rows",
    "compare_files",
    "demo",
    "diff",
    "doctor",
    "estimate",
    "export",
    "faults",
    "load_data",
    "load_network",
    "map",
    "new_chip",
    "report",
    "search",
    "simulate",
    "sweep",
    "train",
    "verify",
]

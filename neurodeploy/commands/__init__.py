"""One public function for each command of the command line: files in, files and records out.

Every function here only joins stages; the work is done in the packages it calls. torch and Lava are imported by
``train``, ``export`` and by ``verify`` and ``demo`` with the engine that needs them, and by nothing else.

The names load on first use, so that a command pays for no other.
"""

from typing import TYPE_CHECKING

from neurodeploy.files.lazy import hand_on_at_first_use

if TYPE_CHECKING:
    from neurodeploy.commands.bench import bench_methods, bench_simulate, bench_train
    from neurodeploy.commands.check import check
    from neurodeploy.commands.chips import chip_rows, new_chip
    from neurodeploy.commands.choice import choose_chip
    from neurodeploy.commands.compare import compare_files
    from neurodeploy.commands.data import convert
    from neurodeploy.commands.demo import demo
    from neurodeploy.commands.diff import diff
    from neurodeploy.commands.doctor import doctor
    from neurodeploy.commands.estimate import estimate
    from neurodeploy.commands.export import export
    from neurodeploy.commands.faults import faults
    from neurodeploy.commands.inputs import load_data, load_network
    from neurodeploy.commands.map import map, search
    from neurodeploy.commands.networks import as_network
    from neurodeploy.commands.recipe import check_recipe, file_keys, key_rows, new_recipe
    from neurodeploy.commands.report import DEMO_CHIPS, report
    from neurodeploy.commands.samples import as_samples
    from neurodeploy.commands.simulate import simulate, simulate_facts
    from neurodeploy.commands.sweep import sweep
    from neurodeploy.commands.train import train
    from neurodeploy.commands.verify import verify

_HOME = {
    "bench": "bench_methods bench_simulate bench_train",
    "check": "check",
    "chips": "chip_rows new_chip",
    "choice": "choose_chip",
    "compare": "compare_files",
    "data": "convert",
    "demo": "demo",
    "diff": "diff",
    "doctor": "doctor",
    "estimate": "estimate",
    "export": "export",
    "faults": "faults",
    "inputs": "load_data load_network",
    "map": "map search",
    "networks": "as_network",
    "recipe": "check_recipe file_keys key_rows new_recipe",
    "report": "DEMO_CHIPS report",
    "samples": "as_samples",
    "simulate": "simulate simulate_facts",
    "sweep": "sweep",
    "train": "train",
    "verify": "verify",
}
"""Names by the module of this room that defines them."""

__all__ = [
    "DEMO_CHIPS",
    "as_network",
    "as_samples",
    "bench_methods",
    "bench_simulate",
    "bench_train",
    "check",
    "check_recipe",
    "chip_rows",
    "choose_chip",
    "compare_files",
    "convert",
    "demo",
    "diff",
    "doctor",
    "estimate",
    "export",
    "faults",
    "file_keys",
    "key_rows",
    "load_data",
    "load_network",
    "map",
    "new_chip",
    "new_recipe",
    "report",
    "search",
    "simulate",
    "simulate_facts",
    "sweep",
    "train",
    "verify",
]

hand_on_at_first_use(__name__, _HOME)

"""neurodeploy: train sparse spiking networks, prove them bit-exact, and size them for a neuromorphic chip.

All public names are here and load on first use, so ``import neurodeploy`` imports neither torch nor Lava.
``neurodeploy.commands`` has one function for each command of the command line.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from neurodeploy.files.lazy import hand_on_at_first_use
from neurodeploy.version import __version__

if TYPE_CHECKING:
    from neurodeploy.chip.files import chip_names, load_chip
    from neurodeploy.chip.record import Chip
    from neurodeploy.commands.networks import as_network, to_netx, to_nir
    from neurodeploy.commands.samples import as_samples
    from neurodeploy.commands.train import train
    from neurodeploy.commands.verify import verify
    from neurodeploy.costs.objective import choose_mapping
    from neurodeploy.costs.pricing import estimate
    from neurodeploy.costs.record import Cost
    from neurodeploy.data.encodings import encode_changes
    from neurodeploy.engines.decoding import accuracy, answers, decode, decoding_probes
    from neurodeploy.engines.faults import measure_robustness
    from neurodeploy.engines.silence import find_silence
    from neurodeploy.engines.table import simulate
    from neurodeploy.errors import (
        ChipError,
        DataError,
        DemandError,
        EstimateError,
        FileError,
        FitError,
        LavaError,
        LavaTimeoutError,
        MismatchError,
        MissingPackageError,
        NetworkError,
        NeurodeployError,
        NirError,
        RecipeError,
        ReportError,
        SimulationError,
        SweepError,
        TrainingError,
        TrainingInterruptedError,
        UsageError,
    )
    from neurodeploy.exchange.doctor.check import check_nir
    from neurodeploy.exchange.doctor.diff import diff_nir
    from neurodeploy.exchange.doctor.draw import draw_nir
    from neurodeploy.exchange.formats import read_network, write_network
    from neurodeploy.exchange.netx.read import from_netx
    from neurodeploy.exchange.nir.interpreter import interpret
    from neurodeploy.exchange.nir.read import from_nir
    from neurodeploy.mapping.budget.limits import chip_budget
    from neurodeploy.mapping.fit.search import find_highest_density, find_smallest_chip, fit
    from neurodeploy.mapping.manual import map_by_hand
    from neurodeploy.mapping.mapper import map_network
    from neurodeploy.mapping.places.traffic import count_traffic
    from neurodeploy.mapping.record import Mapping, load_mapping, save_mapping
    from neurodeploy.network.activity import (
        Activity,
        Events,
        Samples,
        load_activity,
        load_samples,
        save_activity,
        save_samples,
    )
    from neurodeploy.network.neurons import Cuba, Delta, LeakyIntegrator, ResonateAndFire, Sigma, SigmaDelta
    from neurodeploy.network.record import Approximation, Input, Network, Output, Population, Projection
    from neurodeploy.network.relays import with_relays
    from neurodeploy.network.synapses import Conv, Dense, Pool, Sparse
    from neurodeploy.plugins import load_plugins
    from neurodeploy.proofs.compare import compare_activities
    from neurodeploy.proofs.diagnosis import diagnose
    from neurodeploy.recipe.files import load_recipe, parse_recipe, recipe_names
    from neurodeploy.recipe.pins import Pins, load_pins
    from neurodeploy.recipe.record import Recipe
    from neurodeploy.reports.compare import compare_reports
    from neurodeploy.reports.record import load_report
    from neurodeploy.reports.writing import make_report, write_report
    from neurodeploy.sparse.fitted import fit_masks
    from neurodeploy.sparse.masks import find_weights, initial_masks, scale_sparse_init
    from neurodeploy.sparse.methods import RewiringSettings, start_rewiring
    from neurodeploy.sparse.rewirer import Rewirer
    from neurodeploy.sparse.scores import prefer_reached
    from neurodeploy.targets.table import check_target, write_target
    from neurodeploy.training.model.cuba_dense import CubaDense

_HOME = {
    "commands.networks": "as_network to_netx to_nir",
    "commands.samples": "as_samples",
    "commands.train": "train",
    "commands.verify": "verify",
    "chip.files": "chip_names load_chip",
    "chip.record": "Chip",
    "costs.objective": "choose_mapping",
    "costs.pricing": "estimate",
    "costs.record": "Cost",
    "data.encodings": "encode_changes",
    "engines.decoding": "accuracy answers decode decoding_probes",
    "engines.silence": "find_silence",
    "engines.faults": "measure_robustness",
    "engines.table": "simulate",
    "errors": "ChipError DataError DemandError EstimateError FileError FitError LavaError LavaTimeoutError MismatchError "
    "MissingPackageError NetworkError NeurodeployError NirError RecipeError ReportError SimulationError "
    "SweepError TrainingError TrainingInterruptedError UsageError",
    "exchange.doctor.check": "check_nir",
    "exchange.doctor.diff": "diff_nir",
    "exchange.doctor.draw": "draw_nir",
    "exchange.formats": "read_network write_network",
    "exchange.netx.read": "from_netx",
    "exchange.nir.interpreter": "interpret",
    "exchange.nir.read": "from_nir",
    "mapping.fit.search": "fit find_highest_density find_smallest_chip",
    "mapping.manual": "map_by_hand",
    "mapping.mapper": "map_network",
    "mapping.places.traffic": "count_traffic",
    "mapping.record": "Mapping load_mapping save_mapping",
    "mapping.budget.limits": "chip_budget",
    "network.activity": "Activity Events Samples load_activity load_samples save_activity save_samples",
    "network.neurons": "Cuba Delta LeakyIntegrator ResonateAndFire Sigma SigmaDelta",
    "network.record": "Approximation Input Network Output Population Projection",
    "network.relays": "with_relays",
    "network.synapses": "Conv Dense Pool Sparse",
    "plugins": "load_plugins",
    "proofs.compare": "compare_activities",
    "proofs.diagnosis": "diagnose",
    "recipe.files": "load_recipe parse_recipe recipe_names",
    "recipe.pins": "Pins load_pins",
    "recipe.record": "Recipe",
    "reports.compare": "compare_reports",
    "reports.record": "load_report",
    "reports.writing": "make_report write_report",
    "sparse.fitted": "fit_masks",
    "sparse.masks": "find_weights initial_masks scale_sparse_init",
    "sparse.methods": "RewiringSettings start_rewiring",
    "sparse.rewirer": "Rewirer",
    "sparse.scores": "prefer_reached",
    "targets.table": "check_target write_target",
    "training.model.cuba_dense": "CubaDense",
}
"""Public names by the module (below ``neurodeploy``) that defines them."""

__all__ = [
    "Activity",
    "Approximation",
    "Chip",
    "ChipError",
    "Conv",
    "Cost",
    "Cuba",
    "CubaDense",
    "DataError",
    "Delta",
    "DemandError",
    "Dense",
    "EstimateError",
    "Events",
    "FileError",
    "FitError",
    "Input",
    "LavaError",
    "LavaTimeoutError",
    "LeakyIntegrator",
    "Mapping",
    "MismatchError",
    "MissingPackageError",
    "Network",
    "NetworkError",
    "NeurodeployError",
    "NirError",
    "Output",
    "Pins",
    "Pool",
    "Population",
    "Projection",
    "Recipe",
    "RecipeError",
    "ReportError",
    "ResonateAndFire",
    "Rewirer",
    "RewiringSettings",
    "Samples",
    "Sigma",
    "SigmaDelta",
    "SimulationError",
    "Sparse",
    "SweepError",
    "TrainingError",
    "TrainingInterruptedError",
    "UsageError",
    "__version__",
    "accuracy",
    "answers",
    "as_network",
    "as_samples",
    "check_nir",
    "check_target",
    "chip_budget",
    "chip_names",
    "choose_mapping",
    "compare_activities",
    "compare_reports",
    "count_traffic",
    "decode",
    "decoding_probes",
    "diagnose",
    "diff_nir",
    "draw_nir",
    "encode_changes",
    "estimate",
    "find_highest_density",
    "find_silence",
    "find_smallest_chip",
    "find_weights",
    "fit",
    "fit_masks",
    "from_netx",
    "from_nir",
    "initial_masks",
    "interpret",
    "load_activity",
    "load_chip",
    "load_mapping",
    "load_pins",
    "load_plugins",
    "load_recipe",
    "load_report",
    "load_samples",
    "make_report",
    "map_by_hand",
    "map_network",
    "measure_robustness",
    "parse_recipe",
    "prefer_reached",
    "read_network",
    "recipe_names",
    "save_activity",
    "save_mapping",
    "save_samples",
    "scale_sparse_init",
    "simulate",
    "start_rewiring",
    "to_netx",
    "to_nir",
    "train",
    "verify",
    "with_relays",
    "write_network",
    "write_report",
    "write_target",
]

hand_on_at_first_use(__name__, _HOME, extra="train")

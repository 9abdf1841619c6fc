"""The command that proves, places and prices a run, and writes its report."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from neurodeploy.activity import Samples
from neurodeploy.chip import load_chip
from neurodeploy.commands.inputs import (
    CHECKPOINT_FILE,
    NETWORK_FILE,
    TEST_FILE,
    Progress,
    load_data,
    load_network,
    run_recipe,
    silent,
)
from neurodeploy.commands.running import ALL_ENGINES, prove
from neurodeploy.errors import MismatchError, UsageError
from neurodeploy.estimate import estimate as estimate_cost
from neurodeploy.estimate.record import Cost
from neurodeploy.mapping import map_network
from neurodeploy.mapping.record import Mapping as ChipMapping
from neurodeploy.mapping.summary import layer_summary
from neurodeploy.network import Network
from neurodeploy.report.facts import file_hashes, network_facts, versions
from neurodeploy.report.text import target_line
from neurodeploy.simulate import simulate as simulate_network
from neurodeploy.simulate.decode import accuracy

DEMO_CHIPS = ("loihi1", "loihi2")
VERIFICATION_KEYS = (
    *("equal", "engines", "n_samples", "n_steps"),
    *("spikes_compared", "spikes_different", "populations", "first_difference"),
)


def report(
    run: Path,
    *,
    chips: Sequence[str] = DEMO_CHIPS,
    engines: Sequence[str] = ALL_ENGINES,
    n_samples: int = 64,
    command: str | None = None,
    say: Callable[[str], None] | None = None,
    progress: Progress | None = None,
) -> dict[str, Any]:
    """Prove, place and price the exported network of a run, and write its report as JSON, text, Markdown and HTML.

    Accuracy and energy are measured on the run's whole test part, exactness on its first ``n_samples``.

    Args:
        say: called with a line for each stage that is done.

    Returns:
        The report's object (``report``) and the paths of what was written (``files``).

    Raises:
        MismatchError: where an engine gives another spike; nothing is written then.
    """
    from neurodeploy.report import make_report, raster_facts, write_report

    tell = say or silent
    network, samples = load_network(run), load_data(run)
    proof = prove(run, None, engines, min(n_samples, samples.n_samples), progress)
    if not proof["equal"]:
        raise MismatchError(
            f"report: {run} is not bit-exact: {proof['first_difference']}; neurodeploy verify {run} says more"
        )
    tell(
        f"verify    {', '.join(proof['engines'])}: {proof['spikes_different']} of {proof['spikes_compared']:,} spikes "
        f"different, all {len(proof['populations']) - 1} layers and the input, {proof['n_samples']} test samples"
    )
    if not chips:
        raise UsageError("report: name at least one chip")
    costs: list[Cost] = []
    for name in chips:
        mapping = map_network(network, load_chip(name))
        activity = simulate_network(network, samples, labels=mapping.core_labels())
        right = accuracy(network, activity, samples)
        if not costs:
            tell(f"simulate  test accuracy {right:.2%} on {samples.n_samples} samples never used to choose anything")
        tell(f"map       {name}: {len(mapping.cores)} cores, {_formats(mapping)}")
        costs.append(estimate_cost(network, mapping, activity, with_baselines=True))
        tell(f"estimate  {target_line(costs[-1])}")
    recipe = run_recipe(run)
    made = make_report(
        title=recipe.name,
        network=network_facts(network),
        costs=costs,
        accuracy={"test": right, "n_samples": samples.n_samples},
        verification={key: proof[key] for key in VERIFICATION_KEYS},
        raster=raster_facts(network, activity),
        neurobench=_neurobench(network, samples.take(0, min(n_samples, samples.n_samples))),
        provenance={
            "command": command or f"neurodeploy report {run}",
            "seed": recipe.seed,
            "files": file_hashes([run / name for name in (CHECKPOINT_FILE, NETWORK_FILE, TEST_FILE)]),
            "versions": versions(("neurodeploy", "numpy", "nir", "torch", "lava-dl", "lava-nc")),
        },
    )
    return {"report": made, "files": {key: str(path) for key, path in write_report(made, run).items()}}


def _formats(mapping: ChipMapping) -> str:
    """Say the synapse format of each layer."""
    layers = (layer_summary(mapping, name) for name in mapping.sizes)
    return ", ".join(f"{layer['name']} {layer['format']}" for layer in layers)


def _neurobench(network: Network, samples: Samples) -> dict[str, Any]:
    """Return the NeuroBench metrics of some samples; voltages are probed for the membrane updates."""
    from neurodeploy.estimate.neurobench import neurobench_metrics

    probes = [(p.name, "v") for p in network.populations]
    return neurobench_metrics(network, simulate_network(network, samples, probe=probes)).to_json()

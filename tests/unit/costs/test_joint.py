"""One run for several chips gives each the counts of a run of its own."""

from __future__ import annotations

import numpy as np
from building import chain, samples

from neurodeploy.chip import chip_from_dict, load_chip
from neurodeploy.costs.joint import joint_labels, updates_of
from neurodeploy.engines.reference import run_reference
from neurodeploy.mapping.manual import map_by_hand
from neurodeploy.mapping.mapper import map_network
from neurodeploy.network import Cuba


def test_counts_of_a_joint_run_are_those_of_each_mapping_alone() -> None:
    rng = np.random.default_rng(0)
    model = Cuba(current_decay=2048, voltage_decay=256, threshold=40)
    weights = {name: 2 * rng.integers(-40, 60, shape) for name, shape in (("a", (50, 12)), ("b", (7, 50)))}
    network = chain(weights, model)
    few = load_chip("loihi1").model_dump(mode="json", exclude_none=True)
    few["cores"]["neurons"]["value"] = 11
    by_hand = {"in": np.zeros(12, int), "a": np.arange(50) % 3, "b": np.arange(7) % 3}
    mappings = [
        map_network(network, chip_from_dict(few)),
        map_network(network, load_chip("loihi2")),
        map_by_hand(network, load_chip("loihi1"), by_hand, formats="packed"),
    ]
    given = samples(rng.random((3, 9, 12)) < 0.3)
    labels = joint_labels(network, mappings)
    joint = run_reference(network, given, labels=labels)
    assert joint.updated.sum() > 0
    for mapping in mappings:
        own = {name: at for name, at in mapping.core_labels().items() if name != "in"}
        alone = run_reference(network, given, labels=own)
        found = updates_of(mapping, labels, joint.updated)
        assert found.shape == (3, joint.n_steps, len(mapping.cores))
        assert np.array_equal(found[..., : alone.updated.shape[2]], alone.updated)
        assert not found[..., alone.updated.shape[2] :].any()

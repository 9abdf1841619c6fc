"""One run for several chips gives each the counts of a run of its own."""

from __future__ import annotations

import numpy as np

from neurodeploy.chip import chip_from_dict, load_chip
from neurodeploy.costs.joint import joint_labels, updates_of
from neurodeploy.engines.reference import run_reference
from neurodeploy.mapping.manual import manual_mapping
from neurodeploy.mapping.mapper import map_network
from neurodeploy.network import Cuba, Dense, Input, Network, Output, Population, Projection
from neurodeploy.network.activity import Events, Samples


def test_counts_of_a_joint_run_are_those_of_each_mapping_alone() -> None:
    rng = np.random.default_rng(0)
    model = Cuba(current_decay=2048, voltage_decay=256, threshold=40)
    weights = [(2 * rng.integers(-40, 60, shape)).astype(np.int16) for shape in ((50, 12), (7, 50))]
    network = Network(
        inputs=(Input(name="in", shape=(12,)),),
        populations=(
            Population(name="a", shape=(50,), model=model, first_step=1),
            Population(name="b", shape=(7,), model=model, first_step=2),
        ),
        projections=(
            Projection(name="w1", source="in", target="a", synapses=Dense(weights=weights[0])),
            Projection(name="w2", source="a", target="b", synapses=Dense(weights=weights[1])),
        ),
        outputs=(Output(name="o", population="b"),),
    )
    few = load_chip("loihi1").model_dump(mode="json", exclude_none=True)
    few["cores"]["neurons"]["value"] = 11
    by_hand = {"in": np.zeros(12, int), "a": np.arange(50) % 3, "b": np.arange(7) % 3}
    mappings = [
        map_network(network, chip_from_dict(few)),
        map_network(network, load_chip("loihi2")),
        manual_mapping(network, load_chip("loihi1"), by_hand, formats="packed"),
    ]
    samples = Samples(inputs={"in": Events.from_dense(rng.random((3, 9, 12)) < 0.3)})
    labels = joint_labels(network, mappings)
    joint = run_reference(network, samples, labels=labels)
    assert joint.updated.sum() > 0
    for mapping in mappings:
        own = {name: at for name, at in mapping.core_labels().items() if name != "in"}
        alone = run_reference(network, samples, labels=own)
        found = updates_of(mapping, labels, joint.updated)
        assert found.shape == (3, joint.n_steps, len(mapping.cores))
        assert np.array_equal(found[..., : alone.updated.shape[2]], alone.updated)
        assert not found[..., alone.updated.shape[2] :].any()

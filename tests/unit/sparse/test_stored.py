"""Layers that hold their connections alone rewire as dense ones do: the same masks, weights and moments, bit for bit."""

from __future__ import annotations

import copy

import numpy as np
import pytest

torch = pytest.importorskip("torch", reason="needs torch (extra train)")

from hypothesis import given, settings
from hypothesis import strategies as st

from neurodeploy.sparse.masks import initial_masks
from neurodeploy.sparse.methods import RewiringSettings, start_rewiring
from neurodeploy.sparse.rewirer import Rewirer
from neurodeploy.sparse.selection import Caps

SHAPES = {"a": (20, 14), "b": (6, 20, 3, 3), "c": (5, 6)}
METHODS = {
    "static": {},
    "set": {},
    "rigl": {},
    "granet": {"density": 0.6, "floor": 0.2},
    "srigl": {},
    "esl": {},
    "esl by gradient": {"growth": "gradient"},
    "esl unseen": {"growth": "unseen"},
    "pq": {"growth": "gradient", "iterations": 3},
    "pq at random": {"growth": "random", "iterations": 3},
    "pq by neuron": {"growth": "gradient", "scope": "neuron", "iterations": 3},
    "rkd": {},
}


class Held:
    """Stored connections whose dense gradient is given."""

    def __init__(self, weight, mask):
        self.weight, self.shape, self.watched = weight, tuple(weight.shape), False
        self.position = np.flatnonzero(mask.numpy())
        weight.data = weight.data.flatten()[torch.from_numpy(self.position)]
        self.given = torch.zeros(self.shape)

    def move(self, drop, grow):
        before = self.position
        kept = before[~np.isin(before, drop)]
        assert len(kept) == len(before) - len(drop)
        assert not np.isin(grow, before).any()
        self.position = np.sort(np.concatenate([kept, grow]))
        place = np.searchsorted(before, self.position)
        place[np.isin(self.position, grow)] = -1
        old = self.weight.data
        self.weight.data = torch.where(torch.from_numpy(place) >= 0, old[np.maximum(place, 0)], 0.0)
        return place

    def put(self, position):
        self.position = position
        self.weight.data = torch.zeros(len(position))

    def gradient(self):
        assert self.watched, "nobody may ask for the dense gradient of a step that was not watched"
        return self.given

    def largest(self, count, _):
        size = self.gradient().flatten().abs().numpy()
        absent = np.setdiff1d(np.arange(size.size), self.position)
        level = np.sort(size[absent])[len(absent) - count] if count else np.inf
        chosen = absent[size[absent] >= level]
        return chosen, size[chosen]


def both(make, stored=("a", "b")):
    """Return a dense and a stored rewirer made alike, and what holds the connections of the second."""
    made = []
    for _ in range(2):
        generator = torch.Generator().manual_seed(1)
        weights = {n: torch.nn.Parameter(torch.randn(s, generator=generator)) for n, s in SHAPES.items()}
        optimizer = torch.optim.AdamW(list(weights.values()), lr=0.05, foreach=False)
        made.append((make(weights, optimizer), weights, optimizer))
    rewirer, weights, _ = made[1]
    held = {n: Held(weights[n], rewirer.masks[n]) for n in stored}
    rewirer.store(held)
    return made, held


def train(made, held, n_steps, seed=3):
    """Give both the same dense gradients, and compare them after every step."""
    generator = torch.Generator().manual_seed(seed)
    (dense, dense_weights, one), (few, few_weights, other) = made
    for _ in range(n_steps):
        for name, shape in SHAPES.items():
            gradient = torch.randn(shape, generator=generator)
            dense_weights[name].grad = gradient.clone()
            if name in held:
                held[name].given = gradient
                few_weights[name].grad = gradient.flatten()[torch.from_numpy(held[name].position)]
            else:
                few_weights[name].grad = gradient.clone()
        for rewirer, optimizer in ((dense, one), (few, other)):
            rewirer.before_step()
            optimizer.step()
            rewirer.after_step()
        assert_alike(made)


def assert_alike(made):
    (dense, dense_weights, one), (few, few_weights, other) = made
    assert all(torch.equal(mask, few.masks[n]) for n, mask in dense.masks.items())
    for name, mask in dense.masks.items():
        assert torch.equal(dense.existing_weights()[name], few.existing_weights()[name])
        assert torch.equal(dense.alive()[name], few.alive()[name])
        ours, theirs = one.state[dense_weights[name]], other.state[few_weights[name]]
        for key in ("exp_avg", "exp_avg_sq"):
            assert torch.equal(ours[key][mask], theirs[key].reshape(-1) if theirs[key].ndim == 1 else theirs[key][mask])
    assert dense.density() == few.density()
    assert dense.explored() == few.explored()
    assert dense.events == few.events
    assert dense.ratio == few.ratio
    assert dense.settled == few.settled
    ours, theirs = dense.state_dict(), few.state_dict()
    assert ours.keys() == theirs.keys()
    for key, value in ours.items():
        if key.startswith("born/"):  # a dense layer remembers it of connections that are gone, which nobody reads
            mask = ours[key.replace("born", "mask")]
            assert torch.equal(value[mask], theirs[key][mask])
        else:
            assert torch.equal(value, theirs[key]) if isinstance(value, torch.Tensor) else value == theirs[key], key


@pytest.mark.parametrize("name", METHODS)
@pytest.mark.parametrize("stored", [("a", "b"), ("a", "b", "c")])
def test_every_method_moves_the_same_connections(name, stored):
    own = RewiringSettings(**{"density": 0.3, "every_steps": 3, "end_step": 60, "seed": 5, **METHODS[name]})
    made, held = both(lambda w, o: start_rewiring(name.split()[0], w, o, own), stored)
    train(made, held, 40)
    assert made[0][0].n_rewirings == (0 if name == "static" else 13)


@settings(max_examples=25, deadline=None)
@given(
    seed=st.integers(0, 2**16),
    density=st.floats(0.05, 0.9),
    growth=st.sampled_from(["random", "unseen", "gradient"]),
    drop=st.sampled_from(["magnitude", "per_sign", "taylor"]),
    scope=st.sampled_from(["layer", "global", "neuron", (2, 7)]),
    options=st.fixed_dictionaries(
        {},
        optional={
            "regrow": st.booleans(),
            "min_fan_in": st.integers(0, 2),
            "pooled_drop": st.booleans(),
        },
    ),
    every_steps=st.integers(1, 3),
)
def test_every_slot_of_the_engine_moves_the_same_connections(seed, density, growth, drop, scope, options, every_steps):
    def make(weights, optimizer):
        masks = initial_masks(weights, density=density, scope=scope, seed=seed)
        return Rewirer(
            weights,
            masks,
            optimizer,
            growth=growth,
            drop=drop,
            scope=scope,
            every_steps=every_steps,
            end_step=100,
            ratio=0.4,
            seed=seed,
            **options,
        )

    made, held = both(make)
    train(made, held, 7, seed)


def test_limits_hold_for_stored_layers_too():
    size = sum(int(np.prod(s)) for s in SHAPES.values())
    group = torch.arange(size) % 4

    def make(weights, optimizer):
        masks = initial_masks(weights, density=0.3, seed=2)
        active = torch.cat([m.flatten() for m in masks.values()])
        caps = Caps(group=group, limits=torch.bincount(group[active], minlength=4) + 1)
        return Rewirer(weights, masks, optimizer, growth="gradient", every_steps=2, end_step=100, caps=caps)

    made, held = both(make)
    train(made, held, 20)


def test_a_state_goes_from_one_to_the_other_and_on_bit_identically():
    own = RewiringSettings(density=0.3, every_steps=3, end_step=60, growth="unseen")
    made, held = both(lambda w, o: start_rewiring("esl", w, o, own))
    train(made, held, 10)
    fresh, fresh_held = both(lambda w, o: start_rewiring("esl", w, o, own))
    for (new, weights, optimizer), (old, _, _), (source, old_weights, old_optimizer) in zip(
        fresh, reversed(made), made
    ):
        new.load_state_dict(old.state_dict())
        with torch.no_grad():
            for name, w in weights.items():
                w.copy_(old_weights[name])
        optimizer.load_state_dict(copy.deepcopy(old_optimizer.state_dict()))
        assert source.step == new.step == 10
    train(fresh, fresh_held, 10, seed=4)
    train(made, held, 10, seed=4)
    assert_alike([made[0], fresh[1]])


def test_only_steps_before_a_rewiring_by_gradient_are_watched():
    for growth, watched in (("gradient", [False, False, True] * 3), ("random", [False] * 9)):
        own = RewiringSettings(density=0.3, every_steps=3, end_step=60, growth=growth)
        made, held = both(lambda w, o, own=own: start_rewiring("esl", w, o, own))
        seen = []
        for step in range(9):
            seen.append(held["a"].watched)
            train(made, held, 1, seed=step)
        assert seen == watched


def test_methods_that_gather_dense_gradients_are_not_stored():
    for name, options, storable in (
        ("pq", {}, False),
        ("esl", {"growth": "displacement"}, False),
        ("sdsnn", {}, False),
        ("rigl", {}, True),
    ):
        weights = {n: torch.nn.Parameter(torch.randn(s)) for n, s in (("a", (8, 6)), ("b", (4, 8)))}
        own = RewiringSettings(density=0.5, end_step=60, **options)
        rewirer = start_rewiring(name, weights, torch.optim.AdamW(list(weights.values())), own)
        assert rewirer.storable == storable, name

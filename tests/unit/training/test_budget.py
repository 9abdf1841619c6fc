"""The recipe table ``[budget]``: what it refuses, and training that keeps it from the first step to the exported file."""

from __future__ import annotations

import re
import subprocess
import sys

import pytest
from building import ROOT, on

from neurodeploy.errors import RecipeError
from neurodeploy.recipe.files import load_recipe, parse_recipe

TEXT = """
name = "tiny"
data = { name = "digits", n_steps = 6 }
network = { layers = [{ neurons = 24 }, { neurons = 10 }], neuron = { threshold = 64, current_decay = 2048, \
voltage_decay = 512, tau_grad = 0.01 } }
training = { epochs = 3, batch_size = 64, learning_rate = 1e-2, weight_scale = 0.7, logit_scale = 0.5 }
sparse = { method = "esl", density = 0.2, growth = "gradient", every_steps = 4 }
budget = { chip = "loihi2", cores = { hidden1 = 3, output = 1 }, input_axons = { hidden1 = 20 }, \
synapse_words = { hidden1 = 44 }, preference = 1.0, whole_lists = true }
"""
PLAIN = re.sub(r"budget = .*?\n", "", TEXT)
LOOSE = PLAIN + 'budget = { chip = "loihi2" }\n'
EXAMPLE = ROOT / "examples" / "rewire_budget.py"


class TestRecipe:
    @pytest.mark.parametrize(
        ("old", "new", "message"),
        [
            ("cores = {", "core = {", "unknown key 'budget.core'; known keys there: chip, cores, destinations"),
            (
                "preference = 1.0",
                "preference = -1.0",
                "budget.preference = -1.0: input should be greater than or equal",
            ),
            (
                "hidden1 = 20",
                "hidden1 = 0",
                "budget.input_axons: 0 is no whole number of 1 or more; give one for all layers",
            ),
            ("hidden1 = 20", "hidden2 = 20", "budget.input_axons names layer 'hidden2'; there are: hidden1, output"),
            ("{ neurons = 24 }", "{ neurons = 24, recurrent = true }", "dense layers .* layer 'hidden1' is recurrent"),
            ("{ neurons = 24 }", "{ neurons = 24, delay = 3 }", "dense layers without delays, .* 'hidden1' is delayed"),
            ("{ neurons = 24 }", "{ kind = 'conv', channels = 4, kernel = 3 }", "dense layers .* 'hidden1' is conv"),
            (
                'method = "esl", density = 0.2, growth = "gradient", every_steps = 4',
                'method = "sdsnn"',
                r"method 'sdsnn' starts with every connection, which no \[budget\] limits",
            ),
            ('chip = "loihi2", ', "", "key 'budget.chip' is missing"),
        ],
    )
    def test_what_a_budget_cannot_be_is_refused_with_its_key(self, old, new, message):
        assert old in TEXT
        with pytest.raises(RecipeError, match=message):
            parse_recipe(TEXT.replace(old, new), "test")

    def test_shipped_recipes_have_none(self):
        assert load_recipe("digits-mlp").budget is None


@pytest.mark.train
class TestTraining:
    @pytest.fixture(scope="class")
    def samples(self):
        from neurodeploy.data.parts import encode, load_splits

        recipe = parse_recipe(TEXT, "test")
        return encode(load_splits(recipe.data)[0], recipe.data, "train").take(0, 600)

    @pytest.fixture(scope="class")
    def trained(self, backend, samples):
        return _run(backend, TEXT, samples)

    def test_the_exported_network_keeps_every_limit_on_the_cores_of_the_budget(self, trained):
        from neurodeploy.chip import load_chip
        from neurodeploy.mapping.mapper import map_network
        from neurodeploy.network import n_masked
        from neurodeploy.training.model.integers import to_network

        masks = trained.rewirer.export_masks()
        network = to_network(trained.model, masks, 1e-3)
        cores = {"hidden1": 3, "output": 1}
        mapping = map_network(network, load_chip("loihi2"), split="equal", cores=cores)
        loads = [mapping.cores[i] for i in mapping.layer_cores("hidden1")]
        assert len(loads) == 3
        assert all(load.used["input_axons"] <= 20 and load.used["synapse_words"] <= 44 for load in loads)
        assert sum(n_masked(p) for p in network.projections) == round(0.2 * (64 * 24 + 24 * 10))
        assert trained.rewirer.n_rewirings > 3

    def test_plain_training_would_break_these_limits(self, backend, samples):
        """Otherwise the test above says nothing."""
        from neurodeploy.chip import load_chip
        from neurodeploy.mapping.budget.limits import chip_budget

        masks = {n: m.numpy() for n, m in _run(backend, PLAIN, samples).rewirer.masks.items()}
        used = chip_budget(load_chip("loihi2"), masks, cores={"hidden1": 3})
        assert (used.usage(masks)["hidden1"]["input_axons"] > 20).all()
        assert (used.usage(masks)["hidden1"]["synapse_words"] > 44).any()

    def test_a_budget_that_does_not_bind_gives_the_weights_of_plain_training(self, backend, samples):
        import torch

        plain, loose = _run(backend, PLAIN, samples), _run(backend, LOOSE, samples)
        for name, weight in plain.model.weights().items():
            assert torch.equal(weight, loose.model.weights()[name])

    def test_a_run_stopped_and_resumed_ends_with_the_same_weights(self, backend, trained, samples, tmp_path):
        import torch

        from neurodeploy.training.run import Run
        from neurodeploy.training.state import load_state, save_state

        recipe = parse_recipe(on(backend, TEXT), "test")
        broken = Run(recipe, samples)
        while broken.epochs_done < 3:
            left = iter([False] * 5)
            broken.epoch(lambda left=left: next(left, True))
            save_state(tmp_path / "state", broken, recipe_text="x", best=None, seconds=0.0)
            broken = Run(recipe, samples)
            load_state(tmp_path / "state", broken, recipe_text="x")
        for name, weight in trained.model.weights().items():
            assert torch.equal(weight, broken.model.weights()[name])
            assert torch.equal(trained.rewirer.masks[name], broken.rewirer.masks[name])

    @pytest.mark.parametrize(
        ("old", "new", "error", "message"),
        [
            (
                "hidden1 = 20",
                "hidden1 = 3",
                "FitError",
                "hidden1' has .* connections, but its 3 cores .* hold at most 72",
            ),
            ("hidden1 = 44", "hidden1 = 10", "FitError", "hold at most .*10 synapse words.*lower its density to"),
            ('chip = "loihi2"', 'chip = "loihi9"', "ChipError", "loihi9"),
            ('chip = "loihi2"', 'chip = "xylo_a2"', "ChipError", "stores no lists of synapses by core"),
            ("hidden1 = 3,", "hidden1 = 30,", "UsageError", "30 cores for layer 'hidden1' of 24 neurons"),
        ],
    )
    def test_what_the_chip_cannot_hold_is_refused_before_training(self, backend, samples, old, new, error, message):
        import neurodeploy.errors

        assert old in TEXT
        with pytest.raises(getattr(neurodeploy.errors, error), match=message):
            _run(backend, TEXT.replace(old, new), samples)


def _run(backend: str, text: str, samples):
    from neurodeploy.training.run import Run

    run = Run(parse_recipe(on(backend, text), "test"), samples)
    for _ in range(run.recipe.training.epochs):
        run.epoch()
    return run


@pytest.mark.slow
@pytest.mark.train
def test_the_example_learns_with_a_quarter_of_the_inputs_on_each_core():
    done = subprocess.run([sys.executable, EXAMPLE], capture_output=True, text=True, check=True)
    found = re.search(r"accuracy ([\d.]+)% with (\d+) of (\d+) connections", done.stdout)
    assert found, done.stdout
    assert float(found[1]) > 80
    assert (int(found[2]), int(found[3])) == (round(0.1 * 9472), 9472)
    assert "[16, 16, 16, 16] input axons" in done.stdout

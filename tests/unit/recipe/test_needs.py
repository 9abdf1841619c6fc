"""What recipes, chips, pins and sweeps ask for is compared with the machine, and slips are one line with their key."""

from __future__ import annotations

import pytest
from building import ROOT

from neurodeploy.chip import load_chip
from neurodeploy.errors import ChipError, RecipeError, SweepError
from neurodeploy.recipe import needs
from neurodeploy.recipe.files import parse_recipe
from neurodeploy.recipe.needs import check_memory, check_threads, count_weights
from neurodeploy.recipe.pins import load_pins
from neurodeploy.sweeps.plan import parse_plan

TEXT = """
name = "small"
[data]
name = "digits"
n_steps = 16
[network]
layers = [{ neurons = 64 }, { neurons = 10 }]
neuron = { threshold = 64, current_decay = 2048, voltage_decay = 512 }
[sparse]
method = "set"
density = 0.5
[training]
epochs = 1
batch_size = 32
"""


def recipe(old="", new=""):
    assert old in TEXT
    return parse_recipe(TEXT.replace(old, new), "r.toml")


class TestMachine:
    def test_threads(self, monkeypatch):
        monkeypatch.setattr(needs, "processors", lambda: 2)
        check_threads(recipe("epochs = 1", "epochs = 1\nthreads = 64"))
        with pytest.raises(
            RecipeError, match=r"training\.threads is 100,000; on this machine with 2 processors at most 64"
        ):
            check_threads(recipe("epochs = 1", "epochs = 1\nthreads = 100000"))
        monkeypatch.setattr(needs, "processors", lambda: 128)
        check_threads(recipe("epochs = 1", "epochs = 1\nthreads = 128"))

    def test_weights_are_counted_as_they_are_stored(self):
        layers = '[{ kind = "conv", channels = 4, kernel = 3 }, { kind = "pool", kernel = 2 }, '
        layers += "{ neurons = 5, recurrent = true }]"
        assert count_weights(recipe("[{ neurons = 64 }, { neurons = 10 }]", layers).network.layers, (1, 8, 8)) == (
            4 * 9 + 4 * 3 * 3 * 5 + 25
        )

    def test_memory_is_that_of_kept_connections_and_one_sample(self, monkeypatch):
        """Half of 64 * 64 + 64 * 10 connections with 16 bytes each, and 74 neurons in 16 steps."""
        needed = 16 * (64 * 64 + 640) // 2 + 4 * 74 * 16
        monkeypatch.setattr(needs, "machine_bytes", lambda: needed)
        check_memory(recipe(), (1, 8, 8))
        monkeypatch.setattr(needs, "machine_bytes", lambda: needed - 1)
        with pytest.raises(RecipeError, match="74 neurons and 4,736 weights over 16 steps takes at least"):
            check_memory(recipe(), (1, 8, 8))

    def test_the_machine_has_memory_and_processors(self):
        assert needs.machine_bytes() > 2**28
        assert needs.processors() >= 1


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        ("epochs = 1", "epochs = 1\nparts = 1000000000", "parts is 1000000000, more than the 32 samples of a batch"),
        ("batch_size = 32", "batch_size = 9999999999", "training.batch_size = 9999999999"),
        ("batch_size = 32", "batch_size = 99999999999999999999", "training.batch_size = 99999999999999999999"),
        (
            "epochs = 1",
            "epochs = 1\nlearning_rate = inf",
            "training.learning_rate = inf: input should be a finite number",
        ),
        ("epochs = 1", "epochs = 1\nlearning_rate = nan", "training.learning_rate = nan"),
        ("epochs = 1", "epochs = 1\nlearning_rate = 1e300", "should be less than or equal to 1000000"),
        ('name = "small"', 'name = "small"\nseed = -1', "seed = -1"),
        ("n_steps = 16", "n_steps = 16\nsplit_seed = -5", "data.split_seed = -5"),
        ('name = "small"', 'name = "small"\nmapping = 5', "mapping = 5"),
        ("[data]\n", "network = 5\n[data]\n", "not valid TOML"),
        ('name = "digits"', "name = [1]", "data.name"),
        ("layers = [{ neurons = 64 }, { neurons = 10 }]", "layers = 5", "network.layers"),
    ],
)
def test_slips_in_recipes(old, new, message):
    with pytest.raises(RecipeError) as caught:
        recipe(old, new)
    assert message in str(caught.value)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("value", ["5", "[5]", '"x"', "true", "{ name = 1 }"])
@pytest.mark.parametrize("key", ["synapse_format", "chip", "cores", "energy", "extends"])
def test_slips_in_chips(key, value, tmp_path):
    path = tmp_path / "c.toml"
    path.write_text(
        f"{key} = {value}\n{'' if key == 'extends' else chr(10) + 'extends = ' + chr(34) + 'loihi2' + chr(34)}"
    )
    with pytest.raises(ChipError, match=r"c\.toml|known chips") as caught:
        load_chip(path)
    assert "\n" not in str(caught.value)


def test_a_chip_extends_a_name_and_no_path(tmp_path):
    (tmp_path / "c.toml").write_text('extends = "../secret"', encoding="utf-8")
    with pytest.raises(ChipError, match=r"extends = '\.\./secret' is no name of a chip"):
        load_chip(tmp_path / "c.toml")


@pytest.mark.parametrize(
    ("text", "key"),
    [
        ("mapping = 5", "mapping is 5"),
        (f'[layers.a]\n[[layers.a.parts]]\nneurons = ["{"9" * 5000}"]', "layers.a.parts.0.neurons.0"),
        ("layers = 5", "layers"),
    ],
    ids=["mapping", "digits", "layers"],
)
def test_slips_in_pins(text, key, tmp_path):
    (tmp_path / "p.toml").write_text(text, encoding="utf-8")
    with pytest.raises(RecipeError) as caught:
        load_pins(tmp_path / "p.toml")
    assert key in str(caught.value)
    assert len(str(caught.value)) < 400 + len(str(tmp_path))


def test_a_sweep_of_too_many_points_is_refused_before_they_are_made():
    seeds = ", ".join(map(str, range(200)))
    text = f'name = "s"\nrecipe = "digits-mlp"\n[grid]\nmethod = ["set"]\nseed = [{seeds}]\nweight_bits = [{seeds}]'
    text = text.replace(f"weight_bits = [{seeds}]", "density = [" + ", ".join(f"0.{i:03}" for i in range(1, 100)) + "]")
    with pytest.raises(SweepError, match=r"19,800 points \(99 of density, 200 of seed\), at most 10,000"):
        parse_plan(text, where="s.toml", folder=ROOT)


def test_a_sweep_whose_base_recipe_has_no_tables(tmp_path):
    (tmp_path / "r.toml").write_text('name = "r"\nsparse = 5\ntraining = 3', encoding="utf-8")
    text = 'name = "s"\nrecipe = "r.toml"\n[grid]\nmethod = ["set"]\n[changes.training]\nepochs = 1'
    with pytest.raises(SweepError, match="training = 3 is no table of keys"):
        parse_plan(text, where="s.toml", folder=tmp_path)

"""What is fixed by hand is kept exactly; what cannot be kept is refused with file and key."""

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from building import chain, connect, samples

from neurodeploy import commands
from neurodeploy.chip import Chip, load_chip
from neurodeploy.engines.table import simulate
from neurodeploy.errors import EstimateError, FitError, RecipeError, UsageError
from neurodeploy.exchange.nir.write import to_nir
from neurodeploy.mapping.fit.search import fit
from neurodeploy.mapping.mapper import map_network
from neurodeploy.mapping.percore import per_core
from neurodeploy.mapping.record import Mapping, save_mapping
from neurodeploy.network import Cuba, Network
from neurodeploy.network.activity import save_samples
from neurodeploy.recipe.pins import load_pins, pins_from_dict

MODEL = Cuba(current_decay=1024, voltage_decay=128, threshold=10)


def network(seed: int = 0) -> Network:
    """20 inputs, 12 hidden neurons, 5 outputs; weights of both signs that need 8 bits."""
    rng = np.random.default_rng(seed)
    layers = {}
    for name, n, before in (("hidden", 12, 20), ("output", 5, 12)):
        weights = rng.integers(1, 128, (n, before)) * rng.choice([-1, 1, 1, 1], before)
        weights[0, :2] = 127, -127
        layers[name] = weights
    return chain(layers, MODEL, source="input", wire="to_{target}")


def pinned(layers: dict[str, object], chip: str = "loihi1", **options: object) -> Mapping:
    return map_network(network(), load_chip(chip), pins=pins_from_dict({"layers": layers}, "my.toml"), **options)


def places(mapping: Mapping, layer: str) -> list[tuple[int, int, list[int]]]:
    return [(load.chip, load.core, load.neurons[layer].tolist()) for load in mapping.cores if layer in load.neurons]


BY_HAND = [
    {"neurons": ["0:4", "7", "9:11"], "chip": 3, "core": 17},
    {"neurons": ["4:7"], "core": 5},
    {"neurons": ["8", "11:12"]},
]


def test_parts_lie_where_they_are_pinned_with_just_their_neurons() -> None:
    mapping = pinned({"hidden": {"parts": BY_HAND}}, "nahuku32")
    found = places(mapping, "hidden")
    assert (3, 17, [0, 1, 2, 3, 7, 9, 10]) in found
    assert (0, 5, [4, 5, 6]) in found
    assert [neurons for _, _, neurons in found if neurons[0] == 8] == [[8, 11]]
    assert len({(load.chip, load.core) for load in mapping.cores}) == len(mapping.cores) == 4
    assert mapping.notes[-1] == "pinned by hand (my.toml): hidden"


def test_part_makes_way_for_a_pinned_one() -> None:
    free = map_network(network(), load_chip("loihi1"))
    (_, core, _), *_ = places(free, "output")
    mapping = pinned({"hidden": {"parts": [{"neurons": ["0:12"], "core": core}]}})
    assert [c for _, c, _ in places(mapping, "hidden")] == [core]
    assert [c for _, c, _ in places(mapping, "output")] != [core]


def test_mapping_by_hand_computes_the_same_spikes() -> None:
    net = network()
    mapping = pinned({"hidden": {"parts": BY_HAND}}, "nahuku32")
    raster = np.random.default_rng(1).random((3, 12, 20)) < 0.4
    given = samples(raster, "input", labels=np.zeros(3, int), name="random")
    whole = simulate(net, given, engine="reference").spikes["output"]
    split = simulate(per_core(net, mapping), given, engine="reference").spikes
    (core,) = mapping.layer_cores("output")
    found = split[f"output@{core}"]
    assert len(whole.step) > 0
    for name in ("sample", "step", "neuron"):
        assert np.array_equal(getattr(found, name), getattr(whole, name))


def test_layer_takes_at_least_the_cores_it_is_given() -> None:
    mapping = pinned({"hidden": {"cores": 4}})
    assert (len(mapping.layer_cores("hidden")), len(mapping.layer_cores("output"))) == (4, 1)


def test_split_of_one_layer_is_its_own() -> None:
    """Even and odd hidden neurons read other inputs: overlap sorts them apart, equal keeps them in order."""
    weights = np.zeros((12, 20), np.int16)
    weights[::2, :10] = weights[1::2, 10:] = 3
    net = network()
    net = replace(net, projections=[connect("input", "hidden", weights, "to_hidden"), net.projections[1]])
    chip = load_chip("loihi1")
    cores = {"hidden": 2}
    overlap = map_network(net, chip, cores=cores)
    equal = map_network(net, chip, cores=cores, pins=pins_from_dict({"layers": {"hidden": {"split": "equal"}}}, "p"))
    assert sorted(n for *_, n in places(overlap, "hidden")) == [list(range(0, 12, 2)), list(range(1, 12, 2))]
    assert sorted(n for *_, n in places(equal, "hidden")) == [list(range(6)), list(range(6, 12))]


def test_weights_are_stored_in_the_bits_they_are_given() -> None:
    """Loihi 2 stores b + 12 bits a synapse: 12 neurons take ceil((12 * 13 + 8) / 64) = 3 words a source, at 8 bits 4."""
    net = chain({"hidden": np.ones((12, 20), np.int16)}, MODEL, source="input", wire="w")
    chip = load_chip("loihi2")
    narrow = map_network(net, chip)
    wide = map_network(net, chip, pins=pins_from_dict({"layers": {"hidden": {"weight_bits": 8}}}, "p"))
    assert (narrow.cores[0].weight_bits, narrow.cores[0].words) == ({"w": 1}, {"w": 3 * 20})
    assert (wide.cores[0].weight_bits, wide.cores[0].words) == ({"w": 8}, {"w": 4 * 20})


@pytest.mark.parametrize(
    ("layers", "message"),
    [
        ({"hiden": {}}, r"layers\.hiden: no such layer; known layers: hidden, output"),
        ({"hidden": {"core": 2}}, r"layers\.hidden: unknown key 'core'; known keys: cores, split, weight_bits, parts"),
        ({"hidden": {"cores": 0}}, r"layers\.hidden\.cores: Input should be greater than or equal to 1"),
        ({"hidden": {"cores": 13}}, r"layers\.hidden\.cores: 13 cores for 12 neurons"),
        ({"hidden": {"cores": 2.5}}, r"layers\.hidden\.cores"),
        ({"hidden": {"split": "best"}}, r"layers\.hidden\.split: 'best' is not known; known: equal, overlap"),
        ({"hidden": {"split": "slayer2loihi"}}, r"layers\.hidden\.split: 'slayer2loihi' is not known"),
        ({"hidden": {"weight_bits": 7}}, r"layers\.hidden\.weight_bits: chip 'loihi1' stores 1, 2, 3, 4, 5, 6, 8 bits"),
        ({"hidden": {"parts": []}}, r"layers\.hidden\.parts"),
        ({"hidden": {"cores": 2, "parts": [{"neurons": ["0:12"]}]}}, r"leave out cores and split"),
        ({"hidden": {"parts": [{"neurons": ["0-12"]}]}}, r"layers\.hidden\.parts\.0\.neurons\.0"),
        (
            {"hidden": {"parts": [{"neurons": ["0:13"]}]}},
            r"parts\.0\.neurons: '0:13' is no range within the 12 neurons",
        ),
        ({"hidden": {"parts": [{"neurons": ["5:5"]}]}}, r"'5:5' is no range"),
        (
            {"hidden": {"parts": [{"neurons": ["0:6"]}, {"neurons": ["5:12"]}]}},
            r"parts\.1\.neurons: neuron 5 is given twice",
        ),
        ({"hidden": {"parts": [{"neurons": ["0:6", "8:12"]}]}}, r"parts: neuron 6 and 1 more lie on no core"),
        ({"hidden": {"parts": [{"neurons": ["0:12"], "chip": 0}]}}, r"parts\.0: chip is given without a core"),
        (
            {"hidden": {"parts": [{"neurons": ["0:12"], "core": 128}]}},
            r"parts\.0: there is no core 128 on chip 0; 'loihi1'",
        ),
        ({"hidden": {"parts": [{"neurons": ["0:12"], "chip": 1, "core": 0}]}}, r"no core 0 on chip 1"),
        (
            {n: {"parts": [{"neurons": [f"0:{k}"], "core": 3}]} for n, k in (("hidden", 12), ("output", 5))},
            r"layers\.output\.parts\.0: core 3 on chip 0 is taken by layers\.hidden\.parts\.0 already",
        ),
    ],
)
def test_bad_pins_name_file_and_key(layers: dict[str, object], message: str) -> None:
    with pytest.raises(RecipeError, match=rf"map: my\.toml: .*{message}"):
        pinned(layers)


def small(chip: Chip, **limits: int) -> Chip:
    counts = {name: getattr(chip.cores, name).model_copy(update={"value": value}) for name, value in limits.items()}
    return chip.model_copy(update={"cores": chip.cores.model_copy(update=counts)})


def test_part_that_overfills_a_core_is_refused_and_mapping_without_pins_is_offered() -> None:
    pins = pins_from_dict({"layers": {"hidden": {"parts": [{"neurons": ["0:12"]}]}}}, "my.toml")
    found = fit(network(), small(load_chip("loihi1"), neurons=10), pins=pins)
    assert "layer 'hidden' needs 12 neurons on its core 0" in found.error
    assert found.error.endswith("give that part fewer neurons (my.toml: layers.hidden.parts)")
    remedy = next(r for r in found.remedies if r.kind == "split")
    assert (remedy.what, remedy.cores) == ("leave out the pins of my.toml", 3)


def test_width_that_does_not_hold_the_weights_is_refused() -> None:
    with pytest.raises(
        FitError, match=r"layer 'hidden': projection 'to_hidden' needs 8 bits a weight, but 6 are pinned"
    ):
        pinned({"hidden": {"weight_bits": 6}})


def test_chips_with_fixed_cores_and_other_chips_take_no_pins() -> None:
    with pytest.raises(RecipeError, match=r"my\.toml: layers: the cores of chip 'xylo_a2' have a fixed place"):
        pinned({"hidden": {"cores": 2}}, "xylo_a2")
    pins = pins_from_dict({"chip": "loihi2", "layers": {}}, "my.toml")
    with pytest.raises(RecipeError, match=r"my\.toml: chip: the pins are for chip 'loihi2', not for 'loihi1'"):
        map_network(network(), load_chip("loihi1"), pins=pins)


TEXT = """
[layers.hidden]
cores = 3
[[layers.output.parts]]
neurons = ["0:5"]
core = 9
"""


def test_file_and_recipe_table_hold_the_same_pins(tmp_path: Path) -> None:
    (tmp_path / "pins.toml").write_text(TEXT)
    (tmp_path / "recipe.toml").write_text(TEXT.replace("layers.", "mapping.layers."))
    pins, table = load_pins(tmp_path / "pins.toml"), load_pins(tmp_path / "recipe.toml")
    assert pins.layers == table.layers
    assert pins.layers["hidden"].cores == 3


@pytest.mark.parametrize(("text", "message"), [("[layers", "is no TOML file"), (None, "cannot read"), ("a = 1", "'a'")])
def test_bad_file_is_named(tmp_path: Path, text: str | None, message: str) -> None:
    path = tmp_path / "pins.toml"
    if text is not None:
        path.write_text(text)
    with pytest.raises(RecipeError, match=rf"map: .*pins\.toml.*{message}|map: {message}.*pins\.toml"):
        load_pins(path)


@pytest.fixture
def run(tmp_path: Path) -> Path:
    """A run's folder whose recipe pins the hidden layer on Loihi 1."""
    to_nir(network(), tmp_path / "model.nir")
    recipe = Path("models/digits-mlp.toml").read_text(encoding="utf-8")
    (tmp_path / "recipe.toml").write_text(f'{recipe}\n[mapping]\nchip = "loihi1"\n[mapping.layers.hidden]\ncores = 3\n')
    return tmp_path


def test_recipe_of_a_run_pins_its_mapping_on_the_chip_it_names(run: Path) -> None:
    assert commands.map(run, chip="loihi1")[1]["layers"][0]["cores"] == 3
    assert commands.map(run, chip="loihi2")[1]["layers"][0]["cores"] == 1
    assert commands.estimate(run, chip="loihi1").memory.n_cores == 4


def test_pins_of_the_command_line_take_the_place_of_those_of_the_recipe(run: Path) -> None:
    (run / "pins.toml").write_text(TEXT.replace("3", "2"))
    result = commands.map(run, chip="loihi1", pin=run / "pins.toml")[1]
    assert [layer["cores"] for layer in result["layers"]] == [2, 1]


def test_estimate_prices_a_mapping_from_a_file(run: Path) -> None:
    commands.map(run / "model.nir", chip="loihi1", pin=_written(run / "p.toml", TEXT), out=run / "mapping.json")
    raster = np.random.default_rng(1).random((3, 12, 20)) < 0.4
    given = samples(raster, "input", labels=np.zeros(3, int), name="random")
    save_samples(given, run / "samples.npz")
    cost = commands.estimate(run / "model.nir", mapping=run / "mapping.json", data=run / "samples.npz")
    assert (cost.chip, cost.memory.n_cores) == ("loihi1", 4)
    assert 9 in {core.core for core in cost.memory.cores}
    assert cost.energy is not None
    assert cost.notes[0].startswith("pinned by hand")


def _written(path: Path, text: str) -> Path:
    path.write_text(text)
    return path


def test_mapping_of_another_network_is_refused(run: Path) -> None:
    other = network(seed=1)
    save_mapping(map_network(other, load_chip("loihi1")), run / "other.json")
    with pytest.raises(
        EstimateError, match=r"the mapping is of network .*, not of this one .*; map this network again"
    ):
        commands.estimate(run / "model.nir", mapping=run / "other.json")


def test_estimate_takes_a_chip_or_a_mapping(run: Path) -> None:
    for options in ({}, {"chip": "loihi1", "mapping": run / "m.json"}):
        with pytest.raises(UsageError, match=r"estimate: name a chip \(--chip NAME\), or give a mapping"):
            commands.estimate(run / "model.nir", **options)


def test_map_with_pins_on_the_command_line_prints_its_cores(run: Path, run_cli) -> None:
    pins = _written(run / "p.toml", TEXT)
    done = run_cli("map", run / "model.nir", "--chip", "loihi1", "--pin", pins, "--json")
    assert done.returncode == 0, done.stderr
    assert [layer["cores"] for layer in json.loads(done.stdout)["layers"]] == [3, 1]

"""Chip files: what they must hold, and the error for everything else."""

from pathlib import Path
from types import SimpleNamespace

import pytest

from neurodeploy.chip import chip_from_dict, chip_names, load_chip, new_chip_text
from neurodeploy.chip.rules import RULES
from neurodeploy.chip.synapse_format import SynapseFormat
from neurodeploy.errors import ChipError

NUMBER = 'unit = "cores", source = "here", grade = "guess"'
SMALL = f"""
[chip]
name = "tiny"
title = "Tiny"
year = 2024
evidence = "made up for a test"
[system]
chips = {{ value = 1, {NUMBER} }}
[cores]
count = {{ value = 4, {NUMBER} }}
[weights]
bits = {{ value = [8], {NUMBER} }}
"""


def written(tmp_path: Path, text: str, name: str = "tiny.toml") -> Path:
    path = tmp_path / name
    path.write_text(text)
    return path


@pytest.mark.parametrize("name", chip_names())
def test_shipped_chip_loads_under_its_own_name(name: str) -> None:
    chip = load_chip(name)
    assert chip.name == name
    assert chip.source.startswith(f"hardware/{name}.toml (sha256 ")


def test_both_loihis_are_shipped() -> None:
    assert {"loihi1", "loihi2"} <= set(chip_names())


def test_unknown_chip_lists_the_known_ones() -> None:
    with pytest.raises(ChipError, match=r"chip: 'loihi9' is not known; known chips: .*loihi1, loihi2"):
        load_chip("loihi9")


def test_users_file_is_a_chip(tmp_path: Path) -> None:
    assert load_chip(written(tmp_path, SMALL)).n_cores == 4


def test_missing_file_is_named(tmp_path: Path) -> None:
    with pytest.raises(ChipError, match=r"cannot read .*absent\.toml"):
        load_chip(tmp_path / "absent.toml")


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        ("count =", "cuont =", r"cores: unknown key 'cuont'; known keys: count, per_tile"),
        ("value = 4", "value = 0", r"cores\.count\.value: Input should be greater than or equal to 1"),
        ("value = 4", "value = -4", r"cores\.count\.value"),
        ("value = 4", "value = 4.5", r"cores\.count\.value"),
        ("year = 2024", 'year = "2024"', r"chip\.year"),
        ('grade = "guess"', 'grade = "hunch"', r"grade: Input should be 'measured', 'calibrated'"),
        ("[weights]", "[wieghts]", r"unknown key 'wieghts'; known keys: chip, system, cores, weights"),
        ("[chip]", "[chip", r"is no TOML file"),
    ],
)
def test_bad_file_names_file_and_key(tmp_path: Path, old: str, new: str, message: str) -> None:
    path = written(tmp_path, SMALL.replace(old, new, 1) if "grade" not in old else SMALL.replace(old, new))
    with pytest.raises(ChipError, match=message) as caught:
        load_chip(path)
    assert str(path) in str(caught.value)


@pytest.mark.parametrize(
    ("price", "message"),
    [
        (
            '{ value = 1.0, unit = "ns", source = "x", grade = "guess" }',
            "unit 'ns' does not belong here; use one of J, mJ",
        ),
        (
            '{ low = 2.0, nominal = 1.0, high = 3.0, unit = "pJ", source = "x", grade = "guess" }',
            "low <= nominal <= high",
        ),
        ('{ value = -1.0, unit = "pJ", source = "x", grade = "guess" }', "greater than or equal to 0"),
        ('{ value = nan, unit = "pJ", source = "x", grade = "guess" }', "finite"),
        (
            '{ value = 1.0, low = 1.0, unit = "pJ", source = "x", grade = "guess" }',
            "either value, or low, nominal and high",
        ),
        ('{ value = 1.0, unit = "pJ", grade = "guess" }', "Field required"),
        ("1.0", "energy.spike_out"),
    ],
)
def test_bad_price_names_its_key(tmp_path: Path, price: str, message: str) -> None:
    path = written(tmp_path, f"{SMALL}[energy]\nspike_out = {price}\n")
    with pytest.raises(ChipError, match=r"energy\.spike_out") as caught:
        load_chip(path)
    assert message in str(caught.value)


def test_unknown_price_is_absent_not_zero(tmp_path: Path) -> None:
    assert load_chip(written(tmp_path, SMALL)).energy.spike_out is None


def test_band_is_given_in_si_units() -> None:
    hop = load_chip("loihi1").energy.hop_ns
    assert hop is not None
    assert hop.si == pytest.approx((4.0e-12, 4.2e-12, 6.3e-12))


def test_extending_file_changes_only_what_it_holds(tmp_path: Path) -> None:
    path = written(tmp_path, f'extends = "loihi2"\n[cores]\nsynapse_words = {{ value = 12000, {NUMBER} }}\n')
    chip, base = load_chip(path), load_chip("loihi2")
    assert chip.cores.limits == {**base.cores.limits, "synapse_words": 12000}
    assert chip.energy == base.energy
    assert chip.sha256 != base.sha256


def test_file_that_extends_itself_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ChipError, match="leads back to itself"):
        load_chip(written(tmp_path, 'extends = "tiny"\n'))


FORMAT = """
[[synapse_format]]
name = "list"
rule = "indexed"
index_bits = { value = [4, 8], unit = "bits", source = "here", grade = "guess" }
"""


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        ('"indexed"', '"lists"', r"synapse_format\.0: rule 'lists' is not known; known rules: nxtf-sparse"),
        ('"indexed"', '"crossbar"', r"synapse_format\.0: rule 'crossbar' needs row_bits"),
        ("[4, 8]", "[8, 4]", r"index_bits must be \[smallest, largest\], got \[8, 4\]"),
        ("[4, 8]", "[4, -8]", r"synapse_format\.0\.index_bits\.value\.1"),
        ("value = [8], unit", "value = [8, 4], unit", r"weights\.bits: must rise and start at 1 or more, got \[8, 4\]"),
        ('value = 4, unit = "cores"', 'value = 4, unit = "pJ"', r"cores\.count\.unit: unit 'pJ' does not belong here"),
    ],
)
def test_contradictory_file_names_file_and_key(tmp_path: Path, old: str, new: str, message: str) -> None:
    text = SMALL + FORMAT
    assert load_chip(written(tmp_path, text)).synapse_format[0].rule == "indexed"
    path = written(tmp_path, text.replace(old, new))
    with pytest.raises(ChipError, match=message) as caught:
        load_chip(path)
    assert str(path) in str(caught.value)


@pytest.mark.parametrize(
    ("more", "message"),
    [
        (FORMAT, "synapse_format: the name 'list' is given twice"),
        (
            '[energy.synop]\ndense = { value = 1.0, unit = "pJ", source = "x", grade = "guess" }',
            r"energy\.synop: 'dense' is no synapse_format of this chip; known: list",
        ),
        (
            '[latency]\nmodel = "messages"\n'
            '[latency.synop]\nlst = { value = 1.0, unit = "ns", source = "x", grade = "guess" }',
            r"latency\.synop: 'lst' is no synapse_format",
        ),
        (
            '[energy_alternative.old.synop]\nlst = { value = 1.0, unit = "pJ", source = "x", grade = "guess" }',
            r"energy_alternative\.old\.synop: 'lst' is no synapse_format",
        ),
        (
            '[latency]\nmodel = "messages"\nbarrier = ['
            + ", ".join(
                f'{{ tiles = {n}, time = {{ value = 1.0, unit = "ns", source = "x", grade = "guess" }} }}'
                for n in (4, 2)
            )
            + "]",
            r"latency: barrier must rise in tiles, got \[4, 2\]",
        ),
    ],
)
def test_tables_that_contradict_each_other_name_file_and_key(tmp_path: Path, more: str, message: str) -> None:
    path = written(tmp_path, f"{SMALL}{FORMAT}{more}\n")
    with pytest.raises(ChipError, match=message) as caught:
        load_chip(path)
    assert str(path) in str(caught.value)


def test_neurons_that_no_index_reaches_are_refused(tmp_path: Path) -> None:
    cores = f"neurons = {{ value = 257, {NUMBER} }}\n[weights]"
    message = "cores.neurons is 257, but an index of synapse_format 'list' reaches 256 only"
    with pytest.raises(ChipError, match=message):
        load_chip(written(tmp_path, SMALL.replace("[weights]", cores) + FORMAT))
    assert load_chip(
        written(tmp_path, (SMALL + FORMAT).replace("[weights]", cores.replace("257", "256")))
    ).cores.neurons


def test_delays_that_leave_no_address_are_refused(tmp_path: Path) -> None:
    delays = f"delay_bits = {{ value = 6, {NUMBER} }}\ndelay_address_bits = {{ value = 5, {NUMBER} }}\n"
    with pytest.raises(ChipError, match=r"delay_bits is 6, but weights\.delay_address_bits 5 then reaches no neuron"):
        load_chip(written(tmp_path, SMALL + delays))


def test_more_cores_than_the_mesh_has_places_is_refused(tmp_path: Path) -> None:
    mesh = f"per_tile = {{ value = 1, {NUMBER} }}\nmesh = {{ value = [1, 3], {NUMBER} }}\n[weights]"
    with pytest.raises(ChipError, match="count is 4, but mesh and per_tile give places for 3 cores only"):
        load_chip(written(tmp_path, SMALL.replace("[weights]", mesh)))


def test_folder_of_the_user_is_searched(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    written(tmp_path, SMALL)
    monkeypatch.setenv("NEURODEPLOY_CHIPS", str(tmp_path))
    assert "tiny" in chip_names()
    assert load_chip("tiny").n_cores == 4


def test_folder_of_a_package_is_searched(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    written(tmp_path, SMALL)
    point = SimpleNamespace(load=lambda: tmp_path)
    monkeypatch.setattr(
        "neurodeploy.chip.files.entry_points", lambda group: [point] if group == "neurodeploy.chips" else []
    )
    assert load_chip("tiny").n_cores == 4


def test_folder_of_an_installed_package_is_searched(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A package as pip leaves it: a module, and the entry point in its metadata."""
    written(tmp_path, SMALL)
    (tmp_path / "tiny_chips.py").write_text(
        "from pathlib import Path\ndef folder():\n    return Path(__file__).parent\n"
    )
    info = tmp_path / "tiny_chips-1.0.dist-info"
    info.mkdir()
    (info / "METADATA").write_text("Metadata-Version: 2.1\nName: tiny-chips\nVersion: 1.0\n")
    (info / "entry_points.txt").write_text("[neurodeploy.chips]\ntiny = tiny_chips:folder\n")
    monkeypatch.syspath_prepend(str(tmp_path))
    assert "tiny" in chip_names()
    assert load_chip("tiny").n_cores == 4
    (info / "entry_points.txt").write_text("[neurodeploy.chips]\ntiny = tiny_chips:nothing\n")
    with pytest.raises(ChipError, match=r"the entry point 'tiny = tiny_chips:nothing' of group neurodeploy\.chips"):
        chip_names()


@pytest.mark.parametrize("name", ['a"b', "a/b", "", ".a"])
def test_new_chip_needs_a_name_that_a_file_can_have(name: str) -> None:
    with pytest.raises(ChipError, match="cannot name a chip; take letters, digits"):
        new_chip_text(name)


def test_older_compiler_is_a_variant_with_tighter_limits() -> None:
    new, old = load_chip("loihi2"), load_chip("loihi2_2023")
    assert old.cores.limits == {**new.cores.limits, "synapse_words": 12000}
    assert old.synapse_format == new.synapse_format


def test_new_chip_file_is_one_that_loads(tmp_path: Path) -> None:
    chip = load_chip(written(tmp_path, new_chip_text("mine", "loihi1"), "mine.toml"))
    assert chip.name == "mine"
    assert chip.cores == load_chip("loihi1").cores


def test_every_rule_needs_numbers_that_a_format_has_and_lays_out_lists_or_kernels() -> None:
    for name, rule in RULES.items():
        assert set(rule.needs) <= set(SynapseFormat.model_fields)
        assert (rule.layout is None) == (name in ("lava-conv", "pow2-conv"))
        assert rule.at_most is None or rule.layout is not None


def test_dumped_chip_is_read_back_equal() -> None:
    chip = load_chip("loihi1")
    assert chip_from_dict(chip.model_dump(mode="json", exclude_none=True)) == chip


def test_loihi1_holds_both_sets_of_prices() -> None:
    chip = load_chip("loihi1")
    assert chip.energy.synop["dense"].nominal == 35.5
    assert chip.energy_alternative["davies2018"].synop["dense"].nominal == 23.6


def test_a_chip_that_names_its_own_formats_inherits_the_prices_of_these_alone(tmp_path: Path) -> None:
    own = FORMAT.replace('"list"', '"sparse"').replace("[4, 8]", "[4, 10]")
    text = f'extends = "loihi1"\n[chip]\nname = "less"\ntitle = "less"\n{own}'
    chip = load_chip(written(tmp_path, text))
    assert [f.name for f in chip.synapse_format] == ["sparse"]
    assert set(chip.energy.synop) == set(chip.latency.synop) == {"sparse"}
    assert set(chip.energy_alternative["davies2018"].synop) == {"sparse"}

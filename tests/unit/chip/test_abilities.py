"""What a chip file says of its neurons: kinds, resets and payloads, with source and grade like every number."""

from __future__ import annotations

import json
import typing
from pathlib import Path

import pytest
from typer.testing import CliRunner

from neurodeploy.chip import MESSAGE_KINDS, PLAIN_KINDS, Chip, chip_from_dict, load_chip
from neurodeploy.chip.numbers import NeuronKind, Reset
from neurodeploy.cli import app
from neurodeploy.commands.chips import chip_rows
from neurodeploy.errors import ChipError
from neurodeploy.network import Cuba, LeakyIntegrator
from neurodeploy.network.neurons import NEURON_KINDS, RESETS


def file(tmp_path: Path, cores: str, more: str = "", base: str = "loihi1") -> Path:
    path = tmp_path / "mine.toml"
    path.write_text(f'extends = "{base}"\n[chip]\nname = "mine"\ntitle = "Mine"\n[cores]\n{cores}\n{more}', "utf-8")
    return path


def test_words_of_chip_files_are_those_of_networks() -> None:
    """The rooms lie on one floor, so that neither can read the other's list."""
    assert typing.get_args(Reset) == RESETS
    assert set(typing.get_args(NeuronKind)) == set(NEURON_KINDS)
    assert {NEURON_KINDS[kind] for kind in PLAIN_KINDS} == {Cuba, LeakyIntegrator}
    assert set(MESSAGE_KINDS) == {kind for kind, model in NEURON_KINDS.items() if model.graded}


@pytest.mark.parametrize("name", ["loihi1", "nahuku32"])
def test_loihi_1_resets_to_zero_and_has_no_payloads(name: str) -> None:
    cores = load_chip(name).cores
    assert (cores.resets.value, cores.kinds) == (("zero",), ("cuba", "leaky_integrator"))
    assert cores.graded_input_bits.value == cores.message_bits.value == 0


@pytest.mark.parametrize("name", ["loihi2", "loihi2_2023", "kapoho_point"])
def test_loihi_2_has_every_kind_and_32_bits_and_its_resets_are_an_inference(name: str) -> None:
    cores = load_chip(name).cores
    assert set(cores.kinds) == set(NEURON_KINDS)
    assert (cores.resets.value, cores.resets.grade) == (("zero", "subtract"), "guess")
    assert cores.graded_input_bits.value == cores.message_bits.value == 32


@pytest.mark.parametrize("name", ["truenorth", "spinnaker2", "akida_akd1000", "speck2f"])
def test_what_is_not_known_of_a_chip_is_left_out(name: str) -> None:
    cores = load_chip(name).cores
    assert cores.resets is cores.neuron_kinds is cores.graded_input_bits is cores.message_bits is None
    assert cores.kinds == PLAIN_KINDS


@pytest.mark.parametrize(
    ("cores", "message"),
    [
        (
            'resets = { value = ["soft"], source = "x", grade = "guess" }',
            r"cores\.resets\.value\.0: Input should be 'zero'",
        ),
        ('resets = { value = [], source = "x", grade = "guess" }', r"cores\.resets\.value"),
        ('resets = { value = ["zero", "zero"], source = "x", grade = "guess" }', "a word stands twice in .*zero"),
        ('resets = { value = ["zero"], grade = "guess" }', r"cores\.resets\.source: Field required"),
        ('resets = { value = ["zero"], unit = "x", source = "x", grade = "guess" }', "unknown key 'unit'"),
        (
            'neuron_kinds = { value = ["lif"], source = "x", grade = "guess" }',
            r"cores\.neuron_kinds\.value\.0: Input should",
        ),
        (
            'neuron_kinds = { value = ["cuba", "sigma_delta"], source = "x", grade = "guess" }',
            "neuron_kinds has sigma_delta, whose messages carry a payload: give message_bits",
        ),
        (
            'graded_input_bits = { value = -1, unit = "bits", source = "x", grade = "guess" }',
            r"cores\.graded_input_bits\.value: Input should be greater than or equal to 0",
        ),
        ('message_bits = { value = 8, unit = "pJ", source = "x", grade = "guess" }', "unit 'pJ' does not belong here"),
    ],
)
def test_a_wrong_statement_names_its_key(tmp_path: Path, cores: str, message: str) -> None:
    with pytest.raises(ChipError, match=message):
        load_chip(file(tmp_path, cores))


def test_prices_of_reads_with_a_payload_belong_to_formats_and_those_of_updates_to_kinds(tmp_path: Path) -> None:
    price = '{ value = 1.0, unit = "pJ", source = "x", grade = "guess" }'
    with pytest.raises(ChipError, match=r"energy\.synop_graded: 'lists' is no synapse_format of this chip"):
        load_chip(file(tmp_path, "", f"[energy.synop_graded]\nlists = {price}"))
    with pytest.raises(ChipError, match=r"latency\.synop_graded: 'lists' is no synapse_format of this chip"):
        load_chip(file(tmp_path, "", f"[latency.synop_graded]\nlists = {price.replace('pJ', 'ns')}"))
    with pytest.raises(ChipError, match=r"energy\.neuron_update_of\.lif"):
        load_chip(file(tmp_path, "", f"[energy.neuron_update_of]\nlif = {price}"))


def test_a_chip_with_other_formats_does_not_inherit_prices_of_reads_with_a_payload(tmp_path: Path) -> None:
    own = '[[synapse_format]]\nname = "fc"\nrule = "indexed"\n'
    own += 'index_bits = { value = [12, 12], unit = "bits", source = "x", grade = "guess" }'
    chip = load_chip(file(tmp_path, "", own, base="loihi2"))
    assert set(chip.energy.synop_graded) == set(chip.latency.synop_graded) == {"fc"}


def test_statements_survive_a_dump_and_stand_among_the_rows_without_a_unit() -> None:
    chip: Chip = load_chip("loihi2")
    assert chip_from_dict(chip.model_dump(mode="json", exclude_none=True)) == chip
    rows = {row["key"]: row for row in chip_rows("loihi2")}
    assert rows["cores.resets"]["value"] == "zero subtract"
    assert (rows["cores.resets"]["unit"], rows["cores.resets"]["grade"]) == ("", "guess")
    assert rows["cores.neuron_kinds"]["value"].split() == list(chip.cores.kinds)
    assert (rows["cores.graded_input_bits"]["value"], rows["cores.graded_input_bits"]["unit"]) == ("32", "bits")
    assert rows["energy.neuron_update_of.sigma_delta"]["value"] == "29.12 / 145.6 / 655.2"


def test_show_and_validate_print_them(tmp_path: Path) -> None:
    words = 'resets = { value = ["zero", "subtract"], source = "data sheet, page 3", grade = "published" }'
    path = file(tmp_path, words)
    shown = CliRunner().invoke(app, ["chips", "show", str(path), "--json"])
    row = next(row for row in json.loads(shown.stdout) if row["key"] == "cores.resets")
    assert row == {
        "key": "cores.resets",
        "value": "zero subtract",
        "unit": "",
        "grade": "published",
        "source": "data sheet, page 3",
    }
    numbers = sum(bool(row["unit"]) for row in chip_rows(str(path)))
    checked = CliRunner().invoke(app, ["chips", "validate", str(path)])
    assert checked.stdout.strip().endswith(
        f"{numbers} numbers, each with unit, source and grade, and 1 list of words with source and grade"
    )

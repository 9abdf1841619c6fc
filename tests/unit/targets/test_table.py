"""The tables of targets and of file formats: what is written, read and checked through them, and what they refuse."""

from __future__ import annotations

import importlib.util
import json

import pytest
from building import chain, samples

from neurodeploy.chip import load_chip
from neurodeploy.engines import simulate
from neurodeploy.errors import FileError, MissingPackageError, UsageError
from neurodeploy.exchange.formats import FORMATS, Format, read_network, write_network
from neurodeploy.mapping import map_network
from neurodeploy.targets import check_target, write_target
from neurodeploy.targets.sanafe import check

NETWORK = chain([((40, 0, -8), (0, 24, 16))])


@pytest.fixture
def folder(tmp_path):
    """What SANA-FE reads of one sample."""
    given = samples({NETWORK.inputs[0].name: [[[1, 0, 1], [0, 1, 1]]]})
    mapping = map_network(NETWORK, load_chip("loihi1"))
    activity = simulate(NETWORK, given, labels=mapping.core_labels())
    write_target("sanafe", NETWORK, tmp_path / "out", mapping=mapping, activity=activity)
    return tmp_path / "out"


def test_a_lava_dl_file_is_a_target_too(tmp_path):
    write_target("netx", NETWORK, tmp_path / "a.net")
    assert read_network(tmp_path / "a.net").populations[0].size == 2
    with pytest.raises(FileError, match="exists"):
        write_target("netx", NETWORK, tmp_path / "a.net")
    with pytest.raises(UsageError, match="nothing checks what is written for target 'netx'"):
        check_target("netx", tmp_path / "a.net")


def test_an_unknown_target_is_refused_with_the_known_ones(tmp_path):
    with pytest.raises(UsageError, match="unknown target 'xylo'; known: c, sanafe, netx"):
        write_target("xylo", NETWORK, tmp_path)


def test_a_folder_for_sanafe_is_held_against_what_it_finds(folder, monkeypatch):
    expected = json.loads((folder / "expected.json").read_text())
    monkeypatch.setattr(check, "run", lambda *_: expected)
    assert check_target("sanafe", folder) == []
    monkeypatch.setattr(check, "run", lambda *_: {**expected, "spikes": expected["spikes"] + 1})
    assert check_target("sanafe", folder) == [f"spikes is {expected['spikes'] + 1}, expected {expected['spikes']}"]


@pytest.mark.skipif(importlib.util.find_spec("sanafe") is not None, reason="SANA-FE is installed here")
def test_a_check_without_sanafe_says_what_to_install(folder):
    with pytest.raises(MissingPackageError, match="pip install sanafe"):
        check_target("sanafe", folder)


def test_a_folder_with_nothing_for_sanafe_is_named(tmp_path):
    with pytest.raises(FileError, match=r"holds nothing that was written for SANA-FE"):
        check_target("sanafe", tmp_path)


@pytest.mark.parametrize(
    ("row", "act", "message"),
    [
        (
            Format(title="one way"),
            lambda path: read_network(path),
            r"one way files are written, not read; known: \.nir",
        ),
        (
            Format(title="one way"),
            lambda path: write_network(NETWORK, path),
            r"one way files are read, not written; known: \.nir",
        ),
    ],
)
def test_a_format_that_goes_one_way_refuses_the_other(row, act, message, monkeypatch, tmp_path):
    monkeypatch.setitem(FORMATS, ".one", row)
    with pytest.raises(UsageError, match=message):
        act(tmp_path / "a.one")

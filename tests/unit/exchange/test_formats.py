"""The table of file formats: the suffix decides, an unknown one is read as NIR and never written."""

from __future__ import annotations

import re

import pytest
from building import chain, neuron

from neurodeploy import commands
from neurodeploy.errors import FileError, NetworkError, NirError, UsageError
from neurodeploy.exchange.formats import ANY_NETWORK, FORMATS, format_of, format_to_write, read_network, write_network
from neurodeploy.network import difference

NETWORK = chain({"hidden": [[40, 0, -8], [0, 24, 16]], "out": [[10, 20]]})
RESONATING = chain({"hidden": [[40, 0, -8]]}, neuron("resonate_and_fire"))


@pytest.mark.parametrize("suffix", [*FORMATS, *(s.upper() for s in FORMATS)])
def test_a_network_is_written_and_read_in_every_format(suffix, tmp_path):
    path = tmp_path / f"a{suffix}"
    write_network(NETWORK, path)
    back = read_network(path)
    assert [p.synapses.weights.tolist() for p in back.projections] == [[[40, 0, -8], [0, 24, 16]], [[10, 20]]]
    with pytest.raises(FileError, match="exists"):
        write_network(NETWORK, path)
    write_network(NETWORK, path, force=True)


def test_the_format_that_holds_every_network(tmp_path):
    write_network(RESONATING, tmp_path / f"a{ANY_NETWORK}")
    assert difference(read_network(tmp_path / f"a{ANY_NETWORK}"), RESONATING) is None
    for suffix in set(FORMATS) - {ANY_NETWORK}:
        with pytest.raises(NetworkError):
            write_network(RESONATING, tmp_path / f"a{suffix}")


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("a.foo", "a.foo has the suffix '.foo', which no format has; known: .nir, .net, .nd5"),
        ("a", "a has no suffix; known: .nir, .net, .nd5"),
        ("a.nir.bak", "a.nir.bak has the suffix '.bak', which no format has"),
    ],
)
def test_a_file_of_an_unknown_suffix_is_not_written(name, message, tmp_path):
    for write in (write_network, lambda _, path: format_to_write(path)):
        with pytest.raises(UsageError, match=f"^export: .*{re.escape(message)}"):
            write(NETWORK, tmp_path / name)
    assert not list(tmp_path.iterdir())


def test_a_file_of_an_unknown_suffix_is_read_as_nir(tmp_path):
    write_network(NETWORK, tmp_path / "a.nir")
    (tmp_path / "a.nir").rename(tmp_path / "a.bak")
    assert difference(read_network(tmp_path / "a.bak"), NETWORK) is None
    assert format_of("a.bak") is FORMATS[".nir"]


def test_what_is_no_network_is_not_written(tmp_path):
    with pytest.raises(UsageError, match=r"export: network is a \w+Path; give a Network: as_network\(path\)"):
        write_network(tmp_path, tmp_path / "a.nd5")


class TestExport:
    def test_an_unknown_suffix_is_refused_before_the_source_is_read(self, tmp_path):
        with pytest.raises(UsageError, match="known: .nir, .net, .nd5"):
            commands.export(tmp_path / "not there.nir", out=tmp_path / "a.foo")
        with pytest.raises(UsageError, match="known: .nir, .net, .nd5"):
            commands.export(tmp_path, out=tmp_path / "model")
        assert not list(tmp_path.iterdir())

    def test_from_each_format_to_each_other(self, tmp_path):
        write_network(NETWORK, tmp_path / "0.nir")
        for i, suffix in enumerate([".nd5", ".nir", ".nd5", ".nd5", ".net", ".nd5"], start=1):
            source = next(tmp_path.glob(f"{i - 1}.*"))
            done = commands.export(source, out=tmp_path / f"{i}{suffix}")
            assert done["nonzero"] == 6
            assert done["bytes"] == (tmp_path / f"{i}{suffix}").stat().st_size
        assert read_network(tmp_path / "4.nd5").fingerprint == NETWORK.fingerprint

    def test_what_a_format_cannot_hold_is_refused_with_the_one_that_can(self, tmp_path):
        write_network(RESONATING, tmp_path / "a.nd5")
        with pytest.raises(
            NetworkError, match=r"resonate-and-fire.*\. A \.nd5 file holds every network: --out .*b\.nd5$"
        ):
            commands.export(tmp_path / "a.nd5", out=tmp_path / "b.nir")
        with pytest.raises(NetworkError) as said:  # the source is such a file, so there is nothing to say
            commands.export(tmp_path / "a.nd5")
        assert "--out" not in str(said.value)
        late = chain({"p": [[4]]}, first_step={"p": 9})
        write_network(late, tmp_path / "late.nd5")
        with pytest.raises(
            NirError, match=r"before its first step 9.*\. A \.nd5 file holds every network: --out .*b\.nd5$"
        ):
            commands.export(tmp_path / "late.nd5", out=tmp_path / "b.nir")
        assert sorted(p.name for p in tmp_path.iterdir()) == ["a.nd5", "late.nd5"]

    def test_settings_for_floats_are_refused(self, tmp_path):
        write_network(NETWORK, tmp_path / "a.nd5")
        with pytest.raises(
            UsageError, match="holds integers and its own step; --data and --dt are for NIR files in floats"
        ):
            commands.export(tmp_path / "a.nd5", out=tmp_path / "b.nir", dt=1e-3)

    def test_the_help_names_every_suffix(self, run_cli):
        text = run_cli("export", "--help").stdout
        assert all(suffix in text for suffix in FORMATS)

"""The first mistakes that anyone makes with the public functions: each is one message that says what to give."""

from __future__ import annotations

import re

import numpy as np
import pytest
from building import ROOT, chain

import neurodeploy as nd
from neurodeploy.cli.show import print_line, say, show, table, warn
from neurodeploy.errors import UsageError
from neurodeploy.network.activity import Events, Samples

NETWORK = chain([((2, 4), (6, 8))])
CHIP = nd.load_chip("loihi2")
SAMPLES = Samples(inputs={NETWORK.inputs[0].name: Events.from_dense(np.ones((1, 4, 2), bool))}, name="x")


@pytest.mark.parametrize(
    ("mistake", "message"),
    [
        (lambda: nd.simulate("run", SAMPLES), r"simulate: network is a str; give a Network: as_network\(path\)"),
        (lambda: nd.simulate(NETWORK, "x.npz"), r"simulate: samples is a str; give Samples: load_samples\(path\)"),
        (lambda: nd.map_network(NETWORK, "loihi1"), r"map: chip is a str; give a Chip: load_chip\('loihi1'\)"),
        (lambda: nd.map_network("run", CHIP), "map: network is a str"),
        (lambda: nd.map_network(NETWORK, CHIP, pins="p.toml"), r"pins is a str; give Pins: load_pins\('pins\.toml'\)"),
        (lambda: nd.fit(NETWORK, "loihi1"), r"map: chip is a str; give a Chip"),
        (lambda: nd.estimate(NETWORK, CHIP), "estimate: mapping is a Chip; give the Mapping of map_network"),
        (
            lambda: nd.estimate(NETWORK, nd.map_network(NETWORK, CHIP), SAMPLES),
            "estimate: activity is a Samples; give the Activity of simulate",
        ),
        (lambda: nd.verify(NETWORK, object()), "data: samples are Samples, a file, .* not object"),
        (lambda: nd.verify(NETWORK, SAMPLES, engines="reference,event"), "engines is the text 'reference,event'; give"),
        (
            lambda: nd.compare_activities(nd.simulate(NETWORK, SAMPLES)),
            "verify: activities is a Activity; give a list of activities",
        ),
        (lambda: nd.train(3), "train: recipe is a int; give the name or the file of a recipe"),
        (lambda: nd.train("digits-mlp", start=NETWORK), r"train: start is a Network; give the file of a network"),
    ],
)
def test_a_value_of_another_type_is_answered_with_what_to_give(mistake, message):
    with pytest.raises(UsageError, match=message):
        mistake()


def test_a_message_has_no_control_characters_but_the_ends_of_its_lines():
    """A name from a file may hold what clears a terminal or hides a line."""
    error = UsageError("nir: node '\x1b[2Ja\rb\x9b\u202e' has no type\nsecond line")
    assert str(error) == "nir: node '\\x1b[2Ja\\rb\\x9b\\u202e' has no type\nsecond line"


def test_nothing_that_is_printed_holds_control_characters_but_the_ends_of_lines(capsys):
    for tell in (print_line, say, warn):
        tell("name \x1b[31mred")
    show({"name": "\x1b[31mred"}, as_json=False)
    table("Name", [("\x1b[31mred",)])
    told = capsys.readouterr()
    assert (told.out.count("\\x1b[31mred"), told.err.count("\\x1b[31mred")) == (3, 2)
    assert "\x1b" not in told.out + told.err


def test_commands_print_through_the_functions_that_take_control_characters_out():
    own = {"show.py", "entry.py", "working.py", "reading.py", "program.py"}
    for path in (ROOT / "neurodeploy" / "cli").glob("*.py"):
        assert path.name in own or not re.search(r"(?<![\w.])print\(", path.read_text(encoding="utf-8")), path.name

"""The claims in ``claims.toml`` of both benches: the values that are published, and that wrong files are refused."""

from __future__ import annotations

import pytest
from pydantic import ValidationError

from neurodeploy.bench.methods import claims as methods
from neurodeploy.bench.speed import claims as speed
from neurodeploy.bench.speed.peers import PEERS
from neurodeploy.bench.speed.run import BAR_RATE, CASES
from neurodeploy.recipe.files import recipe_names


class TestMethods:
    def test_bars_come_in_the_order_of_the_page(self):
        asked = [(bar.recipe, bar.method, bar.density) for bar in methods.BARS]
        deep = ("mnist-conv", "fashion-conv")
        assert asked[11:] == [
            ("mnist-conv", "sdsnn", None),
            ("mnist-conv", "esl-random", 0.1),
            ("mnist-conv", "pq", 0.05),
            ("mnist-conv", "esl-random", 0.02),
            *(("mnist-conv", method, at) for method in ("esl-random", "pq", "chsnn") for at in (0.02, 0.01)),
            ("fashion-conv", "dense", None),
            ("fashion-conv", "esl-random", 0.1),
            ("touch-mlp", "dense", None),
            ("braille-recurrent", "dense", None),
            ("spoken-delayed", "dense", None),
            ("ecg-recurrent", "dense", None),
        ]
        assert [bar.gain_above for bar in methods.BARS if bar.recipe in deep].count(0.0) == 6
        assert asked[:11] == [
            ("mnist-mlp", "dense", None),
            ("mnist-conv", "dense", None),
            ("mnist-mlp", "esl-random", 0.1),
            ("mnist-mlp", "pq", 0.05),
            ("mnist-mlp", "sdsnn", None),
            ("nmnist-conv", "esl-random", 0.1),
            ("digits-bench", "esl-random", 0.015),
            ("digits-bench", "esl-gradient", 0.015),
            ("digits-bench", "set", 0.015),
            ("digits-bench", "rigl", 0.015),
            ("digits-bench", "esl-momentum", 0.015),
        ]

    def test_a_bar_holds_the_bounds_of_the_file_and_none_where_it_says_nothing(self):
        pq = methods.BARS[3]
        assert (pq.loss_within, pq.kept_within) == (1.0, 5.0)
        assert (pq.at_least, pq.loss_below, pq.gain_at_least) == (None, None, None)
        assert [bar.gain_at_least for bar in methods.BARS[6:11]] == [2.0] * 5
        assert methods.BARS[6].claim == "`esl-random` at 1.5 % beats a static graph"

    def test_every_bar_names_a_shipped_recipe(self):
        assert {bar.recipe for bar in methods.BARS} <= set(recipe_names())

    @pytest.mark.parametrize(
        ("line", "message"),
        [
            ("at_least = 97.3\nat_most = 99", "Extra inputs are not permitted"),
            ("", "'x' asks for nothing; give at least one of at_least, loss_below"),
            ("at_least = 97.3\ndensity = 0", "Input should be greater than 0"),
        ],
    )
    def test_a_wrong_bar_is_refused(self, tmp_path, line, message):
        (tmp_path / "claims.toml").write_text(f'[[bars]]\nclaim = "x"\nrecipe = "r"\nmethod = "dense"\n{line}\n')
        with pytest.raises(ValidationError, match=message):
            methods.load_bars(tmp_path / "claims.toml")

    def test_an_unknown_method_is_refused(self, tmp_path):
        (tmp_path / "claims.toml").write_text('[[bars]]\nclaim = "x"\nrecipe = "r"\nmethod = "densest"\nat_least = 1\n')
        with pytest.raises(ValidationError, match="Input should be 'dense', 'static'"):
            methods.load_bars(tmp_path / "claims.toml")


class TestSpeed:
    def test_there_are_fifteen_cases_of_four_networks(self):
        assert len(CASES) == 15
        assert list(dict.fromkeys(case.network for case in CASES)) == [
            "784-256-10",
            "2312-512-512-11",
            "conv-34x34x2",
            "8192-8192",
        ]

    @pytest.mark.parametrize(
        ("isa", "most"), [("avx512", (3000.0, 5000.0, 2000.0)), ("avx2", (1000.0,) * 3), ("znver2", (1000.0,) * 3)]
    )
    def test_bars_over_lava_are_those_of_the_file_and_higher_ones_where_there_is_avx512(self, isa, most):
        bars = {(c.network, c.density, c.rate): c.bars for c in (table.case(isa) for table in speed.CLAIMS.cases)}
        assert bars["784-256-10", 0.1, 0.02] == {1: 500.0, 64: most[0]}
        assert bars["784-256-10", 0.02, 0.02][64] == most[1]
        assert bars["2312-512-512-11", 0.02, 0.02][64] == most[2]
        assert bars["2312-512-512-11", 0.1, 0.02][64] == 1000.0
        assert bars["784-256-10", 1.0, 0.02] == {1: None, 64: 1000.0}
        assert bars["2312-512-512-11", 0.02, 0.1] == {1: None, 64: None}
        assert bars["conv-34x34x2", 1.0, 0.02] == {1: 400.0, 16: 400.0}
        assert bars["8192-8192", 0.1, 0.02] == {1: 100.0}

    def test_bars_over_the_other_peers_hold_at_two_percent(self):
        assert BAR_RATE == 0.02
        assert {name: peer.bar for name, peer in PEERS.items()} == {
            "numba-scatter": None,
            "c": None,
            "lava": None,
            "slayer": 20,
            "snntorch": 20,
            "spikingjelly": 20,
            "sanafe": 30,
            "nengo-loihi": 80,
        }

    def test_every_peer_of_the_file_is_one_that_the_bench_knows(self):
        assert set(speed.CLAIMS.peers) <= set(PEERS)

    @pytest.mark.parametrize(
        ("line", "message"),
        [
            ("over_lava = { 8 = 10.0 }", r"over_lava has a bar for batch 8, but the batches are \[1\]"),
            ("over_sanafe = { 1 = 10.0 }", "Extra inputs are not permitted"),
            ("over_lava = { 1 = 0 }", "Input should be greater than 0"),
        ],
    )
    def test_a_wrong_case_is_refused(self, tmp_path, line, message):
        case = f'[[cases]]\nnetwork = "4-2"\ndensity = 1.0\nrate = 0.02\nbatches = [1]\n{line}\n'
        (tmp_path / "claims.toml").write_text(f"bar_rate = 0.02\n[peers]\n{case}")
        with pytest.raises(ValidationError, match=message):
            speed.load_claims(tmp_path / "claims.toml")

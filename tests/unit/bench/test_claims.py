"""What the rows of the bench say together: paired losses, means, bars, and the page. Needs no torch."""

from __future__ import annotations

import json
import re
import subprocess
import sys

import numpy as np
import pytest
from scipy import stats

from neurodeploy.bench.methods.claims import Bar, collect, correct_of, judge, paired_loss, summarise
from neurodeploy.bench.methods.former import former_of, former_rows, noise
from neurodeploy.bench.methods.page import render_page
from neurodeploy.errors import FileError, TrainingError


def _row(method, correct, *, seed=0, density=0.1, recipe="r", **more):
    correct = np.asarray(correct, bool)
    numbers = {"parameter_density": 0.1, "nonzero_density": 0.08, "connection_density": 0.1}
    costs = {"synaptic_operations_per_sample": 1234.0, "spikes_per_sample": 56.0, "seconds": 7.0}
    chips = {"cores_loihi1": 2, "kib_loihi1": 1.5, "cores_loihi2": 2, "kib_loihi2": 1.25}
    return {
        "data": "digits",
        "recipe": recipe,
        "method": method,
        "density": density,
        "seed": seed,
        "accuracy": float(correct.mean()),
        **{**numbers, **costs, **chips},
        "settings": {"method": method},
        "epochs": 2,
        "n_steps": 4,
        "n_test": len(correct),
        "correct": np.packbits(correct).tobytes().hex(),
        **more,
    }


def _by_seed(*rows):
    return {row["seed"]: row for row in rows}


def test_answers_survive_their_packing_whatever_their_number():
    for n in (1, 7, 8, 9, 450):
        correct = np.random.default_rng(n).random(n) < 0.5
        assert np.array_equal(correct_of(_row("dense", correct)), correct)


def test_loss_is_the_mean_over_the_seeds_that_both_have_in_points():
    dense = _by_seed(_row("dense", [1, 1, 1, 1]), _row("dense", [1, 1, 1, 0], seed=1), _row("dense", [0] * 4, seed=7))
    sparse = _by_seed(_row("esl", [1, 1, 1, 0]), _row("esl", [1, 0, 0, 0], seed=1))
    loss = paired_loss(sparse, dense)
    assert loss.by_seed == (25.0, 50.0)
    assert loss.points == pytest.approx(37.5)
    assert paired_loss({3: _row("esl", [1])}, dense) is None


def test_same_answers_lose_nothing_for_certain_and_the_sign_turns_with_the_sides():
    rng = np.random.default_rng(1)
    a, b = (_by_seed(_row("x", rng.random(500) < p)) for p in (0.9, 0.7))
    zero = paired_loss(a, a)
    assert (zero.points, zero.low, zero.high) == (0.0, 0.0, 0.0)
    forth, back = paired_loss(b, a), paired_loss(a, b)
    assert forth.points == -back.points > 0
    assert forth.low == pytest.approx(-back.high, abs=0.5)


def test_interval_is_that_of_scipys_percentile_bootstrap_over_samples():
    rng = np.random.default_rng(2)
    dense = _by_seed(*(_row("dense", rng.random(2000) < 0.97, seed=s) for s in range(3)))
    sparse = _by_seed(*(_row("esl", rng.random(2000) < 0.96, seed=s) for s in range(3)))
    mean = np.mean([100.0 * correct_of(dense[s]) - 100.0 * correct_of(sparse[s]) for s in range(3)], axis=0)
    wanted = stats.bootstrap((mean,), np.mean, method="percentile", n_resamples=4000, random_state=0, batch=500)
    loss = paired_loss(sparse, dense)
    assert (loss.low, loss.high) == pytest.approx(tuple(wanted.confidence_interval), abs=0.05)
    assert loss.low < loss.points < loss.high
    assert paired_loss(sparse, dense) == loss


def test_pairing_by_sample_narrows_the_interval():
    """Two networks that fail on the same samples: their loss is surer than the accuracies alone would tell."""
    rng = np.random.default_rng(3)
    hard = rng.random(2000) < 0.9
    paired = paired_loss(_by_seed(_row("esl", hard & (rng.random(2000) < 0.99))), _by_seed(_row("dense", hard)))
    alone = paired_loss(_by_seed(_row("esl", rng.permutation(hard))), _by_seed(_row("dense", hard)))
    assert paired.high - paired.low < (alone.high - alone.low) / 2


def test_rows_without_answers_give_the_wider_interval_of_two_accuracies():
    rng = np.random.default_rng(3)
    hard = rng.random(2000) < 0.9
    sparse, dense = _row("esl", hard & (rng.random(2000) < 0.99)), _row("dense", hard)
    without = {key: value for key, value in sparse.items() if key != "correct"}
    paired, loss = paired_loss(_by_seed(sparse), _by_seed(dense)), paired_loss(_by_seed(without), _by_seed(dense))
    assert (paired.paired, loss.paired) == (True, False)
    assert loss.points == pytest.approx(paired.points)
    assert loss.by_seed == pytest.approx(paired.by_seed)
    expected = 100 * 1.96 * np.sqrt(sum(p * (1 - p) / 2000 for p in (sparse["accuracy"], dense["accuracy"])))
    assert (loss.low, loss.high) == pytest.approx((loss.points - expected, loss.points + expected), abs=0.1)
    assert loss.high - loss.low > 2 * (paired.high - paired.low)
    assert "(unpaired)" in render_page([without, {**dense, "density": None}])


def test_rows_tested_on_other_samples_are_not_compared():
    with pytest.raises(TrainingError, match=r"tested on \[3, 4\] samples"):
        paired_loss(_by_seed(_row("esl", [1, 1, 0])), _by_seed(_row("dense", [1, 1, 0, 1])))


def test_gains_are_paired_by_seed():
    rows = [
        _row("static", [1] * 9 + [0]),
        _row("static", [1] * 8 + [0] * 2, seed=1),
        _row("esl-random", [1] * 9 + [0], seed=1),
        _row("dense", [1] * 10, density=None),
    ]
    static, esl, dense = summarise(rows)
    assert static["accuracy_mean"] == pytest.approx(85)
    assert static["accuracy_sd"] == pytest.approx(7.0710678)
    assert static["loss_to_dense"].by_seed == pytest.approx((10.0,))
    assert esl["gain_over_static"] == pytest.approx(10)
    assert (esl["accuracy_sd"], esl["loss_to_dense"], dense["loss_to_dense"]) == (None, None, None)


def test_a_network_that_does_not_fit_a_chip_has_no_mean_of_cores():
    rows = [_row("dense", [1], density=None), _row("dense", [1], density=None, seed=1, cores_loihi1=None)]
    (dense,) = summarise(rows)
    assert (dense["cores_loihi1"], dense["cores_loihi2"]) == (None, 2)


BARS = (
    Bar(claim="dense", recipe="r", method="dense", at_least=99.5),
    Bar(claim="sure", recipe="r", method="esl-random", density=0.1, loss_below=3.5),
    Bar(claim="mean", recipe="r", method="esl-random", density=0.1, loss_within=1.0, kept_within=10.0),
    Bar(claim="dense elsewhere", recipe="other", method="dense", at_least=1.0),
)


@pytest.mark.parametrize(
    ("wrong", "kept", "met"),
    [
        ((0, 1), 0.1, [True, True, True, None]),
        ((1, 1), 0.1, [False, True, True, None]),
        ((0, 2), 0.1, [True, False, False, None]),
        ((0, 1), 0.101, [True, True, False, None]),
    ],
)
def test_each_part_of_a_bar_decides(wrong, kept, met):
    n_dense, n_esl = wrong
    rows = [
        _row("dense", [0] * n_dense + [1] * (100 - n_dense), density=None),
        _row("esl-random", [0] * n_esl + [1] * (100 - n_esl), parameter_density=kept),
    ]
    assert [verdict.met for verdict in judge(rows, BARS)] == met


@pytest.mark.parametrize(("asked", "met"), [(2.0, True), (3.0, True), (3.5, False)])
def test_a_gain_is_that_over_the_static_graph_of_the_same_density(asked, met):
    bar = Bar(claim="gain", recipe="r", method="esl-random", density=0.1, gain_at_least=asked)
    rows = [
        _row("static", [0] * 5 + [1] * 95),
        _row("static", [1] * 100, density=0.5),
        _row("esl-random", [0] * 2 + [1] * 98),
    ]
    assert judge(rows[1:], [bar])[0].met is None
    (verdict,) = judge(rows, [bar])
    assert verdict.met == met
    assert verdict.measured == f"gain 3.00 points (at least {asked:g})"


@pytest.mark.parametrize(("asked", "met"), [(0.0, True), (2.0, False)])
def test_a_gain_for_certain_is_one_whose_interval_lies_above(asked, met):
    bar = Bar(claim="gain", recipe="r", method="esl-random", density=0.1, gain_above=asked)
    rows = [_row("static", [0] * 30 + [1] * 970), _row("esl-random", [0] * 2 + [1] * 998)]
    assert judge(rows[1:], [bar])[0].met is None
    (verdict,) = judge(rows, [bar])
    assert verdict.met == met
    assert re.fullmatch(rf"gain 2\.80, lower bound 1\.\d\d points \(above {asked:g}\)", verdict.measured)
    none = [_row("static", [0] * 3 + [1] * 97), _row("esl-random", [1] * 98 + [0] * 2)]
    assert judge(none, [bar])[0].met is False


def test_a_bar_on_a_loss_waits_for_the_dense_network():
    (verdict,) = judge([_row("esl-random", [1, 1])], BARS[1:2])
    assert (verdict.met, verdict.measured) == (None, "no rows yet")


def test_the_page_says_losses_misses_pairs_and_the_commands():
    more = {"recipe": "mnist-mlp", "data": "mnist"}
    rows = [
        _row("dense", [1] * 90 + [0] * 10, density=None, **more),
        _row("esl-random", [1] * 85 + [0] * 15, **more),
        _row("esl-random", [1] * 85 + [0] * 15, seed=1, **more),
        _row("static", [1] * 80 + [0] * 20, **more),
        _row("pq", [1] * 89 + [0] * 11, density=0.05, parameter_density=0.05, **more),
        _row("pq-fixed", [1] * 87 + [0] * 13, density=0.05, **more),
    ]
    text = render_page(rows)
    assert (
        "| a dense MLP, accuracy of the exported integers | `mnist-mlp` | 90.00 % (at least 97.3) | 1 | **missed**"
        in text
    )
    assert "| `pq` down to 5 % (gamma 3), loss | `mnist-mlp` | loss 1.00 points (at most 1), 5.00 %" in text
    assert "no rows yet | 0 | not measured |" in text
    assert "| `esl-random` | 10 % | 2 | 85.00 ± 0.00 | +5.00 [" in text
    pair = "| `mnist-mlp` | 5 % | `pq` - `pq-fixed` | the PQ ratio against a fixed one of 0.155 |"
    assert f"{pair} 5.00 % / 10.00 %, **not equal** | +2.00 [" in text
    assert "| `mnist-mlp` | 10 % | `esl-random` - `static` |" in text
    assert "--recipe mnist-mlp --seeds 0,1 --densities 0.1 --method esl-random --jobs 2" in text
    assert "--recipe mnist-mlp --seeds 0 --method dense --jobs 2" in text
    assert "--seeds 0 --densities 0.05 --method pq --method pq-fixed --jobs 2" in text
    assert text == render_page(rows)


@pytest.mark.parametrize(
    ("first", "second", "said"),
    [([1] * 90, [0] * 90, "gains"), ([0] * 90, [1] * 90, "loses"), ([1, 0] * 45, [0, 1] * 45, "nothing shown")],
)
def test_a_pair_whose_interval_holds_zero_shows_nothing(first, second, said):
    text = render_page([_row("rkd", first), _row("rkd-none", second)])
    (line,) = (line for line in text.splitlines() if "| `rkd` - `rkd-none` |" in line)
    assert line.split("|")[-3].strip() == said


def test_what_a_page_says_of_recipes_without_rows_is_kept():
    mlp = [_row("dense", [1] * 9 + [0], density=None, recipe="mnist-mlp", data="mnist")]
    mlp += [_row(method, [1] * 8 + [0] * 2, recipe="mnist-mlp", data="mnist") for method in ("static", "esl-random")]
    bench = [
        _row("static", [1] * 5 + [0] * 5, density=0.015, recipe="digits-bench", data="digits"),
        _row("esl-random", [1] * 9 + [0], density=0.015, recipe="digits-bench", data="digits"),
    ]
    shown = {name: f"![Accuracy over density, {name}]({name}-accuracy.svg)" for name in ("mnist-mlp", "digits-bench")}
    mlp, bench = ([{**row, "seconds": seconds} for row in rows] for rows, seconds in ((mlp, 1200.0), (bench, 3600.0)))
    whole = render_page([*mlp, *bench], list(shown.values()))
    assert "All rows together: 3.0 hours of training" in whole
    parts = [render_page(rows, [shown[name]]) for name, rows in (("mnist-mlp", mlp), ("digits-bench", bench))]
    assert render_page(mlp, [shown["mnist-mlp"]], parts[1]) == whole
    assert render_page(bench, [shown["digits-bench"]], parts[0]) == whole
    assert render_page(mlp, [shown["mnist-mlp"]], whole) == whole

    better = [{**row, "accuracy": 1.0} for row in mlp]
    again = render_page(better, [shown["mnist-mlp"]], whole)
    assert "100.00" in again
    assert "90.00 % (at least 97.3)" not in again
    easier = whole.replace("(at least 97.3)", "(at least 50)")
    assert "(at least 50)" not in render_page(bench, before=easier), "a bar that has moved is not known to be met"


def test_t43_a_weaker_teacher_stands_in_one_table_with_its_controls_and_is_paired_with_each():
    """No teacher, label smoothing and a stronger teacher (``algorithms.md``, test T43)."""
    right = {"rkd": 90, "rkd-none": 86, "rkd-smoothing": 87, "rkd-normal": 92}
    rows = [
        _row(method, [1] * (n - seed) + [0] * (100 - n + seed), seed=seed)
        for method, n in right.items()
        for seed in (0, 1)
    ]
    tables = [part.splitlines() for part in render_page(rows).split("\n\n") if part.lstrip().startswith("| ")]
    (results,) = [table for table in tables if table[0].startswith("| method | density asked |")]
    assert [line.split(" | ")[0] for line in results[2:]] == [f"| `{method}`" for method in right]
    (pairs,) = [table for table in tables if table[0].startswith("| recipe | density | pair |")]
    gains = {"rkd-none": "+4.00", "rkd-smoothing": "+3.00", "rkd-normal": "-2.00"}
    assert len(pairs[2:]) == len(gains)
    for line, (control, gain) in zip(pairs[2:], gains.items()):
        assert line.startswith(f"| `r` | 10 % | `rkd` - `{control}` | a weaker teacher against ")
        assert f"| {gain} [" in line
        assert line.endswith(f"| {gain}, {gain} |")


@pytest.mark.parametrize(("kept", "unequal"), [(0.0501, False), (0.08, True)])
def test_pairs_say_what_both_keep_and_where_that_is_not_equal(kept, unequal):
    rows = [
        {**_row("pq", [1, 1], seed=0), "parameter_density": kept},
        {**_row("pq-fixed", [1, 0], seed=0), "parameter_density": 0.05},
    ]
    (line,) = [line for line in render_page(rows).splitlines() if "`pq` - `pq-fixed`" in line]
    assert f"| {100 * kept:.2f} % / 5.00 %{', **not equal**' if unequal else ''} |" in line


def test_rows_are_collected_by_recipe_and_in_the_order_of_the_methods(tmp_path):
    for name, row in (
        ("z", _row("dense", [1], density=None, recipe="b")),
        ("y", _row("esl-random", [1], seed=1)),
        ("x", _row("esl-random", [1], density=0.05)),
        ("w", _row("static", [1])),
    ):
        folder = tmp_path / name
        folder.mkdir()
        (folder / "row.json").write_text(json.dumps(row), encoding="utf-8")
        (folder / "metrics.jsonl").write_text(json.dumps({"epoch": 1, "of": name}) + "\n", encoding="utf-8")
    rows, metrics = collect(tmp_path)
    found = [(row["recipe"], row["method"], row["density"], row["seed"]) for row in rows]
    assert found == [
        ("b", "dense", None, 0),
        ("r", "static", 0.1, 0),
        ("r", "esl-random", 0.05, 0),
        ("r", "esl-random", 0.1, 1),
    ]
    # of the density at which most methods were run
    assert metrics == {
        ("r", "static", 0.1): [{"epoch": 1, "of": "w"}],
        ("r", "esl-random", 0.1): [{"epoch": 1, "of": "y"}],
    }


def test_rows_of_two_versions_of_a_recipe_are_not_mixed(tmp_path):
    for name in ("old", "new"):
        (tmp_path / name).mkdir()
        (tmp_path / name / "row.json").write_text(json.dumps(_row("static", [1])), encoding="utf-8")
    with pytest.raises(
        FileError, match="are both r static at density 0.1, seed 0, of two versions of the recipe; remove"
    ):
        collect(tmp_path)


def test_a_folder_without_rows_is_an_error_that_says_what_to_do(tmp_path):
    with pytest.raises(FileError, match="there is no row in .* train some first"):
        collect(tmp_path)


def test_the_page_is_made_without_torch():
    code = "import sys, neurodeploy.bench.methods.page; print('torch' in sys.modules)"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "False"


DENSE = "mnist-mlp", "dense", None


def _slayers(accuracy, **more):
    """Rows of ``dense`` on ``mnist-mlp`` with this share of right answers, one for each of three seeds."""
    right = [1] * round(1e4 * accuracy) + [0] * round(1e4 * (1 - accuracy))
    shared = {"density": None, "recipe": "mnist-mlp", "data": "mnist", **more}
    return [_row("dense", right, seed=seed, **shared) for seed in range(3)]


def test_every_former_row_is_of_a_method_at_its_density():
    assert former_rows()[DENSE].seconds == 372
    assert ("mnist-mlp", "pq", 0.05) in former_rows()
    assert former_of({"recipe": "mnist-mlp", "method": "pq", "density": 0.5}) is None


def test_noise_shrinks_with_seeds_and_is_two_standard_errors_of_all_rows():
    own = former_rows()[DENSE]
    spread = (sum(row.sd**2 for row in former_rows().values()) / len(former_rows())) ** 0.5
    assert noise(own, 3) == pytest.approx(2 * spread * (2 / 3) ** 0.5)
    assert noise(own, 1) > noise(own, 3)


def test_the_page_shows_both_times_and_says_which_accuracies_and_times_are_alike():
    text = render_page(_slayers(0.9731, cpu_seconds=90.0))
    assert "| training s | peak MiB | processor s | slayer: accuracy | slayer: training s |" in text
    assert "| 90 | 97.31 ± 0.21 | 372 |" in text
    assert "all have the accuracy of today within seed noise" in text
    assert "all take today at most a quarter of their time" in text


def test_a_row_beyond_noise_or_a_quarter_of_the_time_is_named():
    text = render_page(_slayers(0.96, seconds=400.0))
    assert "all but `dense` (-1.31 points) have the accuracy of today" in text
    assert "0 take today at most a quarter of their time (not `dense`)" in text


def test_recipes_that_slayer_had_no_rows_of_keep_their_columns():
    rows = [{**row, "recipe": "digits-bench"} for row in _slayers(0.97)]
    assert "slayer: training s" not in render_page(rows)

"""N-MNIST as its authors recorded it: a sparse convolutional network learns it from the 750 recordings at hand."""

from __future__ import annotations

import pytest

pytestmark = [pytest.mark.train, pytest.mark.slow]
pytest.importorskip("torch", reason="needs torch (extra train, Python 3.10)")
pytest.importorskip("lava.lib.dl.slayer", reason="needs lava-dl (extra train, Python 3.10)")


def test_a_tenth_of_the_connections_finds_nine_of_ten_recordings(shared, tmp_path):
    """135 of the 150 test recordings, by the exported integers; chosen on 75 of the 750 others."""
    from neurodeploy.bench.methods.run import bench_methods

    (row,) = bench_methods(
        tmp_path,
        recipe="nmnist-conv",
        methods=("esl-random",),
        densities=(0.1,),
        seeds=(0,),
        data_root=shared / "data",
    )
    assert (row["n_test"], row["data"]) == (150, "nmnist")
    assert row["parameter_density"] == pytest.approx(0.1, abs=1e-5)
    assert row["accuracy"] >= 0.90

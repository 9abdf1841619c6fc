"""Large files: how far reading is, and that weights are neither copied whole nor changed on the way."""

import io
import sys
import tracemalloc

import h5py
import nir
import numpy as np
import pytest

from neurodeploy.cli import reading as bar
from neurodeploy.exchange.nir.graph import read_graph
from neurodeploy.exchange.nir.read import from_nir
from neurodeploy.files.progress import reading

N = 1500


@pytest.fixture(scope="module")
def large(tmp_path_factory):
    """2.25 million weights on the chip's grid, one in ten not zero."""
    rng = np.random.default_rng(0)
    weights = 2 * rng.integers(-128, 128, (N, N)) * (rng.random((N, N)) < 0.1)
    fields = {"tau_syn": 4e-3, "w_in": 4.0, "tau_mem": 8e-3, "r": 8.0, "v_leak": 0.0, "v_threshold": 1.25}
    nodes = {
        "input": nir.Input(np.array([N])),
        "w": nir.Linear((weights / 64).astype(np.float32)),
        "lif": nir.CubaLIF(**{k: np.full(N, v) for k, v in fields.items()}),
        "output": nir.Output(np.array([N])),
    }
    path = tmp_path_factory.mktemp("large") / "large.nir"
    nir.write(path, nir.NIRGraph(nodes, [("input", "w"), ("w", "lif"), ("lif", "output")]))
    return path, weights


def test_large_arrays_are_read_in_blocks_without_a_change(large):
    path, weights = large
    assert np.array_equal(read_graph(path).nodes["w"].fields["weight"], (weights / 64).astype(np.float32))
    assert np.array_equal(from_nir(path).projections[0].synapses.weights, weights)


def test_array_that_is_not_chunked_is_read_in_blocks_too(tmp_path, large):
    path, weights = tmp_path / "plain.nir", large[1]
    path.write_bytes(large[0].read_bytes())
    with h5py.File(path, "a") as file:
        del file["node/nodes/w/weight"]
        file["node/nodes/w"].create_dataset("weight", data=weights.astype(np.int32))
    assert np.array_equal(read_graph(path).nodes["w"].fields["weight"], weights)


def test_reading_tells_how_far_it_is_in_small_steps_up_to_all(large):
    told = []
    token = reading.set(lambda *call: told.append(call))
    try:
        read_graph(large[0])
    finally:
        reading.reset(token)
    names, done, of = zip(*told)
    assert set(names) == {str(large[0])}
    assert list(done) == sorted(done)
    assert done[-1] == of[-1] >= N * N
    assert max(np.diff(done)) < 1.5 * 2**20


class Terminal(io.StringIO):
    """Standard error that is a terminal."""

    def isatty(self):
        return True


def test_bar_is_shown_on_a_terminal_and_wiped_at_the_end(large, monkeypatch):
    monkeypatch.setattr(sys, "stderr", Terminal())
    with bar.reading_bar():
        read_graph(large[0])
    assert "reading large.nir" in sys.stderr.getvalue()
    assert sys.stderr.getvalue().endswith("\r\x1b[K")


def test_no_bar_for_a_small_file_nor_where_standard_error_is_no_terminal(large, monkeypatch):
    monkeypatch.setattr(sys, "stderr", io.StringIO())
    with bar.reading_bar():
        read_graph(large[0])
    assert sys.stderr.getvalue() == ""
    monkeypatch.setattr(sys, "stderr", Terminal())
    monkeypatch.setattr(bar, "LARGE", 10**9)
    with bar.reading_bar():
        read_graph(large[0])
    assert "reading" not in sys.stderr.getvalue()


def test_reading_takes_less_than_three_times_the_memory_of_the_weights(large):
    """The floats of the file (9 MB), the integers made of them and their copy in the network (4.5 MB each), and blocks."""
    from_nir(large[0])
    tracemalloc.start()
    from_nir(large[0])
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < 3 * 4 * N * N

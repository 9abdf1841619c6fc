"""Convolutions, pools and scales in a row: one kernel where the product is one, else a matrix that says its cost."""

import nir
import numpy as np
import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from neurodeploy.engines import simulate
from neurodeploy.errors import NirError
from neurodeploy.exchange.nir import lowering
from neurodeploy.exchange.nir.graph import Node
from neurodeploy.exchange.nir.interpreter import interpret
from neurodeploy.exchange.nir.ops import apply, output_shape, window, window_sum
from neurodeploy.exchange.nir.products import folded, kernel_of, matrix_of
from neurodeploy.exchange.nir.read import from_nir
from neurodeploy.network import Conv, Dense, Pool
from neurodeploy.network.activity import Events, Samples


def conv(weight, *, stride=1, padding=0, dilation=1, groups=1, name="c", **more):
    fields = {"weight": np.asarray(weight, float), "stride": stride, "padding": padding, "dilation": dilation}
    return Node(name=name, kind="Conv2d", fields={**fields, "groups": groups, **more})


def pool(size, *, stride=None, padding=0, kind="SumPool2d", name="p"):
    return Node(name=name, kind=kind, fields={"kernel_size": size, "stride": stride or size, "padding": padding})


def scale(values, name="s"):
    return Node(name=name, kind="Scale", fields={"scale": np.asarray(values, float)})


def whole(rng, *shape):
    return rng.integers(-3, 4, shape).astype(float)


def shapes_of(nodes, shape):
    found = [shape]
    for node in nodes:
        found.append(output_shape(node, found[-1]))
    return found


def sums(nodes, x):
    for node in nodes:
        x = apply(node, x)
    return x


@st.composite
def windows(draw, channels):
    """A convolution or a pool over ``channels``, with whole weights."""
    size = draw(st.tuples(*[st.integers(1, 3)] * 2))
    stride, padding = (draw(st.tuples(*[st.integers(low, 2)] * 2)) for low in (1, 0))
    kind = draw(st.sampled_from(["conv", "sum", "average"]))
    if kind != "conv":
        own = "SumPool2d" if kind == "sum" else "AvgPool2d"
        side = (2, 2) if kind == "average" else size  # quarters are exact
        return pool(side, stride=stride, padding=padding, kind=own)
    groups = draw(st.sampled_from([g for g in (1, 2, 4) if channels % g == 0]))
    many = groups * draw(st.integers(1, 2))
    rng = np.random.default_rng(draw(st.integers(0, 999)))
    dilation = draw(st.tuples(*[st.integers(1, 2)] * 2))
    weight = whole(rng, many, channels // groups, *size)
    return conv(weight, stride=stride, padding=padding, dilation=dilation, groups=groups)


class TestFolded:
    """A window over a window is one window, wherever zeros at the border are zeros of both."""

    @settings(max_examples=200, deadline=None)
    @given(st.data(), st.integers(1, 4), st.tuples(*[st.integers(3, 9)] * 2))
    def test_product_gives_the_sums_of_both_or_is_none_where_the_border_differs(self, data, channels, size):
        first = data.draw(windows(channels))
        shape = (channels, *size)
        try:
            middle = output_shape(first, shape)
            second = data.draw(windows(middle[0]))
            output_shape(second, middle)
        except NirError:
            assume(False)
        one, two = window(first, shape), window(second, middle)
        x = np.random.default_rng(1).integers(-5, 6, (3, *shape)).astype(float)
        expected = window_sum(two, window_sum(one, x))
        both = folded(one, two)
        if both is None:
            assert max(two.padding) > 0 or max(one.padding) > 0 or any(n % s for n, s in zip(size, one.stride))
            assert max(two.padding) > 0
        else:
            assert both.output_shape == two.output_shape
            assert np.array_equal(window_sum(both, x), expected)

    @settings(max_examples=60, deadline=None)
    @given(st.data(), st.integers(1, 4))
    def test_without_padding_behind_the_first_there_is_always_a_kernel(self, data, channels):
        shape = (channels, 12, 12)
        first = data.draw(windows(channels))
        second = data.draw(windows(output_shape(first, shape)[0]))
        second = Node(name="c2", kind=second.kind, fields={**second.fields, "padding": 0})
        try:
            shapes = shapes_of([first, second], shape)
        except NirError:
            assume(False)
        assert not isinstance(kernel_of([first, second], shapes), str)

    def test_taps_are_repeated_and_strides_and_padding_multiplied(self):
        """[[1, 2], [3, 4]] with padding 1 behind a sum of 2 x 2: each tap four times, stride 2, padding 2."""
        nodes = [pool(2), conv([[[[1, 2], [3, 4]]]], padding=1)]
        both = kernel_of(nodes, shapes_of(nodes, (1, 4, 4)))
        assert both.form.kernel[0, 0].tolist() == [[1, 1, 2, 2], [1, 1, 2, 2], [3, 3, 4, 4], [3, 3, 4, 4]]
        assert (both.form.stride, both.form.padding, both.form.dilation) == ((2, 2), (2, 2), (1, 1))

    def test_steps_between_taps_become_a_dilation(self):
        nodes = [conv(np.ones((1, 1, 1, 1)), stride=2), conv(np.ones((1, 1, 3, 3)))]
        both = kernel_of(nodes, shapes_of(nodes, (1, 7, 7)))
        assert (both.form.kernel.shape[2:], both.form.stride, both.form.dilation) == ((3, 3), (2, 2), (2, 2))

    def test_groups_stay(self):
        rng = np.random.default_rng(0)
        nodes = [pool(2), conv(whole(rng, 4, 1, 3, 3), groups=4)]
        assert kernel_of(nodes, shapes_of(nodes, (4, 8, 8))).form.groups == 4

    def test_pools_in_a_row_are_one_pool(self):
        nodes = [pool(2), pool(2, kind="AvgPool2d"), pool(2)]
        both = kernel_of(nodes, shapes_of(nodes, (3, 8, 8)))
        assert both.pooled
        assert both.form.kernel.shape == (3, 1, 8, 8)
        assert np.all(both.form.kernel == 0.25)

    def test_scales_by_channel_go_into_the_kernel_on_both_sides(self):
        rng = np.random.default_rng(0)
        before = scale(np.array([1.0, 2.0, -1.0, 4.0])[:, None, None])
        after = scale(np.repeat([0.5, 2.0], 16).reshape(2, 4, 4), "s2")
        nodes = [before, conv(whole(rng, 2, 2, 3, 3), padding=1, groups=2), after]
        shapes = shapes_of(nodes, (4, 4, 4))
        x = rng.integers(0, 2, (5, 4, 4, 4)).astype(float)
        both = kernel_of(nodes, shapes)
        assert both.form.groups == 2
        assert np.array_equal(window_sum(both.form, x), sums(nodes, x))

    def test_border_of_a_second_padded_kernel_is_said_to_be_in_the_way(self):
        nodes = [conv(np.ones((1, 1, 3, 3)), padding=1), conv(np.ones((1, 1, 3, 3)), padding=1, name="c2")]
        assert "the padding of 'c2' cuts sums short" in kernel_of(nodes, shapes_of(nodes, (1, 5, 5)))

    def test_pool_that_leaves_a_row_out_has_no_kernel_once_the_next_pads(self):
        """17 rows are 8 pairs and one row; behind the border the kernel would read that row."""
        nodes = [pool(2), conv(np.ones((1, 1, 3, 3)), padding=1, name="c2")]
        assert isinstance(kernel_of(nodes, shapes_of(nodes, (1, 17, 17))), str)
        assert not isinstance(kernel_of(nodes, shapes_of(nodes, (1, 16, 16))), str)


@settings(max_examples=60, deadline=None)
@given(st.data(), st.integers(1, 3))
def test_matrix_gives_the_sums_of_all_nodes(data, channels):
    shape = (channels, 5, 6)
    nodes = [data.draw(windows(channels))]
    rng = np.random.default_rng(data.draw(st.integers(0, 99)))
    middle = output_shape(nodes[0], shape)
    n = int(np.prod(middle))
    nodes += [scale(whole(rng, *middle)), Node(name="f", kind="Flatten", fields={"start_dim": 0, "end_dim": -1})]
    nodes.append(Node(name="l", kind="Linear", fields={"weight": whole(rng, 4, n)}))
    x = rng.integers(0, 2, (4, *shape)).astype(float)
    assert np.array_equal(x.reshape(4, -1) @ matrix_of(nodes, shapes_of(nodes, shape)).T, sums(nodes, x))


def adding(*shape):
    """Neurons without a leak, which floats and integers compute alike: all sums are multiples of a sixteenth."""
    return nir.IF(r=np.ones(shape), v_threshold=np.full(shape, 4.03125), v_reset=np.zeros(shape))


def between(shape, *named, out):
    """A graph of nodes in a row between Input and Output."""
    nodes = {"input": nir.Input(np.array(shape)), **dict(named), "output": nir.Output(np.array(out))}
    names = list(nodes)
    return nir.NIRGraph(nodes, list(zip(names, names[1:])), type_check=False)


def nir_conv(rng, c_out, c_in, size, *, padding=0, stride=1):
    weight = rng.integers(-2, 4, (c_out, c_in, size, size)) / 4
    return nir.Conv2d(None, weight, stride, padding, 1, 1, np.zeros(c_out))


def nir_pool(size=2, kind=nir.SumPool2d):
    return kind(np.array([size, size]), np.array([size, size]), np.array([0, 0]))


def spikes_of(graph, shape, n_steps=20):
    """Spikes of ``l2`` in the floats and in the integer network, both from its first step on."""
    raster = np.random.default_rng(3).random((2, n_steps, int(np.prod(shape)))) < 0.2
    network = from_nir(graph)
    theirs = interpret(graph, {"input": raster.reshape(2, n_steps, *shape).astype(float)}).spikes["l2"]
    activity = simulate(network, Samples(inputs={"input": Events.from_dense(raster)}))
    ours = activity.spikes["l2"].to_dense()[:, network.population("l2").first_step :][:, :n_steps]
    return network, theirs.reshape(2, n_steps, -1)[:, : ours.shape[1]], ours


ROWS = {
    "pool then conv": lambda r: [("p", nir_pool()), ("c2", nir_conv(r, 4, 3, 3, padding=1))],
    "average then conv": lambda r: [("p", nir_pool(kind=nir.AvgPool2d)), ("c2", nir_conv(r, 4, 3, 3, padding=1))],
    "conv then pool": lambda r: [("c2", nir_conv(r, 4, 3, 3, padding=1)), ("p", nir_pool())],
    "pool then pool": lambda _: [("p", nir_pool()), ("q", nir_pool())],
    "pool then stride": lambda r: [("p", nir_pool()), ("c2", nir_conv(r, 4, 3, 3, padding=1, stride=2))],
    "conv then conv": lambda r: [("c2", nir_conv(r, 4, 3, 3, padding=1)), ("c3", nir_conv(r, 2, 4, 2))],
    "conv then scale": lambda r: [
        ("c2", nir_conv(r, 4, 3, 3, padding=1)),
        ("s", nir.Scale(np.repeat([1.0, 0.5, 2.0, 1.0], 64).reshape(4, 8, 8))),
    ],
}


@pytest.mark.parametrize("name", ROWS)
def test_row_between_neurons_is_one_kernel_with_the_spikes_of_the_floats(name):
    rng = np.random.default_rng(0)
    row = ROWS[name](rng)
    shape = (3, 8, 8)
    for _, node in row:
        kind, fields = (
            type(node).__name__,
            {k: v for k, v in vars(node).items() if k not in ("input_shape", "metadata")},
        )
        shape = output_shape(Node(name="n", kind=kind, fields=fields), shape)
    graph = between(
        (2, 8, 8),
        ("c1", nir_conv(rng, 3, 2, 3, padding=1)),
        ("l1", adding(3, 8, 8)),
        *row,
        ("l2", adding(*shape)),
        out=shape,
    )
    network, theirs, ours = spikes_of(graph, (2, 8, 8))
    second = network.into("l2")[0].synapses
    assert isinstance(second, Pool if name == "pool then pool" else Conv)
    assert theirs.any()
    assert np.array_equal(ours, theirs)
    if name != "conv then scale":
        assert any("folded into one kernel of" in e.what for e in network.ledger)


def test_product_without_a_kernel_is_a_matrix_that_says_why_and_what_it_costs():
    rng = np.random.default_rng(0)
    graph = between(
        (1, 6, 6),
        ("c1", nir_conv(rng, 2, 1, 3, padding=1)),
        ("l1", adding(2, 6, 6)),
        ("c2", nir_conv(rng, 2, 2, 3, padding=1)),
        ("c3", nir_conv(rng, 2, 2, 3, padding=1)),
        ("l2", adding(2, 6, 6)),
        out=(2, 6, 6),
    )
    network, theirs, ours = spikes_of(graph, (1, 6, 6))
    assert np.array_equal(ours, theirs)
    matrix = network.into("l2")[0].synapses
    assert isinstance(matrix, Dense)
    said = next(e.what for e in network.ledger if "matrix" in e.what)
    n = np.count_nonzero(matrix.weights)
    assert said == (
        "c2, c3 multiplied into one matrix of 72 x 72, because the padding of 'c3' cuts sums short that kernels would "
        f"continue at the border: {n} weights, {n / 1024:.1f} KiB at 8 bits each"
    )


def test_matrix_beyond_a_sensible_size_is_refused_with_its_cost(monkeypatch):
    monkeypatch.setattr(lowering, "_MAX_UNROLLED", 4096)
    rng = np.random.default_rng(0)
    layers = [("a", nir_conv(rng, 2, 1, 3, padding=1)), ("b", nir_conv(rng, 2, 2, 3, padding=1))]
    graph = between((1, 8, 8), *layers, ("l2", adding(2, 8, 8)), out=(2, 8, 8))
    with pytest.raises(
        NirError, match=r"matrix of 128 x 64, because the padding of 'b'.*up to 8.0 KiB.*limit is 4.0 KiB"
    ):
        from_nir(graph)


def test_scale_that_differs_within_a_channel_is_said_to_be_in_the_way():
    nodes = [conv(np.ones((1, 1, 3, 3))), scale(np.arange(9.0).reshape(1, 3, 3))]
    assert kernel_of(nodes, shapes_of(nodes, (1, 5, 5))) == "'s' scales the pixels of a channel differently"


def test_scale_of_another_shape_is_refused_with_the_shapes_that_fit():
    with pytest.raises(NirError, match=r"scale has shape \(2,\), but \(2, 4, 4\) arrives; give one factor an element"):
        output_shape(scale([1, 2]), (2, 4, 4))

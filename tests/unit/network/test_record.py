"""``Network`` and its parts: what they accept, what they refuse, and what they say about themselves."""

import dataclasses

import numpy as np
import pytest

from neurodeploy.errors import NetworkError
from neurodeploy.network import (
    Conv,
    Cuba,
    Dense,
    Input,
    LeakyIntegrator,
    Network,
    Output,
    Pool,
    Population,
    Projection,
    Sparse,
    depths,
    difference,
    n_masked,
    n_nonzero,
    n_parameters,
    synapse_shape,
)

LIF = Cuba(current_decay=4096, voltage_decay=100, threshold=64)


def chain(**changes):
    """x (2) -> a (3) -> b (1), with one output."""
    parts = {
        "inputs": (Input(name="x", shape=(2,)),),
        "populations": (
            Population(name="a", shape=(3,), model=LIF),
            Population(name="b", shape=(1,), model=LIF, first_step=2),
        ),
        "projections": (
            Projection(name="xa", source="x", target="a", synapses=Dense(weights=[[1, 0], [2, 3], [0, 0]])),
            Projection(name="ab", source="a", target="b", synapses=Dense(weights=[[4, 5, 6]])),
        ),
        "outputs": (Output(name="y", population="b"),),
    }
    return Network(**{**parts, **changes})


def projection(synapses=None, **changes):
    return Projection(
        **{"name": "p", "source": "x", "target": "a", "synapses": synapses or Dense(weights=[[1]]), **changes}
    )


class TestParameters:
    @pytest.mark.parametrize(
        ("name", "low", "high"),
        [
            ("current_decay", 0, 4096),
            ("voltage_decay", 0, 4096),
            ("threshold", 0, 2**17 - 1),
            ("bias", 1 - 2**23, 2**23 - 1),
        ],
    )
    def test_range_ends_are_accepted_and_one_beyond_is_refused(self, name, low, high):
        values = {"current_decay": 0, "voltage_decay": 0, "threshold": 0, "bias": 0}
        for value in (low, high, np.array([low, high])):
            assert np.array_equal(getattr(Cuba(**{**values, name: value}), name), value)
        for bad in (low - 1, high + 1):
            with pytest.raises(NetworkError, match=rf"{name} is {bad}, outside {low}..{high}"):
                Cuba(**{**values, name: np.array([low, bad])})

    @pytest.mark.parametrize("value", [0.5, np.array([1.0]), "7", None])
    def test_only_whole_numbers(self, value):
        with pytest.raises(NetworkError, match="threshold must hold whole numbers"):
            Cuba(current_decay=0, voltage_decay=0, threshold=value)

    def test_one_number_becomes_an_int_and_arrays_are_read_only_copies(self):
        mine = np.array([1, 2])
        model = LeakyIntegrator(current_decay=np.int64(5), voltage_decay=mine)
        mine[0] = 99
        assert type(model.current_decay) is int
        assert model.voltage_decay.tolist() == [1, 2]
        with pytest.raises(ValueError, match="read-only"):
            model.voltage_decay[0] = 1

    def test_parameter_of_another_shape_than_the_population(self):
        with pytest.raises(NetworkError, match=r"population 'p': threshold has shape \(3,\), the population \(2,\)"):
            Population(name="p", shape=(2,), model=Cuba(current_decay=0, voltage_decay=0, threshold=np.arange(3)))

    def test_shape_and_first_step_of_a_population(self):
        assert Population(name="p", shape=(2, 3, 4), model=LIF).size == 24
        for shape in ((), (0,), (1, 2, 3, 4)):
            with pytest.raises(NetworkError, match="population 'p' has shape"):
                Population(name="p", shape=shape, model=LIF)
        with pytest.raises(NetworkError, match="first_step is -1"):
            Population(name="p", shape=(1,), model=LIF, first_step=-1)


class TestSynapses:
    @pytest.mark.parametrize("weight", [-256, 255])
    def test_weights_of_nine_bits(self, weight):
        dense = Dense(weights=np.array([[weight]]))
        assert dense.weights.dtype == np.int16
        assert dense.weights[0, 0] == weight

    @pytest.mark.parametrize("weight", [-257, 256, 40000])
    def test_weights_beyond_nine_bits_are_refused(self, weight):
        with pytest.raises(NetworkError, match=r"weight"):
            Dense(weights=np.array([[weight]]))

    def test_number_of_axes(self):
        with pytest.raises(NetworkError, match="weights have 1 axes, need 2"):
            Dense(weights=np.array([1]))

    @pytest.mark.parametrize(
        ("start", "target", "message"),
        [
            ([0, 1], [0, 1], "start must rise from 0 to the number of synapses 2"),
            ([1, 2], [0, 1], "start must rise"),
            ([0, 2, 1, 2], [0, 1], "start must rise"),
            ([0, 2], [0, 3], r"target must hold 2 indices in 0\.\.2"),
            ([0, 2], [-1, 0], "target must hold 2 indices"),
            ([0, 2], [1, 1], "target must rise within each source"),
            ([0, 2], [2, 0], "target must rise within each source"),
        ],
    )
    def test_broken_sparse_lists(self, start, target, message):
        with pytest.raises(NetworkError, match=message):
            Sparse(n_target=3, start=np.array(start), target=np.array(target), weights=np.array([1, 2]))

    def test_targets_may_fall_between_sources(self):
        sparse = Sparse(n_target=3, start=np.array([0, 1, 2]), target=np.array([2, 0]), weights=np.array([1, 2]))
        assert synapse_shape(sparse) == (3, 2)

    def test_shape_of_a_convolution_is_that_of_torch(self):
        """floor((7 + 2 * 1 - 2 * (3 - 1) - 1) / 2) + 1 = 3; floor((9 + 0 - 1 - 1) / 1) + 1 = 8."""
        conv = Conv(
            weights=np.ones((4, 1, 3, 2), int),
            input_shape=(2, 7, 9),
            stride=(2, 1),
            padding=(1, 0),
            dilation=(2, 1),
            groups=2,
        )
        assert conv.output_shape == (4, 3, 8)
        assert synapse_shape(conv) == (96, 126)

    @pytest.mark.parametrize(
        ("weights", "options", "message"),
        [
            ((4, 2, 1, 1), {"input_shape": (3, 5, 5)}, "have 2 input channels a group, but input_shape"),
            ((4, 1, 1, 1), {"input_shape": (3, 5, 5), "groups": 2}, "do not divide into 2 groups"),
            ((3, 1, 1, 1), {"input_shape": (2, 5, 5), "groups": 2}, "do not divide into 2 groups"),
            ((1, 1, 6, 1), {"input_shape": (1, 5, 5)}, "gives no output"),
            ((1, 1, 1, 1), {"input_shape": (1, 5, 5), "stride": (0, 1)}, "gives no output"),
        ],
    )
    def test_impossible_convolutions(self, weights, options, message):
        with pytest.raises(NetworkError, match=message):
            Conv(weights=np.ones(weights, int), **options)

    def test_pool_is_a_grouped_convolution_with_one_weight(self):
        pool = Pool(input_shape=(3, 4, 6), kernel=(2, 3), stride=(2, 3), weight=-7)
        conv = pool.as_conv()
        assert (pool.output_shape, conv.groups) == ((3, 2, 2), 3)
        assert conv.weights.shape == (3, 1, 2, 3)
        assert np.all(conv.weights == -7)

    def test_counts_of_weights(self):
        dense = projection(Dense(weights=[[1, 0], [2, 3]]), mask=np.array([[True, True], [True, True]]))
        sparse = projection(
            Sparse(n_target=3, start=np.array([0, 2]), target=np.array([0, 1]), weights=np.array([0, 1]))
        )
        pool = projection(Pool(input_shape=(1, 2, 2), kernel=(2, 2), stride=(2, 2)))
        assert (n_parameters(dense), n_masked(dense), n_nonzero(dense)) == (4, 4, 3)
        assert (n_parameters(sparse), n_masked(sparse), n_nonzero(sparse)) == (3, 1, 1)
        assert (n_parameters(pool), n_nonzero(pool)) == (1, 1)


class TestProjection:
    @pytest.mark.parametrize("exponent", [-8, 7])
    def test_exponent_ends(self, exponent):
        assert projection(weight_exponent=exponent).weight_exponent == exponent

    @pytest.mark.parametrize(
        ("name", "value"), [("weight_exponent", -9), ("weight_exponent", 8), ("delay", -1), ("delay", 63)]
    )
    def test_exponent_and_delay_out_of_range(self, name, value):
        with pytest.raises(NetworkError, match=rf"projection 'p': {name} is {value}, outside"):
            projection(**{name: value})

    def test_exponent_is_one_number(self):
        with pytest.raises(NetworkError, match="projection 'p': weight_exponent must be one whole number"):
            projection(weight_exponent=np.array([1, 2]))

    def test_longest_delay(self):
        assert projection(delay=3).max_delay == 3
        assert projection(delay=np.array([0, 7, 2])).max_delay == 7

    def test_mask_covers_every_weight_that_is_not_zero(self):
        with pytest.raises(NetworkError, match="a weight outside the mask is not zero"):
            projection(mask=np.array([[False]]))
        with pytest.raises(NetworkError, match=r"mask has shape \(1,\)"):
            projection(mask=np.array([True]))


class TestNetwork:
    def test_sizes_shapes_depth_and_projections_by_target(self):
        net = chain()
        assert net.sizes == {"x": 2, "a": 3, "b": 1}
        assert net.shapes["a"] == (3,)
        assert net.depth == 2
        assert [p.name for p in net.into("b")] == ["ab"]
        assert net.population("b").first_step == 2

    @pytest.mark.parametrize(
        ("changes", "message"),
        [
            ({"inputs": ()}, "needs at least one input"),
            ({"outputs": ()}, "one output"),
            ({"dt": 0.0}, "dt is 0.0"),
            ({"dt": float("nan")}, "dt is nan"),
            ({"inputs": (Input(name="a", shape=(2,)),)}, "population or input name used twice: a"),
            ({"outputs": (Output(name="y", population="x"),)}, "output 'y' reads 'x', which is no population"),
            ({"projections": (projection(source="z"),)}, "projection 'p' comes from 'z'"),
            ({"projections": (projection(target="x"),)}, "projection 'p' goes to 'x', which is no population"),
            ({"projections": (projection(),)}, "projection 'p' connects 1 to 1 neurons, but 'x' has 2 and 'a' has 3"),
            (
                {"projections": (projection(Dense(weights=np.ones((3, 2), int)), delay=np.array([1, 2, 3])),)},
                r"delay has shape \(3,\)",
            ),
        ],
    )
    def test_refusals_name_the_part_and_the_value(self, changes, message):
        with pytest.raises(NetworkError, match=message):
            chain(**changes)

    def test_delay_per_weight_only_for_dense(self):
        pool = Pool(input_shape=(1, 1, 2), kernel=(1, 1), stride=(1, 1))
        with pytest.raises(NetworkError, match="delay has shape"):
            chain(
                populations=(Population(name="a", shape=(2,), model=LIF),),
                projections=(projection(pool, delay=np.zeros((2, 2), int)),),
                outputs=(Output(name="y", population="a"),),
            )

    def test_depth_counts_the_shortest_path_and_ignores_self_loops(self):
        net = chain()
        loop = projection(Dense(weights=np.ones((3, 3), int)), source="a", target="a")
        skip = projection(Dense(weights=[[1, 1]]), name="skip", source="x", target="b")
        assert depths(net.inputs, (*net.projections, loop)) == {"x": 0, "a": 1, "b": 2}
        assert depths(net.inputs, (*net.projections, skip)) == {"x": 0, "a": 1, "b": 1}

    def test_unknown_reset(self):
        with pytest.raises(NetworkError, match="reset is 'none'; known: zero, subtract"):
            Cuba(current_decay=1, voltage_decay=1, threshold=1, reset="none")

    def test_fingerprint_changes_with_every_part_but_the_ledger(self):
        net = chain()
        parts = {
            "dt": chain(dt=2e-3),
            "model": chain(populations=(net.populations[0], dataclasses.replace(net.populations[1], first_step=3))),
            "delay": chain(projections=(net.projections[0], dataclasses.replace(net.projections[1], delay=1))),
            "decoding": chain(outputs=(Output(name="y", population="b", decoding="first_spike"),)),
        }
        prints = {other.fingerprint for other in parts.values()}
        assert net.fingerprint not in prints
        assert len(prints) == len(parts)
        assert chain().fingerprint == net.fingerprint

    def test_difference_names_the_first_one(self):
        net = chain()
        other = chain(projections=(net.projections[0], dataclasses.replace(net.projections[1], delay=1)))
        assert difference(net, chain()) is None
        assert difference(net, other) == "projection 'ab' a -> b dense delay: 0 against 1"
        fewer = chain(projections=net.projections[:1])
        assert difference(net, fewer) is not None
        assert difference(fewer, net) is not None

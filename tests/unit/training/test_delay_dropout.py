"""Learned axonal delays and dropout of neurons: as slayer computes them, without its loops and hidden state."""

from __future__ import annotations

import pytest

pytestmark = pytest.mark.train
torch = pytest.importorskip("torch", reason="needs torch (extra train)")

from neurodeploy.training.model.delay_dropout import AxonalDelay, NeuronDropout


def delays(fractions, longest):
    axon = AxonalDelay(len(fractions), longest)
    with torch.no_grad():
        axon.fraction.copy_(torch.tensor(fractions))
    return axon


def test_each_neuron_is_late_by_the_whole_part_of_its_own_delay():
    axon = delays([0.0, 0.3, 0.99, 1.0], 4)
    spikes = torch.zeros(1, 4, 6)
    spikes[..., 1] = 1
    assert axon.steps().tolist() == [0, 1, 3, 4]
    assert axon(spikes).nonzero()[:, 1:].tolist() == [[0, 1], [1, 2], [2, 4], [3, 5]]


def test_spikes_delayed_beyond_the_last_step_are_lost():
    assert delays([1.0], 62)(torch.ones(2, 1, 20)).sum() == 0


def test_fractions_pushed_out_of_range_are_clamped():
    axon = delays([-3.0, 7.0], 5)
    axon(torch.zeros(1, 2, 3))
    assert axon.fraction.tolist() == [0.0, 1.0]


@pytest.mark.parametrize("shape", [(3, 7, 90), (3, 7, 2, 5, 90)])
def test_delays_and_their_gradients_are_those_of_slayer(shape):
    axons = pytest.importorskip("lava.lib.dl.slayer.axon", reason="needs lava-dl (extra slayer, Python 3.10)")
    torch.manual_seed(0)
    ours, theirs = AxonalDelay(7, 62), axons.Delay(max_delay=62)
    theirs.delay.data, theirs.init = (ours.fraction * 62).detach().clone(), True
    given = [(torch.rand(shape) < 0.3).float().requires_grad_() for _ in range(2)]
    given[1].data.copy_(given[0].data)
    out = [axon(spikes) for axon, spikes in zip((ours, theirs), given)]
    assert torch.equal(*out)
    weight = torch.randn(shape)
    for spikes in out:
        (spikes * weight).sum().backward()
    assert torch.equal(given[0].grad, given[1].grad)
    # a fraction counts `longest` steps, so that its gradient is as many times larger
    torch.testing.assert_close(ours.fraction.grad, 62 * theirs.delay.grad, rtol=1e-5, atol=1e-4)


def test_dropout_silences_whole_neurons_and_keeps_the_mean():
    torch.manual_seed(0)
    drop = NeuronDropout(0.25)
    out = drop(torch.ones(400, 50, 4))
    assert (out == out[..., :1]).all()
    assert out.unique().tolist() == [0.0, pytest.approx(4 / 3)]
    assert abs(out.mean().item() - 1) < 0.01


def test_dropout_does_nothing_in_evaluation():
    spikes = torch.rand(3, 5, 4)
    assert torch.equal(NeuronDropout(0.9).eval()(spikes), spikes)


def test_dropout_draws_follow_from_the_saved_seed_and_the_turn_alone():
    first, second = NeuronDropout(0.5), NeuronDropout(0.5)
    ones = torch.ones(9, 9, 1)
    assert not torch.equal(first(ones), second(ones))
    second.load_state_dict(first.state_dict())
    first.turn = second.turn = 7
    assert torch.equal(first(ones), second(ones))
    second.turn = 8
    assert not torch.equal(first(ones), second(ones))


def test_every_seed_draws_its_own_way_and_one_of_an_older_state_as_before():
    ones = torch.ones(9, 9, 1)
    dropouts = [NeuronDropout(0.5) for _ in range(40)]
    assert all(2**31 <= int(dropout.seed) < 2**32 for dropout in dropouts)
    draws = {tuple(dropout(ones).flatten().tolist()) for dropout in dropouts}
    assert len(draws) == len(dropouts)
    old = NeuronDropout(0.5)
    old.seed.fill_(12345)
    old.turn = 7
    generator = torch.Generator().manual_seed((12345 << 31) + 7)
    assert torch.equal(old(ones), (torch.rand(9, 9, generator=generator) >= 0.5).float()[..., None] * 2)

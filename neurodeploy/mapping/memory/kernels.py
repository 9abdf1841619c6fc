"""Memory of convolutions on chips that store shared weights once."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from neurodeploy.chip import SynapseFormat
from neurodeploy.chip.layouts import Ints, Lists, channel_runs
from neurodeploy.chip.rules import RULES, list_rule, words
from neurodeploy.mapping.memory.cut import Cut, Lists2D, sum_by
from neurodeploy.network import Conv


def shared_memory(
    conv: Conv, on: Lists2D, cut: Cut, width: int, fmt: SynapseFormat, word_bits: int, run_channels: int | None = None
) -> tuple[Ints, Ints, Ints]:
    """Return words, stored weights and shared sets of lists on each part, three arrays int64 ``(n_parts,)``.

    Where a core keeps whole kernels, each run of its channels is a set.

    Args:
        on: the unrolled synapses of the convolution as lists, by part and source.
        width: bits of a weight with its delay.
        word_bits: bits of a word of memory.
        run_channels: channels that count as one in a run; None: a core has one set, whatever its channels.
    """
    if RULES[fmt.rule].kernel_words is None:
        return _list_memory(conv, on, cut.n_parts, width, fmt, word_bits)
    sets = np.ones(cut.n_parts, np.int64)
    if run_channels is not None:
        sets = channel_runs(channels_on(conv, cut).sum(axis=1), run_channels)
    return (*_kernel_memory(conv, cut, width, fmt, word_bits), sets)


def map_entries(conv: Conv, cut: Cut, run_channels: int) -> Ints:
    """Return for each part of the source of a convolution the positions on it times the runs of their channels.

    Source: the tables that Lava's compiler for Loihi 2 printed for PilotNet, as ``hardware/loihi2.toml`` says.
    """
    channels, height, width = conv.input_shape
    n_positions = height * width
    position = np.tile(np.arange(n_positions), channels)
    there = np.bincount(cut.labels.astype(np.int64) * n_positions + position, minlength=cut.n_parts * n_positions)
    runs: Ints = channel_runs(there.reshape(cut.n_parts, n_positions), run_channels).sum(axis=1)
    return runs


def _kernel_memory(conv: Conv, cut: Cut, width: int, fmt: SynapseFormat, word_bits: int) -> tuple[Ints, Ints]:
    """Return words and stored weights on each part if a core keeps the whole kernels of its output channels (Loihi 2).

    Neither depends on the number of positions on the core.
    """
    here = channels_on(conv, cut)
    taps = int(np.prod(conv.weights.shape[1:]))
    by_group = here.reshape(cut.n_parts, conv.groups, -1).sum(axis=2)
    kernel_words = RULES[fmt.rule].kernel_words
    assert kernel_words is not None, f"rule '{fmt.rule}' stores no whole kernels"
    one = np.array([kernel_words(n, width, fmt, word_bits) for n in range(by_group.max() + 1)])
    return taps * one[by_group].sum(axis=1), taps * here.sum(axis=1)


def channels_on(conv: Conv, cut: Cut) -> NDArray[np.bool_]:
    """Return for each part which output channels of a convolution have a neuron on it, bool ``(n_parts, c_out)``."""
    c_out, height, width = conv.output_shape
    present = np.zeros((cut.n_parts, c_out), np.bool_)
    present[cut.labels, np.repeat(np.arange(c_out), height * width)] = True
    return present


def _list_memory(
    conv: Conv, on: Lists2D, n_parts: int, width: int, fmt: SynapseFormat, word_bits: int
) -> tuple[Ints, Ints, Ints]:
    """Return words, stored weights and number of sets of lists on each part if positions share their lists (Loihi 1, NxTF).

    The source neurons of one input position form a group. Groups whose lists are equal up to a shift of all indices share
    one set of lists. A set takes as many words for each of its sources as for the source with the largest list.
    """
    n_positions = conv.input_shape[1] * conv.input_shape[2]
    channel, position = np.divmod(on.source.astype(np.int64), n_positions)
    _, group = np.unique(on.part * n_positions + position, return_inverse=True)
    base = np.full(group.max(initial=-1) + 1, np.iinfo(np.int64).max)
    np.minimum.at(base, group[on.lists.owner], on.lists.local)
    shifted = Lists(on.lists.owner, on.lists.local - base[group[on.lists.owner]], on.lists.n_lists)
    kept = _first_of_each_pattern(on, shifted, channel, group)
    layout = list_rule(fmt)(shifted, width, fmt)
    largest = np.zeros(base.size, np.int64)
    np.maximum.at(largest, group, words(fmt, layout.bits, word_bits))
    part_of_group = np.zeros(base.size, np.int64)
    part_of_group[group] = on.part
    return (
        sum_by(on.part, np.where(kept[group], largest[group], 0), n_parts),
        sum_by(on.part, np.where(kept[group], layout.stored, 0), n_parts),
        np.bincount(part_of_group[kept], minlength=n_parts),
    )


def _first_of_each_pattern(on: Lists2D, shifted: Lists, channel: Ints, group: Ints) -> NDArray[np.bool_]:
    """Return which groups are the first on their part with their pattern of channels, shifted indices and weights.

    Patterns are compared by the sum of a 64-bit hash over their synapses.
    """
    synapse = (channel[shifted.owner] << 40) | (shifted.local << 16) | (on.weight.astype(np.int64) & 0xFFFF)
    n_groups = int(group.max(initial=-1)) + 1
    pattern = np.zeros(n_groups, np.uint64)
    np.add.at(pattern, group[shifted.owner], _mixed(synapse.astype(np.uint64)))
    part = np.zeros(n_groups, np.uint64)
    part[group] = on.part
    kept = np.zeros(n_groups, np.bool_)
    kept[np.unique(np.stack([part, pattern]), axis=1, return_index=True)[1]] = True
    return kept


def _mixed(values: NDArray[np.uint64]) -> NDArray[np.uint64]:
    """Return a 64-bit hash of each value: the finaliser of SplitMix64 (Steele et al. 2014)."""
    mixed = values + np.uint64(0x9E3779B97F4A7C15)
    mixed = (mixed ^ (mixed >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
    mixed = (mixed ^ (mixed >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
    return mixed ^ (mixed >> np.uint64(31))

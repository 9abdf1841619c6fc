"""The stored synapses of a projection, and the width in which a chip stores their weights."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from neurodeploy.chip import Chip, SynapseFormat
from neurodeploy.chip.rules import RULES
from neurodeploy.errors import FitError
from neurodeploy.network import DELAY_MAX, Conv, Delta, Network, Pool, Projection, Sparse, synapse_shape
from neurodeploy.network.unrolled import entries


@dataclass(frozen=True, slots=True, eq=False)
class Matrix:
    """Stored synapses, sorted by source and then target; each array has the shape ``(n_synapses,)``."""

    source: NDArray[np.int32]
    target: NDArray[np.int32]
    weight: NDArray[np.int16]
    n_source: int
    n_target: int

    def onto(self, by_target: ByTarget, start: int, stop: int) -> Matrix:
        """Return the synapses onto the targets from ``start`` to ``stop``, numbered from 0."""
        kept = np.sort(by_target.synapse[by_target.start[start] : by_target.start[stop]])
        target = self.target[kept] - np.int32(start)
        return Matrix(self.source[kept], target, self.weight[kept], self.n_source, stop - start)


@dataclass(frozen=True, slots=True, eq=False)
class ByTarget:
    """The synapses of a matrix by target: the synapses ``synapse[start[j]:start[j + 1]]`` end at target ``j``."""

    synapse: NDArray[np.int64]
    start: NDArray[np.int64]

    @staticmethod
    def of(matrix: Matrix) -> ByTarget:
        """Return the synapses of a matrix by target."""
        count = np.bincount(matrix.target, minlength=matrix.n_target)
        return ByTarget(np.argsort(matrix.target, kind="stable"), np.concatenate([[0], np.cumsum(count)]))


def matrix_of(projection: Projection, *, zeros: bool = False) -> Matrix:
    """Return the stored synapses of a projection: the ones with non-zero weight, or all of them if ``zeros`` is set.

    Convolutions and pools are unrolled: one synapse for each position and tap.
    """
    synapses = projection.synapses
    n_target, n_source = synapse_shape(synapses)
    source, target, weight = entries(synapses, zeros=zeros)
    if isinstance(synapses, Conv | Pool):
        order = np.argsort(source * np.int64(n_target) + target, kind="stable")  # each tap is sorted already
        source, target, weight = source[order], target[order], weight[order]
    return Matrix(source.astype(np.int32), target.astype(np.int32), weight.astype(np.int16), n_source, n_target)


def weights_of(projection: Projection) -> NDArray[np.int16]:
    """Return the weights of a projection, each kernel's once, zeros included: int16, flat."""
    synapses = projection.synapses
    return np.ravel(np.int16(synapses.weight) if isinstance(synapses, Pool) else synapses.weights)


def conv_of(projection: Projection) -> Conv | None:
    """Return the shared kernels of a convolution or pool, None for a matrix."""
    synapses = projection.synapses
    if isinstance(synapses, Pool):
        return synapses.as_conv()
    return synapses if isinstance(synapses, Conv) else None


def joins_encoder(network: Network, projection: Projection) -> bool:
    """Return whether a projection only joins each value with the delta neuron of the same number, which encodes it.

    Its synapses take memory, but they are wires: no weights that a network without spikes would have.
    """
    synapses = projection.synapses
    if not isinstance(synapses, Sparse) or not isinstance(network.population(projection.target).model, Delta):
        return False
    one_each = np.arange(synapses.start.size)
    return np.array_equal(synapses.start, one_each) and np.array_equal(synapses.target, one_each[:-1])


def needed_bits(weights: NDArray[np.int16], *, shared_sign: bool, drops_common_power: bool) -> int:
    """Return the bits that each weight needs, as Lava's ``optimize_weight_bits`` computes them.

    With ``drops_common_power`` a power of two that divides all weights is not stored. Weights of both signs are stored in
    two's complement. With ``shared_sign`` weights of one sign need no sign bit, zeros included: excitatory ones lie in
    ``0..2**b - 1``, inhibitory ones in ``-(2**b - 1)..0``. 1 where all are 0 (Lava: 0). Lava refuses -256 among inhibitory
    weights; here they take the width that they have there as weights of both signs. 255 beside a negative weight takes 9
    bits, where Lava counts 10; no chip stores either.

    >>> needed_bits(np.array([-256, 254], np.int16), shared_sign=True, drops_common_power=True)
    8
    >>> needed_bits(np.array([-255, -1], np.int16), shared_sign=True, drops_common_power=True)
    8
    """
    values = weights.astype(np.int64)
    low, high = int(values.min(initial=0)), int(values.max(initial=0))
    if low == high == 0:
        return 1
    power = int(np.bitwise_or.reduce(np.abs(values), axis=None))
    shift = (power & -power).bit_length() - 1 if drops_common_power else 0
    low, high = low >> shift, high >> shift
    if shared_sign and (low == 0 or high == 0):
        return max(high, -low).bit_length()
    return 1 + max(high.bit_length(), (-low - 1).bit_length() if low < 0 else 0)


def common_factor(network: Network, population: str) -> int:
    """Return the largest number that divides all weights into a population, 1 if there are none but 0.

    Divided by it, weights and thresholds give the same spikes: exactly for neurons that integrate without a leak, whose
    voltages are multiples of it; a leak rounds in other units then. Biases are not looked at.
    """
    kinds = (p.synapses for p in network.into(population))
    weights = (np.ravel(s.weight if isinstance(s, Pool) else s.weights) for s in kinds)
    return math.gcd(*(int(np.gcd.reduce(w)) for w in weights)) or 1


def stored_bits(
    network: Network,
    projection: Projection,
    weights: NDArray[np.int16],
    fmt: SynapseFormat,
    chip: Chip,
    wanted: int | None = None,
) -> int:
    """Return the bits of a weight as the chip stores it: the smallest allowed width that holds all weights.

    A chip whose weights have an exponent takes a common power of two out of each projection
    (``Weights.drops_common_power``). On others the factor that is common to all weights of a neuron (``common_factor``) goes
    into its threshold.

    Args:
        wanted: use this one of the chip's widths instead.

    Raises:
        FitError: if no width of the chip, or not the wanted width, holds the weights.
    """
    own_bits = RULES[fmt.rule].own_bits
    if own_bits is not None:
        needed, allowed = own_bits(weights), list(range(1, 17))
    else:
        shifts = chip.weights.drops_common_power
        own = weights if shifts else weights // np.int16(common_factor(network, projection.target))
        needed = needed_bits(own, shared_sign=chip.weights.shared_sign, drops_common_power=shifts)
        allowed = list(chip.weights.bits.value)
    enough = [bits for bits in allowed if bits >= needed and (wanted is None or bits == wanted)]
    if not enough:
        limit = max(chip.weights.bits.value) if wanted is None else wanted
        allows = f"chip '{chip.name}' stores at most {limit} ({chip.source_file}: weights.bits)"
        allows = allows if wanted is None else f"{limit} are pinned"
        common = "a common power of two" if chip.weights.drops_common_power else "a common factor"
        raise FitError(
            f"map: layer '{projection.target}': projection '{projection.name}' needs {needed} bits a weight, but {allows}; "
            f"its weights are {_range(weights)}; with both signs {limit} bits hold {-(2 ** (limit - 1))}.."
            f"{2 ** (limit - 1) - 1} times {common}: quantise to fewer levels",
            {"layer": projection.target, "core": 0, "resource": "weight_bits", "used": needed, "limit": limit},
        )
    return min(enough)


def _range(weights: NDArray[np.int16]) -> str:
    """Return the smallest and the largest weight in words, and the odd weight furthest from 0, which takes the most bits."""
    odd = weights[weights % 2 != 0]
    shown = f"{weights.min()}..{weights.max()}"
    return f"{shown}, odd ones up to {odd[np.abs(odd.astype(np.int32)).argmax()]}" if odd.size else shown


def delay_bits(projection: Projection, chip: Chip) -> int:
    """Return the bits of the delay that is stored with each synapse of a projection, 0 without delays.

    Raises:
        FitError: if the chip stores no delays, or only shorter delays.
    """
    needed = projection.max_delay.bit_length()
    if needed and chip.weights.delay_bits is None:
        raise FitError(
            f"map: projection '{projection.name}' has delays up to {projection.max_delay} steps, but {chip.source_file} "
            f"does not say how chip '{chip.name}' stores delays (weights.delay_bits is not there); remove the delays, use "
            f"another chip, or {_with_relays(0)}"
        )
    limit = chip.weights.delay_bits.value if chip.weights.delay_bits else 0
    if needed > limit:
        raise FitError(
            f"map: projection '{projection.name}' has delays up to {projection.max_delay} steps, which take {needed} "
            f"bits, but chip '{chip.name}' has {limit} ({chip.source_file}: weights.delay_bits); shorten the delays, or "
            f"{_with_relays(2**limit - 1)}",
            {"layer": projection.target, "core": 0, "resource": "delay_bits", "used": needed, "limit": limit},
        )
    return needed


def _with_relays(most: int) -> str:
    """Return in words how relay neurons take delays beyond ``most`` steps."""
    most = min(most, DELAY_MAX)
    command = f"neurodeploy export FILE --max-delay {most} --out NEW"
    return f"put relay neurons in: {command} (in Python with_relays(network, {most}))"

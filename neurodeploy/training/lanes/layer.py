"""``Layer``: synapses and CUBA neurons over lanes; spikes in, spikes out, and errors back.

``Driven`` has the neurons alone: their sums are given, as those of payloads are, which synapses of other kinds make. A layer
keeps one float32 number for each neuron and lane: the voltage after the forward pass, which the reverse pass replaces by the
error. The array is used again for the next batch of the same span.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from neurodeploy.engines.event.storage import aligned
from neurodeploy.engines.lanes.neurons import arithmetic, exact_gain, neurons_of
from neurodeploy.engines.lanes.spikes import Span, Spikes
from neurodeploy.engines.lanes.team import ALONE, Team
from neurodeploy.engines.lanes.through import FEW, respond_to_drive
from neurodeploy.engines.lanes.wiring import Side
from neurodeploy.errors import TrainingError
from neurodeploy.network import Cuba
from neurodeploy.training.lanes.gradients import BLOCK, pass_back
from neurodeploy.training.lanes.recurrent import respond_recurrently, return_back
from neurodeploy.training.lanes.reverse import Leaks, dropped, leaks_of, slopes, surrogate_of, to_drive
from neurodeploy.training.lanes.synapses import Synapses

Floats = NDArray[np.float32]
_NO_FLOATS = np.zeros(0, np.float32)
_NO_PLACES = np.zeros(0, np.int32)
_NO_SIDE: Side = np.zeros(0, np.int64), np.zeros(1, np.int64), _NO_PLACES, _NO_PLACES, _NO_PLACES, _NO_FLOATS
_NO_EVENTS = np.zeros(1, np.int64), np.zeros(0, np.uint16), np.zeros(0, np.int32)


@dataclass(frozen=True, slots=True, eq=False)
class Kept:
    """Dropout between two layers: channels and samples that stay, bool ``(channels, batch)``; their spikes count more."""

    stays: NDArray[np.bool_]
    gain: float


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Gradients:
    """Gradients of the stored weights of a layer, None where it has none that learn."""

    weights: Floats | None
    recurrent: Floats | None


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class _Into:
    """Connections into neurons that get gradients in a reverse pass; by default none.

    ``stored``: as ``pass_back`` takes them. ``most``: length of the longest list into a neuron. ``in_blocks``: channels that
    come in, where gradients are computed in blocks.
    """

    stored: tuple[Side, tuple[NDArray[Any], ...], NDArray[Any]] = (_NO_SIDE, _NO_EVENTS, _NO_FLOATS)
    most: int = 0
    in_blocks: int = 0


class _Cells:
    """CUBA neurons of a layer over lanes, with what they keep of a pass.

    Args:
        n: number of neurons.
        model: the neurons; parameters are one number or one for each.
        tau, scale: width and size of the surrogate gradient in slayer's float units.
        team: threads that share the work.
    """

    def __init__(self, n: int, model: Cuba, tau: float, scale: float, team: Team) -> None:
        self.size = n
        self.neurons = neurons_of(model, n)
        self.surrogate = surrogate_of(self.neurons, tau, scale)
        self.peak = 0.0
        self._leaks = leaks_of(self.neurons, self.surrogate)
        self._team = team
        self._sent: Spikes | None = None
        self._rows: tuple[Span, Floats] | None = None

    @property
    def errors(self) -> Floats:
        """The errors of the last reverse pass: gradients of the sums, ``(neurons, stride)``."""
        assert self._rows is not None, "errors follow a pass"
        return self._rows[1]

    @property
    def sent(self) -> Spikes:
        """The spikes of the neurons in the last pass."""
        assert self._sent is not None, "spikes follow a pass"
        return self._sent

    def _pass_back(self, behind: Floats | Layer, kept: Kept | None, parts: Sequence[range], into: _Into) -> None:
        """Replace voltages by errors, and add the gradients of the connections into the neurons to those of ``into``."""
        span, flat = self.sent.span, self.errors.reshape(-1)
        lanes, leaks, behind_it = (
            (span.stride, span.padded, span.n_steps),
            self._leaks_behind(kept),
            _Behind(behind, span),
        )
        ways = behind_it.way == "rows", behind_it.way == "tiles", into.in_blocks > 0

        def work(part: range) -> None:
            lists = np.empty(into.most, np.int32), np.empty(into.most, np.int32)
            beside = aligned(span.stride * BLOCK if into.in_blocks else 0, np.float32)
            block = aligned(into.in_blocks * BLOCK, np.float32)
            next_lists, made, tiles = behind_it.rooms(part)
            rooms = lists, next_lists, made, beside, block, tiles
            for first, stop, gradient in behind_it.parts(part):
                pass_back(first, stop, lanes, (flat, leaks), gradient, into.stored, rooms, ways)

        self._team.each(work, parts)

    def _leaks_behind(self, kept: Kept | None) -> Leaks:
        """Return what the reverse pass needs behind dropout, or without any."""
        return self._leaks if kept is None else dropped(self._leaks, self.sent.span.bits_of_step(kept.stays), kept.gain)

    def _voltage(self, span: Span) -> Floats:
        if self._rows is None or self._rows[0] != span:
            self._rows = span, span.rows(self.size, np.float32)
        return self._rows[1]


class Driven(_Cells):
    """CUBA neurons whose sums are given, at the head of a chain.

    ``peak`` is the largest current or voltage of the last pass, in state units.
    """

    def __init__(self, n: int, model: Cuba, *, tau: float = 1.0, scale: float = 1.0, team: Team = ALONE) -> None:
        super().__init__(n, model, tau, scale, team)
        self._held = False

    def forward(self, drive: Floats, n_steps: int) -> Spikes:
        """Return the spikes of the neurons.

        Args:
            drive: sums of the arriving weights in slayer's float units, whole numbers of weight units, float32 ``(batch,
                neurons, n_steps)``, or ``(batch, neurons, 1)`` where they are the same in every step.
            n_steps: number of steps.
        """
        span, flat = Span(n_steps, len(drive)), np.ascontiguousarray(drive).reshape(-1)
        voltage, bits = self._voltage(span), np.zeros((self.size, span.width // 64), np.uint64)
        factor, right = arithmetic(0)
        to = voltage.reshape(-1), bits.view(np.uint16).reshape(-1), bits.shape[1] * 4
        lanes = span.stride, span.padded, span.batch, span.n_steps
        peaks = [0.0]

        def run(part: range) -> None:
            sums = aligned(FEW * span.stride, np.int32)
            taken = flat, self.size, drive.shape[-1]
            peaks.append(respond_to_drive(taken, part.start, part.stop, lanes, sums, (self.neurons, factor, right), to))

        self._team.each(run, _shared(self.size, self._team.threads))
        self.peak, self._held = max(peaks), drive.shape[-1] != n_steps
        self._sent = Spikes(span, self.size, bits)
        return self._sent

    def backward(self, behind: Floats | Layer, kept: Kept | None = None) -> Gradients:
        """Keep the ``errors``, as ``Layer.backward``; there are no weights to return the gradients of."""
        self._pass_back(behind, kept, _shared(self.size, self._team.threads), _Into())
        return Gradients(weights=None, recurrent=None)

    def drive_gradient(self) -> Floats:
        """Return the gradient of the sums in the shape they were given in, after a reverse pass.

        That of sums which are the same in every step is added up from the first step to the last.
        """
        span, held = self.sent.span, self._held
        out = np.empty((span.batch, self.size, 1 if held else span.n_steps), np.float32)
        lanes, flat = (span.stride, span.padded, span.batch, span.n_steps), self.errors.reshape(-1)
        parts = _shared(self.size, self._team.threads)
        self._team.each(
            lambda part: to_drive(flat, lanes, part.start, part.stop, self.size, held, out.reshape(-1)), parts
        )
        return out


class Layer(_Cells):
    """CUBA neurons behind synapses.

    Args:
        synapses: connections into the layer.
        model: the neurons; parameters are one number or one for each.
        tau, scale: width and size of the surrogate gradient in slayer's float units.
        recurrent: connections from the layer to itself, which take one step, on the same grid as ``synapses``.
        learns: whether the weights get gradients (those of a pooling layer do not).
        team: threads that share the work.

    ``peak`` is the largest current or voltage of the last pass, in state units.
    """

    def __init__(
        self,
        synapses: Synapses,
        model: Cuba,
        *,
        tau: float = 1.0,
        scale: float = 1.0,
        recurrent: Synapses | None = None,
        learns: bool = True,
        team: Team = ALONE,
    ) -> None:
        n = synapses.wiring.n_targets
        super().__init__(n, model, tau, scale, team)
        self.synapses, self.recurrent, self.learns = synapses, recurrent, learns
        self.gain = 1.0
        self._given: Spikes | None = None
        if recurrent is not None:
            _check_recurrent(synapses, recurrent, n)

    @property
    def given(self) -> Spikes:
        """The spikes that came in at the last pass."""
        assert self._given is not None, "spikes follow a pass"
        return self._given

    def forward(self, spikes: Spikes, gain: float = 1.0) -> Spikes:
        """Return the spikes of the neurons; each arriving spike counts ``gain`` times (dropout before the layer).

        Raises:
            TrainingError: for a gain with which sums are no whole numbers of state units, or in a recurrent layer.
        """
        self._check_gain(gain)
        span = spikes.span
        voltage = self._voltage(span)
        bits = np.zeros((self.size, span.width // 64), np.uint64)
        if self.recurrent is None:
            self.peak = self.synapses.respond(spikes, self.neurons, bits, voltage, gain)
        else:
            exponent = self.synapses.exponent + int(np.log2(self.synapses.step))
            sums, side = self.synapses.sums(spikes), self.recurrent.whole_side
            peaks = [0.0]

            def run(part: int) -> None:
                peaks.append(respond_recurrently(sums, side, self.neurons, span, exponent, part, bits, voltage))

            self._team.each(run, range(span.padded // 16))
            self.peak = max(peaks)
        self._given, self._sent, self.gain = spikes, Spikes(span, self.size, bits), gain
        return self._sent

    def backward(self, behind: Floats | Layer, kept: Kept | None = None) -> Gradients:
        """Return the gradients of the weights, and keep the ``errors`` for the layer before.

        The voltages are gone afterwards: a second reverse pass needs another forward pass.

        Args:
            behind: gradient of the spikes of the last forward pass, float32 ``(neurons, stride)``, 0 where there is no
                sample; or the layer that took them, after its own reverse pass.
            kept: dropout between the layers, whose gain and samples ``behind`` does not know yet; not for recurrent neurons,
                which reach each other.
        """
        given, errors = self.given, self.errors
        if self.recurrent is None:
            return Gradients(weights=self._reverse(behind, kept), recurrent=None)
        assert kept is None, "the gradient behind dropout is made whole for recurrent neurons"
        span = given.span
        gradient = behind.spread() if isinstance(behind, Layer) else behind
        slopes(errors, self.surrogate, span, errors)
        side = self.recurrent.float_side
        self._team.each(lambda part: return_back(errors, gradient, side, span, part), range(span.padded // 16))
        again = self.recurrent.gradient(self.sent.delayed(1), errors)
        return Gradients(weights=self.synapses.gradient(given, errors) if self.learns else None, recurrent=again)

    def spread(self) -> Floats:
        """Return the gradient of the spikes that came in, ``(channels, stride)``, after a reverse pass."""
        span = self.given.span
        out: Floats = span.rows(self.synapses.wiring.n_sources, np.float32)
        self.synapses.spread(self.errors, span, out)
        if self.gain != 1:
            out *= np.float32(self.gain)
        return out

    def _reverse(self, behind: Floats | Layer, kept: Kept | None) -> Floats | None:
        """Replace voltages by errors and return the gradient of the weights."""
        synapses, given, parts = self.synapses, self.given, self.synapses.parts(self._team.threads)
        if not self.learns:
            self._pass_back(behind, kept, parts, _Into())
            return None
        blocks = synapses.way_of_gradient(given, self.errors) == "blocks"
        if blocks and synapses.wiring.geometry is not None:  # blocks of a convolution need the errors of whole channels
            self._pass_back(behind, kept, parts, _Into())
            return self._gained(synapses.gradient(given, self.errors))
        rows, weights = given.by_row, synapses.no_gradient()
        stored = synapses.wiring.into, (rows.start, rows.lane, rows.value), weights
        in_blocks = given.size if blocks else 0
        self._pass_back(behind, kept, parts, _Into(stored=stored, most=synapses.wiring.most[0], in_blocks=in_blocks))
        return self._gained(synapses.passed(weights))

    def _gained(self, weights: Floats) -> Floats:
        if self.gain != 1:
            weights *= np.float32(self.gain)
        return weights

    def _check_gain(self, gain: float) -> None:
        exponent = self.synapses.exponent + int(np.log2(self.synapses.step))
        if not exact_gain(gain, exponent) or (gain != 1 and self.recurrent is not None):
            raise TrainingError(
                f"lanes: spikes that count {gain} times make sums that are not whole; use dense synapses"
            )


class _Behind:
    """The gradient of a layer's spikes, given whole or made from the layer that took them: all at once or part by part."""

    def __init__(self, behind: Floats | Layer, span: Span) -> None:
        self._span, self._layer = span, behind if isinstance(behind, Layer) else None
        self._whole = _NO_FLOATS if isinstance(behind, Layer) else behind.reshape(-1)
        self.way = "" if self._layer is None else self._layer.synapses.way_of_spread(self._layer.errors, span)

    def rooms(self, part: range) -> tuple[tuple[NDArray[np.int32], Floats], Floats, tuple[Floats, Floats]]:
        """Return what ``pass_back`` needs to make gradients: lists of targets and 16 rows, or rooms of tiles."""
        none = (np.empty(0, np.int32), _NO_FLOATS), _NO_FLOATS, (_NO_FLOATS, _NO_FLOATS)
        if self._layer is None or self.way == "dense":
            return none
        synapses, span = self._layer.synapses, self._span
        if self.way == "tiles":
            return *none[:2], synapses.tile_rooms(span, len(part))
        most = synapses.wiring.most[1]
        lists = np.empty(most, np.int32), np.empty(most, np.float32)
        return lists, aligned(BLOCK * span.stride, np.float32), none[2]

    def parts(self, neurons: range) -> Iterator[tuple[int, int, tuple[Floats, int, Side, Floats, int]]]:
        """Yield first and last neuron of each part with what ``pass_back`` takes as ``behind``."""
        layer = self._layer
        if layer is None:
            yield neurons.start, neurons.stop, (self._whole, 0, _NO_SIDE, _NO_FLOATS, 0)
            return
        of_next = layer.synapses.side_of(self.way), layer.errors.reshape(-1), layer.size
        if self.way != "dense":
            yield neurons.start, neurons.stop, (self._whole, 0, *of_next)
            return
        size = layer.synapses.rows_at_once(self._span)
        room: Floats = self._span.rows(min(size, len(neurons)), np.float32)
        for first in range(neurons.start, neurons.stop, size):
            part = range(first, min(neurons.stop, first + size))
            layer.synapses.spread_part(self.way, layer.errors, self._span, part, room)
            yield part.start, part.stop, (room.reshape(-1), first, *of_next)


def _shared(n: int, threads: int) -> list[range]:
    """Return ``n`` neurons in one part a thread; parts begin at multiples of a block."""
    size = -(-n // (threads * BLOCK)) * BLOCK
    return [range(first, min(n, first + size)) for first in range(0, n, size)]


def _check_recurrent(synapses: Synapses, recurrent: Synapses, n: int) -> None:
    if recurrent.wiring.shape != (n, n):
        raise TrainingError(
            f"lanes: the recurrent connections have shape {recurrent.wiring.shape}, the layer {n} neurons"
        )
    if (recurrent.step, recurrent.exponent) != (synapses.step, synapses.exponent):
        raise TrainingError("lanes: recurrent connections need the weight step and exponent of those into the layer")

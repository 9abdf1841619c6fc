"""Products of nodes without state that follow each other: one kernel where the product is a convolution, else one matrix.

Two windows in a row sum over a window again. With the outputs ``y[j] = sum_t K1[t] x[s1 j + d1 t - p1]`` of the first, the
second gives ``sum_u sum_t K2[u] K1[t] x[s1 s2 j + (s1 d2 u + d1 t) - (s1 p2 + p1)]``: strides multiply, and each tap of the
second is repeated as the first says. A pooling of 2 x 2 before a kernel of 3 x 3 is a kernel of 6 x 6 with stride 2.

This holds in the middle of an image. At its border the second window pads with zeros, which are sums that the first does not
compute. Where such a sum would read pixels of the image, the product depends on the position and no kernel holds it.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from itertools import product
from math import gcd
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from neurodeploy.exchange.nir.graph import Node
from neurodeploy.exchange.nir.neurons import Floats
from neurodeploy.exchange.nir.ops import MIXING_KINDS, Window, apply, number_field, scale_of, window
from neurodeploy.network import Shape

if TYPE_CHECKING:
    from neurodeploy.exchange.nir.sparse_matrix import SparseMatrix

WINDOW_KINDS = ("Conv1d", "Conv2d", "SumPool2d", "AvgPool2d")


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Kernel:
    """Nodes as one window; ``pooled`` if each channel is summed with one weight; ``nodes`` names those folded in."""

    form: Window
    pooled: bool
    nodes: tuple[str, ...]


def kernel_of(nodes: Sequence[Node], shapes: Sequence[Shape]) -> Kernel | str:
    """Return the nodes of a path as one window, or in words why no window holds them ("" where they are no windows).

    Args:
        nodes: nodes without state, in the direction of the spikes.
        shapes: of the signal before each node and after the last.
    """
    found: Kernel | None = None
    before: Floats | None = None
    scales: list[str] = []
    for node, shape in zip(nodes, shapes):
        if node.kind == "Scale":
            scale = np.broadcast_to(scale_of(node, shape), shape).reshape(-1)
            if found is None:
                before = scale if before is None else before * scale
                scales.append(node.name)
                continue
            by_channel = _by_channel(scale, found.form.output_shape[0])
            if by_channel is None:
                return f"'{node.name}' scales the pixels of a channel differently"
            kernel = found.form.kernel * by_channel[:, None, None, None]
            found = _joined(found, replace(found.form, kernel=kernel), found.pooled, node)
        elif node.kind in WINDOW_KINDS:
            own = window(node, shape)
            pooled = node.kind.endswith("Pool2d")
            if found is not None:
                if found.form.output_shape != own.input_shape:
                    return ""
                both = folded(found.form, own)
                if both is None:
                    return f"the padding of '{node.name}' cuts sums short that kernels would continue at the border"
                found = _joined(found, both, found.pooled and pooled, node)
                continue
            found = Kernel(form=own, pooled=pooled, nodes=(node.name,))
            if before is not None:
                by_channel = _by_channel(before, own.input_shape[0])
                if by_channel is None:
                    return "the pixels of a channel are scaled differently"
                scaled = replace(own, kernel=_scaled_inputs(own, by_channel))
                found = Kernel(form=scaled, pooled=pooled and _uniform(scaled.kernel), nodes=(*scales, node.name))
        elif node.kind in MIXING_KINDS:
            return ""
    return _one_to_one(nodes, shapes[0], before) if found is None else found


def _one_to_one(nodes: Sequence[Node], shape: Shape, scale: Floats | None) -> Kernel | str:
    """Return a path that adds nothing up as a kernel of one tap for each channel of an image."""
    if len(shape) != 3:
        return ""
    by_channel = np.ones(shape[0]) if scale is None else _by_channel(scale, shape[0])
    if by_channel is None:
        return "the pixels of a channel are scaled differently"
    form = Window(
        kernel=by_channel[:, None, None, None],
        input_shape=(shape[0], shape[1], shape[2]),
        stride=(1, 1),
        padding=(0, 0),
        dilation=(1, 1),
        groups=shape[0],
    )
    return Kernel(form=form, pooled=False, nodes=tuple(node.name for node in nodes if node.kind == "Scale"))


def _joined(found: Kernel, form: Window, pooled: bool, node: Node) -> Kernel:
    return Kernel(form=form, pooled=pooled and _uniform(form.kernel), nodes=(*found.nodes, node.name))


def _uniform(kernel: Floats) -> bool:
    return bool(np.all(kernel == kernel.flat[0]))


def _by_channel(scale: Floats, channels: int) -> Floats | None:
    """Return the scale of each channel, or None if it differs within one."""
    rows = scale.reshape(channels, -1)
    return rows[:, 0] if np.all(rows == rows[:, :1]) else None


def _scaled_inputs(form: Window, scale: Floats) -> Floats:
    """Return the kernel with the weights from each input channel times its scale."""
    own = form.kernel.reshape(form.groups, -1, *form.kernel.shape[1:])
    by_group = scale.reshape(form.groups, 1, -1, 1, 1)
    return np.asarray((own * by_group).reshape(form.kernel.shape))


def folded(first: Window, second: Window) -> Window | None:
    """Return two windows in a row as one, or None where the product is no convolution (the border, see above)."""
    if not all(_border_is_zero(first, second, axis) for axis in (0, 1)):
        return None
    groups = gcd(first.groups, second.groups)
    one, two = _in_groups(first, groups), _in_groups(second, groups)
    offsets = [
        [
            first.stride[axis] * second.dilation[axis] * u + first.dilation[axis] * t
            for u in range(two.shape[3 + axis])
            for t in range(one.shape[3 + axis])
        ]
        for axis in (0, 1)
    ]
    dilation = [max(gcd(*own), 1) for own in offsets]
    height, width = (max(own) // dil + 1 for own, dil in zip(offsets, dilation))
    kernel = np.zeros((groups, two.shape[1], one.shape[2], height, width))
    shape_one, shape_two = one.shape[3:], two.shape[3:]
    for (u_y, u_x), (t_y, t_x) in product(np.ndindex(shape_two), np.ndindex(shape_one)):
        y = offsets[0][u_y * shape_one[0] + t_y] // dilation[0]
        x = offsets[1][u_x * shape_one[1] + t_x] // dilation[1]
        kernel[..., y, x] += two[..., u_y, u_x] @ one[..., t_y, t_x]
    padding = [s * p2 + p1 for s, p2, p1 in zip(first.stride, second.padding, first.padding)]
    return Window(
        kernel=kernel.reshape(-1, *kernel.shape[2:]),
        input_shape=first.input_shape,
        stride=(first.stride[0] * second.stride[0], first.stride[1] * second.stride[1]),
        padding=(padding[0], padding[1]),
        dilation=(dilation[0], dilation[1]),
        groups=groups,
    )


def _border_is_zero(first: Window, second: Window, axis: int) -> bool:
    """Return whether the sums of ``first`` outside of its output, where ``second`` pads with zeros, read no pixel."""
    n_in, n_middle = first.input_shape[1 + axis], first.output_shape[1 + axis]
    n_out = second.output_shape[1 + axis]
    taps_one, taps_two = (_used(w.kernel, 2 + axis) for w in (first, second))
    at = second.stride[axis] * np.arange(n_out)[:, None] + second.dilation[axis] * taps_two - second.padding[axis]
    outside = at[(at < 0) | (at >= n_middle)]
    read = first.stride[axis] * outside[:, None] + first.dilation[axis] * taps_one - first.padding[axis]
    return not np.any((read >= 0) & (read < n_in))


def _used(kernel: Floats, axis: int) -> NDArray[np.int64]:
    """Return the places along an axis of a kernel where a weight is not 0."""
    return np.flatnonzero(np.any(kernel != 0, axis=tuple(a for a in range(kernel.ndim) if a != axis)))


def _in_groups(form: Window, groups: int) -> Floats:
    """Return the kernel as ``(groups, c_out / groups, c_in / groups, height, width)``, for fewer groups than it has."""
    c_out, c_in, height, width = form.kernel.shape
    merged = form.groups // groups
    own = form.kernel.reshape(groups, merged, c_out // form.groups, c_in, height, width)
    whole = np.zeros((groups, merged, c_out // form.groups, merged, c_in, height, width))
    each = np.arange(merged)
    whole[:, each, :, each] = own.swapaxes(0, 1)
    return whole.reshape(groups, c_out // groups, merged * c_in, height, width)


def matrix_of(nodes: Sequence[Node], shapes: Sequence[Shape]) -> Floats:
    """Return the nodes of a path as one matrix, float64 ``(n_target, n_source)``; biases are left out."""
    total: SparseMatrix | None = None
    for node, shape in zip(nodes, shapes):
        if node.kind not in ("Flatten", "Delay"):
            own = _sparse(node, shape)
            total = own if total is None else own.times(total)
    return np.eye(int(np.prod(shapes[0]))) if total is None else total.dense()


def _sparse(node: Node, shape: Shape) -> SparseMatrix:
    """Return the matrix of one node; biases are left out."""
    from neurodeploy.exchange.nir.sparse_matrix import of_dense, of_entries  # loads numba, so on first use

    n = int(np.prod(shape))
    if node.kind == "Scale":
        each = np.arange(n)
        return of_entries(each, each, np.broadcast_to(scale_of(node, shape), shape).reshape(-1), (n, n))
    if node.kind in WINDOW_KINDS:
        return _sparse_window(window(node, shape))
    if number_field(node, "weight").ndim == 2 and n == shape[-1]:
        return of_dense(number_field(node, "weight"))
    ones, nothing = np.eye(n).reshape(n, *shape), np.zeros((1, *shape))
    return of_dense((apply(node, ones) - apply(node, nothing)).reshape(n, -1).T)


def _sparse_window(form: Window) -> SparseMatrix:
    from neurodeploy.exchange.nir.sparse_matrix import of_entries

    n_source, n_target = int(np.prod(form.input_shape)), int(np.prod(form.output_shape))
    parts = list(_taps(form))
    row, column, weight = (np.concatenate(own) for own in zip(*parts))
    return of_entries(row, column, weight, (n_target, n_source))


def _taps(form: Window) -> Iterator[tuple[NDArray[np.int64], NDArray[np.int64], Floats]]:
    """Yield target, source and weight of the synapses of each tap of a window."""
    c_out, height, width = form.output_shape
    c_in, rows, columns = form.input_shape
    out = np.arange(c_out)[:, None]
    source = (np.arange(c_out) // (c_out // form.groups) * (c_in // form.groups))[:, None] + np.arange(
        c_in // form.groups
    )
    for t_y, t_x in np.ndindex(form.kernel.shape[2:]):
        y = np.arange(height) * form.stride[0] + t_y * form.dilation[0] - form.padding[0]
        x = np.arange(width) * form.stride[1] + t_x * form.dilation[1] - form.padding[1]
        own_y, own_x = np.flatnonzero((y >= 0) & (y < rows)), np.flatnonzero((x >= 0) & (x < columns))
        at_out = (own_y[:, None] * width + own_x).reshape(-1)
        at_in = (y[own_y][:, None] * columns + x[own_x]).reshape(-1)
        target = np.broadcast_to(out * (height * width), source.shape)[..., None] + at_out
        weight = np.broadcast_to(form.kernel[:, :, t_y, t_x, None], target.shape)
        yield target.reshape(-1), (source[..., None] * (rows * columns) + at_in).reshape(-1), weight.reshape(-1)

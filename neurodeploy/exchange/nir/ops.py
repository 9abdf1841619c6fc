"""Operations of the nodes without state: the shape and the values (numpy floats) of their output.

Shapes have no batch axis; signals have one in front: ``x`` is float64 ``(batch, *shape)``. Shapes are computed here and
not by nir 1.0.8, which takes one kernel size for both axes and ignores ``groups``.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from neurodeploy.errors import NirError
from neurodeploy.exchange.nir.graph import Node
from neurodeploy.exchange.nir.neurons import Floats, brief
from neurodeploy.network import Shape

MIXING_KINDS = ("Linear", "Affine", "Conv1d", "Conv2d", "SumPool2d", "AvgPool2d")
"""Kinds of nodes that add up several elements; they become synapses."""
ELEMENTWISE_KINDS = ("Flatten", "Scale", "Delay")
STATELESS_KINDS = (*MIXING_KINDS, *ELEMENTWISE_KINDS)


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Window:
    """A convolution or pooling as 2-D window sums; ``kernel`` is float64 ``(c_out, c_in / groups, height, width)``."""

    kernel: Floats
    input_shape: tuple[int, int, int]
    stride: tuple[int, int]
    padding: tuple[int, int]
    dilation: tuple[int, int]
    groups: int

    @property
    def output_shape(self) -> tuple[int, int, int]:
        """Shape ``(c_out, height, width)`` of the output."""
        height, width = (
            (size + 2 * pad - dil * (k - 1) - 1) // step + 1
            for size, pad, dil, k, step in zip(
                self.input_shape[1:], self.padding, self.dilation, self.kernel.shape[2:], self.stride
            )
        )
        return len(self.kernel), height, width


def output_shape(node: Node, shape: Shape) -> Shape:
    """Return the output shape of a node without state for an input of ``shape``.

    Raises:
        NirError: if the node does not fit the shape; names node and field.
    """
    return _SHAPES[node.kind](node, shape)


def apply(node: Node, x: Floats) -> Floats:
    """Return the output of the node for the signal ``x`` of one step (a Delay returns it unchanged)."""
    return _VALUES[node.kind](node, x)


def number_field(node: Node, name: str) -> Floats:
    """Return a field as finite float64.

    Raises:
        NirError: if the field is missing, not numeric or not finite.
    """
    array: Floats = float_field(node, name).astype(np.float64, copy=False)
    return array


def float_field(node: Node, name: str) -> NDArray[np.floating[Any]]:
    """Return a field as finite floats of 32 or 64 bits, without a copy if the file holds floats of that size.

    Raises:
        NirError: if the field is missing, not numeric or not finite.
    """
    array = _numbers(node, name)
    own = array if array.dtype in (np.float32, np.float64) else array.astype(np.float64)
    finite = np.isfinite(own)
    if not finite.all():
        raise NirError(f"{_where(node, name)} holds {own[~finite].flat[0]}, expected finite numbers")
    return own


def field_shape(node: Node, name: str) -> Shape:
    """Return the shape of a field of numbers, without checking the numbers.

    Raises:
        NirError: if the field is missing or not numeric.
    """
    return _numbers(node, name).shape


def _numbers(node: Node, name: str) -> NDArray[Any]:
    value = node.fields.get(name)
    if value is None:
        raise NirError(f"{_where(node, name)} is missing")
    array = np.asarray(value)
    if array.dtype.kind not in "iufb":
        raise NirError(f"{_where(node, name)} holds {array.dtype}, expected numbers")
    return array


def _where(node: Node, name: str) -> str:
    return f"nir: node '{node.name}' ({node.kind}): {name}"


def window(node: Node, shape: Shape) -> Window:
    """Return a Conv1d, Conv2d or pooling node as window sums over an input of ``shape``; Conv1d has height 1."""
    found = _pool_window(node, shape) if node.kind.endswith("Pool2d") else _conv_window(node, shape)
    if min(found.output_shape) < 1:
        raise NirError(
            f"nir: node '{node.name}' ({node.kind}): kernel {found.kernel.shape[2:]}, padding {found.padding} and dilation "
            f"{found.dilation} give no output for an input of {shape}"
        )
    return found


def window_sum(given: Window, x: Floats) -> Floats:
    """Return the sums of all windows (cross-correlation) of ``x`` ``(batch, c_in, height, width)``."""
    c_out, height, width = given.output_shape
    (pad_y, pad_x), (step_y, step_x), (dil_y, dil_x) = given.padding, given.stride, given.dilation
    n, groups = len(x), given.groups
    image = np.pad(x.reshape(n, groups, -1, *given.input_shape[1:]), ((0, 0),) * 3 + ((pad_y, pad_y), (pad_x, pad_x)))
    kernel = given.kernel.reshape(groups, c_out // groups, -1, *given.kernel.shape[2:])
    total = np.zeros((n, groups, c_out // groups, height, width))
    for y, x_tap in np.ndindex(given.kernel.shape[2:]):
        rows = slice(y * dil_y, y * dil_y + step_y * (height - 1) + 1, step_y)
        columns = slice(x_tap * dil_x, x_tap * dil_x + step_x * (width - 1) + 1, step_x)
        total += np.einsum("goi,ngihw->ngohw", kernel[..., y, x_tap], image[..., rows, columns])
    return total.reshape(n, c_out, height, width)


def delay_steps(node: Node, shape: Shape, dt: float) -> NDArray[np.int64]:
    """Return the delay of each element in whole steps, int64 ``(n,)``.

    Raises:
        NirError: if a delay is negative or differs from a whole number of steps by more than a thousandth of a step.
    """
    delay = number_field(node, "delay")
    if delay.size != 1 and delay.size != int(np.prod(shape)):
        raise NirError(f"nir: node '{node.name}' (Delay): delay has shape {delay.shape}, but {shape} arrives")
    steps = np.broadcast_to(delay.reshape(-1) / dt, (int(np.prod(shape)),))
    wrong = ~((steps >= 0) & (steps < 2**31))  # not a number is wrong, too
    steps_or_0: Floats = np.where(wrong, 0, steps)
    whole = np.rint(steps_or_0)
    wrong |= np.abs(steps_or_0 - whole) > 1e-3
    if np.any(wrong):
        bad = float(steps[wrong][0])
        raise NirError(
            f"nir: node '{node.name}' (Delay): delay {bad * dt:g} is {bad:g} steps of {dt:g}; delays must be whole steps, "
            "0 or more: round them, or pass another dt"
        )
    return whole.astype(np.int64)


def _linear_shape(node: Node, shape: Shape) -> Shape:
    weight = field_shape(node, "weight")
    where = f"nir: node '{node.name}' ({node.kind}): weight has shape {weight}"
    if len(weight) < 2:
        raise NirError(f"{where}, expected (out, in)")
    if weight[-1] != shape[-1]:
        flat = f"; put a Flatten before it: {shape} has {int(np.prod(shape))} elements" if len(shape) > 1 else ""
        raise NirError(f"{where}, but {shape} arrives; the last axis must be the number of inputs{flat}")
    if weight[:-2] not in ((), shape[:-1]):
        raise NirError(f"{where}, its leading axes do not fit the input {shape}")
    if node.kind == "Affine" and number_field(node, "bias").size not in (1, weight[-2]):
        raise NirError(f"{where}, but bias has shape {np.shape(node.fields['bias'])}; give one number an output")
    return (*shape[:-1], weight[-2])


def _linear(node: Node, x: Floats) -> Floats:
    weight = number_field(node, "weight")
    flat = weight.ndim == 2
    result: Floats = x @ weight.T if flat else np.matmul(weight, x[..., None])[..., 0]
    return result if node.kind == "Linear" else result + number_field(node, "bias").reshape(-1)


def _window_shape(node: Node, shape: Shape) -> Shape:
    found = window(node, shape).output_shape
    return (found[0], found[2]) if node.kind == "Conv1d" else found


def _windowed(node: Node, x: Floats) -> Floats:
    shape = x.shape[1:]
    total = window_sum(window(node, shape), x)
    if node.kind.startswith("Conv") and node.fields.get("bias") is not None:
        total = total + _channel_bias(node, total.shape[1])[:, None, None]
    return total.reshape(len(x), *_window_shape(node, shape))


def _channel_bias(node: Node, channels: int) -> Floats:
    bias = number_field(node, "bias").reshape(-1)
    if bias.size not in (1, channels):
        raise NirError(f"nir: node '{node.name}' ({node.kind}): bias has {bias.size} entries for {channels} channels")
    return np.broadcast_to(bias, (channels,))


def _conv_window(node: Node, shape: Shape) -> Window:
    where = f"nir: node '{node.name}' ({node.kind})"
    axes = 1 if node.kind == "Conv1d" else 2
    kernel = number_field(node, "weight")
    if kernel.ndim != axes + 2 or not kernel.size:
        raise NirError(f"{where}: weight has shape {kernel.shape}, expected {axes + 2} axes (out, in / groups, ...)")
    if len(shape) != axes + 1:
        raise NirError(f"{where}: an input of {shape} arrives, expected (channels, {'x, y' if axes == 2 else 'x'})")
    groups = _whole(node, "groups", (1,), default=1)[0]
    if groups < 1 or shape[0] != kernel.shape[1] * groups or len(kernel) % groups:
        raise NirError(
            f"{where}: weight {kernel.shape} with {groups} groups needs {kernel.shape[1] * groups} input channels, "
            f"{shape[0]} arrive"
        )
    stride, dilation = (_whole(node, name, (axes,), default=1) for name in ("stride", "dilation"))
    if min(*stride, *dilation) < 1:
        raise NirError(f"{where}: stride {stride} and dilation {dilation} must be at least 1")
    kernel, padding = _padding(node, kernel, stride, dilation)
    if axes == 1:
        kernel, shape = kernel[:, :, None, :], (shape[0], 1, shape[1])
        stride, padding, dilation = (1, *stride), (0, *padding), (1, *dilation)
    return Window(
        kernel=kernel,
        input_shape=(shape[0], shape[1], shape[2]),
        stride=(stride[0], stride[1]),
        padding=(padding[0], padding[1]),
        dilation=(dilation[0], dilation[1]),
        groups=groups,
    )


def _padding(node: Node, kernel: Floats, stride: Shape, dilation: Shape) -> tuple[Floats, Shape]:
    """Return kernel and symmetric padding; for ``same`` with an even kernel, the kernel gets a tap of zeros in front."""
    given = node.fields.get("padding", 0)
    given = given.decode() if isinstance(given, bytes) else given
    if not isinstance(given, str):
        padding = _whole(node, "padding", (kernel.ndim - 2,), default=0)
        if min(padding) < 0:
            raise NirError(f"nir: node '{node.name}' ({node.kind}): padding {padding} must be 0 or more")
        return kernel, padding
    if given == "valid":
        return kernel, (0,) * (kernel.ndim - 2)
    if given != "same":
        raise NirError(
            f"nir: node '{node.name}' ({node.kind}): padding is '{given}', expected 'same', 'valid' or numbers"
        )
    if max(stride) > 1:
        raise NirError(f"nir: node '{node.name}' ({node.kind}): padding 'same' with stride {stride} is not defined")
    both = []
    for axis, dil in enumerate(dilation, start=2):
        if dil * (kernel.shape[axis] - 1) % 2:
            if dil > 1:
                raise NirError(
                    f"nir: node '{node.name}' ({node.kind}): padding 'same' with kernel {kernel.shape[2:]} and dilation "
                    f"{dilation} is not symmetric; give the padding in numbers"
                )
            kernel = np.pad(kernel, [(int(a == axis), 0) for a in range(kernel.ndim)])
        both.append(dil * (kernel.shape[axis] - 1) // 2)
    return kernel, tuple(both)


def _pool_window(node: Node, shape: Shape) -> Window:
    where = f"nir: node '{node.name}' ({node.kind})"
    if len(shape) != 3:
        raise NirError(f"{where}: an input of {shape} arrives, expected (channels, x, y)")
    size = _whole(node, "kernel_size", (2,))
    stride, padding = _whole(node, "stride", (2,), default=size), _whole(node, "padding", (2,), default=0)
    if min(*size, *stride) < 1 or min(padding) < 0:
        raise NirError(f"{where}: kernel_size {size}, stride {stride} and padding {padding} are no window")
    weight = 1.0 if node.kind == "SumPool2d" else 1.0 / int(np.prod(size))
    return Window(
        kernel=np.full((shape[0], 1, *size), weight),
        input_shape=(shape[0], shape[1], shape[2]),
        stride=(stride[0], stride[1]),
        padding=(padding[0], padding[1]),
        dilation=(1, 1),
        groups=shape[0],
    )


def _whole(node: Node, name: str, size: tuple[int], default: Any = None) -> Shape:
    """Return a field as whole numbers, one for each axis; a single number counts for all axes."""
    value = node.fields.get(name)
    if value is None:
        if default is None:
            raise NirError(f"nir: node '{node.name}' ({node.kind}): {name} is missing")
        value = default
    array = np.asarray(value).reshape(-1)
    if array.dtype.kind not in "iuf" or array.size not in (1, *size) or np.any(array != np.rint(array)):
        raise NirError(
            f"nir: node '{node.name}' ({node.kind}): {name} is {brief(value)}, expected {size[0]} whole numbers"
        )
    if np.any(np.abs(array) > 2**20):
        raise NirError(f"nir: node '{node.name}' ({node.kind}): {name} is {brief(value)}, out of any useful range")
    return tuple(int(n) for n in np.broadcast_to(array, size))


def _flatten_shape(node: Node, shape: Shape) -> Shape:
    start, end = (_whole(node, name, (1,), default=d)[0] for name, d in (("start_dim", 1), ("end_dim", -1)))
    first, last = (n + len(shape) if n < 0 else n for n in (start, end))
    if len(shape) == 1 and start == 1:
        return shape  # torch's default, written for a signal with a batch axis
    if not 0 <= first <= last < len(shape):
        raise NirError(f"nir: node '{node.name}' (Flatten): start_dim {start} and end_dim {end} do not fit {shape}")
    return (*shape[:first], int(np.prod(shape[first : last + 1])), *shape[last + 1 :])


def _flatten(node: Node, x: Floats) -> Floats:
    return x.reshape(len(x), *_flatten_shape(node, x.shape[1:]))


def _delayed_shape(node: Node, shape: Shape) -> Shape:
    given = number_field(node, "delay")
    if given.size not in (1, int(np.prod(shape))):
        raise NirError(f"nir: node '{node.name}' (Delay): delay has shape {given.shape}, but {shape} arrives")
    return shape


def _scaled_shape(node: Node, shape: Shape) -> Shape:
    scale_of(node, shape)
    return shape


def scale_of(node: Node, shape: Shape) -> Floats:
    """Return the factors of a Scale node for a signal of ``shape``: of this shape, or one for all.

    Axes of 1 count for the whole axis, so that ``(channels, 1, 1)`` scales by channel.

    Raises:
        NirError: if the factors do not fit the shape.
    """
    scale = number_field(node, "scale")
    if scale.size in (1, int(np.prod(shape))):
        return scale.reshape(() if scale.size == 1 else shape)
    if scale.ndim == len(shape) and all(own in (1, n) for own, n in zip(scale.shape, shape)):
        return np.broadcast_to(scale, shape)
    raise NirError(
        f"nir: node '{node.name}' (Scale): scale has shape {scale.shape}, but {shape} arrives; give one factor an element, "
        "or an axis of 1 for each axis that has the same"
    )


def _scaled(node: Node, x: Floats) -> Floats:
    return x * scale_of(node, x.shape[1:])


_SHAPES: dict[str, Callable[[Node, Shape], Shape]] = {
    "Linear": _linear_shape,
    "Affine": _linear_shape,
    "Conv1d": _window_shape,
    "Conv2d": _window_shape,
    "SumPool2d": _window_shape,
    "AvgPool2d": _window_shape,
    "Flatten": _flatten_shape,
    "Scale": _scaled_shape,
    "Delay": _delayed_shape,
}
_VALUES: dict[str, Callable[[Node, Floats], Floats]] = {
    "Linear": _linear,
    "Affine": _linear,
    "Conv1d": _windowed,
    "Conv2d": _windowed,
    "SumPool2d": _windowed,
    "AvgPool2d": _windowed,
    "Flatten": _flatten,
    "Scale": _scaled,
    "Delay": lambda _, x: x,
}

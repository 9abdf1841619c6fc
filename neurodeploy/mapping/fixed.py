"""Mapping onto chips whose cores have a fixed role: one recurrent core (Xylo), or one core for each layer (Speck)."""

from __future__ import annotations

import numpy as np

from neurodeploy.chip import Chip, LayerCore, RecurrentCore
from neurodeploy.errors import FitError
from neurodeploy.mapping.abilities import ability_notes
from neurodeploy.mapping.memory.synapses import conv_of, delay_bits, matrix_of, stored_bits
from neurodeploy.mapping.pooling import pooled
from neurodeploy.mapping.record import CoreLoad, Mapping
from neurodeploy.network import Conv, Dense, Network, Projection


def map_recurrent(network: Network, chip: Chip) -> Mapping:
    """Return the mapping of a network onto one core with input channels, hidden neurons and outputs (Xylo).

    Populations that an output of the network reads and that send no spikes to others are outputs of the core; all other
    populations are hidden. Full matrices connect the inputs to the hidden neurons and the hidden neurons to the outputs;
    stored synapses connect hidden neurons with each other. The limit of spikes in a step depends on the data and is not
    checked.

    Raises:
        FitError: names the limit that the network breaks, or the connection that the core does not have.
    """
    assert chip.recurrent_core is not None
    outputs, sizes = _read_outs(network), network.sizes
    hidden = [p.name for p in network.populations if p.name not in outputs]
    recurrent = [p for p in network.projections if p.source in hidden and p.target in hidden]
    used = {
        "inputs": sum(i.size for i in network.inputs),
        "hidden": sum(sizes[name] for name in hidden),
        "outputs": sum(sizes[name] for name in outputs),
        "recurrent_synapses": sum(matrix_of(p).weight.size for p in recurrent),
    }
    allowed = _allowed(chip.recurrent_core)
    for name, limit in allowed.items():
        if used[name] > limit:
            key = "mean_fanout" if name == "recurrent_synapses" else name
            raise _too_much(chip, "the network", 0, name, used[name], limit, f"recurrent_core.{key}")
    _check_passes_hidden(network, chip, outputs)
    stored = {p.name: _stored(p, full=p not in recurrent) for p in network.projections}
    load = _load(0, network, chip, [p.name for p in network.populations], stored, stored, used)
    return _mapping(network, chip, [load], allowed)


def _allowed(limits: RecurrentCore) -> dict[str, int]:
    return {
        "inputs": limits.inputs.value,
        "hidden": limits.hidden.value,
        "outputs": limits.outputs.value,
        "recurrent_synapses": limits.mean_fanout.value * limits.hidden.value,
    }


def _check_passes_hidden(network: Network, chip: Chip, outputs: list[str]) -> None:
    """Refuse a projection from an input to an output."""
    inputs = {i.name for i in network.inputs}
    for p in network.projections:
        if p.source in inputs and p.target in outputs:
            raise FitError(
                f"map: projection '{p.name}' leads from an input to an output, which chip '{chip.name}' cannot connect "
                f"({chip.source_file}: recurrent_core); put a hidden layer between them"
            )


def _read_outs(network: Network) -> list[str]:
    sending = {p.source for p in network.projections}
    return [o.population for o in network.outputs if o.population not in sending]


def _stored(projection: Projection, *, full: bool) -> int:
    return matrix_of(projection, zeros=full and conv_of(projection) is None).weight.size


def map_layers(network: Network, chip: Chip) -> Mapping:
    """Return the mapping of a network with each population on a separate layer core (Speck, DYNAP-CNN).

    A core holds ``c * 2 ** (ceil(log2(kx * ky)) + ceil(log2 f))`` kernel words and
    ``f * 2 ** (ceil(log2 fy) + ceil(log2 fx))`` neuron words for ``c`` input channels, ``f`` output channels, a kernel of
    ``kx * ky`` and an output of ``fx * fy``; a matrix counts as a kernel as large as its input. Where a layer
    begins with a sum pool and the chip can, the core of the layer before does it. Source: sinabs, ``backend/dynapcnn``.

    Raises:
        FitError: names layer, limit and value.
    """
    needs = {p.name: layer_need(network, chip, p.name) for p in network.populations}
    if len(needs) > len(chip.layer_core):
        total, limit = len(needs), len(chip.layer_core)
        raise _too_much(chip, f"layer '{list(needs)[limit]}'", limit, "cores", total, limit, "layer_core")
    place = _assigned(needs, chip.layer_core)
    loads = []
    for name, core in sorted(place.items(), key=lambda item: item[1]):
        kernel, neuron = needs[name]
        words = {p.name: kernel for p in network.into(name)}
        stored = {p.name: _stored(p, full=True) for p in network.into(name)}
        used = {"kernel_words": kernel, "neuron_words": neuron}
        loads.append(_load(core, network, chip, [name], words, stored, used))
    largest = {
        name: max(getattr(core, name).value for core in chip.layer_core) for name in ("kernel_words", "neuron_words")
    }
    return _mapping(network, chip, loads, largest, _pools(network, chip))


def _pools(network: Network, chip: Chip) -> tuple[str, ...]:
    """Return notes on the layers whose spikes the core of the layer before pools."""
    found = [(p, _pooled(p, network, chip)) for p in network.projections]
    return tuple(
        f"the core of layer '{p.source}' pools its spikes for layer '{p.target}' ({pool[0]} x {pool[0]}), whose kernel is "
        f"{' x '.join(map(str, pool[1].weights.shape[2:]))}"
        for p, pool in found
        if pool is not None and pool[0] > 1
    )


def _pooled(projection: Projection, network: Network, chip: Chip) -> tuple[int, Conv] | None:
    """Return the sum pool that the core of the layer before does, and what is left, or None if it cannot pool at all."""
    limits, synapses, shape = chip.layer_limits, projection.synapses, network.shapes[projection.source]
    sizes = None if limits is None or limits.pooling is None else limits.pooling.value
    sent_by_layer = projection.source in {p.name for p in network.populations}
    if not sizes or not sent_by_layer or len(shape) != 3 or not isinstance(synapses, Conv | Dense):
        return None
    return pooled(synapses, shape, sizes)


def layer_need(network: Network, chip: Chip, name: str) -> tuple[int, int]:
    """Return the kernel words and neuron words that a population needs as a layer.

    Raises:
        FitError: if the layer breaks a limit on shapes.
    """
    limits, into = chip.layer_limits, network.into(name)
    assert limits is not None
    if len(into) != 1:
        raise _too_much(chip, f"layer '{name}'", 0, "incoming connections", len(into), 1, "layer_limits")
    (channels, in_size), (features, out_size), kernel, strides = _shape_of(into[0], network, chip)
    sends = sum(1 for p in network.projections if p.source == name)
    for what, value, limit, key in (
        ("input channels", channels, limits.channels.value, "channels"),
        ("output channels", features, limits.channels.value, "channels"),
        ("input pixels in a row", max(in_size), limits.input_size.value, "input_size"),
        ("output pixels in a row", max(out_size), limits.output_size.value, "output_size"),
        ("kernel pixels in a row", max(kernel), limits.kernel_size.value, "kernel_size"),
        ("destinations", sends, limits.destinations.value, "destinations"),
    ):
        if value > limit:
            raise _too_much(chip, f"layer '{name}'", 0, what, value, limit, f"layer_limits.{key}")
    if set(strides) - set(limits.strides.value):
        raise FitError(
            f"map: layer '{name}' has stride {strides}, chip '{chip.name}' allows {limits.strides.value} "
            f"({chip.source_file}: layer_limits.strides)"
        )
    kernel_words = channels << (_log2(kernel[0] * kernel[1]) + _log2(features))
    return kernel_words, features << (_log2(out_size[0]) + _log2(out_size[1]))


Plane = tuple[int, tuple[int, int]]


def _shape_of(
    projection: Projection, network: Network, chip: Chip
) -> tuple[Plane, Plane, tuple[int, int], tuple[int, int]]:
    """Return four values of a connection: (channels, size) of its input and of its output, kernel size and stride."""
    pool = _pooled(projection, network, chip)
    conv = pool[1] if pool is not None else conv_of(projection)
    if conv is not None:
        c, h, w = conv.input_shape
        f, y, x = conv.output_shape
        return (c, (h, w)), (f, (y, x)), (conv.weights.shape[2], conv.weights.shape[3]), conv.stride
    shape = network.shapes[projection.source]
    c, h, w = shape if len(shape) == 3 else (network.sizes[projection.source], 1, 1)
    return (c, (h, w)), (network.sizes[projection.target], (1, 1)), (h, w), (1, 1)


def _log2(n: int) -> int:
    """Return the exponent of the smallest power of two that is ``n`` or more."""
    return (n - 1).bit_length()


def _assigned(needs: dict[str, tuple[int, int]], cores: tuple[LayerCore, ...]) -> dict[str, int]:
    """Return the core of each layer; augmenting paths find an assignment whenever there is one."""
    holder: dict[int, str] = {}

    def place(layer: str, tried: set[int]) -> bool:
        for i, core in enumerate(cores):
            enough = needs[layer][0] <= core.kernel_words.value and needs[layer][1] <= core.neuron_words.value
            if enough and i not in tried:
                tried.add(i)
                if i not in holder or place(holder[i], tried):
                    holder[i] = layer
                    return True
        return False

    for layer, (kernel, neuron) in needs.items():
        if not place(layer, set()):
            free = max((core.kernel_words.value for i, core in enumerate(cores) if i not in holder), default=0)
            raise FitError(
                f"map: layer '{layer}' needs {kernel} kernel words and {neuron} neuron words, and no layer core that is "
                f"large enough can be freed for it (largest one left: {free} kernel words; layer_core of the chip file); "
                "use fewer channels, a smaller kernel or more pooling",
                {"layer": layer, "core": 0, "resource": "kernel_words", "used": kernel, "limit": free},
            )
    return {layer: i for i, layer in holder.items()}


def _load(
    core: int,
    network: Network,
    chip: Chip,
    populations: list[str],
    words: dict[str, int],
    stored: dict[str, int],
    used: dict[str, int],
) -> CoreLoad:
    fmt = chip.synapse_format[0]
    bits = {}
    for p in network.projections:
        if p.name in words:
            delay_bits(p, chip)
            bits[p.name] = stored_bits(network, p, matrix_of(p).weight, fmt, chip)
    return CoreLoad(
        chip=0,
        core=core,
        tile=None,
        x=None,
        y=None,
        neurons={name: np.arange(network.sizes[name], dtype=np.int32) for name in populations},
        words=words,
        formats=dict.fromkeys(words, fmt.name),
        weight_bits=bits,
        stored=stored,
        used=used,
    )


def _mapping(
    network: Network, chip: Chip, loads: list[CoreLoad], limits: dict[str, int], notes: tuple[str, ...] = ()
) -> Mapping:
    return Mapping(
        chip=chip,
        network=network.fingerprint,
        sizes={p.name: p.size for p in network.populations},
        sources={p.name: p.source for p in network.projections},
        targets={p.name: p.target for p in network.projections},
        cores=tuple(loads),
        limits=limits,
        split="fixed",
        notes=(*(() if chip.chip.excludes is None else (chip.chip.excludes,)), *notes, *ability_notes(network, chip)),
    )


def _too_much(chip: Chip, what: str, core: int, resource: str, used: int, limit: int, key: str) -> FitError:
    return FitError(
        f"map: {what} needs {used} {resource.replace('_', ' ')}, but chip '{chip.name}' allows {limit} "
        f"({chip.source_file}: {key}); make it smaller, or map to another chip",
        {
            "layer": what.removeprefix("layer ").strip("'"),
            "core": core,
            "resource": resource,
            "used": used,
            "limit": limit,
        },
    )

"""The C99 code of a network from its ``Layout``: header, tables and functions as text."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from textwrap import indent
from typing import Any

import numpy as np
from numpy.typing import NDArray

from neurodeploy.network import STATE_LIMIT, STATE_SHIFT, Cuba, Network, Output, Pool
from neurodeploy.tables import plan_tables
from neurodeploy.tables.layout import LANES_AT_MOST, Decay, Layout, PopulationPlan, State, WirePlan
from neurodeploy.tables.rows import Optimize
from neurodeploy.targets.c.texts import HEADER, SOURCE, TABLES
from neurodeploy.version import __version__

_UNROLL: dict[Optimize, int] = {"balance": 8, "flash": 2, "speed": 8}
"""Entries that a loop over indexed weights adds in a round."""
_NEURONS: dict[Optimize, int] = {"balance": 4, "flash": 1, "speed": 4}
"""Neurons that a loop over a population updates in a round, a power of two."""
_TYPES = {np.dtype(t): f"{t}_t" for t in ("int8", "uint8", "int16", "uint16", "int32", "uint32")}


LIBRARY = ("network.h", "network.c", "network_tables.h")
"""The files that hold the network."""


def library_texts(network: Network, optimize: Optimize = "balance") -> dict[str, str]:
    """Return the text of each file of ``LIBRARY``.

    Raises:
        NetworkError: for neurons other than CUBA and leaky integrators; names the population.
        UsageError: for an unknown rule of storage.
    """
    layout = plan_tables(network, optimize)
    return {"network.h": header_text(layout), "network.c": source_text(layout), "network_tables.h": tables_text(layout)}


def header_text(layout: Layout) -> str:
    """Return ``network.h``: the interface, the state of an instance, and the numbers of inputs and outputs."""
    network = layout.network
    return HEADER.format(
        version=__version__,
        fingerprint=network.fingerprint,
        index=f"uint{8 * layout.index_width}_t",
        n_inputs=sum(i.size for i in network.inputs),
        n_outputs=sum(network.sizes[name] for name in layout.output_offsets),
        n_classifiers=len(network.outputs),
        depth=network.depth,
        state_bytes=layout.ram_bytes,
        table_bytes=layout.flash_bytes,
        numbers="".join(_numbers(layout)),
        fields="".join(_field(state) for state in layout.states),
    )


def _numbers(layout: Layout) -> Iterator[str]:
    """Yield the macros that give inputs, outputs and populations by name."""
    network = layout.network
    for name, at in layout.input_offsets.items():
        yield f"#define NETWORK_INPUT_{_macro(name)} {at}u /* first of {network.sizes[name]} channels */\n"
    for name, at in layout.output_offsets.items():
        yield f"#define NETWORK_OUTPUT_{_macro(name)} {at}u /* first of {network.sizes[name]} neurons */\n"
    for i, output in enumerate(network.outputs):
        yield f"#define NETWORK_CLASS_{_macro(output.name)} {i}u /* decoded by {_decoding(output)} */\n"
    for i, population in enumerate(network.populations):
        yield f"#define NETWORK_POPULATION_{_macro(population.name)} {i}u /* {population.size} neurons */\n"


def _macro(name: str) -> str:
    """Return a name as part of a macro; what C does not allow becomes its number.

    >>> _macro("conv 1.a")
    'CONV_32_1_46_A'
    """
    return re.sub(r"\W", lambda found: f"_{ord(found[0])}_", name, flags=re.ASCII).upper()


def _field(state: State) -> str:
    count = "" if state.count == 1 and not state.name.startswith("o") and state.type != "cell" else f"[{state.count}]"
    kind = "network_cell" if state.type == "cell" else state.type
    if state.name.endswith(("_ring", "_sum", "_list")) or state.name == "list":
        count = f"[{state.count}]"
    return f"    {kind} {state.name}{count}; /* {_comment(state.what)} */\n"


def _comment(text: str) -> str:
    return re.sub(r"[^ -~]", "?", text).replace("*/", "* /").replace("/*", "/ *").replace("\\", "/")


def tables_text(layout: Layout) -> str:
    """Return ``network_tables.h``: weights, targets and parameters of single neurons in one constant struct."""
    tables = layout.tables
    if not tables:
        return TABLES.format(tables="/* this network needs no tables */\n")
    fields = "".join(
        f"    {_TYPES[t.values.dtype]} {t.name}[{max(1, t.values.size)}]; /* {_comment(t.what)} */\n" for t in tables
    )
    values = ",\n".join(f"    {{\n{_values(t.values)}\n    }}" for t in tables)
    check = f"typedef char network_tables_have_their_size[sizeof tables == {layout.flash_bytes}u ? 1 : -1];\n"
    return TABLES.format(tables=f"static const struct {{\n{fields}}} tables = {{\n{values}\n}};\n\n{check}")


def _values(values: NDArray[Any]) -> str:
    suffix = "u" if values.dtype == np.uint32 else ""
    words = [f"{v}{suffix}" for v in values.tolist()]
    return ",\n".join("        " + ", ".join(words[k : k + 24]) for k in range(0, len(words), 24))


def source_text(layout: Layout) -> str:
    """Return ``network.c``."""
    functions = _Functions()
    sends = [text for wire in layout.wires for text in _send(layout, wire, functions)]
    step = _step(layout, functions)
    return SOURCE.format(
        helpers="".join(_helpers(layout)),
        functions="\n".join(functions.texts.values()),
        sends="\n".join(sends),
        reset="".join(_reset(layout)),
        step=step,
        classify="".join(_classify(layout)),
        voltage="".join(_voltage(layout)),
    )


class _Functions:
    """Functions that several layers share: a body that is asked for twice is written once."""

    def __init__(self) -> None:
        self.texts: dict[str, str] = {}
        self._names: dict[str, str] = {}

    def name(self, prefix: str, text: str) -> str:
        """Return the name of the function with this text, in which ``@`` stands for the name."""
        if text not in self._names:
            self._names[text] = f"{prefix}_{sum(n.startswith(prefix) for n in self.texts)}"
            self.texts[self._names[text]] = text.replace("@", self._names[text])
        return self._names[text]


def _helpers(layout: Layout) -> Iterator[str]:
    """Yield what only some networks need."""
    if any(p.current.kind == "long" or p.voltage.kind == "long" for p in layout.populations):
        yield _DECAY
    if any(w.flush < 0 for w in layout.wires if w.mode == "sum"):
        yield _SHIFT_RIGHT
    if any(w.format == "bitmap" for w in layout.wires):
        yield _LOWEST_BIT
    if any(layout.population(w.target).ring_rows for w in layout.wires):
        yield _ROW


_DECAY = """\
/* x * kept / 4096, rounded towards zero */
static int32_t decayed(int32_t x, uint32_t kept)
{
#if defined(__ARM_ARCH_6M__) || defined(NETWORK_NO_LONG_MULTIPLY)
    /* without a multiplication to 64 bits: the size in two parts, so that no product leaves 32 bits */
    const uint32_t size = x < 0 ? 0u - (uint32_t)x : (uint32_t)x;
    const uint32_t left = (size >> 12) * kept + (((size & 4095u) * kept) >> 12);
    return x < 0 ? (int32_t)(0u - left) : (int32_t)left;
#else
    return (int32_t)(((int64_t)x * (int32_t)kept + ((x >> 31) & 4095)) >> 12);
#endif
}

"""
_SHIFT_RIGHT = """\
/* x / 2**by, rounded down */
static int32_t shifted_down(int32_t x, uint32_t by)
{
    return x < 0 ? ~(int32_t)(~(uint32_t)x >> by) : (int32_t)((uint32_t)x >> by);
}

"""
_LOWEST_BIT = """\
/* number of the lowest bit that is set */
static uint32_t lowest_bit(uint32_t word)
{
#if defined(__GNUC__)
    return (uint32_t)__builtin_ctz(word);
#else
    uint32_t n = 0;
    while (!(word & 1u)) {
        word >>= 1;
        n++;
    }
    return n;
#endif
}

"""
_ROW = """\
/* row of a ring for what arrives after a delay; now is the row of this step */
static uint32_t row_after(uint32_t now, uint32_t delay, uint32_t rows)
{
    const uint32_t row = now + 1u + delay;
    return row < rows ? row : row - rows;
}

"""


def _accumulator(layout: Layout, wire: WirePlan) -> tuple[str, str]:
    """Return the C type that a wire adds to, and the statement that adds ``{w}`` at ``{x}`` (a pointer with index)."""
    shift = wire.shift
    kind = _summed_type(layout, wire)
    factor = " * (uint32_t)value" if wire.graded else ""
    if kind == "network_cell":
        return kind, f"{{x}}.u = (int32_t)((uint32_t){{x}}.u + (((uint32_t){{w}}{factor}) << {shift}));"
    if kind == "int32_t":
        return kind, f"{{x}} = (int32_t)((uint32_t){{x}} + (((uint32_t){{w}}{factor}) << {shift}));"
    times = " * value" if wire.graded else ""
    return kind, f"{{x}} = (int16_t)({{x}} + {{w}}{times} * {1 << shift});"


def _summed_type(layout: Layout, wire: WirePlan) -> str:
    if wire.mode == "now":
        return "network_cell"
    width = wire.sum_width if wire.mode == "sum" else layout.population(wire.target).ring_width
    return f"int{8 * width}_t"


def _add_function(layout: Layout, wire: WirePlan, functions: _Functions) -> str:
    """Return the name of the function that adds one row of a wire's format."""
    kind, add = _accumulator(layout, wire)
    value = ", int32_t value" if wire.graded else ""

    def body(x: str, w: str) -> str:
        return add.format(x=x, w=w)

    weight = "" if wire.weight is None else _TYPES[wire.weight]
    if wire.format == "lanes":
        return functions.name("add", _LANES)
    if wire.format == "rows":
        four = "\n".join("        " + body(f"x[{k}]", f"weight[{k}]") for k in range(4))
        text = _ROWS.format(kind=kind, weight=weight, value=value, four=four, one=body("x[0]", "*weight"))
    elif wire.format in ("idx8", "idx16"):
        column = "uint8_t" if wire.format == "idx8" else "uint16_t"
        bodies = [body(f"x[column[{k}]]", f"weight[{k}]") for k in range(_round_of(wire, _UNROLL[layout.optimize]))]
        text = _INDEXED.format(
            kind=kind,
            column=column,
            weight=weight,
            value=value,
            unroll=len(bodies),
            rest=_rest(bodies),
            all="\n".join("        " + one for one in bodies),
        )
    elif wire.format == "delta8":
        n = _round_of(wire, 4)
        all_ = "\n".join(f"        x += gap[{k}];\n        {body('x[0]', f'weight[{k}]')}" for k in range(n))
        text = _GAPS.format(kind=kind, weight=weight, value=value, n=n, all=all_, one=body("x[0]", "*weight"))
    else:
        text = _BITS.format(kind=kind, weight=weight, value=value, one=body("x[lowest_bit(bits)]", "*weight"))
    return functions.name("add", text)


_LANES = """\
/* adds weights + 128 to the sums, two at a time */
static void @(uint32_t *sum, const uint32_t *word, uint32_t n)
{
    const uint32_t *const end = word + n;
    if (n & 1u) {
        sum[0] += word[0] & 0x00ff00ffu;
        sum[1] += (word[0] >> 8) & 0x00ff00ffu;
        word++;
        sum += 2;
    }
    for (; word != end; word += 2, sum += 4) {
        const uint32_t x = word[0], y = word[1];
        const uint32_t a = sum[0] + (x & 0x00ff00ffu), b = sum[1] + ((x >> 8) & 0x00ff00ffu);
        const uint32_t c = sum[2] + (y & 0x00ff00ffu), d = sum[3] + ((y >> 8) & 0x00ff00ffu);
        sum[0] = a;
        sum[1] = b;
        sum[2] = c;
        sum[3] = d;
    }
}
"""
_ROWS = """\
/* adds a full row of weights */
static void @({kind} *x, const {weight} *weight, uint32_t n{value})
{{
    for (; n >= 4u; n -= 4u, x += 4, weight += 4) {{
{four}
    }}
    for (; n; n--, x++, weight++)
        {one}
}}
"""
_INDEXED = """\
/* adds weights to the columns beside them */
static void @({kind} *x, const {column} *column, const {weight} *weight, uint32_t n{value})
{{
    const {column} *const end = column + n;
{rest}
    while (column != end) {{
{all}
        column += {unroll};
        weight += {unroll};
    }}
}}
"""
_GAPS = """\
/* adds weights, each so many columns after the one before */
static void @({kind} *x, const uint8_t *gap, const {weight} *weight, uint32_t n{value})
{{
    for (; n >= {n}u; n -= {n}u, gap += {n}, weight += {n}) {{
{all}
    }}
    for (; n; n--, gap++, weight++) {{
        x += *gap;
        {one}
    }}
}}
"""
_BITS = """\
/* adds weights to the columns whose bit is set */
static void @({kind} *x, const uint32_t *word, const {weight} *weight, uint32_t n{value})
{{
    for (; n; n--, word++, x += 32) {{
        uint32_t bits = *word;
        for (; bits; bits &= bits - 1u, weight++)
            {one}
    }}
}}
"""


def _round_of(wire: WirePlan, most: int) -> int:
    """Return how many entries a loop over a wire's rows adds in a round: a power of two, and no more than its table has.

    GCC sees that a table is shorter than a round, and warns of it although such a round never runs.
    """
    entries = next(t.values.size for t in wire.tables if t.name == f"{wire.name}_weight")
    return min(most, 1 << (max(1, entries).bit_length() - 1))


def _rest(bodies: Sequence[str]) -> str:
    """Return the switch that adds as many entries as are left over beside the full rounds of the loop."""
    last = len(bodies)
    cases = "".join(
        f"    case {k}u:\n        {bodies[k - 1]}\n        /* fall through */\n" for k in range(last - 1, 0, -1)
    )
    count = f"n & {last - 1}u"
    moved = f"    column += {count};\n    weight += {count};"
    return f"    switch ({count}) {{\n{cases}    default:\n        break;\n    }}\n{moved}"


def _send(layout: Layout, wire: WirePlan, functions: _Functions) -> Iterator[str]:
    """Yield the functions of a wire: one that hands its sums on, where it has some, and one that sends one event."""
    if wire.mode == "sum":
        yield _flush(layout, wire)
    value = ", int32_t value" if wire.graded else ""
    lines = list(_send_lines(layout, wire, functions))
    title = f"/* {_comment(wire.projection)}: one event of {_comment(wire.source)} reaches {_comment(wire.target)} */\n"
    yield f"{title}static void send_{wire.name}(network *net, uint32_t j{value})\n{{\n{indent(''.join(lines), '    ')}}}\n"


def _send_lines(layout: Layout, wire: WirePlan, functions: _Functions) -> Iterator[str]:
    kind = _summed_type(layout, wire)
    if wire.mode == "sum" and wire.format == "lanes":
        yield f"if (net->{wire.name}_added == {LANES_AT_MOST}u)\n    flush_{wire.name}(net);\n"
        n = -(-layout.network.sizes[wire.target] // 4)
        yield f"{_add_function(layout, wire, functions)}(net->{wire.name}_sum, tables.{wire.name}_word + j * {n}u, {n}u);\n"
        yield f"net->{wire.name}_added++;\n"
        return
    yield f"{kind} *x = {_place(layout, wire)};\n"
    if wire.mode == "sum":
        yield f"net->{wire.name}_added++;\n"
    if wire.kind == "matrix":
        yield from _add_row(layout, wire, functions, "j", layout.network.sizes[wire.target])
    else:
        yield from _taps(layout, wire, functions)


def _place(layout: Layout, wire: WirePlan) -> str:
    """Return the first target that an event of source ``j`` adds to."""
    target = layout.population(wire.target)
    if wire.mode == "now":
        return f"net->{target.name}"
    own = f"tables.{wire.name}_delay[j]"
    if wire.mode == "sum":
        return f"net->{wire.name}_sum" + (f" + {own} * {target.size}u" if wire.delay is None else "")
    return _ring_place(target, own if wire.delay is None else f"{wire.delay}u")


def _ring_place(target: PopulationPlan, delay: str) -> str:
    row = f"row_after(net->{target.name}_row, {delay}, {target.ring_rows}u)"
    return f"net->{target.name}_ring + {row} * {target.size}u"


def _add_row(layout: Layout, wire: WirePlan, functions: _Functions, row: str, n_columns: int) -> Iterator[str]:
    """Yield the call that adds one row to what ``x`` points to."""
    add, name = _add_function(layout, wire, functions), wire.name
    value = ", value" if wire.graded else ""
    if wire.format == "rows":
        yield f"{add}(x, tables.{name}_weight + {row} * {n_columns}u, {n_columns}u{value});\n"
        return
    blocks = -(-n_columns // 256) if wire.format == "idx8" else 1
    first = f"{row} * {blocks}u" if blocks > 1 else row
    starts = next(t.values.dtype for t in wire.tables if t.name == f"{name}_start")
    pointer = f"const {_TYPES[starts]} *start = tables.{name}_start + {first};\n"
    keys = {"idx8": "column", "idx16": "column", "delta8": "gap"}
    weights = f"tables.{name}_weight + start[0]"
    yield pointer
    if wire.format == "bitmap":
        words = -(-n_columns // 32)
        yield f"{add}(x, tables.{name}_word + {row} * {words}u, {weights}, {words}u{value});\n"
        return
    entries = f"tables.{name}_{keys[str(wire.format)]} + start[0], {weights}"
    call = f"{add}(x, {entries}, (uint32_t)(start[1] - start[0]){value});\n"
    if blocks == 1:
        yield call
        return
    yield f"uint32_t block;\nfor (block = 0; block < {blocks}u; block++, start++, x += 256)\n    {call}"


def _taps(layout: Layout, wire: WirePlan, functions: _Functions) -> Iterator[str]:
    """Yield the loops over the taps of a kernel, which add a row of output channels each."""
    synapses = wire.synapses
    conv = synapses.as_conv() if isinstance(synapses, Pool) else synapses
    channels, height, width = conv.input_shape
    c_out, out_height, out_width = conv.output_shape
    taps_y, taps_x = conv.weights.shape[2:]
    own, per_group = c_out // conv.groups, channels // conv.groups
    if wire.channel_last:
        yield f"const uint32_t c = j % {channels}u, p = j / {channels}u;\n"
    else:
        yield f"const uint32_t c = j / {height * width}u, p = j % {height * width}u;\n"
    yield f"const uint32_t top = p / {width}u + {conv.padding[0]}u, left = p % {width}u + {conv.padding[1]}u;\n"
    yield f"{_summed_type(layout, wire)} *const begin = x"
    yield f" + c / {per_group}u * {own}u;\n" if conv.groups > 1 and wire.kind == "conv" else ";\n"
    yield "uint32_t a, b;\n"
    yield f"for (a = 0; a < {taps_y}u; a++) {{\n"
    yield from _inside("y", "top", "a", conv.dilation[0], conv.stride[0], out_height, "    ")
    yield f"    for (b = 0; b < {taps_x}u; b++) {{\n"
    yield from _inside("x", "left", "b", conv.dilation[1], conv.stride[1], out_width, "        ")
    at = f"({_divided('at_y', conv.stride[0])} * {out_width}u + {_divided('at_x', conv.stride[1])}) * {c_out}u"
    yield f"        x = begin + {at}{' + c' if wire.kind == 'pool' else ''};\n"
    if wire.kind == "pool":
        _, add = _accumulator(layout, wire)
        weight = synapses.weight >> (wire.flush - _exponent(layout, wire))
        yield f"        {add.format(x='x[0]', w=f'(int32_t)({weight})')}\n"
    else:
        yield "        {\n"
        row = f"((c * {taps_y}u + a) * {taps_x}u + b)"
        yield indent("".join(_add_row(layout, wire, functions, row, own)), " " * 12)
        yield "        }\n"
    yield "    }\n}\n"


def _exponent(layout: Layout, wire: WirePlan) -> int:
    """Return the exponent of a wire's projection."""
    return next(int(q.weight_exponent) for q in layout.network.projections if q.name == wire.projection)


def _inside(axis: str, first: str, tap: str, dilation: int, stride: int, size: int, space: str) -> Iterator[str]:
    """Yield the lines that go on to the next tap where this one does not lead to a place of the output.

    A place before the first one wraps to a large number.
    """
    yield f"{space}const uint32_t at_{axis} = {first} - {tap}{f' * {dilation}u' if dilation > 1 else ''};\n"
    odd = f" || at_{axis} % {stride}u" if stride > 1 else ""
    yield f"{space}if (at_{axis} >= {size * stride}u{odd})\n{space}    continue;\n"


def _divided(name: str, stride: int) -> str:
    return name if stride == 1 else f"{name} / {stride}u"


def _flush(layout: Layout, wire: WirePlan) -> str:
    """Return the function that hands the sums of a step on: to the currents, or to the ring."""
    target = layout.population(wire.target)
    size, name = target.size, wire.name
    lines = [f"if (!net->{name}_added)\n    return;\n"]
    for k, delay in enumerate(wire.delays or (wire.delay,)):
        assert delay is not None
        now = delay == 0
        kind = "network_cell" if now else f"int{8 * target.ring_width}_t"
        place = f"net->{target.name}" if now else _ring_place(target, f"{delay}u")
        space = f"{{\n    {kind} *x = {place};\n"
        if wire.format == "lanes":
            body = _flush_lanes(wire, size, now, target)
        else:
            held = f"int{8 * wire.sum_width}_t"
            add = _handed(wire, "*sum", "x", now, target)
            body = (
                f"    {held} *sum = net->{name}_sum + {k * size}u;\n    const {held} *const end = sum + {size}u;\n"
                f"    for (; sum != end; sum++, x++) {{\n        {add}\n        *sum = 0;\n    }}\n"
            )
        lines.append(space + body + "}\n")
    lines.append(f"net->{name}_added = 0;\n")
    title = f"/* {_comment(wire.projection)}: hands the sums of this step on */\n"
    return f"{title}static void flush_{name}(network *net)\n{{\n{indent(''.join(lines), '    ')}}}\n"


def _handed(wire: WirePlan, value: str, x: str, now: bool, target: PopulationPlan) -> str:
    """Return the statement that adds a sum to its target."""
    shift = wire.flush
    if not wire.wrap and now and shift >= 0:
        return f"{x}->u = (int32_t)((uint32_t){x}->u + ((uint32_t){value} << {shift + STATE_SHIFT}));"
    whole = f"shifted_down({value}, {-shift}u)" if shift < 0 else f"(int32_t)((uint32_t){value} << {shift})"
    if wire.wrap:  # the lowest 24 bits with their sign
        whole = f"(int32_t)(((uint32_t){whole} + {STATE_LIMIT}u) & {2 * STATE_LIMIT - 1}u) - {STATE_LIMIT}"
    if now:
        return f"{x}->u = (int32_t)((uint32_t){x}->u + ((uint32_t)({whole}) << {STATE_SHIFT}));"
    if target.ring_width == 2:
        return f"*{x} = (int16_t)(*{x} + {whole});"
    return f"*{x} = (int32_t)((uint32_t)*{x} + (uint32_t)({whole}));"


def _flush_lanes(wire: WirePlan, size: int, now: bool, target: PopulationPlan) -> str:
    """Return the loop over four sums at a time, and what is left behind the last four."""
    low, high = "(int32_t)(sum[{k}] & 0xffffu) - bias", "(int32_t)(sum[{k}] >> 16) - bias"
    halves = [h.format(k=k) for k in (0, 1) for h in (low, high)]
    four = "".join(
        f"        {_handed(wire, f'({half})', f'(x + {i})', now, target)}\n" for i, half in enumerate(halves)
    )
    rest = "".join(
        f"    {_handed(wire, f'({half})', f'(x + {i})', now, target)}\n" for i, half in enumerate(halves[: size % 4])
    )
    cleared = "{space}sum[0] = 0;\n{space}sum[1] = 0;\n"
    text = f"    const int32_t bias = (int32_t)(net->{wire.name}_added * 128u);\n    uint32_t *sum = net->{wire.name}_sum;\n"
    if size >= 4:
        text += (
            f"    const uint32_t *const end = sum + {2 * (size // 4)}u;\n    for (; sum != end; sum += 2, x += 4) {{\n{four}"
            + cleared.format(space=" " * 8)
            + "    }\n"
        )
    return text + (rest + cleared.format(space=" " * 4) if size % 4 else "")


def _update(layout: Layout, p: PopulationPlan, functions: _Functions) -> str:
    """Return the call that updates a population; it returns how many neurons spiked, where its spikes are listed."""
    model, parameters, arguments = p.model, ["network_cell *x", "uint32_t n"], [f"net->{p.name}", f"{p.size}u"]
    own = {t.name.removeprefix(f"{p.name}_"): t for t in p.tables}
    for key, table in own.items():
        parameters.append(f"const {_TYPES[table.values.dtype]} *{key}")
        arguments.append(f"tables.{table.name}")
    if p.ring_rows:
        parameters.append(f"int{8 * p.ring_width}_t *ring")
        arguments.append(f"net->{p.name}_ring + net->{p.name}_row * {p.size}u")
    bias = "0"
    if "bias" in own:
        bias = "bias[i]"
    elif np.any(np.asarray(model.bias) != 0):
        bias = "bias"
        parameters.append("int32_t bias")
        arguments.append(str(int(np.ravel(model.bias)[0])))
    if p.listed:
        if "threshold" not in own:
            parameters.append("int32_t threshold")
            assert isinstance(model, Cuba)
            arguments.append(str(int(np.ravel(model.threshold)[0]) << STATE_SHIFT))
        kind = _list_type(layout, p)
        parameters.append(f"{kind} *list")
        arguments.append(_list(p))
    kind = _list_type(layout, p) if p.listed else ""
    text = _update_text(p, parameters, own, bias, kind, _NEURONS[layout.optimize])
    return f"{functions.name('update', text)}({', '.join(arguments)})"


def _list(p: PopulationPlan) -> str:
    return f"net->{p.name}_list" if p.held else "net->list"


def _list_type(layout: Layout, p: PopulationPlan) -> str:
    name = f"{p.name}_list" if p.held else "list"
    return next(s.type for s in layout.states if s.name == name)


def _update_text(
    p: PopulationPlan, parameters: Sequence[str], own: Mapping[str, Any], bias: str, list_type: str, unroll: int
) -> str:
    """Return the function that updates a population.

    Several neurons a round save instructions of the loop.
    """
    lines = ["int32_t u = x[i].u, v = x[i].v;"]
    if p.ring_rows:
        lines += [f"u = (int32_t)((uint32_t)u + ((uint32_t)ring[i] << {STATE_SHIFT}));", "ring[i] = 0;"]
    lines += [f"v = (int32_t)((uint32_t)({_decayed('v', p.voltage, 'voltage')}) + (uint32_t)u{{added}});"]
    added = "" if bias == "0" else f" + (uint32_t){bias}"
    lines[-1] = lines[-1].replace("{added}", added)
    if p.bounds.fold:
        limit = STATE_LIMIT
        fold = [
            f"if (NETWORK_RARE((uint32_t)u + {limit - 1}u > {2 * limit - 1}u)) /* beyond 24 bits it wraps once */",
            f"    u = (int32_t)(u > 0 ? (uint32_t)u - {2 * limit}u : (uint32_t)u + {2 * limit}u);",
        ]
        lines = [*lines[:-1], *fold, lines[-1]]
    lines += [f"u = {_decayed('u', p.current, 'current')};"]
    limit = STATE_LIMIT - 1
    if p.bounds.clip_high:
        lines += [f"if (NETWORK_RARE(v > {limit}))", f"    v = {limit};"]
    if p.bounds.clip_low:
        lines += [f"if (NETWORK_RARE(v < -{limit}))", f"    v = -{limit};"]
    if p.listed:
        threshold = f"((int32_t)threshold[i] * {1 << STATE_SHIFT})" if "threshold" in own else "threshold"
        subtract = isinstance(p.model, Cuba) and p.model.reset == "subtract"
        lines += [f"if (NETWORK_RARE(v > {threshold})) {{", f"    list[count++] = ({list_type})i;"]
        lines += [f"    v -= {threshold};" if subtract else "    v = 0;", "}"]
    lines += ["x[i].u = u;", "x[i].v = v;"]
    if bias == "0":
        rest = f"if ((u | v{' | ring[i]' if p.ring_rows else ''}) != 0) {{"
        lines = [lines[0], rest, *(f"    {line}" for line in lines[1:]), "}"]
    returned = "uint32_t" if p.listed else "void"
    start, end = ("count = 0, ", "    return count;\n") if p.listed else ("", "")

    def one(k: int) -> str:
        own_lines = [line.replace("[i]", f"[i + {k}]").replace(")i;", f")(i + {k});") if k else line for line in lines]
        return indent("\n".join(["{", *(f"    {line}" for line in own_lines), "}"]), " " * 8)

    rest = f"    for (; i < n % {unroll}u; i++)\n{one(0)}\n" if p.size % unroll else ""
    every = "\n".join(one(k) for k in range(unroll))
    loop = f"    for (; i < n; i += {unroll}u) {{\n{every}\n    }}\n"
    head = f"static NETWORK_NOINLINE {returned} @({', '.join(parameters)})"
    return f"{head}\n{{\n    uint32_t {start}i = 0;\n{rest}{loop}{end}}}\n"


def _decayed(x: str, decay: Decay, table: str) -> str:
    """Return the expression of a state after its decay."""
    if decay.kind == "forget":
        return "0"
    if decay.kind == "keep":
        return x
    if decay.kind == "long":
        return f"decayed({x}, {f'{table}[i]' if decay.factor is None else f'{decay.factor}u'})"
    factor = f" * {table}[i]" if decay.factor is None else "" if decay.factor == 1 else f" * {decay.factor}"
    return f"{x}{factor} / {1 << decay.shift}"


def _outer(p: PopulationPlan, j: str) -> str:
    """Return the number in the network of the neuron that is ``j`` inside."""
    if p.image is None:
        return j
    channels, height, width = p.image
    return f"({j} % {channels}u * {height * width}u + {j} / {channels}u)"


def _step(layout: Layout, functions: _Functions) -> str:
    lines = [*(line for p in layout.populations for line in _population_step(layout, p, functions))]
    for p in layout.populations:
        if p.held:
            calls = "".join(f"    send_{w.name}(net, net->{p.name}_list[k]);\n" for w in _from(layout, p, held=True))
            lines.append(f"for (k = 0; k < net->{p.name}_count; k++) {{\n{calls}}}\n")
    lines += _input_step(layout)
    lines += [f"flush_{w.name}(net);\n" for w in layout.wires if w.mode == "sum"]
    lines += [
        f"net->{p.name}_row = (uint8_t)row_after(net->{p.name}_row, 0u, {p.ring_rows}u);\n"
        for p in layout.populations
        if p.ring_rows
    ]
    if any(s.name == "step" for s in layout.states):
        lines.append("if (net->step != 0xffffffffu)\n    net->step++;\n")
    text = "".join(lines)
    names = [name for name in ("k", "count") if re.search(rf"\b{name}\b", text)]
    return indent(f"uint32_t {', '.join([*names, 'n_spikes = 0'])};\n{text}", "    ")


def _from(layout: Layout, p: PopulationPlan, *, held: bool) -> list[WirePlan]:
    return [w for w in layout.wires if w.source == p.population and w.held == held]


def _population_step(layout: Layout, p: PopulationPlan, functions: _Functions) -> Iterator[str]:
    """Yield the update of a population and what its spikes do at once."""
    count = f"net->{p.name}_count" if p.held else "count"
    call = _update(layout, p, functions)
    yield f"/* {_comment(p.population)} */\n"
    outputs = [(i, o) for i, o in enumerate(layout.network.outputs) if o.population == p.population]
    for i, output in outputs:
        if output.decoding == "last_message":
            yield f"for (k = 0; k < {p.size}u; k++)\n    net->o{i}[k] = 0;\n"
        if output.window is not None:
            yield (
                f"net->past{i}_row = (uint16_t)(net->past{i}_row + 1u == {output.window}u ? 0u : net->past{i}_row + 1u);\n"
                f"for (k = 0; k < {p.size}u; k++) {{\n"
                f"    uint8_t *const past = &net->past{i}[net->past{i}_row * {p.size}u + k];\n"
                f"    net->o{i}[k] -= *past;\n    *past = 0;\n}}\n"
            )
    update = f"{count} = {call};\n" if p.listed else f"{call};\n"
    if p.check_first:
        cleared = [f"for (k = 0; k < {p.size}u; k++) {{\n    net->{p.name}[k].u = 0;\n"]
        if p.ring_rows:
            cleared.append(f"    net->{p.name}_ring[net->{p.name}_row * {p.size}u + k] = 0;\n")
        cleared.append("}\n" + (f"{count} = 0;\n" if p.listed else ""))
        yield f"if (net->step < {p.first_step}u) {{\n{indent(''.join(cleared), '    ')}}} else {{\n    {update}}}\n"
    else:
        yield update
    if not p.listed:
        return
    yield f"for (k = 0; k < {count}; k++) {{\n    const uint32_t j = {_list(p)}[k];\n"
    yield f"    NETWORK_TRACE_SPIKE({p.number}u, {_outer(p, 'j')});\n"
    if p.population in layout.output_offsets:
        yield f"    spikes[n_spikes++] = (network_index)({_outer(p, 'j')} + {layout.output_offsets[p.population]}u);\n"
    for i, output in outputs:
        if output.decoding == "first_spike":
            yield f"    if (net->o{i}[{_outer(p, 'j')}] == 0xffffffffu)\n        net->o{i}[{_outer(p, 'j')}] = net->step;\n"
        elif output.decoding != "last_voltage":
            yield f"    net->o{i}[{_outer(p, 'j')}]++;\n"
            if output.window is not None:
                yield f"    net->past{i}[net->past{i}_row * {p.size}u + {_outer(p, 'j')}] = 1;\n"
    for w in _from(layout, p, held=False):
        yield f"    send_{w.name}(net, j);\n"
    yield "}\n"


def _decoding(output: Output) -> str:
    return output.decoding if output.window is None else f"{output.decoding} of the last {output.window} steps"


def _input_step(layout: Layout) -> list[str]:
    """Return the lines that send the events of this step."""
    network = layout.network
    sending = [(i, [w for w in layout.wires if w.source == i.name]) for i in network.inputs]
    if not any(wires for _, wires in sending):
        return ["(void)events;\n(void)values;\n(void)n_events;\n"]
    lines = ["for (k = 0; k < n_events; k++) {\n    const uint32_t j = events[k];\n"]
    if any(w.graded for _, wires in sending for w in wires):
        lines.append("    const int32_t value = values ? values[k] : 1;\n")
    keyword, n_inputs = "if", len(network.inputs)
    for at, (one, wires) in enumerate(sending):
        first = layout.input_offsets[one.name]
        own = "j" if not first else f"j - {first}u"
        calls = "".join(f"send_{w.name}(net, {own}{', value' if w.graded else ''});\n" for w in wires) or ";\n"
        if n_inputs == 1:
            lines.append(indent(calls, "    "))
            continue
        head = f"{keyword} (j < {first + one.size}u)" if at < n_inputs - 1 else "else"
        lines.append(f"    {head} {{\n{indent(calls, '        ')}    }}\n")
        keyword = "else if"
    lines.append("}\n")
    if not any(w.graded for _, wires in sending for w in wires):
        lines.insert(0, "(void)values;\n")
    return lines


def _reset(layout: Layout) -> Iterator[str]:
    """Yield the lines that put every state to its value at the start."""
    for s in layout.states:
        value = "0"
        if s.name.startswith("o") and layout.network.outputs[int(s.name[1:])].decoding == "first_spike":
            value = "0xffffffffu"
        if "[" not in _field(s).partition("/*")[0]:
            yield f"    net->{s.name} = {value};\n"
        elif s.type == "cell":
            cells = "".join(f"        net->{s.name}[k].{field} = 0;\n" for field in "uv")
            yield f"    for (k = 0; k < {s.count}u; k++) {{\n{cells}    }}\n"
        elif not s.name.endswith("list"):
            yield f"    for (k = 0; k < {s.count}u; k++)\n        net->{s.name}[k] = {value};\n"


def _classify(layout: Layout) -> Iterator[str]:
    """Yield the case of each output: the lowest number among the best neurons."""
    for i, output in enumerate(layout.network.outputs):
        p = layout.population(output.population)
        if output.decoding == "last_voltage":
            better = f"network_voltage(net, {p.number}u, k) > network_voltage(net, {p.number}u, best)"
        else:
            better = f"net->o{i}[k] {'<' if output.decoding == 'first_spike' else '>'} net->o{i}[best]"
        loop = f"for (k = 1; k < {p.size}u; k++)\n            if ({better})\n                best = k;"
        yield f"    case {i}u:\n        {loop}\n        break;\n"


def _voltage(layout: Layout) -> Iterator[str]:
    """Yield the case of each population."""
    for p in sorted(layout.populations, key=lambda p: p.number):
        at = "neuron"
        if p.image is not None:
            channels, height, width = p.image
            at = f"neuron % {height * width}u * {channels}u + neuron / {height * width}u"
        yield f"    case {p.number}u:\n        return net->{p.name}[{at}].v;\n"

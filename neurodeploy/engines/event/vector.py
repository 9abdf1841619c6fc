"""The innermost operations of the event-driven engine, written in LLVM's portable vector types.

numba's own loops leave the arithmetic of neurons scalar (measured: 2.5 ns for a neuron instead of 0.3).

LLVM lowers the vector types to the instructions of the machine (AVX-512, AVX2, NEON), so no compiler is needed at
installation. The addresses that the callers pass lie inside the arrays; nothing is checked here.
"""

from __future__ import annotations

from typing import Any

from llvmlite import ir  # type: ignore[import-untyped]
from numba.core import cgutils, types
from numba.extending import intrinsic

_LANES = 32
_NEURONS = 16
_tuple_of: Any = types.UniTuple
_MASKS = _tuple_of(types.uint64, 4)
_I8, _I16, _I32, _I64 = (ir.IntType(bits) for bits in (8, 16, 32, 64))
TOWARDS_ZERO = 11
"""AVX-512's rounding mode for a single operation: towards zero, no exceptions."""
_CUTS = 0x6000
"""Bits of x86's control word for rounding towards zero."""


def _data(context: Any, builder: Any, array_type: Any, array: Any) -> Any:
    """Return the pointer to the first element of a numba array."""
    return context.make_array(array_type)(context, builder, value=array).data


def _vector_at(builder: Any, data: Any, index: Any, element: Any, lanes: int) -> Any:
    """Return a pointer to ``lanes`` elements from ``index`` on."""
    return builder.bitcast(builder.gep(data, [index]), ir.VectorType(element, lanes).as_pointer())


def _load(builder: Any, pointer: Any, align: int) -> Any:
    value = builder.load(pointer)
    value.align = align
    return value


def _splat(builder: Any, scalar: Any, lanes: int) -> Any:
    vector = builder.insert_element(ir.Constant(ir.VectorType(scalar.type, lanes), ir.Undefined), scalar, _I32(0))
    return builder.shuffle_vector(vector, vector, ir.Constant(ir.VectorType(_I32, lanes), [0] * lanes))


def _add_to(builder: Any, acc: Any, index: Any, values: Any, lanes: int) -> None:
    pointer = _vector_at(builder, acc, index, _I32, lanes)
    store = builder.store(builder.add(_load(builder, pointer, 4), values), pointer)
    store.align = 4


def _tile(context: Any, builder: Any, signature: Any, args: Any, vectors: int) -> Any:
    """Sum ``vectors * 32`` columns of int8 rows in int16 registers, then add ``scale`` times the sums to ``acc``."""
    acc, weights, sources = (_data(context, builder, signature.args[i], args[i]) for i in (0, 2, 4))
    to, first_weight = args[1], args[3]
    stride, first, stop, scale = args[5:]
    v16, v32 = ir.VectorType(_I16, _LANES), ir.VectorType(_I32, _LANES)
    entry = builder.block
    loop, done = builder.append_basic_block("rows"), builder.append_basic_block("flush")
    builder.branch(loop)
    builder.position_at_end(loop)
    row = builder.phi(_I64)
    sums = [builder.phi(v16) for _ in range(vectors)]
    source = builder.sext(builder.load(builder.gep(sources, [row])), _I64)
    at = builder.add(builder.mul(source, stride), first_weight)
    added = []
    for k, total in enumerate(sums):
        pointer = _vector_at(builder, weights, builder.add(at, _I64(k * _LANES)), _I8, _LANES)
        added.append(builder.add(total, builder.sext(_load(builder, pointer, 1), v16)))
    following = builder.add(row, _I64(1))
    row.add_incoming(first, entry)
    row.add_incoming(following, loop)
    for total, new in zip(sums, added):
        total.add_incoming(ir.Constant(v16, [0] * _LANES), entry)
        total.add_incoming(new, loop)
    builder.cbranch(builder.icmp_signed("<", following, stop), loop, done)
    builder.position_at_end(done)
    factor = _splat(builder, scale, _LANES)
    for k, new in enumerate(added):
        values = builder.mul(builder.sext(new, v32), factor)
        _add_to(builder, acc, builder.add(to, _I64(k * _LANES)), values, _LANES)
    return context.get_dummy_value()


def _tile_of(vectors: int) -> Any:
    """Return an intrinsic for ``acc[to:to + n] += scale * sum`` over ``n = 32 * vectors`` columns of weights.

    The sum is over the int8 rows of ``sources[first:stop]``, 1 to 256 rows with a distance of ``stride``; the columns begin
    at ``first_weight``.
    """

    def tile(
        _context: Any,
        acc: Any,
        _to: Any,
        weights: Any,
        _first_weight: Any,
        sources: Any,
        _stride: Any,
        _first: Any,
        _stop: Any,
        _scale: Any,
    ) -> Any:
        def build(context: Any, builder: Any, signature: Any, args: Any) -> Any:
            return _tile(context, builder, signature, args, vectors)

        n = types.int64
        return types.void(acc, n, weights, n, sources, n, n, n, types.int32), build

    return intrinsic(tile)


def _step_64(
    context: Any,
    builder: Any,
    signature: Any,
    args: Any,
    parameters: Any,
    *,
    fits: bool = False,
    subtracts: bool = False,
) -> Any:
    """Update 64 neurons in place, between ``towards_zero`` and ``restored``.

    Returns four words: masks of the neurons that fired, that overflowed, and that were not at rest before, and whether any
    neuron is not at rest now.

    ``parameters(k)`` gives the four parameter vectors of the neurons from ``k`` on. ``fits`` leaves out the operations that
    are only needed if a current can leave 24 bits; ``subtracts`` takes the limit off a voltage that passes it, instead of
    setting it to 0.
    """
    states = [_data(context, builder, signature.args[i], args[i]) for i in (0, 2, 3)]
    groups, left = [], []
    for k in range(0, 64, _NEURONS):
        places = [builder.add(args[i], _I64(k)) for i in (1, 4, 4)]
        pointers = [_vector_at(builder, data, at, _I32, _NEURONS) for data, at in zip(states, places)]
        *masks, state = _step_16(builder, pointers, parameters(k), fits, subtracts, _rounding(context))
        groups.append(masks)
        left.append(state)
    joined = _joined if _rounding(context) == "operation" else _joined_as_words
    masks = [_I64(0) if masks[0] is None else joined(builder, masks) for masks in zip(*groups)]
    some = builder.or_(builder.or_(left[0], left[1]), builder.or_(left[2], left[3]))
    awake = builder.bitcast(builder.icmp_signed("!=", some, _number(0)), ir.IntType(_NEURONS))
    return context.make_tuple(builder, signature.return_type, [*masks, builder.zext(awake, _I64)])


def _rounding(context: Any) -> str:
    """Return how the machine rounds a product towards zero: by ``operation``, as the ``thread`` is set, or not ("")."""
    if "+avx512f" in str(context.codegen().magic_tuple()[2]).split(","):
        return "operation"
    return "thread" if has_control(context) else ""


def has_control(context: Any) -> bool:
    """Return whether rounding is set for a thread: x86 before AVX-512, whose operations say themselves how they round."""
    triple, _, features = context.codegen().magic_tuple()
    return str(triple).startswith("x86_64") and "+avx512f" not in str(features).split(",")


def _towards_zero(_context: Any) -> Any:
    """Let this thread's products and sums of floats be rounded towards zero, where that can be set; return what was set.

    Whole numbers below 2**24 have exact sums, which rounding leaves alone.
    """

    def build(context: Any, builder: Any, _signature: Any, _args: Any) -> Any:
        if not has_control(context):
            return _I32(0)
        slot, store, load = _control(builder)
        builder.call(store, [slot])
        word = builder.bitcast(slot, _I32.as_pointer())
        before = builder.load(word)
        builder.store(builder.or_(before, _I32(_CUTS)), word)
        builder.call(load, [slot])
        return before

    return types.uint32(), build


def _restored(_context: Any, _before: Any) -> Any:
    """Set what ``towards_zero`` returned."""

    def build(context: Any, builder: Any, _signature: Any, args: Any) -> Any:
        if has_control(context):
            slot, _, load = _control(builder)
            builder.store(args[0], builder.bitcast(slot, _I32.as_pointer()))
            builder.call(load, [slot])
        return context.get_dummy_value()

    return types.void(types.uint32), build


def _control(builder: Any) -> tuple[Any, Any, Any]:
    """Return room for the control word of x86's vector unit, and the functions that write and read it."""
    pointer = ir.IntType(8).as_pointer()
    get_function: Any = cgutils.get_or_insert_function
    room: Any = cgutils.alloca_once
    slot, kind = builder.bitcast(room(builder, _I32), pointer), ir.FunctionType(ir.VoidType(), [pointer])
    store, load = (get_function(builder.module, kind, f"llvm.x86.sse.{name}mxcsr") for name in ("st", "ld"))
    return slot, store, load


def _joined(builder: Any, masks: Any) -> Any:
    """Return four masks of 16 lanes as one word."""
    while len(masks) > 1:
        lanes = 2 * masks[0].type.count
        order = ir.Constant(ir.VectorType(_I32, lanes), list(range(lanes)))
        masks = [builder.shuffle_vector(low, high, order) for low, high in zip(masks[::2], masks[1::2])]
    return builder.bitcast(masks[0], _I64)


def _joined_as_words(builder: Any, masks: Any) -> Any:
    """Do as ``_joined`` where masks are whole vectors: as words they leave the few registers there are."""
    word = _I64(0)
    for k, mask in enumerate(masks):
        part = builder.zext(builder.bitcast(mask, ir.IntType(_NEURONS)), _I64)
        word = builder.or_(word, builder.shl(part, _I64(k * _NEURONS)))
    return word


def _number(n: int) -> Any:
    return ir.Constant(ir.VectorType(_I32, _NEURONS), [n] * _NEURONS)


def _step_16(builder: Any, pointers: Any, parameters: Any, fits: bool, subtracts: bool, rounds: str) -> Any:
    """Update 16 neurons at the pointers to their sums, currents and voltages; return three masks, and bits that are set for
    neurons not at rest afterwards."""
    a, u, v = (_load(builder, pointer, 4) for pointer in pointers)
    keep_u, keep_v, limit, bias = parameters
    before = builder.or_(builder.or_(a, bias), builder.or_(u, v))
    old, new = _decayed(builder, u, keep_u, rounds if fits else ""), builder.shl(a, _number(6))
    u, over = builder.add(old, new), None
    if not fits:
        over = _overflow(builder, a, old, new, u)
        high, low = (builder.icmp_signed(c, u, _number(n)) for c, n in ((">", 2**23), ("<=", -(2**23))))
        fold = builder.select(high, _number(-(2**24)), builder.select(low, _number(2**24), _number(0)))
        u = builder.add(u, fold)
    v = builder.add(builder.add(_decayed(builder, v, keep_v, rounds), u), bias)
    for comparison, end in ((">", 2**23 - 1), ("<", 1 - 2**23)):
        v = builder.select(builder.icmp_signed(comparison, v, _number(end)), _number(end), v)
    fired = builder.icmp_signed(">", v, limit)
    v = builder.select(fired, builder.sub(v, limit) if subtracts else _number(0), v)
    for pointer, value in zip(pointers, (_number(0), u, v)):
        builder.store(value, pointer).align = 4
    return fired, over, builder.icmp_signed("!=", before, _number(0)), builder.or_(u, v)


def _overflow(builder: Any, a: Any, old: Any, new: Any, total: Any) -> Any:
    """Return where ``|old + 64 * a|`` is 2**23 or more, although ``new`` and ``total`` may have lost high bits."""
    carry = builder.and_(builder.xor(old, total), builder.xor(new, total))
    outside = builder.icmp_unsigned(">", builder.add(total, _number(2**23 - 1)), _number(2**24 - 2))
    far = builder.icmp_unsigned(">=", builder.add(a, _number(2**25)), _number(2**26))
    return builder.or_(builder.or_(builder.icmp_signed("<", carry, _number(0)), outside), far)


def _decayed(builder: Any, x: Any, keep: Any, rounds: str) -> Any:
    """Return ``x * keep / 4096`` rounded towards zero; ``rounds`` is that of ``_rounding``, empty where ``|x| > 2**23``."""
    return _decayed_by_float(builder, x, keep, rounds) if rounds else _decayed_by_parts(builder, x, keep)


def _decayed_by_parts(builder: Any, x: Any, keep: Any) -> Any:
    """Return ``_decayed`` within 32 bits, in eleven operations."""
    sign = builder.ashr(x, _number(31))
    size = builder.sub(builder.xor(x, sign), sign)
    high = builder.mul(builder.lshr(size, _number(12)), keep)
    low = builder.lshr(builder.mul(builder.and_(size, _number(4095)), keep), _number(12))
    return builder.sub(builder.xor(builder.add(high, low), sign), sign)


def _decayed_by_float(builder: Any, x: Any, keep: Any, rounds: str) -> Any:
    """Return ``_decayed`` for ``|x| <= 2**23`` in three operations.

    A float holds ``x`` exactly, and all bits of the whole part of ``x * keep / 4096`` when rounded towards zero.
    """
    floats = ir.VectorType(ir.FloatType(), _NEURONS)
    unit = ir.Constant(floats, [1 / 4096] * _NEURONS)
    part = builder.fmul(builder.sitofp(keep, floats), unit)
    if rounds == "thread":
        product = builder.fmul(builder.sitofp(x, floats), part)
    else:
        kind = ir.FunctionType(floats, [floats, floats, _I32])
        get_function: Any = cgutils.get_or_insert_function
        multiply = get_function(builder.module, kind, "llvm.x86.avx512.mul.ps.512")
        product = builder.call(multiply, [builder.sitofp(x, floats), part, _I32(TOWARDS_ZERO)])
    return builder.fptosi(product, ir.VectorType(_I32, _NEURONS))


def _update_of(*, fits: bool = False) -> Any:
    """Return an intrinsic that updates 64 neurons which share their four parameters; see ``_step_64``."""

    def update(
        _context: Any,
        acc: Any,
        _acc_at: Any,
        u: Any,
        v: Any,
        _at: Any,
        _keep_u: Any,
        _keep_v: Any,
        _limit: Any,
        _bias: Any,
    ) -> Any:
        def build(context: Any, builder: Any, signature: Any, args: Any) -> Any:
            numbers = [_splat(builder, number, _NEURONS) for number in args[5:]]
            return _step_64(context, builder, signature, args, lambda _: numbers, fits=fits)

        return _MASKS(acc, types.int64, u, v, types.int64, *[types.int32] * 4), build

    return intrinsic(update)


def _update_each_of(*, subtracts: bool = False) -> Any:
    """Return an intrinsic that updates 64 neurons whose four parameters are arrays, read from index ``first`` on."""

    def update(
        _context: Any,
        acc: Any,
        _acc_at: Any,
        u: Any,
        v: Any,
        _at: Any,
        keep_u: Any,
        keep_v: Any,
        limit: Any,
        bias: Any,
        _first: Any,
    ) -> Any:
        def build(context: Any, builder: Any, signature: Any, args: Any) -> Any:
            arrays = [_data(context, builder, signature.args[i], args[i]) for i in range(5, 9)]

            def parameters(k: int) -> Any:
                at = builder.add(args[9], _I64(k))
                return [_load(builder, _vector_at(builder, data, at, _I32, _NEURONS), 4) for data in arrays]

            return _step_64(context, builder, signature, args, parameters, subtracts=subtracts)

        return _MASKS(acc, types.int64, u, v, types.int64, keep_u, keep_v, limit, bias, types.int64), build

    return intrinsic(update)


def _lowest_bit(_context: Any, _word: Any) -> Any:
    """Return the index of the lowest set bit of a word that is not 0."""

    def build(_context: Any, builder: Any, _signature: Any, args: Any) -> Any:
        return builder.cttz(args[0], ir.Constant(ir.IntType(1), 1))

    return types.int64(types.uint64), build


def _bit_count(_context: Any, _word: Any) -> Any:
    """Return the number of set bits of a word."""

    def build(_context: Any, builder: Any, _signature: Any, args: Any) -> Any:
        return builder.ctpop(args[0])

    return types.int64(types.uint64), build


def _big_word(_context: Any, data: Any, _at: Any) -> Any:
    """Return eight bytes as a word, the first of them highest."""

    def build(context: Any, builder: Any, signature: Any, args: Any) -> Any:
        first = builder.gep(_data(context, builder, signature.args[0], args[0]), [args[1]])
        return builder.bswap(_load(builder, builder.bitcast(first, _I64.as_pointer()), 1))

    return types.uint64(data, types.int64), build


def _borrowed(_context: Any, array: Any) -> Any:
    """Return the array without its reference count, for use while the caller holds it.

    Reference counting takes an atomic operation for each array that is passed on; it took most of the time of small steps.
    """

    def build(context: Any, builder: Any, signature: Any, args: Any) -> Any:
        view = context.make_array(signature.args[0])(context, builder, value=args[0])
        view.meminfo = ir.Constant(view.meminfo.type, None)
        view.parent = ir.Constant(view.parent.type, None)
        return view._getvalue()

    return array(array), build


def _add_16(_context: Any, acc: Any, _at: Any, weights: Any, _first: Any) -> Any:
    """``acc[at:at + 16] += weights[first:first + 16]``; int32 and int16."""

    def build(context: Any, builder: Any, signature: Any, args: Any) -> Any:
        sums = _data(context, builder, signature.args[0], args[0])
        data = _data(context, builder, signature.args[2], args[2])
        values = _load(builder, _vector_at(builder, data, args[3], _I16, 16), 2)
        _add_to(builder, sums, args[1], builder.sext(values, ir.VectorType(_I32, 16)), 16)
        return context.get_dummy_value()

    return types.void(acc, types.int64, weights, types.int64), build


def _add_16_times(_context: Any, acc: Any, _at: Any, weights: Any, _first: Any, _factor: Any) -> Any:
    """``acc[at:at + 16] += factor * weights[first:first + 16]``; int32, int16 and an int32 factor; sums wrap at 32 bits."""

    def build(context: Any, builder: Any, signature: Any, args: Any) -> Any:
        sums = _data(context, builder, signature.args[0], args[0])
        data = _data(context, builder, signature.args[2], args[2])
        values = _load(builder, _vector_at(builder, data, args[3], _I16, 16), 2)
        wide = builder.sext(values, ir.VectorType(_I32, 16))
        _add_to(builder, sums, args[1], builder.mul(wide, _splat(builder, args[4], 16)), 16)
        return context.get_dummy_value()

    return types.void(acc, types.int64, weights, types.int64, types.int32), build


def _prefetch(_context: Any, array: Any, _index: Any) -> Any:
    """Prefetch the cache line of ``array[index]``; an index past the end has no effect."""

    def build(context: Any, builder: Any, signature: Any, args: Any) -> Any:
        pointer = builder.gep(_data(context, builder, signature.args[0], args[0]), [args[1]])
        address = builder.bitcast(pointer, _I8.as_pointer())
        kind = ir.FunctionType(ir.VoidType(), [_I8.as_pointer(), _I32, _I32, _I32])
        get_function: Any = cgutils.get_or_insert_function
        function = get_function(builder.module, kind, "llvm.prefetch.p0i8")
        builder.call(function, [address, _I32(0), _I32(3), _I32(1)])
        return context.get_dummy_value()

    return types.void(array, types.int64), build


add_tile_128, add_tile_64 = _tile_of(4), _tile_of(2)
update_equal, update_fitting = _update_of(), _update_of(fits=True)
update_each, subtract_each = _update_each_of(), _update_each_of(subtracts=True)
towards_zero: Any = intrinsic(_towards_zero)
restored: Any = intrinsic(_restored)
lowest_bit: Any = intrinsic(_lowest_bit)
bit_count: Any = intrinsic(_bit_count)
big_word: Any = intrinsic(_big_word)
borrowed: Any = intrinsic(_borrowed)
add_16: Any = intrinsic(_add_16)
add_16_times: Any = intrinsic(_add_16_times)
prefetch: Any = intrinsic(_prefetch)

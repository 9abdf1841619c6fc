"""LLVM's portable vector types as values of compiled functions, so that a kernel is written once for every machine.

``Vector(dtype, lanes)`` is a type of numba: ``+ - * / & | ^ << >>`` and comparisons work lane by lane, a comparison gives a
vector of booleans. A vector may be wider than a register; LLVM splits it into several (AVX-512, AVX2, NEON). Results do not
depend on the machine: nothing is reassociated, and a product is fused with a sum only where ``fma`` says so.

Addresses that a caller passes lie inside the arrays; nothing is checked here.
"""

from __future__ import annotations

import operator
from collections.abc import Callable
from typing import Any

from llvmlite import ir  # type: ignore[import-untyped]
from numba.core import cgutils, types
from numba.extending import intrinsic, lower_builtin, models, register_model, type_callable

from neurodeploy.engines.event.vector import TOWARDS_ZERO, has_control
from neurodeploy.files.loops import compiled

_I32 = ir.IntType(32)
_WORDS: dict[int, Any] = {8: types.uint8, 16: types.uint16, 32: types.uint32, 64: types.uint64}
_type_base: Any = types.Type
_primitive: Any = models.PrimitiveModel
_type_callable: Any = type_callable
_lower_builtin: Any = lower_builtin


class Vector(_type_base):  # type: ignore[misc]
    """The type of ``lanes`` numbers of one ``dtype`` (a numba type; ``types.boolean`` for masks)."""

    def __init__(self, dtype: Any, lanes: int) -> None:
        self.dtype, self.lanes = dtype, lanes
        super().__init__(name=f"Vector({dtype}, {lanes})")


@register_model(Vector)
class _VectorModel(_primitive):  # type: ignore[misc]
    def __init__(self, manager: Any, fe_type: Any) -> None:
        super().__init__(manager, fe_type, _llvm(fe_type))


def _llvm(vector: Any) -> Any:
    """Return LLVM's type of a ``Vector``."""
    if isinstance(vector.dtype, types.Float):
        element = ir.FloatType() if vector.dtype.bitwidth == 32 else ir.DoubleType()
    else:
        element = ir.IntType(1 if vector.dtype == types.boolean else vector.dtype.bitwidth)
    return ir.VectorType(element, vector.lanes)


def _is_float(vector: Any) -> bool:
    return isinstance(vector.dtype, types.Float)


def _pointer(context: Any, builder: Any, array_type: Any, array: Any, index: Any, vector: Any) -> Any:
    data = context.make_array(array_type)(context, builder, value=array).data
    return builder.bitcast(builder.gep(data, [index]), _llvm(vector).as_pointer())


def _spread(builder: Any, scalar: Any, lanes: int) -> Any:
    first = builder.insert_element(ir.Constant(ir.VectorType(scalar.type, lanes), ir.Undefined), scalar, _I32(0))
    return builder.shuffle_vector(first, first, ir.Constant(ir.VectorType(_I32, lanes), [0] * lanes))


def _loader(lanes: int) -> Any:
    """Return a function ``(array, index)`` that loads a vector from a one-dimensional array."""

    def load(_context: Any, array: Any, _index: Any) -> Any:
        vector = Vector(array.dtype, lanes)

        def build(context: Any, builder: Any, signature: Any, args: Any) -> Any:
            value = builder.load(_pointer(context, builder, signature.args[0], args[0], args[1], vector))
            value.align = array.dtype.bitwidth // 8
            return value

        return vector(array, types.int64), build

    return intrinsic(load)


def _spreader(lanes: int) -> Any:
    """Return a function ``(number)`` that gives a vector of equal numbers of its type."""

    def spread(_context: Any, number: Any) -> Any:
        def build(_context: Any, builder: Any, _signature: Any, args: Any) -> Any:
            return _spread(builder, args[0], lanes)

        return Vector(number, lanes)(number), build

    return intrinsic(spread)


def _masker(lanes: int) -> Any:
    """Return a function ``(word)`` that gives the bits of an unsigned number of ``lanes`` bits as a vector of booleans."""
    vector = Vector(types.boolean, lanes)

    def mask(_context: Any, _word: Any) -> Any:
        def build(_context: Any, builder: Any, _signature: Any, args: Any) -> Any:
            return builder.bitcast(args[0], _llvm(vector))

        return vector(_WORDS[lanes]), build

    return intrinsic(mask)


def _converter(dtype: Any) -> Any:
    """Return a function ``(vector)`` that converts each number; floats are cut towards zero, booleans become 0 and -1."""

    def convert(_context: Any, vector: Any) -> Any:
        to = Vector(dtype, vector.lanes)

        def build(_context: Any, builder: Any, _signature: Any, args: Any) -> Any:
            if to == vector:
                return args[0]
            wider = vector.dtype == types.boolean or to.dtype.bitwidth > vector.dtype.bitwidth
            if _is_float(vector) and _is_float(to):
                return (builder.fpext if wider else builder.fptrunc)(args[0], _llvm(to))
            if _is_float(vector):
                return builder.fptosi(args[0], _llvm(to))
            if _is_float(to):
                return builder.sitofp(args[0], _llvm(to))
            return (builder.sext if wider else builder.trunc)(args[0], _llvm(to))

        return to(vector), build

    return intrinsic(convert)


def _shuffler(order: list[int]) -> Any:
    """Return a function ``(a, b)`` that gives the lanes ``order`` of ``a`` and ``b`` laid end to end."""

    def shuffle(_context: Any, a: Any, b: Any) -> Any:
        def build(_context: Any, builder: Any, _signature: Any, args: Any) -> Any:
            return builder.shuffle_vector(args[0], args[1], ir.Constant(ir.VectorType(_I32, len(order)), order))

        return Vector(a.dtype, len(order))(a, b), build

    return intrinsic(shuffle)


def _store(_context: Any, array: Any, _index: Any, vector: Any) -> Any:
    """Store a vector as numbers of the array's type: integers widened or cut, floats as they are."""
    to = Vector(array.dtype, vector.lanes)

    def build(context: Any, builder: Any, signature: Any, args: Any) -> Any:
        value = args[2]
        if to != vector:
            assert not _is_float(to)
            assert not _is_float(vector)
            change = builder.sext if to.dtype.bitwidth > vector.dtype.bitwidth else builder.trunc
            value = change(value, _llvm(to))
        written = builder.store(value, _pointer(context, builder, signature.args[0], args[0], args[1], to))
        written.align = array.dtype.bitwidth // 8
        return context.get_dummy_value()

    return types.void(array, types.int64, vector), build


def _select(_context: Any, mask: Any, a: Any, b: Any) -> Any:
    """Return ``a`` where the mask is set, else ``b``."""

    def build(_context: Any, builder: Any, _signature: Any, args: Any) -> Any:
        return builder.select(*args)

    return a(mask, a, b), build


def _word(_context: Any, mask: Any) -> Any:
    """Return a vector of booleans as the bits of an unsigned number."""

    def build(_context: Any, builder: Any, _signature: Any, args: Any) -> Any:
        return builder.bitcast(args[0], ir.IntType(mask.lanes))

    return _WORDS[mask.lanes](mask), build


def _as_floats(_context: Any, vector: Any) -> Any:
    """Return the same bits as float32."""

    def build(_context: Any, builder: Any, signature: Any, args: Any) -> Any:
        return builder.bitcast(args[0], _llvm(signature.return_type))

    return Vector(types.float32, vector.lanes)(vector), build


def _as_ints(_context: Any, vector: Any) -> Any:
    """Return the same bits as int32."""

    def build(_context: Any, builder: Any, signature: Any, args: Any) -> Any:
        return builder.bitcast(args[0], _llvm(signature.return_type))

    return Vector(types.int32, vector.lanes)(vector), build


def _called(builder: Any, name: str, vector: Any, args: Any) -> Any:
    """Return the result of one of LLVM's functions whose arguments and result are vectors of one type."""
    kind = "f" if _is_float(vector) else "i"
    full = f"llvm.{name}.v{vector.lanes}{kind}{vector.dtype.bitwidth}"
    of = _llvm(vector)
    get_function: Any = cgutils.get_or_insert_function
    return builder.call(get_function(builder.module, ir.FunctionType(of, [of] * len(args)), full), args)


def _unary(name: str) -> Any:
    def apply(_context: Any, vector: Any) -> Any:
        def build(_context: Any, builder: Any, _signature: Any, args: Any) -> Any:
            return _called(builder, name, vector, args)

        return vector(vector), build

    return intrinsic(apply)


def _fma(_context: Any, vector: Any, _b: Any, _c: Any) -> Any:
    """Return ``a * b + c``, rounded once."""

    def build(_context: Any, builder: Any, _signature: Any, args: Any) -> Any:
        return _called(builder, "fma", vector, args)

    return vector(vector, vector, vector), build


def _decayed(_context: Any, vector: Any, _keep: Any) -> Any:
    """Return ``x * keep`` rounded towards zero to a whole number, for whole ``|x| < 2**24`` and ``keep`` in 4096ths, 0..1.

    With AVX-512 the product itself is rounded towards zero, so that all bits of its whole part are right. Elsewhere the
    nearest float may be the next whole number; the exact remainder, which an ``fma`` gives, then has the other sign.
    """

    def build(context: Any, builder: Any, _signature: Any, args: Any) -> Any:
        features: str = context.codegen().magic_tuple()[2]
        if "+avx512f" in features.split(",") and vector.lanes % 16 == 0:
            return _called(builder, "trunc", vector, [_product_towards_zero(builder, args, vector.lanes)])
        x, keep = args
        zero = ir.Constant(_llvm(vector), [0.0] * vector.lanes)
        one = ir.Constant(_llvm(vector), [1.0] * vector.lanes)
        whole = _called(builder, "trunc", vector, [builder.fmul(x, keep)])
        rest = _called(builder, "fma", vector, [x, keep, builder.fsub(zero, whole)])
        beyond = builder.fcmp_ordered("<", builder.fmul(rest, x), zero)
        return builder.fsub(whole, builder.select(beyond, _called(builder, "copysign", vector, [one, x]), zero))

    return vector(vector, vector), build


def _decayed_towards_zero(_context: Any, vector: Any, _keep: Any) -> Any:
    """Return ``decayed``, for use between ``towards_zero`` and ``restored``, where a plain product is rounded right."""

    def build(context: Any, builder: Any, signature: Any, args: Any) -> Any:
        if has_control(context):
            return _called(builder, "trunc", vector, [builder.fmul(*args)])
        return _decayed(context, vector, vector)[1](context, builder, signature, args)

    return vector(vector, vector), build


def _product_towards_zero(builder: Any, args: Any, lanes: int) -> Any:
    sixteen = ir.VectorType(ir.FloatType(), 16)
    get_function: Any = cgutils.get_or_insert_function
    kind = ir.FunctionType(sixteen, [sixteen, sixteen, _I32])
    multiply = get_function(builder.module, kind, "llvm.x86.avx512.mul.ps.512")
    parts = []
    for first in range(0, lanes, 16):
        order = ir.Constant(ir.VectorType(_I32, 16), list(range(first, first + 16)))
        x, keep = (builder.shuffle_vector(whole, whole, order) for whole in args)
        parts.append(builder.call(multiply, [x, keep, _I32(TOWARDS_ZERO)]))
    while len(parts) > 1:
        order = ir.Constant(ir.VectorType(_I32, 2 * parts[0].type.count), list(range(2 * parts[0].type.count)))
        parts = [builder.shuffle_vector(low, high, order) for low, high in zip(parts[::2], parts[1::2])]
    return parts[0]


def _define(python: Any, typer: Callable[[Any, Any], Any], build: Callable[[Any, Any, Any], Any]) -> None:
    """Define an operator between two vectors: ``typer`` gives the type of the result, ``build`` its instructions."""

    def lowered(_context: Any, builder: Any, signature: Any, args: Any) -> Any:
        return build(builder, signature, args)

    _type_callable(python)(lambda _context: lambda a, b: typer(a, b) if isinstance(a, Vector) and a == b else None)
    _lower_builtin(python, Vector, Vector)(lowered)


def _operation(python: Any, on_ints: str | None, on_floats: str | None) -> None:
    """Define an operator whose result has the type of its two vectors."""

    def name(vector: Any) -> str | None:
        return on_floats if _is_float(vector) else on_ints

    _define(
        python,
        lambda a, _: a if name(a) else None,
        lambda builder, signature, args: getattr(builder, str(name(signature.return_type)))(*args),
    )


def _comparison(python: Any, sign: str) -> None:
    """Define a comparison (of integers as signed ones)."""

    def build(builder: Any, signature: Any, args: Any) -> Any:
        return (builder.fcmp_ordered if _is_float(signature.args[0]) else builder.icmp_signed)(sign, *args)

    _define(python, lambda a, _: Vector(types.boolean, a.lanes), build)


_operation(operator.add, "add", "fadd")
_operation(operator.sub, "sub", "fsub")
_operation(operator.mul, "mul", "fmul")
_operation(operator.truediv, None, "fdiv")
_operation(operator.and_, "and_", None)
_operation(operator.or_, "or_", None)
_operation(operator.xor, "xor", None)
_operation(operator.lshift, "shl", None)
_operation(operator.rshift, "ashr", None)
_comparison(operator.gt, ">")
_comparison(operator.lt, "<")
_comparison(operator.ge, ">=")
_comparison(operator.eq, "==")

load_8, load_16, load_32 = _loader(8), _loader(16), _loader(32)
spread_8, spread_16, spread_32 = _spreader(8), _spreader(16), _spreader(32)
mask_16, mask_32 = _masker(16), _masker(32)
to_int16, to_int32, to_float32 = (_converter(dtype) for dtype in (types.int16, types.int32, types.float32))
joined = _shuffler(list(range(32)))
"""Two vectors of 16 as one of 32."""
low_half, high_half = _shuffler(list(range(16))), _shuffler(list(range(16, 32)))
"""Half of a vector of 32, which is given twice."""
low_of_8, high_of_8 = _shuffler([0, 8, 1, 9, 2, 10, 3, 11]), _shuffler([4, 12, 5, 13, 6, 14, 7, 15])
"""The first, and the second, halves of two vectors of 8, interleaved."""
_low = _shuffler([k // 2 + k % 2 * 16 for k in range(16)])
_high = _shuffler([8 + k // 2 + k % 2 * 16 for k in range(16)])
store: Any = intrinsic(_store)
select: Any = intrinsic(_select)
word: Any = intrinsic(_word)
as_floats: Any = intrinsic(_as_floats)
as_ints: Any = intrinsic(_as_ints)
fma: Any = intrinsic(_fma)
decayed: Any = intrinsic(_decayed)
decayed_towards_zero: Any = intrinsic(_decayed_towards_zero)
round_even, absolute = _unary("roundeven"), _unary("fabs")


@compiled(nogil=True, forceinline=True)
def larger(a: Any, b: Any) -> Any:
    """Return the larger number of each lane."""
    return select(a > b, a, b)


@compiled(nogil=True, forceinline=True)
def turn_16(source: Any, at: Any, stride: Any, target: Any, to: Any, target_stride: Any) -> None:
    """Transpose 16 rows of 16 numbers: four rounds of interleaving the first half of the rows with the second."""
    r0, r1 = load_16(source, at), load_16(source, at + stride)
    r2, r3 = load_16(source, at + 2 * stride), load_16(source, at + 3 * stride)
    r4, r5 = load_16(source, at + 4 * stride), load_16(source, at + 5 * stride)
    r6, r7 = load_16(source, at + 6 * stride), load_16(source, at + 7 * stride)
    r8, r9 = load_16(source, at + 8 * stride), load_16(source, at + 9 * stride)
    ra, rb = load_16(source, at + 10 * stride), load_16(source, at + 11 * stride)
    rc, rd = load_16(source, at + 12 * stride), load_16(source, at + 13 * stride)
    re, rf = load_16(source, at + 14 * stride), load_16(source, at + 15 * stride)
    for _ in range(4):
        s0, s1, s2, s3 = _low(r0, r8), _high(r0, r8), _low(r1, r9), _high(r1, r9)
        s4, s5, s6, s7 = _low(r2, ra), _high(r2, ra), _low(r3, rb), _high(r3, rb)
        s8, s9, sa, sb = _low(r4, rc), _high(r4, rc), _low(r5, rd), _high(r5, rd)
        sc, sd, se, sf = _low(r6, re), _high(r6, re), _low(r7, rf), _high(r7, rf)
        r0, r1, r2, r3, r4, r5, r6, r7 = s0, s1, s2, s3, s4, s5, s6, s7
        r8, r9, ra, rb, rc, rd, re, rf = s8, s9, sa, sb, sc, sd, se, sf
    store(target, to, r0)
    store(target, to + target_stride, r1)
    store(target, to + 2 * target_stride, r2)
    store(target, to + 3 * target_stride, r3)
    store(target, to + 4 * target_stride, r4)
    store(target, to + 5 * target_stride, r5)
    store(target, to + 6 * target_stride, r6)
    store(target, to + 7 * target_stride, r7)
    store(target, to + 8 * target_stride, r8)
    store(target, to + 9 * target_stride, r9)
    store(target, to + 10 * target_stride, ra)
    store(target, to + 11 * target_stride, rb)
    store(target, to + 12 * target_stride, rc)
    store(target, to + 13 * target_stride, rd)
    store(target, to + 14 * target_stride, re)
    store(target, to + 15 * target_stride, rf)

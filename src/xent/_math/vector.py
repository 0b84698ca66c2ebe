"""Vectors of a fixed length as values in kernels: 16 float32 or int32, 8 float64 or int64.

LLVM makes vectors of a plain loop by itself, but takes a matter of many quantities through memory
loop by loop. Here a loop is written for whole vectors, so that what belongs to its elements stays
in registers. ``+ - * / & ^ << >>`` and comparisons go element by element, also with a scalar of the
same type; what is not an operator is a function below, for vectors and scalars alike, so that one
text serves both and gives the same bits. A machine with narrower registers takes several for one.
"""

import operator
from typing import Any

from llvmlite import ir
from numba import extending, types
from numba.core import cgutils
from numba.core.imputils import lower_builtin
from numba.core.typing.templates import AbstractTemplate, infer_global
from numba.extending import models, register_model

intrinsic: Any = extending.intrinsic  # what it makes takes one argument less than is written
WIDTH = 16  # of 32 bits
HALF = 8  # of 64 bits


class Vector(types.Type):
    """Type of so many elements side by side; of `types.boolean` it is what a comparison gives."""

    def __init__(self, dtype: Any, count: int) -> None:
        self.dtype, self.count = dtype, count
        super().__init__(name=f"Vector({dtype}, {count})")


@register_model(Vector)
class _Model(models.PrimitiveModel):
    def __init__(self, manager: Any, kind: Vector) -> None:
        bit = kind.dtype == types.boolean
        element = ir.IntType(1) if bit else manager.lookup(kind.dtype).get_value_type()
        super().__init__(manager, kind, ir.VectorType(element, kind.count))


_REAL = {types.float32: WIDTH, types.float64: HALF}
_WHOLE = {types.int32: WIDTH, types.int64: HALF}


def _vector(dtype: Any) -> Vector:
    return Vector(dtype, (_REAL | _WHOLE)[dtype])


def _element(kind: Any) -> Any:
    return kind.dtype if isinstance(kind, Vector) else kind


def _like(kind: Any, model: Any) -> Any:
    """Return the type of an element ``kind`` where ``model`` is a vector or a scalar."""
    return Vector(kind, model.count) if isinstance(model, Vector) else kind


def _spread(context: Any, builder: Any, value: Any, source: Any, result: Any) -> Any:
    """Cast a scalar, and repeat it where the result is a vector."""
    if source == result:
        return value
    if not isinstance(result, Vector):
        return context.cast(builder, value, source, result)
    if source != result.dtype:
        value = context.cast(builder, value, source, result.dtype)
    kind = context.get_value_type(result)
    some = builder.insert_element(ir.Constant(kind, ir.Undefined), value, ir.IntType(32)(0))
    places = ir.Constant(ir.VectorType(ir.IntType(32), result.count), [0] * result.count)
    return builder.shuffle_vector(some, ir.Constant(kind, ir.Undefined), places)


def _both(a: Any, b: Any) -> Any:
    """Return the vector type of an operation on a and b, or None."""
    wide, other = (a, b) if isinstance(a, Vector) else (b, a)
    if isinstance(wide, Vector) and (other == wide or other == wide.dtype):
        return wide
    return None


def _operation(symbol: Any, real: str | None, whole: str | None, *, compares: bool = False) -> None:
    """Give an operator of Python its meaning for vectors."""

    @infer_global(symbol)
    class _Template(AbstractTemplate):
        def generic(self, args: Any, kws: Any) -> Any:
            kind = _both(*args) if len(args) == 2 else None
            if kind is None or (real if kind.dtype in _REAL else whole) is None:
                return None
            return Vector(types.boolean, kind.count)(kind, kind) if compares else kind(kind, kind)

    def lower(context: Any, builder: Any, signature: Any, args: Any) -> Any:
        kind = signature.args[0]
        name = real if kind.dtype in _REAL else whole
        if compares:
            return getattr(builder, str(name))(symbols[symbol], *args)
        return getattr(builder, str(name))(*args)

    lower_builtin(symbol, Vector, Vector)(lower)


symbols = {
    operator.lt: "<", operator.le: "<=", operator.gt: ">", operator.ge: ">=", operator.eq: "==",
}  # fmt: skip
for _symbol, _real, _whole in (
    (operator.add, "fadd", "add"),
    (operator.sub, "fsub", "sub"),
    (operator.mul, "fmul", "mul"),
    (operator.truediv, "fdiv", None),
    (operator.and_, None, "and_"),
    (operator.or_, None, "or_"),
    (operator.xor, None, "xor"),
    (operator.lshift, None, "shl"),
    (operator.rshift, None, "ashr"),
):
    _operation(_symbol, _real, _whole)
for _symbol in symbols:
    _operation(_symbol, "fcmp_ordered", "icmp_signed", compares=True)


@infer_global(operator.neg)
class _Minus(AbstractTemplate):
    def generic(self, args: Any, kws: Any) -> Any:
        return args[0](args[0]) if isinstance(args[0], Vector) else None


@lower_builtin(operator.neg, Vector)
def _minus(context: Any, builder: Any, signature: Any, args: Any) -> Any:
    real = signature.args[0].dtype in _REAL
    return builder.fneg(args[0]) if real else builder.neg(args[0])


@extending.lower_cast(types.Number, Vector)
def _cast(context: Any, builder: Any, source: Any, result: Any, value: Any) -> Any:
    return _spread(context, builder, value, source, result)


def _call(builder: Any, name: str, result: Any, *arguments: Any) -> Any:
    kind = ir.FunctionType(result, [a.type for a in arguments])
    return builder.call(cgutils.get_or_insert_function(builder.module, kind, name), arguments)


def _suffix(kind: Any) -> str:
    bits = f"{'f' if _element(kind) in _REAL else 'i'}{_element(kind).bitwidth}"
    return f"v{kind.count}{bits}" if isinstance(kind, Vector) else bits


def _fma(scalar: Any) -> Any:
    @intrinsic
    def fma(typing: Any, a: Any, b: Any, c: Any) -> Any:
        """Multiply and add, in one rounding where the machine can, and so everywhere alike."""
        kind = next((k for k in (a, b, c) if isinstance(k, Vector)), scalar)

        def build(context: Any, builder: Any, signature: Any, args: Any) -> Any:
            return _call(builder, "llvm.fmuladd." + _suffix(kind), args[0].type, *args)

        return kind(kind, kind, kind), build

    return fma


fma, fma32 = _fma(types.float64), _fma(types.float32)


def _bitcast(source: Any, result: Any) -> Any:
    @intrinsic
    def cast(typing: Any, value: Any) -> Any:
        kinds = [_like(kind, value) for kind in (result, source)]

        def build(context: Any, builder: Any, signature: Any, args: Any) -> Any:
            return builder.bitcast(args[0], context.get_value_type(kinds[0]))

        return kinds[0](kinds[1]), build

    return cast


bits32, float_of_bits32 = (
    _bitcast(types.float32, types.int32),
    _bitcast(types.int32, types.float32),
)
bits64, float_of_bits64 = (
    _bitcast(types.float64, types.int64),
    _bitcast(types.int64, types.float64),
)


@intrinsic
def choose(typing: Any, mask: Any, a: Any, b: Any) -> Any:
    """Return a where the mask is true, else b; both are there already."""
    kind = a if isinstance(a, Vector) else b

    def build(context: Any, builder: Any, signature: Any, args: Any) -> Any:
        return builder.select(*args)

    return kind(mask, kind, kind), build


@intrinsic
def spread(typing: Any, value: Any, like: Any) -> Any:
    """Return the vector of a scalar repeated, of the type of the vector ``like``."""

    def build(context: Any, builder: Any, signature: Any, args: Any) -> Any:
        return _spread(context, builder, args[0], value, like)

    return like(value, like), build


def _by_name(name: str) -> Any:
    @intrinsic
    def function(typing: Any, value: Any) -> Any:
        def build(context: Any, builder: Any, signature: Any, args: Any) -> Any:
            return _call(builder, f"llvm.{name}.{_suffix(value)}", args[0].type, *args)

        return value(value), build

    return function


size, rint = _by_name("fabs"), _by_name("rint")


@intrinsic
def count(typing: Any, mask: Any) -> Any:
    """Say for how many elements the mask is true."""

    def build(context: Any, builder: Any, signature: Any, args: Any) -> Any:
        byte = ir.IntType(mask.count)
        found = _call(builder, f"llvm.ctpop.i{mask.count}", byte, builder.bitcast(args[0], byte))
        return builder.zext(found, ir.IntType(64))

    return types.int64(mask), build


def _reduced(name: str) -> Any:
    @intrinsic
    def reduce(typing: Any, value: Any) -> Any:
        """Return one integer of all: their bits or'ed together, or the largest."""

        def build(context: Any, builder: Any, signature: Any, args: Any) -> Any:
            full = f"llvm.vector.reduce.{name}.{_suffix(value)}"
            return _call(builder, full, args[0].type.element, *args)

        return value.dtype(value), build

    return reduce


reduce_or, reduce_max = _reduced("or"), _reduced("smax")


def _half(first: int) -> Any:
    @intrinsic
    def half(typing: Any, value: Any) -> Any:
        """Return half of 16 float32 as float64."""

        def build(context: Any, builder: Any, signature: Any, args: Any) -> Any:
            kind = ir.VectorType(ir.IntType(32), HALF)
            places = ir.Constant(kind, list(range(first, first + HALF)))
            part = builder.shuffle_vector(args[0], args[0], places)
            return builder.fpext(part, ir.VectorType(ir.DoubleType(), HALF))

        return Vector(types.float64, HALF)(value), build

    return half


lower, upper = _half(0), _half(HALF)


def _place(context: Any, builder: Any, signature: Any, args: Any, element: Any, length: int) -> Any:
    """Return the pointer to a vector in an array; its elements lie one after the other."""
    data = context.make_array(signature.args[0])(context, builder, args[0]).data
    pointer = ir.VectorType(element, length).as_pointer()
    return builder.bitcast(builder.gep(data, [args[1]]), pointer)


def _extended(builder: Any, value: Any, kind: Any) -> Any:
    """Return bfloat16, 16 bits each, as float32."""
    word = ir.VectorType(ir.IntType(32), kind.count)
    up = builder.shl(builder.zext(value, word), ir.Constant(word, [16] * kind.count))
    return builder.bitcast(up, ir.VectorType(ir.FloatType(), kind.count))


def _halved(builder: Any, value: Any) -> Any:
    """Return float32 rounded to bfloat16, ties to even; NaN stays NaN."""
    length = value.type.count
    word = ir.VectorType(ir.IntType(32), length)

    def repeat(number: int) -> Any:
        return ir.Constant(word, [number] * length)

    old = builder.bitcast(value, word)
    odd = builder.and_(builder.lshr(old, repeat(16)), repeat(1))
    rounded = builder.add(builder.add(old, repeat(0x7FFF)), odd)
    well = builder.fcmp_ordered("==", value, value)
    kept = builder.select(well, rounded, builder.or_(old, repeat(0x400000)))
    return builder.trunc(builder.lshr(kept, repeat(16)), ir.VectorType(ir.IntType(16), length))


def _load(wanted: Any) -> Any:
    @intrinsic
    def load(typing: Any, array: Any, at: Any) -> Any:
        """Read a vector of a contiguous array from element ``at`` on, whatever its shape is."""
        if wanted is not None:
            kind = _vector(wanted)
        else:
            kind = _vector(types.float32 if array.dtype == types.uint16 else array.dtype)

        def build(context: Any, builder: Any, signature: Any, args: Any) -> Any:
            element = context.get_data_type(array.dtype)
            place = _place(context, builder, signature, args, element, kind.count)
            value = builder.load(place, align=array.dtype.bitwidth // 8)
            if array.dtype == types.uint16:
                value = _extended(builder, value, kind)
            result = context.get_value_type(kind)
            return value if value.type == result else builder.fpext(value, result)

        return kind(array, types.uint64), build

    return load


load, load_wide = _load(None), _load(types.float64)


def _put(past: bool) -> Any:
    @intrinsic
    def put(typing: Any, array: Any, at: Any, value: Any) -> Any:
        """Write a vector to a contiguous array from element ``at`` on, in the array's type."""

        def build(context: Any, builder: Any, signature: Any, args: Any) -> Any:
            element, vector = context.get_data_type(array.dtype), args[2]
            if array.dtype == types.float64 and value.dtype == types.float32:
                vector = builder.fpext(vector, ir.VectorType(element, value.count))
            elif array.dtype != types.float64 and value.dtype == types.float64:
                vector = builder.fptrunc(vector, ir.VectorType(ir.FloatType(), value.count))
            if array.dtype == types.uint16:
                vector = _halved(builder, vector)
            place = _place(context, builder, signature, args, element, value.count)
            store = builder.store(vector, place, align=64 if past else array.dtype.bitwidth // 8)
            if past:
                one = builder.module.add_metadata([ir.Constant(ir.IntType(32), 1)])
                store.set_metadata("nontemporal", one)
            return context.get_dummy_value()

        return types.void(array, types.uint64, value), build

    return put


put = _put(past=False)
put_past = _put(past=True)  # past the caches: whole cache lines, on their boundaries

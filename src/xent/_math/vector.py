"""Vectors of a fixed length as values in kernels, and the operations that they share with scalars.

Of 16 float32 or int32, of 8 float64 or int64. LLVM makes vectors of a plain loop by itself, but
takes a matter of many quantities through memory loop by loop. Here a loop is written for whole
vectors, so that what belongs to its elements stays in registers. ``+ - * / & ^ << >>``, `abs` and
comparisons go element by element, also with a scalar of the same type; what is not an operator is a
function below, for vectors and scalars alike, so that one text serves both and gives the same bits.
A machine with narrower registers takes several for one.

`fma` rounds once on every machine; where it has no such instruction, that is a call of the C
library for each element. `multiply_add` is for where a second rounding does no harm: one
instruction where the machine has it, two elsewhere.
"""

import operator
from typing import Any

from numba import extending, types
from numba.core.errors import TypingError
from numba.core.imputils import lower_builtin
from numba.core.typing.templates import AbstractTemplate, infer_global
from numba.extending import models, register_model

from xent._math import llvm
from xent._math.llvm import intrinsic

FLOAT32_LANES = 16  # elements of a vector of 32 bits each
FLOAT64_LANES = 8


class Vector(types.Type):
    """Type of so many elements side by side; of `types.boolean` it is what a comparison gives."""

    def __init__(self, dtype: Any, count: int) -> None:
        self.dtype, self.count = dtype, count
        super().__init__(name=f"Vector({dtype}, {count})")


@register_model(Vector)
class _Model(models.PrimitiveModel):
    def __init__(self, manager: Any, kind: Vector) -> None:
        bit = kind.dtype == types.boolean
        element = llvm.BIT if bit else manager.lookup(kind.dtype).get_value_type()
        super().__init__(manager, kind, llvm.vector_of(element, kind.count))


_REAL = {types.float32: FLOAT32_LANES, types.float64: FLOAT64_LANES}
_WHOLE = {types.int32: FLOAT32_LANES, types.int64: FLOAT64_LANES}


def _vector(dtype: Any) -> Vector:
    return Vector(dtype, (_REAL | _WHOLE)[dtype])


def _element(kind: Any) -> Any:
    return kind.dtype if isinstance(kind, Vector) else kind


def _like(kind: Any, model: Any) -> Any:
    """Return the type of an element ``kind`` where ``model`` is a vector or a scalar."""
    return Vector(kind, model.count) if isinstance(model, Vector) else kind


def _splat(context: Any, builder: Any, value: Any, source: Any, result: Any) -> Any:
    """Cast a scalar, and repeat it where the result is a vector."""
    if source == result:
        return value
    element = _element(result)
    if source != element:
        value = context.cast(builder, value, source, element)
    if not isinstance(result, Vector):
        return value
    return llvm.splat_value(builder, value, context.get_value_type(result))


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
    return _splat(context, builder, value, source, result)


def _common(kinds: Any) -> Any:
    """Return the type of an operation on vectors and scalars, all of one precision."""
    vector = next((kind for kind in kinds if isinstance(kind, Vector)), None)
    elements = {types.float64 if isinstance(k, types.Integer) else _element(k) for k in kinds}
    if len(elements) > 1 or not elements <= set(_REAL):
        raise TypingError(f"one precision is wanted, not {', '.join(map(str, kinds))}")
    return vector or elements.pop()


def _ternary(name: str, doc: str) -> Any:
    @intrinsic
    def function(typing: Any, x: Any, y: Any, z: Any) -> Any:
        kind = _common((x, y, z))

        def build(context: Any, builder: Any, signature: Any, args: Any) -> Any:
            return llvm.call_overloaded(builder, name, *args)

        return kind(kind, kind, kind), build

    function.__doc__ = doc
    return function


fma = _ternary("fma", "Return x y + z with one rounding, on every machine.")
multiply_add = _ternary("fmuladd", "Return x y + z with one rounding or two, whichever is faster.")


def _bitcast(source: Any, result: Any) -> Any:
    @intrinsic
    def cast(typing: Any, value: Any) -> Any:
        """Read a number as another kind of number that has the same bits."""
        kinds = [_like(kind, value) for kind in (result, source)]

        def build(context: Any, builder: Any, signature: Any, args: Any) -> Any:
            return builder.bitcast(args[0], context.get_value_type(kinds[0]))

        return kinds[0](kinds[1]), build

    return cast


bits32 = _bitcast(types.float32, types.int32)
bits64 = _bitcast(types.float64, types.int64)
from_bits32 = _bitcast(types.int32, types.float32)
from_bits64 = _bitcast(types.int64, types.float64)


@intrinsic
def select(typing: Any, mask: Any, a: Any, b: Any) -> Any:
    """Return a where the mask is true, else b; both are there already."""
    kind = a if isinstance(a, Vector) else b

    def build(context: Any, builder: Any, signature: Any, args: Any) -> Any:
        return builder.select(*args)

    return kind(mask, kind, kind), build


@intrinsic
def splat(typing: Any, value: Any, like: Any) -> Any:
    """Return the vector of a scalar repeated, of the type of the vector ``like``."""

    def build(context: Any, builder: Any, signature: Any, args: Any) -> Any:
        return _splat(context, builder, args[0], value, like)

    return like(value, like), build


@intrinsic
def rint(typing: Any, value: Any) -> Any:
    """Round to the nearest whole number, ties to even."""

    def build(context: Any, builder: Any, signature: Any, args: Any) -> Any:
        return llvm.call_overloaded(builder, "rint", *args)

    return value(value), build


@infer_global(abs)
class _Abs(AbstractTemplate):
    def generic(self, args: Any, kws: Any) -> Any:
        return args[0](args[0]) if isinstance(args[0], Vector) else None


@lower_builtin(abs, Vector)
def _abs(context: Any, builder: Any, signature: Any, args: Any) -> Any:
    return llvm.call_overloaded(builder, "fabs", *args)


@intrinsic
def count_true(typing: Any, mask: Any) -> Any:
    """Say for how many elements the mask is true."""

    def build(context: Any, builder: Any, signature: Any, args: Any) -> Any:
        bits = llvm.integer(mask.count)
        found = llvm.call_overloaded(builder, "ctpop", builder.bitcast(args[0], bits))
        return builder.zext(found, llvm.INT64)

    return types.int64(mask), build


def _reduction(name: str, doc: str) -> Any:
    @intrinsic
    def reduce(typing: Any, value: Any) -> Any:
        def build(context: Any, builder: Any, signature: Any, args: Any) -> Any:
            kind = args[0].type
            full = f"llvm.vector.reduce.{name}.{llvm.suffix(kind)}"
            return llvm.call(builder, full, kind.element, *args)

        return value.dtype(value), build

    reduce.__doc__ = doc
    return reduce


reduce_or = _reduction("or", "Return the bits of all integers of a vector, or'ed together.")
reduce_max = _reduction("smax", "Return the largest integer of a vector.")


@intrinsic
def zeros(typing: Any) -> Any:
    """Return 8 float64 that are 0."""
    kind = Vector(types.float64, FLOAT64_LANES)

    def build(context: Any, builder: Any, signature: Any, args: Any) -> Any:
        return llvm.constant(context.get_value_type(kind), 0.0)

    return kind(), build


def _half(last: bool, doc: str) -> Any:
    @intrinsic
    def half(typing: Any, value: Any) -> Any:
        count = value.count // 2

        def build(context: Any, builder: Any, signature: Any, args: Any) -> Any:
            first = count if last else 0
            if count == 1:
                return builder.extract_element(args[0], llvm.INT32(first))
            return llvm.part_of(builder, args[0], first, count)

        return (Vector(value.dtype, count) if count > 1 else value.dtype)(value), build

    half.__doc__ = doc
    return half


lower_half = _half(False, "Return the first half of a vector; of two elements the first, a scalar.")
upper_half = _half(True, "Return the last half of a vector; of two elements the last, a scalar.")


@intrinsic
def exponent(typing: Any, value: Any) -> Any:
    """Return the whole part of log2 of 8 positive normal float64, as float64; inf of inf."""

    def build(context: Any, builder: Any, signature: Any, args: Any) -> Any:
        return llvm.exponent_of(context, builder, args[0])

    return value(value), build


@intrinsic
def mantissa(typing: Any, value: Any) -> Any:
    """Return the mantissas, from 1 to 2, of 8 positive normal float64; 1 of inf."""

    def build(context: Any, builder: Any, signature: Any, args: Any) -> Any:
        return llvm.mantissa_of(context, builder, args[0])

    return value(value), build


def table_of(values: Any) -> Any:
    """Return what looks into a table of 16 float64, at the low 4 bits of each of 8 int64."""

    @intrinsic
    def look_up(typing: Any, index: Any) -> Any:
        def build(context: Any, builder: Any, signature: Any, args: Any) -> Any:
            return llvm.look_up(context, builder, values, args[0])

        return Vector(types.float64, FLOAT64_LANES)(index), build

    return look_up


def _promote(first: int, doc: str) -> Any:
    @intrinsic
    def promote(typing: Any, value: Any) -> Any:
        kind = Vector(types.float64, FLOAT64_LANES)

        def build(context: Any, builder: Any, signature: Any, args: Any) -> Any:
            half = llvm.part_of(builder, args[0], first, FLOAT64_LANES)
            return builder.fpext(half, context.get_value_type(kind))

        return kind(value), build

    promote.__doc__ = doc
    return promote


promote_lower = _promote(0, "Return the first half of 16 float32 as float64.")
promote_upper = _promote(FLOAT64_LANES, "Return the last half of 16 float32 as float64.")


def _vector_pointer(context: Any, builder: Any, signature: Any, args: Any, count: int) -> Any:
    """Return the pointer to a vector in an array; its elements lie one after the other."""
    data = llvm.array_data(context, builder, signature.args[0], args[0])
    element = context.get_data_type(signature.args[0].dtype)
    return llvm.element_pointer(builder, data, args[1], llvm.vector_of(element, count))


def _load(wanted: Any, doc: str) -> Any:
    @intrinsic
    def load(typing: Any, array: Any, at: Any) -> Any:
        own = types.float32 if array.dtype == types.uint16 else array.dtype
        kind = _vector(wanted or own)

        def build(context: Any, builder: Any, signature: Any, args: Any) -> Any:
            place = _vector_pointer(context, builder, signature, args, kind.count)
            value = builder.load(place, align=array.dtype.bitwidth // 8)
            if array.dtype == types.uint16:
                value = llvm.bfloat16_to_float32(builder, value)
            result = context.get_value_type(kind)
            return value if value.type == result else builder.fpext(value, result)

        return kind(array, types.uint64), build

    load.__doc__ = doc
    return load


load = _load(None, "Read a vector of a contiguous array of any shape from element ``at`` on.")
load_float64 = _load(types.float64, "Read 8 elements of a contiguous array as float64.")


def _store(nontemporal: bool, doc: str) -> Any:
    @intrinsic
    def store(typing: Any, array: Any, at: Any, value: Any) -> Any:
        def build(context: Any, builder: Any, signature: Any, args: Any) -> Any:
            element, vector = context.get_data_type(array.dtype), args[2]
            if array.dtype == types.float64 and value.dtype == types.float32:
                vector = builder.fpext(vector, llvm.vector_of(element, value.count))
            elif array.dtype != types.float64 and value.dtype == types.float64:
                vector = builder.fptrunc(vector, llvm.vector_of(llvm.FLOAT, value.count))
            if array.dtype == types.uint16:
                vector = llvm.float32_to_bfloat16(builder, vector)
            place = _vector_pointer(context, builder, signature, args, value.count)
            align = llvm.CACHE_LINE if nontemporal else array.dtype.bitwidth // 8
            written = builder.store(vector, place, align=align)
            if nontemporal:
                llvm.mark_nontemporal(builder, written)
            return context.get_dummy_value()

        return types.void(array, types.uint64, value), build

    store.__doc__ = doc
    return store


store = _store(False, "Write a vector to a contiguous array from ``at`` on, in the array's type.")
store_nontemporal = _store(True, "Do as `store`, past the caches: whole cache lines alone.")


def tree_sum_of(blocks: int, length: int) -> Any:
    """Return what sums so many blocks of so many float32, one after the other."""

    @intrinsic
    def tree_sum(typing: Any, singles: Any, start: Any) -> Any:
        """Sum so many blocks of float32 in float64: block on block, then half on half."""

        def build(context: Any, builder: Any, signature: Any, args: Any) -> Any:
            data = llvm.array_data(context, builder, signature.args[0], args[0])
            narrow, wide = (llvm.vector_of(kind, length) for kind in (llvm.FLOAT, llvm.DOUBLE))

            def block(i: int) -> Any:
                at = builder.add(args[1], llvm.INT64(i * length))
                place = llvm.element_pointer(builder, data, at, narrow)
                return builder.fpext(builder.load(place, align=4), wide)

            def every_other(first: int) -> Any:
                found = block(first)
                return builder.fadd(found, block(first + 2)) if first + 2 < blocks else found

            whole = every_other(0)
            whole = builder.fadd(whole, every_other(1)) if blocks > 1 else whole
            return llvm.halved(builder, whole, builder.fadd)

        return types.float64(singles, types.intp), build

    return tree_sum

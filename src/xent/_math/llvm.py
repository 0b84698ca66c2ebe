"""The only file with LLVM's own language: what a machine can do and Python cannot say.

The first half are the words of LLVM, for whoever builds an intrinsic: functions of a builder. The
second half are intrinsics for kernels: arrays, memory, integers. Arithmetic is in `vector`, for
scalars and vectors alike. Each function is one instruction or a few; on a machine that lacks it
LLVM spells it out, slower and to the same bits. Typed pointers, which llvmlite is about to drop,
are made by `element_pointer` alone.
"""

import math
from typing import Any

from llvmlite import ir
from numba import config, types
from numba.core import cgutils
from numba.extending import intrinsic as numba_intrinsic

intrinsic: Any = numba_intrinsic  # what it makes takes one argument less than is written
DOUBLE, FLOAT = ir.DoubleType(), ir.FloatType()
BIT, BYTE, INT16, INT32, INT64 = (ir.IntType(n) for n in (1, 8, 16, 32, 64))
VOID = ir.VoidType()
CACHE_LINE = 64  # bytes


def integer(bits: int) -> Any:
    """Return the type of an integer of so many bits."""
    return ir.IntType(bits)


def vector_of(element: Any, count: int) -> Any:
    """Return the type of so many elements side by side."""
    return ir.VectorType(element, count)


def constant(kind: Any, value: Any) -> Any:
    """Return a constant; of a vector the same everywhere, where one number is given."""
    if isinstance(kind, ir.VectorType) and not isinstance(value, (list, tuple)):
        value = [value] * kind.count
    return ir.Constant(kind, value)


def call(builder: Any, name: str, result: Any, *arguments: Any) -> Any:
    """Call a function of LLVM's or of the C library by its name."""
    kind = ir.FunctionType(result, [a.type for a in arguments])
    return builder.call(cgutils.get_or_insert_function(builder.module, kind, name), arguments)


def suffix(kind: Any) -> str:
    """Return how LLVM names a type in the names of its intrinsics: ``f32``, ``v8i64``."""
    if isinstance(kind, ir.VectorType):
        return f"v{kind.count}{suffix(kind.element)}"
    return {DOUBLE: "f64", FLOAT: "f32"}.get(kind) or f"i{kind.width}"


def call_overloaded(builder: Any, name: str, *arguments: Any) -> Any:
    """Call ``llvm.name`` of the type of its first argument, which it returns."""
    kind = arguments[0].type
    return call(builder, f"llvm.{name}.{suffix(kind)}", kind, *arguments)


def splat_value(builder: Any, value: Any, kind: Any) -> Any:
    """Repeat a scalar in a vector."""
    undefined = ir.Constant(kind, ir.Undefined)
    first = builder.insert_element(undefined, value, INT32(0))
    places = constant(vector_of(INT32, kind.count), 0)
    return builder.shuffle_vector(first, undefined, places)


def part_of(builder: Any, value: Any, first: int, count: int) -> Any:
    """Return so many elements of a vector, one after the other."""
    places = constant(vector_of(INT32, count), list(range(first, first + count)))
    return builder.shuffle_vector(value, value, places)


def halved(builder: Any, value: Any, combine: Any) -> Any:
    """Combine the halves of a vector until one element is left: a tree, always the same."""
    count = value.type.count
    while count > 1:
        count //= 2
        value = combine(part_of(builder, value, 0, count), part_of(builder, value, count, count))
    return builder.extract_element(value, INT32(0))


def bfloat16_to_float32(builder: Any, value: Any) -> Any:
    """Return a vector of bfloat16, 16 bits each, as float32."""
    word = vector_of(INT32, value.type.count)
    up = builder.shl(builder.zext(value, word), constant(word, 16))
    return builder.bitcast(up, vector_of(FLOAT, value.type.count))


def float32_to_bfloat16(builder: Any, value: Any) -> Any:
    """Round a vector of float32 to bfloat16, ties to even; NaN stays NaN."""
    word = vector_of(INT32, value.type.count)
    old = builder.bitcast(value, word)
    odd = builder.and_(builder.lshr(old, constant(word, 16)), constant(word, 1))
    rounded = builder.add(builder.add(old, constant(word, 0x7FFF)), odd)
    number = builder.fcmp_ordered("==", value, value)
    kept = builder.select(number, rounded, builder.or_(old, constant(word, 0x400000)))
    half = vector_of(INT16, value.type.count)
    return builder.trunc(builder.lshr(kept, constant(word, 16)), half)


def array_data(context: Any, builder: Any, kind: Any, array: Any) -> Any:
    """Return the pointer to an array's first element."""
    return context.make_array(kind)(context, builder, array).data


def element_pointer(builder: Any, data: Any, index: Any, kind: Any) -> Any:
    """Return the pointer to element ``index`` of data, read as one to a ``kind``."""
    return builder.bitcast(builder.gep(data, [index]), ir.PointerType(kind))


def prefetch_line(builder: Any, data: Any, index: Any, level: int) -> Any:
    """Ask for the cache line of an element; 3 is the nearest cache."""
    place = element_pointer(builder, data, index, BYTE)
    arguments = [place, *(INT32(value) for value in (0, level, 1))]
    return call(builder, "llvm.prefetch.p0", VOID, *arguments)


def mark_nontemporal(builder: Any, store: Any) -> None:
    """Let a store go past the caches."""
    store.set_metadata("nontemporal", builder.module.add_metadata([INT32(1)]))


def has_avx512(context: Any) -> bool:
    """Say whether the target that is compiled for has AVX-512 (F and DQ)."""
    if getattr(config, "CPU_NAME", None) == "x86-64-v4":
        return True
    # What Numba compiles for: NUMBA_ENABLE_AVX=0 takes AVX away, and elsewhere nothing is told.
    features = str(getattr(context.codegen(), "_tm_features", "")).split(",")
    return "+avx512f" in features and "+avx512dq" in features


def look_up(context: Any, builder: Any, table: Any, index: Any) -> Any:
    """Look 8 times into a table of 16 float64, at the low 4 bits of each index.

    With AVX-512 that is one instruction on two registers.
    """
    kind = vector_of(DOUBLE, 8)
    if has_avx512(context):
        low, high = (constant(kind, list(table[at : at + 8])) for at in (0, 8))
        return call(builder, "llvm.x86.avx512.vpermi2var.pd.512", kind, low, index, high)
    name = f"xent_table_{table[0]!r}"
    values = builder.module.globals.get(name)
    if values is None:
        array = ir.ArrayType(DOUBLE, 16)
        values = ir.GlobalVariable(builder.module, array, name)
        values.initializer, values.global_constant = ir.Constant(array, list(table)), True
        values.linkage = "private"
    index = builder.and_(index, constant(index.type, 15))
    found = ir.Constant(kind, ir.Undefined)
    for i in range(8):
        place = builder.gep(values, [INT64(0), builder.extract_element(index, INT32(i))])
        found = builder.insert_element(found, builder.load(place), INT32(i))
    return found


def mantissa_of(context: Any, builder: Any, value: Any) -> Any:
    """Return the mantissas, from 1 to 2, of 8 positive normal float64."""
    kind = value.type
    if has_avx512(context):
        none, every = ir.Constant(kind, ir.Undefined), BYTE(-1)
        name = "llvm.x86.avx512.mask.getmant.pd.512"
        return call(builder, name, kind, value, INT32(0), none, every, INT32(4))
    word = vector_of(INT64, kind.count)
    fraction = builder.and_(builder.bitcast(value, word), constant(word, (1 << 52) - 1))
    return builder.bitcast(builder.or_(fraction, constant(word, 1023 << 52)), kind)


def exponent_of(context: Any, builder: Any, value: Any) -> Any:
    """Return the whole part of log2 of 8 positive normal float64, as float64; inf of inf."""
    kind = value.type
    if has_avx512(context):
        none, every = ir.Constant(kind, ir.Undefined), BYTE(-1)
        name = "llvm.x86.avx512.mask.getexp.pd.512"
        return call(builder, name, kind, value, none, every, INT32(4))
    word = vector_of(INT64, kind.count)
    power = builder.lshr(builder.bitcast(value, word), constant(word, 52))
    # The bits of 2^52 + power, less 2^52 + 1023.
    biased = builder.bitcast(builder.or_(power, constant(word, 0x4330000000000000)), kind)
    whole = builder.fsub(biased, constant(kind, 2.0**52 + 1023))
    infinite = builder.fcmp_ordered("==", value, constant(kind, math.inf))
    return builder.select(infinite, value, whole)


@intrinsic
def prefer_512(_typing: Any) -> Any:
    """Ask for the widest vectors in the calling kernel: LLVM stops at 256 bits by itself.

    llvmlite refuses attributes it does not know, so the name goes past its list.
    """

    def build(context: Any, builder: Any, _signature: Any, _args: Any) -> Any:
        set.add(builder.function.attributes, '"prefer-vector-width"="512"')
        return context.get_dummy_value()

    return types.void(), build


def _prefetch(level: int) -> Any:
    @intrinsic
    def prefetch(_typing: Any, array: Any, index: Any) -> Any:
        """Ask for the cache line of ``array[index]`` early; one past the end does no harm."""

        def build(context: Any, builder: Any, signature: Any, args: Any) -> Any:
            data = array_data(context, builder, signature.args[0], args[0])
            prefetch_line(builder, data, args[1], level)
            return context.get_dummy_value()

        return types.void(array, types.int64), build

    return prefetch


prefetch = _prefetch(3)
prefetch_l2 = _prefetch(2)  # not into the nearest cache, which the loop's own numbers fill


@intrinsic
def address(_typing: Any, array: Any) -> Any:
    """Return where an array begins in memory."""

    def build(context: Any, builder: Any, signature: Any, args: Any) -> Any:
        return builder.ptrtoint(array_data(context, builder, signature.args[0], args[0]), INT64)

    return types.int64(array), build


@intrinsic
def pointer_to(_typing: Any, address: Any, kind: Any) -> Any:
    """Turn a number into a pointer to numbers of a kind."""
    pointer = types.CPointer(kind.dtype)

    def build(context: Any, builder: Any, _signature: Any, args: Any) -> Any:
        return builder.inttoptr(args[0], context.get_value_type(pointer))

    return pointer(types.int64, kind), build


@intrinsic
def load_uint64(_typing: Any, array: Any, index: Any) -> Any:
    """Read eight bytes of an array of bytes, which must lie in it, in the machine's order."""

    def build(context: Any, builder: Any, signature: Any, args: Any) -> Any:
        data = array_data(context, builder, signature.args[0], args[0])
        return builder.load(element_pointer(builder, data, args[1], INT64), align=1)

    return types.uint64(array, index), build


@intrinsic
def store_uint64(_typing: Any, array: Any, index: Any, value: Any) -> Any:
    """Write a uint64 over eight bytes of an array of bytes, which must lie in it."""

    def build(context: Any, builder: Any, signature: Any, args: Any) -> Any:
        data = array_data(context, builder, signature.args[0], args[0])
        builder.store(args[2], element_pointer(builder, data, args[1], INT64), align=1)
        return context.get_dummy_value()

    return types.void(array, index, types.uint64), build


@intrinsic
def trailing_zeros(_typing: Any, number: Any) -> Any:
    """Count the zero bits below the lowest one of a uint64; 64 where there is none."""

    def build(_context: Any, builder: Any, _signature: Any, args: Any) -> Any:
        return builder.cttz(args[0], BIT(0))

    return types.uint64(types.uint64), build


@intrinsic
def store_fence(_typing: Any) -> Any:
    """Wait until all that went past the caches is in memory: other threads may read it then."""

    def build(context: Any, builder: Any, _signature: Any, _args: Any) -> Any:
        builder.fence("seq_cst")
        return context.get_dummy_value()

    return types.void(), build


def _copy_lines(builder: Any, to: Any, source: Any, first: Any, last: Any) -> None:
    """Copy bytes from first to last, whole cache lines of ``to``, past the caches."""
    line = vector_of(BYTE, CACHE_LINE)
    with cgutils.for_range_slice(builder, first, last, INT64(CACHE_LINE)) as (i, _):
        value = builder.load(element_pointer(builder, source, i, line), align=1)
        place = element_pointer(builder, to, i, line)
        mark_nontemporal(builder, builder.store(value, place, align=CACHE_LINE))


@intrinsic
def stream_copy(_typing: Any, out: Any, at: Any, block: Any, count: Any, nontemporal: Any) -> Any:
    """Copy ``block[:count]`` to the elements of the array ``out`` from ``at`` on.

    Where ``nontemporal`` is true, whole cache lines go past the caches: a gradient larger than
    these would first be read from memory, only to be overwritten.
    """

    def build(context: Any, builder: Any, signature: Any, args: Any) -> Any:
        kind = context.get_data_type(signature.args[0].dtype)
        size = INT64(context.get_abi_sizeof(kind))
        data = (array_data(context, builder, signature.args[i], args[i]) for i in (0, 2))
        to = element_pointer(builder, next(data), args[1], BYTE)
        source = element_pointer(builder, next(data), INT64(0), BYTE)
        total = builder.mul(args[3], size)
        copy = builder.module.declare_intrinsic("llvm.memcpy", [to.type, to.type, INT64])

        def copy_plainly(start: Any, stop: Any) -> None:
            places = builder.gep(to, [start]), builder.gep(source, [start])
            builder.call(copy, [*places, builder.sub(stop, start), BIT(0)])

        with builder.if_else(args[4]) as (then, otherwise):
            with then:
                to_line = builder.and_(
                    builder.neg(builder.ptrtoint(to, INT64)), INT64(CACHE_LINE - 1)
                )
                first = builder.select(builder.icmp_unsigned("<", to_line, total), to_line, total)
                whole = builder.and_(builder.sub(total, first), INT64(-CACHE_LINE))
                last = builder.add(first, whole)
                copy_plainly(INT64(0), first)
                _copy_lines(builder, to, source, first, last)
                copy_plainly(last, total)
            with otherwise:
                copy_plainly(INT64(0), total)
        return context.get_dummy_value()

    return types.void(out, types.intp, block, types.intp, types.boolean), build

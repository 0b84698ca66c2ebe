"""Rows turned into columns in registers, lines of a table added to at once, the end of a row.

LLVM turns a matrix round by itself one element at a time, or by gathering, which is one at a time
too. Nothing is computed here: the same bits on every machine.
"""

from typing import Any

from numba import types

from xent._math import llvm
from xent._math.llvm import intrinsic
from xent._math.vector import FLOAT64_LANES, Vector

TABLE_LINE = 4  # int64 of a line


def _woven(builder: Any, a: Any, b: Any, *, last: bool) -> Any:
    """Return the elements of a and b in turn, those of their first halves or of their last."""
    half = a.type.count // 2
    places = [i + j for i in range(half * last, half * (last + 1)) for j in (0, a.type.count)]
    return builder.shuffle_vector(a, b, llvm.constant(llvm.vector_of(llvm.INT32, 2 * half), places))


def _turned(builder: Any, rows: list[Any]) -> list[Any]:
    """Return the columns of a square of so many rows."""
    half = len(rows) // 2
    for _ in range(half.bit_length()):  # each turns the number of an element by one bit
        pairs = list(zip(rows[:half], rows[half:], strict=True))
        rows = [_woven(builder, a, b, last=last) for a, b in pairs for last in (False, True)]
    return rows


@intrinsic
def transpose(_typing: Any, x: Any, at: Any, stride: Any, out: Any, to: Any, step: Any) -> Any:
    """Turn a square of contiguous x, 16 rows of float32, 8 of float64, from element ``at`` on.

    A row begins ``stride`` elements after the one before. Column c goes to ``out``, of the same
    type, from element ``to`` + c ``step`` on.
    """
    align = x.dtype.bitwidth // 8
    side = llvm.CACHE_LINE // align

    def build(context: Any, builder: Any, signature: Any, args: Any) -> Any:
        element = context.get_data_type(signature.args[0].dtype)
        line = llvm.vector_of(element, side)
        source, target = (
            llvm.array_data(context, builder, signature.args[k], args[k]) for k in (0, 3)
        )
        place, rows = args[1], []
        for _ in range(side):
            pointer = llvm.element_pointer(builder, source, place, line)
            rows.append(builder.load(pointer, align=align))
            place = builder.add(place, args[2])
        place = args[4]
        for column in _turned(builder, rows):
            pointer = llvm.element_pointer(builder, target, place, line)
            builder.store(column, pointer, align=align)
            place = builder.add(place, args[5])
        return context.get_dummy_value()

    return types.void(x, types.int64, types.int64, out, types.int64, types.int64), build


@intrinsic
def store_lines(_typing: Any, out: Any, at: Any, a: Any, b: Any, c: Any, d: Any) -> Any:
    """Write 8 lines to contiguous ``out`` from ``at`` on: a, b, c, d of each."""

    def build(context: Any, builder: Any, signature: Any, args: Any) -> Any:
        data = llvm.array_data(context, builder, signature.args[0], args[0])
        first, second = (
            [_woven(builder, args[2 + k], args[4 + k], last=last) for last in (False, True)]
            for k in (0, 1)
        )
        place = args[1]
        for x, y in zip(first, second, strict=True):
            for last in (False, True):
                woven = _woven(builder, x, y, last=last)
                pointer = llvm.element_pointer(builder, data, place, woven.type)
                builder.store(woven, pointer, align=8)
                place = builder.add(place, llvm.INT64(FLOAT64_LANES))
        return context.get_dummy_value()

    return types.void(out, types.uint64, a, b, c, d), build


@intrinsic
def add_line(_typing: Any, table: Any, to: Any, lines: Any, at: Any) -> Any:
    """Add the line of ``lines`` from ``at`` on to that of ``table`` from ``to`` on."""

    def build(context: Any, builder: Any, signature: Any, args: Any) -> Any:
        kind = llvm.vector_of(llvm.INT64, TABLE_LINE)
        mine, theirs = (
            llvm.element_pointer(
                builder,
                llvm.array_data(context, builder, signature.args[k], args[k]),
                args[k + 1],
                kind,
            )
            for k in (0, 2)
        )
        both = builder.add(builder.load(mine, align=8), builder.load(theirs, align=8))
        builder.store(both, mine, align=8)
        return context.get_dummy_value()

    return types.void(table, types.uint64, lines, types.uint64), build


@intrinsic
def load_some(_typing: Any, array: Any, at: Any, count: Any) -> Any:
    """Read up to 8 elements of a contiguous array as float64; beyond ``count``, above 0, are 0."""
    kind = Vector(types.float64, FLOAT64_LANES)

    def build(context: Any, builder: Any, signature: Any, args: Any) -> Any:
        element = context.get_data_type(signature.args[0].dtype)
        own = llvm.vector_of(element, FLOAT64_LANES)
        data = llvm.array_data(context, builder, signature.args[0], args[0])
        place = llvm.element_pointer(builder, data, args[1], own)
        word = llvm.vector_of(llvm.INT64, FLOAT64_LANES)
        lanes = llvm.constant(word, list(range(FLOAT64_LANES)))
        mask = builder.icmp_signed("<", lanes, llvm.splat_value(builder, args[2], word))
        name = f"llvm.masked.load.{llvm.suffix(own)}.p0"
        align, nothing = llvm.INT32(array.dtype.bitwidth // 8), llvm.constant(own, 0.0)
        value = llvm.call(builder, name, own, place, align, mask, nothing)
        result = context.get_value_type(kind)
        return value if value.type == result else builder.fpext(value, result)

    return kind(array, types.uint64, types.int64), build

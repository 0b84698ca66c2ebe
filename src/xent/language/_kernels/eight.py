"""Eight bytes at once from anywhere in an array of bytes: one instruction, which Numba lacks.

Whoever calls sees to it that the eight bytes lie within the array.
"""

from typing import Any

from llvmlite import ir
from numba import types
from numba.extending import intrinsic

_EIGHT = 64


def _pointer(context: Any, builder: Any, kind: Any, array: Any, index: Any) -> Any:
    data = context.make_array(kind)(context, builder, array).data
    return builder.bitcast(builder.gep(data, [index]), ir.IntType(_EIGHT).as_pointer())


def _load8(typing, array, index):
    """Read eight bytes as a uint64, in the machine's order."""

    def generate(context, builder, signature, arguments):
        pointer = _pointer(context, builder, signature.args[0], *arguments)
        return builder.load(pointer, align=1)

    return types.uint64(array, index), generate


def _store8(typing, array, index, value):
    """Write a uint64 over eight bytes."""

    def generate(context, builder, signature, arguments):
        pointer = _pointer(context, builder, signature.args[0], *arguments[:2])
        builder.store(arguments[2], pointer, align=1)
        return context.get_dummy_value()

    return types.void(array, index, types.uint64), generate


def _trailing_zeros(typing, number):
    """Count the zero bits below the lowest one of a uint64; 64 where there is none."""

    def generate(context, builder, signature, arguments):
        return builder.cttz(arguments[0], ir.Constant(ir.IntType(1), 0))

    return types.uint64(types.uint64), generate


load8: Any = intrinsic(_load8)
store8: Any = intrinsic(_store8)
trailing_zeros: Any = intrinsic(_trailing_zeros)

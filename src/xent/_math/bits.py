"""What the machine can do and Python has no word for: the bits of a double, a fused multiply-add.

Also two hints to the compiler that rows need to keep up with memory. Each function is one LLVM
instruction; on a machine that lacks it LLVM spells it out, slower and to the same bits.
"""

from typing import Any

from llvmlite import ir
from numba import types
from numba.core import cgutils
from numba.extending import intrinsic

from xent._compile.decorator import kernel

instruction: Any = intrinsic  # what it makes is called with one argument less than is written


@instruction
def bits(_typing: Any, x: Any) -> Any:
    """Read a double as the integer with the same 64 bits."""

    def generate(_context: Any, builder: Any, _signature: Any, args: Any) -> Any:
        return builder.bitcast(args[0], ir.IntType(64))

    return types.int64(types.float64), generate


@instruction
def from_bits(_typing: Any, x: Any) -> Any:
    """Read an integer as the double with the same 64 bits."""

    def generate(_context: Any, builder: Any, _signature: Any, args: Any) -> Any:
        return builder.bitcast(args[0], ir.DoubleType())

    return types.float64(types.int64), generate


@instruction
def fma(_typing: Any, x: Any, y: Any, z: Any) -> Any:
    """Multiply x by y and add z with one rounding."""

    def generate(_context: Any, builder: Any, _signature: Any, args: Any) -> Any:
        return builder.fma(*args)

    return types.float64(types.float64, types.float64, types.float64), generate


@instruction
def wide(_typing: Any) -> Any:
    """Ask for the widest vectors in the calling kernel: LLVM stops at 256 bits by itself.

    llvmlite refuses attributes it does not know, so the name goes past its list.
    """

    def generate(context: Any, builder: Any, _signature: Any, _args: Any) -> Any:
        set.add(builder.function.attributes, '"prefer-vector-width"="512"')
        return context.get_dummy_value()

    return types.void(), generate


@instruction
def prefetch(_typing: Any, array: Any, index: Any) -> Any:
    """Ask memory for ``array[index]`` early; an index past the end is harmless."""

    def generate(context: Any, builder: Any, signature: Any, args: Any) -> Any:
        data = context.make_array(signature.args[0])(context, builder, args[0]).data
        place = builder.bitcast(builder.gep(data, [args[1]]), cgutils.voidptr_t)
        word = ir.IntType(32)
        kind = ir.FunctionType(ir.VoidType(), [cgutils.voidptr_t, word, word, word])
        hint = cgutils.get_or_insert_function(builder.module, kind, "llvm.prefetch.p0")
        builder.call(hint, [place, word(0), word(3), word(1)])
        return context.get_dummy_value()

    return types.void(array, types.int64), generate


@kernel(forceinline=True)
def added(total, error, x):
    """Add x to the double-double (total, error): Knuth's TwoSum, exact but for the last line."""
    s = total + x
    t = s - total
    return s, error + ((total - (s - t)) + (x - t))

"""Rows read eight doubles at a time, where the machine has AVX-512.

LLVM makes vectors of a plain loop by itself, but not of a look-up in a table of 16 numbers, which
is one instruction on two registers there. With it a logarithm is a polynomial of degree 8 without
a division: half the time. Elsewhere `LANES` is false and the loops of the kernels stand in.

Each row function leaves its sums as double-doubles, two numbers each, in the scratch it is given,
and returns the bits of all entries or'ed together, so that the sign tells whether one is negative.
"""

import math
from typing import Any

import numba
from llvmlite import ir
from numba import types
from numba.core import cgutils, codegen

from xent._compile.decorator import kernel
from xent._math.llvm import intrinsic as instruction

WIDTH = 8
# Vectors that are added plainly before a double-double takes them: more would be faster and, where
# all terms are alike, round alike. One after the other: in turns there are more sums than there are
# registers.
STEPS = 4
AHEAD = 1024
DOUBLE, LONG, WORD = ir.DoubleType(), ir.IntType(64), ir.IntType(32)
VECTOR, BITS = ir.VectorType(DOUBLE, WIDTH), ir.VectorType(LONG, WIDTH)
TINY, TINY_BITS = 2.0**-1022, 0x0010000000000000
SCRATCH = 2 * 4  # doubles, for four sums at most


def _has_lanes() -> bool:
    # Whoever names another processor to Numba gets code for that one.
    if any(getattr(numba.config, name) for name in ("CPU_NAME", "CPU_FEATURES", "DISABLE_JIT")):
        return False
    # What Numba compiles for: NUMBA_ENABLE_AVX=0 takes AVX away, and elsewhere nothing is told.
    features = codegen.get_host_cpu_features().split(",")
    return "+avx512f" in features and "+avx512dq" in features


LANES = _has_lanes()

_INVERSE = [1.0 / (1.0 + (k + 0.5) / 16) for k in range(16)]
_LOG = [-math.log(c) for c in _INVERSE]
# log(1 + r) = r + r² C(r) for |r| < 0.0304 to 4e-17 (fit in Chebyshev's nodes).
_CURVE = (
    -0.5, 0.33333333334276144, -0.2500000000084855, 0.1999999178866068,
    -0.1666665927629409, 0.14303589967612346, -0.1251608839370872,
)  # fmt: skip


class _Lanes:
    """Words of LLVM for eight doubles."""

    def __init__(self, builder: Any) -> None:
        self.builder = builder
        self.flags: list[Any] = []  # whose sign bits somebody must look at

    def splat(self, value: float) -> Any:
        return ir.Constant(VECTOR, [value] * WIDTH)

    def call(self, name: str, result: Any, *arguments: Any) -> Any:
        module = self.builder.module
        kind = ir.FunctionType(result, [a.type for a in arguments])
        return self.builder.call(cgutils.get_or_insert_function(module, kind, name), arguments)

    def fma(self, x: Any, y: Any, z: Any) -> Any:
        return self.call("llvm.fma.v8f64", VECTOR, x, y, z)

    def two_sum(self, x: Any, y: Any) -> tuple[Any, Any]:
        """Return the sum and its rounding error (Knuth)."""
        b = self.builder
        s = b.fadd(x, y)
        t = b.fsub(s, x)
        return s, b.fadd(b.fsub(x, b.fsub(s, t)), b.fsub(y, t))

    def halves(self, x: Any, size: int) -> list[Any]:
        """Return the first lanes, so many, and as many that follow."""
        kind = ir.VectorType(WORD, size)
        places = (list(range(at, at + size)) for at in (0, size))
        return [self.builder.shuffle_vector(x, x, ir.Constant(kind, p)) for p in places]

    def greater(self, x: Any, y: Any) -> Any:
        """Return the greater one, or y where x is NaN."""
        return self.builder.select(self.builder.fcmp_ordered(">", x, y), x, y)

    def log(self, x: Any, *, mantissa: bool = False) -> Any:
        """Logarithm of positive finite x, or of a mantissa, to an ULP of its largest part."""
        b = self.builder
        none, all_, now = ir.Constant(VECTOR, ir.Undefined), ir.Constant(ir.IntType(8), -1), WORD(4)
        prefix = "llvm.x86.avx512."
        m = x
        if not mantissa:
            m = self.call(prefix + "mask.getmant.pd.512", VECTOR, x, WORD(0), none, all_, now)
        place = b.lshr(b.bitcast(x, BITS), ir.Constant(BITS, [48] * WIDTH))
        inverse, log = (
            self.call(
                prefix + "vpermi2var.pd.512",
                VECTOR,
                ir.Constant(VECTOR, table[:WIDTH]),
                place,
                ir.Constant(VECTOR, table[WIDTH:]),
            )
            for table in (_INVERSE, _LOG)
        )
        r = self.fma(m, inverse, self.splat(-1.0))
        # In pairs: few vectors wait at a time, so the longest chain counts as much as the work.
        c = [self.splat(value) for value in _CURVE]
        square = b.fmul(r, r)
        curve = c[6]
        for k in (4, 2, 0):
            curve = self.fma(curve, square, self.fma(c[k + 1], r, c[k]))
        part = b.fadd(log, self.fma(curve, square, r))
        if mantissa:
            return part
        exponent = self.call(prefix + "mask.getexp.pd.512", VECTOR, x, none, all_, now)
        return self.fma(exponent, self.splat(math.log(2)), part)


def _row(count: int, terms: Any) -> Any:
    """Return what writes LLVM's code for adding the terms of a row, or of two, in eight lanes."""

    def generate(context: Any, builder: Any, signature: Any, args: Any) -> Any:
        lanes = _Lanes(builder)
        *rows, scratch, start, steps = args
        kinds = signature.args
        data = [
            context.make_array(kind)(context, builder, value).data
            for kind, value in zip(kinds, (*rows, scratch), strict=False)
        ]
        scratch_data = data.pop()

        def variable(kind: Any, value: Any) -> Any:
            place = cgutils.alloca_once(builder, kind)
            builder.store(ir.Constant(kind, value), place)
            return place

        nought = [0.0] * WIDTH
        high = [variable(VECTOR, nought) for _ in range(count)]
        low = [variable(VECTOR, nought) for _ in range(count)]
        some = [variable(VECTOR, nought) for _ in range(count)]
        sign = variable(BITS, [0] * WIDTH)

        def step(at: Any) -> None:
            at = builder.add(start, builder.mul(at, LONG(WIDTH)))
            values = []
            for pointer in data:
                soon = builder.gep(pointer, [builder.add(at, LONG(AHEAD))])
                soon = builder.bitcast(soon, cgutils.voidptr_t)
                lanes.call("llvm.prefetch.p0", ir.VoidType(), soon, WORD(0), WORD(3), WORD(1))
                here = builder.bitcast(builder.gep(pointer, [at]), ir.PointerType(VECTOR))
                values.append(builder.load(here, align=8))
            found = terms(lanes, [builder.load(place) for place in some], *values)
            bits = builder.load(sign)
            for flag in [*(builder.bitcast(v, BITS) for v in values), *lanes.flags]:
                bits = builder.or_(bits, flag)
            builder.store(bits, sign)
            for place, value in zip(some, found, strict=True):
                builder.store(value, place)

        blocks = builder.udiv(builder.add(steps, LONG(STEPS - 1)), LONG(STEPS))
        with cgutils.for_range(builder, blocks) as block:
            for place in some:
                builder.store(ir.Constant(VECTOR, nought), place)
            first = builder.mul(block.index, LONG(STEPS))
            left = builder.sub(steps, first)
            less = builder.icmp_signed("<", left, LONG(STEPS))
            left = builder.select(less, left, LONG(STEPS))
            with cgutils.for_range(builder, left) as turn:
                step(builder.add(first, turn.index))
            for k in range(count):
                s, rest = lanes.two_sum(builder.load(high[k]), builder.load(some[k]))
                builder.store(s, high[k])
                builder.store(builder.fadd(builder.load(low[k]), rest), low[k])
        for k in range(count):
            total, error = builder.load(high[k]), builder.load(low[k])
            size = WIDTH
            while size > 1:
                size //= 2
                total, rest = lanes.two_sum(*lanes.halves(total, size))
                error = builder.fadd(builder.fadd(*lanes.halves(error, size)), rest)
            for half, value in enumerate((total, error)):
                place = builder.gep(scratch_data, [LONG(2 * k + half)])
                builder.store(builder.extract_element(value, WORD(0)), place)
        return lanes.call("llvm.vector.reduce.or.v8i64", LONG, builder.load(sign))

    return generate


def _entropy(lanes: Any, sums: Any, x: Any) -> Any:
    safe = lanes.greater(x, lanes.splat(TINY))
    return lanes.fma(x, lanes.log(safe), sums[0]), lanes.builder.fadd(sums[1], x)


def _cross(lanes: Any, sums: Any, x: Any, y: Any) -> Any:
    b = lanes.builder
    lanes.flags = [b.sub(b.bitcast(y, BITS), ir.Constant(BITS, [TINY_BITS] * WIDTH))]
    safe = lanes.greater(y, lanes.splat(TINY))
    found = lanes.fma(x, lanes.log(safe), sums[0])
    return found, b.fadd(sums[1], x), b.fadd(sums[2], y)


def _kl(lanes: Any, sums: Any, x: Any, y: Any) -> Any:
    b = lanes.builder
    ratio = lanes.greater(b.fdiv(x, y), lanes.splat(TINY))
    found = lanes.fma(x, lanes.log(ratio), sums[0])
    return found, b.fadd(sums[1], x), b.fadd(sums[2], y)


def _js(lanes: Any, sums: Any, x: Any, y: Any) -> Any:
    b = lanes.builder
    both = b.fadd(x, y)
    swap = b.fcmp_ordered(">", x, y)
    less = b.select(swap, y, x)
    # The smaller share of the middle; a rounding of it hardly moves the sum of both terms.
    share = b.fdiv(b.fadd(less, less), both)
    # The larger one is below 2 by a bit at least, so that it is its own mantissa.
    more = b.fsub(lanes.splat(2.0), lanes.greater(share, lanes.splat(2.0**-52)))
    up = lanes.log(more, mantissa=True)
    down = lanes.log(lanes.greater(share, lanes.splat(TINY)))
    first = lanes.fma(x, b.select(swap, up, down), sums[0])
    second = lanes.fma(y, b.select(swap, down, up), sums[1])
    return first, second, b.fadd(sums[2], x), b.fadd(sums[3], b.fsub(y, x))


@instruction
def entropy_lanes(_typing: Any, p: Any, scratch: Any, start: Any, steps: Any) -> Any:
    """Add p log p and p."""
    return types.int64(p, scratch, types.int64, types.int64), _row(2, _entropy)


@instruction
def cross_lanes(_typing: Any, p: Any, q: Any, scratch: Any, start: Any, steps: Any) -> Any:
    """Add p log q, p and q."""
    return types.int64(p, q, scratch, types.int64, types.int64), _row(3, _cross)


@instruction
def kl_lanes(_typing: Any, p: Any, q: Any, scratch: Any, start: Any, steps: Any) -> Any:
    """Add p log(p/q), p and q."""
    return types.int64(p, q, scratch, types.int64, types.int64), _row(3, _kl)


@instruction
def js_lanes(_typing: Any, p: Any, q: Any, scratch: Any, start: Any, steps: Any) -> Any:
    """Add p log(2p / (p + q)), q log(2q / (p + q)), p and q - p."""
    return types.int64(p, q, scratch, types.int64, types.int64), _row(4, _js)


@kernel()
def lane_sums(scratch, k):
    """Sum number k of the scratch as a double-double."""
    return scratch[2 * k], scratch[2 * k + 1]

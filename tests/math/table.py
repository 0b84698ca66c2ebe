"""How exact each function of `xent._math` is: function, reference, range, largest error, kind.

`python tests/math/table.py [COUNT]` runs the whole table for the processor that Numba compiles for
(NUMBA_CPU_NAME, NUMBA_CPU_FEATURES) and prints, as JSON, the largest error of each line in ULP, and
what did not come out exactly where it must.
"""

import json
import sys
from fractions import Fraction
from typing import NamedTuple

import mpmath
import numpy as np
from mpmath import mpf

from xent._compile.decorator import outer
from xent._math.double_double import (
    dd_add_double,
    dd_div,
    dd_reduce,
    dd_sum,
    fast_two_sum,
    two_product,
    two_sum,
)
from xent._math.exp import (
    EXP_SCALE,
    exp_series,
    expm1,
    fast_scaled_exp,
    power_constants,
    scaled_exp,
    scaled_exp32,
    scaled_exp_below,
    scaled_power,
    tanh,
    times_split,
)
from xent._math.log import (
    atanh_series,
    fast_log,
    fast_log8,
    fast_log_ratio,
    log,
    log1p,
    log1p_series32,
)
from xent._math.vector import fma, load, multiply_add, store, zeros

mpmath.mp.prec = 240
T = 0.7  # a temperature: its inverse is no power of two
SPECIAL = [0.0, -0.0, np.inf, -np.inf, np.nan, 5e-324]
LN2 = float(np.log(2))


class Line(NamedTuple):
    """A function of one argument; the error is measured in ULP of the value, at least ``of``."""

    name: str
    true: object
    draw: object  # of a generator and a number: arguments in the range
    ulp: float
    vector: bool  # whether vectors are taken too, and must give the same bits
    special: tuple  # what SPECIAL gives; None where that is not in the range
    of: float = 0.0
    single: bool = False


def between(low, high):
    return lambda rng, n: rng.uniform(low, high, n)


def powers(low, high):
    return lambda rng, n: np.exp2(rng.uniform(low, high, n))


TOP = 3.25  # the largest logit of the exponentials below it


@outer()
def _constants(top, inverse):
    return power_constants(top, inverse)


def true_power(x):
    scale = mpf(float(_constants(TOP, 1 / T)[1]))
    return scale * mpmath.exp((mpf(x) - mpf(TOP)) * mpf(1 / T))


def true_below(x):
    return mpmath.exp((mpf(x) - mpf(TOP)) * mpf(1 / T)) * mpf(EXP_SCALE)


def true_exp(x):
    return mpmath.exp(mpf(x)) * mpf(EXP_SCALE)


def true_atanh(z):
    root = mpmath.sqrt(mpf(z))
    return (mpmath.atanh(root) / root - 1) / mpf(z)


def true_log1p_series(u):
    return ((mpmath.log1p(mpf(u)) / mpf(u) - 1) / mpf(u) + mpf(1) / 2) / mpf(u)


def true_exp_series(t):
    return (mpmath.exp(mpf(t)) - 1 - mpf(t)) / mpf(t) ** 2


NAN = np.nan
S = EXP_SCALE
BITS_30, BITS_33 = 2.0**23, 2.0**20  # what is right to so many bits, in ULP of float64
LINES = [
    Line("scaled_exp", true_exp, between(-751, 665), 1.0, True, (S, S, None, 0.0, NAN, S)),
    Line("fast_scaled_exp", true_exp, between(-751, 665), BITS_30, True, (S, S, None, 0.0, NAN, S)),
    Line("scaled_exp_below", true_below, between(-500, TOP), 1.0, True, (None,) * 6),
    Line("expm1", lambda x: mpmath.expm1(x), between(-40, 40), 3.0, False, (0, -0.0, None, -1, NAN, 5e-324)),
    Line("expm1 near 0", lambda x: mpmath.expm1(x), between(-0.4, 0.4), 4.0, False, (None,) * 6),
    Line("tanh", lambda x: mpmath.tanh(x), between(-20, 20), 2.0, False, (0, -0.0, 1, -1, NAN, 5e-324)),
    Line("tanh near 0", lambda x: mpmath.tanh(x), between(-0.7, 0.7), 2.0, False, (None,) * 6),
    Line("tanh's slope", lambda x: mpmath.sech(x) ** 2, between(-20, 20), 4.0, False, (1, 1, 0, 0, NAN, 1)),
    Line("log", lambda x: mpmath.log(mpf(x)), powers(-1000, 1000), 1.0, False, (None,) * 6),
    Line("log near 1", lambda x: mpmath.log(mpf(x)), between(0.6, 1.6), 1.0, False, (None,) * 6),
    Line("fast_log", lambda x: mpmath.log(mpf(x)), powers(-1000, 1000), 1.5, False, (None,) * 6, LN2),
    Line("fast_log8", lambda x: mpmath.log(mpf(x)), powers(-1000, 1000), 1.75, True, (None, None, np.inf, None, None, None), LN2),
    Line("log1p", lambda x: mpmath.log1p(mpf(x)), powers(-1000, 1000), 1.0, True, (0, 0, np.inf, None, NAN, 5e-324)),
    Line("log1p near 1", lambda x: mpmath.log1p(mpf(x)), powers(-60, 3), 1.0, True, (None,) * 6),
    Line("fast_log_ratio", lambda x: mpmath.log1p(mpf(x) / mpf(S)), powers(-100, 100), BITS_33, True, (0, 0, None, None, NAN, None)),
    Line("atanh_series", true_atanh, between(1e-6, 1 / 9), 2.5, False, (None,) * 6),
    Line("exp_series", true_exp_series, between(-0.34, 0.34), 3.0, True, (None,) * 6),
    Line("scaled_power", true_power, between(-87, TOP), 1.0, True, (None,) * 6, 0.0, True),
    Line("scaled_exp32", true_exp, between(-130, 0), 1.0, False, (S, S, None, None, NAN, S), 0.0, True),
    Line("log1p_series32", true_log1p_series, between(0.001, 1), 40.0, False, (None,) * 6, 0.0, True),
]  # fmt: skip


@outer()
def scalars(x, out):
    for i in range(x.shape[1]):
        out[0, i] = scaled_exp(x[0, i], 0.0)
        out[1, i] = fast_scaled_exp(x[1, i])
        out[2, i] = scaled_exp_below(x[2, i], TOP, 1 / T)
        out[3, i] = expm1(x[3, i])
        out[4, i] = expm1(x[4, i])
        out[5, i] = tanh(x[5, i])[0]
        out[6, i] = tanh(x[6, i])[0]
        out[7, i] = tanh(x[7, i])[1]
        out[8, i] = log(x[8, i], 0)
        out[9, i] = log(x[9, i], 0)
        out[10, i] = fast_log(x[10, i])
        out[12, i] = log1p(x[12, i])
        out[13, i] = log1p(x[13, i])
        out[14, i] = fast_log_ratio(EXP_SCALE + x[14, i], x[14, i], EXP_SCALE)
        out[15, i] = atanh_series(x[15, i])
        out[16, i] = exp_series(x[16, i])


@outer()
def singles(x, out, top):
    _, _, shift, floor, high, low = power_constants(top, 1 / T)
    for i in range(x.shape[1]):
        out[17, i] = scaled_power(x[17, i], shift, floor, high, low)
        out[18, i] = scaled_exp32(x[18, i])
        out[19, i] = log1p_series32(x[19, i])


@outer()
def vectors(x, out):
    n = x.shape[1]
    for i in range(0, n, 8):
        store(out, 0 * n + i, scaled_exp(load(x, 0 * n + i), zeros()))
        store(out, 1 * n + i, fast_scaled_exp(load(x, 1 * n + i)))
        store(out, 2 * n + i, scaled_exp_below(load(x, 2 * n + i), TOP, 1 / T))
        store(out, 11 * n + i, fast_log8(load(x, 11 * n + i)))
        store(out, 12 * n + i, log1p(load(x, 12 * n + i)))
        store(out, 13 * n + i, log1p(load(x, 13 * n + i)))
        others = load(x, 14 * n + i)
        ratio = fast_log_ratio(others + EXP_SCALE, others, zeros() + EXP_SCALE)
        store(out, 14 * n + i, ratio)
        store(out, 16 * n + i, exp_series(load(x, 16 * n + i)))


@outer()
def single_vectors(x, out, top):
    _, _, shift, floor, high, low = power_constants(top, 1 / T)
    n = x.shape[1]
    for i in range(0, n, 16):
        store(out, 17 * n + i, scaled_power(load(x, 17 * n + i), shift, floor, high, low))


@outer()
def sums(x, y, z, w, out):
    for i in range(x.shape[0]):
        out[0, i], out[1, i] = two_sum(x[i], y[i])
        out[2, i], out[3, i] = fast_two_sum(max(abs(x[i]), abs(y[i])), min(abs(x[i]), abs(y[i])))
        out[4, i], out[5, i] = two_product(x[i], y[i])
        out[6, i], out[7, i] = dd_add_double(x[i], z[i], y[i])
        out[8, i], out[9, i] = dd_div(x[i], z[i], y[i], w[i])
        out[10, i] = fma(x[i], y[i], -(x[i] * y[i]))
        out[11, i] = fma(x[i], y[i], z[i])
        out[12, i] = multiply_add(x[i], y[i], z[i])
    for i in range(0, x.shape[0], 8):
        a, b = load(x, i), load(y, i)
        high, low = two_product(a, b)
        store(out, 13 * x.shape[0] + i, high)
        store(out, 14 * x.shape[0] + i, low)
    out[15, 0], out[16, 0] = dd_sum(x)
    high, low = load(x, 0), load(z, 0)
    out[15, 1], out[16, 1] = dd_reduce(high, low)


@outer()
def single_sums(x, y, z, out):
    for i in range(x.shape[0]):
        out[0, i] = fma(x[i], y[i], z[i])
        out[2, i] = times_split(x[i], y[i], y[i] * np.float32(2.0**-25), np.float32(0.0))
    for i in range(0, x.shape[0], 16):
        store(out, x.shape[0] + i, fma(load(x, i), load(y, i), load(z, i)))


def ulps(found, true, of, single):
    """Errors in ULP of the true value, or of ``of`` where that is larger."""
    with mpmath.workprec(240):
        value = max(abs(float(true)), of)
        unit = np.spacing(np.float32(value)) if single else np.spacing(value)
        return float(abs(mpf(float(found)) - true) / mpf(float(unit)))


def same(a, b):
    return np.asarray(a).tobytes() == np.asarray(b).tobytes()


def errors(count):
    """The largest error of every line, and the lines that break a promise."""
    rng = np.random.default_rng(5)
    drawn = [line.draw(rng, count) for line in LINES]
    x = np.array(drawn)
    x32 = np.zeros(x.shape, np.float32)
    for k in (k for k, line in enumerate(LINES) if line.single):
        x32[k] = x[k]
    out, of_vectors = np.zeros_like(x), np.zeros_like(x)
    out32, of_vectors32 = np.zeros_like(x32), np.zeros_like(x32)
    scalars(x, out)
    vectors(x, of_vectors)
    singles(x32, out32, TOP)
    single_vectors(x32, of_vectors32, TOP)
    out[11] = of_vectors[11]
    special = np.tile(np.repeat(SPECIAL, [8, 8, 8, 8, 8, 8]), (len(LINES), 1))
    at, at32 = np.zeros_like(special), np.zeros(special.shape, np.float32)
    in_vectors = np.zeros_like(special)
    scalars(special, at)
    vectors(special, in_vectors)
    at[11] = in_vectors[11]
    singles(special.astype(np.float32), at32, TOP)
    worst, broken = {}, []
    for k, line in enumerate(LINES):
        given, found, other = (x32, out32, of_vectors32) if line.single else (x, out, of_vectors)
        each = [
            ulps(f, line.true(float(v)), line.of, line.single)
            for v, f in zip(given[k], found[k], strict=True)
        ]
        worst[line.name] = max(each)
        if not max(each) <= line.ulp:
            broken.append(f"{line.name}: {max(each)} ULP at {given[k][np.argmax(each)]!r}")
        if line.vector and not same(found[k], other[k]):
            broken.append(f"{line.name}: vectors give other bits than scalars")
        for value, want, got in zip(
            SPECIAL, line.special, (at32 if line.single else at)[k, ::8], strict=True
        ):
            if want is not None and not np.array_equal(got, want, equal_nan=True):
                broken.append(f"{line.name}({value}) is {got!r}, not {want!r}")
        if line.vector and not line.single:
            kept = np.repeat([want is not None for want in line.special], 8)
            if not np.array_equal(in_vectors[k][kept], at[k][kept], equal_nan=True):
                broken.append(f"{line.name}: vectors take special numbers otherwise than scalars")
    return worst, broken


def exactness(count):
    """Identities of the double-double, by fractions; the names of those that fail."""
    rng = np.random.default_rng(6)
    x = rng.normal(size=count) * np.exp2(rng.integers(-40, 40, count))
    y = rng.normal(size=count) * np.exp2(rng.integers(-40, 40, count))
    x[0] = y[0] = 1 + 2.0**-30  # the square needs one bit more than a float64 has
    z, w = x * 2.0**-54 * rng.uniform(-1, 1, count), y * 2.0**-54 * rng.uniform(-1, 1, count)
    out = np.zeros((17, count))
    sums(x, y, z, w, out)
    broken = []

    def check(name, holds):
        if not holds:
            broken.append(name)

    for i in range(count):
        a, b, c, d = (Fraction(float(v[i])) for v in (x, y, z, w))
        o = [Fraction(float(v)) for v in out[:15, i]]
        check("two_sum", o[0] + o[1] == a + b and out[0, i] == x[i] + y[i])
        check("fast_two_sum", o[2] + o[3] == abs(a) + abs(b))
        check("two_product", o[4] + o[5] == a * b and out[4, i] == x[i] * y[i])
        scale = abs(a) + abs(b)
        check("dd_add_double", abs(o[6] + o[7] - (a + c + b)) <= scale * Fraction(2) ** -104)
        quotient = (a + c) / (b + d)
        check("dd_div", abs(o[8] + o[9] - quotient) <= abs(quotient) * Fraction(2) ** -102)
        check("fma of a product's rounding", o[10] == a * b - Fraction(float(x[i] * y[i])))
        check("fma", out[11, i] == float(a * b + c))
        check("multiply_add", abs(o[12] - (a * b + c)) <= abs(a * b) * Fraction(2) ** -52)
        check("two_product of vectors", o[13] == o[4] and o[14] == o[5])
    total = sum((Fraction(float(v)) for v in x), Fraction(0))
    size = sum((abs(Fraction(float(v))) for v in x), Fraction(0))
    found = Fraction(float(out[15, 0])) + Fraction(float(out[16, 0]))
    check("dd_sum", abs(found - total) <= size * count * Fraction(2) ** -105)
    eight = sum((Fraction(float(v)) for v in (*x[:8], *z[:8])), Fraction(0))
    found = Fraction(float(out[15, 1])) + Fraction(float(out[16, 1]))
    check("dd_reduce", abs(found - eight) <= size * Fraction(2) ** -102)
    return sorted(set(broken) | set(single_exactness(rng, count)))


def single_exactness(rng, count):
    x, y = (rng.normal(size=count).astype(np.float32) for _ in range(2))
    z = -(x * y) * np.exp2(rng.integers(-30, 30, count) // 8 * 8).astype(np.float32)
    out = np.zeros((3, count), np.float32)
    single_sums(x, y, z, out)
    broken = []
    for i in range(count):
        true = Fraction(float(x[i])) * Fraction(float(y[i])) + Fraction(float(z[i]))
        with mpmath.workprec(24):
            want = float(mpf(true.numerator) / true.denominator)
        if not (float(out[0, i]) == want and same(out[0, i], out[1, i])):
            broken.append("fma of float32")
        product = float(x[i]) * float(y[i]) * (1 + 2.0**-25)
        if abs(float(out[2, i]) - product) > 0.5001 * np.spacing(np.float32(abs(product))):
            broken.append("times_split")
    return broken


def main(count):
    worst, broken = errors(count)
    return {"worst": worst, "broken": broken + exactness(min(count, 2000))}


if __name__ == "__main__":
    print(json.dumps(main(int(sys.argv[1]) if len(sys.argv) > 1 else 400)))

"""The gamma function as its leading terms and a rest, so that differences of it keep their digits.

log Γ(x) = (x - 1/2) log x - x + log √(2π) + R(x), Stirling's series: in entropies and divergences
the leading terms cancel by themselves, and R is small. Also E(r) = r - 1 - log r, the excess of a
ratio, of which those divergences are made.
"""

import math
from fractions import Fraction

STIRLING_FROM = 30.0  # from which R is its series to the last digit
COEFFICIENTS = (1 / 12, -1 / 360, 1 / 1260, -1 / 1680, 1 / 1188, -691 / 360360)
NORMAL = 0.5 * math.log(2 * math.pi * math.e)


def excess(d: float) -> float:
    """Excess of r over 1 + log r, for r = 1 + d: never negative, 0 at 1, exact near it."""
    if not abs(d) < 0.2:
        return math.inf if d <= -1 or d == math.inf else d - math.log1p(d)
    s = d / (2 + d)
    z = s * s
    series = sum(z**k / (2 * k + 3) for k in range(10))
    return s * d - 2 * s * z * series


def excess_of_ratio(a: float, b: float) -> float:
    """Excess of a / b."""
    if a == b:
        return 0.0
    if a == 0:
        return math.inf
    d = (a - b) / b
    if -0.9 < d < math.inf:
        return excess(d)
    if d == math.inf:
        return math.inf
    return d - math.log(a) + math.log(b)  # a / b may be too small to be seen in d


def times_excess(b: float, a: float) -> float:
    """Return b times the excess of a / b: a - b - b log(a / b), finite where a / b is not."""
    if a > 0 and (a - b) / b == math.inf:
        return a - b - b * (math.log(a) - math.log(b))
    return b * excess_of_ratio(a, b)


def times_excess_of_products(b: tuple[float, float], a: tuple[float, float]) -> float:
    """b1 times the excess of a1 a2 / (b1 b2), the difference of the products exact."""
    whole = Fraction(b[0]) * Fraction(b[1])
    d = (Fraction(a[0]) * Fraction(a[1]) - whole) / whole
    if Fraction(-9, 10) < d < 10**300:
        return b[0] * excess(float(d))
    log_ratio = math.fsum([math.log(a[0]), math.log(a[1]), -math.log(b[0]), -math.log(b[1])])
    try:
        return float(d * Fraction(b[0])) - b[0] * log_ratio
    except OverflowError:
        return math.inf


def log_ratio(a: float, b: float) -> float:
    """log(a / b), exact where both are near."""
    d = (a - b) / b
    return math.log1p(d) if abs(d) < 0.5 else math.log(a) - math.log(b)


def stirling_rest(x: float) -> tuple[float, float]:
    """R(x) and its derivative."""
    if x > STIRLING_FROM:
        value = slope = 0.0
        z = 1 / (x * x)
        for k, c in reversed(list(enumerate(COEFFICIENTS))):
            value, slope = value * z + c, slope * z - (2 * k + 1) * c
        return value / x, slope * z
    from scipy.special import digamma, gammaln

    log = math.log(x)
    value = float(gammaln(x)) - (x - 0.5) * log + x - 0.5 * math.log(2 * math.pi)
    return value, float(digamma(x)) - log + 0.5 / x


def log_gamma_gap(y: float, x: float, d: float | None = None) -> float:
    """How far log Γ at y lies above its tangent at x: never negative, exact near x.

    ``d`` is y - x, where that is known better than both are.
    """
    from scipy.special import digamma, gammaln, zeta

    d = y - x if d is None else d
    u = d / x
    if min(x, y) > STIRLING_FROM:
        return _leading_gap(y, x, d) + rest_gap(y, x, d)
    if abs(u) < 0.1:
        return math.fsum((-u) ** n * x**n * float(zeta(n, x)) / n for n in range(18, 1, -1))
    return max(0.0, float(gammaln(y) - gammaln(x) - d * digamma(x)))


def rest_gap(y: float, x: float, d: float | None = None) -> float:
    """How far R at y lies above its tangent at x."""
    d = y - x if d is None else d
    u = d / x
    if min(x, y) > STIRLING_FROM:
        v = y / x
        found = 0.0
        for k, c in reversed(list(enumerate(COEFFICIENTS))):
            n = 2 * k + 1
            powers = math.fsum(i * v ** -(n - i + 1) for i in range(1, n + 1))
            found += c * x**-n * powers
        return u * u * found
    if abs(u) < 0.1 or max(x, y) <= STIRLING_FROM:
        return log_gamma_gap(y, x, d) - _leading_gap(y, x, d)
    (at_y, _), (at_x, slope) = stirling_rest(y), stirling_rest(x)
    return at_y - at_x - d * slope


def _leading_gap(y: float, x: float, d: float) -> float:
    """How far the leading terms at y lie above their tangent at x."""
    if abs(d) < 0.5 * min(x, y):
        return y * excess(-d / y) + 0.5 * excess(d / x)
    return times_excess(y, x) + 0.5 * excess_of_ratio(y, x)


def gamma_entropy(k: float) -> float:
    """Entropy of a gamma of scale 1: k + log Γ(k) + (1 - k) ψ(k)."""
    rest, slope = stirling_rest(k)
    return math.fsum([NORMAL, 0.5 * math.log(k), -0.5 / k, rest, (1 - k) * slope])


def student_entropy(df: float, size: int = 1) -> float:
    """Entropy of a Student of ``size`` numbers, of unit scale."""
    h, e = df / 2, size / 2
    if math.isinf(h):
        return size * NORMAL
    (low, low_slope), (high, high_slope) = stirling_rest(h), stirling_rest(h + e)
    terms = [size * NORMAL, 0.5 * math.log1p(e / h), 0.5 * e / h]
    return math.fsum([*terms, low, -high, (h + e) * (high_slope - low_slope)])

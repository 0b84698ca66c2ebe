"""Options: each is used or refused, none accepted and ignored; what comes back is plain numbers."""

import dataclasses
import math

import numpy as np
import pandas as pd
import pytest
from scipy import stats

from xent.measures import (
    drift,
    entropy,
    estimate_cross_entropy,
    estimate_entropy,
    estimate_kl_divergence,
    estimate_mutual_information,
    rank_features,
)
from xent.measures.samples import _estimate as one
from xent.measures.samples import _two_samples as two
from xent.measures.samples._of_numbers import DEQUANTIZED, JITTERED

RNG = np.random.default_rng(0)
SYMBOLS, OTHERS = RNG.integers(0, 4, (2, 50))
REAL, NEAR = RNG.normal(size=(2, 50))
TABLE = pd.DataFrame({"x": REAL, "s": SYMBOLS.astype(str), "y": OTHERS})
FOR_REAL = (*one.REAL, "ksg", "ksg2", "nearest_neighbors")
TAKES = {
    "size": ("nsb", "dirichlet"),
    "prior": ("dirichlet",),
    "neighbors": ("kozachenko_leonenko", "ksg", "ksg2", "ross", "nearest_neighbors"),
    "rng": (*JITTERED, *DEQUANTIZED, "nearest_neighbors"),
}
VALUES = {"size": 9, "prior": "perks", "neighbors": 3, "rng": 0}


def of_entropy(method, **options):
    return estimate_entropy(REAL if method in FOR_REAL else SYMBOLS, method=method, **options)


def of_two(estimate):
    def call(method, **options):
        x, y = (REAL, NEAR) if method in FOR_REAL else (SYMBOLS, OTHERS)
        return estimate(x, NEAR if method == "ross" else y, method=method, **options)

    return call


information = of_two(estimate_mutual_information)
kl = of_two(estimate_kl_divergence)
cost = of_two(estimate_cross_entropy)
EVERY = [
    *((of_entropy, m, ("size", "prior", "neighbors", "rng")) for m in one.ALL),
    *((information, m, ("neighbors", "rng")) for m in one.INFORMATION_METHODS),
    *((kl, m, ("size", "prior", "neighbors", "rng")) for m in two.DIVERGENCE_METHODS),
    *((cost, m, ("size", "prior", "neighbors", "rng")) for m in two.DIVERGENCE_METHODS),
]


@pytest.mark.parametrize(("call", "method", "options"), EVERY)
def test_an_option_is_used_or_refused(call, method, options):
    needed = {"size": 9} if method in TAKES["size"] else {}
    for name in options:
        given = {**needed, name: VALUES[name]}
        if method in TAKES[name]:
            call(method, **given)
        else:
            must = f"`{name}` must be (given for .* for '{method}'|left out without permutations=)"
            with pytest.raises(ValueError, match=must):
                call(method, **given)


@pytest.mark.parametrize(
    ("call", "sentence"),
    [
        (lambda: information("plugin", rng=0), "`rng` must be left out without permutations="),
        (lambda: kl("plugin", rng=0), "`rng` must be left out without permutations=, got one."),
        (lambda: rank_features(TABLE, "y", rng=0), "`rng` must be left out without permutations="),
        (lambda: drift(TABLE, TABLE, rng=0), "`rng` must be left out without bootstrap=, got one."),
        (lambda: drift(TABLE, TABLE, confidence=0.9), "`confidence` must be left out without boot"),
        (lambda: rank_features(TABLE, "y", score="gini", base=2), "`base` must be left out for 'g"),
        (lambda: information("plugin", permutations=2, rng="x"), "`rng` must be a Generator or an"),
        (
            lambda: information("plugin", permutations=2, rng=-1),
            "`rng` must be at least 0 for permut",
        ),
        (lambda: entropy(stats.dirichlet([1, 2]), draws=9), "`draws` must be left out"),
    ],
)
def test_an_option_without_a_use_is_refused(call, sentence):
    with pytest.raises((ValueError, TypeError)) as caught:
        call()
    assert str(caught.value).startswith(sentence)


def numbers_of(found):
    for field in dataclasses.fields(found):
        value = getattr(found, field.name)
        yield from value if isinstance(value, tuple) else [value]


@pytest.mark.parametrize(("call", "method", "options"), EVERY)
def test_every_field_of_an_estimate_is_plain(call, method, options):
    given = {"size": 9} if method in TAKES["size"] else {}
    if call in (information, kl):
        given |= {"permutations": 3, "rng": 0}
    kinds = {type(v) for v in numbers_of(call(method, **given))}
    assert kinds <= {float, int, str, bool, type(None)}


@pytest.mark.parametrize("score", ["information_gain", "gain_ratio", "gini"])
def test_every_field_of_a_table_is_plain(score):
    found = rank_features(TABLE, "y", score=score, permutations=3, rng=0)
    found += drift(TABLE, TABLE[:20], bootstrap=3, rng=0) + drift(TABLE, TABLE[:20])
    kinds = {type(v) for record in found for v in numbers_of(record)}
    assert kinds <= {float, int, str, bool, type(None)}
    measured = entropy(stats.norm())
    assert {type(measured.value), type(measured.error)} == {float}


@pytest.mark.parametrize("prior", [1e-100, 1e-9, 1e9, 1e100])
@pytest.mark.parametrize("estimate", [of_entropy, kl, cost])
def test_extreme_priors(estimate, prior):
    for size in (5, 2**53):
        found = estimate("dirichlet", size=size, prior=prior)
        assert all(math.isfinite(v) for v in (found.value, found.standard_error, found.high))
    for beyond in (prior**2, 5e-324, 1e300, 1e-300):
        if not 1e-100 <= beyond <= 1e100:
            with pytest.raises(ValueError, match="`prior` must be between 1e-100 and 1e100"):
                estimate("dirichlet", size=5, prior=beyond)
    with pytest.raises(ValueError, match=r"`size` must be at most 2\^53"):
        estimate("dirichlet", size=10**400)

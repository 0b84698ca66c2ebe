"""Counts of samples: what is counted, under which symbols, and adding up parts of a sample."""

import math
from collections import Counter

import numpy as np
import pytest
from numpy.testing import assert_allclose

from xent.measures import Counts, entropy, mutual_information


def as_dict(counts):
    cells = zip(np.ndindex(counts.values.shape), counts.values.ravel(), strict=True)
    names = counts.symbols
    return {
        tuple(axis[i] for axis, i in zip(names, place, strict=True)): n for place, n in cells if n
    }


@pytest.mark.parametrize("size", [3, 40, 5000])
def test_pairs_are_those_of_a_counter(size):
    rng = np.random.default_rng(size)
    x, y = rng.integers(-3, 4, size), rng.integers(0, 5, size)
    found = Counts.from_samples(x, given=y)
    assert as_dict(found) == Counter(zip(x.tolist(), y.tolist(), strict=True))
    assert found.values.any(1).all()
    assert found.values.any(0).all()
    words = [f"w{v}" for v in x]
    assert as_dict(Counts.from_samples(words)) == {(w,): n for w, n in Counter(words).items()}


def late(low, high, size=70_000):
    """Whole numbers among which a far smaller and a far larger one come once, late."""
    x = np.random.default_rng(size).integers(3, 9, size)
    x[size - 4097], x[size - 5] = low, high
    return x


LONG = {
    "few cells": (late(3, 8), late(3, 8)),
    "one row lies outside": (late(3, 8), late(-1, 8)),
    "more cells than four tables have": (late(-40, 60), late(0, 9)),
    "more cells than one table has": (late(-40, 60), late(-(2**62), 2**62)),
    "small types": (late(-1, 127).astype(np.int8), late(0, 1) > 4),
    "types with no sign": (late(0, 200).astype(np.uint8), late(0, 2**40).astype(np.uint64)),
    "not in one piece": (late(-9, 99, 140_000)[::2], late(-9, 99, 140_000)[::-2]),
}


@pytest.mark.parametrize("kind", LONG)
def test_many_pairs_are_those_of_a_counter(kind):
    x, y = LONG[kind]
    found = Counts.from_samples(x, given=y)
    assert found.symbols == tuple(tuple(np.unique(v).astype(object)) for v in (x, y))
    values = found.values if isinstance(found.values, np.ndarray) else found.values.toarray()
    dense = Counts(values, found.symbols)
    assert as_dict(dense) == Counter(zip(x.tolist(), y.tolist(), strict=True))


def test_parts_add_up_in_any_order():
    rng = np.random.default_rng(0)
    x, y = rng.integers(0, 50, 600), rng.choice(list("abcdefg"), 600)
    whole = Counts.from_samples(x, given=y)
    parts = [Counts.from_samples(x[i::3], given=y[i::3]) for i in range(3)]
    for order in ((0, 1, 2), (2, 0, 1)):
        total = parts[order[0]] + parts[order[1]] + parts[order[2]]
        assert total.symbols == whole.symbols
        np.testing.assert_array_equal(total.values, whole.values)
    assert_allclose(mutual_information(total), mutual_information(whole))


@pytest.mark.parametrize("wide", [False, True])
def test_symbols_of_all_parts_stand_in_their_order(wide):
    """Also of those that only one part has, dense or, of many pairs, sparse."""
    n = 1500 if wide else 2
    one = Counts.from_samples([*range(0, 2 * n, 2), 1], given=["c", "a"] * (n // 2) + ["b"])
    two = Counts.from_samples(list(range(1, 2 * n, 2)), given=["d", "b"] * (n // 2))
    if wide:
        one, two = (
            Counts.from_samples(range(k, 2 * n, 2), given=range(k, 2 * n, 2)) for k in (0, 1)
        )
    for total in (one + two, two + one):
        columns = tuple(range(2 * n)) if wide else ("a", "b", "c", "d")
        assert total.symbols == (tuple(range(2 * n)), columns)
        table = total.values.toarray() if hasattr(total.values, "toarray") else total.values
        where = np.argwhere(np.asarray(table))
        if wide:
            assert where.tolist() == [[i, i] for i in range(2 * n)]
        else:
            assert where.tolist() == [[0, 2], [1, 1], [1, 3], [2, 0], [3, 1]]


def test_weights_and_missing():
    x = ["a", "b", None, "a"]
    found = Counts.from_samples(x, weights=[0.5, 1.0, 9.0, 0.5], missing="drop")
    assert as_dict(found) == {("a",): 1.0, ("b",): 1.0}
    assert entropy(found, base=2) == 1.0
    assert as_dict(Counts.from_samples(x, missing="symbol")) == {("a",): 2, ("b",): 1, (None,): 1}


def test_symbols_that_cannot_be_sorted():
    total = Counts.from_samples([1, "a", (2, 3)]) + Counts.from_samples(["a", 4])
    assert as_dict(total) == {(1,): 1, ("a",): 2, ((2, 3),): 1, (4,): 1}


REFUSED = [
    (lambda: Counts([1]) + Counts([1]), "`counts` must both be made by Counts.from_samples"),
    (lambda: Counts.from_samples([1, None]), "`x` must have a symbol in every row"),
    (lambda: Counts.from_samples([1, 2], given=[1]), "`given` must have the 2 rows of `x`, got 1."),
    (
        lambda: Counts.from_samples([1, 2], weights=[1, -1]),
        "`weights` must be finite and non-negative, got -1 at [1].",
    ),
    (
        lambda: Counts.from_samples([1, 2], weights=[1, math.nan]),
        "`weights` must be finite and non-negative, got nan at [1].",
    ),
    (lambda: Counts.from_samples([1], weights=[1, 1]), "`weights` must be one number for each of"),
]


@pytest.mark.parametrize(("call", "sentence"), REFUSED, ids=[s for _, s in REFUSED])
def test_refused(call, sentence):
    with pytest.raises((ValueError, TypeError)) as caught:
        call()
    assert str(caught.value).startswith(sentence)


def test_only_counts_are_added():
    with pytest.raises(TypeError):
        Counts.from_samples([1]) + 1


def test_long_columns_take_the_compiled_path():
    rng = np.random.default_rng(1)
    x, y = rng.integers(-7, 60, 70_001), rng.integers(3, 9, 70_001)
    found = Counts.from_samples(x, given=y)
    expected = np.zeros((67, 6), dtype=int)
    np.add.at(expected, (x + 7, y - 3), 1)
    np.testing.assert_array_equal(found.values, expected)
    assert found.symbols == (tuple(range(-7, 60)), tuple(range(3, 9)))


def test_no_rows_are_refused():
    for call in (
        lambda: Counts.from_samples([]),
        lambda: Counts.from_samples([None], missing="drop"),
        lambda: Counts.from_samples([], given=[]),
    ):
        with pytest.raises(ValueError, match=r"`x` must have at least one row, got none."):
            call()

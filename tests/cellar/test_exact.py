"""Numbers that floats take for one: the reference is Python's own, of any length."""

import itertools
from decimal import Decimal
from fractions import Fraction

import numpy as np
import pytest
from scipy import sparse

from xent._table.frames import Frame, exact
from xent._table.frames.exact import refuse_rounded

FAR = 2**53
WHOLE = [0, 5, FAR - 1, FAR, FAR + 1, FAR + 2, -FAR, -FAR - 1, -FAR - 2]
MIXED = [
    *WHOLE,
    Decimal("0.1"),
    Decimal("0.10"),
    Decimal("0.1000000000000000055"),
    2**70,
    2**70 + 1,
]


def holders(one, other):
    """Every way to hand two numbers over, in the second of two columns."""
    rows = [[1, one], [1, other]]
    yield np.array(rows, object)
    yield rows
    yield [[0.5, one], [0.5, other]]
    if all(isinstance(v, int) and abs(v) < 2**63 for v in (one, other)):
        yield np.array(rows, np.int64)
        yield sparse.csr_array(np.array(rows, np.int64))
        yield sparse.csc_array(np.array([[0, one], [0, other]], np.int64))


def joined(one, other):
    return Fraction(one) != Fraction(other) and float(one) == float(other)


@pytest.mark.parametrize(("one", "other"), list(itertools.combinations(MIXED, 2)), ids=str)
def test_two_numbers_that_are_one_as_floats_are_refused(one, other):
    for X in holders(one, other):
        if joined(one, other):
            with pytest.raises(ValueError, match=r"differ as float64, got .* in column 1\."):
                exact.refuse_joined(exact.of_array(X), 256)
        else:
            exact.refuse_joined(exact.of_array(X), 256)


def test_numbers_near_zero_are_not_counted_where_many_are_let_through():
    pair = [FAR, FAR + 1]
    for near in ([*range(50)], [-n for n in range(50)]):
        for X in (np.array([*near, *pair]), np.array([*near, *pair], object)):
            with pytest.raises(ValueError, match="differ as float64"):
                exact.refuse_joined(exact.of_array(X[:, None]), 2)
    for X in (np.array([*pair, FAR + 2]), np.array([*pair, FAR + 2], object)):
        exact.refuse_joined(exact.of_array(X[:, None]), 2)  # three are more than two
        with pytest.raises(ValueError, match="differ as float64"):
            exact.refuse_joined(exact.of_array(X[:, None]), 3)


def test_what_is_no_table_of_whole_numbers_is_let_through():
    for X in (np.empty((0, 2), int), np.array([FAR, FAR + 1]), [[1], [1, 2]], [["a"]], [[0.5]]):
        assert list(exact.of_array(X)) == []
    text = np.array([[FAR, "a"], [FAR + 1, "b"]], object)
    assert [len(values) for _, values in exact.of_array(text)] == [2, 0]


def pieces(*parts):
    distinct = exact.Distinct("c", 2)
    for part in parts:
        distinct.add(part)
    return distinct


def test_values_of_pieces_are_known_together():
    whole, unsigned = np.array([2**63 - 1]), np.array([2**63], np.uint64)
    for parts in (
        [np.array([FAR]), np.array([FAR + 1])],
        [np.array([FAR]), np.array([], int), np.array([FAR + 1, FAR])],
        [whole, unsigned],
        [unsigned, whole],
        [np.array([Decimal("0.1")], object), np.array([Decimal("0.1000000000000000055")], object)],
    ):
        with pytest.raises(ValueError, match=r"differ as float64, got .* in column 'c'"):
            pieces(*parts).check()
    pieces(np.array([FAR]), np.array([FAR + 2]), np.array([FAR])).check()
    pieces(np.array([FAR]), np.array([FAR + 1]), np.array([FAR + 2])).check()  # more than two
    pieces().check()


@pytest.mark.parametrize(
    ("numbers", "got"),
    [
        ([1, 2.5, Decimal("0.1"), FAR], None),
        ([2**63 - 2**10, -(2**63)], None),
        ([2**63, 0.5], None),  # a float beside it: it is its float
        ([Decimal("Infinity"), Decimal("NaN")], None),
        ([Decimal("-2.50"), Decimal("1E+3")], None),
        ([2**63], ("whole numbers of 64 bits", 2**63)),
        ([-(2**63) - 1], ("whole numbers of 64 bits", -(2**63) - 1)),
        ([1, FAR + 1], ("numbers that floats tell apart", FAR + 1)),
        ([0.5, FAR + 1], ("numbers that floats tell apart", FAR + 1)),
        ([Decimal("0.1000000000000000055")], ("numbers that floats tell apart", "0.1000000000000000055")),
        ([Decimal("1E+400"), 0.5], ("numbers that floats tell apart", "1E+400")),
    ],
)  # fmt: skip
def test_numbers_that_are_not_their_floats(numbers, got):
    if got is None:
        exact.refuse_rounded("p", np.array(numbers, object))
        return
    with pytest.raises(ValueError, match=rf"^`p` must hold {got[0]}, got ") as error:
        exact.refuse_rounded("p", np.array(numbers, object))
    assert str(got[1]) in str(error.value)


@pytest.mark.parametrize(
    ("numbers", "dtype"),
    [
        ([], np.int64),
        ([0, 2**63 - 1, -(2**63)], np.int64),
        ([0, 2**63], np.uint64),
        ([2**64 - 1], np.uint64),
        ([2**64], None),
        ([-1, 2**63], None),
        ([-(2**63) - 1], None),
        ([Decimal("2E+3"), np.int8(1), True], np.int64),
        ([Decimal("2.0")], None),
        ([1, 2.0], None),
    ],
)
def test_whole_numbers_stay_whole(numbers, dtype):
    found = exact.whole_numbers(numbers)
    if dtype is None:
        assert found is None
    else:
        assert found.dtype == dtype
        assert found.tolist() == [int(number) for number in numbers]


def test_a_number_beyond_floats_is_named():
    with pytest.raises(ValueError, match=r"finite or missing, got a whole number above 1\.8e308"):
        exact.to_floats(np.array([10**400], object))


def test_a_far_number_is_found_beside_what_is_missing():
    for values in ([np.nan, 2.0**53], [-(2.0**53), np.nan], [2**53], [-(2**53)], [-(2**63), 0]):
        assert exact.any_far(np.array(values)), values
    assert exact.any_far(np.array([2**63], np.uint64))
    assert exact.any_far(np.array([0, 2**53], object))
    assert exact.any_far(np.array([0, "x"], object))
    for values in ([], [np.nan], [np.nan, 2.0**53 - 1], [2**53 - 1, 1 - 2**53]):
        assert not exact.any_far(np.array(values)), values


@pytest.mark.parametrize("sign", [1, -1])
def test_whole_numbers_beside_fractions(sign):
    """From 2^53 on a float may stand for two of them: there each is looked at by itself."""
    for many, rounded in ((2**53 - 1, False), (2**53, False), (2**53 + 1, True), (2**54 + 2, True),
                          (2**54 + 4, False)):  # fmt: skip
        column = Frame({"c": [0.5, sign * many, None]}).column("c")
        if rounded:
            with pytest.raises(ValueError, match=f"floats tell apart, got {sign * many}"):
                refuse_rounded("X", column.in_question())
        else:
            refuse_rounded("X", column.in_question())
            assert column.floats()[:2].tolist() == [0.5, float(sign * many)]

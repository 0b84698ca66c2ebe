"""What one call hands to a board, a plot or a file: its words and numbers, and its histories."""

import numpy as np
import pytest
import torch
from torch import tensor

from xent.audit._run.outlets.numbers import HandedNumbers, number_of

LOSSES = [0.512345, 0.412345, 0.312345]


@pytest.mark.parametrize(
    ("one", "number"),
    [
        (0.25, 0.25),
        (tensor(0.25), 0.25),
        (tensor(0.25, requires_grad=True), 0.25),
        (np.float32(0.25), 0.25),
        (3, None),
        (True, None),
        (tensor(3), None),
        (tensor([0.25]), None),
        (np.int64(3), None),
        ("0.25", None),
        (None, None),
    ],
)
def test_a_number_that_may_be_an_average(one, number):
    assert number_of(one) == number


@pytest.mark.parametrize(
    ("args", "named", "words"),
    [
        (("val/loss", 0.512345, 3), {}, ["val/loss", "0.512345"]),
        ((), {"loss": 0.512345, "epoch": 3}, ["loss", "0.512345", "epoch"]),
        (({"val": {"loss": 0.512345}},), {}, ["val", "loss", "0.512345"]),
        (({"a": {"b": {"c": {"d": 0.512345}}}},), {}, ["a", "b", "c", "d", "0.512345"]),
        (({"a": {"b": {"c": {"d": {"e": 0.512345}}}}},), {}, ["a", "b", "c", "d"]),  # too deep
        (({("a", "b"): 0.512345},), {}, ["0.512345"]),  # no word
        ((["loss", ["acc", 0.512345]],), {}, ["loss", "acc", "0.512345"]),
        (("lr", 0.1), {}, ["lr"]),  # too few digits to tell anything
        (("loss", tensor(0.5123450160026550)), {}, ["loss", "0.5123450160026550"]),
    ],
)
def test_words_and_numbers(args, named, words):
    said = HandedNumbers(args, named).text
    assert [one[:8] for one in said] == [one[:8] for one in words]


def series(*args, **named):
    return HandedNumbers(args, named).series()


def test_histories():
    assert series({"val_loss": LOSSES}) == [("val_loss", 3, LOSSES)]
    assert series(loss=tuple(LOSSES)) == [("loss", 3, LOSSES)]
    assert series([{"loss": one, "n": 3} for one in LOSSES]) == [("loss", 3, LOSSES)]
    assert series("losses", [[at, one] for at, one in enumerate(LOSSES)]) == [
        ("losses 1", 3, LOSSES)
    ]
    assert series([[1, 0.5], [0.25]]) == [
        (" ", 1, [0.25])
    ]  # rows of unlike lengths: each by itself, of which counts are no history
    assert series("loss", LOSSES, label="train") == [("loss", 3, LOSSES)]


def test_histories_in_arrays():
    assert series("loss", np.array(LOSSES)) == [("loss", 3, LOSSES)]
    assert series("loss", tensor(LOSSES, dtype=torch.float64)) == [("loss", 3, LOSSES)]
    table = np.array([LOSSES, [1.5, 2.5, 3.5]]).T
    assert series("loss", table) == [("loss 0", 3, LOSSES), ("loss 1", 3, [1.5, 2.5, 3.5])]
    for none in (np.array([1, 2]), tensor([1, 2]), np.zeros((2, 2, 2)), np.zeros(0), np.array(0.5)):
        assert series("loss", none) == []


def test_the_latest_thirty_of_a_history_and_two_hundred_entries():
    values = [one / 7 for one in range(100)]
    for kept in (values, np.array(values)):
        assert series("loss", kept) == [("loss", 100, values[-30:])]
    many = HandedNumbers(({f"k{at}": 0.512345 for at in range(300)},), {})
    assert many.text[-2:] == ["k199", "0.512345"]
    words = HandedNumbers(("a",) * 500, {})
    assert len(words.text) == 400


def test_a_history_without_a_word_goes_by_those_around_it():
    (found,) = HandedNumbers((LOSSES, "val loss"), {}).series()
    assert found[0].split() == ["val", "loss"]

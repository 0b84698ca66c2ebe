"""How rows end in padding, against the same said in lists, row by row."""

import random
from collections import Counter

import pytest
import torch
from torch import tensor
from torch.nn.utils.rnn import pad_sequence

from xent.audit._run.padding import FEWEST, Padding, _beyond, _is_mask, trailing
from xent.audit._run.rules import padding as rules

RANDOM = random.Random(5)


def drawn(rows, steps, values, lengths=None, pad=0):
    """Draw rows of a few values; with lengths, what is beyond them is the padding."""
    table = [[RANDOM.choice(values) for _ in range(steps)] for _ in range(rows)]
    for row, length in zip(table, lengths or [steps] * rows, strict=True):
        row[length:] = [pad] * (steps - length)
    return table


def run_of(row, pad):
    """Count the entries at the end of a row that are the padding."""
    count = 0
    while count < len(row) and row[-1 - count] == pad:
        count += 1
    return count


def said_of(table):
    """Say how rows end by what the page promises: the lengths and the padding, or None."""
    steps = len(table[0])
    if len(table) < 2 or steps < 3:
        return None
    ((pad, first), *others) = Counter(row[-1] for row in table).most_common()
    if others and others[0][1] == first:
        return "tie"
    runs = [run_of(row, pad) for row in table]
    if sum(row.count(pad) for row in table) != sum(runs):
        return None  # it stands inside a row as well
    unlike = {run if run < steps else 0 for run in runs}
    if max(runs) < 2 or len(unlike) < 2 or 2 * sum(run > 0 for run in runs) < len(runs):
        return None
    return [steps - run for run in runs], float(pad)


def plain(found):
    return None if found is None else (found[0].tolist(), found[1])


@pytest.mark.parametrize("values", [[0, 1], [1, 2, 3], [0, 5, 7, 9]])
def test_rows_that_end_in_one_value(values):
    seen = Counter()
    for _ in range(600):
        rows, steps = RANDOM.randint(1, 7), RANDOM.randint(1, 6)
        lengths = [RANDOM.randint(0, steps) for _ in range(rows)]
        table = drawn(rows, steps, values, lengths)
        wanted = said_of(table)
        if wanted == "tie":
            continue
        seen[wanted is None] += 1
        assert plain(trailing(tensor(table))) == wanted, table
    assert min(seen.values()) > 30, seen


def test_steps_of_several_numbers_are_padding_where_all_of_them_are():
    steps = torch.ones(4, 5, 3)
    steps[0, 3:], steps[1, 2:], steps[2, 4:] = 0.0, 0.0, 0.0
    assert plain(trailing(steps)) == ([3, 2, 4, 5], 0.0)
    steps[0, 1, :2] = 0.0  # a part of a step
    assert plain(trailing(steps)) == ([3, 2, 4, 5], 0.0)
    steps[0, 1, 2] = 0.0
    assert trailing(steps) is None


def beyond_in_lists(table, lengths):
    """Say which value stands beyond lengths, if it is padding."""
    steps = len(table[0])
    past = [row[max(0, length) :] for row, length in zip(table, lengths, strict=True)]
    if sum(map(bool, past)) < 2 or sum(map(len, past)) < FEWEST or min(lengths) < 0:
        return None
    pad = next(part[0] for part in past if part)
    if any(one != pad for part in past for one in part):
        return None
    last = [row[n - 1] for row, n in zip(table, lengths, strict=True) if 1 <= n <= steps]
    before = [row[:length] for row, length in zip(table, lengths, strict=True)]
    inside, all_ = sum(part.count(pad) for part in before), sum(map(len, before))
    if 2 * len(last) < len(table) or 2 * last.count(pad) > len(last) or 2 * inside > all_:
        return None
    return float(pad)


@pytest.mark.parametrize("values", [[0, 1], [1, 2, 3], [0, 0, 4]])
def test_values_beyond_lengths(values):
    seen = Counter()
    for _ in range(800):
        rows, steps = RANDOM.randint(2, 6), RANDOM.randint(3, 6)
        lengths = [RANDOM.randint(0, steps) for _ in range(rows)]
        table = drawn(rows, steps, values, lengths)
        given = [length - RANDOM.choice([0, 0, 0, 1]) for length in lengths]
        wanted = beyond_in_lists(table, given)
        seen[wanted is None] += 1
        assert _beyond(tensor(table), tensor(given)) == wanted, (table, given)
    assert min(seen.values()) > 30, seen


def test_masks_are_ones_and_then_zeros():
    assert _is_mask(tensor([[1, 1, 0], [1, 0, 0], [1, 1, 1]]))
    assert _is_mask(tensor([[True, False], [True, True]]))
    for other in ([[1, 0, 1]], [[0, 0, 0]], [[1, 2, 0]], [[2, 1, 0]], [[1, 0, 0], [0, 1, 1]]):
        assert not _is_mask(tensor(other)), other


# ------------------------------------------------------------------ what the script knows

SEQUENCES = [[7, 5, 6], [9, 8], [5, 6, 7, 8, 9], [6], [8, 8, 7, 5]]
LENGTHS = [3, 2, 5, 1, 4]
FILLED = pad_sequence([tensor(one) for one in SEQUENCES], batch_first=True, padding_value=4)


def ends(known, rows):
    found = known.ends(rows)
    return None if found is None else (found.lengths.tolist(), found.pad, found.sure)


def test_rows_that_were_filled_up():
    known = Padding()
    known.fills([tensor(one) for one in SEQUENCES], True, 4)
    assert known.lengths() == [tuple(LENGTHS)]
    assert known.sizes() == {5}
    assert ends(known, FILLED) == (LENGTHS, 4.0, True)
    assert ends(known, FILLED[:, 1:]) == ([n - 1 for n in LENGTHS], 4.0, True)  # without a start
    assert ends(known, FILLED[:4, :3]) == ([3, 2, 3, 1], 4.0, False)  # of other rows
    more = torch.cat([FILLED, torch.full((5, 1), 4)], 1)
    assert ends(known, more) == (
        [n + 1 for n in [2, 1, 4, 0, 3]],
        4.0,
        False,
    )  # not what was filled
    other = torch.where(FILLED == 4, 3, FILLED)
    assert ends(known, other) == (LENGTHS, 3.0, False)


@pytest.mark.parametrize(
    ("sequences", "side", "kept"),
    [
        ([[1, 2], [3]], "right", True),
        ([[1, 2], [3]], "left", False),
        ([[1, 2], [3, 4]], "right", False),
        ([[1, 2]], "right", False),
        (None, "right", False),
    ],
)
def test_what_is_filled_up_is_kept_where_its_rows_are_unlike(sequences, side, kept):
    known = Padding()
    known.fills(sequences, False, 0.0, side)
    assert bool(known.filled) is kept


@pytest.mark.parametrize("given", [LENGTHS, tensor(LENGTHS)])
def test_rows_that_are_packed(given):
    known = Padding()
    known.packs(FILLED, given)
    assert ends(known, FILLED) == (LENGTHS, 4.0, True)
    known = Padding()
    known.packs(FILLED, [5] * 5)
    assert not known.packed


@pytest.mark.parametrize(
    "batch",
    [
        (FILLED, tensor(LENGTHS)),
        {"ids": FILLED, "lengths": tensor(LENGTHS)},
        (FILLED, [{"mask": (FILLED != 4).long()}]),
        (FILLED, FILLED != 4),
    ],
)
def test_lengths_or_a_mask_beside_the_rows_of_a_batch(batch):
    known = Padding()
    known.drawn(batch)
    assert ends(known, FILLED) == (LENGTHS, 4.0, True)
    assert 5 in known.sizes()


@pytest.mark.parametrize(
    "beside",
    [tensor([5.0, 2, 3, 1, 4]), tensor(LENGTHS[:4]), FILLED[:, :3], [[[tensor(LENGTHS)]]]],
)
def test_what_is_no_length_says_nothing(beside):
    known = Padding()
    known.drawn((FILLED, beside))
    assert ends(known, FILLED) == (LENGTHS, 4.0, False)  # by its ends alone


def test_a_batch_that_is_gone_says_nothing():
    known = Padding()
    known.drawn((FILLED, tensor(LENGTHS) + 0))
    assert [len(one) for one in known.tensors()] == [5]
    assert ends(known, FILLED)[2] is False


def test_ids_of_padding_are_those_that_end_what_is_embedded():
    known = Padding()
    known.embeds(FILLED)
    assert known.ids == {4.0}
    turned = Padding()
    turned.embeds(torch.where(FILLED == 4, 3, FILLED).T)
    assert turned.ids == {3.0}
    assert ends(Padding(), torch.zeros(0, 4)) is None
    assert ends(Padding(), torch.zeros(4)) is None


# ------------------------------------------------------------------ rows one by one, and labels


class Site:
    def __init__(self):
        self.ends = {}


def test_rows_that_come_one_by_one_end_in_runs_of_unlike_length():
    def of(*rows, ignored=-100):
        site = Site()
        return [rules._end_of_one(site, tensor([row]), ignored) for row in rows]

    assert of([5, 6, 2, 2], [5, 6, 7, 2, 2, 2]) == [None, 2]
    assert of([5, 6, 2, 2], [7, 8, 2, 2]) == [None, None]  # always two
    assert of([5, 6, 2, 2], [5, 2, 6, 2, 2, 2]) == [None, None]  # one stands inside
    assert of([5, 6, 2, 2], [5, 1, 6, 2, 2, 2]) == [None, 2]
    assert of([5, 6, 2, 2], [5, 6, 7, 2, 2, 2], ignored=2) == [None, None]
    assert of([5, 6, 2, 2], [2, 2, 2]) == [None, None]  # nothing else
    assert of([2, 2], [5, 2, 2, 2], [5, 6, 2, 2]) == [None, None, 2]
    assert of([5, 6, -1, -1], [5, -1, -1, -1]) == [None, None]


@pytest.mark.parametrize(
    ("rows", "lengths"),
    [
        ([[5, 6, 0, 0], [5, 0, 0, 0], [7, 5, 6, 0], [8, 7, 9, 6]], [2, 1, 3, 4]),
        ([[5, 0, 0, 6], [5, 0, 0, 0], [7, 5, 0, 0], [8, 7, 9, 0]], None),  # two stand inside
        ([[5, 6, 0, 0], [5, 7, 0, 0], [7, 5, 6, 9]], None),  # two lengths alone
        ([[5, 6, 7, 0], [5, 0, 0, 0], [7, 5, 6, 9]], None),  # one row of more than one
        ([[5, 0], [0, 0], [6, 7]], None),  # too short to tell
    ],
)
def test_labels_that_all_count_as_long_as_the_longest(rows, lengths):
    targets = tensor(rows)
    given = torch.full((len(rows),), targets.size(1))
    found = rules._ends_of_labels(targets, given)
    assert (None if found is None else found.lengths.tolist()) == lengths
    given[0] -= 1
    assert rules._ends_of_labels(targets, given) is None

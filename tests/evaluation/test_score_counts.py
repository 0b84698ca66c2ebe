"""Rows counted by their scores: against Counter, in whatever batches and layouts they come."""

import math
import pickle
from collections import Counter
from fractions import Fraction

import numpy as np
import pytest

from xent._kernels.predictions.scores import mark_scores
from xent.evaluation import Accumulator
from xent.evaluation._accumulator.scores import cells, column
from xent.evaluation._accumulator.scores import held as held_scores
from xent.evaluation._accumulator.scores.cells import CellTables, ScoreCells
from xent.evaluation._accumulator.scores.column import ScoreColumn, keys_from, scores_from
from xent.evaluation._accumulator.scores.held import KeyCounts
from xent.evaluation._accumulator.sums import exact_sum
from xent.evaluation._calibration import yes_no


def counted(held):
    each = zip(held.keys.tolist(), held.rows.tolist(), held.yes.tolist(), strict=True)
    return {key: (rows, yes) for key, rows, yes in each}


def by_hand(scores, yes):
    """How many rows each score has, and how many of them are yes."""
    every, own = Counter(scores.tolist()), Counter(scores[yes].tolist())
    return {score: (many, own[score]) for score, many in every.items()}


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("digits", [1, 3, 17])
def test_rows_that_wait_are_merged_into_those_that_are_known(digits, dtype):
    rng = np.random.default_rng(digits)
    scores = np.round(rng.normal(size=2000), digits).astype(dtype)
    scores[:4] = 0.0, -0.0, np.inf, -np.inf
    yes = rng.random(2000) < 0.3
    one = KeyCounts(weighted=False)
    for some in np.split(np.arange(2000), [0, 1, 900, 900, 1500]):
        one.add_scores(scores[some], yes[some])
        held = one.held()
        assert (np.diff(held.keys) > 0).all()
    none = KeyCounts(weighted=False)
    none.add_scores(scores[:0], yes[:0])
    assert not none.held().keys.size
    want = by_hand(scores.astype(np.float64) + 0.0, yes)
    found = counted(held)
    assert {float(scores_from(np.array([key]))[0]): both for key, both in found.items()} == want


@pytest.mark.parametrize("share", [0.0, 1.0])
def test_rows_that_are_all_no_or_all_yes(share):
    scores, yes = np.array([0.5, 0.25, 0.5]), np.full(3, share > 0)
    one = KeyCounts(weighted=False)
    one.add_scores(scores, yes)
    assert [held.tolist() for held in (one.held().rows, one.held().yes)] == [
        [1, 2], [int(share), int(2 * share)],
    ]  # fmt: skip


def test_marks_never_tell_more_scores_apart_than_there_are():
    rng = np.random.default_rng(0)
    for many in (1, 10, 1000):
        scores = rng.choice(rng.random(many).astype(np.float32), 5000)
        marks = np.zeros(1 << 12, np.uint8)
        found = mark_scores(scores, marks)
        assert found <= len(set(scores.tolist()))
        assert found > 0.8 * len(set(scores.tolist()))
        assert mark_scores(scores[::-1], marks) == 0


@pytest.mark.parametrize("step", [1, 7, 63, 500])
@pytest.mark.parametrize("beyond", [0, 1])
def test_one_score_too_many_is_seen_in_batches_of_any_size(step, beyond, monkeypatch):
    monkeypatch.setattr(column, "MOST_SCORES", 200)
    rng = np.random.default_rng(step)
    scores = np.repeat(rng.permutation(np.arange(1, 201 + beyond)) / 256, 3)
    rng.shuffle(scores)
    one = ScoreColumn(0, CellTables(1), 0, weighted=False)
    for at in range(0, len(scores), step):
        some = scores[at : at + step]
        one.add(some, (some > 0.5).astype(np.int64), 1, None)
    assert one.exact == (not beyond)
    assert one.held().rows.sum() == len(scores)
    assert one.held().yes.sum() == (scores > 0.5).sum()


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_tables_side_by_side_hold_what_cells_say(dtype, monkeypatch):
    monkeypatch.setattr(column, "MOST_SCORES", 8)
    monkeypatch.setattr(held_scores, "LEAST_WAITING", 8)
    rng = np.random.default_rng(1)
    probs = rng.dirichlet(np.full(5, 0.4), 700).astype(dtype)
    probs[0] = 1, 0, 0, 0, 0
    probs[1] = 1e-30, 1, 0, 0, 0
    target = rng.integers(0, 5, 700)
    one = Accumulator()
    for some in (slice(0, 60), slice(60, 700)):  # by one class after the other, and by all at once
        one.update(target[some], probs[some])
    for c, each in enumerate(one.state.scores.columns):
        own = ScoreCells(0, each.cells.fine, CellTables(1), 0, weighted=False)
        want = by_hand(own.cells(probs[:, c].astype(np.float64)), target == c)
        assert counted(each.held()) == want


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("most", [8, 1 << 20])
def test_layouts_and_rows_left_out_change_no_byte(most, dtype, tmp_path, monkeypatch):
    monkeypatch.setattr(column, "MOST_SCORES", most)
    monkeypatch.setattr(held_scores, "LEAST_WAITING", 8)
    rng = np.random.default_rng(2)
    probs = rng.dirichlet(np.ones(6), 400).astype(dtype)
    target = rng.integers(0, 6, 400)
    left_out = np.where(np.arange(400) % 3, target, -100)
    found = []
    for matrix, truth in (
        (probs, target), (np.asfortranarray(probs), target), (np.repeat(probs, 2, 1)[:, ::2], target),
        (np.concatenate([probs, probs]), np.concatenate([target, np.full(400, -100)])),
    ):  # fmt: skip
        one = Accumulator(ignore_index=-100)
        one.update(truth, matrix)
        one._seen = 0  # which the file says
        one.save(tmp_path / "state")
        found.append((tmp_path / "state").read_bytes())
    assert len(set(found)) == 1
    one, two = Accumulator(ignore_index=-100), Accumulator()
    one.update(left_out, probs)
    two.update(target[left_out >= 0], probs[left_out >= 0])
    assert one.result().ranking == two.result().ranking


def test_a_copy_goes_on_in_tables_of_its_own(monkeypatch):
    monkeypatch.setattr(column, "MOST_SCORES", 8)
    monkeypatch.setattr(held_scores, "LEAST_WAITING", 8)
    rng = np.random.default_rng(5)
    probs, target = rng.dirichlet(np.ones(4), 300), rng.integers(0, 4, 300)
    whole = Accumulator()
    whole.update(target, probs)
    one = Accumulator()
    one.update(target[:200], probs[:200])
    other = pickle.loads(pickle.dumps(one))  # as it comes from another process
    for each in (one, other):
        each.update(target[200:], probs[200:])
        assert each.result() == whole.result()


def test_a_table_is_unpacked_before_it_is_full(monkeypatch):
    rng = np.random.default_rng(3)
    probs, target = rng.dirichlet(np.ones(3), 900), rng.integers(0, 3, 900)
    found = []
    monkeypatch.setattr(column, "MOST_SCORES", 3)
    monkeypatch.setattr(held_scores, "LEAST_WAITING", 8)
    for most in (1 << 31, 500):
        monkeypatch.setattr(cells, "MOST_IN_TABLE", most)
        one = Accumulator()
        for at in range(0, 900, 300):
            one.update(target[at : at + 300], probs[at : at + 300])
        found.append([counted(each.held()) for each in one.state.scores.columns])
    assert found[0] == found[1]


def test_keys_order_as_scores_do():
    scores = np.array([-np.inf, -2.0, -5e-324, 0.0, 5e-324, 1.0, np.inf])
    assert (np.diff(keys_from(scores)) > 0).all()
    assert (scores_from(keys_from(scores)) == scores).all()
    assert keys_from(np.array([-0.0])) == keys_from(np.array([0.0]))


@pytest.mark.parametrize("largest", [1e-300, 1.0, 1e12, 1e300])
def test_a_sum_is_rounded_once(largest):
    values = np.random.default_rng(4).random(5000) ** 9 * largest
    assert exact_sum(values) == float(sum(map(Fraction, values.tolist()), Fraction(0)))
    assert exact_sum(values) == math.fsum(values.tolist())
    assert exact_sum(values[:0]) == 0.0


@pytest.mark.parametrize("rows", [1, 9, 4097, 100_003])
def test_pieces_sum_to_the_bits_of_the_whole(rows, monkeypatch):
    monkeypatch.setattr(yes_no, "CACHED_SCORES", 1000)
    values = np.random.default_rng(rows).normal(size=(2, rows))

    def sums(some):
        return np.array([line[some].sum() for line in values])

    found = yes_no.in_pieces(sums, 0, rows)
    assert found.tolist() == [line.sum() for line in values]

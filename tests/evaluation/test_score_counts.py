"""Rows counted by their scores: against Counter, in whatever batches and layouts they come."""

import math
import pickle
from collections import Counter
from fractions import Fraction

import numpy as np
import pytest

from xent import _store
from xent._kernels.predictions.scores import LOG_PROBABILITY, log_odds, mark_scores
from xent.evaluation import Accumulator
from xent.evaluation._accumulator import stored
from xent.evaluation._accumulator.scores import column, tables
from xent.evaluation._accumulator.scores import held as held_scores
from xent.evaluation._accumulator.scores.column import ScoreColumn, keys_from, scores_from
from xent.evaluation._accumulator.scores.held import KeyCounts
from xent.evaluation._accumulator.scores.tables import CellTables
from xent.evaluation._accumulator.sums import exact_sum


@pytest.fixture(autouse=True)
def small_tables(monkeypatch):
    """Few rows touch many doublings here, and every cell of those is read."""
    for name in ("FINEST_ALONE", "FINEST_TOGETHER"):
        monkeypatch.setattr(column, name, 1 << 16)


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


def cell_by_hand(p, fine):
    """Exponent and leading bits of p, or of 1 - p from the other end on."""
    share, exponent = math.frexp(p if p < 0.5 else 1 - p)
    near = (exponent + 1022 << 20) + math.floor((2 * share - 1) * 2**20) if share else 0
    return (near if p < 0.5 else (2044 << 20) - near) >> (20 - fine)


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
        cells = [cell_by_hand(p, each.cells.fine) for p in probs[:, c].tolist()]
        assert counted(each.held()) == by_hand(np.array(cells), target == c)


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


def dealt(target, probs, parts):
    """Rows counted by several accumulators, in any order, and merged."""
    whole = Accumulator()
    for some in reversed(np.array_split(np.arange(len(target)), parts)):
        one = Accumulator()
        for few in np.array_split(some, 2):
            one.update(target[few], probs[few], first_row=int(few[0]))
        whole.merge(one)
    whole._seen = 0  # which a file says
    return whole


@pytest.mark.parametrize("spread", [0.3, 9.0])
@pytest.mark.parametrize("most", [1 << 24, 500])
@pytest.mark.parametrize("classes", [2, 3])
def test_wider_cells_and_entries_that_are_full_lose_no_row(
    classes, most, spread, tmp_path, monkeypatch
):
    """Half of the rows share a score, so that its entry is full many times over."""
    monkeypatch.setattr(column, "MOST_SCORES", 12)
    monkeypatch.setattr(held_scores, "LEAST_WAITING", 8)
    monkeypatch.setattr(tables, "MOST_IN_FINEST", most)
    monkeypatch.setattr(column, "CELLS_ALONE", 1 << 8)
    monkeypatch.setattr(column, "CELLS_TOGETHER", 1 << 8)
    monkeypatch.setattr(column, "FINEST_ALONE", 1 << 12)
    monkeypatch.setattr(column, "FINEST_TOGETHER", 1 << 13)
    rng = np.random.default_rng(3)
    logits = spread * rng.normal(size=(1200, classes))
    logits[::2] = logits[0]
    logits[1:65:2] = 15.0, *-np.arange(1.0, classes)  # 32 rows alone in their part of the table
    probs = np.exp(logits - logits.max(1, keepdims=True))
    probs /= probs.sum(1, keepdims=True)
    target = rng.integers(0, classes, 1200)
    found = []
    for parts in (1, 4, 7):
        whole = dealt(target, probs, parts)
        whole.save(tmp_path / "state")
        found.append((tmp_path / "state").read_bytes())
        again = Accumulator.load(tmp_path / "state")
        assert again.result().decomposition == whole.result().decomposition
    assert len(set(found)) == 1
    for c, each in enumerate(whole.state.scores.columns):
        own = probs[:, c] if classes > 2 else probs[:, 1]
        cells = [cell_by_hand(p, each.cells.fine) for p in own.tolist()]
        yes = target == (c if classes > 2 else 1)
        assert counted(each.held()) == by_hand(np.array(cells), yes)
    assert (each.cells.tables.layout.bits == 32) == (most == 500)


def test_keys_order_as_scores_do():
    scores = np.array([-np.inf, -2.0, -5e-324, 0.0, 5e-324, 1.0, np.inf])
    assert (np.diff(keys_from(scores)) > 0).all()
    assert (scores_from(keys_from(scores)) == scores).all()
    assert keys_from(np.array([-0.0])) == keys_from(np.array([0.0]))


def test_odds_of_log_probabilities_next_to_0():
    """Those of a certainty are infinite, and so are those that no quotient of floats has."""
    scores = np.array([-1e-310, -0.0, -1e-290, -1e-17, -0.3, -2.0, -50.0, -800.0])
    found = np.empty(8)
    log_odds(scores, LOG_PROBABILITY, 8, found)
    assert found[:2].tolist() == [math.inf, math.inf]
    want = [-math.log(math.expm1(-s)) if s > -40 else s for s in scores[2:].tolist()]
    np.testing.assert_allclose(found[2:], want, rtol=1e-14)


@pytest.mark.parametrize("largest", [1e-300, 1.0, 1e12, 1e300])
def test_a_sum_is_rounded_once(largest):
    values = np.random.default_rng(4).random(5000) ** 9 * largest
    assert exact_sum(values) == float(sum(map(Fraction, values.tolist()), Fraction(0)))
    assert exact_sum(values) == math.fsum(values.tolist())
    assert exact_sum(values[:0]) == 0.0


def test_the_cells_of_old_are_refused(tmp_path, monkeypatch):
    monkeypatch.setattr(column, "MOST_SCORES", 3)
    one = Accumulator()
    one.update([0, 1, 1, 0], [0.1, 0.2, 0.3, 0.4])
    one.save(tmp_path / "state")
    said, arrays = _store.load(tmp_path / "state", format=stored.FORMAT, version=stored.VERSION)
    said["scores0"] = False  # as the first version has it
    options = {"format": stored.FORMAT, "version": 1, "state": said, "arrays": arrays}
    _store.save(tmp_path / "old", **options)
    sentence = "The state cannot be read: its scores were counted in other cells."
    with pytest.raises(ValueError, match=sentence):
        Accumulator.load(tmp_path / "old")

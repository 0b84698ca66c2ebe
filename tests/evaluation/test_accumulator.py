"""An accumulator is the evaluation of all rows, however they were dealt, merged and stored."""

import math
from concurrent.futures import ProcessPoolExecutor, ThreadPoolExecutor
from contextlib import suppress
from dataclasses import replace
from functools import partial
from multiprocessing import get_context

import numpy as np
import pytest
from sklearn import metrics

from xent.evaluation import Accumulator, evaluate
from xent.evaluation._accumulator.scores import column as scores_module


def data(classes, rows=300, seed=0, spread=3.0):
    rng = np.random.default_rng(seed)
    logits = rng.normal(size=(rows, classes)) * spread
    probs = np.exp(logits) / np.exp(logits).sum(axis=1, keepdims=True)
    return {
        "target": rng.integers(0, classes, rows), "logits": np.round(logits, 1),
        "probs": probs.astype(np.float32), "sample_weight": rng.choice([0, 0.1, 1e5], rows),
        "ids": [f"row {i}" for i in range(rows)], "by": rng.choice(["a", "b", None], rows),
    }  # fmt: skip


def dealt(found, kind, pieces, *, weighted, **options):
    """An accumulator for each piece, a list of row numbers that follow one another."""
    out = []
    for piece in pieces:
        one = Accumulator(labels=range(found[kind].shape[1]), **options)
        for rows in piece:
            one.update(
                found["target"][rows],
                **{kind: found[kind][rows]},
                sample_weight=found["sample_weight"][rows] if weighted else None,
                ids=[found["ids"][i] for i in rows],
                by={"part": found["by"][rows].tolist()},
                first_row=rows[0],
            )
        out.append(one)
    return out


def stored(accumulator, folder):
    accumulator.save(folder / "state")
    return (folder / "state").read_bytes()


@pytest.mark.parametrize("weighted", [False, True])
@pytest.mark.parametrize("kind", ["probs", "logits"])
@pytest.mark.parametrize("classes", [2, 4, 70])
def test_same_bytes_however_rows_are_dealt(classes, kind, weighted, tmp_path, monkeypatch):
    found, rng = data(classes), np.random.default_rng(1)
    for most in (1 << 20, 60 * classes):
        monkeypatch.setattr(scores_module, "MOST_SCORES", most)
        (whole,) = dealt(found, kind, [[np.arange(300)]], weighted=weighted)
        want = stored(whole, tmp_path)
        batches = np.split(np.arange(300), np.sort(rng.choice(np.arange(1, 300), 11, False)))
        rng.shuffle(batches)
        parts = dealt(found, kind, [batches[:1], batches[1:5], [], batches[5:]], weighted=weighted)
        rng.shuffle(parts)
        first = Accumulator.load(_saved(parts[0], tmp_path))
        for part in parts[1:]:
            first.merge(Accumulator.load(_saved(part, tmp_path)))
        assert stored(first, tmp_path) == want
        assert first.result() == whole.result()
        assert first.result().score_counts == whole.result().score_counts


def _saved(accumulator, folder):
    accumulator.save(folder / "part")
    return folder / "part"


def test_it_says_what_evaluate_says():
    found = data(5)
    options = {"by": {"part": found["by"].tolist()}, "ids": found["ids"]}
    one = Accumulator()
    one.update(found["target"], found["probs"], **options)
    mine, whole = one.result().to_dict(), evaluate(found["target"], found["probs"], **options)
    theirs = whole.to_dict()
    assert mine.pop("recovered") == {}
    theirs.pop("recovered")
    for name, entry in (("decomposition", "corp"), ("reliability", "classwise")):
        # What these are to each other: tests/evaluation/test_calibration_of_counts.py.
        assert mine.pop(name)[entry].keys() <= theirs.pop(name)[entry].keys()
    assert mine == theirs


def test_numbers_of_rows_follow_one_another():
    one = Accumulator()
    for _ in range(3):
        one.update([0], [[0.25, 0.75]])
    one.update([], np.empty((0, 2)))
    assert [row.row for row in one.result().hardest] == [0, 1, 2]
    assert one.result().rows == 3


# ------------------------------------------------------------------ the order of scores


@pytest.mark.grid
@pytest.mark.parametrize("weighted", [False, True])
@pytest.mark.parametrize("kind", ["probs", "logits"])
@pytest.mark.parametrize("classes", [2, 3])
def test_ranking_by_cells(classes, kind, weighted, monkeypatch):
    found = data(classes, rows=30_000, spread=1.5)
    found["target"] = np.where(
        np.random.default_rng(3).random(30_000) < 0.5, found["probs"].argmax(1), found["target"]
    )
    weight = found["sample_weight"] + 0.5 if weighted else None
    rough = np.random.default_rng(4).normal(size=found["logits"].shape)  # no ties
    scores = found["probs"] if kind == "probs" else found["logits"] + rough / 100
    exact = evaluate(found["target"], **{kind: scores}, sample_weight=weight)
    monkeypatch.setattr(scores_module, "MOST_SCORES", 5000)
    cells = Accumulator()
    cells.update(found["target"], **{kind: scores}, sample_weight=weight)
    assert (exact.score_counts, cells.result().score_counts) == ("exact", "cells")
    for name, value in exact.ranking.items():
        most = 1e-6 if name == "roc_auc" else 3e-5  # far fewer rows than where cells begin
        assert cells.result().ranking[name] == pytest.approx(value, abs=most), name
    if classes == 2 and kind == "probs":
        want = metrics.roc_auc_score(found["target"], scores[:, 1], sample_weight=weight)
        assert exact.ranking["roc_auc"] == pytest.approx(want, rel=1e-12)


def test_cells_hold_what_is_certain_and_what_is_endless(monkeypatch):
    monkeypatch.setattr(scores_module, "MOST_SCORES", 1)
    one = Accumulator()
    p = np.array([0, 5e-324, 1e-300, 0.1, 0.5, 1 - 2**-53, 1])
    one.update([0, 0, 1, 0, 1, 1, 1], np.stack([1 - p, p], axis=1))
    assert one.result().ranking["roc_auc"] == pytest.approx(11 / 12)
    two = Accumulator()
    z = np.array([-np.inf, -1e308, -50.0, 0.0, 50.0, 1e3, 1e308])
    two.update([0, 0, 1, 0, 1, 1, 1], logits=np.stack([np.zeros(7), z], axis=1))
    assert two.result().ranking["roc_auc"] == pytest.approx(11 / 12)


# ------------------------------------------------------------------ what is refused


def test_every_update_is_of_one_kind():
    one = Accumulator()
    one.update([0, 1], [[0.5, 0.5]] * 2)
    for arguments, sentence in (
        ({"probs": [[0.2, 0.3, 0.5]] * 2}, "`labels` must be 0 or 1 in every update, got 0, 1"),
        ({"logits": [[2.0, 3.0]] * 2}, "`logits` must be given as probs, as before"),
        ({"probs": [[0.5, 0.5]] * 2, "sample_weight": [1, 2]}, "`sample_weight` must be left out"),
        ({"probs": [[0.5, 0.5]] * 2, "by": {"a": [1, 2]}}, "`by` must name nothing, as before"),
    ):
        with pytest.raises(ValueError, match=sentence):
            one.update([0, 1], **arguments)
    assert one.result().rows == 2
    for other in (Accumulator(base=math.e), Accumulator(ranking=False)):
        with pytest.raises(ValueError, match="`other` must have the base and `ranking` of this"):
            one.merge(other)


def test_nothing_is_no_report():
    with pytest.raises(ValueError, match="no row counts so far"):
        Accumulator().result()
    one = Accumulator(ignore_index=-100)
    one.update([-100], [[0.5, 0.5]])
    with pytest.raises(ValueError, match="no row counts so far"):
        one.result()


def test_probabilities_are_no_logits_where_all_look_so():
    """One row of logits may look like probabilities, and many do not."""
    one = Accumulator()
    one.update([0], logits=[[0.25, 0.75]])
    with pytest.raises(ValueError, match="`logits` must not be probabilities"):
        one.result()
    one.update([0], logits=[[0.25, 3.0]])
    assert one.result().rows == 2
    many = Accumulator()
    with pytest.raises(ValueError, match="`logits` must not be probabilities"):
        many.update(np.zeros(5000, int), logits=np.full((5000, 4), 0.25))


def test_what_is_saved_is_plain(tmp_path):
    one = Accumulator()
    one.update([0], [[0.5, 0.5]], ids=[(1, 2)])
    with pytest.raises(TypeError, match="`ids` must be text, numbers, booleans or None"):
        one.save(tmp_path / "state")
    assert not (tmp_path / "state").exists()


def test_a_damaged_file_is_refused(tmp_path):
    one = Accumulator()
    one.save(tmp_path / "empty")
    assert Accumulator.load(tmp_path / "empty").state is None
    one.update([0], [[0.5, 0.5]])
    raw, unseen = stored(one, tmp_path), 0
    for at in range(60, len(raw), 97):
        broken = bytearray(raw)
        broken[at] ^= 4
        (tmp_path / "state").write_bytes(broken)
        with suppress(ValueError):  # but for a bit of the version of xent that wrote it
            assert Accumulator.load(tmp_path / "state").result() == one.result()
            unseen += 1
    assert unseen <= 1


def sampled(workers, rows=103, classes=3, seed=0):
    """Rows as a DistributedSampler deals them out: the first ones again, to make all as many."""
    rng = np.random.default_rng(seed)
    p, y = rng.dirichlet(np.ones(classes), rows), rng.integers(0, classes, rows)
    order = rng.permutation(rows)
    order = np.concatenate([order, order[: -rows % workers]])
    return p, y, [order[k::workers] for k in range(workers)]


@pytest.mark.parametrize("weighted", [False, True])
@pytest.mark.parametrize("workers", [2, 4, 7])
def test_rows_that_several_accumulators_have_count_once(tmp_path, workers, weighted):
    p, y, parts = sampled(workers)
    w = np.random.default_rng(1).random(len(y)) if weighted else None
    whole = Accumulator()
    whole.update(y, p, sample_weight=w, ids=range(len(y)), by={"half": y % 2})
    found = []
    for rows in parts:
        one = Accumulator(once=True)
        for some in np.array_split(rows, 3):
            some = [*some, some[0]]  # twice in a batch too
            weight = None if w is None else w[some]
            one.update(
                y[some],
                p[some],
                ids=list(map(int, some)),
                by={"half": y[some] % 2},
                sample_weight=weight,
            )
        one.save(tmp_path / "one.xent")
        found.append(Accumulator.load(tmp_path / "one.xent"))
    results = []
    for order in (found, found[::-1]):
        first = Accumulator(once=True)
        for one in order:
            first.merge(one)
        results.append(first.result())
    want = whole.result()
    for report in results:
        assert replace(report, hardest=[]) == replace(want, hardest=[])
        assert sorted(h.id for h in report.hardest) == sorted(h.id for h in want.hardest)
    again = evaluate(
        np.concatenate([y[r] for r in parts]),
        np.concatenate([p[r] for r in parts]),
        ids=np.concatenate(parts),
        once=True,
        sample_weight=None if w is None else np.concatenate([w[r] for r in parts]),
    )
    assert again.cross_entropy == want.cross_entropy


def test_once_by_content_and_what_it_refuses():
    reports = []
    for order in ([0, 1], [1, 0]):
        parts = []
        for p in (0.7, 0.6):  # the two said otherwise of one row, as half precision may
            one = Accumulator(once=True)
            one.update([1], [p], ids=["a"])
            parts.append(one)
        one = Accumulator(once=True)
        for k in order:
            one.merge(parts[k])
        reports.append(one.result())
    assert reports[0] == reports[1]
    assert reports[0].rows == 1
    first = Accumulator(once=True)
    first.update([1, 0, 1], [0.7, 0.5, 0.2], ids=["a", "b", "a"])
    assert first.result().cross_entropy == pytest.approx(-np.log2([0.7, 0.5]).mean())
    with pytest.raises(ValueError, match="`ids` must be given where `once` is True, got None"):
        first.update([1], [0.7])
    second = Accumulator(once=True)
    second.update([0], [0.7], ids=["a"], first_row=9)
    with pytest.raises(ValueError, match="'a' twice, with different targets, at rows 0 and 9"):
        first.merge(second)
    assert first.result().rows == 2
    with pytest.raises(ValueError, match="`other` must have the `once` of this one"):
        first.merge(Accumulator())


def batch_of(seed):
    rng = np.random.default_rng(seed)
    return {"target": rng.integers(0, 2, 40), "probs": rng.random(40)}


@pytest.mark.parametrize("once", [False, True])
def test_an_executor_changes_no_bit(once):
    def batches():
        for seed in range(30):
            more = {"ids": [f"{seed % 20}-{i}" for i in range(40)]} if once else {}
            made = {**batch_of(seed % 20), **more}
            yield made if seed % 2 else (lambda made=made: made)

    alone = Accumulator(once=once)
    alone.update_each(batches())
    with ThreadPoolExecutor(3) as executor:
        shared = Accumulator(once=once)
        shared.update_each(batches(), executor=executor)
    assert shared.result() == alone.result()
    assert alone.result().rows == (800 if once else 1200)
    with ThreadPoolExecutor(1) as executor, pytest.raises(ValueError, match="between 0 and 1"):
        Accumulator().update_each([{"target": [0], "probs": [2.0]}] * 3, executor=executor)
    with pytest.raises(TypeError, match="`batches` must hold mappings"):
        Accumulator().update_each([3])


@pytest.mark.parametrize(
    ("bad", "sentence"),
    [
        ({"target": [0, 2]}, "got 2 at row 3"),
        ({"target": [0.0, np.nan]}, "got nan at row 3"),
        ({"sample_weight": [1.0, -1.0]}, "got -1.0 at row 3"),
        ({"probs": [[0.5, 0.5], [0.5, 2.0]]}, "at row 3"),
    ],
)
def test_rows_are_counted_from_the_first_update(bad, sentence):
    rows = {"target": [0, 1], "probs": [[0.5, 0.5], [0.5, 0.5]], "sample_weight": [1.0, 1.0]}
    counted = Accumulator()
    counted.update(**rows)
    with pytest.raises(ValueError, match=sentence):
        counted.update(**(rows | bad))


@pytest.mark.long
def test_processes_read_their_own_files():
    alone, shared = Accumulator(), Accumulator()
    alone.update_each(batch_of(seed) for seed in range(6))
    with ProcessPoolExecutor(2, get_context("spawn")) as executor:
        shared.update_each([partial(batch_of, seed) for seed in range(6)], executor=executor)
    assert shared.result() == alone.result()

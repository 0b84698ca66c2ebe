"""Every figure of every kind of report, computed once more row by row, under all its options."""

import json
import math

import numpy as np
import pytest
from scipy import stats

from xent.evaluation import (
    Accumulator,
    compare,
    compute_metrics,
    evaluate,
    evaluate_dense,
    evaluate_harness,
    evaluate_multilabel,
    evaluate_ordered,
    evaluate_soft,
    evaluate_tokens,
    scorer,
)
from xent.evaluation._kinds import _distributions, _multilabel

ROWS, CLASSES = 23, 4
BASES = [2, 10]
WEIGHED = [False, True]
FORMS = ["probs", "logits", "log_probs"]


@pytest.fixture(autouse=True)
def blocks_of_three_rows(monkeypatch):
    for module in (_distributions, _multilabel):
        monkeypatch.setattr(module, "BLOCK_ENTRIES", 3 * CLASSES)


def drawn(weighed):
    """Truths and predictions; the rows of weight 0 would change every figure."""
    rng = np.random.default_rng(4)
    truth, said = rng.dirichlet(np.full(CLASSES, 0.5), (2, ROWS))
    weight = np.arange(ROWS) % 4 / 2 if weighed else np.ones(ROWS)
    said[weight == 0] = np.eye(CLASSES)[0]
    return truth, said, weight


def as_form(said, form):
    """Probabilities, their logarithms, or logits, which are off by a number a row."""
    if form == "probs":
        return {"probs": said}
    with np.errstate(divide="ignore"):
        logs = np.log(said)
    return {form: logs + 3 * np.arange(len(said))[:, None] if form == "logits" else logs}


def ratio(total, size):
    """Ratio of two sums and its interval, one term at a time (Cochran 1977)."""
    n, mean = sum(s > 0 for s in size), sum(total) / sum(size)
    squares = sum((t - mean * s) ** 2 for t, s in zip(total, size, strict=True))
    off = stats.t.ppf(0.975, n - 1) * math.sqrt(n / (n - 1) * squares) / sum(size)
    return mean, max(0.0, mean - off), mean + off


def entropy(p):
    return -sum(x * math.log(x) for x in np.ravel(p).tolist() if x > 0)


def cost_of(t, p):
    """-Σ t log p in nats; 0 log 0 is 0."""
    each = [
        -x * (math.log(y) if y > 0 else -math.inf) if x > 0 else 0.0
        for x, y in zip(t, p, strict=True)
    ]
    return sum(each)


def close(found, wanted):
    assert found == pytest.approx(wanted, rel=1e-9, abs=1e-12)


@pytest.mark.parametrize("base", BASES)
@pytest.mark.parametrize("weighed", WEIGHED)
@pytest.mark.parametrize("form", FORMS)
def test_soft_targets(form, weighed, base):
    t, p, w = drawn(weighed)
    found = evaluate_soft(
        t, **as_form(p, form), base=base, sample_weight=w if weighed else None, labels=list("abcd")
    )
    rows, unit = np.flatnonzero(w), math.log(base)
    cost = {i: cost_of(t[i], p[i]) / unit for i in rows}
    floor = {i: entropy(t[i]) / unit for i in rows}
    wide = [w[i] for i in rows]
    assert (found.rows, found.classes, found.impossible) == (len(rows), CLASSES, 0)
    close(found.weight, w.sum())
    mean = ratio([w[i] * cost[i] for i in rows], wide)
    close((found.cross_entropy, found.low, found.high), mean)
    lowest = sum(w[i] * floor[i] for i in rows) / w.sum()
    close(found.floor, lowest)
    gap = {i: cost[i] - floor[i] for i in rows}
    ends = found.divergence, found.divergence_low, found.divergence_high
    close(ends, ratio([w[i] * gap[i] for i in rows], wide))
    prior = entropy(w @ t / w.sum()) / unit
    close((found.uniform, found.prior), (math.log(CLASSES) / unit, prior))
    close(found.explained, (prior - mean[0]) / (prior - lowest))
    close(found.brier, sum(w[i] * sum((p[i] - t[i]) ** 2) for i in rows) / w.sum())
    whole = sum(w[i] * cost[i] for i in rows)
    for c, row in enumerate(found.per_class):
        own = sum(-w[i] * t[i, c] * math.log(p[i, c]) / unit for i in rows)
        assert row.label == "abcd"[c]
        close(row.target, w @ t[:, c] / w.sum())
        close(row.said, w @ p[:, c] / w.sum())
        close(row.share, own / whole)
    order = sorted(rows, key=lambda i: -gap[i])[:20]
    assert [h.row for h in found.hardest] == order
    close([h.divergence for h in found.hardest], [gap[i] for i in order])
    close([h.cross_entropy for h in found.hardest], [cost[i] for i in order])


@pytest.mark.parametrize("weight", [1, 0])
def test_soft_targets_that_are_impossible(weight):
    t, p, w = drawn(False)
    for row in (7, 9):
        p[row], t[row], w[row] = [1, 0, 0, 0], [0.5, 0.5, 0, 0], weight
    found = evaluate_soft(t, p, sample_weight=w)
    assert found.impossible == 2 * weight
    assert math.isinf(found.cross_entropy) == math.isinf(found.divergence) == bool(weight)
    assert (found.hardest[0].row == 7) == bool(weight)


@pytest.mark.parametrize("base", BASES)
@pytest.mark.parametrize("weighed", WEIGHED)
@pytest.mark.parametrize("ignored", [False, True])
@pytest.mark.parametrize("form", ["probs", "logits"])
def test_several_labels(form, ignored, weighed, base):
    rng = np.random.default_rng(5)
    y, z = rng.integers(0, 2, (ROWS, CLASSES)), 3 * rng.normal(size=(ROWS, CLASSES))
    _, _, w = drawn(weighed)
    if ignored:
        y[rng.random(y.shape) < 0.2] = -1
        y[4] = -1  # a row of which nothing is known
    p, unit = 1 / (1 + np.exp(-z)), math.log(base)
    found = evaluate_multilabel(
        y,
        **{form: p if form == "probs" else z},
        base=base,
        sample_weight=w if weighed else None,
        ignore_index=-1 if ignored else None,
        labels=list("abcd"),
    )
    cost = -np.log(np.where(y == 1, p, 1 - p)) / unit
    known = y >= 0
    rows = [i for i in range(ROWS) if w[i] > 0 and known[i].any()]
    total = [w[i] * sum(cost[i][known[i]]) for i in rows]
    number = [w[i] * sum(known[i]) for i in rows]
    assert (found.rows, found.classes, found.impossible) == (len(rows), CLASSES, 0)
    close((found.weight, found.cells), (sum(w[i] for i in rows), sum(number)))
    mean = ratio(total, number)
    close((found.cross_entropy, found.low, found.high), mean)
    ends = found.total, found.total_low, found.total_high
    close(ends, ratio(total, [w[i] for i in rows]))
    off = sum(w[i] * sum((p[i] - y[i])[known[i]] ** 2) for i in rows)
    close(found.brier, off / sum(number))
    priors = 0.0
    for c, label in enumerate(found.per_label):
        here = [i for i in rows if known[i, c]]
        size, yes = sum(w[i] for i in here), sum(w[i] * y[i, c] for i in here)
        own = entropy([yes / size, 1 - yes / size]) / unit
        spent = sum(w[i] * cost[i, c] for i in here)
        assert label.label == "abcd"[c]
        close((label.rows, label.positives, label.prior), (size, yes, own))
        close((label.cross_entropy, label.share), (spent / size, spent / sum(total)))
        close(label.said, sum(w[i] * p[i, c] for i in here) / size)
        priors += own * size
    close((found.uniform, found.prior), (math.log(2) / unit, priors / sum(number)))
    close(found.explained, 1 - mean[0] / (priors / sum(number)))
    spent = {i: sum(cost[i][known[i]]) for i in rows}
    order = sorted(rows, key=lambda i: -spent[i])[:20]
    for hard, i in zip(found.hardest, order, strict=True):
        c = int(np.where(known[i], cost[i], -1).argmax())
        assert (hard.row, hard.label, hard.target) == (i, "abcd"[c], y[i, c] == 1)
        close((hard.cost, hard.probability), (spent[i], p[i, c]))


@pytest.mark.parametrize("weight", [1, 0])
def test_labels_that_are_impossible(weight):
    y, p, w = np.eye(ROWS, CLASSES), np.full((ROWS, CLASSES), 0.5), np.ones(ROWS)
    p[5, 2] = y[5, 2] = 0
    y[6, 1], p[6, 1], w[6] = 1, 0, weight
    found = evaluate_multilabel(y, p, sample_weight=w)
    assert found.impossible == weight
    assert math.isinf(found.cross_entropy) == bool(weight)
    assert math.isnan(found.per_label[1].share) == bool(weight)


@pytest.mark.parametrize(("form", "bad"), [("probs", 1.5), ("logits", math.nan)])
def test_a_bad_label_is_named_by_its_row_past_the_first_block(form, bad):
    scores = np.full((ROWS, CLASSES), 0.25)
    scores[17, 2] = bad
    with pytest.raises(ValueError, match=r"got (1.5|nan) at \[17, 2\]"):
        evaluate_multilabel(np.ones_like(scores), **{form: scores}, allow_probabilities=True)


@pytest.mark.parametrize("weighed", WEIGHED)
@pytest.mark.parametrize("ignored", [False, True])
@pytest.mark.parametrize("form", FORMS)
def test_ordered_outcomes(form, ignored, weighed):
    _, p, w = drawn(weighed)
    y = np.random.default_rng(6).integers(0, CLASSES, ROWS)
    if ignored:
        y[::5] = -1
    found = evaluate_ordered(
        y, **as_form(p, form), sample_weight=w if weighed else None,
        ignore_index=-1 if ignored else None,
    )  # fmt: skip
    rows = [i for i in range(ROWS) if w[i] > 0 and y[i] >= 0]
    size = sum(w[i] for i in rows)
    below = np.cumsum(p, axis=1)
    off = {i: [(below[i, k] - (y[i] <= k)) ** 2 for k in range(CLASSES - 1)] for i in rows}
    mean = ratio([w[i] * sum(off[i]) for i in rows], [w[i] for i in rows])
    close((found.rps, found.low, found.high), mean)
    close(found.rps_normalized, mean[0] / (CLASSES - 1))
    close(found.epstein, 1 - mean[0] / (CLASSES - 1))
    climatology = 0.0
    for k, row in enumerate(found.thresholds):
        seen = sum(w[i] * (y[i] <= k) for i in rows) / size
        assert row.label == k
        close((row.said, row.seen), (sum(w[i] * below[i, k] for i in rows) / size, seen))
        close(row.brier, sum(w[i] * off[i][k] for i in rows) / size)
        climatology += seen * (1 - seen)
    close((found.climatology, found.skill), (climatology, 1 - mean[0] / climatology))


@pytest.mark.parametrize("axis", [1, -1])
@pytest.mark.parametrize("ignored", [False, True])
def test_the_interval_over_samples_of_many_places(ignored, axis):
    rng = np.random.default_rng(7)
    p, y = rng.dirichlet(np.ones(3), (5, 2, 4)), rng.integers(0, 3, (5, 2, 4))
    if ignored:
        y[rng.random(y.shape) < 0.3] = -9
        y[3] = -9
    found = evaluate_dense(
        y, np.moveaxis(p, -1, axis), class_axis=axis, ignore_index=-9 if ignored else None
    )
    cost = [[-math.log2(q[c]) for q, c in zip(p[i].reshape(-1, 3), y[i].ravel(), strict=True) if c >= 0]
            for i in range(5)]  # fmt: skip
    cost = [each for each in cost if each]
    wanted = ratio([sum(each) for each in cost], [len(each) for each in cost])
    close((found.cross_entropy, found.low, found.high), wanted)


@pytest.mark.parametrize("base", BASES)
@pytest.mark.parametrize("masked", [False, True])
@pytest.mark.parametrize("left_out", [False, True])
def test_tokens(left_out, masked, base):
    rng = np.random.default_rng(8)
    lengths = [1, 9, 4, 17, 2]
    logs = [np.log10(rng.uniform(0.05, 1, n)) for n in lengths]
    kept = [rng.random(n) < 0.7 if masked else np.ones(n, bool) for n in lengths]
    for one in kept:
        one[-1] = True
    texts = ["a", "two words", "ä ö", "x" * 40, "what is it"]
    given = [np.array(one) for one in logs]
    for values, own in zip(given, kept, strict=True):
        if left_out:
            values[int(np.argmax(own))] = math.nan
    found = evaluate_tokens(
        given, texts=texts, mask=kept if masked else None, log_base=10, base=base, ids=list("vwxyz")
    )
    # Of each document what is scored, and at which place counted from its first token.
    each = []
    for values, own in zip(given, kept, strict=True):
        at = np.flatnonzero(own)
        each.append(
            [(i - at[0], -values[i] / math.log10(base)) for i in at if values[i] == values[i]]
        )
    spent = [sum(cost for _, cost in one) for one in each]
    sizes = {
        "token": [len(one) for one in each],
        "word": [len(text.split()) for text in texts],
        "character": [len(text) for text in texts],
        "byte": [len(text.encode()) for text in texts],
    }
    assert (found.documents, found.tokens) == (5, sum(sizes["token"]))
    assert (found.unscored, found.context, found.impossible) == (5 * left_out, 0, 0)
    assert found.padded == sum(int((~own).sum()) for own in kept)
    close(found.cost, sum(spent))
    assert [unit.name for unit in found.units] == list(sizes)
    for unit in found.units:
        assert unit.number == sum(sizes[unit.name])
        close((unit.cost, unit.low, unit.high), ratio(spent, sizes[unit.name]))
    close(found.perplexity, base ** (sum(spent) / found.tokens))
    for place in found.places:
        inside = [c for one in each for at, c in one if place.first <= at + 1 <= place.last]
        assert place.tokens == len(inside)
        close(place.cost, sum(inside) / len(inside))
        assert place.last == 2 * place.first - 1
    assert sum(place.tokens for place in found.places) == found.tokens
    rate = [s / n for s, n in zip(spent, sizes["byte"], strict=True)]
    order = sorted(range(5), key=lambda i: -rate[i])
    assert [d.id for d in found.hardest] == ["vwxyz"[i] for i in order]
    close([d.rate for d in found.hardest], [rate[i] for i in order])
    close([d.cost for d in found.hardest], [spent[i] for i in order])
    assert [d.tokens for d in found.hardest] == [sizes["token"][i] for i in order]


def test_windows_say_what_they_left_out():
    """Three windows of 6 tokens, 4 further on each, the last 5 long, and padding before them."""
    logs = np.log(np.random.default_rng(9).uniform(0.1, 1, (3, 7)))
    mask = np.ones((3, 7), int)
    mask[:, 0] = mask[2, 1] = 0
    found = evaluate_tokens(logs, documents=["d"] * 3, mask=mask, stride=4)
    new = [*logs[0, 1:], *logs[1, 3:], *logs[2, 4:]]
    assert (found.tokens, found.context, found.padded) == (len(new), 2 + 2, 4)
    close(found.cost, -sum(new) / math.log(2))


def sample(i, likelihood, words=3, size=12, **more):
    pair = {"word_perplexity": [likelihood, words], "byte_perplexity": [likelihood, size]}
    return {"doc_id": i, "doc": {"page": "a b c"}, **pair, **more}


def written(folder, *samples):
    path = folder / "samples.jsonl"
    path.write_text("\n\n".join(json.dumps(one) for one in samples))
    return path


def test_samples_are_called_by_their_ids(tmp_path):
    found = evaluate_harness(written(tmp_path, sample("late", -8.0), sample("early", -2.0, 1, 2)))
    assert [d.id for d in found.hardest] == ["early", "late"]  # by byte
    close([d.rate for d in found.hardest], [2 / 2 / math.log(2), 8 / 12 / math.log(2)])


def test_a_filtered_answer_goes_before_the_answer(tmp_path):
    one = {"resps": [["-9.0"]], "filtered_resps": ["-4.0"], "doc": {"page": "abcd"}}
    found = evaluate_harness(written(tmp_path, one), text="doc.page", base=math.e)
    close(found.per("byte"), 1)


@pytest.mark.parametrize(
    ("bad", "sentence"),
    [
        (sample(1, math.nan), "hold log-likelihoods of at most 0, got nan on line 3 of"),
        (sample(1, 0.5), "hold log-likelihoods of at most 0, got 0.5 on line 3 of"),
        (sample(1, -1.0, "x"), "hold lengths that are whole numbers, got 'x' on line 3 of"),
        (sample(1, -1.0, -3), "hold lengths that are whole numbers, got -3 on line 3 of"),
        (sample(1, -1.0, 3, math.nan), "hold lengths that are whole numbers, got nan on line 3"),
    ],
)
def test_samples_that_are_none_are_named_by_their_line(bad, sentence, tmp_path):
    with pytest.raises(ValueError, match=f"`path` must {sentence}"):
        evaluate_harness(written(tmp_path, sample(0, -1.0), bad))


Y, P = [0, 1, 0], [[0.5, 0.5], [0.25, 0.75], [0.5, 0.5]]


@pytest.mark.parametrize(
    "call",
    [
        lambda base: evaluate(Y, P, base=base),
        lambda base: evaluate_soft(P, P, base=base),
        lambda base: evaluate_ordered(Y, P, base=base),
        lambda base: evaluate_multilabel(np.eye(3, 2), P, base=base),
        lambda base: evaluate_dense(np.zeros((1, 3)), [P], class_axis=-1, base=base),
        lambda base: evaluate_tokens([[-1.0, -2.0]], base=base),
        lambda base: compare(P, P, target=Y, base=base),
        lambda base: Accumulator(base=base),
        lambda base: scorer(base=base),
        lambda base: compute_metrics(base=base),
    ],
)
def test_a_report_has_a_base_above_1(call):
    """Below 1 costs are below 0: the cheapest row would stand first, and the best model last."""
    for base in (1.5, math.e):
        call(base)
    with pytest.raises(ValueError, match=r"`base` must be above 1 for a report, got 0\.5"):
        call(0.5)

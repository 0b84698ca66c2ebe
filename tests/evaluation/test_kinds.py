"""Soft targets, several labels, ordered outcomes, masks and tokens against slow oracles."""

import json
import math

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from sklearn import metrics

import oracle
from xent.evaluation import (
    evaluate,
    evaluate_dense,
    evaluate_harness,
    evaluate_multilabel,
    evaluate_ordered,
    evaluate_soft,
    evaluate_tokens,
)

mp = oracle.mp


def rows(seed, count=30, classes=4, spread=1.0):
    rng = np.random.default_rng(seed)
    return rng.dirichlet(np.full(classes, spread), count)


def ratio_interval(total, size):
    """The interval of a ratio of sums as Cochran (1977) has it, one term at a time."""
    from scipy import stats

    n, ratio = len(total), sum(total) / sum(size)
    squares = sum((t - ratio * s) ** 2 for t, s in zip(total, size, strict=True))
    error = math.sqrt(n / (n - 1) * squares) / sum(size)
    reach = stats.t.ppf(0.975, n - 1) * error
    return ratio - reach, ratio + reach


# ------------------------------------------------------------------ soft targets


@pytest.mark.parametrize("spread", [0.05, 1.0])
def test_soft_targets_against_a_slow_oracle(spread):
    t, p = rows(0, spread=spread), rows(1)
    report = evaluate_soft(t, p, base=math.e)
    pairs = list(zip(t, p, strict=True))
    cost = [oracle.cross_entropy(*pair) for pair in pairs]
    assert report.cross_entropy == pytest.approx(float(sum(cost) / 30), rel=1e-12)
    floor = float(sum(oracle.entropy(row) for row in t) / 30)
    assert report.floor == pytest.approx(floor, rel=1e-12)
    gap = float(sum(oracle.kl_divergence(*pair) for pair in pairs) / 30)
    assert report.divergence == pytest.approx(gap, rel=1e-12)
    loss = torch.nn.functional.cross_entropy(torch.from_numpy(np.log(p)), torch.from_numpy(t))
    assert report.cross_entropy == pytest.approx(loss.item(), rel=1e-12)
    brier = float(np.square(p - t).sum(axis=1).mean())
    assert report.brier == pytest.approx(brier, rel=1e-12)
    assert (report.low, report.high) == pytest.approx(
        ratio_interval([float(c) for c in cost], [1] * 30), rel=1e-9
    )


def test_what_soft_targets_cannot_cost_less_than():
    t = rows(2)
    report = evaluate_soft(t, t)
    assert report.cross_entropy == pytest.approx(report.floor, rel=1e-14)
    assert 0 <= report.divergence < 1e-15
    assert report.explained == pytest.approx(1)
    constant = evaluate_soft(t, np.tile(t.mean(axis=0), (30, 1)))
    assert constant.cross_entropy == pytest.approx(constant.prior, rel=1e-14)
    assert constant.explained == pytest.approx(0, abs=1e-14)
    # A divergence of 1e-18 is not lost between two numbers near 1.
    near = evaluate_soft([[0.5, 0.5]], logits=[[1e-9, 0.0]], base=math.e)
    assert near.divergence == pytest.approx(1e-18 / 8, rel=1e-6)


def test_hard_targets_are_soft_ones():
    p, target = rows(3), np.random.default_rng(3).integers(0, 4, 30)
    soft, hard = evaluate_soft(np.eye(4)[target], p), evaluate(target, p)
    for name in ("cross_entropy", "low", "high", "prior", "uniform", "brier", "explained"):
        assert getattr(soft, name) == pytest.approx(getattr(hard, name), rel=1e-12)
    assert soft.floor == 0


def test_soft_targets_weights_zeros_and_names():
    import pandas as pd

    t, p = pd.DataFrame(rows(4), columns=list("abcd")), pd.DataFrame(rows(5), columns=list("abcd"))
    plain = evaluate_soft(t, p)
    assert evaluate_soft(t[["d", "a", "c", "b"]], p).cross_entropy == plain.cross_entropy
    assert plain.labels == list("abcd")
    weight = np.arange(30) % 3
    twice = np.repeat(np.arange(30), weight)
    weighed = evaluate_soft(t, p, sample_weight=weight)
    assert weighed.cross_entropy == pytest.approx(
        evaluate_soft(t.iloc[twice], p.iloc[twice]).cross_entropy, rel=1e-12
    )
    zeros = evaluate_soft([[1.0, 0.0], [0.5, 0.5]], [[1.0, 0.0], [1.0, 0.0]])
    assert zeros.cross_entropy == zeros.divergence == math.inf
    assert zeros.impossible == 1
    assert [h.row for h in zeros.hardest] == [1, 0]
    assert "1 row had a class that is possible at probability 0" in str(zeros)
    with pytest.raises(ValueError, match="`probs` must have the columns 'a', 'b', 'c' and 'd', or"):
        evaluate_soft(t, p.rename(columns={"a": "x"}), labels=list("abcd"))


# ------------------------------------------------------------------ several labels


def test_several_labels_against_a_slow_oracle_and_torch():
    rng = np.random.default_rng(6)
    y, z = rng.integers(0, 2, (40, 5)), 3 * rng.normal(size=(40, 5))
    p = 1 / (1 + np.exp(-z))
    report = evaluate_multilabel(y, logits=z, base=math.e)
    cost = [
        [mp.log(1 + mp.exp(-x if t else x)) for x, t in zip(*pair, strict=True)]
        for pair in zip(z, y, strict=True)
    ]
    total = [float(mp.fsum(row)) for row in cost]
    assert report.total == pytest.approx(sum(total) / 40, rel=1e-13)
    assert report.cross_entropy == pytest.approx(sum(total) / 200, rel=1e-13)
    bce = torch.nn.functional.binary_cross_entropy_with_logits
    loss = bce(torch.from_numpy(z), torch.from_numpy(y).double()).item()
    assert report.cross_entropy == pytest.approx(loss, rel=1e-12)
    assert (report.low, report.high) == pytest.approx(ratio_interval(total, [5] * 40), rel=1e-9)
    ends = report.total_low, report.total_high
    assert ends == pytest.approx(ratio_interval(total, [1] * 40), rel=1e-9)
    said = evaluate_multilabel(y, p, base=math.e)
    assert said.cross_entropy == pytest.approx(report.cross_entropy, rel=1e-12)
    assert said.brier == pytest.approx(np.mean((p - y) ** 2), rel=1e-12)
    for c, label in enumerate(said.per_label):
        assert label.cross_entropy == pytest.approx(metrics.log_loss(y[:, c], p[:, c]), rel=1e-12)
        assert label.positives == y[:, c].sum()
        assert label.said == pytest.approx(p[:, c].mean(), rel=1e-12)
    assert math.fsum(label.share for label in said.per_label) == pytest.approx(1)
    alone = evaluate(y[:, 0], p[:, 0], base=math.e)
    assert said.per_label[0].prior == pytest.approx(alone.prior, rel=1e-12)


def test_labels_that_are_not_known_and_rows_that_count_more():
    y = np.array([[1, 0, -1], [0, -1, -1], [1, 1, 0], [-1, -1, -1]])
    p = np.array([[0.5, 0.5, 0.9], [0.75, 0.1, 0.1], [0.5, 0.25, 0.5], [0.1, 0.2, 0.3]])
    report = evaluate_multilabel(y, p, ignore_index=-1, labels=list("abc"))
    assert (report.rows, report.cells) == (3, 6)
    assert report.cross_entropy == pytest.approx((1 + 1 + 2 + 1 + 2 + 1) / 6)
    assert [label.rows for label in report.per_label] == [3, 2, 1]
    missing = np.where(y < 0, np.nan, y)
    again = evaluate_multilabel(missing, p, ignore_index=np.nan, labels=list("abc"))
    assert again.cross_entropy == report.cross_entropy
    weighed = evaluate_multilabel(y, p, ignore_index=-1, sample_weight=[2, 1, 0, 1])
    assert weighed.cross_entropy == pytest.approx((2 + 2 + 2) / 5)
    hardest = report.hardest[0]
    assert (hardest.row, hardest.label, hardest.target, hardest.probability) == (2, "b", True, 0.25)
    zero = evaluate_multilabel([[1, 0]], [[0.0, 0.0]])
    assert (zero.cross_entropy, zero.impossible) == (math.inf, 1)
    assert zero.per_label[1].cross_entropy == 0
    sure = evaluate_multilabel([[1]], logits=[[50.0]], base=math.e)
    assert sure.cross_entropy == pytest.approx(math.exp(-50), rel=1e-12)


# ------------------------------------------------------------------ ordered outcomes


def test_the_score_of_epstein_in_his_own_formula():
    """S = 3/2 - 1/(2(K-1)) Σ_i [(Σ_{n<=i} p)² + (Σ_{n>i} p)²] - 1/(K-1) Σ_i |i - j| p_i."""
    p, target = rows(7, classes=5), np.random.default_rng(7).integers(0, 5, 30)
    report = evaluate_ordered(target, p)
    scores = [
        1.5
        - sum(row[: i + 1].sum() ** 2 + row[i + 1 :].sum() ** 2 for i in range(4)) / 8
        - sum(abs(i - j) * row[i] for i in range(5)) / 4
        for row, j in zip(p, target, strict=True)
    ]
    assert report.epstein == pytest.approx(np.mean(scores), rel=1e-12)
    assert report.rps_normalized == pytest.approx(1 - report.epstein, rel=1e-12)
    assert report.rps == pytest.approx(4 * report.rps_normalized, rel=1e-12)


def test_ordered_outcomes_against_scoringrules():
    """The example of its manual, and random rows where it is installed."""
    assert evaluate_ordered([2], [[0.1, 0.2, 0.3, 0.4]]).rps == pytest.approx(0.26)
    rules = pytest.importorskip("scoringrules")
    p, target = rows(8), np.random.default_rng(8).integers(0, 4, 30)
    theirs = rules.rps_score(target + 1, p).mean()
    assert evaluate_ordered(target, p).rps == pytest.approx(theirs, rel=1e-12)


def test_ordered_outcomes_of_names_frequencies_and_thresholds():
    p, target = rows(9, classes=3), np.random.default_rng(9).integers(0, 3, 30)
    names = ["low", "mid", "high"]
    report = evaluate_ordered([names[t] for t in target], p, labels=names)
    assert report.rps == evaluate_ordered(target, p).rps
    assert report.report.cross_entropy == evaluate(target, p).cross_entropy
    often = np.bincount(target, minlength=3) / 30
    constant = evaluate_ordered(target, np.tile(often, (30, 1)))
    assert constant.skill == pytest.approx(0, abs=1e-12)
    assert math.fsum(t.brier for t in report.thresholds) == pytest.approx(report.rps, rel=1e-12)
    two = evaluate_ordered(target > 0, np.stack([p[:, 0], 1 - p[:, 0]], axis=1))
    assert two.rps == pytest.approx(two.report.brier / 2, rel=1e-12)
    assert two.rps == pytest.approx(report.thresholds[0].brier, rel=1e-12)
    import pandas as pd

    frame = pd.DataFrame(p, columns=names)[["high", "low", "mid"]]
    assert evaluate_ordered([names[t] for t in target], frame, labels=names).rps == report.rps
    assert "Epstein's score" in str(report)
    skipped = evaluate_ordered([*target, -100], np.vstack([p, p[:1]]), ignore_index=-100)
    assert skipped.rps == evaluate_ordered(target, p).rps


# ------------------------------------------------------------------ masks, and labels of tokens


def test_masks_and_predictions_of_a_trainer():
    rng = np.random.default_rng(10)
    logits = rng.normal(size=(4, 3, 5, 6)).astype(np.float32)
    mask = rng.integers(0, 3, (4, 5, 6))
    mask[rng.uniform(size=mask.shape) < 0.2] = 255
    mask[3] = 255
    report = evaluate_dense(mask, logits=logits, class_axis=1, ignore_index=255, base=math.e)
    loss = torch.nn.functional.cross_entropy(
        torch.from_numpy(logits).double(),
        torch.from_numpy(mask),
        ignore_index=255,
        reduction="none",
    ).numpy()
    seen = mask != 255
    assert report.rows == seen.sum()
    assert report.cross_entropy == pytest.approx(loss[seen].mean(), rel=1e-6)
    per_image = [loss[i][seen[i]].sum() for i in range(3)], [seen[i].sum() for i in range(3)]
    assert (report.low, report.high) == pytest.approx(ratio_interval(*per_image), rel=1e-6)
    worst = np.unravel_index(report.hardest[0].row, mask.shape)
    assert report.hardest[0].cost == pytest.approx(loss[seen].max(), rel=1e-6)
    assert loss[worst] == pytest.approx(loss[seen].max(), rel=1e-9)
    tokens, said = logits.reshape(4, 3, 30).transpose(0, 2, 1), mask.reshape(4, 30)
    tagged = evaluate_dense(
        np.where(said == 255, -100, said),
        logits=tokens,
        class_axis=-1,
        ignore_index=-100,
        base=math.e,
    )
    assert tagged.cross_entropy == report.cross_entropy
    assert tagged.high == report.high


# ------------------------------------------------------------------ tokens

TEXTS = ["a small cat", "naïve  über 猫", "x"]
LOGS = [[-1.0, -2.5, -0.25], [-3.0, -0.5], [-2.0]]


def test_tokens_by_hand():
    report = evaluate_tokens(LOGS, texts=TEXTS, ids=["p", "q", "r"])
    bits = np.array([sum(row) for row in LOGS]) / -math.log(2)
    sizes = {
        "token": [3, 2, 1],
        "word": [3, 3, 1],
        "character": [11, 13, 1],
        "byte": [11, 17, 1],
    }
    for unit in report.units:
        assert unit.number == sum(sizes[unit.name])
        assert unit.cost == pytest.approx(bits.sum() / sum(sizes[unit.name]), rel=1e-14)
        low, high = ratio_interval(bits, sizes[unit.name])
        assert (unit.low, unit.high) == pytest.approx((max(low, 0), high), rel=1e-9)
    assert report.perplexity == pytest.approx(math.exp(9.25 / 6))
    assert [(p.first, p.last, p.tokens) for p in report.places] == [(1, 1, 3), (2, 3, 3)]
    assert report.places[0].cost == pytest.approx(6 / 3 / math.log(2))
    assert report.hardest[0].id == "r"
    assert report.to_dict()["bits_per_byte"] == report.per("byte")
    nats = evaluate_tokens(LOGS, texts=TEXTS, base=math.e)
    assert nats.per("token") == pytest.approx(9.25 / 6)
    arpa = [np.array(row) / math.log(10) for row in LOGS]
    assert evaluate_tokens(arpa, log_base=10).per("token") == pytest.approx(report.per("token"))


FORMS = {
    "lists": (LOGS, {}),
    "arrays": ([np.array(row, np.float64) for row in LOGS], {}),
    "tensors": ([torch.tensor(row, dtype=torch.float64) for row in LOGS], {}),
    "flat": ([x for row in LOGS for x in row], {"documents": ["p", "p", "p", "q", "q", "r"]}),
    "padded": (
        [[-1.0, -2.5, -0.25], [-3.0, -0.5, 0.0], [-2.0, 0.0, 7.0]],
        {"mask": [[1, 1, 1], [1, 1, 0], [1, 0, 0]]},
    ),
    "padded on the left": (
        np.array([[-1.0, -2.5, -0.25], [np.nan, -3.0, -0.5], [0.0, 0.0, -2.0]]),
        {"mask": np.array([[1, 1, 1], [0, 1, 1], [0, 0, 1]], bool)},
    ),
    "strided windows": (
        [[-1.0, -2.5], [-9.0, -0.25], [-3.0, -0.5], [-2.0, 0.0]],
        {"mask": [[1, 1], [0, 1], [1, 1], [1, 0]], "documents": ["p", "p", "q", "r"]},
    ),
}


@pytest.mark.parametrize("form", FORMS)
def test_tokens_in_every_form(form):
    log_probs, more = FORMS[form]
    expected = evaluate_tokens(LOGS, texts=TEXTS)
    report = evaluate_tokens(log_probs, texts=TEXTS, **more)
    assert report.units == expected.units
    if form != "strided windows":  # where a window stands in its document is not told
        assert report.places == expected.places


def test_the_first_token_is_said():
    served = [[None, -2.5, -0.25], [None, -0.5], [-2.0]]
    report = evaluate_tokens(served, texts=TEXTS, first="left_out")
    assert (report.tokens, report.unscored) == (4, 2)
    assert "2 first tokens without a log-probability" in str(report)
    assert "not scored: nothing stands before it" in str(report)
    assert evaluate_tokens([[None], [-1.0]], texts=["a", "b"]).documents == 2
    assert "given what was not said" in str(evaluate_tokens(LOGS))
    with pytest.raises(ValueError, match='`first` must be "left_out" where first tokens have no'):
        evaluate_tokens(served, first="after_start")
    assert "how far another would be off cannot be said" in str(evaluate_tokens([LOGS[0]]))
    zero = evaluate_tokens([[-math.inf, -1.0], [-1.0]])
    assert (zero.per("token"), zero.impossible) == (math.inf, 1)
    assert json.loads(json.dumps(zero.to_dict(), allow_nan=False))["cost"] == "inf"


@given(st.lists(st.lists(st.floats(-20, 0), max_size=6), min_size=2, max_size=8))
def test_any_documents(documents):
    total, tokens = -sum(map(sum, documents)), sum(map(len, documents))
    if not tokens:
        return
    report = evaluate_tokens([np.array(row, float) for row in documents], base=math.e)
    assert report.per("token") == pytest.approx(total / tokens, rel=1e-12, abs=1e-12)
    assert sum(place.tokens for place in report.places) == report.tokens == tokens
    assert sum(d.tokens for d in report.hardest) == tokens


def harness(folder, *samples):
    path = folder / "samples_wikitext.jsonl"
    path.write_text("".join(json.dumps(sample) + "\n" for sample in samples))
    return path


def test_samples_of_the_harness(tmp_path):
    texts = [" the cat sat ", "über alles"]
    samples = [
        {
            "doc_id": i,
            "doc": {"page": text},
            "target": text,
            "resps": [[str(-10.0 * (i + 1))]],
            "filtered_resps": [str(-10.0 * (i + 1))],
            "word_perplexity": [-10.0 * (i + 1), len(text.split(" "))],
            "byte_perplexity": [-10.0 * (i + 1), len(text.encode())],
        }
        for i, text in enumerate(texts)
    ]
    path = harness(tmp_path, *samples)
    report = evaluate_harness(path)
    assert report.per("byte") == pytest.approx(30 / 24 / math.log(2))
    assert report.per("word") == pytest.approx(30 / 7 / math.log(2))  # two of them are empty
    ours = evaluate_harness(path, text="doc.page")
    assert ours.per("word") == pytest.approx(30 / 5 / math.log(2))
    assert ours.per("byte") == report.per("byte")
    assert ours.tokens is None
    assert json.loads(json.dumps(ours.to_dict()))["bits_per_byte"] == ours.per("byte")
    bare = [{k: v for k, v in s.items() if "perplexity" not in k} for s in samples]
    assert evaluate_harness(harness(tmp_path, *bare), text="doc.page").units == ours.units
    for bad, more, sentence in (
        (bare, {}, "`text` must say where a sample holds its source text"),
        (bare, {"text": "doc.txt"}, "`text` must name a text on line 1 of .*It has 'doc.page'."),
        ([samples[0], samples[0]], {}, "`path` must hold every doc_id once, got '0' twice"),
        ([{"doc_id": 0, "resps": [["-1", "True"], ["-2", "False"]]}], {}, "rolling log-likelihood"),
        ([], {}, "`path` must hold samples, got none"),
        ([3], {}, "`path` must hold a JSON object a line, got line 1"),
    ):
        with pytest.raises(ValueError, match=sentence):
            evaluate_harness(harness(tmp_path, *bad), **more)


# ------------------------------------------------------------------ what is shown, and refused


def test_every_kind_is_json_text_and_a_cell_of_a_notebook():
    p = rows(11, classes=2)
    for report in (
        evaluate_soft(rows(12, classes=2), p, labels=["<b>", "c"]),
        evaluate_multilabel(p > 0.5, p, labels=["<b>", "c"]),
        evaluate_ordered(["c"] * 30, p, labels=["<b>", "c"]),
        evaluate_tokens(LOGS, texts=TEXTS, ids=["<b>", "q", "r"]),
    ):
        assert repr(report) == str(report)
        lines = [line for line in str(report).splitlines() if not line.startswith("xent ")]
        assert max(map(len, lines)) <= 100
        assert "<b>" in str(report)
        cell = report._repr_html_()
        assert "&lt;b&gt;" in cell
        assert "<b>" not in cell
        assert json.loads(json.dumps(report.to_dict(), allow_nan=False))["unit"] == "bits"


HALF = [[0.5, 0.5]]
WORDING = [
    (evaluate_soft, ([[0.5, 0.6]], HALF), {}, "`target` must sum to 1 in every row, got 1.1 at row 0. If they were rounded when they were saved, pass normalize=True."),
    (evaluate_soft, (HALF, [[0.5, 0.6]]), {}, "`probs` must sum to 1 in every row, got 1.1 at row 0. If they were rounded when they were saved, pass normalize=True."),
    (evaluate_soft, ([[1.5, -0.5]], HALF), {}, "`target` must be non-negative, got -0.5 at [0, 1]. For logits pass logits=."),
    (evaluate_soft, ([0], HALF), {}, "`target` must have the shape (rows, classes), got (1,)."),
    (evaluate_soft, (HALF * 2, HALF), {}, "`target` must have the shape of the predictions, (1, 2), got (2, 2)."),
    (evaluate_soft, (HALF, HALF), {"labels": ["a"]}, "`labels` must name the 2 classes, got 1."),
    (evaluate_soft, (HALF, HALF), {"logits": HALF}, "`probs` must be given, or else `logits` or `log_probs`, got 'probs' and 'logits'."),
    (evaluate_soft, (HALF,), {"log_probs": HALF}, "`log_probs` must be of probabilities that sum to 1 in every row, got 3.29744254 at row 0. Logits go under logits=."),
    (evaluate_soft, (HALF,), {"logits": HALF}, "`logits` must not be probabilities, got rows that sum to 1. Pass them as probs=; if they are logits all the same, pass allow_probabilities=True."),
    (evaluate_multilabel, ([[2, 0]], HALF), {}, "`target` must be 0 or 1, got 2 at [0, 0]. What says that a label is not known is ignore_index=."),
    (evaluate_multilabel, ([0], HALF), {}, "`target` must have the shape of the predictions, (1, 2), got (1,). One class a row goes to `evaluate`."),
    (evaluate_multilabel, ([[1, 0]], [[1.5, 0]]), {}, "`probs` must be between 0 and 1, got 1.5 at [0, 0]. Logits go under logits=."),
    (evaluate_multilabel, ([[1, 0]],), {"logits": [[np.nan, 0]]}, "`logits` must be numbers, got nan at [0, 0]."),
    (evaluate_multilabel, ([[-1, -1]], HALF), {"ignore_index": -1}, "`target` must have a label that is known, got none."),
    (evaluate_multilabel, ([["1", "0"]], HALF), {}, "`target` must hold 1 where a label is there and 0 where not, got an array of dtype <U1."),
    (evaluate_ordered, (["10"], HALF), {"labels": ["10", "9"]}, "`labels` must be the outcomes from the lowest to the highest, got 9 after 10."),
    (evaluate_ordered, ([2], HALF), {}, "`target` must be from 0 to 1, the class numbers, got 2 at row 0."),
    (evaluate_dense, ([0], HALF), {"class_axis": 1}, "`probs` must have three dimensions or more, got (1, 2). For rows and classes take `evaluate`."),
    (evaluate_dense, ([[0]], [HALF]), {"class_axis": 0}, "`class_axis` must name an axis of (1, 1, 2) but the first, which is of samples, got 0."),
    (evaluate_dense, ([[0]], [HALF]), {"class_axis": 1}, "`target` must have the shape of the predictions without their classes, (1, 2), got (1, 1)."),
    (evaluate_tokens, ([0.1, -1],), {"documents": [0, 0]}, "`log_probs` must be at most 0: they are logarithms of probabilities, got 0.1 at token 0 of document 0."),
    (evaluate_tokens, ([-1.0, -1],), {}, "`documents` must be given where `log_probs` are one array of all tokens, got None. For one document, pass [log_probs]."),
    (evaluate_tokens, ([-1.0] * 3,), {"documents": list("aba")}, "`documents` must have what belongs to a document together, in the order of its text, got 'a' again at token 2."),
    (evaluate_tokens, ([[-1, None]],), {}, "`log_probs` must have a number for every token but the first of a document, got nan at token 1 of document 0. Padding is left out by mask=."),
    (evaluate_tokens, ([[-1.0]],), {"texts": ["a", "b"]}, "`texts` must have one text a document, 1, got 2."),
    (evaluate_tokens, ([[-1.0]],), {"texts": [b"a"]}, "`texts` must be strings, got a bytes for document 0."),
    (evaluate_tokens, ([[-1.0]],), {"mask": [[1, 1]]}, "`mask` must have the shape of `log_probs`, got another."),
    (evaluate_tokens, ([[None]],), {}, "`log_probs` must have a token that counts, got none."),
    (evaluate_tokens, ([[-1.0]],), {"first": "bos"}, "`first` must be 'after_start' or 'left_out', got 'bos'."),
    (evaluate_tokens, ([[-1.0]],), {"log_base": 1}, "`log_base` must be above 1 and finite, got 1."),
    (evaluate_tokens, (["a"],), {}, "`log_probs` must be one array a document, or have the shape (documents, tokens) or (tokens,), got the shape (1,) of <U1."),
]  # fmt: skip


@pytest.mark.parametrize(
    ("call", "args", "options", "sentence"), WORDING, ids=[w[-1] for w in WORDING]
)
def test_wording(call, args, options, sentence):
    with pytest.raises((ValueError, TypeError)) as caught:
        call(*args, **options)
    assert str(caught.value) == sentence


def said_of(history, token):
    """A model's log-probability: any function of the tokens that it sees."""
    weights = np.array([(sum(history) * (k + 3) + len(history) * k) % 11 + 1.0 for k in range(7)])
    return math.log(weights[token] / weights.sum())


def windows_of(text, length, stride, *, first):
    """Cut a text as Hugging Face's page on fixed-length models does, and score every window.

    Returns the windows' log-probabilities, and the truth: each token once, by the window that is
    the first to hold it.
    """
    found, costs, end_before = [], [], 0
    for begin in range(0, len(text), stride):
        end = min(begin + length, len(text))
        window = text[begin:end]
        logs = [said_of(window[:i], token) for i, token in enumerate(window)]
        logs[0] = logs[0] if first and not begin else math.nan
        found.append(logs)
        costs += [-c for c in logs[len(window) - (end - end_before) :] if c == c]
        end_before = end
        if end == len(text):
            break
    return found, costs


@pytest.mark.parametrize("padding", ["none", "right", "left"])
@pytest.mark.parametrize("first", [False, True])
@pytest.mark.parametrize(("length", "stride"), [(8, 4), (8, 7), (8, 1), (40, 3)])
def test_overlapping_windows_count_each_token_once(padding, first, length, stride):
    rng = np.random.default_rng(0)
    arrays, masks, names, wanted = [], [], [], []
    for name, size in (("a", 21), ("b", 8), ("c", 3), ("d", 30)):
        found, costs = windows_of(rng.integers(0, 7, size).tolist(), length, stride, first=first)
        wanted.append(costs)
        for logs in found:
            pad = [math.nan] * (length - len(logs)) if padding != "none" else []
            marks = [1] * len(logs), [0] * len(pad)
            arrays.append([*pad, *logs] if padding == "left" else [*logs, *pad])
            masks.append([*marks[1], *marks[0]] if padding == "left" else [*marks[0], *marks[1]])
            names.append(name)
    mask = None if padding == "none" else masks
    texts = ["w" * len(costs) for costs in wanted]
    report = evaluate_tokens(
        arrays, texts=texts, documents=names, mask=mask, stride=stride, base=math.e
    )
    every = [cost for costs in wanted for cost in costs]
    assert report.tokens == len(every)
    assert report.per("token") == pytest.approx(np.mean(every), rel=1e-14)
    assert report.per("byte") == pytest.approx(np.mean(every), rel=1e-14)
    assert report.unscored == (0 if first else 4)
    assert sum(place.tokens for place in report.places) == len(every)
    assert max(place.last for place in report.places) < 64
    assert report.context == sum(map(len, arrays)) - report.padded - len(every) - report.unscored
    assert "conditioned on, not scored again" in str(report) or length == 40


def test_windows_that_no_stride_explains_are_refused():
    logs = [[-1.0] * 4, [-1.0] * 4, [-1.0] * 2]
    assert evaluate_tokens(logs, documents=["t"] * 3, stride=4).tokens == 10
    assert evaluate_tokens(logs[:2], documents=["t"] * 2, stride=1).tokens == 5
    assert evaluate_tokens(logs, documents=["t", "u", "v"], stride=9).tokens == 10
    for documents, stride, error, must in (
        (["t"] * 3, 5, ValueError, "at most the tokens of each window .* got 5 at window 1, of 4"),
        (
            ["t"] * 3,
            2,
            ValueError,
            "a token that is new, got 2 at window 2, of 2 tokens, after one",
        ),
        (["t", "u", "t"], 2, ValueError, "`documents` must have what belongs .* window 2"),
        (None, 2, TypeError, "`documents` must be given where `stride` is"),
        (["t"] * 3, 0, ValueError, "`stride` must be"),
        (["t"] * 3, 1.5, TypeError, "`stride` must be"),
    ):
        with pytest.raises(error, match=must):
            evaluate_tokens(logs, documents=documents, stride=stride)
    with pytest.raises(TypeError, match="`stride` must be left out, got one array of all tokens"):
        evaluate_tokens([-1.0, -2.0], documents=[0, 0], stride=1)
    with pytest.raises(ValueError, match="at least one document"):
        evaluate_tokens(np.zeros((0, 3)), documents=[], stride=1)

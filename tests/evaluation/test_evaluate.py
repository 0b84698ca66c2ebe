"""The numbers of a report against slow oracles and scikit-learn, and what is refused."""

import json
import math
from decimal import Decimal

import numpy as np
import pytest
import sklearn
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from sklearn import metrics

import oracle
from xent import losses, measures
from xent.evaluation import (
    Accumulator,
    evaluate,
    evaluate_multilabel,
    evaluate_soft,
    evaluate_tokens,
)


def predictions(seed=0, rows=200, classes=5, spread=2.0):
    rng = np.random.default_rng(seed)
    logits = spread * rng.normal(size=(rows, classes))
    probs = np.exp(logits) / np.exp(logits).sum(axis=1, keepdims=True)
    target = np.array([rng.choice(classes, p=row) for row in probs])
    return target, probs, logits


# ------------------------------------------------------------------ is it the formula?


@pytest.mark.parametrize("spread", [0.1, 2.0, 30.0])
def test_against_slow_oracles(spread):
    target, probs, logits = predictions(spread=spread, rows=40)
    report = evaluate(target, logits=logits, base=math.e)
    rows = [oracle.log_softmax(row) for row in logits]
    assert report.cross_entropy == pytest.approx(float(oracle.mean_cost(rows, target)), rel=1e-14)
    report = evaluate(target, probs, base=math.e)
    rows = [[oracle.mp.log(p / sum(map(oracle.mp.mpf, r))) for p in r] for r in probs]
    assert report.cross_entropy == pytest.approx(float(oracle.mean_cost(rows, target)), rel=1e-13)
    assert report.brier == pytest.approx(float(oracle.brier(probs, target)), rel=1e-12)


def test_against_scikit_learn():
    target, probs, _ = predictions()
    report = evaluate(target, probs, base=math.e)
    assert report.cross_entropy == pytest.approx(metrics.log_loss(target, probs), rel=1e-12)
    assert report.accuracy == metrics.accuracy_score(target, probs.argmax(axis=1))
    found = metrics.confusion_matrix(target, probs.argmax(axis=1), labels=range(5))
    np.testing.assert_array_equal(report.confusion, found)
    scores = {"labels": range(5), "average": None}
    recall = metrics.recall_score(target, probs.argmax(axis=1), **scores)
    precision = metrics.precision_score(target, probs.argmax(axis=1), **scores)
    np.testing.assert_allclose([c.recall for c in report.per_class], recall)
    np.testing.assert_allclose([c.precision for c in report.per_class], precision)


def test_scikit_learn_clips_and_we_do_not():
    probs = [[1.0, 0.0], [0.5, 0.5]]
    clipped = metrics.log_loss([1, 0], probs)
    assert math.isfinite(clipped), f"scikit-learn {sklearn.__version__} used to clip"
    report = evaluate([1, 0], probs)
    assert report.cross_entropy == math.inf
    assert report.impossible == 1
    assert [c.share for c in report.per_class] == [0.0, 1.0]


def test_baselines():
    report = evaluate([0, 0, 0, 1], np.full((4, 2), 0.5))
    assert report.uniform == 1.0
    assert report.cross_entropy == 1.0
    assert report.prior == pytest.approx(0.25 * 2 + 0.75 * math.log2(4 / 3), rel=1e-15)
    assert report.explained == pytest.approx(1 - 1 / report.prior)


def test_calibration_by_hand():
    probs = [[0.9, 0.1]] * 10 + [[0.61, 0.39]] * 10
    target = [0] * 8 + [1] * 2 + [0] * 5 + [1] * 5
    report = evaluate(target, probs)
    low, high = report.calibration
    assert (low.rows, low.accuracy) == (10, 0.5)
    assert low.confidence == pytest.approx(0.61)
    assert (high.rows, high.accuracy) == (10, 0.8)
    assert report.calibration_error == pytest.approx((0.11 + 0.1) / 2)


def test_confident_logits_keep_their_digits():
    """-log p of a nearly certain class is exp(-50), not 0 as from rounded probabilities."""
    report = evaluate([0], logits=[[50.0, 0.0]], base=math.e)
    assert report.cross_entropy == pytest.approx(math.exp(-50), rel=1e-12, abs=0)


def test_rows_are_divided_by_their_sum():
    report = evaluate([0], [[0.5, 0.5 + 9e-7]], base=math.e)
    expected = -oracle.mp.log(oracle.mp.mpf(0.5) / (0.5 + oracle.mp.mpf(0.5 + 9e-7)))
    assert report.cross_entropy == pytest.approx(float(expected), rel=1e-15, abs=0)


def test_certainty_belongs_to_the_last_bin():
    (bin_,) = evaluate([0, 1], [[1.0, 0.0], [0.0, 1.0]]).calibration
    assert (bin_.low, bin_.high, bin_.rows) == (14 / 15, 1.0, 2)


def test_units_and_perplexity():
    probs = [[0.25, 0.75]]
    for base, unit in ((2, "bits"), (math.e, "nats"), (10, "bans"), (3, "units of log 3")):
        report = evaluate([0], probs, base=base)
        assert report.unit == unit
        assert report.perplexity == pytest.approx(4)
        assert report.cross_entropy == pytest.approx(math.log(4, base))
    assert evaluate([1], [[1.0, 0.0]]).perplexity == math.inf


def test_masked_logits():
    report = evaluate([0, 1], logits=[[0.0, 0.0, -np.inf], [1.0, 1.0, -np.inf]])
    assert report.cross_entropy == pytest.approx(1.0)


# ------------------------------------------------------------------ does it keep the laws?


def test_evaluation_is_the_loss_is_the_measure():
    import torch

    target, _, logits = predictions(rows=300)
    report = evaluate(target, logits=logits, base=math.e)
    loss = losses.cross_entropy(torch.from_numpy(logits), torch.from_numpy(target))
    probs = np.exp(logits) / np.exp(logits).sum(axis=1, keepdims=True)
    measured = measures.cross_entropy(np.eye(5)[target], probs).mean()
    assert report.cross_entropy == pytest.approx(loss.item(), rel=1e-12)
    assert report.cross_entropy == pytest.approx(measured, rel=1e-12)


probability_rows = arrays(float, (7, 3), elements=st.floats(1e-6, 1.0)).map(
    lambda a: a / a.sum(axis=1, keepdims=True)
)
targets = arrays(int, 7, elements=st.integers(0, 2))


@given(probability_rows, targets)
def test_laws(probs, target):
    bits = evaluate(target, probs)
    nats = evaluate(target, probs, base=math.e)
    assert nats.cross_entropy == pytest.approx(bits.cross_entropy * math.log(2), rel=1e-12)
    assert 0 <= bits.prior <= bits.uniform + 1e-12
    assert 0 <= bits.brier <= 2
    assert 0 <= bits.calibration_error <= 1
    assert math.fsum(c.share for c in bits.per_class) == pytest.approx(1)
    assert sum(c.rows for c in bits.per_class) == bits.confusion.sum() == 7
    by_class = sum(c.cross_entropy * c.rows for c in bits.per_class if c.rows) / 7
    assert by_class == pytest.approx(bits.cross_entropy, rel=1e-12)
    order = [2, 0, 1]
    turned = evaluate(np.argsort(order)[target], probs[:, order])
    assert turned.cross_entropy == pytest.approx(bits.cross_entropy, rel=1e-12)
    assert turned.brier == pytest.approx(bits.brier, rel=1e-9)


def test_the_prior_is_what_the_best_constant_costs():
    target = np.array([0, 0, 0, 1, 1, 2])
    share = np.bincount(target) / 6
    report = evaluate(target, np.tile(share, (6, 1)))
    assert report.cross_entropy == pytest.approx(report.prior, rel=1e-14)
    assert report.explained == pytest.approx(0, abs=1e-14)


# ------------------------------------------------------------------ what one sees


def test_labels_name_the_columns():
    report = evaluate(["cat", "dog"], [[0.5, 0.5], [0.25, 0.75]], labels=["cat", "dog"])
    assert [c.label for c in report.per_class] == ["cat", "dog"]
    assert report.hardest[0].target == "cat"
    assert report.confused() == []


def test_hardest_rows_come_first():
    report = evaluate([0, 0, 0], [[0.9, 0.1], [0.1, 0.9], [0.5, 0.5]])
    assert [h.row for h in report.hardest] == [1, 2, 0]
    assert report.hardest[0].prediction == 1
    target, probs, _ = predictions()
    assert len(evaluate(target, probs).hardest) == 20
    assert report.hardest[0].cost == pytest.approx(math.log2(10))


def test_confusions_come_most_frequent_first():
    target = ["a", "a", "a", "b", "c"]
    said = {"a": [1, 0, 0], "b": [0, 1, 0], "c": [0, 0, 1]}
    probs = [said[x] for x in ("b", "b", "a", "c", "c")]
    report = evaluate(target, probs, labels=["a", "b", "c"])
    assert report.confused() == [(2, "a", "b"), (1, "b", "c")]
    assert "most confused: a for b (2), b for c (1)" in str(report)
    assert "3 rows had a true class of probability 0: infinite cost" in str(report)


def test_labels_with_newlines_stay_on_their_line():
    report = evaluate(["two\nlines", "b"], [[0.5, 0.5]] * 2, labels=["two\nlines", "b"])
    assert "  two lines" in str(report)


def test_tensors_and_frames():
    import pandas as pd
    import polars as pl
    import torch

    probs, target = [[0.25, 0.75], [0.5, 0.5]], [1, 0]
    bits = evaluate(target, probs).cross_entropy
    for wrapped in (
        pd.DataFrame(probs, columns=["n", "y"]),
        pl.DataFrame(probs, schema=["n", "y"], orient="row"),
        torch.tensor(probs, requires_grad=True),
        torch.tensor(probs, dtype=torch.bfloat16),
    ):
        assert evaluate(target, wrapped).cross_entropy == bits
    named = evaluate(
        pd.Series(["y", "n"]), pd.DataFrame(probs, columns=["n", "y"]), labels=["n", "y"]
    )
    assert named.cross_entropy == bits


def test_boolean_targets_and_mixed_labels():
    assert evaluate(np.array([True]), [0.75]).cross_entropy == pytest.approx(math.log2(4 / 3))
    assert evaluate([1, "a"], [[1, 0], [0, 1]], labels=np.array([1, "a"], object)).accuracy == 1


def test_binary_probabilities_are_of_the_second_class():
    one = evaluate([0, 1, 1], [0.2, 0.7, 0.9])
    two = evaluate([0, 1, 1], [[0.8, 0.2], [0.3, 0.7], [0.1, 0.9]])
    assert one.cross_entropy == pytest.approx(two.cross_entropy, rel=1e-14)


def test_binary_logits_are_of_the_second_class():
    z = np.array([-2.0, 0.5, 40.0, -np.inf])
    one = evaluate([0, 1, 1, 0], logits=z, base=math.e)
    two = evaluate([0, 1, 1, 0], logits=np.stack([np.zeros(4), z], axis=1), base=math.e)
    assert one.cross_entropy == two.cross_entropy
    truth = [oracle.mp.log1p(oracle.mp.exp(x)) for x in (-2, -0.5, -40)]
    assert one.cross_entropy == pytest.approx(float(sum(truth) / 4), rel=1e-14)


def test_labels_may_be_read_but_once():
    report = evaluate(["b"], [[0.25, 0.75]], labels=(name for name in "ab"))
    assert report.labels == ["a", "b"]


def test_tables_of_arrow():
    import pyarrow as pa

    table = pa.table({"a": [0.25, 0.5], "b": [0.75, 0.5]})
    target = pa.chunked_array([["b"], ["a"]])
    report = evaluate(target, table, labels=["a", "b"])
    assert report.cross_entropy == evaluate([1, 0], [[0.25, 0.75], [0.5, 0.5]]).cross_entropy
    # By name, in whatever order.
    assert evaluate(target, table, labels=["b", "a"]).cross_entropy == report.cross_entropy


def test_text_fits_a_screen():
    target, probs, _ = predictions(rows=2000, classes=40)
    names = np.array([f"a rather long class name {i}" for i in range(40)])
    text = str(evaluate(names[target], probs, labels=names))
    lines = text.splitlines()
    assert len(lines) <= 24
    assert max(len(line) for line in lines[:-1]) <= 100
    assert "and 30 classes that cost less" in text


def test_dictionary_is_json_and_round_trips():
    target, probs, _ = predictions()
    report = evaluate(target, probs)
    back = json.loads(json.dumps(report.to_dict(), allow_nan=False))
    assert back["cross_entropy"] == report.cross_entropy
    assert sum(pair["rows"] for pair in back["confusion"]) == 200
    assert back["unit"] == "bits"
    infinite = evaluate([1], [[1.0, 0.0]]).to_dict()
    assert infinite["cross_entropy"] == "inf"
    assert infinite["explained"] is None
    json.dumps(infinite, allow_nan=False)


def test_signature_changes_with_the_data_and_only_with_it():
    target, probs, _ = predictions()
    one, again = evaluate(target, probs).signature, evaluate(target.copy(), probs.copy()).signature
    assert one == again
    assert evaluate(target + 10, probs, labels=range(10, 15)).signature != one
    assert evaluate((target + 1) % 5, probs).signature != one
    assert evaluate(target, probs, base=10).signature != one
    probs[0] = probs[0, ::-1].copy()
    assert evaluate(target, probs).signature != one
    assert "base 2" in one
    assert "200 rows" in one


# ------------------------------------------------------------------ does it survive?


@pytest.mark.parametrize("dtype", [np.float16, np.float32, ">f8", "<f4"])
def test_dtypes_and_layouts(dtype):
    probs = np.asfortranarray(np.array([[0.5, 0.5], [0.25, 0.75]], dtype=dtype))
    probs.setflags(write=False)
    assert evaluate([0, 1], probs).cross_entropy == pytest.approx((1 - math.log2(0.75)) / 2)


def test_rows_of_half_precision_sum_to_one_as_nearly_as_they_can():
    import torch

    single = torch.softmax(torch.randn(40, 30, generator=torch.Generator().manual_seed(0)), 1)
    for probs in (single.half(), single.bfloat16(), single.numpy().astype(np.float16)):
        wide = np.asarray(torch.as_tensor(probs).double())
        assert (abs(wide.sum(1) - 1) > 1e-5).any()
        with pytest.raises(ValueError, match="sum to 1 in every row"):
            evaluate([0] * 40, wide)
        report = evaluate([0] * 40, probs, base=math.e)
        truth = np.mean([float(oracle.cross_entropy([1.0] + [0.0] * 29, row)) for row in wide])
        assert report.cross_entropy == pytest.approx(truth, rel=1e-13)


def test_one_class_and_one_row():
    report = evaluate([0], [[1.0]])
    assert report.cross_entropy == 0
    assert math.isnan(report.explained)
    assert "explained" in str(report)


WORDING = [
    (([0], [[0.5, 0.6]]), {}, "`probs` must sum to 1 in every row, got 1.1 at row 0. If they were rounded when they were saved, pass normalize=True."),
    (([0], [[1.5, -0.5]]), {}, "`probs` must be non-negative, got -0.5 at [0, 1]. For logits pass logits=."),
    (([0], [[np.nan, 1.0]]), {}, "`probs` must be finite, got nan at [0, 0]."),
    (([0], [["a", "b"]]), {}, "`probs` must be an array of real numbers, got an array of dtype <U1."),
    (([0], np.ones((1, 1, 1))), {}, "`probs` must have the shape (rows, classes), got (1, 1, 1)."),
    (([], np.ones((0, 2))), {}, "`probs` must have at least one row and one class, got (0, 2)."),
    (([0],), {}, "`probs` must be given, or else `logits` or `log_probs`, got none of them."),
    (([0], [[1.0]]), {"logits": [[1.0]]}, "`probs` must be given, or else `logits` or `log_probs`, got 'probs' and 'logits'."),
    (([0],), {"logits": [[np.nan, 0.0]]}, "`logits` must be finite or -inf, got nan at [0, 0]."),
    (([0],), {"logits": [[-np.inf, -np.inf]]}, "`logits` must leave every row a class that can be, got only -inf at row 0."),
    (([2], [[0.5, 0.5]]), {}, "`target` must be from 0 to 1, the class numbers, got 2 at row 0."),
    (([-1], [[0.5, 0.5]]), {}, "`target` must be from 0 to 1, the class numbers, got -1 at row 0."),
    (([0, 1], [[0.5, 0.5]]), {}, "`target` must have one class a row, 1, got the shape (2,)."),
    (([[0, 1]], [[0.5, 0.5]]), {}, "`target` must have one class a row, 1, got the shape (1, 2). If it is one-hot, pass its argmax(axis=1); `evaluate_soft` takes distributions."),
    (([[0], [1]], [[0.5, 0.5]] * 2), {}, "`target` must have one class a row, 2, got the shape (2, 1). Pass target[:, 0]."),
    (([1.0, np.nan], [[0.5, 0.5]] * 2), {}, "`target` must have a class in every row, got nan at row 1. Leave such rows out."),
    ((["a"], [[0.5, 0.5]]), {}, "`target` must hold class numbers where no `labels` are given, got dtype <U1. Name the classes in the order of the columns with labels=."),
    ((["c"], [[0.5, 0.5]]), {"labels": ["a", "b"]}, "`target` must be one of the labels 'a' or 'b', got 'c' at row 0."),
    (([0], [[0.5, 0.5]]), {"labels": ["a"]}, "`labels` must name the 2 classes, got 1."),
    (([0], [[0.5, 0.5]]), {"labels": ["a", "a"]}, "`labels` must name every class once, got 'a' twice."),
    (([0, 0], [0.2, 1.5]), {}, "`probs` must be between 0 and 1, got 1.5 at row 1."),
    (([0], [[0.5, 0.5], [1.0]]), {}, "`probs` must be an array, all its rows of one length, got a ragged list."),
    (([0], np.ma.masked_equal([[0.5, 0.5]], 0.5)), {}, "`probs` must have no masked entry, got a masked array. Drop those rows."),
    (([0], [[0.5, 0.5 + 2e-6]]), {}, "`probs` must sum to 1 in every row, got 1.000002 at row 0. No rounding explains that: are they of classes that exclude one another?"),
    (([0], [[0.5, 0.5]]), {"labels": [["a"], ["b"]]}, "`labels` must be strings, numbers or booleans, got a list."),
    (([0], [[0.5, 0.5]]), {"labels": "ab"}, "`labels` must be a list of names, got 'ab'."),
    (([0], [[0.3]]), {}, "`probs` must have a column for each class, or one dimension: the second of two classes, got (1, 1). Pass probs[:, 0], or the class that it is of as positive=."),
    (([["a"]], [[0.5, 0.5]]), {"labels": ["a", "b"]}, "`target` must have one class a row, 1, got 1 column of them. Pass the column alone."),
    (([[1, 0]], [[0.5, 0.5]]), {"labels": ["a", "b"]}, "`target` must have one class a row, 1, got 2 columns of them. If it is one-hot, pass its argmax(axis=1); `evaluate_soft` takes distributions."),
    (([0], [[0.5, 0.5]]), {"base": 1}, "`base` must be positive and not 1, got 1. Use math.e for nats, 2 for bits."),
]  # fmt: skip


@pytest.mark.parametrize(("args", "kwargs", "sentence"), WORDING, ids=[w[2] for w in WORDING])
def test_wording(args, kwargs, sentence):
    with pytest.raises((ValueError, TypeError)) as caught:
        evaluate(*args, **kwargs)
    assert str(caught.value) == sentence


def test_at_a_prompt_a_report_is_its_screen_of_text():
    report = evaluate([0, 1], [[0.5, 0.5], [0.25, 0.75]])
    assert repr(report) == str(report)


# ------------------------------------------------------------------ are they probabilities?


@pytest.mark.parametrize("logits", [np.zeros((12, 4)), np.eye(4)[[0, 1] * 6] * 3, np.ones((12, 3))])
def test_whole_numbers_are_logits(logits):
    """A head that begins at zero says nothing yet, and is no distribution."""
    found = evaluate(np.zeros(len(logits), int), logits=logits, base=np.e).cross_entropy
    expected = -np.log(np.exp(logits[:, 0]) / np.exp(logits).sum(1)).mean()
    assert found == pytest.approx(expected, rel=1e-12)


def test_probabilities_are_no_logits():
    target, probs, _ = predictions()
    for wrong in (probs, probs.round(3), probs.astype(np.float32)):
        with pytest.raises(ValueError, match="`logits` must not be probabilities") as caught:
            evaluate(target, logits=wrong)
        assert "pass allow_probabilities=True" in str(caught.value)
    insisted = evaluate(target, logits=probs, allow_probabilities=True)
    right = [oracle.log_softmax(row) for row in probs]
    assert insisted.cross_entropy * math.log(2) == pytest.approx(
        float(oracle.mean_cost(right, target)), rel=1e-13
    )
    # Logits from 0 to 1 whose rows sum to something else are logits, and so are log-probabilities.
    assert evaluate([0, 1], logits=[[0.5, 0.1], [0.0, 1.0]]).rows == 2
    assert evaluate(target, logits=np.log(probs)).cross_entropy == pytest.approx(
        evaluate(target, probs).cross_entropy, rel=1e-13
    )


def test_one_column_of_probabilities_is_none_of_logits():
    rng = np.random.default_rng(0)
    p, target = rng.random(50), rng.integers(0, 2, 50)
    for scores in (p, p[:, None]):
        with pytest.raises(ValueError, match="`logits` must not be probabilities, got numbers fro"):
            evaluate(target, logits=scores, positive=1)
        assert evaluate(target, logits=scores, positive=1, allow_probabilities=True).rows == 50
    assert evaluate(target, logits=np.zeros(50)).cross_entropy == 1  # an untrained model
    assert evaluate([0, 1], logits=[0.2, 0.9]).rows == 2
    assert evaluate(target, logits=2 * p).rows == 50


def test_log_probabilities_sum_to_one():
    target, probs, logits = predictions()
    found = evaluate(target, log_probs=np.log(probs)).cross_entropy
    assert found == pytest.approx(evaluate(target, probs).cross_entropy, rel=1e-13)
    with pytest.raises(ValueError, match="`log_probs` must be of probabilities that sum to 1 in"):
        evaluate(target, log_probs=logits)
    wrong = np.log(probs)
    wrong[7] += 1e-3
    with pytest.raises(ValueError, match=r"got 1.00\d* at row 7\. Logits go under logits="):
        evaluate(target, log_probs=wrong)


@pytest.mark.parametrize("digits", [1, 2, 3, 6])
@pytest.mark.parametrize("form", ["decimals", "significant"])
def test_rounding_is_mended_and_nothing_else(digits, form):
    target, probs, _ = predictions(rows=400)
    if form == "decimals":
        printed = probs.round(digits)
    else:
        printed = np.array([[float(f"{p:.{digits}g}") for p in row] for row in probs])
    printed[0] = [0.2] * 5
    assert (abs(printed.sum(axis=1) - 1) > 1e-6).any()
    with pytest.raises(ValueError, match="pass normalize=True"):
        evaluate(target, printed)
    report = evaluate(target, printed, normalize=True)
    share = printed / printed.sum(axis=1, keepdims=True)
    # scikit-learn clips, so only where nothing is 0.
    cost = [-math.log2(share[i, t]) if share[i, t] else math.inf for i, t in enumerate(target)]
    assert report.cross_entropy == pytest.approx(np.mean(cost), rel=1e-12)
    off = printed.copy()
    off[3] = [0.9, 0.9, 0, 0, 0]
    with pytest.raises(ValueError, match=r"got 1\.8 at row 3\. No rounding"):
        evaluate(target, off, normalize=True)


def test_a_stray_column_is_named():
    pd = pytest.importorskip("pandas")
    target, probs, _ = predictions(classes=3)
    frame = pd.DataFrame(probs.round(2), columns=["a", "b", "c"])
    frame.insert(1, "value", np.linspace(0, 1, 200).round(4))
    for normalize in (False, True):
        with pytest.raises(ValueError, match="Leave out the column 'value'"):
            evaluate(np.array(list("abc"))[target], frame, normalize=normalize)


def test_columns_are_taken_by_name():
    import pandas as pd
    import polars as pl

    target, probs, _ = predictions(classes=2)
    right = evaluate(target, probs).cross_entropy
    turned = probs[:, ::-1]
    for frame in (
        pd.DataFrame(turned, columns=[1, 0]),
        pd.DataFrame(turned, columns=["1", "0"]),
        pl.DataFrame(turned, schema=["1", "0"]),
        pd.DataFrame(probs),
        pd.DataFrame(probs, columns=["p of no", "p of yes"]),
    ):
        assert evaluate(target, frame).cross_entropy == right
    words = np.array(["no", "yes"])[target]
    for frame in (
        pd.DataFrame(turned, columns=["yes", "no"]),
        pl.DataFrame(turned, schema=["yes", "no"]),
    ):
        assert evaluate(words, frame).cross_entropy == right
        assert evaluate(words, frame, labels=["no", "yes"]).cross_entropy == right
    assert (
        evaluate(words, pd.DataFrame(turned, columns=[1, 0]), labels=["no", "yes"]).cross_entropy
        == right
    )
    with pytest.raises(
        ValueError, match=r"columns in the order of their numbers .* got '2' and '1'"
    ):
        evaluate(words, pd.DataFrame(turned, columns=[2, 1]), labels=["no", "yes"])


def test_rows_are_not_taken_in_another_order():
    import pandas as pd

    target, probs, _ = predictions(classes=2)
    index = np.random.default_rng(0).permutation(200) + 1000
    frame, truth = pd.DataFrame(probs, index=index), pd.Series(target, index=index)
    right = evaluate(target, probs).cross_entropy
    assert evaluate(truth, frame).cross_entropy == right
    with pytest.raises(ValueError, match="`target` must have its rows in the order of the predi"):
        evaluate(truth.sort_index(), frame)
    assert evaluate(truth, probs).cross_entropy == right
    assert evaluate(truth, pd.DataFrame(probs)).cross_entropy == right


def test_one_column_of_the_positive_class():
    yes = [0.2, 0.7, 0.9]
    right = evaluate([0, 1, 1], yes).cross_entropy
    for target, positive in (([0, 1, 1], 1), (["n", "y", "y"], "y"), ([0.0, 1.0, 1.0], 1)):
        for shape in (yes, np.array(yes)[:, None]):
            report = evaluate(target, shape, positive=positive)
            assert report.cross_entropy == right
            assert report.labels == [target[0], positive]
    turned = evaluate(["y", "n", "n"], yes, positive="n", labels=["n", "y"])
    assert turned.cross_entropy == right
    assert evaluate(["y", "y"], yes[:2], positive="y").labels == ["not y", "y"]
    z = np.log(yes) - np.log1p(-np.array(yes))
    assert evaluate([0, 1, 1], logits=z[:, None], positive=1).cross_entropy == pytest.approx(right)
    with pytest.raises(ValueError, match="`target` must hold `positive`, 2, and one class more"):
        evaluate([0, 1, 1], yes, positive=2)
    with pytest.raises(ValueError, match="`logits` must have a column for each class"):
        evaluate([0, 0, 0], logits=z[:, None])


def test_whole_floats_are_classes():
    target, probs, _ = predictions()
    right = evaluate(target, probs).cross_entropy
    assert evaluate(target.astype(float), probs).cross_entropy == right
    assert evaluate(target.astype(float), probs, labels=range(5)).cross_entropy == right
    with pytest.raises(TypeError, match="must hold class numbers"):
        evaluate(target + 0.5, probs)


# ------------------------------------------------------------------ weights, intervals, slices


def test_weights_are_repeated_rows():
    target, probs, logits = predictions()
    weight = np.random.default_rng(1).integers(0, 4, 200)
    for scores in ({"probs": probs}, {"logits": logits}):
        one = evaluate(target, **scores, sample_weight=weight)
        each = np.repeat(np.arange(200), weight)
        many = evaluate(target[each], **{name: v[each] for name, v in scores.items()})
        for name in ("cross_entropy", "accuracy", "brier", "prior", "calibration_error"):
            assert getattr(one, name) == pytest.approx(getattr(many, name), rel=1e-12)
        assert one.ranking == pytest.approx(many.ranking, rel=1e-12)
        assert [c.rows for c in one.per_class] == [c.rows for c in many.per_class]
        np.testing.assert_array_equal(one.confusion, many.confusion)
        assert one.weight == many.rows
        assert one.rows == np.count_nonzero(weight)
    nats = metrics.log_loss(target, probs, sample_weight=weight)
    assert one.cross_entropy * math.log(2) == pytest.approx(nats, rel=1e-12)
    for wrong, sentence in (
        (weight[:5], "have one number a row, 200"),
        (-weight, "be finite, 0 or more, got -"),
        (weight * np.nan, "be finite, 0 or more, got nan at row 0"),
        (weight * 0, "have one above 0"),
    ):
        with pytest.raises(ValueError, match=f"`sample_weight` must {sentence}"):
            evaluate(target, probs, sample_weight=wrong)


def test_ignored_rows_are_not_there():
    target, probs, _ = predictions()
    some = target.copy()
    some[::3] = -100
    keep = some >= 0
    report = evaluate(some, probs, ignore_index=-100)
    assert report.rows == keep.sum()
    assert report.cross_entropy == evaluate(target[keep], probs[keep]).cross_entropy
    assert {h.row for h in report.hardest} <= set(np.flatnonzero(keep))
    with pytest.raises(ValueError, match="have a row that is not ignored"):
        evaluate([-100], [[0.5, 0.5]], ignore_index=-100)


def test_the_interval_is_students():
    from scipy import stats

    target, probs, _ = predictions()
    cost = -np.log2(probs[np.arange(200), target])
    report = evaluate(target, probs)
    low, high = stats.t.interval(0.95, 199, cost.mean(), stats.sem(cost))
    assert (report.low, report.high) == pytest.approx((low, high), rel=1e-12)
    said = report.to_dict()
    assert said["interval_bits"] == pytest.approx([low, high])
    nats = evaluate(target, probs, base=math.e).to_dict()
    assert nats["interval_nats"] == pytest.approx(np.array([low, high]) * math.log(2))
    for name in ("cross_entropy_bits", "cross_entropy_nats", "interval_bits"):
        assert nats[name] == pytest.approx(said[name], rel=1e-14)
    assert f"{low:.4f} to {high:.4f} bits" in str(report)
    assert math.isnan(evaluate([0], [[0.5, 0.5]]).low)


def test_a_zero_is_counted_and_what_floors_would_give_is_shown():
    probs = np.array([[1.0, 0.0], [0.5, 0.5], [0.25, 0.75]])
    report = evaluate([1, 0, 1], probs)
    assert report.cross_entropy == math.inf
    assert report.impossible == 1
    assert report.floored["2.2e-16"] * math.log(2) == pytest.approx(
        metrics.log_loss([1, 0, 1], probs), rel=1e-9
    )
    assert report.to_dict()["interval_bits"] == ["inf", "inf"]
    assert f"with 1e-15 for 0, as others have it, {report.floored['1e-15']:.4f}" in str(report)


def test_ranking_is_scikit_learns():
    target, probs, _ = predictions(classes=2)
    tied = probs.round(1)
    weight = np.random.default_rng(0).random(200)
    for p in (probs, tied):
        for w in (None, weight):
            found = evaluate(target, p, sample_weight=w).to_dict()["ranking"]
            kwargs = {"sample_weight": w}
            assert found["roc_auc"] == pytest.approx(
                metrics.roc_auc_score(target, p[:, 1], **kwargs)
            )
            assert found["average_precision"] == pytest.approx(
                metrics.average_precision_score(target, p[:, 1], **kwargs)
            )
            one = evaluate(target, p[:, 1], sample_weight=w).ranking
            assert one == pytest.approx({name: found[name] for name in one})
    target, probs, logits = predictions()
    right = metrics.roc_auc_score(target, probs, multi_class="ovr", average="macro")
    for scores in ({"probs": probs}, {"logits": logits}):
        assert evaluate(target, **scores).ranking["roc_auc"] == pytest.approx(right)
    assert evaluate([0, 0], probs[:2]).to_dict()["ranking"]["roc_auc"] is None
    # Probabilities that round to 1 hide an order that logits have.
    assert evaluate([0, 1], logits=[[0, 50.0], [0, 60.0]]).ranking["roc_auc"] == 1


def counted(y, **given):
    """What an accumulator says: all but what takes long."""
    found = Accumulator()
    found.update(y, **given)
    return found.result()


@pytest.mark.grid
@pytest.mark.parametrize(("dtype", "weighted"), [(np.float64, False), (np.float32, True)])
@pytest.mark.parametrize("form", ["probs", "tied", "logits", "cells"])
def test_thresholds_are_scikit_learns(dtype, form, weighted, monkeypatch):
    if form == "cells":
        monkeypatch.setattr("xent.evaluation._accumulator.scores.column.MOST_SCORES", 4)
    y, probs, _ = predictions(classes=2)
    p = probs[:, 1].round(1) if form == "tied" else probs[:, 1]
    p = p.astype(dtype)
    w = np.random.default_rng(0).random(len(y)).round(2) + 0.01 if weighted else None
    given = {"logits": np.log(p) - np.log1p(-p)} if form == "logits" else {"probs": p}
    report = counted(y, **given, sample_weight=w)
    weight = np.ones(len(y)) if w is None else w
    assert len(report.thresholds) == 13
    for point in report.thresholds:
        t = point.threshold
        said = p >= dtype(t)
        if form == "cells":  # a row near the threshold may be on the other side
            near = np.abs(np.log(p / (1 - p)) - math.log(t / (1 - t))) < 2**-12
            if near.any():
                continue
        precision, recall, f1, _ = metrics.precision_recall_fscore_support(
            y, said, average="binary", sample_weight=w, zero_division=0
        )
        assert point.predicted == pytest.approx((weight * said).sum() / weight.sum())
        assert point.precision == pytest.approx(precision) or not said.any()
        assert (point.recall, point.f1) == pytest.approx((recall, f1))
        cost = weight * np.where(y == 1, (1 - t) * ~said, t * said)
        assert point.cost == pytest.approx(cost.sum() / weight.sum())
    f1 = [metrics.f1_score(y, p >= t, sample_weight=w) for t in np.unique(p)]
    assert report.best_f1.f1 == pytest.approx(max(f1), rel=1e-3 if form == "cells" else 1e-12)
    assert "F1" in str(report)
    assert report.to_dict()["ranking"]["best_f1"]["f1"] == report.best_f1.f1


def test_the_mean_cost_over_all_thresholds_is_half_of_brier(monkeypatch):
    y, probs, _ = predictions(classes=2)
    every = tuple((np.arange(2000) + 0.5) / 2000)
    monkeypatch.setattr("xent.evaluation._ranking.THRESHOLDS", every)
    report = counted(y, probs=probs)
    mean = np.mean([point.cost for point in report.thresholds])
    assert mean == pytest.approx(report.brier / 4, rel=1e-4)  # brier counts both classes


def test_no_thresholds_where_there_is_nothing_to_part():
    many = counted([0, 1, 2], probs=np.full((3, 3), 1 / 3))
    for found in (counted([1, 1], probs=[0.5, 0.7]), many):
        assert (found.thresholds, found.best_f1) == ([], None)
        assert "F1" not in str(found)
    point = counted([0, 1], logits=[-800.0, 800.0]).best_f1
    assert (point.threshold, point.f1, point.cost) == (1.0, 1.0, 0.0)
    assert counted([0, 1], probs=[0.0, 1.0]).thresholds[6].cost == 0


def test_slices():
    target, probs, _ = predictions()
    place = np.array(["x", "y"])[np.arange(200) % 2]
    report = evaluate(target, probs, by={"place": place, "half": np.arange(200) < 100})
    for piece in report.slices:
        own = (
            place == piece.value if piece.name == "place" else (np.arange(200) < 100) == piece.value
        )
        alone = evaluate(target[own], probs[own])
        assert (piece.cross_entropy, piece.low, piece.high, piece.accuracy, piece.rows) == (
            alone.cross_entropy, alone.low, alone.high, alone.accuracy, 100,
        )  # fmt: skip
    assert len(report.slices) == 4
    assert "by place: bits a row" in str(report)
    with pytest.raises(ValueError, match=r"`by\['place'\]` must have one value a row, 200, got 3"):
        evaluate(target, probs, by={"place": [1, 2, 3]})
    named = evaluate(target, probs, ids=[f"id {i}" for i in range(200)])
    assert named.hardest[0].id == f"id {named.hardest[0].row}"


# ------------------------------------------------------------------ many classes


def test_a_vocabulary_builds_no_table():
    import tracemalloc

    rng = np.random.default_rng(0)
    logits = rng.normal(size=(64, 50257)).astype(np.float32)
    target = rng.integers(0, 50257, 64)
    evaluate(target[:2], logits=logits[:2])
    tracemalloc.start()
    report = evaluate(target, logits=logits)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < 60e6
    wide = logits.astype(np.float64)
    cost = np.log(np.exp(wide).sum(axis=1)) - wide[np.arange(64), target]
    assert report.cross_entropy * math.log(2) == pytest.approx(cost.mean(), rel=1e-12)
    assert len(report.per_class) <= 128
    assert len(report.pairs) <= 64
    with pytest.raises(ValueError, match="`confusion` cannot be a table"):
        _ = report.confusion
    assert len(json.dumps(report.to_dict())) < 600_000


def test_a_thousand_classes_are_a_short_file():
    rng = np.random.default_rng(0)
    target, probs = rng.integers(0, 1000, 5000), rng.dirichlet(np.ones(1000), 5000)
    report = evaluate(target, probs)
    assert len(report.pairs) > 4900
    said = report.to_dict()
    assert len(said["confusion"]) == 1000
    assert said["confusion_pairs"] == len(report.pairs)
    assert len(json.dumps(said)) < 400_000
    expected = metrics.confusion_matrix(target, probs.argmax(axis=1), labels=range(1000))
    np.testing.assert_array_equal(report.confusion, expected)


def test_percentages_are_told():
    with pytest.raises(ValueError, match="These are percentages: divide them by 100"):
        evaluate([0, 1], [[63, 37], [20, 80.0]])


@pytest.mark.parametrize("positive", [1, 1.0, np.float64(1)])
def test_classes_that_are_whole_floats_are_named_as_whole_numbers(positive):
    report = evaluate(np.array([1.0, 0.0, 1.0]), [0.9, 0.2, 0.6], positive=positive)
    assert sorted(repr(c.label) for c in report.per_class) == ["0", "1"]


@pytest.mark.parametrize("size", [1.1e300, 8e307, 1.7e308])
@pytest.mark.parametrize("rows", [1, 4])
def test_logits_that_no_sum_holds_are_refused_in_a_sentence(size, rows):
    must = r"must give the true class of a row a cost of at most 1e\+300 nats.* at row 0"
    z = [[0.0, size, -size]] * rows
    with pytest.raises(ValueError, match=must):
        evaluate([0] * rows, logits=z)
    with pytest.raises(ValueError, match=must):
        evaluate([0] * rows, logits=[[0.0, 1e250, 1.0]] * rows, sample_weight=[1e60] * rows)
    with pytest.raises(ValueError, match=must):
        evaluate_multilabel([[1, 0, 0]] * rows, logits=z)
    with pytest.raises(ValueError, match=must):
        evaluate_soft([[1.0, 0.0, 0.0]] * rows, logits=z)
    with pytest.raises(ValueError, match=must.replace("row", "token")):
        evaluate_tokens([[-size]] * rows)
    accumulator = Accumulator()
    accumulator.update([1, 2], logits=[[0.0, 5.0, -size], [0.0, 1.0, 2.0]])  # a mask costs nothing
    with pytest.raises(ValueError, match=r"at row 3"):
        accumulator.update([1, 0], logits=[[0.0, 5.0, -size], [0.0, size, 2.0]])


def test_huge_costs_have_finite_means():
    for size in (1e160, 1e300):
        z = [[0.0, size, 1.0], [size, 0.0, 1.0], [1.0, size, 0.0]]
        report = evaluate([0, 1, 1], logits=z, by={"half": [0, 0, 1]}, base=math.e)
        assert report.cross_entropy == pytest.approx(size / 3 * 2, rel=1e-15)
        assert (report.low, report.high) == (0.0, math.inf)
        assert report.to_dict()["per_class"][0]["cross_entropy"] == size
        assert evaluate_tokens([[-size], [-1.0]], base=math.e).per("token") == size / 2


def test_frames_of_every_backend():
    """pandas hands out nullable and Arrow columns as objects; decimals come of databases."""
    pd = pytest.importorskip("pandas")
    probs, right = [[0.5, 0.5], [0.25, 0.75]], evaluate([0, 1], [[0.5, 0.5], [0.25, 0.75]])
    for dtype in ("Float64", "double[pyarrow]", object):
        assert evaluate([0, 1], pd.DataFrame(probs).astype(dtype)) == right
    exact = pd.DataFrame([[Decimal(str(p)) for p in row] for row in probs])
    assert evaluate([0, 1], exact) == right
    for target in (pd.Series([0, 1], dtype="Int64"), pd.Series([False, True], dtype="boolean")):
        assert evaluate(target, probs) == right
    for bad in (pd.DataFrame([[0.5, 0.5], [None, 1.0]], dtype="Float64"), [["0.5", "0.5"]] * 2):
        frame = pd.DataFrame(bad)
        with pytest.raises((TypeError, ValueError), match="`probs` must"):
            evaluate([0, 1], frame)

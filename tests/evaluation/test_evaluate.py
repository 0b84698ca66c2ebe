"""The numbers of a report against slow oracles and scikit-learn, and what is refused."""

import json
import math

import numpy as np
import polars as pl
import pytest
import sklearn
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from sklearn import metrics

import oracle
from xent import losses, measures
from xent.evaluation import evaluate


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
    with pytest.raises(ValueError, match="`probs` must have its columns in the order of `labels`"):
        evaluate(target, table, labels=["b", "a"])


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
    assert back["confusion"] == report.confusion.tolist()
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
    (([0], [[0.5, 0.6]]), {}, "`probs` must sum to 1 in every row, got 1.1 at row 0. If they were rounded when they were saved, divide each row by its sum."),
    (([0], [[1.5, -0.5]]), {}, "`probs` must be non-negative, got -0.5 at [0, 1]. For logits pass logits=."),
    (([0], [[np.nan, 1.0]]), {}, "`probs` must be finite, got nan at [0, 0]."),
    (([0], [["a", "b"]]), {}, "`probs` must be an array of real numbers, got an array of dtype <U1."),
    (([0], np.ones((1, 1, 1))), {}, "`probs` must have the shape (rows, classes), got (1, 1, 1)."),
    (([], np.ones((0, 2))), {}, "`probs` must have at least one row and one class, got (0, 2)."),
    (([0],), {}, "`probs` must be given, or else `logits`, got neither."),
    (([0], [[1.0]]), {"logits": [[1.0]]}, "`probs` must be given, or else `logits`, got both."),
    (([0],), {"logits": [[np.nan, 0.0]]}, "`logits` must be finite or -inf, got nan at [0, 0]."),
    (([0],), {"logits": [[-np.inf, -np.inf]]}, "`logits` must leave every row a class that can be, got only -inf at row 0."),
    (([2], [[0.5, 0.5]]), {}, "`target` must be from 0 to 1, the class numbers, got 2 at row 0."),
    (([-1], [[0.5, 0.5]]), {}, "`target` must be from 0 to 1, the class numbers, got -1 at row 0."),
    (([0, 1], [[0.5, 0.5]]), {}, "`target` must have one class a row, 1, got the shape (2,)."),
    ((["a"], [[0.5, 0.5]]), {}, "`target` must hold class numbers where no `labels` are given, got dtype <U1. Name the classes in the order of the columns with labels=."),
    ((["c"], [[0.5, 0.5]]), {"labels": ["a", "b"]}, "`target` must be one of the labels 'a' or 'b', got 'c' at row 0."),
    (([0], [[0.5, 0.5]]), {"labels": ["a"]}, "`labels` must name the 2 classes, got 1."),
    (([0], [[0.5, 0.5]]), {"labels": ["a", "a"]}, "`labels` must name every class once, got 'a' twice."),
    (([0], [0.2, 1.5]), {}, "`probs` must be between 0 and 1, got 1.5 at row 1."),
    (([0], [[0.5, 0.5], [1.0]]), {}, "`probs` must be an array, all its rows of one length, got a ragged list."),
    (([0], np.ma.masked_equal([[0.5, 0.5]], 0.5)), {}, "`probs` must have no masked entry, got a masked array. Drop those rows."),
    ((["a"], pl.DataFrame({"b": [0.9], "a": [0.1]})), {"labels": ["a", "b"]}, "`probs` must have its columns in the order of `labels`, 'a' and 'b', got 'b' and 'a'."),
    (([0], [[0.5, 0.5 + 2e-6]]), {}, "`probs` must sum to 1 in every row, got 1.000002 at row 0. If they were rounded when they were saved, divide each row by its sum."),
    (([0], [[0.5, 0.5]]), {"labels": [["a"], ["b"]]}, "`labels` must be strings, numbers or booleans, got a list."),
    (([0], [[0.5, 0.5]]), {"labels": "ab"}, "`labels` must be a list of names, got 'ab'."),
    (([0], [[0.3]]), {}, "`probs` must have a column for each class, or one dimension: the second of two classes, got (1, 1). Pass probs[:, 0]."),
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

"""Calibrators: never worse on their own rows, the best there is, stored and read again."""

import math
import warnings

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.optimize import isotonic_regression, minimize_scalar
from scipy.special import expit, log_softmax

from xent.evaluation import Calibrator, calibrate, evaluate

METHODS = ["temperature", "platt", "isotonic"]


def many(rows=400, classes=4, seed=0, slope=0.5):
    rng = np.random.default_rng(seed)
    z = 3 * rng.normal(size=(rows, classes))
    p = np.exp(log_softmax(slope * z, axis=1))
    return z, (p.cumsum(axis=1) > rng.random((rows, 1))).argmax(axis=1)


def cost(target, probs):
    return evaluate(target, probs, base=math.e).cross_entropy


# ------------------------------------------------------------------ the law


rows = st.lists(
    st.tuples(
        st.sampled_from([0.0, 1e-9, 0.1, 0.25, 0.5, 0.8, 0.999, 1.0]),
        st.integers(0, 1),
        st.sampled_from([0.5, 1.0, 3.0]),
    ),
    min_size=1,
    max_size=12,
)


@pytest.mark.parametrize("method", METHODS)
@given(rows=rows)
def test_never_worse_on_its_own_rows(method, rows):
    p, y, w = map(np.array, zip(*rows, strict=True))
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        found = calibrate(y, p, method=method, sample_weight=w)
    assert found.after <= found.before
    mended = found.predict_proba(p)
    assert not np.isnan(mended).any()
    assert mended.sum(axis=1) == pytest.approx(np.ones(len(p)))
    truth = np.where(y, p, 1 - p)
    some = truth > 0
    with np.errstate(divide="ignore"):
        before = -(w * np.log(np.where(some, truth, 1))).sum()
        after = -(w * np.log(np.where(some, mended[np.arange(len(y)), y], 1))).sum()
    assert after <= before * (1 + 1e-12) + 1e-12


@pytest.mark.parametrize("method", METHODS)
@pytest.mark.parametrize("seed", range(6))
def test_never_worse_with_many_classes(method, seed):
    rng = np.random.default_rng(seed)
    classes = int(rng.integers(3, 6))
    z, truth = many(int(rng.integers(5, 40)), classes, seed, slope=rng.choice([0.0, 0.3, 1.0, 2.0]))
    z = np.round(z, 1)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        found = calibrate(truth, logits=z, method=method)
    mended = found.predict_log_proba(logits=z)
    assert np.exp(mended).sum(axis=1) == pytest.approx(np.ones(len(z)))
    before = -log_softmax(z, axis=1)[np.arange(len(z)), truth].mean()
    after = -mended[np.arange(len(z)), truth].mean()
    assert found.before == pytest.approx(before, rel=1e-12)
    assert found.after == pytest.approx(after, rel=1e-10, abs=1e-12)
    assert found.after <= found.before


# ------------------------------------------------------------------ is it the best?


def test_temperature_against_scipy():
    z, truth = many()
    found = calibrate(truth, logits=z)
    here = np.arange(len(z))
    best = minimize_scalar(
        lambda t: -log_softmax(z / t, axis=1)[here, truth].mean(),
        bounds=(0.1, 10), method="bounded", options={"xatol": 1e-10},
    )  # fmt: skip
    assert found.temperature == pytest.approx(best.x, rel=1e-6)
    assert found.after == pytest.approx(best.fun, rel=1e-12)
    # What was said is scaled, whichever way it came.
    expected = np.exp(log_softmax(z / found.temperature, axis=1))
    probs = np.exp(log_softmax(z, axis=1))
    for scores in ({"logits": z}, {"probs": probs}, {"log_probs": log_softmax(z, axis=1)}):
        assert found.predict_proba(**scores) == pytest.approx(expected, rel=1e-9)
    assert cost(truth, found.predict_proba(probs)) == pytest.approx(found.after, rel=1e-9)


@pytest.mark.parametrize("classes", [2, 4])
def test_platt_against_scikit_learn(classes):
    from sklearn.linear_model import LogisticRegression

    z, truth = many(classes=classes)
    found = calibrate(truth, logits=z, method="platt")
    if classes == 2:
        odds = (z[:, 1] - z[:, 0])[:, None]
        theirs = LogisticRegression(C=np.inf, tol=1e-12, max_iter=10_000).fit(odds, truth)
        expected = theirs.predict_proba(odds)
        assert found.predict_proba(logits=z) == pytest.approx(expected, rel=1e-4)
    mended = found.predict_proba(logits=z)
    # Where the slope of the loss is 0, each class is said as often as it occurs, and so is z.
    assert mended.sum(axis=0) == pytest.approx(np.bincount(truth), rel=1e-9)
    here = np.arange(len(z))
    assert (mended * z).sum() == pytest.approx(z[here, truth].sum(), rel=1e-8)
    assert found.after < calibrate(truth, logits=z).after


def test_plain_isotonic_is_scipys():
    rng = np.random.default_rng(0)
    p = rng.random(200).round(2).clip(0.01, 0.99)
    y = rng.random(200) < p**2
    found = calibrate(y, p, method="isotonic", virtual_rows=0)
    _, where = np.unique(p, return_inverse=True)
    count = np.bincount(where)
    fit = isotonic_regression(np.bincount(where, y) / count, weights=count).x
    assert found.predict_proba(p)[:, 1] == pytest.approx(fit[where], abs=1e-12)
    corp = evaluate(y, p, base=math.e).decomposition["corp"]["log"]
    assert found.before - found.after == pytest.approx(corp["miscalibration"], rel=1e-9)


def test_isotonic_leaves_nothing_impossible_and_is_numbers_everywhere():
    p = np.array([0.1, 0.2, 0.3, 0.7, 0.8, 0.9])
    y = p > 0.5
    found = calibrate(y, p, method="isotonic")
    said = found.predict_proba(np.linspace(0, 1, 101))
    assert np.isfinite(said).all()
    assert (np.diff(said[:, 1]) >= 0).all()
    inside = found.predict_proba(np.linspace(0.01, 0.99, 50))
    assert ((inside > 0) & (inside < 1)).all()
    plain = calibrate(y, p, method="isotonic", virtual_rows=0).predict_proba(p)
    assert plain[:, 1].tolist() == [0, 0, 0, 1, 1, 1]


def test_separated_rows_are_said_and_finite():
    with pytest.warns(UserWarning, match="the best calibrator is infinite"):
        found = calibrate([0, 1, 1], [0.2, 0.7, 0.9])
    assert found.separated
    assert 0 < found.temperature < 1
    with pytest.warns(UserWarning, match="a class does not occur"):
        found = calibrate([0, 1, 0, 1], logits=many(4, 3)[0], method="platt")
    assert np.isfinite(found.predict_log_proba(logits=many(9, 3)[0])).all()


def test_impossible_rows_are_said_and_left_out():
    z, truth = many()
    z[0, truth[0]] = -np.inf
    with pytest.warns(UserWarning, match="1 row had a true class of probability 0"):
        found = calibrate(truth, logits=z)
    alone = calibrate(truth[1:], logits=z[1:])
    assert found.temperature == pytest.approx(alone.temperature, rel=1e-12)
    assert found.impossible == 1
    assert found.predict_proba(logits=z)[0, truth[0]] == 0


def test_a_model_that_knows_nothing_or_less():
    """The best temperature of a model that is wrong more often than not is as high as it goes."""
    z = np.array([2.0, 2.0, 2.0, -2.0, -2.0, -2.0])
    found = calibrate([0, 0, 1, 1, 1, 0], logits=z)
    assert found.predict_proba(logits=z)[:, 1] == pytest.approx(np.full(6, 0.5), abs=1e-5)
    assert found.after == pytest.approx(math.log(2), rel=1e-5)
    flat = calibrate([0, 1, 1], logits=np.zeros((3, 4)))
    assert flat.after == flat.before == pytest.approx(math.log(4))


@pytest.mark.parametrize("method", METHODS)
def test_weights_are_numbers_of_rows(method):
    z, truth = many(60, 3)
    w = np.random.default_rng(0).integers(1, 4, 60)
    one = calibrate(truth, logits=z, sample_weight=w, method=method, **kept(method))
    two = calibrate(np.repeat(truth, w), logits=np.repeat(z, w, axis=0), method=method, **kept(method))  # fmt: skip
    assert one.after == pytest.approx(two.after, rel=1e-9)
    assert one.predict_proba(logits=z) == pytest.approx(two.predict_proba(logits=z), abs=1e-7)


def kept(method):
    return {"virtual_rows": 0} if method == "isotonic" else {}


# ------------------------------------------------------------------ kept and read again


@pytest.mark.parametrize("method", METHODS)
@pytest.mark.parametrize("classes", [2, 3])
def test_stored_and_read(method, classes, tmp_path):
    z, truth = many(classes=classes)
    names = ["猫", "no", "x"][:classes]
    found = calibrate([names[t] for t in truth], logits=z, labels=names, method=method)
    found.save(tmp_path / "c.xent")
    again = Calibrator.load(tmp_path / "c.xent")
    assert (again.predict_log_proba(logits=z) == found.predict_log_proba(logits=z)).all()
    for name in ("method", "labels", "rows", "before", "after", "separated", "impossible"):
        assert getattr(again, name) == getattr(found, name), name
    text = (tmp_path / "c.xent").read_bytes()
    found.save(tmp_path / "d.xent")
    assert (tmp_path / "d.xent").read_bytes() == text
    (tmp_path / "c.xent").write_bytes(text[:-1])
    with pytest.raises(ValueError, match="damaged"):
        Calibrator.load(tmp_path / "c.xent")


def test_parts_that_do_not_fit_are_refused(tmp_path):
    from xent import _store

    state = {"method": "platt", "labels": [0, 1, 2], "rows": 3, "impossible": 0, "separated": False, "maps": 0}  # fmt: skip
    arrays = {"slope": np.ones(1), "bias": np.ones(2), "cost": np.ones(2)}
    _store.save(tmp_path / "c", format="xent.calibrator", version=1, state=state, arrays=arrays)
    with pytest.raises(ValueError, match="its parts do not fit one another"):
        Calibrator.load(tmp_path / "c")


def test_columns_of_a_frame_are_taken_by_name():
    import pandas as pd

    z, truth = many(classes=3)
    names = np.array(["a", "b", "c"])
    found = calibrate(names[truth], logits=pd.DataFrame(z, columns=names), labels=list(names))
    turned = pd.DataFrame(z[:, [2, 0, 1]], columns=["c", "a", "b"])
    assert (found.predict_proba(logits=turned) == found.predict_proba(logits=z)).all()
    assert calibrate(names[truth], logits=turned, labels=list(names)).after == found.after


def test_one_column_and_a_positive_class():
    p = expit(np.linspace(-3, 3, 50))
    y = np.where(np.random.default_rng(0).random(50) < 0.5 * p, "yes", "no")
    found = calibrate(y, p, positive="yes", method="platt")
    assert found.labels == ["no", "yes"]
    assert found.predict_proba(p).shape == (50, 2)
    assert found.predict_proba(p)[:, 1].mean() == pytest.approx((y == "yes").mean())


WORDING = [
    ({"method": "beta"}, "`method` must be 'temperature', 'platt' or 'isotonic', got 'beta'."),
    ({"virtual_rows": 2}, "`virtual_rows` must be left out for 'temperature', got 2."),
    ({"method": "isotonic", "virtual_rows": -1}, "`virtual_rows` must be 0 or more, and finite, got -1.0."),
]  # fmt: skip


@pytest.mark.parametrize(("options", "message"), WORDING)
def test_wording(options, message):
    with pytest.raises(ValueError) as error:
        calibrate([0, 1, 1], [0.2, 0.7, 0.4], **options)
    assert str(error.value) == message


def test_what_is_refused():
    with pytest.raises(ValueError, match="`probs` must have two classes or more"):
        calibrate([0], [[1.0]])
    with pytest.raises(ValueError, match="no more than 1,024 classes"):
        calibrate([0], np.full((1, 1025), 1 / 1025), method="platt")
    with pytest.raises(ValueError, match="`labels` must name the 3 classes, got 2"):
        calibrate([0, 1, 1], [0.2, 0.7, 0.4]).predict_proba(np.full((2, 3), 1 / 3))
    with pytest.raises(TypeError, match="none of them"):
        calibrate([0, 1, 1], [0.2, 0.7, 0.4]).predict_proba()
    with pytest.raises(ValueError, match="`logits` must not be probabilities"):
        calibrate([0, 1], logits=[[0.5, 0.5], [0.2, 0.8]])


@pytest.mark.filterwarnings(
    "ignore:(The|On the others the) model makes no mistake", "ignore:1 row had a true class"
)
@pytest.mark.parametrize("method", ["temperature", "platt", "isotonic"])
@pytest.mark.parametrize("parted", [False, True])
def test_a_stored_calibrator_says_all_that_it_said(tmp_path, method, parted):
    """Also where rows were impossible, and where nothing but virtual rows made it finite."""
    said, truth = [0.9, 0.1, 0.8, 0.3, 0.7, 0.2, 0.0], [1, 0, 1, 0, 1, 0, 1]
    if not parted:
        said, truth = [*said, 0.85, 0.15], [*truth, 0, 1]
    found = calibrate(truth, said, method=method)
    assert (found.impossible, found.rows) == (1, len(said))
    assert found.separated == (parted and method != "isotonic")
    found.save(tmp_path / "c")
    again = Calibrator.load(tmp_path / "c")
    for name in ("method", "labels", "rows", "before", "after", "impossible", "separated"):
        assert getattr(again, name) == getattr(found, name), name
    assert again.predict_proba(said).tolist() == found.predict_proba(said).tolist()


def test_beside_impossible_rows_it_is_the_others_that_are_judged():
    first = pytest.warns(UserWarning, match="^1 row had a true class of probability 0")
    with first, pytest.warns(UserWarning, match="^On the others the model makes no mistake that"):
        calibrate([1, 0, 1], [0.9, 0.1, 0.0])

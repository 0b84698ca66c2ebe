"""Losses side by side: same start, same batches, and a page with the curves."""

import re
from types import SimpleNamespace

import numpy as np
import pytest
from sklearn.datasets import load_digits

from browser import needs_browser, visit
from xent.training import SoftmaxClassifier, compare_losses
from xent.training._compare import Comparison
from xent.training._objectives import OBJECTIVES


@pytest.fixture(scope="module")
def comparison():
    X, y = load_digits(return_X_y=True)
    return compare_losses(
        X[:1437] / 16,
        y[:1437],
        validation=(X[1437:] / 16, y[1437:]),
        classifier=SoftmaxClassifier(random_state=0, epochs=6),
    )


def test_cross_entropy_is_ahead_of_both_squared_errors(comparison):
    bits = {loss: report.cross_entropy for loss, report in comparison.reports.items()}
    assert comparison.best == "cross_entropy"
    assert bits["cross_entropy"] < min(bits["mse_softmax"], bits["mse_sigmoid"]) - 0.3


def test_reports_are_of_the_held_out_rows(comparison):
    for loss, model in comparison.classifiers.items():
        last = model.history_["validation_bits"][-1]
        assert comparison.reports[loss].cross_entropy == pytest.approx(last, rel=1e-12)
        assert comparison.reports[loss].rows == 360


@pytest.mark.parametrize("random_state", [None, 5, np.random.RandomState(1)])
def test_every_loss_starts_the_same(random_state):
    """A step too small to move float32 leaves the start: it must be one start."""
    X, y = np.random.default_rng(0).random((20, 3)), np.arange(20) % 2
    tiny = SoftmaxClassifier(learning_rate=1e-30, epochs=1, random_state=random_state)
    models = compare_losses(X, y, validation=(X, y), classifier=tiny).classifiers
    starts = {model.coefs_[0].tobytes() for model in models.values()}
    assert len(starts) == 1


def test_the_seed_is_the_classifiers_own():
    X, y = np.random.default_rng(0).random((20, 3)), np.arange(20) % 2
    settings = SoftmaxClassifier(random_state=5, epochs=2)
    compared = compare_losses(X, y, ["cross_entropy"], validation=(X, y), classifier=settings)
    alone = SoftmaxClassifier(random_state=5, epochs=2).fit(X, y)
    np.testing.assert_array_equal(compared.classifiers["cross_entropy"].coefs_[0], alone.coefs_[0])
    assert not hasattr(settings, "coefs_")


def test_table_names_the_winner(comparison):
    lines = str(comparison).splitlines()
    assert len(lines) == 5
    assert re.fullmatch(r"cross_entropy .*<- fewest bits", lines[1])


def test_numpy_seeds_and_column_vectors_are_taken_as_they_are_meant():
    X, y = np.random.default_rng(0).random((20, 3)), np.arange(20) % 2
    settings = SoftmaxClassifier(random_state=np.int64(5), epochs=2)
    with pytest.warns(match="column-vector"):
        found = compare_losses(
            X, y[:, None], ["cross_entropy"], validation=(X, y), classifier=settings
        )
    alone = SoftmaxClassifier(random_state=5, epochs=2).fit(X, y)
    np.testing.assert_array_equal(found.classifiers["cross_entropy"].coefs_[0], alone.coefs_[0])


def test_other_classifiers_are_refused():
    from sklearn.linear_model import LogisticRegression

    with pytest.raises(TypeError, match="`classifier` must be a SoftmaxClassifier, got a Logistic"):
        compare_losses(
            [[0.0], [1.0]], [0, 1], validation=([[0.0]], [0]), classifier=LogisticRegression()
        )


@needs_browser
def test_page_shows_the_curves(comparison, tmp_path):
    comparison.to_html(tmp_path / "c.html")

    def look(page):
        page.wait_for_function("document.querySelectorAll('.chart svg').length == 4")
        return page.locator("tr.best").first.inner_text()

    best, requests, errors = visit(tmp_path / "c.html", look)
    assert best.startswith("cross_entropy")
    assert (requests, errors) == ([], [])


@pytest.mark.parametrize(
    ("losses", "sentence"),
    [
        (["mse"], f"`losses` must be {', '.join(map(repr, OBJECTIVES))} or 'double_softmax', got 'mse'."),
        ("cross_entropy", "`losses` must be a list of names, got 'cross_entropy'."),
        ([], "`losses` must name at least one loss, and each once, got []."),
        (["mse_softmax"] * 2, "`losses` must name at least one loss, and each once, got ['mse_softmax', 'mse_softmax']."),
    ],
)  # fmt: skip
def test_wording(losses, sentence):
    with pytest.raises((ValueError, TypeError)) as caught:
        compare_losses([[0.0], [1.0]], [0, 1], losses, validation=([[0.0]], [0]))
    assert str(caught.value).startswith(sentence)


def test_a_logarithmic_curve_leaves_out_what_has_no_logarithm():
    pytest.importorskip("altair")
    history = {"gradient_norm": [2.0, 0.0, 1e-9]}
    held = SimpleNamespace(classifiers={"one": SimpleNamespace(history_=history)})
    for log, shown in ((True, [2.0, 1e-9]), (False, [2.0, 0.0, 1e-9])):
        data = Comparison._curves(held, "gradient_norm", "norm", log=log).data.values
        assert [row["value"] for row in data] == shown
        assert [row["epoch"] for row in data] == [1, 3] if log else [1, 2, 3]

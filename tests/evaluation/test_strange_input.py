"""What strangers hand over: sets, sparse and meta tensors, frames for slices, weights past all."""

from math import isclose, log2

import numpy as np
import pandas as pd
import polars as pl
import pytest
import scipy.sparse
import torch

from xent.evaluation import Accumulator, compare, evaluate, evaluate_soft

Y, P = [0, 1, 1], [[0.75, 0.25], [0.5, 0.5], [0.125, 0.875]]
BY_X = -(log2(0.75) + log2(0.5)) / 2  # of the first two rows


@pytest.mark.parametrize(
    ("given", "sentence"),
    [
        ({"labels": {"a", "b"}}, "`labels` must be a list of names, in the order of the columns, got a set"),
        ({"by": [1, 2, 3]}, "`by` must be a mapping of names to columns, got a list."),
        ({"by": pd.Series([1, 2, 3])}, "`by` must be a mapping of names to columns, got a Series."),
        ({"sample_weight": [1, 1, 5e-324]}, "`sample_weight` must be 0 or at least 1e-100, got 5e-324 at row 2."),
        ({"probs": scipy.sparse.csr_array(P)}, r"got a csr_array. Call its .toarray\(\) first."),
        ({"probs": pl.LazyFrame(P)}, r"got a LazyFrame. Call its .collect\(\) first."),
        ({"probs": torch.tensor(P).to_sparse()}, "must be a dense tensor that holds numbers, got one of layout torch.sparse_coo"),
        ({"probs": torch.tensor(P, device="meta")}, "must be a dense tensor that holds numbers"),
        ({"target": torch.tensor(Y, device="meta")}, "`target` must be a dense tensor"),
        ({"probs": {"a": [0.5], "b": [0.5]}}, "got a dict. Make it a data frame"),
        ({"probs": [{"a": 0.5, "b": 0.5}] * 3}, "got a list of dicts. Make it a data frame"),
        ({"probs": map(list, P)}, "got a map. Make it a list of rows."),
        ({"target": (y for y in Y)}, r"got the shape \(\). Make it a list."),
        ({"probs": pd.DataFrame(P, dtype="Float64").mask(lambda p: p == 0.5)}, r"got a missing value at \[1, 0\]. Leave such rows out."),
        ({"target": ["0", "1", "1"], "labels": [0, 1]}, "'0' differs from 0 in kind: one is text."),
    ],
)  # fmt: skip
def test_refused_with_a_way_out(given, sentence):
    with pytest.raises((ValueError, TypeError), match=sentence):
        evaluate(**{"target": Y, "probs": P, **given})


@pytest.mark.parametrize(
    "frame", [dict, pd.DataFrame, pl.DataFrame, lambda d: pl.DataFrame(d).to_arrow()]
)
def test_slices_by_frames(frame):
    by = frame({"shop": ["x", "x", "y"]})
    report = evaluate(Y, P, by=by)
    assert isclose(report.slices[0].cross_entropy, BY_X, rel_tol=1e-14)
    one = Accumulator()
    one.update(Y, P, by=by)
    assert isclose(one.result().slices[0].cross_entropy, BY_X, rel_tol=1e-14)
    found = compare(P, P, target=Y, by=by)
    assert {d.value for d in found.slices} == {"x", "y"}


def test_weights_at_the_ends():
    for weight in (1e-100, 1e100):
        report = evaluate(Y, P, sample_weight=np.full(3, weight))
        cost = -(log2(0.75) + log2(0.5) + log2(0.875)) / 3
        assert isclose(report.cross_entropy, cost, rel_tol=1e-14)
        assert report.ranking["roc_auc"] == 1.0


SPELLED = {
    "p_": lambda name: f"p_{name}",
    "proba ": lambda name: f"proba {name}",
    "end": lambda name: f"{name}_score",
    "levels": lambda name: ("probs", name),
    "capitals": lambda name: str(name).upper(),
    "itself": lambda name: name,
}


@pytest.mark.parametrize("frame", [pd.DataFrame, pl.DataFrame])
@pytest.mark.parametrize("spelled", SPELLED)
def test_columns_go_by_name_whatever_their_names_share(spelled, frame):
    """A column is of the class that its name tells, in whatever order it stands."""
    if spelled == "levels" and frame is pl.DataFrame:
        pytest.skip("polars has one level")
    rng, names = np.random.default_rng(3), ["dog", "dig", "cat"]
    probs, true = rng.dirichlet(np.ones(3), 30), rng.integers(0, 3, 30)
    want = -np.log2(probs[np.arange(30), true]).mean()
    one_hot = np.eye(3)[true]
    table = frame({SPELLED[spelled](name): probs[:, i] for i, name in enumerate(names)})
    truth = [names[i] for i in true]
    for labels in (names, sorted(names)):
        assert evaluate(truth, table, labels=labels).cross_entropy == pytest.approx(want)
        order = [names.index(name) for name in labels]
        soft = evaluate_soft(one_hot[:, order], table, labels=labels)
        assert soft.cross_entropy == pytest.approx(want)
    if spelled in ("p_", "proba ", "end", "levels", "itself"):
        found = evaluate(truth, table)
        assert (found.labels, found.cross_entropy) == (names, pytest.approx(want))


@pytest.mark.parametrize("first", [0, 1])
def test_numbered_columns_in_the_order_of_text(first):
    """p_1, p_10, p_11, p_2: so a file system or `sorted` leaves them."""
    rng = np.random.default_rng(4)
    probs, true = rng.dirichlet(np.ones(11), 60), np.arange(60) % 11
    want = -np.log2(probs[np.arange(60), true]).mean()
    table = pd.DataFrame(probs, columns=[f"p_{i + first}" for i in range(11)])
    mixed = table[sorted(table.columns)]
    assert evaluate(true + first, mixed).cross_entropy == pytest.approx(want)
    letters = list("abcdefghijk")
    truth = [letters[i] for i in true]
    assert evaluate(truth, table, labels=letters).cross_entropy == pytest.approx(want)
    if first:
        with pytest.raises(ValueError, match="numbered columns in the order of their numbers"):
            evaluate(truth, mixed, labels=letters)
    else:
        assert evaluate(truth, mixed, labels=letters).cross_entropy == pytest.approx(want)


def test_columns_called_otherwise_go_by_place():
    probs = np.array([[0.9, 0.1], [0.2, 0.8]])
    table = pd.DataFrame(probs, columns=["f1", "f2"])
    assert evaluate([0, 1], table).cross_entropy == pytest.approx(-np.log2(0.72) / 2)
    table = pd.DataFrame(probs, columns=["x", "y"])
    assert evaluate(["a", "b"], table, labels=["a", "b"]).cross_entropy == pytest.approx(
        -np.log2(0.72) / 2
    )

"""The trees: every estimator on tables of every kind, as text, probabilities, rules, SQL, JSON."""

import tempfile
from collections.abc import Callable, Iterator
from itertools import product
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import scipy.sparse

from xent import trees
from xent.trees import (
    C45Classifier,
    CARTClassifier,
    CARTRegressor,
    ID3Classifier,
    TreeClassifier,
    TreeRegressor,
)

Case = tuple[str, Callable[[], Any]]
CLASSIFIERS = (TreeClassifier, C45Classifier, CARTClassifier, ID3Classifier)
REGRESSORS = (TreeRegressor, CARTRegressor)


def table(kind: str, n: int = 240) -> tuple[Any, np.ndarray]:
    """A table and two or three classes that follow from it, mostly."""
    rng = np.random.default_rng([len(kind), n])
    numbers = rng.integers(-40, 41, (n, 4)) / 8
    names = rng.choice(list("abcdefg"), (n, 3))
    y = (numbers[:, 0] + numbers[:, 1] > 0).astype(int) + (names[:, 0] < "c")
    y = np.where(rng.random(n) < 0.1, rng.integers(0, 3, n), y)
    if kind == "numbers":
        return numbers, y
    if kind == "two classes":
        return numbers, np.minimum(y, 1)
    if kind == "float32":
        return np.asfortranarray(numbers.astype(np.float32)), y
    if kind == "strided":
        return np.repeat(numbers, 2, 1)[::-1, ::2], y[::-1]
    if kind == "gaps":
        return np.where(rng.random((n, 4)) < 0.15, np.nan, numbers), y
    if kind == "names":
        return pd.DataFrame(names, columns=["a", "b", "c"]), y
    mixed = pd.DataFrame(numbers, columns=["p", "q", "r", "s"])
    mixed["a"], mixed["b"] = names[:, 0], names[:, 1]
    mixed["day"] = pd.to_datetime("2020-01-01") + pd.to_timedelta(rng.integers(0, 99, n), "D")
    mixed["yes"] = names[:, 2] < "d"
    if kind == "mixed gaps":
        mixed.loc[rng.random(n) < 0.2, "p"] = np.nan
        mixed.loc[rng.random(n) < 0.2, "a"] = None
    return mixed, y


TABLES = ("numbers", "two classes", "float32", "strided", "gaps", "names", "mixed", "mixed gaps")


def tried(call: Callable[[], Any]) -> Any:
    """What it gives, or its refusal: one output that is refused must not hide the others."""
    try:
        return call()
    except (ValueError, TypeError) as error:
        return error


def shown(tree: Any, X: Any) -> Any:
    answer = tree.predict_proba if hasattr(tree, "predict_proba") else tree.predict
    outputs = [tree.to_text, tree.to_rules, tree.to_sql, tree.to_dot, tree.to_svg]
    found = [tried(f) for f in outputs]
    json = trees.to_json(tree)
    again = trees.from_json(json)
    numbers = [tried(lambda: answer(X)), tried(lambda: tree.apply(X))]
    numbers += [tried(lambda: getattr(again, answer.__name__)(X)), tree.feature_importances_]
    if hasattr(tree, "importances_in_bits_"):
        numbers += [tree.importances_in_bits_, str(tree.description_length())]
    return found, json, numbers


def fits() -> Iterator[Case]:
    options: dict[str, dict[str, Any]] = {
        "plain": {},
        "histogram": {"splitter": "histogram"},
        "depth 3": {"max_depth": 3},
        "leaf 9": {"min_samples_leaf": 9},
        "two jobs": {"n_jobs": 2},
        "unpruned": {"pruning": None},
        "balanced": {"class_weight": "balanced"},
        "branch": {"missing": "branch"},
    }
    for kind, (word, o), estimator in product(TABLES, options.items(), CLASSIFIERS + REGRESSORS):
        if estimator is ID3Classifier:
            o = o if word != "plain" else {"missing": "branch"}
        if set(o) - set(estimator().get_params()):
            continue

        def fit(k: str = kind, e: Any = estimator, o: dict[str, Any] = o) -> Any:
            X, y = table(k)
            return shown(e(**o).fit(X, y), X)

        yield f"{estimator.__name__} {kind} {word}", fit
    weights = np.random.default_rng(5).uniform(0.2, 3, 240)
    for kind, estimator in product(("numbers", "gaps", "mixed"), CLASSIFIERS + REGRESSORS):

        def weighted(k: str = kind, e: Any = estimator) -> Any:
            X, y = table(k)
            return shown(e().fit(X, y, sample_weight=np.round(weights, 2)), X)

        yield f"{estimator.__name__} {kind} weights", weighted
    choices = product(
        ("entropy", "gini", "gain_ratio"),
        ("subset", "multiway", "one_vs_rest"),
        ("direction", "surrogate", "fractional", "branch"),
        ("bits", "pessimistic", "cost_complexity", "reduced_error", None),
    )
    for criterion, nominal, missing, pruning in choices:

        def chosen(c: str = criterion, n: str = nominal, m: str = missing, p: Any = pruning) -> Any:
            X, y = table("mixed gaps")
            tree = TreeClassifier(criterion=c, nominal=n, missing=m, pruning=p)
            return shown(tree.fit(X, y), X)

        yield f"TreeClassifier {criterion} {nominal} {missing} {pruning}", chosen
    more: dict[str, dict[str, Any]] = {
        "leaves 6": {"max_leaf_nodes": 6},
        "gain": {"min_gain": 0.02},
        "monotone": {"monotonic_cst": [1, 0, 0, 0]},
        "laplace": {"leaf_estimate": "laplace"},
        "shares": {"leaf_estimate": None},
        "pessimistic": {"pruning": "pessimistic"},
        "cf": {"pruning": "pessimistic", "cf": 0.05},
        "not raised": {"pruning": "pessimistic", "raising": False},
        "class weight": {"class_weight": {0: 2.0, 1: 1.0, 2: 0.5}},
    }
    for word, o in more.items():

        def other(o: dict[str, Any] = o) -> Any:
            X, y = table("numbers")
            return shown(TreeClassifier(**o).fit(X, y), X)

        yield f"TreeClassifier {word}", other
    for estimator in CLASSIFIERS + REGRESSORS:

        def sparse(e: Any = estimator) -> Any:
            X, y = table("numbers")
            X = scipy.sparse.csr_array(np.where(np.abs(X) < 3, 0, X))
            return shown(e().fit(X, y), X)

        yield f"{estimator.__name__} sparse", sparse

        def large(e: Any = estimator) -> Any:
            X, y = table("numbers", 6000)
            return shown(e(max_depth=7, n_jobs=2).fit(X, y), X)

        yield f"{estimator.__name__} large both", large
    for missing in ("direction", "fractional"):

        def streamed(m: str = missing) -> Any:
            X, y = table("mixed gaps")
            with tempfile.TemporaryDirectory() as folder:
                file = str(Path(folder) / "table.parquet")
                X.assign(y=y).to_parquet(file)
                tree = TreeClassifier(splitter="histogram", missing=m).fit(file, "y")
                return shown(tree, X), tree.predict_proba(file)

        yield f"TreeClassifier streamed {missing}", streamed
    for kind, simplified in product(("numbers", "names", "mixed"), (True, False)):

        def rules(k: str = kind, s: bool = simplified) -> Any:
            X, y = table(k)
            found = C45Classifier(pruning=None).fit(X, y).to_ruleset(X, y, simplified=s)
            return str(found), found.predict_proba(X)

        yield f"ruleset {kind} simplified {simplified}", rules
    for estimator, kind in product(CLASSIFIERS, ("numbers", "names")):

        def reports(e: Any = estimator, k: str = kind) -> Any:
            X, y = table(k)
            tree = e(pruning=None).fit(X, y) if e is not ID3Classifier else e().fit(X, y)
            return tried(lambda: tree.gain_table(X, y)), tried(tree.cost_complexity_path)

        yield f"reports {estimator.__name__} {kind}", reports


def refusals() -> Iterator[Case]:
    X, y = table("numbers")
    gaps, _ = table("gaps")
    wrong: dict[str, Callable[[], Any]] = {
        "criterion": lambda: TreeClassifier(criterion="entropie").fit(X, y),
        "missing": lambda: ID3Classifier().fit(gaps, y),
        "depth": lambda: TreeClassifier(max_depth=0).fit(X, y),
        "rows": lambda: TreeClassifier().fit(X, y[:9]),
        "weights": lambda: TreeClassifier().fit(X, y, sample_weight=-np.ones(240)),
        "infinite": lambda: TreeClassifier().fit(np.full((4, 1), np.inf), [0, 1, 0, 1]),
        "columns": lambda: TreeClassifier().fit(X, y).predict(X[:, :2]),
        "unfitted": lambda: TreeClassifier().predict(X),
        "cf": lambda: C45Classifier(cf=2).fit(X, y),
        "json": lambda: trees.from_json("{}"),
        "exact": lambda: TreeClassifier().fit(np.array([[2**53], [2**53 + 1]]), [0, 1]),
        "regression target": lambda: TreeRegressor().fit(X, np.full(240, np.nan)),
    }
    yield from ((f"refused {name}", call) for name, call in wrong.items())


def cases() -> Iterator[Case]:
    yield from fits()
    yield from refusals()

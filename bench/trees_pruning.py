"""Pruning by bits beside what one would set with hindsight: bits, calibration, time.

The tables are those of `bench.trees_rivals`: scikit-learn's, those recorded in
tests/golden/weka_j48.json, and, where Weka is installed, three that it brings.
"""

import math
from collections.abc import Iterator
from typing import Any

import numpy as np
from sklearn.model_selection import StratifiedKFold

from bench.ratio import machine
from bench.trees import few, numeric
from bench.trees_rivals import tables
from xent.trees import TreeClassifier


def pruned() -> Iterator[str]:
    """Bits, calibration and time of `pruning="bits"` against what one would set with hindsight."""
    settings: dict[str, dict[str, Any]] = {
        "bits": {},
        "pessimistic": {"pruning": "pessimistic"},
        "leaves of 20": {"pruning": "pessimistic", "min_samples_leaf": 20},
        "16 leaves": {"pruning": "pessimistic", "max_leaf_nodes": 16},
        "cost complexity": {"pruning": "cost_complexity"},
    }
    yield "| bits (calibration error) | class prior | " + " | ".join(settings) + " | leaves |"
    yield "| --- |" + " --- |" * (len(settings) + 2)
    above: list[float] = []
    errors: dict[str, list[float]] = {name: [] for name in settings}
    worse: list[str] = []
    floor: list[float] = []
    rng = np.random.default_rng(0)
    for data, X, y in tables():
        classes, codes = np.unique(y, return_inverse=True)
        folds = list(StratifiedKFold(5, shuffle=True, random_state=0).split(X, y))
        share = np.empty(len(y))
        said = {name: np.zeros((len(y), len(classes))) for name in settings}
        leaves = 0
        for train, test in folds:
            share[test] = (np.bincount(codes[train]) / len(train))[codes[test]]
            for name, given in settings.items():
                tree = TreeClassifier(**given).fit(X.iloc[train], y[train])
                places = np.searchsorted(classes, tree.classes_)
                said[name][np.ix_(test, places)] = tree.predict_proba(X.iloc[test])
                leaves += tree.get_n_leaves() if name == "bits" else 0
        prior = -np.log2(share)
        costs = {k: -np.log2(p[np.arange(len(y)), codes]) for k, p in said.items()}
        mean = {name: float(cost.mean()) for name, cost in costs.items()}
        above.append(mean["bits"] - min(mean[k] for k in list(settings)[2:]))
        over = costs["bits"] - prior
        if over.mean() > over.std() / math.sqrt(len(y)):
            worse.append(data)
        for name, p in said.items():
            errors[name].append(calibration_error(p, codes))
        drawn = (rng.random((50, len(y), 1)) > said["bits"].cumsum(1)).sum(2)
        floor.append(float(np.mean([calibration_error(said["bits"], one) for one in drawn])))
        cells = [f"{mean[k]:.3f} ({errors[k][-1]:.3f})" for k in settings]
        yield f"| {data} | {prior.mean():.3f} | " + " | ".join(cells) + f" | {leaves / 5:.0f} |"
    error = {name: float(np.mean(found)) for name, found in errors.items()}
    yield ""
    yield (
        f"Above the best of the last three: {np.mean(above):+.4f} bits in the mean (goal <= 0.02), "
        f"at most {max(above):+.3f}. Mean calibration error {error['bits']:.4f}, "
        f"{error['bits'] / error['pessimistic']:.2f} times that of pessimistic pruning (goal <= "
        f"0.5); {np.mean(floor):.4f} if the classes were drawn from what the tree says. Above the "
        f"class prior by more than a standard error: {', '.join(worse) or 'none'}."
    )


def time_of_pruning() -> str:
    """Compare a fit with pruning by bits to one with pessimistic pruning."""
    X, y = numeric(20_000, 2)
    a, b = TreeClassifier(n_jobs=1), TreeClassifier(pruning="pessimistic", n_jobs=1)
    ratio = few("fit", lambda: a.fit(X, y), lambda: b.fit(X, y))
    return (
        f"A fit of {len(X):,} x {X.shape[1]} takes {ratio.ratio:.2f} times that with pessimistic "
        "pruning (goal <= 2)."
    )


def calibration_error(p: np.ndarray, y: np.ndarray) -> float:
    """Return the calibration error of the top label over 15 equal bins of confidence."""
    top = p.max(1)
    hit = p.argmax(1) == y
    place = np.minimum((top * 15).astype(int), 14)
    return float(np.abs(np.bincount(place, hit - top, 15)).sum() / len(y))


def run() -> str:
    """Bits, calibration and time."""
    parts = [
        "Five stratified folds, means over all cases; top-label calibration error over 15 bins. "
        "Leaves of 20 and 16 leaves are pruned pessimistically, as `TreeClassifier` was before.",
        "",
        *pruned(),
        "",
        time_of_pruning(),
        "",
        machine("numba", "scikit-learn"),
    ]
    return "\n".join(parts)

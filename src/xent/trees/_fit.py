"""From checked options and coded columns to the finished tree and the values of its leaves."""

import math
from dataclasses import dataclass
from inspect import signature
from numbers import Real
from typing import Any

import numpy as np
from numpy.typing import NDArray

from xent import _check
from xent.trees import _prune
from xent.trees._grow.levels import MISSING_CODES, NOMINAL_CODES, GrowthPlan, grow
from xent.trees._grow.searcher import searcher
from xent.trees._table.bins import Unread
from xent.trees._table.columns import Cases, n_levels
from xent.trees._tree import Tree

SPLITTERS = ("auto", "histogram")
FOREVER = 2**31 - 1
HEAVIEST = 1e150  # squares of weights and targets must be floats
FOLDS = 10


@dataclass(frozen=True)
class FitPlan:
    """A plan for growing, and what is done to the tree afterwards."""

    grow: GrowthPlan
    pruning: str | None
    levels: NDArray[np.int64]  # of each column, 0 for numbers
    cf: float
    raising: bool
    max_leaf_nodes: int | None

    @property
    def monotonic_cst(self) -> NDArray[np.int8] | None:
        """The constraints, if there are any."""
        return self.grow.monotonic_cst


def plan_of(tree: Any, cases: Cases | Unread, n_classes: int) -> FitPlan:
    """Check an estimator's options against each other and the table."""
    _check.option("criterion", tree.criterion, tree._criteria)
    _check.option("nominal", tree.nominal, NOMINAL_CODES)
    _check.option("missing", tree.missing, MISSING_CODES)
    _check.option("splitter", tree.splitter, SPLITTERS)
    if tree.pruning is not None:
        _check.option("pruning", tree.pruning, [p for p in tree._prunings if p])
    if tree.missing == "surrogate" and tree.nominal == "multiway":
        raise _check.invalid(
            "missing",
            'not be "surrogate" where nominal is "multiway"',
            "both",
            "A surrogate imitates a split in two.",
        )
    least = _check.positive("min_samples_leaf", tree.min_samples_leaf)
    split = _check.positive("min_samples_split", tree.min_samples_split)
    depth, leaves = tree.max_depth, tree.max_leaf_nodes
    depth = FOREVER if depth is None else min(_check.integer("max_depth", depth, least=1), FOREVER)
    if leaves is not None:
        leaves = _check.integer("max_leaf_nodes", leaves, least=2)
    gain = tree.min_gain
    if not isinstance(gain, Real) or not 0 <= float(gain) < np.inf:
        raise _check.invalid("min_gain", "be 0 or positive", repr(gain))
    signs = _signs(tree.monotonic_cst, cases, n_classes)
    plan = GrowthPlan(
        criterion=tree.criterion,
        nominal=tree.nominal,
        missing=tree.missing,
        max_depth=depth,
        min_samples_leaf=least,
        min_samples_split=split,
        min_gain=float(gain),
        monotonic_cst=signs,
        threads=tree._threads(),
    )
    cf = _check.share("cf", getattr(tree, "cf", 0.25))
    if cf > 0.5:
        raise _check.invalid("cf", "be at most 0.5", repr(cf))
    if hasattr(tree, "leaf_estimate"):
        check_leaf_estimate(tree.leaf_estimate)
    raising = _check.flag("raising", getattr(tree, "raising", False))
    if tree.pruning != "pessimistic":
        _only_pessimistic(tree)
    raising = raising and signs is None
    return FitPlan(plan, tree.pruning, n_levels(tree.columns_), cf, raising, leaves)


def _only_pessimistic(tree: Any) -> None:
    """Refuse options of pessimistic pruning where the tree is pruned otherwise."""
    defaults = signature(type(tree)).parameters
    for name in {"cf", "raising"} & set(defaults):
        if getattr(tree, name) != defaults[name].default:
            must = "be left as it is unless " + _check.setting("pruning", "pessimistic")
            raise _check.invalid(name, must, repr(getattr(tree, name)))


def _signs(given: Any, cases: Cases | Unread, n_classes: int) -> NDArray[np.int8] | None:
    if given is None:
        return None
    signs = np.asarray(given)
    if signs.shape != (len(cases.kind),) or not np.isin(signs, (-1, 0, 1)).all():
        must = f"hold -1, 0 or 1 for each of the {len(cases.kind)} columns"
        raise _check.invalid("monotonic_cst", must, np.array2string(signs, threshold=8))
    if n_classes not in (0, 2):
        raise _check.invalid(
            "monotonic_cst", "go with numbers or 2 classes", f"{n_classes} classes"
        )
    if (signs[cases.kind == 1] != 0).any():
        raise _check.invalid(
            "monotonic_cst", "constrain columns of numbers alone", "a column of names"
        )
    return signs.astype(np.int8) if signs.any() else None


def fit(
    work: FitPlan,
    cases: Cases | Unread,
    y: NDArray[Any],
    weight: NDArray[np.float64],
    n_classes: int,
) -> Tree:
    """Grow and prune a tree from the rows that weigh something."""
    if weight.strides[0]:  # not one number seen as many
        with np.errstate(over="ignore"):
            total = float(weight.sum())
        if not (weight.min() >= 0 and 0 < total < HEAVIEST):
            must = f"be 0 or more, times class_weight, with a sum above 0 and below {HEAVIEST:g}"
            got = f"a least of {weight.min():g} and a sum of {total:g}"
            raise _check.invalid("sample_weight", must, got)
        if not weight.all():
            rows = np.flatnonzero(weight)
            cases, y, weight = cases.take(rows), y[rows], weight[rows]
    table = cases.read(work.grow.threads)
    if work.grow.missing == "refuse" and table is not cases:
        refuse_missing(table)
    weight = _trim(weight)
    if work.pruning == "reduced_error":
        return _reduced_error(work, table, y, weight, n_classes)
    tree = _grow(work, table, y, weight, n_classes)
    if work.pruning == "bits":
        return _prune.shortest(tree, work.levels)
    if work.pruning == "pessimistic":
        return _prune.pessimistic(tree, table, y, weight, cf=work.cf, raising=work.raising)
    if work.pruning == "cost_complexity":
        return _cross_validated(work, tree, table, y, weight, n_classes)
    return tree


def refuse_missing(cases: Cases | Unread) -> None:
    """Refuse a table in which something is missing."""
    if cases.missing:
        raise _check.invalid("X", "have no missing values", "some", takes_gaps())


def takes_gaps() -> _check.Words:
    """Return the way out for a table in which something is missing."""
    way = _check.setting("missing", "direction")
    return "Use " + way + ", or another tree: the others take them."


def _grow(
    work: FitPlan, cases: Cases, y: NDArray[Any], weight: NDArray[np.float64], n_classes: int
) -> Tree:
    tree = grow(searcher(cases, work.grow.threads), y, weight, n_classes, work.grow)
    if work.grow.criterion == "gain_ratio":
        tree = _prune.collapse(tree)
    if work.max_leaf_nodes is not None:
        tree = _prune.best_first(tree, work.max_leaf_nodes, work.grow.criterion)
    return tree


def _cross_validated(
    work: FitPlan,
    tree: Tree,
    cases: Cases,
    y: NDArray[Any],
    weight: NDArray[np.float64],
    n_classes: int,
) -> Tree:
    """Prune to the smallest tree whose cross-validated risk is within one error of the best."""
    alpha = _prune.alphas(tree, work.grow.criterion)
    steps = np.unique(np.append(alpha[np.isfinite(alpha)], 0.0))
    if len(steps) > 50:
        steps = steps[np.unique(np.linspace(0, len(steps) - 1, 50).round().astype(int))]
    # Of numbers, a power of two near their mean square: products of squares are then floats.
    unit = 1.0
    if tree.is_number:
        unit = 2.0 ** math.frexp(float(tree.stats[0, 2] / tree.stats[0, 0]))[1]
    between = np.append(np.sqrt(steps[:-1] / unit * (steps[1:] / unit)) * unit, np.inf)
    w = weight if weight.size else np.ones(len(y))
    held = shares(cases, y if n_classes else None, w, FOLDS)
    first, second = np.zeros(len(steps)), np.zeros(len(steps))
    for part in held:
        kept = w - part
        grow_from, test_on = np.flatnonzero(kept > 0), np.flatnonzero(part > 0)
        if not len(grow_from):
            return tree.compact(alpha <= 0)
        mine = _trim(kept[grow_from])
        other = _grow(work, cases.take(grow_from), y[grow_from], mine, n_classes)
        other_alpha = _prune.alphas(other, work.grow.criterion)
        test = cases.take(test_on)
        for j, limit in enumerate(between):
            smaller = other.compact(other_alpha <= limit)
            loss = _prune.losses(smaller, test, y[test_on], work.grow.criterion) / unit
            first[j] += part[test_on] @ loss
            second[j] += part[test_on] @ (loss * loss)
    risk = first / w.sum()
    best = int(risk.argmin())
    if not np.isfinite(risk[best]):  # counts in a fold that the others have none of
        return tree.compact(alpha <= np.inf)
    error = np.sqrt(max(second[best] / w.sum() - risk[best] ** 2, 0.0) / w.sum())
    chosen = np.flatnonzero(risk <= risk[best] + error).max()
    return tree.compact(alpha <= steps[chosen])


def _reduced_error(
    work: FitPlan, cases: Cases, y: NDArray[Any], weight: NDArray[np.float64], n_classes: int
) -> Tree:
    """Grow from two thirds of the cases, prune by the errors on the last third."""
    w = weight if weight.size else np.ones(len(y))
    part = shares(cases, y if n_classes else None, w, 3)[2]
    kept = w - part
    grow_from, test_on = np.flatnonzero(kept > 0), np.flatnonzero(part > 0)
    mine = _trim(kept[grow_from])
    tree = _grow(work, cases.take(grow_from), y[grow_from], mine, n_classes)
    test = cases.take(test_on)
    return _prune.reduced_error(tree, test, y[test_on], part[test_on], work.grow.criterion)


def _trim(weight: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return no weights where all are 1: counts are faster."""
    return np.empty(0) if not weight.strides[0] or (weight == 1.0).all() else weight


def shares(
    cases: Cases, y: NDArray[Any] | None, weight: NDArray[np.float64], count: int
) -> NDArray[np.float64]:
    """Deal the weight of every row to folds, class by class, in the order of the rows' content.

    The weights are laid end to end and cut into pieces of 1, which go to the folds in turn. So
    neither the order of the rows nor a weight in place of repetitions changes anything, and no
    randomness is needed. A row of weight 3 is in three folds, as three equal rows are.
    """
    n = len(weight)
    label = np.zeros(n, np.int64) if y is None else y.astype(np.int64)
    order = np.lexsort((cases.row_hashes(), label))
    scale = max(1.0, n / float(weight.sum()))
    ends = np.cumsum(weight[order] * scale)
    begins = np.append(0.0, ends[:-1])
    out = np.zeros((count, n))
    for k in range(count):
        up_to = [
            np.floor(x / count) + np.clip(x - count * np.floor(x / count) - k, 0.0, 1.0)
            for x in (begins, ends)
        ]
        out[k, order] = (up_to[1] - up_to[0]) / scale
    out[out < 1e-9 * weight] = 0.0
    return out


# ---------------------------------------------------------------- what a leaf says


def check_leaf_estimate(estimate: Any) -> None:
    """Refuse what is neither None, "laplace" nor a positive number."""
    if estimate is None or estimate == "laplace":
        return
    if isinstance(estimate, str):
        _check.option("leaf_estimate", estimate, ["laplace"])
    _check.positive("leaf_estimate", estimate, 'Use None for none, or "laplace".')


def class_values(
    tree: Tree, estimate: Any, monotonic_cst: NDArray[np.int8] | None
) -> NDArray[np.float64]:
    """Return class probabilities of every node; a node without cases says what its parent says."""
    n = tree.stats.sum(1, keepdims=True)
    classes = tree.stats.shape[1]
    if estimate is None:
        value: NDArray[np.float64] = tree.stats / np.maximum(n, 5e-324)
    elif estimate == "laplace":
        value = (tree.stats + 1.0) / (n + classes)
    else:
        prior = tree.stats[0] / n[0]
        value = (tree.stats + float(estimate) * prior) / (n + float(estimate))
    if not n.all():
        _prune.inherit(tree, value)
    if monotonic_cst is not None:
        value[:, 1] = np.clip(value[:, 1], tree.low, tree.high)
        value[:, 0] = 1.0 - value[:, 1]
    return value

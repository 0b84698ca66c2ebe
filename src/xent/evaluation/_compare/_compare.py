"""`compare`: two models or more on the same rows, paired row by row."""

import hashlib
import math
import platform
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import combinations
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from xent import _check
from xent.evaluation._compare._costs import PREDICTION_KINDS, Costs, costs_of
from xent.evaluation._compare._hashes import Keys, keys_of, keys_of_places
from xent.evaluation._compare._paired import Method, Tested, holm, pieces_of
from xent.evaluation._compare._records import (
    INTERVALS,
    TESTS,
    CostDifference,
    ModelComparison,
    ModelCost,
)
from xent.evaluation._truth import column_of, slices_of

Numbers = NDArray[np.float64]

CORRECTION = "Holm"
PAIRS = ("first", "all")


def compare(
    a: ArrayLike,
    b: ArrayLike,
    *more: ArrayLike,
    target: ArrayLike | None = None,
    kind: str | Sequence[str] = "probs",
    names: Sequence[Any] | None = None,
    labels: Iterable[Any] | None = None,
    positive: Any = None,
    sample_weight: ArrayLike | None = None,
    groups: ArrayLike | None = None,
    by: Mapping[Any, Any] | None = None,
    ids: ArrayLike | None = None,
    ignore_index: Any = None,
    normalize: bool = False,
    allow_probabilities: bool = False,
    pairs: str = "first",
    interval: str = "student",
    test: str = "t",
    confidence: float = 0.95,
    resamples: int = 10_000,
    seed: int = 0,
    base: float = 2,
) -> ModelComparison:
    """How many bits a row one model costs more than another, and how sure that is.

    difference = Σ_n w_n (log2 p_n^a(true class) - log2 p_n^b(true class)) / Σ_n w_n

    Parameters
    ----------
    a, b, *more : array_like, shape (N, C), or (N,)
        What each model said of the same rows, as `evaluate` takes it. ``b`` is measured against
        ``a``: below 0 it costs less.
    target : array_like, shape (N,)
        The true classes; only costs need none.
    kind : {"probs", "logits", "log_probs", "costs"} or one of them a model
        What the numbers are; costs, shape (N,), were measured before, in the unit of ``base``.
    names : sequence, optional
        What the models are called; a, b, c where not given.
    labels, positive, sample_weight, ignore_index, normalize, allow_probabilities : optional
        As in `evaluate`.
    groups : array_like, shape (N,), optional
        What rows belong to that are not independent: patients, documents, days. Then groups are
        what is drawn, and intervals are wider.
    by : mapping of name to array_like, optional
        Values that part the rows into slices, each compared by itself.
    ids : array_like, shape (N,), optional
        What the rows are called: chance depends on it alone, so that their order does not matter.
    pairs : {"first", "all"}
        Whether every model is measured against the first, or each against each before it.
    interval : {"student", "bootstrap"}
        Student's of the paired differences, cluster-robust with groups; or the percentiles of
        resamples, of rows or of whole groups.
    test : {"t", "sign_flip", "bootstrap"}
        Student's paired t; Fisher's flips of the signs of rows or groups, all of them up to 20; or
        the bootstrap interval inverted.
    confidence : float
        How often an interval holds the true difference.
    resamples, seed : int
        Of the bootstrap and of flipped signs.
    base : float
        Base of the logarithm: 2 gives bits, math.e nats.

    Returns
    -------
    ModelComparison
        Print it. Of several pairs the p-values are corrected as well (Holm).

    Raises
    ------
    ValueError, TypeError
        As `evaluate` raises them, or if the models do not have the same rows.

    Examples
    --------
    >>> found = compare([0.5, 0.5, 0.5], [0.75, 0.8, 0.4], target=[1, 1, 0])
    >>> round(found.differences[0].difference, 4)
    -0.5087

    References
    ----------
    Liang, K.-Y. and Zeger, S. L. (1986). Longitudinal data analysis using generalized linear
    models. Biometrika 73. Holm, S. (1979). Scandinavian Journal of Statistics 6.
    """
    called = [chr(ord("a") + i) if i < 2 else f"more[{i - 2}]" for i in range(2 + len(more))]
    kinds = _kinds(kind, len(called))
    return compared(
        list(zip(called, kinds, (a, b, *more), strict=True)), target, names=names,
        sample_weight=sample_weight, groups=groups, by=by, ids=ids, pairs=pairs,
        method=method_of(interval, test, confidence, resamples), seed=seed, base=base,
        labels=None if labels is None else list(labels), positive=positive,
        ignore_index=ignore_index, normalize=normalize, allow_probabilities=allow_probabilities,
    )  # fmt: skip


def method_of(interval: str, test: str, confidence: float, resamples: int) -> Method:
    """Check how intervals and p-values shall be found."""
    return Method(
        _check.option("interval", interval, tuple(INTERVALS)),
        _check.option("test", test, tuple(TESTS)),
        _check.share("confidence", confidence),
        _check.integer("resamples", resamples, least=100),
    )


def compared(
    models: list[tuple[str, str, Any]],
    target: Any,
    *,
    names: Sequence[Any] | None,
    sample_weight: Any,
    groups: Any,
    by: Mapping[Any, Any] | None,
    ids: Any,
    pairs: str,
    method: Method,
    seed: int,
    base: float,
    **reading: Any,
) -> ModelComparison:
    """Compare models; each is an argument's name, a kind of numbers, and the numbers."""
    unit = _check.log_of_base(base, "a report")
    seed = _check.integer("seed", seed, least=0)
    _check.option("pairs", pairs, PAIRS)
    called = _names(names, len(models))
    costs = costs_of(models, target, unit, sample_weight, **reading)
    alone = groups is None
    drawn = groups if not alone else ids
    if drawn is None:
        keys = keys_of_places(costs.row, seed)
    else:
        keys = _keys("ids" if alone else "groups", drawn, costs, seed, distinct=alone)
    rows = PairedRows(costs, keys, called, pairs, method)
    slices = [
        found
        for name, values in slices_of(by, costs.given).items()
        for found in _slices(rows, name, values)
    ]
    costing, differences = rows.compared(np.arange(len(costs.row)))
    return ModelComparison(
        rows=len(costs.row),
        weight=math.fsum(costs.weight),
        groups=None if alone else len(np.unique(keys)),
        base=float(base),
        models=[
            replace(model, reliability=own)
            for model, own in zip(costing, costs.reliability, strict=True)
        ],
        differences=_adjusted(differences),
        slices=_adjusted(slices),
        interval=method.interval,
        test=method.test,
        correction=CORRECTION,
        confidence=method.confidence,
        resamples=method.resamples,
        seed=seed,
        signature=_signature(costs, keys, method, seed, float(base)),
    )


@dataclass(frozen=True)
class PairedRows:
    """The rows that are compared, and how.

    Parameters
    ----------
    costs : Costs
        What each costs under each model.
    keys : ndarray of uint64
        What is drawn together, by its key.
    names : list
        What the models are called.
    pairs : str
        Which models are compared.
    method : Method
        How intervals and p-values are found.
    """

    costs: Costs
    keys: Keys
    names: list[Any]
    pairs: str
    method: Method

    def compared(
        self, own: NDArray[np.int64], by: Any = None, value: Any = None
    ) -> tuple[list[ModelCost], list[CostDifference]]:
        """Return what each model costs on some of the rows, and how far apart they are."""
        cost = [cost[own] for cost in self.costs.cost]
        weight, keys = self.costs.weight[own], self.keys[own]
        pairs = list(combinations(range(len(cost)), 2))
        if self.pairs == "first":
            pairs = [(i, j) for i, j in pairs if i == 0]
        pieces = []
        for values, finite in (
            *((each, np.isfinite(each)) for each in cost),
            *(_gap(cost[i], cost[j]) for i, j in pairs),
        ):
            # Rows that are no number count nothing, and are drawn all the same.
            pieces.append(pieces_of(np.where(finite, values, 0.0), weight * finite, keys))
        found = self.method.tested(pieces)
        models = [_model(name, cost[i], found[i]) for i, name in enumerate(self.names)]
        drawn = len(pieces[0].keys)
        return models, [
            _difference((self.names[i], self.names[j]), cost[i], cost[j], rest, drawn, by, value)
            for (i, j), rest in zip(pairs, found[len(cost) :], strict=True)
        ]


def _gap(first: Numbers, second: Numbers) -> tuple[Numbers, NDArray[np.bool_]]:
    """Return the second's cost less the first's, and where both are numbers."""
    with np.errstate(invalid="ignore"):
        return second - first, np.isfinite(first) & np.isfinite(second)


def _model(name: Any, cost: Numbers, found: Tested) -> ModelCost:
    endless = int(np.isinf(cost).sum())
    if endless:
        return ModelCost(name, math.inf, math.inf, math.inf, endless)
    # No cost is below 0, unless it is one of another kind that was measured before.
    low = max(0.0, found.low) if found.low < 0 and (cost >= 0).all() else found.low
    return ModelCost(name, found.mean, low, found.high, 0)


def _difference(
    names: tuple[Any, Any],
    first: Numbers,
    second: Numbers,
    rest: Tested,
    groups: int,
    by: Any,
    value: Any,
) -> CostDifference:
    """Put together what the finite rows say, and the others."""
    endless = np.isinf(first), np.isinf(second)
    both = int((endless[0] & endless[1]).sum())
    alone = int(endless[0].sum()) - both, int(endless[1].sum()) - both
    whole = rest
    if both or alone != (0, 0):
        # inf - inf is no number; one of them alone outweighs every other row.
        end = math.nan
        if not both and 0 in alone:
            end = -math.inf if alone[0] else math.inf
        whole = Tested(end, end, end, math.nan, math.nan)
    return CostDifference(
        first=names[0],
        second=names[1],
        difference=whole.mean,
        low=whole.low,
        high=whole.high,
        error=whole.error,
        p_value=whole.p_value,
        adjusted=math.nan,
        impossible_first=alone[0],
        impossible_second=alone[1],
        impossible_both=both,
        finite_difference=rest.mean,
        finite_low=rest.low,
        finite_high=rest.high,
        finite_p_value=rest.p_value,
        rows=len(first),
        groups=groups,
        by=by,
        value=value,
    )


def _kinds(kind: str | Sequence[str], models: int) -> list[str]:
    kinds = [kind] * models if isinstance(kind, str) else list(kind)
    if len(kinds) != models:
        raise _check.invalid("kind", f"be one, or one for each of {models} models", len(kinds))
    return [_check.option("kind", each, PREDICTION_KINDS) for each in kinds]


def _names(names: Sequence[Any] | None, models: int) -> list[Any]:
    if names is None:
        return [chr(ord("a") + i) if i < 26 else f"model {i + 1}" for i in range(models)]
    called = list(names)
    if len(called) != models or len(set(map(str, called))) < models or isinstance(names, str):
        must = f"name the {models} models, each by a name of its own"
        raise _check.invalid("names", must, _check.join_names(called, last="and"))
    return called


def _keys(argument: str, values: Any, costs: Costs, seed: int, *, distinct: bool) -> Keys:
    """Return the key of each row's name; a row without one is refused, ids that repeat too."""
    named = column_of(argument, values, costs.given)
    for row, name in enumerate(named):
        if name is None or name != name:
            raise _check.invalid(argument, "have a name in every row", f"none at row {row}")
    keys = keys_of([named[i] for i in costs.row.tolist()], seed)
    if distinct and len(np.unique(keys)) < len(keys):
        seen: set[str] = set()
        for i in costs.row.tolist():
            if str(named[i]) in seen:
                advice = "Rows that belong together go under " + _check.setting("groups") + "."
                got = f"{str(named[i])!r} again at row {i}"
                raise _check.invalid(argument, "name every row once", got, advice)
            seen.add(str(named[i]))
    return keys


def _slices(rows: PairedRows, name: Any, values: list[Any]) -> list[CostDifference]:
    """Compare the models on the rows of each value, the largest slices first."""
    inside: dict[Any, list[int]] = {}
    for place, row in enumerate(rows.costs.row.tolist()):
        value = values[row]
        inside.setdefault(None if value is None or value != value else value, []).append(place)
    order = sorted(inside.items(), key=lambda item: -len(item[1]))
    return [
        found
        for value, places in order
        for found in rows.compared(np.array(places), name, value)[1]
    ]


def _adjusted(found: list[CostDifference]) -> list[CostDifference]:
    corrected = holm([d.p_value for d in found])
    return [replace(d, adjusted=p) for d, p in zip(found, corrected, strict=True)]


def _signature(costs: Costs, keys: Keys, method: Method, seed: int, base: float) -> str:
    """Write the line by which another person can tell that they compared the same thing alike."""
    from importlib.metadata import version

    order = np.lexsort((*costs.cost, costs.weight, keys))
    digest = hashlib.sha256(keys[order].astype("<u8").tobytes())
    for values in (costs.weight, *costs.cost):
        digest.update(values[order].astype("<f8").tobytes())
    parts = [
        f"xent {version('xent')}",
        f"base {base:g}",
        f"{len(costs.row)} rows",
        f"{len(costs.cost)} models",
        f"{method.interval} {method.confidence:g}",
        method.test,
        f"seed {seed}",
        f"data sha256:{digest.hexdigest()[:16]}",
        f"numpy {np.__version__}",
        f"python {platform.python_version()}",
    ]
    return " | ".join(parts)

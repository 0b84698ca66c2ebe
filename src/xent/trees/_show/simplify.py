"""From a tree to a short list of rules, as C4.5 does (Quinlan 1993, chapter 5).

Each leaf's path becomes a rule, conditions are dropped while the estimated error does not rise, a
subset of the rules of each class is chosen by the length of the message that it takes to write
the rules and their exceptions down, and the classes are put in order. What no rule covers gets a
default.
"""

import math
from collections.abc import Callable
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray
from scipy.special import gammaln, ndtri

from xent.trees._kernels.prune import extra_errors
from xent.trees._show.named import Named
from xent.trees._show.rules import Condition, Rule, Rules, covered, decides, numbers_of
from xent.trees._table.columns import Cases, FittedColumn

THEORY = 0.5  # weight of the rules' own bits: they say some things twice (Quinlan 1993, page 53)
MOST_TRIED = 10  # rules of a class of which all subsets are tried


def paths(named: Named, missing: NDArray[np.bool_]) -> list[tuple[tuple[Condition, ...], int]]:
    """Return the conditions and the class of every leaf, tests of one column joined.

    ``missing`` says in which columns a training case misses a value: there, and only there, the
    branch that takes missing values lets them pass.
    """
    tree, parent = named.tree, named.tree.parent()
    out = []
    for leaf in np.flatnonzero(tree.leaf):
        tests: list[tuple[int, int]] = []
        at = int(leaf)
        while at > 0:
            up = int(parent[at])
            tests.append((up, at - int(tree.first[up])))
            at = up
        by_column: dict[int, list[Condition]] = {}
        for node, branch in reversed(tests):
            f = int(tree.feature[node])
            takes = bool(missing[f]) and int(tree.missing_to[node]) == branch
            by_column.setdefault(f, []).append(_test(named, node, branch, takes))
        path = [c for each in by_column.values() for c in _join(each)]
        out.append((tuple(path), int(named.value[leaf].argmax())))
    return out


def _test(named: Named, node: int, branch: int, takes: bool) -> Condition:
    f = int(named.tree.feature[node])
    if named.columns[f].kind == "name":
        return Condition(f, levels=tuple(named.levels(node, branch)), missing=takes)
    threshold = float(named.tree.threshold[node])
    if branch == 0:
        return Condition(f, high=threshold, missing=takes)
    # A third branch, and all above infinity: the missing values.
    return Condition(f, low=threshold if branch == 1 else math.inf, missing=takes)


def _join(tests: list[Condition]) -> list[Condition]:
    """Join the tests of one column along a path: at most a lower and an upper bound are left."""
    missing = all(t.missing for t in tests)
    first = tests[0]
    if first.levels is not None:
        left = set(first.levels).intersection(*(t.levels or () for t in tests))
        return [replace(first, levels=tuple(v for v in first.levels if v in left), missing=missing)]
    low, high = max(t.low for t in tests), min(t.high for t in tests)
    out = []
    if low > -math.inf:
        out.append(Condition(first.column, low=low, missing=missing))
    if high < math.inf or not out:
        out.append(Condition(first.column, high=high, missing=missing))
    return out


@dataclass
class Training:
    """The cases that rules are judged by."""

    cases: Cases
    columns: list[FittedColumn]
    y: NDArray[np.int64]
    weight: NDArray[np.float64]
    classes: int
    cf: float

    def counts(self, rows: NDArray[np.bool_]) -> NDArray[np.float64]:
        """Weight of every class among some rows."""
        out: NDArray[np.float64] = np.zeros(self.classes)
        np.add.at(out, self.y[rows], self.weight[rows])
        return out

    def error(self, counts: NDArray[np.float64], label: int) -> float:
        """Return the pessimistic share of errors of a rule that covers these cases."""
        n = float(counts.sum())
        if n <= 0:
            return 1.0
        e = n - float(counts[label])
        return (e + float(extra_errors(n, e, self.cf, float(-ndtri(self.cf))))) / n


def generalise(conditions: tuple[Condition, ...], label: int, training: Training) -> Rule:
    """Drop conditions, the least useful first, while the estimated error does not rise."""
    kept = list(conditions)
    fails = [~c.passes(training.cases, training.columns) for c in kept]
    failed = np.zeros(len(training.y), np.int32)
    for f in fails:
        failed += f
    counts = training.counts(failed == 0)
    error = training.error(counts, label)
    while kept:
        one = failed == 1
        without = [counts + training.counts(one & f) for f in fails]
        errors = [training.error(c, label) for c in without]
        best = int(np.argmin(errors))
        if errors[best] > error + 1e-12:
            break
        error, counts = errors[best], without[best]
        failed -= fails[best]
        del kept[best], fails[best]
    n = float(counts.sum())
    return Rule(tuple(kept), label, n, n - float(counts[label]), error)


def condition_bits(condition: Condition, training: Training) -> float:
    """Return the bits that name a column and one of its tests."""
    column = training.columns[condition.column]
    bits = math.log2(len(training.columns))
    if condition.levels is not None:
        some = len(column.levels)
        return bits + (math.log2(max(some, 1)) if len(condition.levels) == 1 else some)
    slot = int(training.cases.slot[condition.column])
    x = numbers_of(training.cases, slot)
    return bits + 1.0 + math.log2(max(len(np.unique(x[~np.isnan(x)])) - 1, 1))


def exception_bits(covered: float, uncovered: float, wrong: float, missed: float) -> float:
    """Return the bits that say for which of the covered and of the other cases the rules are wrong.

    A set of rules is expected to err as often on either side: the larger side is coded with that
    half of the errors, the other with its own (Quinlan 1995).
    """
    half = (wrong + missed) / 2
    more = covered > uncovered
    on_these = _told(covered, wrong, half if more else wrong)
    on_others = _told(uncovered, missed, missed if more else half)
    return math.log2(max(covered + uncovered, 1.0)) + on_these + on_others


def _told(among: float, some: float, expected: float) -> float:
    """Return the bits that mark some cases, under the share of them that is expected."""
    bits = 0.0
    for count, share in ((some, expected), (among - some, among - expected)):
        if count > 1e-9:
            bits -= count * math.log2(min(max(share / among, 1e-300), 1.0))
    return bits


def choose_subset(
    masks: list[NDArray[np.bool_]],
    bits: list[float],
    mine: NDArray[np.bool_],
    w: NDArray[np.float64],
) -> list[int]:
    """Choose the rules of one class whose message is shortest: rules, and exceptions to them.

    Up to ten rules all subsets are tried; of more, one rule at a time is added or taken away,
    beginning with all and with none. (Quinlan's programs then search at random; this has no seed.)
    """
    total, positives = float(w.sum()), float(w[mine].sum())

    def length(times: NDArray[np.int64], chosen: int, own: float) -> float:
        hit = times > 0
        covered = float(w[hit].sum())
        right = float(w[hit & mine].sum())
        exceptions = exception_bits(covered, total - covered, covered - right, positives - right)
        return exceptions + THEORY * max(own - float(gammaln(chosen + 1)) / math.log(2), 0.0)

    best: tuple[float, list[int]] | None = None
    if len(masks) <= MOST_TRIED:
        times = np.zeros(len(w), np.int64)
        inside = np.zeros(len(masks), np.bool_)
        for step in range(2 ** len(masks)):
            if step:  # the next subset differs in one rule (Gray's code)
                i = (step & -step).bit_length() - 1
                inside[i] = not inside[i]
                times += masks[i] if inside[i] else -masks[i].astype(np.int64)
            own = float(np.array(bits)[inside].sum()) if len(bits) else 0.0
            now = length(times, int(inside.sum()), own)
            if best is None or now < best[0] - 1e-9:
                best = now, np.flatnonzero(inside).tolist()
        return best[1] if best else []
    for full in (True, False):
        chosen = np.full(len(masks), full)
        times = np.zeros(len(w), np.int64)
        for mask in masks if full else ():
            times += mask
        own = sum(bits) if full else 0.0
        now = length(times, int(chosen.sum()), own)
        while True:
            step, gain = -1, 1e-9
            for i, mask in enumerate(masks):
                sign = -1 if chosen[i] else 1
                after = length(times + sign * mask, int(chosen.sum()) + sign, own + sign * bits[i])
                if now - after > gain:
                    step, gain = i, now - after
            if step < 0:
                break
            sign = -1 if chosen[step] else 1
            times += sign * masks[step]
            own += sign * bits[step]
            chosen[step] = not chosen[step]
            now -= gain
        if best is None or now < best[0] - 1e-9:
            best = now, np.flatnonzero(chosen).tolist()
    return best[1] if best else []


def simplify(
    leaves: list[tuple[tuple[Condition, ...], int]], training: Training
) -> tuple[list[Rule], int]:
    """Return the ordered rules that are left of a tree's paths, and the default class."""
    seen: dict[tuple[frozenset[Condition], int], Rule] = {}
    whole = training.counts(np.ones(len(training.y), np.bool_))
    for conditions, label in leaves:
        rule = generalise(conditions, label, training)
        # What guesses no better than the class alone is no rule.
        alone = (whole.sum() - whole[label] + 1) / (whole.sum() + 2)
        if rule.conditions and rule.error_estimate < alone:
            seen.setdefault((frozenset(rule.conditions), label), rule)
    rules = list(seen.values())
    w = training.weight
    groups: dict[int, list[Rule]] = {}
    for label in range(training.classes):
        mine = [r for r in rules if r.label == label]
        masks = [covered(r.conditions, training.cases, training.columns) for r in mine]
        bits = []
        for rule in mine:
            own = sum(condition_bits(c, training) for c in rule.conditions)
            own -= float(gammaln(len(rule.conditions) + 1)) / math.log(2)
            bits.append(max(own, 0.0))
        groups[label] = [mine[i] for i in choose_subset(masks, bits, training.y == label, w)]
    order = _in_order(groups, training)
    return _polish(order, training)


def _in_order(groups: dict[int, list[Rule]], training: Training) -> list[Rule]:
    """Put the classes in order: the next is the one whose rules are wrong on least that is left."""
    left = np.ones(len(training.y), np.bool_)
    waiting = {label: mine for label, mine in groups.items() if mine}
    hits = {
        label: np.logical_or.reduce(
            [covered(r.conditions, training.cases, training.columns) for r in mine]
        )
        for label, mine in waiting.items()
    }
    order: list[Rule] = []
    while waiting:
        wrong = {
            label: float(training.weight[left & hits[label] & (training.y != label)].sum())
            for label in waiting
        }
        label = min(wrong, key=lambda c: (wrong[c], c))
        order += sorted(waiting.pop(label), key=lambda r: r.error_estimate)
        left &= ~hits[label]
    return order


def _polish(rules: list[Rule], training: Training) -> tuple[list[Rule], int]:
    """Drop rules without which fewer training cases are wrong, and find the default class."""
    masks = [covered(r.conditions, training.cases, training.columns) for r in rules]
    labels = [r.label for r in rules]

    def judge(kept: list[int]) -> tuple[float, int]:
        said = np.full(len(training.y), -1)
        for i in reversed(kept):
            said[masks[i]] = labels[i]
        rest = training.counts(said < 0)
        # The most frequent among what is left; of equals, the most frequent of all.
        whole = training.counts(np.ones(len(said), np.bool_))
        default = int(np.lexsort((-whole, -rest))[0])
        said[said < 0] = default
        return float(training.weight[said != training.y].sum()), default

    kept = list(range(len(rules)))
    errors, default = judge(kept)
    while True:
        for i in kept:
            fewer = [j for j in kept if j != i]
            without, other = judge(fewer)
            if without < errors - 1e-9:
                kept, errors, default = fewer, without, other
                break
        else:
            return [rules[i] for i in kept], default


def of_tree(
    named: Named,
    training: Training,
    classes: NDArray[np.generic],
    read: Callable[[object], Cases],
    leaf_estimate: float | str | None,
    simplified: bool,
) -> Rules:
    """Return the rules of a tree, and what they say of the training cases that they decide."""
    cases, columns = training.cases, training.columns
    missing = np.zeros(len(columns), np.bool_)
    for f, column in enumerate(columns):
        slot = int(cases.slot[f])
        if column.kind == "name":
            missing[f] = (cases.codes[slot] == len(column.levels)).any()
        else:
            missing[f] = np.isnan(numbers_of(cases, slot)).any()
    leaves = paths(named, missing)
    if simplified:
        rules, default = simplify(leaves, training)
    else:
        default = int(training.counts(np.ones(len(training.y), np.bool_)).argmax())
        rules = [_as_it_is(conditions, label, training) for conditions, label in leaves]
    by = decides(rules, cases, columns)
    counts = np.zeros((len(rules) + 1, training.classes))
    np.add.at(counts, (by, training.y), training.weight)
    share = _probabilities(counts, leaf_estimate)
    done = [
        replace(r, counts=tuple(c.tolist()), probabilities=tuple(p.tolist()))
        for r, c, p in zip(rules, counts[:-1], share[:-1], strict=True)
    ]
    last = tuple(counts[-1].tolist()), tuple(share[-1].tolist())
    return Rules(done, default, *last, columns, classes, read)


def _as_it_is(conditions: tuple[Condition, ...], label: int, training: Training) -> Rule:
    counts = training.counts(covered(conditions, training.cases, training.columns))
    n = float(counts.sum())
    return Rule(conditions, label, n, n - float(counts[label]), training.error(counts, label))


def _probabilities(
    counts: NDArray[np.float64], leaf_estimate: float | str | None
) -> NDArray[np.float64]:
    """Smooth the counts as the tree smooths its leaves; no counts say what all of them say."""
    n = counts.sum(1, keepdims=True)
    prior = counts.sum(0) / counts.sum()
    if leaf_estimate is None:
        return np.where(n > 0, counts / np.where(n > 0, n, 1.0), prior)
    if leaf_estimate == "laplace":
        leaf_estimate, prior = counts.shape[1], np.full_like(prior, 1.0 / len(prior))
    share: NDArray[np.float64] = (counts + float(leaf_estimate) * prior) / (
        n + float(leaf_estimate)
    )
    return share

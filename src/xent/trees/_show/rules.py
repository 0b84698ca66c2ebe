"""A list of rules: what a rule says, whom it covers, and the list as a classifier one can read."""

import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from xent import _check
from xent._table.frames.levels import Level
from xent.trees._show.named import LISTED_LEVELS, levels_in_words, plain, quantity
from xent.trees._table.columns import Cases, FittedColumn


@dataclass(frozen=True)
class Condition:
    """A test of one column: ``low < x <= high``, or ``x in levels``.

    ``missing`` says whether a missing value passes.
    """

    column: int
    low: float = -math.inf
    high: float = math.inf
    levels: tuple[Level, ...] | None = None
    missing: bool = False

    def words(self, columns: list[FittedColumn], most: int | None = None) -> str:
        """Write the condition with real names, at most so many levels."""
        column = columns[self.column]
        name = plain(column.name)
        if self.levels is not None:
            text = f"{name} {levels_in_words(self.levels, most)}" if self.levels else ""
        else:
            text = f"{name} is known"
            if self.low == math.inf:
                text = ""
            elif self.low > -math.inf:
                text = f"{name} > {quantity(column, self.low)}"
            elif self.high < math.inf:
                text = f"{name} <= {quantity(column, self.high)}"
        if not self.missing:
            return text or "never"
        return f"({text} or missing)" if text else f"{name} is missing"

    def passes(self, cases: Cases, columns: list[FittedColumn]) -> NDArray[np.bool_]:
        """Say which cases pass."""
        slot = int(cases.slot[self.column])
        if self.levels is not None:
            known = columns[self.column].levels
            good = np.array([v in self.levels for v in known] + [self.missing])
            hit: NDArray[np.bool_] = good[cases.codes[slot]]
            return hit
        x = numbers_of(cases, slot)
        return np.where(np.isnan(x), self.missing, (x > self.low) & (x <= self.high))


@dataclass(frozen=True)
class Rule:
    """A conjunction of conditions and what follows.

    ``cover`` and ``errors`` are the weights of the training cases that pass all conditions, and of
    those among them of another class; ``error_estimate`` is the pessimistic share of errors.
    ``counts`` holds, by class, the training cases that this rule decides, those of earlier rules
    taken out, and ``probabilities`` what it says of a case.
    """

    conditions: tuple[Condition, ...]
    label: int
    cover: float
    errors: float
    error_estimate: float
    counts: tuple[float, ...] = ()
    probabilities: tuple[float, ...] = ()


@dataclass(frozen=True)
class Rules:
    """An ordered list of rules: the first whose conditions a case passes decides.

    ``default`` and ``default_probabilities`` stand for what no rule covers.
    """

    rules: list[Rule]
    default: int
    default_counts: tuple[float, ...]
    default_probabilities: tuple[float, ...]
    columns: list[FittedColumn]
    classes: NDArray[np.generic]
    read: Callable[[object], Cases]

    def decides(self, X: object) -> NDArray[np.int64]:
        """Return the number of the rule that decides each row, -1 for the default.

        Parameters
        ----------
        X : table or array of shape (n_samples, n_features)
            The columns of `fit`.

        Returns
        -------
        ndarray of shape (n_samples,)
        """
        return decides(self.rules, self.read(X), self.columns)

    def predict_proba(self, X: object) -> NDArray[np.float64]:
        """Return the probability of every class.

        Parameters
        ----------
        X : table or array of shape (n_samples, n_features)
            The columns of `fit`.

        Returns
        -------
        ndarray of shape (n_samples, n_classes)
            Of the training cases that the rule decides, smoothed as the tree's ``leaf_estimate``
            says.
        """
        said = [r.probabilities for r in self.rules] + [self.default_probabilities]
        return np.array(said)[self.decides(X)]

    def predict(self, X: object) -> NDArray[np.generic]:
        """Return the class of the rule that decides each row.

        Parameters
        ----------
        X : table or array of shape (n_samples, n_features)
            The columns of `fit`.

        Returns
        -------
        ndarray of shape (n_samples,)
        """
        label = np.array([r.label for r in self.rules] + [self.default])
        found: NDArray[np.generic] = self.classes[label[self.decides(X)]]
        return found

    def to_text(self, *, max_levels: int | None = LISTED_LEVELS) -> str:
        """Return the rules in words: cover, errors, and the probability of the rule's class.

        Parameters
        ----------
        max_levels : int or None
            How many levels of a column a condition lists; None for all.

        Returns
        -------
        str
            One rule a line, in the order in which they are asked; the default comes last.
        """
        if max_levels is not None:
            max_levels = _check.integer("max_levels", max_levels, least=1)
        lines = []
        for rule in self.rules:
            tests = " and ".join(c.words(self.columns, max_levels) for c in rule.conditions)
            head = f"if {tests}" if tests else "always"
            cases = f"{rule.cover:.6g}" + (f"/{rule.errors:.6g}" if rule.errors > 1e-9 else "")
            share = rule.probabilities[rule.label]
            lines.append(f"{head} then {self._says(rule.label)} ({cases}; {share:.3f})")
        n = sum(self.default_counts)
        wrong = n - self.default_counts[self.default]
        cases = f"{n:.6g}" + (f"/{wrong:.6g}" if wrong > 1e-9 else "")
        share = self.default_probabilities[self.default]
        return "\n".join([*lines, f"else {self._says(self.default)} ({cases}; {share:.3f})"])

    def _says(self, label: int) -> str:
        return plain(str(self.classes[label]))

    def __str__(self) -> str:
        return self.to_text()

    def __len__(self) -> int:
        return len(self.rules)


def decides(rules: list[Rule], cases: Cases, columns: list[FittedColumn]) -> NDArray[np.int64]:
    """Return the first rule that each case passes, -1 for none."""
    out = np.full(cases.rows, -1)
    for i in range(len(rules) - 1, -1, -1):
        out[covered(rules[i].conditions, cases, columns)] = i
    return out


def numbers_of(cases: Cases, slot: int) -> NDArray[np.float64]:
    """Return a column of numbers, also of a sparse matrix."""
    columns: Any = getattr(cases, "columns", None)
    dense: NDArray[np.float64] = (
        cases.numbers[:, slot] if columns is None else columns[:, [slot]].toarray().ravel()
    )
    return dense


def covered(
    conditions: tuple[Condition, ...], cases: Cases, columns: list[FittedColumn]
) -> NDArray[np.bool_]:
    """Say which cases pass all conditions."""
    hit = np.ones(cases.rows, np.bool_)
    for condition in conditions:
        hit &= condition.passes(cases, columns)
    return hit

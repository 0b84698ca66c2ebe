"""All that an evaluation holds of the rows it has seen."""

from collections.abc import Mapping
from typing import Any

from xent import _check
from xent.evaluation._accumulator.scores.column import ScoreCounts
from xent.evaluation._accumulator.slices import Slices
from xent.evaluation._accumulator.tally import RowTally


class EvaluationState:
    """Sums over rows, over slices of them, and counts of their scores.

    Parameters
    ----------
    labels : list
        The classes.
    kind : str
        "probs", "logits" or "log_probs".
    weighted : bool
        Whether rows have weights.
    names : list
        Columns that part the rows into slices.
    ranking, winner : bool
        Whether scores are counted, and the probabilities of the winning class.
    """

    def __init__(
        self,
        labels: list[Any],
        kind: str,
        names: list[Any],
        *,
        weighted: bool,
        ranking: bool,
        winner: bool,
    ) -> None:
        self.labels, self.kind, self.weighted, self.ranking = labels, kind, weighted, ranking
        self.tally = RowTally(len(labels), weighted=weighted)
        self.slices: Mapping[Any, Slices] = {name: Slices(weighted=weighted) for name in names}
        classes = len(labels) if ranking else 1
        self.winner = winner
        self.scores = ScoreCounts(classes, kind, weighted=weighted, winner=winner)

    def empty(self) -> "EvaluationState":
        """Return a state that has seen no row, for rows of the same kind."""
        return EvaluationState(
            self.labels, self.kind, list(self.slices), weighted=self.weighted,
            ranking=self.ranking, winner=self.winner,
        )  # fmt: skip

    def require(self, labels: list[Any], kind: str, names: list[Any], *, weighted: bool) -> None:
        """Refuse rows of another kind than those before."""
        if labels != self.labels:
            must = f"be {_check.join_names(self.labels, limit=6)} in every update"
            advice = "Pass " + _check.setting("labels") + " with all of them, in one order."
            raise _check.invalid("labels", must, _check.join_names(labels, limit=6), advice)
        if kind != self.kind:
            raise _check.invalid(kind, f"be given as {self.kind}, as before", kind)
        if weighted != self.weighted:
            rule = "be given in every update" if self.weighted else "be left out in every update"
            raise _check.invalid("sample_weight", rule, "rows with and rows without")
        if names != list(self.slices):
            got = _check.join_names(names, last="and") if names else "none"
            before = _check.join_names(list(self.slices), last="and") if self.slices else "nothing"
            raise _check.invalid("by", f"name {before}, as before", got)

    def merge(self, other: "EvaluationState") -> None:
        """Add what another has seen, of the same kind."""
        self.require(other.labels, other.kind, list(other.slices), weighted=other.weighted)
        self.tally.merge(other.tally)
        for name, slices in self.slices.items():
            slices.merge(other.slices[name])
        self.scores.merge(other.scores)

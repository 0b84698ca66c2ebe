"""The state of an evaluation that goes on: updated, merged, saved, and read out at any time."""

import os
from collections.abc import Iterable, Mapping, Sequence
from concurrent.futures import Executor
from typing import Any

import numpy as np
from numpy.typing import ArrayLike

from xent import _check
from xent.evaluation._accumulator import result, stored
from xent.evaluation._accumulator.rows import counted
from xent.evaluation._accumulator.scores.column import MOST_RANKED, scores_of
from xent.evaluation._accumulator.state import EvaluationState
from xent.evaluation._batches.once import RowsById
from xent.evaluation._batches.parts import Batch, update_each
from xent.evaluation._calibration.bins import binning_of
from xent.evaluation._calibration.figures import USUAL, with_counts
from xent.evaluation._kinds._distributions import no_logits
from xent.evaluation._predictions import Predictions, predictions
from xent.evaluation._probabilities import check_costs, look_like_probs
from xent.evaluation._report import Report
from xent.evaluation._rows import RowFigures, blocks_of, kept
from xent.evaluation._truth import column_of, names_of, slices_of

CACHED_ROWS = 1 << 15  # whose columns are counted one after the other: cells stay in a near cache
LOGITS_DOUBTED = 4096  # rows that all look like probabilities, before they are refused


class Accumulator:
    """An evaluation of rows that come in batches, from many files or many machines.

    Its sums are exact: the same bits for any size of batches, any order of them, any number of
    accumulators that are merged, and after `save` and `load`. No row is kept but the worst.

    Parameters
    ----------
    labels : sequence of C names, optional
        What the columns stand for; else they are named or numbered as `evaluate` does it, alike in
        every update.
    positive : object, optional
        The class that a single column is of.
    ignore_index : object, optional
        A target that says to leave the row out.
    normalize, allow_probabilities : bool
        As in `evaluate`.
    ranking : bool
        Whether scores are counted for ROC AUC and average precision, which takes longer than all
        the rest.
    bins : int, sequence of float, "quantile" or "corp", optional
        As in `evaluate`. Others than the usual ones need counts of the winning class too, and no
        row may have a weight: of equal scores it is not kept which row has which.
    once : bool
        Count rows of one id once, also where another accumulator that is merged has it. What was
        said of every row is then kept: memory grows with the rows. The row of the lowest number
        counts.
    base : float
        Base of the logarithm: 2 gives bits, math.e nats.

    Raises
    ------
    ValueError, TypeError
        As `evaluate`.

    Notes
    -----
    `result` says all that `evaluate` says, but for calibrators, which need the rows again, and the
    calibration of the winning class beyond its bins, unless classes are more than 64 or bins are
    chosen. Up to 2^20 distinct scores, of all classes together, are each counted by itself.
    More are counted in cells of the log odds; ``Report.score_counts`` says which. Cells move the
    area under the curve by less than 2e-7 and the average precision by less than 1e-6. The parts of
    CORP, which follow single rows, have finer cells: they move by up to 5e-7 bits of two classes,
    and 1e-5 of each of ten.

    Examples
    --------
    >>> one, two = Accumulator(), Accumulator()
    >>> one.update([0, 1], [[0.5, 0.5], [0.75, 0.25]])
    >>> two.update([0], [[1.0, 0.0]])
    >>> one.merge(two)
    >>> one.result().cross_entropy
    1.0

    References
    ----------
    Demmel, J. and Nguyen, H. D. (2015). Parallel reproducible summation. IEEE Transactions on
    Computers 64.
    """

    def __init__(
        self,
        labels: Iterable[Any] | None = None,
        *,
        positive: Any = None,
        ignore_index: Any = None,
        normalize: bool = False,
        allow_probabilities: bool = False,
        ranking: bool = True,
        bins: int | Sequence[float] | str | None = None,
        once: bool = False,
        base: float = 2,
    ) -> None:
        _check.log_of_base(base, "a report")
        if bins is not None and not ranking:
            must = "be left out where " + _check.setting("ranking", False) + " is given"
            raise _check.invalid("bins", must, "both")
        self._binning = binning_of(bins)
        self._bins = _plain_bins(bins)
        self._given_labels = names_of(labels)
        self._positive, self._ignore = positive, ignore_index
        self._normalize, self._allow = normalize, allow_probabilities
        self._ranking, self._base = ranking, float(base)
        self._seen = 0  # rows that were given, also those that count for nothing
        self._look_like_probs = True  # so far, where they are logits
        self._broken = False  # where rows of an update were added and others refused
        self.state: EvaluationState | None = None
        self.beside: Any = None  # what was saved with it
        self.kept = RowsById() if once else None

    def empty(self) -> "Accumulator":
        """Return an accumulator of the same settings that has seen nothing."""
        return Accumulator(
            self._given_labels, positive=self._positive, ignore_index=self._ignore,
            normalize=self._normalize, allow_probabilities=self._allow, ranking=self._ranking,
            bins=self._bins, once=self.kept is not None, base=self._base,
        )  # fmt: skip

    def part(self) -> "Accumulator":
        """Return an empty one for more of the same rows, to be merged.

        Whether logits are none is asked of the rows so far alone: no part doubts its own.
        """
        found = self.empty()
        found._look_like_probs = self._look_like_probs and not self._seen
        return found

    @property
    def seen(self) -> int:
        """How many rows were given, also those that count for nothing."""
        return self._seen

    def update_each(self, batches: Iterable[Batch], *, executor: Executor | None = None) -> None:
        """Add many batches, measured in the tasks of an executor.

        Parameters
        ----------
        batches : iterable of mapping, or of callable that returns one
            The arguments of `update`, by their names. A callable is called where the batch is
            measured: ``partial(read, file)`` lets each worker read its own file.
        executor : concurrent.futures.Executor, optional
            Processes, threads, or ``client.get_executor(pure=False)`` of Dask; without it batches
            are added one after the other. The bits are the same.

        Raises
        ------
        ValueError, TypeError
            As `update`, and if a batch is neither.
        """
        update_each(self, batches, executor)

    def update(
        self,
        target: ArrayLike,
        probs: ArrayLike | None = None,
        *,
        logits: ArrayLike | None = None,
        log_probs: ArrayLike | None = None,
        sample_weight: ArrayLike | None = None,
        by: Mapping[Any, Any] | None = None,
        ids: ArrayLike | None = None,
        first_row: int | None = None,
    ) -> None:
        """Add rows.

        Parameters
        ----------
        target, probs, logits, log_probs, sample_weight, by, ids
            As in `evaluate`; in every update the same ones.
        first_row : int, optional
            The number of the first of these rows, by which the worst are told; by default they
            follow those that were given before. Give it where parts are merged.

        Raises
        ------
        ValueError, TypeError
            As `evaluate`, and if classes, kind of scores, weights or ``by`` are not as before.
        """
        if is_empty(target):
            return
        first = self._seen if first_row is None else first_row
        given = predictions(
            target, probs, logits, log_probs, labels=self._given_labels, positive=self._positive,
            sample_weight=sample_weight, ignore=self._ignore, normalize=self._normalize,
            allow_probabilities=True, some_count=False, first=first,
        )  # fmt: skip
        count = len(given.truth)
        columns = slices_of(by, count)
        named = None if ids is None else column_of("ids", ids, count)
        self.add(given, columns, named)

    def _doubt(self, given: Predictions) -> None:
        """Refuse logits that all look like probabilities, once they are many."""
        if given.kind != "logits" or self._allow:
            return
        self._look_like_probs = self._look_like_probs and look_like_probs(
            given.scores, given.epsilon
        )
        if self._look_like_probs and self._seen + len(given.truth) >= LOGITS_DOUBTED:
            raise no_logits(given.scores.ndim)

    def add(
        self,
        given: Predictions,
        columns: Mapping[Any, list[Any]],
        ids: list[Any] | None,
        keep: list[RowFigures] | None = None,
    ) -> None:
        """Add predictions whose shapes were checked; append what was measured to keep.

        Parameters
        ----------
        given : Predictions
            Scores and truth.
        columns, ids : mapping of list, list or None
            Values that part the rows, and their names.
        keep : list, optional
            Takes the figures of each block.

        Raises
        ------
        ValueError
            As `evaluate` raises it, or if an earlier update was refused half-way.
        """
        if self._broken:
            because = "an update was refused half-way"
            raise _check.cannot("The accumulator cannot go on", because, "Load what was saved.")
        self._doubt(given)
        if self.kept is not None:
            self.kept.take(given, columns, ids)
        first_row = given.first
        state = self._state_for(given, list(columns), known=keep is not None)
        self._broken = True
        by_column = _counted_by_column(given)
        by_row = bool(state.scores.columns) and not by_column
        by_class = by_row and given.kind == "probs" and given.weight is None
        for rows, block, figures in blocks_of(given, turned=by_class):
            some = counted(given, rows, figures, ids, first_row)
            if keep is not None:
                keep.append(kept(given, rows, figures))
            if not some.count:
                continue
            if given.kind != "probs":
                weight = None if some.weight is None else some.weight[: some.count]
                check_costs(some.figures.cost[: some.count], some.number, given.kind, weight)
            state.tally.add(some)
            state.scores.add_winner(some)
            n, chosen = len(block), None
            if some.count < n:
                chosen = some.numbers(np.arange(some.count)) - (first_row + rows.start)
            for name, values in columns.items():
                own = values[rows]
                own = own if chosen is None else [own[i] for i in chosen.tolist()]
                state.slices[name].add_rows(own, some)
            if by_class and chosen is None:
                state.scores.add_columns(block.T, some.truth[:n])
            elif by_row:
                scores = scores_of(given.kind, block, figures.confidence[:n], figures.guess[:n])
                if chosen is not None:
                    scores = [score[chosen] for score in scores]
                state.scores.add(scores, some.truth[: some.count], some.weight)
        for start in range(
            0, 0 if by_row or not state.scores.columns else len(given.truth), CACHED_ROWS
        ):
            rows = slice(start, start + CACHED_ROWS)
            state.scores.add_columns(given.scores[rows].T, given.truth[rows])
        self._broken = False
        self._seen += len(given.truth)

    def _state_for(self, given: Predictions, names: list[Any], *, known: bool) -> EvaluationState:
        """Return the state, which must be of the same kind in every update.

        Where the rows stay ``known`` nothing is counted of the winning class.
        """
        labels, kind, weighted = given.labels, given.kind, given.weight is not None
        chosen = self._binning != USUAL
        if chosen and weighted:
            must = "be left out where bins are chosen, unless `evaluate` takes all rows at once"
            raise _check.invalid("sample_weight", must, "both")
        if self.state is None:
            winner = self._ranking and not known and (chosen or len(labels) > MOST_RANKED)
            self.state = EvaluationState(
                labels, kind, names, weighted=weighted, ranking=self._ranking, winner=winner
            )
        self.state.require(labels, kind, names, weighted=weighted)
        return self.state

    def merge(self, other: "Accumulator") -> None:
        """Add what another accumulator has seen; it stays as it is.

        Parameters
        ----------
        other : Accumulator
            Of the same classes, kind of scores, columns of ``by``, weights or none.

        Raises
        ------
        ValueError
            If it is not.
        """
        if self._binning != other._binning:
            raise _check.invalid("other", "have the `bins` of this one", other._binning.name)
        if self._base != other._base or self._ranking != other._ranking:
            must = "have the base and `ranking` of this one"
            raise _check.invalid("other", must, f"{other._base:g} and {other._ranking}")
        if (self.kept is None) != (other.kept is None):
            raise _check.invalid("other", "have the `once` of this one", other.kept is not None)
        if self.kept is not None and other.kept is not None:
            self.kept.merge(other.kept)
        self._seen += other._seen
        self._look_like_probs = self._look_like_probs and other._look_like_probs
        if other.state is None:
            return
        if self.state is None:
            self.state = other.state.empty()
        self.state.merge(other.state)

    def result(self) -> Report:
        """Return the report of all rows so far.

        Returns
        -------
        Report
            As `evaluate` makes it.

        Raises
        ------
        ValueError
            If there is no row that counts, or all logits look like probabilities.
        """
        if self.kept is not None and self.kept.lost:
            return self._without_doubles().result()
        found = summed_up(self)
        scores = None if self.state is None else self.state.scores
        return with_counts(found, scores, _check.log_of_base(self._base), self._binning)

    def _without_doubles(self) -> "Accumulator":
        """Return what each id that came counts once in."""
        found = self.empty()
        kept, found.kept = self.kept, None
        for batch in kept.batches() if kept is not None else ():
            found.add(batch.given, batch.columns, batch.ids)
        return found

    def save(self, path: str | os.PathLike[str], *, beside: Any = None) -> None:
        """Write the state as one file: whole or not at all, checksummed, no pickle.

        Parameters
        ----------
        path : str or PathLike
            The file. The same rows give the same bytes, in whatever order they came.
        beside : object, optional
            What JSON can say, to be found as ``beside`` by `load`: how far the work has come.

        Raises
        ------
        TypeError
            If a label, an id or a value of ``by`` is no text, number, boolean or None.
        """
        settings = {
            "labels": self._given_labels, "positive": self._positive, "ignore": self._ignore,
            "bins": self._bins,
            "normalize": self._normalize, "allow": self._allow, "ranking": self._ranking,
            "base": self._base.hex(), "seen": self._seen, "look": self._look_like_probs,
            "beside": beside,
        }  # fmt: skip
        if self.kept is not None:
            stored.require_plain("ids", (name for b in self.kept.held for name in b.ids))
            settings["once"], arrays = self.kept.said()
            stored.save(self.state, settings, path, arrays)
            return
        stored.require_plain("positive", [self._positive])
        stored.require_plain("ignore_index", [self._ignore])
        stored.save(self.state, settings, path)

    @classmethod
    def load(cls, path: str | os.PathLike[str]) -> "Accumulator":
        """Read what `save` wrote.

        Parameters
        ----------
        path : str or PathLike
            The file.

        Returns
        -------
        Accumulator
            It goes on where the other stopped.

        Raises
        ------
        FileNotFoundError, ValueError
            If there is no such file, or it is damaged, of another kind or of a newer version.
        """
        state, settings, arrays = stored.load(path)
        found = cls(
            settings["labels"], positive=settings["positive"], ignore_index=settings["ignore"],
            normalize=settings["normalize"], allow_probabilities=settings["allow"],
            ranking=settings["ranking"], bins=settings["bins"],
            base=float.fromhex(settings["base"]),
        )  # fmt: skip
        if "once" in settings:
            found.kept = RowsById.read(settings["once"], arrays)
        found.state, found._seen = state, settings["seen"]
        found._look_like_probs, found.beside = settings["look"], settings["beside"]
        return found


def summed_up(whole: Accumulator) -> Report:
    """Return the report of all rows so far, less what is said of the order of their scores."""
    state = whole.state
    if state is None or not state.tally.rows:
        raise _check.cannot("There is no report", "no row counts so far", "Call update first.")
    if state.kind == "logits" and whole._look_like_probs and not whole._allow:
        raise no_logits(2)
    unit = _check.log_of_base(whole._base)
    return result.report_of(
        state.tally, state.labels, whole._base, unit, state.slices, state.scores
    )


def _plain_bins(bins: int | Sequence[float] | str | None) -> int | list[float] | str | None:
    """Return what was said of bins as JSON can say it."""
    if bins is None or isinstance(bins, str):
        return bins
    return int(bins) if isinstance(bins, int | np.integer) else [float(edge) for edge in bins]


_NO_GUESS = np.empty(0), np.empty(0, np.int64)


def _counted_by_column(given: Predictions) -> bool:
    """Whether probabilities lie class by class, and every row counts, once."""
    plain = given.kind == "probs" and given.weight is None and given.columns is not None
    return plain and int(given.truth.min()) >= 0


def is_empty(target: Any) -> bool:
    """Whether there is no row at all: a batch that is empty is none."""
    return hasattr(target, "__len__") and len(target) == 0

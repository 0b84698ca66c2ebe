"""An accumulator as a file: the same sums are the same bytes, however they came about."""

import os
from typing import Any

import numpy as np
from numpy.typing import NDArray

from xent import _check, _store
from xent.evaluation._accumulator.scores.column import ScoreColumn
from xent.evaluation._accumulator.scores.held import HeldScores
from xent.evaluation._accumulator.slices import Slices
from xent.evaluation._accumulator.state import EvaluationState
from xent.evaluation._accumulator.sums import Slots, Sums
from xent.evaluation._accumulator.tally import RowTally
from xent.evaluation._accumulator.worst import WorstRow

FORMAT, VERSION = "xent.evaluation", 2
PLAIN_TYPES = (str, int, float, bool, type(None))

Arrays = dict[str, NDArray[Any]]
Said = dict[str, Any]


def save(
    state: EvaluationState | None,
    settings: Said,
    path: str | os.PathLike[str],
    beside: Arrays | None = None,
) -> None:
    """Write a state, which may be none, the settings that it goes on with, and other arrays."""
    said: Said = {"settings": settings}
    arrays: Arrays = dict(beside or {})
    if state is not None:
        require_plain("labels", state.labels)
        said |= {
            "labels": state.labels, "kind": state.kind, "weighted": state.weighted,
            "ranking": state.ranking, "winner": state.winner, "names": list(state.slices),
        }  # fmt: skip
        require_plain("by", said["names"])
        _put_tally(state.tally, said, arrays)
        for k, slices in enumerate(state.slices.values()):
            _put_slices(slices, f"slices{k}", said, arrays)
        for k, column in enumerate(state.scores.every):
            _put_column(column, f"scores{k}", said, arrays)
    _store.save(path, format=FORMAT, version=VERSION, state=said, arrays=arrays)


def load(path: str | os.PathLike[str]) -> tuple[EvaluationState | None, Said, Arrays]:
    """Read what `save` wrote: the state, the settings, and all arrays."""
    said, arrays = _store.load(path, format=FORMAT, version=VERSION)
    if "labels" not in said:
        return None, said["settings"], arrays
    state = EvaluationState(
        said["labels"], said["kind"], said["names"],
        weighted=said["weighted"], ranking=said["ranking"], winner=said["winner"],
    )  # fmt: skip
    _take_tally(state.tally, said, arrays)
    for k, slices in enumerate(state.slices.values()):
        _take_slices(slices, f"slices{k}", said, arrays)
    for k, column in enumerate(state.scores.every):
        _take_column(column, f"scores{k}", said, arrays)
    return state, said["settings"], arrays


def require_plain(argument: str, values: Any) -> None:
    """Refuse what JSON cannot say."""
    for value in values:
        if not isinstance(value, PLAIN_TYPES):
            must = "be text, numbers, booleans or None where they are saved"
            raise _check.wrong_kind(argument, must, repr(value))


def _put_sums(sums: Sums, name: str, said: Said, arrays: Arrays, order: Slots) -> None:
    arrays[name] = sums.limbs[order].copy()
    place = {int(slot): i for i, slot in enumerate(order.tolist())} if sums.beyond else {}
    beyond = {}
    for slot in sums.beyond:
        limbs, rest = sums.canonical(slot)
        arrays[name][place[slot]] = limbs
        if rest:
            beyond[str(place[slot])] = f"{rest:x}"
    said[name] = dict(sorted(beyond.items()))


def _take_sums(sums: Sums, name: str, said: Said, arrays: Arrays) -> None:
    sums.make_room(0, len(arrays[name]))
    sums.limbs[: len(arrays[name])] = arrays[name]
    sums.beyond = {int(slot): int(rest, 16) for slot, rest in said[name].items()}


def _sums_of(tally: RowTally) -> dict[str, Sums]:
    names = ("said", "spent", "cell_weights", "rank_weights", "totals", "floors")
    found: dict[str, Sums] = {name: getattr(tally, name) for name in names}
    if tally.per_class is not None:
        found["class_cost"] = tally.per_class.cost
        found |= {f"class_weight{k}": sums for k, sums in enumerate(tally.per_class.weights)}
    return found


def _put_tally(tally: RowTally, said: Said, arrays: Arrays) -> None:
    said["rows"] = tally.rows
    for name, sums in _sums_of(tally).items():
        sums.carry()
        _put_sums(sums, name, said, arrays, np.arange(len(sums.limbs)))
    for name in ("cells", "ranks", "endless"):
        arrays[name] = getattr(tally, name)
    if tally.per_class is not None:
        arrays["class_rows"] = tally.per_class.rows
    for name in ("endless_pairs", "endless_classes"):
        found = sorted(getattr(tally, name).items())
        arrays[name] = np.array(found, np.int64).reshape(-1, 2)
    pairs = tally.pairs
    said["pairs_lost"] = pairs.lost
    order = np.argsort(pairs.keys)
    arrays["pairs"] = np.stack([pairs.keys[order], pairs.rows[: pairs.used][order]])
    for name, sums in (("pair_cost", pairs.cost), ("pair_weight", pairs.weight)):
        sums.carry()
        _put_sums(sums, name, said, arrays, order if len(sums.limbs) else order[:0])
    require_plain("ids", [row.id for row in tally.worst.rows])
    said["worst"] = [
        [row.cost.hex(), row.number, row.truth, row.guess, row.given.hex(), row.id]
        for row in tally.worst.rows
    ]


def _take_tally(tally: RowTally, said: Said, arrays: Arrays) -> None:
    tally.rows = said["rows"]
    for name, sums in _sums_of(tally).items():
        _take_sums(sums, name, said, arrays)
    for name in ("cells", "ranks", "endless"):
        getattr(tally, name)[:] = arrays[name]
    if tally.per_class is not None:
        tally.per_class.rows[:] = arrays["class_rows"]
    for name in ("endless_pairs", "endless_classes"):
        getattr(tally, name).update((int(k), int(v)) for k, v in arrays[name])
    keys, rows = arrays["pairs"]
    tally.pairs.lost = said["pairs_lost"]
    places = tally.pairs.places(keys)
    tally.pairs.rows[places] = rows
    _take_sums(tally.pairs.cost, "pair_cost", said, arrays)
    _take_sums(tally.pairs.weight, "pair_weight", said, arrays)
    tally.worst.rows = [
        WorstRow(float.fromhex(cost), number, truth, guess, float.fromhex(given), name)
        for cost, number, truth, guess, given, name in said["worst"]
    ]


def _put_slices(slices: Slices, name: str, said: Said, arrays: Arrays) -> None:
    require_plain("by", slices.slots)
    values = sorted(slices.slots, key=lambda value: (type(value).__name__, repr(value)))
    order = np.array([slices.slots[value] for value in values], np.int64)
    said[name] = values
    arrays[name] = slices.counts[:, order]
    for part, sums in slices.sums.items():
        sums.carry()
        _put_sums(sums, f"{name}.{part}", said, arrays, order)


def _take_slices(slices: Slices, name: str, said: Said, arrays: Arrays) -> None:
    places = slices.places(said[name])
    slices.counts[:, places] = arrays[name]
    for part, sums in slices.sums.items():
        _take_sums(sums, f"{name}.{part}", said, arrays)


def _put_column(column: ScoreColumn, name: str, said: Said, arrays: Arrays) -> None:
    if not column.exact and column.cells is not None and not column.weighted:
        said[name], held = column.cells.said()
        arrays |= {name + part: array for part, array in held.items()}
        return
    held_scores = column.held()
    said[name] = "scores" if column.exact else "cells"
    arrays[name] = np.stack([held_scores.keys, held_scores.rows, held_scores.yes])
    for part, sums in (("weight", held_scores.weight), ("yes", held_scores.yes_weight)):
        some = Sums(0) if sums is None else sums
        some.carry()
        _put_sums(some, f"{name}.{part}", said, arrays, np.arange(len(some.limbs)))


def _take_column(column: ScoreColumn, name: str, said: Said, arrays: Arrays) -> None:
    form = said[name]
    if form is False:
        because = "its scores were counted in other cells"
        raise _check.cannot("The state cannot be read", because, "Evaluate its rows again.")
    if isinstance(form, dict):
        parts = ("", ".carried", ".parts", ".table")
        column.coarsen().take(form, {part: arrays[name + part] for part in parts})
        return
    keys, rows, yes = arrays[name]
    weights = [Sums(len(keys) if column.weighted else 0) for _ in range(2)]
    for part, sums in zip(("weight", "yes"), weights, strict=True):
        _take_sums(sums, f"{name}.{part}", said, arrays)
    held = HeldScores(keys, rows, yes, *(weights if column.weighted else ()))
    if form == "cells":
        column.coarsen().take_weighted(held)
    else:
        column.take(held)

"""`xent evaluate --against`: what another model's rows cost, as `--rows` wrote them."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from xent.evaluation import ModelComparison, Report


@dataclass(frozen=True)
class OldRows:
    """A file that `--rows` wrote.

    Parameters
    ----------
    path : Path
        The file.
    unit : str
        What its costs must be counted in: the name of their column.
    id : str or None
        Column that names the rows; by their numbers where not given.
    target : str
        What the new file calls the true classes.
    """

    path: Path
    unit: str
    id: str | None
    target: str

    def compared(
        self, file: Path, report: Report, each: Any, ids: list[Any] | None
    ) -> ModelComparison:
        """Pair the rows with those of a new model, and compare the two.

        Parameters
        ----------
        file : Path
            The new model's predictions.
        report, each : Report, RowFigures
            What it cost, and what each row did.
        ids : list or None
            What the new file's rows are called.
        """
        import numpy as np

        from xent import _check
        from xent.cli._score_options import names_of
        from xent.evaluation._compare._compare import compared, method_of

        table = self._read()
        rows = each.row.tolist()
        new = rows if ids is None else [str(ids[row]) for row in rows]
        old = table.column(self.id or "row").to_pylist()
        old = old if ids is None else [str(name) for name in old]
        place = self._places(new, old, file)
        taken = table.take(place)
        true = [str(report.labels[c]) for c in each.truth.tolist()]
        for row, mine, theirs in zip(rows, true, taken.column("target").to_pylist(), strict=True):
            if mine != str(theirs):
                must = f"have the true classes of {str(file)!r}"
                got = f"{str(theirs)!r} and not {mine!r} at row {row} of that"
                raise _check.invalid("--against", must, got)
        weight = taken.column("weight").to_numpy()
        if (weight != each.weight).any():
            at = int((weight != each.weight).argmax())
            must = f"have the weights of {str(file)!r}"
            got = f"{weight[at]:g} and not {each.weight[at]:g} at row {rows[at]} of that"
            raise _check.invalid("--against", must, got)
        costs = {
            "--against": costs_in(taken, self.unit, "--against"),
            "FILE": each.cost / np.log(report.base),
        }
        return compared(
            [(argument, "costs", cost) for argument, cost in costs.items()], None,
            names=names_of([self.path, file]), sample_weight=each.weight, groups=None, by=None,
            ids=None if ids is None else new, pairs="first",
            method=method_of("student", "t", 0.95, 10_000), seed=0, base=report.base,
        )  # fmt: skip

    def _read(self) -> Any:
        from xent import _check, _table

        table = _table.read(self.path, argument="--against")
        names = list(table.column_names)
        for name in ("target", "weight", self.unit, self.id or "row"):
            if name not in names:
                must = f"be a table that xent evaluate --rows wrote in {self.unit}"
                advice = f"{str(self.path)!r} has no column {name!r}."
                raise _check.invalid(
                    "--against", must, _check.join_names(names, last="and"), advice
                )
        return table

    def _places(self, new: list[Any], old: list[Any], file: Path) -> list[int]:
        """Return where each new row stands among the old; both have the same rows, each once."""
        from xent import _check

        place = {name: i for i, name in enumerate(old)}
        if len(place) < len(old):
            must = "name every row once"
            raise _check.invalid("--against", must, f"{len(place)} names of {len(old)} rows")
        known = set(new)
        lost = [name for name in new if name not in place]
        more = [name for name in old if name not in known]
        if lost or more:
            some = _check.join_names((lost or more)[:3], last="and")
            rows = _check.count(len(lost or more), "row")
            must = f"have the rows of {str(file)!r}, by {self.id or 'row'}"
            got = f"none for {some} ({rows})" if lost else f"{some} as well ({rows})"
            raise _check.invalid("--against", must, got)
        return [place[name] for name in new]


def costs_in(table: Any, name: str, option: str) -> Any:
    """Return a column of costs; infinite ones are numbers too."""
    import numpy as np
    import pyarrow as pa

    from xent import _check

    column = table.column(name)
    if not (pa.types.is_floating(column.type) or pa.types.is_integer(column.type)):
        raise _check.invalid(option, "name a column of numbers", f"{name!r} of {column.type}")
    found = column.cast(pa.float64(), safe=False).to_numpy().astype(np.float64)
    if np.isnan(found).any():
        row = int(np.isnan(found).argmax())
        raise _check.invalid(
            option, f"have a number in every row of {name!r}", f"none at row {row}"
        )
    return found

"""`xent evaluate`: predictions in, a report out."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from xent.cli import _data

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray


def register(app: typer.Typer) -> None:
    """Add the command."""

    @app.command()
    def evaluate(
        file: Annotated[
            Path,
            typer.Argument(metavar="FILE", help="Predictions: .csv, .tsv, .parquet, .jsonl, .npz."),
        ],
        target: Annotated[str, typer.Option(help="Column of true classes.")] = "target",
        probs: Annotated[
            str | None,
            typer.Option(
                help="Columns of probabilities, [bold]p_*[/] if not given; what * stands for "
                "names the class."
            ),
        ] = None,
        logits: Annotated[
            str | None,
            typer.Option(help="Columns of logits or log-probabilities, instead of --probs."),
        ] = None,
        normalize: Annotated[
            bool,
            typer.Option(
                "--normalize", help="Divide each row by its sum (if saved with few digits)."
            ),
        ] = False,
        base: _data.Base = "2",
        html: Annotated[Path | None, typer.Option(help="Write the report as a page.")] = None,
        json: Annotated[
            Path | None, typer.Option(help="Write everything as JSON; - prints it, and only it.")
        ] = None,
    ) -> None:
        """Say where the bits go: cross-entropy, calibration, classes, confusions."""
        import json as json_module

        from xent import _check, _store, _table
        from xent.evaluation import evaluate

        _data.check_outputs([file], {"--html": html, "--json": json})
        if str(html) == "-":
            raise _check.invalid("--html", "name a file", "'-'")
        if logits is not None and (probs is not None or normalize):
            other = "--normalize" if probs is None else "--probs"
            raise _check.invalid(other, "be left out where --logits is given", "both")
        logarithms = _data.base_of(base)
        option, pattern = ("--probs", probs or "p_*") if logits is None else ("--logits", logits)
        # As text, so that a class 01 is not taken for the number 1.
        table = _table.read(file, text=[target], argument="FILE")
        names = list(table.column_names)
        _table.require(target, names, file, argument="--target")
        found = _table.matching(pattern, names, file, argument=option)
        columns = [name for name in found if name != target]
        if len(columns) < 2:
            got = _check.join_names(columns) or "none"
            advice = "Of yes and no write both: p_yes, and p_no = 1 - p_yes."
            raise _check.invalid(option, "match a column for each class", got, advice)
        matrix = _table.numbers(table, columns, argument=option, masked=logits is not None)
        if len(matrix) == 0:
            raise _check.invalid("FILE", "have at least one row", f"{str(file)!r}")
        given = {"probs": _shares(matrix, normalize)} if logits is None else {"logits": matrix}
        truth = [
            _name(value) for value in _table.categories(table, target, argument="--target").tolist()
        ]
        with _data.words("target", "probs", "logits", "base"):
            report = evaluate(truth, **given, labels=_labels(pattern, columns), base=logarithms)
        text = json_module.dumps(report.to_dict(), ensure_ascii=False, indent=2)
        if html is not None:
            report.to_html(html, title=f"Where the {report.unit} of {file.name} go")
        if json is not None and str(json) != "-":
            with _store.writing(json, argument="--json") as out:
                out.write(text.encode() + b"\n")
        typer.echo(text if str(json) == "-" else str(report))
        if html is not None and str(json) != "-":
            typer.echo(f"\nThe page: {html}")


def _shares(matrix: NDArray[np.float64], normalize: bool) -> NDArray[np.float64]:
    """Divide rows by their sums where that was asked for; say how to ask where it is needed."""
    import numpy as np

    from xent import _check

    total = matrix.sum(axis=1, keepdims=True)
    if normalize:
        np.divide(matrix, total, out=matrix, where=total > 0)
        return matrix
    off = abs(total[:, 0] - 1) > 1e-6
    if off.any() and (matrix >= 0).all():
        row = int(off.argmax())
        advice = "If they were rounded when they were saved, pass --normalize."
        if (abs(total[:, 0] - 1) > 0.25).any():
            advice = "Logits go under --logits; rounded probabilities with --normalize."
        got = f"{total[row, 0]:.9g} at row {row}"
        raise _check.invalid("--probs", "sum to 1 in every row", got, advice)
    return matrix


def _labels(pattern: str, columns: list[str]) -> list[str]:
    """Name the classes by what the star stood for, where there is one star, else by the columns."""
    if pattern.count("*") != 1 or "," in pattern:
        return columns
    before, after = pattern.split("*")
    return [_name(column[len(before) : len(column) - len(after)]) for column in columns]


def _name(value: Any) -> str:
    """Write a class as a column name would: CSV spells booleans in lower case."""
    text = str(value)
    return text.lower() if text in ("True", "False") else text

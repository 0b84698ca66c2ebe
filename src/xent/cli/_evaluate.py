"""`xent evaluate`: predictions in, a report out."""

from pathlib import Path
from typing import Annotated, Any

import typer

from xent.cli import _data


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
            str,
            typer.Option(help="Columns of probabilities; what * stands for names the class."),
        ] = "p_*",
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

        import numpy as np

        from xent import _check, _store, _table
        from xent.evaluation import evaluate

        _data.check_outputs([file], {"--html": html, "--json": json})
        if str(html) == "-":
            raise _check.invalid("--html", "name a file", "'-'")
        logarithms = _data.base_of(base)
        # As text, so that a class 01 is not taken for the number 1.
        table = _table.read(file, text=[target], argument="FILE")
        names = list(table.column_names)
        _table.require(target, names, file, argument="--target")
        columns = [
            c for c in _table.matching(probs, names, file, argument="--probs") if c != target
        ]
        matrix = _table.numbers(table, columns, argument="--probs")
        if len(matrix) == 0:
            raise _check.invalid("FILE", "have at least one row", f"{str(file)!r}")
        total = matrix.sum(axis=1, keepdims=True)
        if normalize:
            matrix = np.divide(matrix, total, out=matrix, where=total > 0)
        elif (matrix >= 0).all() and (abs(total - 1) > 1e-6).any():
            row = int((abs(total - 1) > 1e-6).argmax())
            advice = "If they were rounded when they were saved, pass --normalize."
            got = f"{total[row, 0]:.9g} at row {row}"
            raise _check.invalid("--probs", "sum to 1 in every row", got, advice)
        truth = [
            _name(value) for value in _table.categories(table, target, argument="--target").tolist()
        ]
        with _data.words("target", "probs", "base"):
            report = evaluate(truth, matrix, labels=_labels(probs, columns), base=logarithms)
        text = json_module.dumps(report.to_dict(), ensure_ascii=False, indent=2)
        if html is not None:
            report.to_html(html, title=f"Where the bits of {file.name} go")
        if json is not None and str(json) != "-":
            with _store.writing(json, argument="--json") as out:
                out.write(text.encode() + b"\n")
        typer.echo(text if str(json) == "-" else str(report))
        if html is not None and str(json) != "-":
            typer.echo(f"\nThe page: {html}")


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

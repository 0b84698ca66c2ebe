"""`xent predict`: a model and a table in, probabilities out."""

from pathlib import Path
from typing import Annotated, Any

import typer

from xent.cli import _data
from xent.cli._tables import DATA_HELP, TableOptions, with_options
from xent.cli._training._labelled import batches
from xent.cli._training._train import text_columns


@with_options("names", "drop")
def predict(
    model: Annotated[
        Path, typer.Argument(metavar="MODEL", help="A model that `xent train` wrote.")
    ],
    data: Annotated[str, typer.Argument(metavar="DATA", help=DATA_HELP)],
    output: Annotated[
        Path,
        typer.Option(
            "--output",
            "-o",
            help="Write the predictions to this file: .csv, .parquet, .jsonl, .npz.",
        ),
    ] = Path("predictions.csv"),
    *,
    reading: TableOptions,
) -> None:
    """Predict the class of every row of a table, of any size.

    The file has a probability p_CLASS for each class, its natural logarithm l_CLASS (which
    stays a number where the probability rounds to 0), the prediction, and the target where
    DATA has it.

    Example: xent predict digits.xent digits-test --output predictions.csv
    """
    from xent import _check, _table
    from xent.training import TrainedModel

    _data.check_outputs([data, model], {"--output": output})
    with _data.words(path="MODEL"):
        trained = TrainedModel.load(model)
    _check_names(trained)
    text = [] if trained.encoder is None else text_columns(trained.encoder)
    if trained.classifier.classes_.dtype.kind == "U":
        text.append(trained.target)
    rows, known = 0, False
    with _table.writing(output, argument="--output") as add:
        for batch in batches(data, reading, text):
            columns = _said(trained, batch)
            known = trained.target in batch.schema.names
            if known:
                columns[trained.target] = batch.column(trained.target)
            add(columns)
            rows += len(batch)
        if not rows:
            raise _check.invalid("DATA", "have at least one row", f"none in {data!r}")
    typer.echo(f"{_check.count(rows, 'prediction')}: {output}")
    if known:
        typer.echo(
            f"Evaluate them: xent evaluate {output} --target {trained.target} --log-probs 'l_*'"
        )


def _check_names(trained: Any) -> None:
    """Refuse a model whose predictions would have two columns of one name."""
    from xent import _check

    classes = trained.classifier.classes_.tolist()
    names = [f"{kind}_{c}" for kind in "pl" for c in classes] + ["prediction", trained.target]
    if len(set(names)) < len(names):
        twice = next(name for i, name in enumerate(names) if name in names[:i])
        must = "give every column of the predictions a name of its own"
        advice = "Rename the target and train anew."
        raise _check.invalid("MODEL", must, f"two {twice!r}", advice)


def _said(trained: Any, batch: Any) -> dict[str, Any]:
    """Return probabilities, their logarithms and the prediction as columns."""
    import numpy as np

    from xent import _table

    _data.require(batch.schema.names, trained.columns)
    X = batch
    if trained.encoder is None:
        X = _table.numbers(batch, trained.columns, argument="DATA")
    with _data.words("na", X="DATA"):
        log_probs = trained.predict_log_proba(X)
    classes = trained.classifier.classes_
    columns = {f"p_{c}": np.exp(log_probs[:, j]) for j, c in enumerate(classes.tolist())}
    columns |= {f"l_{c}": log_probs[:, j] for j, c in enumerate(classes.tolist())}
    columns["prediction"] = classes[log_probs.argmax(axis=1)]
    return columns

"""`xent predict`: a model and a table in, probabilities out."""

from pathlib import Path
from typing import Annotated

import typer

from xent.cli import _data
from xent.cli._tables import DATA_HELP, TableOptions, load, with_options


def register(app: typer.Typer) -> None:
    """Add the command."""

    @app.command()
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
        """Predict the class of every row of a table.

        The file has a probability p_CLASS for each class, its natural logarithm l_CLASS (which
        stays a number where the probability rounds to 0), the prediction, and the target where
        DATA has it.

        Example: xent predict digits.xent digits-test --output predictions.csv
        """
        import numpy as np

        from xent import _check, _table
        from xent.training import TrainedModel

        _data.check_outputs([data, model], {"--output": output})
        with _data.words(path="MODEL"):
            trained = TrainedModel.load(model)
        classes = trained.classifier.classes_
        kinds = ("p", "l")
        scores = [f"{kind}_{c}" for kind in kinds for c in classes.tolist()]
        names = [*scores, "prediction", trained.target]
        if len(set(names)) < len(names):
            twice = next(name for i, name in enumerate(names) if name in names[:i])
            must = "give every column of the predictions a name of its own"
            raise _check.invalid(
                "MODEL", must, f"two {twice!r}", "Rename the target and train anew."
            )
        table = load(data, reading, columns=trained.columns)
        log_probs = trained.predict_log_proba(table.X)
        columns = dict(zip(scores, [*np.exp(log_probs).T, *log_probs.T], strict=True))
        columns["prediction"] = classes[log_probs.argmax(axis=1)]
        known = trained.target in table.table.column_names
        if known:
            columns[trained.target] = table.table.column(trained.target)
        _table.write(output, columns, argument="--output")
        typer.echo(f"{_check.count(len(table.X), 'prediction')}: {output}")
        if known:
            typer.echo(
                f"Evaluate them: xent evaluate {output} --target {trained.target} --log-probs 'l_*'"
            )

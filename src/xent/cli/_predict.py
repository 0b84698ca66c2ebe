"""`xent predict`: a model and a table in, probabilities out."""

from pathlib import Path
from typing import Annotated

import typer

from xent.cli import _data


def register(app: typer.Typer) -> None:
    """Add the command."""

    @app.command()
    def predict(
        model: Annotated[Path, typer.Argument(help="A model that `xent train` wrote.")],
        data: Annotated[str, typer.Argument(metavar="DATA", help=_data.DATA_HELP)],
        output: Annotated[
            Path,
            typer.Option(help="Where the predictions shall stand: .csv, .parquet, .jsonl, .npz."),
        ] = Path("predictions.csv"),
    ) -> None:
        """Predict every row: columns p_CLASS, the prediction, and the target where DATA has it."""
        import numpy as np

        from xent import _table
        from xent.training import TrainedModel

        trained = TrainedModel.load(model)
        table = _data.load(
            data, target=trained.target, columns=trained.columns, optional_target=True
        )
        log_probs = trained.predict_log_proba(table.X)
        classes = trained.classifier.classes_
        columns = {f"p_{c}": p for c, p in zip(classes.tolist(), np.exp(log_probs).T, strict=True)}
        columns["prediction"] = classes[log_probs.argmax(axis=1)]
        if len(table.labels):
            columns[trained.target] = table.labels
        _table.write(output, columns, argument="--output")
        typer.echo(f"{len(table.X):,} predictions: {output}")
        if len(table.labels):
            typer.echo(f"Evaluate them: xent evaluate {output} --target {trained.target}")

"""`xent train`: a table in, a model out."""

from pathlib import Path
from typing import Annotated

import typer

from xent.cli import _data
from xent.cli._help import one_of
from xent.cli._tables import DATA_HELP, TableOptions, load, with_options, words


def register(app: typer.Typer) -> None:
    """Add the command."""

    @app.command()
    @with_options()
    def train(
        data: Annotated[str, typer.Argument(metavar="DATA", help=DATA_HELP)],
        model: Annotated[
            Path,
            typer.Option("--model", "--output", "-o", help="Write the model to this file."),
        ],
        target: Annotated[
            str | None, typer.Option(help="Column with the class of each row.")
        ] = None,
        features: Annotated[
            str | None,
            typer.Option(
                help="Columns to learn from, like 'x_*,age'; by default all but the target."
            ),
        ] = None,
        validation: Annotated[
            str | None,
            typer.Option(help="Held-out data, with the same columns, to measure the model on."),
        ] = None,
        loss: Annotated[
            str,
            typer.Option(
                help="The loss: cross_entropy, binary_cross_entropy, mse_softmax or mse_sigmoid."
            ),
        ] = "cross_entropy",
        hidden: Annotated[
            str, typer.Option(help="Units of each hidden layer, like 64,32; none by default.")
        ] = "",
        epochs: Annotated[int, typer.Option(help="Passes over the data.")] = 10,
        batch_size: Annotated[int, typer.Option(help="Rows in each step of the optimizer.")] = 64,
        learning_rate: Annotated[float, typer.Option(help="Learning rate of the optimizer.")] = 0.5,
        optimizer: Annotated[
            str,
            typer.Option(
                help="The optimizer: sgd, adam or adamw.",
                autocompletion=one_of("sgd", "adam", "adamw"),
            ),
        ] = "sgd",
        seed: _data.Seed = 0,
        device: Annotated[str, typer.Option(help="Where to train: auto, cpu, cuda, ...")] = "auto",
        checkpoint: Annotated[
            Path | None,
            typer.Option(
                help="File written after every epoch; a run that was stopped goes on from it."
            ),
        ] = None,
        allow_other_bits: Annotated[
            bool,
            typer.Option(
                "--allow-other-bits",
                help="Go on from --checkpoint with other threads, torch or device than before.",
            ),
        ] = False,
        *,
        reading: TableOptions,
    ) -> None:
        """Train a softmax classifier under the loss you name.

        Features are scaled to [0, 1] by their range in DATA; the scaling is kept in the model.

        The same command with the same --checkpoint goes on where it was stopped.
        More --epochs train on from there.

        Example: xent train digits-train --model digits.xent --validation digits-test
        """
        from xent import _check, _table

        units = _units(hidden)
        _check.integer("--epochs", epochs, least=1)
        _check.integer("--batch-size", batch_size, least=1)
        _data.check_outputs([data, validation], {"--model": model, "--checkpoint": checkpoint})
        table = load(data, reading, target=target, features=features)
        held = None
        if validation is not None:
            held = load(validation, reading, target=table.target, columns=table.columns)
            names = held.table.column_names
            _table.require(table.target, names, validation, argument="--validation")

        from xent.training import Scaling, SoftmaxClassifier, TrainedModel

        scaling = Scaling.of(table.X)
        classifier = SoftmaxClassifier(
            loss=loss,
            hidden=units,
            epochs=epochs,
            batch_size=batch_size,
            learning_rate=learning_rate,
            optimizer=optimizer,
            random_state=seed,
            device=device,
        )
        pair = None if held is None else (scaling.apply(held.X), held.labels)
        known = ("loss", "hidden", "epochs", "learning_rate", "optimizer", "device", "checkpoint",
                 "allow_other_bits")  # fmt: skip
        with words(*known, "validation", X="DATA", y="--target", random_state="--seed"):
            X, y = scaling.apply(table.X), table.labels
            classifier.fit(
                X, y, validation=pair, checkpoint=checkpoint, allow_other_bits=allow_other_bits
            )
        TrainedModel(classifier, scaling, table.columns, table.target).save(model)
        history = classifier.history_
        typer.echo(
            f"{_check.count(len(table.X), 'row')}, {_check.count(len(table.columns), 'feature')}, "
            f"{_check.count(len(classifier.classes_), 'class')} of {table.target!r}."
        )
        typer.echo(
            f"{loss} after {_check.count(epochs, 'epoch')}: {history['loss'][-1]:.4f}{_unit(loss)}"
        )
        if pair is not None:
            typer.echo(
                f"held out: {history['validation_bits'][-1]:.4f} bits a row, "
                f"accuracy {100 * history['validation_accuracy'][-1]:.1f} %"
            )
        typer.echo(f"Model: {model}")


def _unit(loss: str) -> str:
    # Squares have no unit, and the binary loss is a mean over rows and classes.
    return {"cross_entropy": " nats a row", "binary_cross_entropy": " nats a yes or no"}.get(
        loss, ""
    )


def _units(text: str) -> list[int]:
    from xent import _check

    try:
        return [int(part) for part in text.split(",") if part.strip()]
    except ValueError:
        raise _check.invalid("--hidden", "be numbers of units like 64,32", repr(text)) from None

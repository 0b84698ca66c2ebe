"""`xent train`: a table in, a model out."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from xent.cli import _data
from xent.cli._help import one_of
from xent.cli._tables import DATA_HELP, TableOptions, with_options, words
from xent.cli._training._labelled import LabelledTable, read_held_out, read_labelled

if TYPE_CHECKING:
    from xent.training import SoftmaxClassifier, TableEncoder

SAID_KINDS = ("number", "name", "boolean", "date", "time", "duration")


@with_options()
def train(
    data: Annotated[str, typer.Argument(metavar="DATA", help=DATA_HELP)],
    model: Annotated[
        Path,
        typer.Option("--model", "--output", "-o", help="Write the model to this file."),
    ],
    target: Annotated[
        str | None, typer.Option("--target", "-t", help="Column with the class of each row.")
    ] = None,
    features: Annotated[
        str | None,
        typer.Option(help="Columns to learn from, like 'x_*,age'; by default all but the target."),
    ] = None,
    validation: Annotated[
        str | None,
        typer.Option(
            help="Rows to hold out and measure the model on: a share between 0 and 1 of each "
            "class, or a file with the same columns.",
            metavar="SHARE|FILE",
        ),
    ] = None,
    drop_missing_target: Annotated[
        bool,
        typer.Option("--drop-missing-target", help="Leave out rows whose target is missing."),
    ] = False,
    scale: Annotated[
        str | None,
        typer.Option(
            help="How numbers are scaled: standard (mean and deviation) or range (to [0, 1]). By "
            "default range where all columns are numbers, as pixels are, else standard.",
            autocompletion=one_of("standard", "range"),
        ),
    ] = None,
    max_levels: Annotated[
        int, typer.Option(help="How many names of one column have a feature of their own.")
    ] = 100,
    loss: Annotated[
        str,
        typer.Option(
            help="The loss: cross_entropy, binary_cross_entropy, mse_softmax, mse_sigmoid, focal, "
            "...; with options, like cross_entropy:label_smoothing=0.1.",
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
            help="The optimizer: sgd, adam or adamw; with options, like sgd:momentum=0.9.",
            autocompletion=one_of("sgd", "adam", "adamw"),
        ),
    ] = "sgd",
    schedule: Annotated[
        str | None,
        typer.Option(help="The learning rate of each epoch, by torch's name: CosineAnnealingLR."),
    ] = None,
    patience: Annotated[
        int | None,
        typer.Option(
            help="End after so many epochs without a lower held-out cross-entropy, and keep the "
            "best network."
        ),
    ] = None,
    class_weight: Annotated[
        str | None,
        typer.Option(help="balanced: all classes count alike.", autocompletion=one_of("balanced")),
    ] = None,
    weights: Annotated[
        str | None, typer.Option(help="Column of weights of the rows, which is no feature.")
    ] = None,
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
    """Train a softmax classifier under the loss you name, on a table as it is.

    Names become one-hot, numbers are scaled, gaps have a feature of their own, dates keep their
    place in the year, the week and the day. How is kept in the model.

    The same command with the same --checkpoint goes on where it was stopped.
    More --epochs train on from there.

    Example: xent train digits-train --model digits.xent --validation digits-test
    """
    from xent import _check

    units = _units(hidden)
    _check.integer("--epochs", epochs, least=1)
    _check.integer("--batch-size", batch_size, least=1)
    share = _share(validation)
    file = validation if share is None else None
    _data.check_outputs([data, file], {"--model": model, "--checkpoint": checkpoint})
    table = read_labelled(
        data,
        reading,
        target=target,
        features=features,
        weights=weights,
        drop_missing=drop_missing_target,
    )

    from xent.training import SoftmaxClassifier, TrainedModel

    held = None
    if share is not None:
        table, held = _parted(table, share, seed)
    encoder = _encoder(table, scale, max_levels)
    if file is not None:
        text = text_columns(encoder)
        held = read_held_out(file, reading, table, text, drop_missing=drop_missing_target)
    classifier = SoftmaxClassifier(
        loss=loss,
        hidden=units,
        epochs=epochs,
        batch_size=batch_size,
        learning_rate=learning_rate,
        optimizer=optimizer,
        random_state=seed,
        device=device,
        class_weight=class_weight,
        schedule=schedule,
        patience=patience,
    )
    with _typed():
        X = encoder.transform(table.features)
    pair = None
    if held is not None:
        with _typed(X="--validation"):
            pair = (encoder.transform(held.features), held.labels)
    with _typed():
        classifier.fit(
            X,
            table.labels,
            table.weight,
            validation=pair,
            checkpoint=checkpoint,
            allow_other_bits=allow_other_bits,
        )
    columns = list(table.features.column_names)
    TrainedModel(classifier, None, columns, table.target, encoder).save(model)
    _say_what_is_read(table, encoder)
    _say_what_was_trained(classifier, held)
    typer.echo(f"Model: {model}")


def _typed(**others: str) -> Any:
    """Let refusals of the room name what was typed."""
    known = ("loss", "hidden", "epochs", "learning_rate", "optimizer", "device", "checkpoint",
             "allow_other_bits", "validation", "scale", "max_levels", "class_weight", "schedule",
             "patience", "batch_size")  # fmt: skip
    typed = {"X": "DATA", "y": "--target", "random_state": "--seed", "sample_weight": "--weights"}
    return words(*known, **{**typed, **others})


def _share(validation: str | None) -> float | None:
    """Return the share of rows to hold out, None where a file is named."""
    from xent import _check

    try:
        share = float(validation or "")
    except ValueError:
        return None
    advice = "Or name a file, such as ./test.csv."
    return _check.share("--validation", share, advice)


def _parted(table: LabelledTable, share: float, seed: int) -> tuple[LabelledTable, LabelledTable]:
    """Return the rows to train on and those held out."""
    from xent.training._split import hold_out

    with _typed():
        held = hold_out(table.labels, share, seed)
    return table.rows(~held), table.rows(held)


def _encoder(table: LabelledTable, scale: str | None, max_levels: int) -> TableEncoder:
    """Learn from the rows to train on how columns become numbers."""
    import pyarrow as pa

    from xent.training import TableEncoder

    types = table.features.schema.types
    numbers = all(pa.types.is_integer(kind) or pa.types.is_floating(kind) for kind in types)
    with _typed():
        scale = scale or ("range" if numbers else "standard")
        return TableEncoder(scale, max_levels).fit(table.features)


def text_columns(encoder: TableEncoder) -> list[str]:
    """Return the columns whose names are text: 01 is not read as 1 where no row has letters."""
    return [
        column.name
        for column in encoder.columns_
        if column.kind == "name" and all(isinstance(level, str) for level in column.levels)
    ]


def _say_what_is_read(table: LabelledTable, encoder: TableEncoder) -> None:
    """Say how columns became features, and which are none."""
    from xent import _check
    from xent.training._encoding.column import NO_VALUES, SAME_VALUES

    columns = encoder.columns_
    classes = len(set(table.labels.tolist()))
    features = _check.count(len(encoder.get_feature_names_out()), "feature")
    typer.echo(
        f"{_check.count(len(table.labels), 'row')}, {features}, "
        f"{_check.count(classes, 'class')} of {table.target!r}."
    )
    kinds = [c.kind for c in columns if not c.left_out]
    found = [f"{kinds.count(kind)} of {kind}s" for kind in SAID_KINDS if kind in kinds]
    gaps = sum(column.gaps for column in columns)
    with_gaps = f"; {gaps} with gaps" if gaps else ""
    typer.echo(f"{_check.count(len(columns), 'column')}: {', '.join(found)}{with_gaps}")
    for why in (SAME_VALUES, NO_VALUES):
        if names := [c.name for c in columns if c.left_out == why]:
            typer.echo(f"left out, {why}: {_check.join_names(names, last='and', limit=8)}")
    if table.dropped:
        typer.echo(f"{_check.count(table.dropped, 'row')} without {table.target!r} left out")


def _say_what_was_trained(classifier: SoftmaxClassifier, held: LabelledTable | None) -> None:
    """Say the last loss, and what held-out rows cost."""
    from xent import _check

    history, loss = classifier.history_, classifier.loss_
    typer.echo(
        f"{loss} after {_check.count(len(history['loss']), 'epoch')}: "
        f"{history['loss'][-1]:.4f}{_unit(loss)}"
    )
    if held is not None:
        typer.echo(
            f"held out: {history['validation_bits'][-1]:.4f} bits a row, "
            f"accuracy {100 * history['validation_accuracy'][-1]:.1f} %, "
            f"{_check.count(len(held.labels), 'row')}"
        )


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

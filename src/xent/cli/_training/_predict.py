"""`xent predict`: a model and a table in, probabilities out."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from xent._terminal import as_typed
from xent.cli import _data
from xent.cli._tables._load import EMBEDDED
from xent.cli._tables._options import TableOptions, with_options
from xent.cli._training._module._code import code_of, module_factory
from xent.cli._training._module._dense import predict_dense
from xent.cli._training._rows._images import blocks, check_shape, read_part, size_of
from xent.cli._training._rows._labelled import batches, check_ids, text_columns
from xent.cli._training._rows._multilabel import (
    LabelColumns,
    check_label_names,
    labels_of,
    score_labels,
    truth_of_labels,
)
from xent.cli._training._scores import check_names, score_columns
from xent.cli._training._typed import refuse_for_images
from xent.cli._training._words import IMAGES_HELP

if TYPE_CHECKING:
    from xent.training import TrainedModel


@with_options("names", "drop")
def predict(
    model: Annotated[
        Path, typer.Argument(metavar="MODEL", help="A model that `xent train` wrote.")
    ],
    data: Annotated[str, typer.Argument(metavar="DATA", help=IMAGES_HELP)],
    output: Annotated[
        Path,
        typer.Option(
            "--output",
            "-o",
            help="Write the predictions to this file: .csv, .parquet, .jsonl, .npz.",
        ),
    ] = Path("predictions.csv"),
    ids: Annotated[
        list[str] | None,
        typer.Option("--id", help="Column of DATA to keep beside the predictions."),
    ] = None,
    image_size: Annotated[
        str | None,
        typer.Option(help="Bring images in folders to this size, columns by rows, like 28x28."),
    ] = None,
    module: Annotated[
        str | None,
        typer.Option(
            help="The network that MODEL was trained with, if it was: its file is RUN.",
            metavar="FILE.py:NAME",
        ),
    ] = None,
    *,
    reading: TableOptions,
) -> None:
    """Predict the class of every row of a table, of any size.

    The file has a probability p_CLASS for each class, its natural logarithm l_CLASS (which
    stays a number where the probability rounds to 0), the prediction, and the target where
    DATA has it. Where a row may have several labels, the logit z_LABEL is beside p_LABEL, and
    y_LABEL is 1 where it is there. Of a folder with MNIST's files those to hold out, t10k-*,
    are predicted. Of a model of `xent train --dense` the output is an NPZ with log_probs
    (N, C, ...), prediction and target.

    Example: xent predict digits.xent digits-test --output predictions.csv
    """
    from xent import _check, _table
    from xent.training import DenseClassifier, TrainedModel

    _data.check_outputs([data, model, code_of(module)], {"--output": output})
    with _data.words("module", path="MODEL"):
        trained = TrainedModel.load(model, None if module is None else module_factory(module, 0))
    if isinstance(trained.classifier, DenseClassifier):
        given = {"--id": ids, "--image-size": image_size, **reading.given()}
        for option, value in given.items():
            if value:
                must = "be left out where every place has a class"
                raise _check.invalid(option, must, repr(value))
        predict_dense(trained, data, output)
        return
    several = _several(trained)
    if several is None:
        check_names("MODEL", trained.classifier.classes_, [trained.target, *(ids or ())])
    else:
        check_label_names(several.labels, ids or ())
    size = size_of(image_size)
    rows, known = 0, False
    with _table.writing(output, argument="--output") as add:
        for columns in _pieces(trained, data, reading, size, ids or []):
            add(columns)
            rows += len(columns["prediction"])
            known = trained.target in columns or (
                several is not None and f"y_{several.labels[0]}" in columns
            )
        if not rows:
            raise _check.invalid("DATA", "have at least one row", f"none in {data!r}")
    typer.echo(f"{_check.count(rows, 'prediction')}: {as_typed(output)}")
    if known and several is not None:
        command = f"xent evaluate {as_typed(output)} --multilabel --target 'y_*' --logits 'z_*'"
        typer.echo(f"Evaluate them: {command}")
    elif known:
        typer.echo(
            f"Evaluate them: xent evaluate {as_typed(output)} "
            f"--target {as_typed(trained.target)} --log-probs 'l_*'"
        )


def _pieces(
    trained: TrainedModel,
    data: str,
    reading: TableOptions,
    size: tuple[int, int] | None,
    ids: list[str],
) -> Iterator[dict[str, Any]]:
    """Yield the predictions of a table, or of images, piece by piece, with the truth if known."""
    from xent import _check
    from xent.training._data.source import is_images

    if trained.shape:
        if data in EMBEDDED or (Path(data).exists() and not is_images(data)):
            must = "hold images, as MODEL was trained on"
            raise _check.invalid("DATA", must, f"the table {data!r}")
        refuse_for_images(data, {"--id": ids, **reading.given()})
        images = read_part(data, size)
        check_shape(images.images, trained.shape)
        for X, named, labels in blocks(images):
            said = score_columns(trained.classifier.classes_, trained.predict_log_proba(X))
            yield {**named, **said, trained.target: labels}
        return
    if data not in EMBEDDED and is_images(data) and not data.endswith(".npz"):
        raise _check.invalid("DATA", "be a table, as MODEL was trained on", f"images in {data!r}")
    if size is not None:
        raise _check.invalid("--image-size", "go with images", f"the table {data!r}")
    text = [] if trained.encoder is None else text_columns(trained.encoder)
    several = _several(trained)
    if trained.classifier.classes_.dtype.kind == "U" and (several is None or several.separator):
        text.append(trained.target)
    for batch in batches(data, reading, text):
        check_ids(ids, batch.schema.names, data, trained.target)
        columns = {name: batch.column(name) for name in ids} | _said(trained, batch, several)
        if several is not None:
            columns |= truth_of_labels(several, batch)
        elif trained.target in batch.schema.names:
            columns[trained.target] = batch.column(trained.target)
        yield columns


def _several(trained: TrainedModel) -> LabelColumns | None:
    """Return where the labels of rows stand, where a row may have several."""
    from xent.training import MultilabelClassifier

    return labels_of(trained) if isinstance(trained.classifier, MultilabelClassifier) else None


def _said(trained: TrainedModel, batch: Any, several: LabelColumns | None) -> dict[str, Any]:
    """Return what a model says of a piece of a table."""
    from xent import _table

    _data.require(batch.schema.names, trained.columns)
    X = batch
    if trained.encoder is None:
        X = _table.numbers(batch, trained.columns, argument="DATA")
    with _data.words("na", "decimal", X="DATA"):
        if several is not None:
            return score_labels(several, trained.decision_function(X))
        log_probs = trained.predict_log_proba(X)
    return score_columns(trained.classifier.classes_, log_probs)

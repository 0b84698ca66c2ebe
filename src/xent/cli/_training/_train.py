"""`xent train`: a table in, a model out."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from xent._terminal import as_typed
from xent.cli import _data
from xent.cli._help import one_of
from xent.cli._tables._load import EMBEDDED
from xent.cli._tables._options import TableOptions, with_options
from xent.cli._training._folds import FOLD, out_of_fold
from xent.cli._training._module._code import code_of, module_factory
from xent.cli._training._module._dense import train_dense
from xent.cli._training._rows._blocks import blocks_of, read_streamed
from xent.cli._training._rows._images import image_words, read_labelled_images, read_part, size_of
from xent.cli._training._rows._labelled import (
    LabelledTable,
    read_held_out,
    read_labelled,
    text_columns,
)
from xent.cli._training._rows._multilabel import check_label_names
from xent.cli._training._rows._prepared import OWN_LEVELS, Prepared, prepare
from xent.cli._training._said import (
    say_how_it_was_streamed,
    say_what_is_read,
    say_what_was_trained,
)
from xent.cli._training._scores import check_names
from xent.cli._training._typed import (
    check_buffer,
    check_dense,
    check_multilabel,
    out_of_fold_file,
    refuse_for_images,
    seconds_of,
    share_of,
    units_of,
)
from xent.cli._training._words import IMAGES_HELP, train_words

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from xent.cli._training._rows._prepared import Labelled

ROWS_A_STEP, INPUTS_A_STEP = 64, 8


@with_options()
def train(
    data: Annotated[str, typer.Argument(metavar="DATA", help=IMAGES_HELP)],
    model: Annotated[
        Path,
        typer.Option("--model", "--output", "-o", help="Write the model to this file."),
    ],
    target: Annotated[
        str | None, typer.Option("--target", "-t", help="Column with the class of each row.")
    ] = None,
    multilabel: Annotated[
        bool,
        typer.Option(
            "--multilabel",
            help="A row may have several labels: --target names columns of 1 and 0, like 'y_*', or "
            "one column that holds them all.",
        ),
    ] = False,
    label_separator: Annotated[
        str | None,
        typer.Option(help="What stands between the labels of one column of text, like ';'."),
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
    ] = OWN_LEVELS,
    loss: Annotated[
        str | None,
        typer.Option(
            help="The loss: cross_entropy, binary_cross_entropy, mse_softmax, mse_sigmoid, focal, "
            "...; with options, like cross_entropy:label_smoothing=0.1. By default cross_entropy, "
            "with --multilabel binary_cross_entropy.",
        ),
    ] = None,
    hidden: Annotated[
        str, typer.Option(help="Units of each hidden layer, like 64,32; none by default.")
    ] = "",
    module: Annotated[
        str | None,
        typer.Option(
            help="A network of your own: a class or function in a file of Python, which is RUN, "
            "with all that your user may do. It is called with features= and classes=, where it "
            "has such arguments, and returns a torch.nn.Module from rows to logits.",
            metavar="FILE.py:NAME",
        ),
    ] = None,
    dense: Annotated[
        bool,
        typer.Option(
            "--dense",
            help="Every place of an input has a class of its own, as the pixels of a mask "
            "have. DATA is an NPZ, or a folder of .npy, with x_train (N, ...) and "
            "y_train (N, H, W) or (N, L). --module gives logits (N, C, H, W) or (N, C, "
            "L).",
        ),
    ] = False,
    ignore: Annotated[
        int | None,
        typer.Option(help="With --dense: the class of places that do not count, like 255."),
    ] = None,
    epochs: Annotated[int, typer.Option(help="Passes over the data.")] = 10,
    batch_size: Annotated[
        int | None,
        typer.Option(help="Rows in each step of the optimizer; 64, and 8 with --dense."),
    ] = None,
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
        typer.Option(
            help="balanced makes all classes count alike, however many rows they have.",
            autocompletion=one_of("balanced"),
        ),
    ] = None,
    weights: Annotated[
        str | None, typer.Option(help="Column of weights of the rows, which is no feature.")
    ] = None,
    ids: Annotated[
        list[str] | None,
        typer.Option("--id", help="Column that names the rows, which is no feature."),
    ] = None,
    folds: Annotated[
        int | None,
        typer.Option(
            help="Also train this many models, each without one part of the rows, and "
            "predict that part."
        ),
    ] = None,
    out_of_fold_: Annotated[
        Path | None,
        typer.Option(
            "--out-of-fold",
            help="File for the predictions of --folds; out_of_fold.csv where not given.",
        ),
    ] = None,
    download: Annotated[
        str | None,
        typer.Option(
            help="mnist downloads its files into the folder DATA first, if they are not there.",
            autocompletion=one_of("mnist"),
        ),
    ] = None,
    buffer: Annotated[
        int | None,
        typer.Option(
            help="Hold only this many rows of a Parquet file, or images, in memory at once. "
            "Row groups are shuffled, and rows within the buffer.",
            metavar="ROWS",
        ),
    ] = None,
    image_size: Annotated[
        str | None,
        typer.Option(help="Bring images in folders to this size, columns by rows, like 28x28."),
    ] = None,
    seed: _data.Seed = 0,
    device: Annotated[str, typer.Option(help="Where to train: auto, cpu, cuda, ...")] = "auto",
    checkpoint: Annotated[
        Path | None,
        typer.Option(
            help="File written after every epoch; a run that was stopped goes on from it."
        ),
    ] = None,
    checkpoint_every: Annotated[
        str | None,
        typer.Option(
            help="Write the checkpoint at this interval, like 30s, 5m or 2h, within an epoch too.",
            metavar="TIME",
        ),
    ] = None,
    allow_other_bits: Annotated[
        bool,
        typer.Option(
            "--allow-other-bits",
            help="Go on from --checkpoint although threads, torch or device have changed; "
            "the last bits of the result may differ.",
        ),
    ] = False,
    log: Annotated[
        Path | None, typer.Option(help="CSV with a line for every epoch, written as it trains.")
    ] = None,
    *,
    reading: TableOptions,
) -> None:
    """Train a softmax classifier under the loss you name, on a table or images as they are.

    DATA is a table, or holds images: the IDX files of MNIST, mnist.npz, a folder of images for
    each class. Of MNIST's folder train-* is trained on and t10k-* held out.

    Names become one-hot, numbers are scaled, gaps have a feature of their own, dates keep their
    place in the year, the week and the day. The model remembers how.

    With --multilabel each label has a probability of its own, by a sigmoid.

    The file of --module is your own code and is run. MODEL keeps its weights, not its code:
    `xent predict` and `xent export` take the same --module.

    The same command with the same --checkpoint goes on where it was stopped.
    More --epochs train on from there.

    Example: xent train digits-train --model digits.xent --validation digits-test
    """
    from xent import _check

    units = units_of(hidden)
    _check.integer("--epochs", epochs, least=1)
    _data.check_seed(seed)
    if batch_size is None:
        batch_size = INPUTS_A_STEP if dense else ROWS_A_STEP
    _check.integer("--batch-size", batch_size, least=1)
    share = share_of(validation)
    file = validation if share is None else None
    predictions = out_of_fold_file(folds, out_of_fold_, validation)
    check_multilabel(multilabel, target, label_separator, class_weight)
    check_buffer(buffer, share, folds, multilabel, drop_missing_target)
    of_tables = {
        "--features": features,
        "--drop-missing-target": drop_missing_target,
        "--scale": scale,
        "--max-levels": None if max_levels == OWN_LEVELS else max_levels,
        "--weights": weights,
        "--id": ids,
        **reading.given(),
    }
    check_dense(
        dense,
        ignore,
        module,
        {
            "--target": target,
            "--multilabel": multilabel,
            **of_tables,
            "--folds": folds,
            "--hidden": hidden,
            "--download": download,
            "--buffer": buffer,
            "--image-size": image_size,
        },
    )
    seconds = seconds_of(checkpoint_every)
    outputs = {"--model": model, "--checkpoint": checkpoint, "--out-of-fold": predictions}
    outputs["--log"] = log
    _data.check_outputs([data, file, code_of(module)], outputs)
    from xent.training import DenseClassifier, MultilabelClassifier, SoftmaxClassifier
    from xent.training._data.source import is_images

    settings: dict[str, Any] = {
        "epochs": epochs,
        "batch_size": batch_size,
        "learning_rate": learning_rate,
        "optimizer": optimizer,
        "random_state": seed,
        "device": device,
        "schedule": schedule,
        "patience": patience,
    }
    if loss is not None:
        settings["loss"] = loss
    lasting: dict[str, Any] = {
        "checkpoint": checkpoint,
        "checkpoint_every": seconds,
        "allow_other_bits": allow_other_bits,
        "log": log,
    }
    made = None if module is None else module_factory(module, seed)
    if dense:
        network = DenseClassifier(class_weight=class_weight, ignore_index=ignore, **settings)
        with _way_on(checkpoint, checkpoint_every):
            train_dense(network, data, (share, file), str(module), made, seed, model, lasting)
        return

    if download is not None:
        from xent.training._data.download import download_mnist

        _check.option("--download", download, ("mnist",))
        with image_words():
            download_mnist(data)
    held: Labelled | None = None
    rows: Labelled
    size = size_of(image_size)
    images = data not in EMBEDDED and target is None and is_images(data)
    if images:
        refuse_for_images(data, of_tables)
        rows, held = read_labelled_images(data, size)
    else:
        if image_size is not None:
            raise _check.invalid("--image-size", "go with folders of images", repr(image_size))
        columns: dict[str, Any] = {
            "target": target,
            "features": features,
            "weights": weights,
            "ids": ids or (),
        }
        rows = (
            read_streamed(data, reading, buffer, seed=seed, **columns)
            if buffer
            else read_labelled(
                data,
                reading,
                **columns,
                drop_missing=drop_missing_target,
                multilabel=multilabel,
                separator=label_separator,
            )
        )
    if share is not None:
        rows, held = parted(rows, share, seed)
    several = rows.several if isinstance(rows, LabelledTable) else None
    others = [*rows.named(), *([] if predictions is None else [FOLD])]
    if several is not None:
        check_label_names(several.labels, others)
    elif predictions is not None:
        check_names("--target", _classes(rows), [*others, rows.target])
    prepared = prepare(rows, scale, max_levels)
    if file is not None and isinstance(rows, LabelledTable):
        text = text_columns(prepared.encoder)
        held = read_held_out(file, reading, rows, text, drop_missing=drop_missing_target)
    elif file is not None:
        held = read_part(file, size, argument="--validation")
    settings["hidden"] = units
    classifier = (
        SoftmaxClassifier(class_weight=class_weight, **settings)
        if several is None
        else MultilabelClassifier(**settings)
    )
    X: Any = blocks_of(data, reading, rows, prepared, buffer) if buffer else prepared.numbers(rows)
    if made is not None:
        width = X.features if buffer else X.shape[1]
        number = len(_classes(rows) if several is None else several.labels)
        classifier.set_params(module=made(features=width, classes=number))
    pair = None
    if held is not None:
        pair = (prepared.numbers(held, "--validation"), held.labels)
    with train_words(), _way_on(checkpoint, checkpoint_every):
        classifier.fit(
            X,
            rows.labels,
            rows.weight,
            classes=None if several is None else several.labels,
            validation=pair,
            **lasting,
        )
    if folds is not None and predictions is not None:
        scaled = scale if prepared.encoder is None else prepared.encoder.scale

        def learn(part: Labelled) -> Prepared:
            return prepare(part, scaled, max_levels)

        said = out_of_fold(rows, folds, seed, learn, classifier, predictions, made)
    prepared.model(classifier, several, module or "").save(model)
    say_what_is_read(rows, prepared)
    if buffer is not None:
        say_how_it_was_streamed(X, rows)
    say_what_was_trained(classifier, held)
    typer.echo(f"Model: {as_typed(model)}")
    if predictions is not None:
        typer.echo(said)


@contextmanager
def _way_on(checkpoint: Path | None, every: str | None) -> Iterator[None]:
    """Say how to go on where the training is interrupted."""
    try:
        yield
    except (KeyboardInterrupt, SystemExit):
        said = "Nothing of this run is kept: with --checkpoint FILE it could go on."
        if checkpoint is not None and checkpoint.exists():
            where = "after its last whole epoch" if every is None else "where it was last written"
            said = f"The same command goes on from {str(checkpoint)!r}, {where}."
        elif checkpoint is not None:
            when = "in its first epoch" if every is None else f"in its first {every}"
            said = f"It was stopped {when}: the same command starts afresh."
        typer.echo(said, err=True)
        raise


def _classes(rows: Labelled) -> NDArray[Any]:
    import numpy as np

    return np.unique(rows.labels)


def parted(rows: Labelled, share: float, seed: int) -> tuple[Labelled, Labelled]:
    """Return the rows to train on and those held out."""
    from xent.training._split import hold_out

    with train_words():
        held = hold_out(rows.labels, share, seed)
    # Rows that were left out are told once, of those to train on.
    return replace(rows.rows(~held), dropped=rows.dropped), rows.rows(held)

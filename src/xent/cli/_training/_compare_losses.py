"""`xent compare-losses`: one table, several losses, each at a shared rate and at its own best."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

import typer

from xent.cli import _data
from xent.cli._tables._load import EMBEDDED
from xent.cli._tables._options import TableOptions, with_options
from xent.cli._training._rows._images import read_labelled_images, read_part, size_of
from xent.cli._training._rows._labelled import (
    LabelledTable,
    read_held_out,
    read_labelled,
    text_columns,
)
from xent.cli._training._rows._prepared import prepare
from xent.cli._training._train import parted
from xent.cli._training._typed import refuse_for_images, share_of, units_of
from xent.cli._training._words import IMAGES_HELP, train_words

if TYPE_CHECKING:
    from xent.cli._training._rows._prepared import Labelled

COMPARED_LOSSES = "cross_entropy,binary_cross_entropy,mse_softmax,mse_sigmoid,double_softmax"
JUDGED_SHARE = 0.2  # where nothing is said, and DATA has no part to hold out


@with_options()
def compare_losses(
    data: Annotated[str, typer.Argument(metavar="DATA", help=IMAGES_HELP)],
    target: Annotated[
        str | None, typer.Option("--target", "-t", help="Column with the class of each row.")
    ] = None,
    losses: Annotated[
        str,
        typer.Option(
            help="Losses to compare, with options; the others are compared with the first."
        ),
    ] = COMPARED_LOSSES,
    validation: Annotated[
        str | None,
        typer.Option(
            help="Rows to judge by: a share between 0 and 1 of each class, or a file with "
            "the same columns. By default 0.2; of MNIST's folder t10k-*, if both parts are "
            "there.",
            metavar="SHARE|FILE",
        ),
    ] = None,
    rates: Annotated[
        str, typer.Option(help="Learning rates from which each loss's own is chosen.")
    ] = "0.05,0.15,0.5,1.5,5,15,50",
    seeds: Annotated[int, typer.Option(help="How many starts and shuffles, at least 2.")] = 5,
    learning_rate: Annotated[float, typer.Option(help="Learning rate that all share.")] = 0.5,
    hidden: Annotated[
        str, typer.Option(help="Units of each hidden layer, like 64,32; none by default.")
    ] = "",
    epochs: Annotated[int, typer.Option(help="Passes over the data.")] = 10,
    batch_size: Annotated[int, typer.Option(help="Rows in each step of the optimizer.")] = 64,
    optimizer: Annotated[
        str, typer.Option(help="The optimizer: sgd, adam or adamw; with options.")
    ] = "sgd",
    seed: _data.Seed = 0,
    *,
    reading: TableOptions,
) -> None:
    """Train the same classifier under several losses, and say what each costs on held-out rows.

    Each is trained at the rate that all share and at its own best, chosen on a fifth of the rows to
    train on, from the same starts and in the same order. Bits are means over the seeds; the
    interval is of the paired differences from the first loss.

    double_softmax, cross-entropy with a second softmax in front, can be looked at here.

    Example: xent compare-losses digits-train --validation digits-test --epochs 3 --seeds 2
    """
    units, names, grid = units_of(hidden), _losses(losses), _numbers(rates)
    _data.check_seed(seed)
    share = share_of(validation)
    file = validation if share is None else None
    from xent.training import SoftmaxClassifier, compare_losses_fairly, double_softmax_floor
    from xent.training._data.source import is_images

    rows: Labelled
    held: Labelled | None = None
    size = size_of(None)
    if data not in EMBEDDED and target is None and is_images(data):
        refuse_for_images(data, reading.given())
        rows, held = read_labelled_images(data, size)
    else:
        rows = read_labelled(data, reading, target=target)
    if held is None and validation is None:
        share = JUDGED_SHARE
    if share is not None:
        rows, held = parted(rows, share, seed)
    prepared = prepare(rows)
    if held is None or file is not None:
        if isinstance(rows, LabelledTable):
            held = read_held_out(str(file), reading, rows, text_columns(prepared.encoder))
        else:
            held = read_part(str(file), size, argument="--validation")
    settings = SoftmaxClassifier(
        hidden=units,
        epochs=epochs,
        batch_size=batch_size,
        learning_rate=learning_rate,
        optimizer=optimizer,
        random_state=seed,
    )
    with train_words(losses="--losses", rates="--rates", seeds="--seeds"):
        found = compare_losses_fairly(
            prepared.numbers(rows),
            rows.labels,
            names,
            validation=(prepared.numbers(held, "--validation"), held.labels),
            classifier=settings,
            rates=grid,
            seeds=seeds,
        )
    from xent import _check

    typer.echo(
        f"{len(rows.labels):,} rows to train on, {len(held.labels):,} held out; "
        f"{_check.count(epochs, 'epoch')}, {seeds} seeds. Held-out bits a row, fewer are better.\n"
    )
    typer.echo(str(found))
    if "double_softmax" in names:
        classes = len(set(rows.labels.tolist()))
        typer.echo(
            f"\nThe loss that double_softmax prints cannot fall below ln(1 + {classes - 1}/e) = "
            f"{double_softmax_floor(classes):.4f} nats: a loss that stops there is not a bad "
            "model, it is the second softmax."
        )


def _losses(text: str) -> list[str]:
    """Part names at commas; what has a value and no name of its own goes with the one before.

    >>> _losses("focal:gamma=2,alpha=0.5, nll")
    ['focal:gamma=2,alpha=0.5', 'nll']
    """
    names: list[str] = []
    for piece in (part.strip() for part in text.split(",")):
        if "=" in piece and ":" not in piece and names:
            names[-1] += "," + piece
        elif piece:
            names.append(piece)
    return names


def _numbers(text: str) -> list[float]:
    from xent import _check

    try:
        return [float(part) for part in text.split(",") if part.strip()]
    except ValueError:
        raise _check.invalid("--rates", "be numbers like 0.5,5,50", repr(text)) from None

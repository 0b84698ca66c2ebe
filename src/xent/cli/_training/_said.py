"""What `xent train` says when it is done: of the rows, of the encoding, of the model."""

from __future__ import annotations

from typing import TYPE_CHECKING

import typer

from xent.cli._tables._doubts import doubt_classes
from xent.cli._training._rows._labelled import LabelledTable

if TYPE_CHECKING:
    from xent.cli._training._rows._prepared import Labelled, Prepared
    from xent.training import SoftmaxClassifier, StreamedRows

SAID_KINDS = ("number", "name", "boolean", "date", "time", "duration")


def say_what_is_read(rows: Labelled, prepared: Prepared) -> None:
    """Say how columns became features, and which are none."""
    from xent import _check
    from xent.training._encoding.column import NO_VALUES, SAME_VALUES

    several = rows.several if isinstance(rows, LabelledTable) else None
    if several is None:
        known = set(rows.labels.tolist())
        doubt_classes(sorted(name for name in known if isinstance(name, str)))
        classes = _check.count(len(known), "class")
    else:
        classes = _check.count(len(several.labels), "label")
    number = _check.count(len(rows.labels), "row" if prepared.encoder else "image")
    if prepared.encoder is None:
        size = " x ".join(map(str, prepared.shape))
        typer.echo(f"{number} of {size}, {classes}.")
        return
    columns = prepared.encoder.columns_
    features = _check.count(len(prepared.encoder.get_feature_names_out()), "feature")
    typer.echo(f"{number}, {features}, {classes} of {rows.target!r}.")
    kinds = [c.kind for c in columns if not c.left_out]
    found = [f"{kinds.count(kind)} of {kind}s" for kind in SAID_KINDS if kind in kinds]
    gaps = sum(column.gaps for column in columns)
    with_gaps = f"; {gaps} with gaps" if gaps else ""
    typer.echo(f"{_check.count(len(columns), 'column')}: {', '.join(found)}{with_gaps}")
    for why in (SAME_VALUES, NO_VALUES):
        if names := [c.name for c in columns if c.left_out == why]:
            typer.echo(f"left out, {why}: {_check.join_names(names, last='and', limit=8)}")
    if several is not None and (none := int((rows.labels.max(axis=1) == 0).sum())):
        typer.echo(f"{_check.count(none, 'row')} without any label")
    if rows.dropped:
        typer.echo(f"{_check.count(rows.dropped, 'row')} without {rows.target!r} left out")


def say_how_it_was_streamed(blocks: StreamedRows, rows: Labelled) -> None:
    """Say what was in memory at once, and from how many rows the encoding is."""
    from xent import _check

    kind, of = "block", ""
    if isinstance(rows, LabelledTable):
        kind, of = "row group", f"; encoding learned from {len(rows.features):,} rows"
    number = _check.count(len(blocks.sizes), kind)
    typer.echo(f"{number}, shuffled, and rows within {blocks.buffer_rows:,} at once{of}")


def say_what_was_trained(classifier: SoftmaxClassifier, held: Labelled | None) -> None:
    """Say the last loss, and what held-out rows cost."""
    from xent import _check

    history, loss = classifier.history_, classifier.loss_
    typer.echo(
        f"{loss} after {_check.count(len(history['loss']), 'epoch')}: "
        f"{history['loss'][-1]:.4f}{unit_of(loss)}"
    )
    if held is not None:
        unit, each = "image", "an image"
        if isinstance(held, LabelledTable):
            unit, each = "row", "a row"
            if held.several is not None:
                each = "a label"
        typer.echo(
            f"held out: {history['validation_bits'][-1]:.4f} bits {each}, "
            f"accuracy {100 * history['validation_accuracy'][-1]:.1f} %, "
            f"{_check.count(len(held.labels), unit)}"
        )


def unit_of(loss: str, each: str = "row") -> str:
    """Return the unit of a loss: squares have none, the binary loss is a mean over classes too."""
    units = {"cross_entropy": f" nats a {each}", "binary_cross_entropy": " nats a yes or no"}
    return units.get(loss, "")

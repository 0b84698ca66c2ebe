"""`xent calibrate`: predictions and the truth in, a calibrator out; or both in, mended ones out."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from xent._terminal import as_typed
from xent.cli import _data
from xent.cli import _score_options as options
from xent.cli._evaluate import classes_in, kind_of, single
from xent.cli._help import one_of
from xent.cli._labels import codes_of, labels_of, numbers_of
from xent.cli._predictions import Files, Scores, score_columns, scores_of, spelled
from xent.cli._tables._options import TableOptions, with_options, words

if TYPE_CHECKING:
    from xent.evaluation import Calibrator


@with_options()
def calibrate(
    file: Annotated[
        Path,
        typer.Argument(
            metavar="FILE", help="Predictions: .csv, .tsv, .parquet, .arrow, .jsonl, .npz."
        ),
    ],
    model: Annotated[
        Path,
        typer.Option(help="File of the calibrator: it is written if --target is given, else read."),
    ],
    target: Annotated[
        str | None, typer.Option(help="Column with the true class of each row, to fit on.")
    ] = None,
    method: Annotated[
        str | None,
        typer.Option(
            help="Kind of calibrator: temperature, platt or isotonic.",
            autocompletion=one_of("temperature", "platt", "isotonic"),
        ),
    ] = None,
    output: Annotated[
        Path | None,
        typer.Option(
            "--output",
            "-o",
            help="Write the mended predictions to this file: .csv, .parquet, .jsonl, .npz.",
        ),
    ] = None,
    probs: options.ProbsOption = None,
    logits: options.LogitsOption = None,
    log_probs: options.LogProbsOption = None,
    positive: options.PositiveOption = None,
    labels: options.LabelsOption = None,
    truth: options.TruthOption = None,
    id_: options.IdOption = None,
    weights: options.WeightsOption = None,
    ignore: options.IgnoreOption = None,
    normalize: options.NormalizeOption = False,
    allow_probabilities: options.AllowProbabilitiesOption = False,
    base: Annotated[
        str | None,
        typer.Option(
            help="Base of the logarithm: 2 for bits (the default), e for nats, 10 for bans.",
            metavar="NUMBER",
        ),
    ] = None,
    *,
    reading: TableOptions,
) -> None:
    """Make probabilities believable: fit a calibrator where the truth is known, or use one.

    Example: xent calibrate predictions.csv --target digit --model calibrator.xent

    Example: xent calibrate new.csv --model calibrator.xent --output mended.csv
    """
    from xent import _check

    given = {"probs": probs, "logits": logits, "log_probs": log_probs}
    kind = kind_of(given, normalize=normalize, sure=allow_probabilities)
    outputs = {"--output": output} | ({"--model": model} if target is not None else {})
    _data.check_outputs([file, truth, *([] if target is not None else [model])], outputs)
    fitting = {
        "--method": method, "--truth": truth, "--id": id_, "--weights": weights,
        "--ignore": ignore, "--base": base,
    }  # fmt: skip
    _check_mode(target, output, fitting)
    logarithms = _data.base_of("2" if base is None else base)
    with words("base"):
        _check.log_of_base(logarithms, "a report")
    leave = [name for name in (target, id_, weights) if name is not None]
    files = Files(file, target or "", truth, id_)
    table = files.read(reading, [weights] if weights else []) if target else _read(file, reading)
    if table.num_rows == 0:
        raise _check.invalid("FILE", "have at least one row", f"{str(file)!r}")
    scores = scores_of(table, kind, given[kind], file, leave)
    spoken = words(
        "target", "labels", "positive", "base", "normalize", "allow_probabilities", "method",
        probs="--probs", logits="--logits", log_probs="--log-probs", sample_weight="--weights",
        ignore_index="--ignore", path="--model",
    )  # fmt: skip
    with spoken:
        if target is not None:
            scores = single(scores, kind, positive)
            scores, names = labels_of(scores, labels, given[kind])
            found = _fitted(
                files, table, scores, names, kind, positive=positive,
                codes=codes_of(scores, names, labels),
                method=method or "temperature", weights=weights, ignore=ignore,
                normalize=normalize, allow_probabilities=allow_probabilities,
            )  # fmt: skip
            found.save(model)
            _say(found, model, logarithms)
        else:
            found = _read_model(model)
            scores = _in_order(scores, found, positive, (labels, given[kind]), kind)
        if output is not None:
            mended = found.predict_log_proba(
                **{kind: scores.matrix}, normalize=normalize,
                allow_probabilities=allow_probabilities,
            )  # fmt: skip
            columns = score_columns(table, kind, given[kind], file, leave)[1]
            _write(output, found, table.drop_columns(columns), mended)


def _check_mode(target: str | None, output: Path | None, fitting: dict[str, Any]) -> None:
    """Refuse what goes with fitting alone where no truth is named, and a run without a result."""
    from xent import _check

    if target is not None:
        return
    for option, value in fitting.items():
        if value is not None:
            must = "be left out where there is no --target to fit on"
            raise _check.invalid(option, must, repr(str(value)))
    if output is None:
        advice = "To fit a calibrator, name the column of true classes with --target."
        must = "name a file for the mended predictions"
        raise _check.invalid("--output", must, "none", advice)


def _read(file: Path, reading: TableOptions) -> Any:
    from xent.cli._tables._file import TableFile

    return TableFile(file, reading, argument="FILE").read()


def _fitted(
    files: Files,
    table: Any,
    scores: Scores,
    names: list[str],
    kind: str,
    *,
    positive: str | None,
    codes: Mapping[float, str],
    method: str,
    weights: str | None,
    **settings: Any,
) -> Calibrator:
    from xent import _table
    from xent.evaluation import calibrate

    has = table.column_names
    _table.require(files.target, has, files.file, argument="--target")
    true, classes, yes = classes_in(table, files.target, scores, names, positive, codes)
    weight = None
    if weights is not None:
        _table.require(weights, has, files.file, argument="--weights")
        weight = _table.numbers(table, [weights], argument="--weights")[:, 0]
    ignore = settings.pop("ignore")
    given: dict[str, Any] = {kind: scores.matrix}
    return calibrate(
        true, **given, method=method, labels=classes, positive=yes,
        sample_weight=weight, ignore_index=ignore, **settings,
    )  # fmt: skip


def _read_model(model: Path) -> Calibrator:
    from xent.evaluation import Calibrator

    return Calibrator.load(model)


def _in_order(
    scores: Scores,
    found: Calibrator,
    positive: str | None,
    typed: tuple[str | None, str | None],
    kind: str,
) -> Scores:
    """Bring columns into the order of the calibrator's classes, which are named alike."""
    import numpy as np

    from xent import _check

    names = [spelled(label) for label in found.labels]
    option = "--" + kind.replace("_", "-")
    if scores.matrix.ndim == 2 and scores.matrix.shape[1] == 1 and len(names) == 2:
        if positive is not None and positive != names[1]:
            must = f"be {names[1]!r}, as when the calibrator was fitted"
            raise _check.invalid("--positive", must, repr(positive))
        if typed[0] is not None and [part.strip() for part in typed[0].split(",")] != names:
            must = f"be {','.join(names)!r}, as when the calibrator was fitted"
            raise _check.invalid("--labels", must, repr(typed[0]))
        return Scores(scores.matrix[:, 0], names)
    if positive is not None:
        must = "be left out where there is a column for each class"
        raise _check.invalid("--positive", must, repr(positive))
    scores, classes = labels_of(scores, *typed)
    if sorted(classes) != sorted(names):
        must = f"match columns of the classes {_check.join_names(names, last='and')}"
        got = _check.join_names(classes, last="and")
        advice = "Name them with --labels." if numbers_of(classes) else ""
        raise _check.invalid(option, must, got, advice)
    order = np.array([classes.index(name) for name in names])
    return Scores(scores.matrix[:, order], names)


def _say(found: Calibrator, model: Path, base: float) -> None:
    """Print what was fitted and what it saves."""
    import math

    from xent import _check
    from xent.evaluation._numbers import UNIT_NAMES

    unit = UNIT_NAMES.get(base, f"units of log {base:g}")
    size = math.log(base)
    at = "" if math.isnan(found.temperature) else f", temperature {found.temperature:.4g}"
    rows, these = _check.count(found.rows, "row"), "these"
    if found.impossible:  # what is infinite whatever is done is no part of the means
        these = f"the {found.rows - found.impossible:,} whose class was given more than 0"
    typer.echo(f"{found.method}{at}, fitted on {rows}: {as_typed(model)}")
    typer.echo(
        f"{found.after / size:.4f} {unit} a row on {these}; {found.before / size:.4f} without it"
    )


def _write(output: Path, found: Calibrator, rest: Any, mended: Any) -> None:
    """Write what other commands read: all other columns, then p_CLASS and l_CLASS."""
    import numpy as np

    from xent import _check, _table

    names = [spelled(label) for label in found.labels]
    columns = {name: rest.column(name) for name in rest.column_names}
    # What another column says of the model as it was is no longer true.
    for letter, values in (("p", np.exp(mended)), ("l", mended)):
        for name, column in zip(names, values.T, strict=True):
            columns.pop(f"{letter}_{name}", None)
            columns[f"{letter}_{name}"] = column
    if "prediction" in columns:
        columns["prediction"] = np.array(names)[mended.argmax(axis=1)]
    _table.write(output, columns, argument="--output")
    typer.echo(f"{_check.count(len(mended), 'prediction')}: {as_typed(output)}")

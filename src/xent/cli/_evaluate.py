"""`xent evaluate`: predictions in, a report out."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from xent._terminal import as_typed
from xent.cli import _data
from xent.cli import _score_options as options
from xent.cli._addresses import Address, with_addresses
from xent.cli._compare._against import OldRows
from xent.cli._kinds._options import KindOptions
from xent.cli._kinds._run import KindFile
from xent.cli._labels import (
    codes_of,
    doubt_codes,
    in_order,
    is_coded,
    labels_of,
    numbers_by_place,
    truth_as,
)
from xent.cli._predictions import Files, Scores, scores_of
from xent.cli._stream._measure import Question
from xent.cli._stream._options import StreamOptions
from xent.cli._stream._run import run
from xent.cli._tables._file import TableFile
from xent.cli._tables._options import (
    TableOptions,
    is_csv,
    options_from,
    read_numbers,
    with_options,
    words,
)

if TYPE_CHECKING:
    from xent.evaluation import Report

SHORT_JSON = 1 << 16  # characters of JSON that are written over many lines


def register(app: typer.Typer) -> None:
    """Add the command."""
    app.command()(evaluate)


@with_addresses("file", "truth", "prior", "against")
@with_options()
@options_from(KindOptions, "kinds")
@options_from(StreamOptions, "streaming")
def evaluate(
    file: Annotated[
        Path,
        typer.Argument(
            metavar="FILE", help="Predictions: .csv, .tsv, .parquet, .arrow, .jsonl, .npz, .npy."
        ),
    ],
    target: options.TargetOption = "target",
    probs: options.ProbsOption = None,
    logits: options.LogitsOption = None,
    log_probs: options.LogProbsOption = None,
    positive: options.PositiveOption = None,
    labels: options.LabelsOption = None,
    truth: options.TruthOption = None,
    id_: options.IdOption = None,
    weights: options.WeightsOption = None,
    by: options.ByOption = None,
    ignore: options.IgnoreOption = None,
    drop_missing_target: Annotated[
        bool,
        typer.Option("--drop-missing-target", help="Leave out rows whose target is missing."),
    ] = False,
    normalize: options.NormalizeOption = False,
    allow_probabilities: options.AllowProbabilitiesOption = False,
    once: options.OnceOption = False,
    prior: options.PriorOption = None,
    label_smoothing: options.LabelSmoothingOption = 0.0,
    bins: options.BinsOption = None,
    calibrator: options.CalibratorOption = None,
    base: _data.Base = "2",
    rows: Annotated[
        Path | None,
        typer.Option(help="Write what each row cost to this file: .parquet, .csv, .jsonl, .npz."),
    ] = None,
    against: Annotated[
        Path | None,
        typer.Option(
            help="A file that --rows wrote for another model: say how many bits lie between "
            "the two."
        ),
    ] = None,
    fail_above: Annotated[
        float | None,
        typer.Option(help="Exit with 1 unless the interval of the mean cost ends here or below."),
    ] = None,
    html: Annotated[Path | None, typer.Option(help="Write the report as a page.")] = None,
    lang: _data.Lang = None,
    json: options.JsonOption = None,
    schema: options.SchemaOption = False,
    *,
    kinds: KindOptions,
    streaming: StreamOptions,
    reading: TableOptions,
) -> None:
    """Say where the bits of predictions go: cross-entropy, calibration, classes, confusions.

    Example: xent evaluate predictions.csv --target digit --html report.html
    """
    from xent import _check
    from xent.evaluation._evaluate import evaluated
    from xent.evaluation._kinds._ordered import ordered_evaluated

    read = [None if isinstance(file, Address) else file, truth, prior, against]
    _data.check_outputs(read, {"--rows": rows, "--html": html, "--json": json,
                        "--checkpoint": streaming.checkpoint})  # fmt: skip
    if str(html) == "-":
        raise _check.invalid("--html", "name a file", "'-'")
    given = {"probs": probs, "logits": logits, "log_probs": log_probs}
    kind = kind_of(given, normalize=normalize, sure=allow_probabilities)
    logarithms = _data.base_of(base)
    _data.check_language(lang)
    if kinds.alone:
        streaming.refuse("where the file holds another kind of predictions")
        said = {
            "target": target, **given, "positive": positive, "labels": labels, "truth": truth,
            "id_": id_, "weights": weights, "by": by, "ignore": ignore, "normalize": normalize,
            "drop_missing_target": drop_missing_target,
            "allow_probabilities": allow_probabilities, "against": against, "html": html,
            "bins": bins, "calibrator": calibrator, "once": once, "prior": prior,
            "label_smoothing": label_smoothing,
        }  # fmt: skip
        other = KindFile(file, reading, kinds, kind, given[kind], logarithms, said)
        _finish(other.evaluated(), rows, json, fail_above, lang)
        return
    elsewhere = {
        "--truth": None if by_place(file, truth) else truth, "--rows": rows, "--against": against,
        "--ordered": kinds.ordered or None, "--once": once or None,
        "--bins": bins if weights else None,  # of equal scores it is not kept which weighs what
        "--drop-missing-target": drop_missing_target or None,
        "--calibrator": calibrator or None,
    }  # fmt: skip
    if streaming.wanted(file, elsewhere):
        question = Question(
            reading, kind, given[kind], target, weights, id_, tuple(by or ()), positive, labels,
            ignore, (), normalize, allow_probabilities, logarithms, bins, truth,
        )  # fmt: skip
        report, codes = run(file, question, streaming)
        report = _with_baselines(report, prior, label_smoothing, target, codes, reading)
        _write(report, [], file, html, json, lang)
        if fail_above is not None:
            options.fail("the cross-entropy", report.high, fail_above, report.unit)
        return
    beside = [name for name in (weights, *(by or [])) if name is not None]
    if once and id_ is None:
        raise _check.invalid("--id", "name the column by which --once tells rows apart", "none")
    files = Files(file, target, truth, id_, once=once, pattern=given[kind])
    table, kept = _with_target(files.read(reading, beside), target, drop=drop_missing_target)
    others = _columns(table, files, {"--weights": [weights] if weights else [], "--by": by or []})
    scores = scores_of(table, kind, given[kind], file, [target, *others])
    scores = single(scores, kind, positive)
    scores, names = labels_of(scores, labels, given[kind])
    if kinds.ordered:
        scores, names = in_order(scores, names, labels)
    codes = codes_of(scores, names, labels)
    true, classes, yes = classes_in(table, target, scores, names, positive, codes)
    with words("target", "labels", "positive", "base", "normalize", "allow_probabilities", "by",
               "bins", calibrators="--calibrator",
               probs="--probs", logits="--logits", log_probs="--log-probs",
               sample_weight="--weights", ignore_index="--ignore"):  # fmt: skip
        report, each = evaluated(
            true, *(scores.matrix if kind == k else None for k in given), labels=classes,
            positive=yes, sample_weight=_weights(table, weights), ids=others.get(id_ or ""),
            by={name: others[name] for name in by or []}, ignore_index=ignore,
            normalize=normalize, allow_probabilities=allow_probabilities, base=logarithms,
            once=once, bins=options.bins_of(bins), calibrators=calibrator or (),
        )  # fmt: skip
        beyond = []
        if kinds.ordered:
            found, _ = ordered_evaluated(
                report, true, *(scores.matrix if kind == k else None for k in given),
                sample_weight=_weights(table, weights), ignore_index=ignore, normalize=normalize,
                allow_probabilities=allow_probabilities,
            )  # fmt: skip
            beyond.append(("ordered", found.beside(), found.lines))
    report = _with_baselines(report, prior, label_smoothing, target, codes, reading)
    placed = each
    if kept is not None:  # rows are told by their places in the file
        hardest = [replace(hard, row=int(kept[hard.row])) for hard in report.hardest]
        report, placed = replace(report, hardest=hardest), replace(each, row=kept[each.row])
    if against is not None:
        old = OldRows(against, report.unit, id_, target)
        compared = old.compared(file, report, each if id_ else placed, others.get(id_ or ""))
        beyond.append(("against", compared.to_dict(), compared.__str__))
    if rows is not None:
        named = {name: others[name] for name in (id_, *beside) if name}
        named = {name: [all_[i] for i in each.row.tolist()] for name, all_ in named.items()}
        _write_rows(rows, report, placed, named)
    _write(report, beyond, file, html, json, lang)
    if fail_above is not None:
        options.fail("the cross-entropy", report.high, fail_above, report.unit)


def by_place(file: Path, truth: Path | None) -> bool:
    """Whether true classes go by place beside predictions of which the file says how many."""
    from xent._table.files.endings import ARROW_FORMATS

    says_rows = (".npy", ".npz", ".parquet", *ARROW_FORMATS)
    return (
        truth is not None
        and truth.suffix.lower() == ".npy"
        and (file.is_dir() or file.suffix.lower() in says_rows)
    )


def _with_target(table: Any, target: str, *, drop: bool) -> tuple[Any, Any]:
    """Return the rows whose true class is known, and their places where others are left out.

    Others are refused unless they are to be dropped.
    """
    import numpy as np

    from xent import _check

    missing = table[target].null_count if target in table.column_names else 0
    if not missing:
        return table, None
    rows = _check.count(missing, "row")
    if not drop:
        must = f"hold a class in every row of column {target!r}"
        first = table[target].is_null().index(True).as_py()
        got = f"{rows} without, the first at row {first}"
        raise _check.invalid("--target", must, got, options.DROP)
    typer.secho(f"{rows} without {target!r} left out", err=True)
    known = table[target].is_valid()
    return table.filter(known), np.flatnonzero(known.to_numpy())


def _finish(
    found: tuple[Any, dict[str, Any]],
    rows: Path | None,
    json: Path | None,
    limit: float | None,
    lang: str | None,
) -> None:
    """Write and print what was found of another kind of predictions."""
    from xent import _check, _table
    from xent._lang import speaking

    report, columns = found
    if rows is not None and not columns:
        raise _check.invalid("--rows", "be left out where --class-axis is given", "both")
    if rows is not None:
        _table.write(rows, columns, argument="--rows")
    with speaking(lang):
        write_json(report.to_dict(), str(report), json)
    if limit is not None:
        units = getattr(report, "units", None)
        if units is None:
            options.fail("the cross-entropy", report.high, limit, report.unit)
        else:
            last = units[-1]  # a byte where texts were given, else a token
            options.fail(f"the cost of a {last.name}", last.high, limit, report.unit)


def kind_of(given: dict[str, str | None], *, normalize: bool, sure: bool = False) -> str:
    """Return which scores were asked for: probabilities where nothing was said.

    Only probabilities can be normalised, and only of logits one can be ``sure`` that they are.
    """
    from xent import _check

    typed = [kind for kind, pattern in given.items() if pattern is not None]
    options = ["--" + kind.replace("_", "-") for kind in typed]
    if len(typed) > 1:
        must = f"be left out where {options[-1]} is given"
        raise _check.invalid(options[0], must, "both")
    if normalize and typed and typed[0] != "probs":
        must = f"be left out where {options[0]} is given"
        raise _check.invalid("--normalize", must, "both")
    if sure and typed != ["logits"]:
        raise _check.invalid("--allow-probabilities", "go with --logits", (options or ["none"])[0])
    return typed[0] if typed else "probs"


def _columns(table: Any, files: Files, beside: dict[str, Sequence[str]]) -> dict[str, list[Any]]:
    """Return the columns that options want beside scores and truth, by name."""
    from xent import _check, _table

    names = list(table.column_names)
    if files.target not in names and files.truth is None and files.target == "target":
        advice = f"Name it with --target; the table has {_check.join_names(names, last='and')}."
        must = f"name a column of {str(files.file)!r}"
        raise _check.invalid("--target", must, repr(files.target), advice)
    _table.require(files.target, names, files.file, argument="--target")
    wanted = [files.id] if files.id else []
    for option, columns in beside.items():
        wanted += [_table.require(name, names, files.file, argument=option) for name in columns]
    if table.num_rows == 0:
        raise _check.invalid("FILE", "have at least one row", f"{str(files.file)!r}")
    return {name: table.column(name).to_pylist() for name in wanted}


def single(scores: Scores, kind: str, positive: str | None) -> Scores:
    """Make one column of it where it is of one class, which must be named."""
    from xent import _check

    if scores.matrix.ndim != 2 or scores.matrix.shape[1] != 1:
        return scores
    if positive is None:
        option = "--" + kind.replace("_", "-")
        got = _check.join_names(scores.classes)
        advice = "If it is the probability of one of two classes, pass --positive CLASS."
        raise _check.invalid(option, "match a column for each class", got, advice)
    return Scores(scores.matrix[:, 0], [])


def classes_in(
    table: Any,
    target: str,
    scores: Scores,
    names: list[str],
    positive: str | None,
    codes: Mapping[float, str],
) -> tuple[list[str], list[str] | None, str | None]:
    """Return the true classes, and the names of the classes, as one text each."""
    from xent import _table

    values = _table.categories(table, target, argument="--target").tolist()
    yes = positive
    if scores.matrix.ndim == 1:
        (yes,) = truth_as([positive], names, codes)
    true = truth_as(values, names or [str(yes)], codes)
    if numbers_by_place(scores, codes) and codes[0.0] not in true and is_coded(values, codes):
        doubt_codes(codes)
    return true, names or None, yes


def _with_baselines(
    report: Report,
    prior: Path | None,
    label_smoothing: float,
    target: str,
    codes: Mapping[float, str],
    reading: TableOptions,
) -> Report:
    """Return the report with the baselines that were asked for."""
    from collections import Counter
    from math import log

    from xent import _table
    from xent.evaluation._accumulator.baselines import with_baselines

    counts: dict[str, int] | None = None
    if prior is not None:
        reader = reading if is_csv(prior) else TableOptions(names=reading.names)
        table = TableFile(prior, reader, argument="--prior", text=[target]).read()
        _table.require(target, table.column_names, prior, argument="--target")
        values = _table.categories(table, target, argument="--prior").tolist()
        counts = Counter(truth_as(values, list(map(str, report.labels)), codes))
        named = {str(label): label for label in report.labels}
        counts = {named.get(name, name): times for name, times in counts.items()}
    with words("label_smoothing", "prior"):
        return with_baselines(report, counts, label_smoothing, log(report.base))


def _weights(table: Any, weights: str | None) -> Any:

    if weights is None:
        return None
    return read_numbers(table, [weights], argument="--weights")[:, 0]


def _write_rows(path: Path, report: Report, each: Any, others: dict[str, list[Any]]) -> None:
    """Write a row for each that counted: what was true, what was said, what it cost."""
    import numpy as np

    from xent import _table

    names = np.array(report.labels)
    columns = others | {
        "row": each.row,
        "target": names[each.truth],
        "prediction": names[each.guess],
        "probability": each.given,
        report.unit: each.cost / np.log(report.base),
        "weight": each.weight,
    }
    _table.write(path, columns, argument="--rows")


def _write(
    report: Report,
    beyond: list[tuple[str, dict[str, Any], Callable[[], str]]],
    file: Path,
    html: Path | None,
    json: Path | None,
    lang: str | None,
) -> None:
    from xent._lang import say, speaking
    from xent.evaluation._numbers import said_unit

    said = report.to_dict()
    with speaking(lang):
        shown = str(report)
        for name, found, text in beyond:
            said[name] = found
            shown += f"\n\n{text()}"
        if html is not None:
            unit = said_unit(report.base)
            title = say("Where the {unit} of {file} go", unit=unit, file=file.name)
            shown += "\n\n" + say("The page: {html}", html=as_typed(html))
            report.to_html(html, title=title)
    write_json(said, shown, json)


def write_json(said: dict[str, Any], shown: str, json: Path | None) -> None:
    """Print what was found; write it as JSON too, or print that alone where it goes to ``-``.

    Parameters
    ----------
    said : dict
        Plain data.
    shown : str
        The same for people.
    json : Path or None
        Where it shall be written.
    """
    import json as json_module

    from xent import _store

    text = json_module.dumps(said, ensure_ascii=False)
    if len(text) < SHORT_JSON:
        text = json_module.dumps(said, ensure_ascii=False, indent=2)
    if json is not None and str(json) != "-":
        with _store.writing(json, argument="--json") as out:
            out.write(text.encode() + b"\n")
    typer.echo(text if str(json) == "-" else shown)

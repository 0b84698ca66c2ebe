"""`xent compare`: two files of predictions or more in, how far apart they are out."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Annotated, Any

import typer

from xent._terminal import as_typed
from xent.cli import _data
from xent.cli import _score_options as options
from xent.cli._addresses import with_addresses
from xent.cli._compare._files import ModelFileOptions
from xent.cli._evaluate import kind_of, write_json
from xent.cli._help import one_of
from xent.cli._tables._options import TableOptions, is_csv, with_options, words

RESAMPLES = 10_000  # where nothing is said


@with_addresses("files", "truth")
@with_options()
def compare(
    files: Annotated[
        list[Path],
        typer.Argument(
            metavar="FILE FILE...",
            help="Predictions of the same rows, a file for each of two models or more.",
        ),
    ],
    target: options.TargetOption = "target",
    probs: options.ProbsOption = None,
    logits: options.LogitsOption = None,
    log_probs: options.LogProbsOption = None,
    costs: Annotated[
        str | None,
        typer.Option(
            help="Column with what each row costs, as xent evaluate --rows wrote it, instead "
            "of predictions."
        ),
    ] = None,
    positive: options.PositiveOption = None,
    labels: options.LabelsOption = None,
    truth: options.TruthOption = None,
    id_: options.IdOption = None,
    group: Annotated[
        str | None,
        typer.Option(
            help="Column that says which rows belong together and are not independent, like "
            "patients."
        ),
    ] = None,
    weights: options.WeightsOption = None,
    by: options.ByOption = None,
    ignore: options.IgnoreOption = None,
    normalize: options.NormalizeOption = False,
    allow_probabilities: options.AllowProbabilitiesOption = False,
    pairs: Annotated[
        str,
        typer.Option(
            help="Each against the [bold]first[/], or [bold]all[/] against all.",
            autocompletion=one_of("first", "all"),
        ),
    ] = "first",
    interval: Annotated[
        str,
        typer.Option(
            help="Kind of interval: student (of the paired differences) or bootstrap.",
            autocompletion=one_of("student", "bootstrap"),
        ),
    ] = "student",
    test: Annotated[
        str,
        typer.Option(
            help="Test that gives the p-value: t, sign_flip or bootstrap.",
            autocompletion=one_of("t", "sign_flip", "bootstrap"),
        ),
    ] = "t",
    confidence: Annotated[
        float, typer.Option(help="How often an interval is to hold the true difference, like 0.95.")
    ] = 0.95,
    resamples: Annotated[
        int | None,
        typer.Option(
            help="Number of resamples of the bootstrap, and of random sign flips; by default "
            "10,000."
        ),
    ] = None,
    seed: _data.Seed = 0,
    base: _data.Base = "2",
    fail_above: Annotated[
        float | None,
        typer.Option(help="Exit with 1 unless the interval of each difference ends here or below."),
    ] = None,
    html: Annotated[Path | None, typer.Option(help="Write the comparison as a page.")] = None,
    json: options.JsonOption = None,
    lang: _data.Lang = None,
    schema: options.SchemaOption = False,
    *,
    reading: TableOptions,
) -> None:
    """Say how many bits lie between models, and how sure that is; the first is the one to beat.

    Example: xent compare old.parquet new.parquet --id id --group patient
    """
    from xent import _check
    from xent._lang import say, speaking
    from xent.evaluation._compare._compare import compared, method_of

    if len(files) < 2:
        raise _check.invalid("FILE", "name two files or more", f"{str(files[0])!r} alone")
    _data.check_language(lang)
    for read in (truth, *files):
        _data.check_outputs([read], {"--html": html, "--json": json})
    if str(html) == "-":
        raise _check.invalid("--html", "name a file", "'-'")
    logarithms = _data.base_of(base)
    given = {"probs": probs, "logits": logits, "log_probs": log_probs}
    of_scores = {
        "normalize": normalize, "allow_probabilities": allow_probabilities, "labels": labels,
        "positive": positive, "ignore": ignore,
    }  # fmt: skip
    kind, pattern = _kind(given, costs, of_scores)
    if resamples is not None and interval == "student" and test == "t":
        must = "go with --interval bootstrap, --test bootstrap or --test sign_flip"
        raise _check.invalid("--resamples", must, resamples)
    drawn = RESAMPLES if resamples is None else resamples
    beside = {
        "--group": [group] if group else [],
        "--weights": [weights] if weights else [],
        "--by": by or [],
    }
    wanted = ModelFileOptions(target, truth, id_, beside, kind, pattern, positive, labels)
    models = [wanted.read(file, _reading(file, files, reading)) for file in files]
    models = [models[0], *(other.beside(models[0]) for other in models[1:])]
    first = models[0]
    with words("target", "labels", "positive", "base", "normalize", "allow_probabilities", "by",
               "confidence", "interval", "test", "resamples", "pairs", "seed",
               probs="--probs", logits="--logits", log_probs="--log-probs", groups="--group",
               sample_weight="--weights", ignore_index="--ignore", ids="--id"):  # fmt: skip
        found = compared(
            [(repr(str(m.file))[1:-1], kind, m.scores) for m in models], first.true,
            names=options.names_of(files), sample_weight=first.weights(weights),
            groups=first.others.get(group or ""), ids=first.ids, pairs=pairs,
            by={name: first.others[name] for name in by or []},
            method=method_of(interval, test, confidence, drawn), seed=seed, base=logarithms,
            labels=first.classes, positive=first.positive, ignore_index=ignore,
            normalize=normalize, allow_probabilities=allow_probabilities,
        )  # fmt: skip
    with speaking(lang):
        shown = str(found)
        if html is not None:
            found.to_html(html)
            shown += "\n\n" + say("The page: {html}", html=as_typed(html))
        write_json(found.to_dict(), shown, json)
    if fail_above is not None:
        for d in found.differences:
            options.fail(f"{d.second} less {d.first}", d.high, fail_above, found.unit)


def _kind(
    given: dict[str, str | None], costs: str | None, of_scores: dict[str, Any]
) -> tuple[str, str | None]:
    """Return what the files hold, and in which columns; costs have no use for options of scores."""
    from xent import _check

    if costs is None:
        normalize, sure = of_scores["normalize"], of_scores["allow_probabilities"]
        kind = kind_of(given, normalize=normalize, sure=sure)
        return kind, given[kind]
    for option, value in {**given, **of_scores}.items():
        if value not in (None, False):
            must = f"be left out where --{option.replace('_', '-')} is given"
            raise _check.invalid("--costs", must, "both")
    return "costs", costs


def _reading(file: Path, files: Sequence[Path], reading: TableOptions) -> TableOptions:
    """Return how a file is written: what was said of CSV is of those that are."""
    if is_csv(file) or not any(map(is_csv, files)):
        return reading
    return TableOptions(names=reading.names, drop=reading.drop)

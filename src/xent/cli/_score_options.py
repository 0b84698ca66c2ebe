"""Options of the commands that read predictions: `xent evaluate` and `xent compare`."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Annotated

import typer

DROP = "Pass --drop-missing-target to leave such rows out."
TargetOption = Annotated[str, typer.Option(help="Column with the true class of each row.")]
ProbsOption = Annotated[
    str | None,
    typer.Option(
        help="Columns of probabilities, by default [bold]p_*[/], [bold]prob_*[/] or "
        "[bold]proba_*[/]; what * stands for is the name of the class."
    ),
]
LogitsOption = Annotated[
    str | None, typer.Option(help="Columns of logits, instead of probabilities.")
]
LogProbsOption = Annotated[
    str | None, typer.Option(help="Columns of log-probabilities, instead of probabilities.")
]
PositiveOption = Annotated[
    str | None, typer.Option(help="The class whose probability a single column holds.")
]
LabelsOption = Annotated[
    str | None,
    typer.Option(
        help="Names of the classes where columns or true classes are numbers, like cat,dog: in "
        "the order of the columns' numbers, else from 0 on."
    ),
]
TruthOption = Annotated[
    Path | None,
    typer.Option(
        help="Another file that has the true classes, joined by --id; a .npy goes by place."
    ),
]
IdOption = Annotated[
    str | None, typer.Option("--id", help="Column that identifies each row, in every file.")
]
WeightsOption = Annotated[str | None, typer.Option(help="Column with the weight of each row.")]
ByOption = Annotated[
    list[str] | None,
    typer.Option(help="Column whose values split the rows into slices, each measured on its own."),
]
IgnoreOption = Annotated[
    str | None, typer.Option(help="Leave out the rows whose target is this, like -100.")
]
NormalizeOption = Annotated[
    bool,
    typer.Option(
        "--normalize",
        help="Divide each row of probabilities by its sum, where they were saved with few digits.",
    ),
]
AllowProbabilitiesOption = Annotated[
    bool,
    typer.Option("--allow-probabilities", help="Accept --logits that look like probabilities."),
]
OnceOption = Annotated[
    bool,
    typer.Option(
        "--once",
        help="Count rows of one --id once: a DistributedSampler repeats some to fill up the last "
        "batch.",
    ),
]
PriorOption = Annotated[
    Path | None,
    typer.Option(
        help="The table that the model was trained on: how often each class occurs there is a "
        "baseline."
    ),
]
LabelSmoothingOption = Annotated[
    float,
    typer.Option(
        help="Label smoothing that the model was trained with: shows the least that such "
        "a model can cost."
    ),
]
BinsOption = Annotated[
    str | None,
    typer.Option(
        help="Bins of reliability diagrams: a number of equal width (15), edges like "
        "0,0.1,1, quantile (bins of equal weight) or corp (those of the isotonic "
        "regression).",
        metavar="BINS",
    ),
]
CalibratorOption = Annotated[
    list[str] | None,
    typer.Option(
        help="A calibrator of probmetrics, like sms: say how many bits it would save, "
        "too; may be repeated.",
        metavar="NAME",
    ),
]
JsonOption = Annotated[
    Path | None, typer.Option(help="Write everything as JSON; - prints it, and only it.")
]


def _print_schema(wanted: bool) -> None:
    if wanted:
        import json

        from xent.evaluation import json_schema

        typer.echo(json.dumps(json_schema(), indent=2, ensure_ascii=False))
        raise typer.Exit


SchemaOption = Annotated[
    bool,
    typer.Option(
        "--schema",
        callback=_print_schema,
        is_eager=True,
        help="Print the JSON schema of what --json writes, and nothing else.",
    ),
]


def bins_of(text: str | None) -> int | list[float] | str | None:
    """Read --bins: a number, numbers with commas between them, or a word."""
    if text is None:
        return None
    try:
        numbers = [float(part) for part in text.split(",")]
    except ValueError:
        return text
    return int(numbers[0]) if len(numbers) == 1 and numbers[0].is_integer() else numbers


def fail(what: str, high: float, limit: float, unit: str) -> None:
    """End with exit code 1 unless an interval ends at a limit or below it.

    The upper end decides: what few rows cannot show to be good enough fails, and so does what has
    no interval.

    Parameters
    ----------
    what : str
        Whose interval it is.
    high : float
        Its upper end; NaN where there is none.
    limit : float
        What was asked for.
    unit : str
        Of both.
    """
    import math

    from xent._terminal import printable

    if high <= limit:
        return
    end = f"ends at {high:.4f} {unit}" if not math.isnan(high) else "has no end"
    said = f"Failed: the interval of {what} {end}; at most {limit:g} was asked for."
    typer.secho(printable(said), fg=typer.colors.RED, err=True)
    raise typer.Exit(1)


def names_of(files: Sequence[Path]) -> list[str]:
    """Name models after their files: by as much of the path as tells them apart."""
    for name in (lambda f: f.name, str):
        names = [name(file) for file in files]
        if len(set(names)) == len(names):
            return names
    return [f"{file} ({i + 1})" for i, file in enumerate(files)]

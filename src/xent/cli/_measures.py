"""`xent rank` and `xent drift`: which columns tell about one, and which have moved."""

import math
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Annotated, Any

import typer

from xent.cli import _data
from xent.cli._help import one_of
from xent.cli._tables._file import TableFile
from xent.cli._tables._options import TableOptions, with_options, words

BAR_WIDTH, LINE_LENGTH = (
    22,
    80,
)  # characters of the longest bar, and of a line unless names are long
MAX_NAME = 30  # characters of a column's name on the terminal
DECIMALS = 4  # of a number on the terminal
MANY_LEVELS = 50  # above which a column that comes first is doubted

Html = Annotated[Path | None, typer.Option(help="Write the table to this HTML file.")]
JsonFile = Annotated[
    Path | None,
    typer.Option(help="Write everything to this JSON file; - prints JSON instead of text."),
]
GainBase = Annotated[
    str | None,
    typer.Option(
        help="Base of the information gain: 2 for bits (the default), e for nats, 10 for bans.",
        metavar="NUMBER",
    ),
]
ColumnPatterns = Annotated[
    str | None, typer.Option(help="Columns to look at, like 'age,p_*'; by default all.")
]
Chance = Annotated[
    int | None,
    typer.Option("--seed", "--random-state", help="Seed of all random numbers; by default 0."),
]
MissingHow = Annotated[
    str,
    typer.Option(
        help="What happens to missing values: they become a [bold]symbol[/] of their "
        "own, their rows are left out ([bold]drop[/]), or they are an error "
        "([bold]refuse[/]).",
        autocompletion=one_of("symbol", "drop", "refuse"),
    ),
]


def register(app: typer.Typer) -> None:
    """Add the commands."""
    app.command()(rank)
    app.command()(drift)


@with_options()
def rank(
    table: Annotated[
        Path,
        typer.Argument(
            metavar="TABLE", help="A table: .csv, .tsv, .parquet, .arrow, .jsonl, .npz."
        ),
    ],
    target: Annotated[
        str,
        typer.Option(
            help="Column that the others shall tell about: they are ranked by how much they do."
        ),
    ],
    columns: ColumnPatterns = None,
    score: Annotated[
        str,
        typer.Option(
            help="What columns are ranked by: information_gain, gain_ratio, "
            "symmetric_uncertainty or gini.",
            autocompletion=one_of(
                "information_gain", "gain_ratio", "symmetric_uncertainty", "gini"
            ),
        ),
    ] = "information_gain",
    numeric: Annotated[
        str,
        typer.Option(
            help="How numbers are read: cut into bins ([bold]mdl[/]), or by nearest neighbours "
            "([bold]ksg[/]).",
            autocompletion=one_of("mdl", "ksg"),
        ),
    ] = "mdl",
    weights: Annotated[
        str | None, typer.Option(help="Column with the weight of each row; it is not ranked.")
    ] = None,
    target_bins: Annotated[
        int | None, typer.Option(help="Cut a target of numbers into this many quantiles.")
    ] = None,
    missing: MissingHow = "symbol",
    permutations: Annotated[
        int, typer.Option(help="Shuffles of each column for p-values; 0 for none.")
    ] = 0,
    seed: Chance = None,
    base: GainBase = None,
    html: Html = None,
    json: JsonFile = None,
    *,
    reading: TableOptions,
) -> None:
    """Rank the columns of a table by what they tell about one of them.

    Example: xent rank days.csv --target play
    """
    from xent import _check, _table
    from xent.measures import rank_features
    from xent.measures.tables._rank_column import SCORES

    _check_outputs([table], html, json)
    gain = score == "information_gain"
    logarithms = _data.base_of(base) if base is not None else 2 if gain else math.e
    if base is not None and not gain and score in SCORES:
        must = f"be left out with --score {score}, which has no unit"
        raise _check.invalid("--base", must, repr(base))
    # Classes are read as text, for names like 01; a target that is cut is numbers.
    text = [target] if target_bins is None else []
    source = TableFile(table, reading, argument="TABLE", text=text)
    names = source.columns()
    for name, argument in ((target, "--target"), (weights, "--weights")):
        if names and name is not None:
            _table.require(name, names, table, argument=argument)
    chosen = None
    if columns is not None:
        matching = _table.matching(columns, names, table, argument="--columns")
        chosen = [name for name in matching if name not in (target, weights)]
    known = ("target", "columns", "score", "numeric", "weights", "missing", "permutations", "base")
    with words(*known, "target_bins", table="TABLE", rng="--seed"):
        found = rank_features(
            source.counted, target, columns=chosen, score=score, numeric=numeric, weights=weights,
            missing=missing, permutations=permutations, rng=_chance(seed, permutations),
            base=logarithms, target_bins=target_bins,
        )  # fmt: skip
    shown = [f.score if f.adjusted is None else f.adjusted for f in found]
    heads = ["column", score.replace("_", " "), "levels", "missing"]
    rows = [[f.name, _number(f.score), f"{f.levels:,}", f"{f.missing:,}"] for f in found]
    if permutations:
        heads += ["less chance", "p"]
        for row, f in zip(rows, found, strict=True):
            row += [_number(f.adjusted), f"{f.p_value:.3g}"]
    unit = _unit(logarithms) if gain else ""
    if found and not permutations and found[0].levels > MANY_LEVELS:
        _check.warn(
            f"{found[0].name!r} comes first with {found[0].levels:,} levels: many levels gain by "
            "chance alone. Pass --permutations 99 to take that off."
        )
    title = f"What tells about {target}"
    axis = heads[1] + (", less chance" if permutations else "") + (f" ({unit})" if unit else "")
    _out(title, unit, axis, heads, rows, shown, found, html, json)


@with_options()
def drift(
    reference: Annotated[
        Path, typer.Argument(metavar="REFERENCE", help="The older table, which is compared with.")
    ],
    current: Annotated[Path, typer.Argument(metavar="CURRENT", help="The newer table.")],
    columns: ColumnPatterns = None,
    measure: Annotated[
        str,
        typer.Option(
            help="Measure by which columns are ordered and --threshold judges: js, kl, psi, "
            "hellinger or total_variation.",
            autocompletion=one_of("js", "kl", "psi", "hellinger", "total_variation"),
        ),
    ] = "js",
    threshold: Annotated[
        float | None,
        typer.Option(help="Exit with code 1 if the measure of a column is above this."),
    ] = None,
    bins: Annotated[int, typer.Option(help="Number of quantiles that numbers are cut into.")] = 10,
    weights: Annotated[
        str | None,
        typer.Option(help="Column with the weight of each row in both tables; it is not compared."),
    ] = None,
    missing: MissingHow = "symbol",
    bootstrap: Annotated[
        int, typer.Option(help="Bootstrap samples for the interval of JS; 0 for none.")
    ] = 0,
    seed: Chance = None,
    base: _data.Base = "2",
    html: Html = None,
    json: JsonFile = None,
    *,
    reading: TableOptions,
) -> None:
    """Measure how far each column has moved from one table to another.

    Example: xent drift january.csv february.csv --threshold 0.1
    """
    from xent import _check, _table
    from xent.measures import drift

    _check_outputs([reference, current], html, json)
    logarithms = _data.base_of(base)
    _check.option("--measure", measure, ("js", "kl", "psi", "hellinger", "total_variation"))
    if threshold is not None and not threshold >= 0:
        raise _check.invalid("--threshold", "be a number of at least 0", threshold)
    before = TableFile(reference, reading, argument="REFERENCE")
    after = TableFile(current, reading, argument="CURRENT")
    names, other = before.columns(), after.columns()
    for path, found_names in ((reference, names), (current, other)):
        if weights is not None and found_names:
            _table.require(weights, found_names, path, argument="--weights")
    chosen = None
    if columns is not None:
        chosen = _table.matching(columns, names, reference, argument="--columns")
    known = ("columns", "bins", "weights", "missing", "bootstrap", "base")
    with words(*known, reference="REFERENCE", current="CURRENT", rng="--seed"):
        found = drift(
            before.counted, after.counted, columns=chosen, bins=bins, weights=weights,
            missing=missing, bootstrap=bootstrap,
            rng=_chance(seed, bootstrap), base=logarithms,
        )  # fmt: skip
    found = sorted(found, key=lambda d: -abs(getattr(d, measure)))
    shown = [float(getattr(d, measure)) for d in found]
    heads = ["column", "js", "kl", "psi", "new", "gone"]
    rows = [
        [
            d.name,
            *map(_number, (d.js, d.kl, d.psi)),
            f"{100 * d.new:.1f} %",
            f"{100 * d.gone:.1f} %",
        ]
        for d in found
    ]
    if measure not in heads:
        heads.insert(4, measure.replace("_", " "))
        for row, value in zip(rows, shown, strict=True):
            row.insert(4, _number(value))
    if bootstrap:
        heads.insert(2, "interval")
        for row, d in zip(rows, found, strict=True):
            row.insert(2, f"{_number(d.low)}-{_number(d.high)}")
    unit = f"JS and KL in {_unit(logarithms)}, PSI in nats"
    units = {"js": _unit(logarithms), "kl": _unit(logarithms), "psi": "nats"}
    axis = (
        f"{measure.upper()} ({units[measure]})" if measure in units else measure.replace("_", " ")
    )
    past = [d.name for d, value in zip(found, shown, strict=True) if _past(value, threshold)]
    title = f"What moved from {reference.name} to {current.name}"
    _out(title, unit, axis, heads, rows, shown, found, html, json)
    if past:
        from xent._terminal import one_line

        over = _check.count(len(past), "column")
        typer.secho(
            f"{over} above {threshold:g}: {', '.join(map(one_line, past))}", fg="red", err=True
        )
        raise typer.Exit(1)


def _chance(seed: int | None, times: int) -> int | None:
    """Return the seed asked for, though nothing be drawn: then the library refuses it."""
    return 0 if seed is None and times else seed


def _past(value: float, threshold: float | None) -> bool:
    # Said so that a number that is none would be past, too.
    return threshold is not None and not value <= threshold


def _check_outputs(inputs: list[Path], html: Path | None, json: Path | None) -> None:
    from xent import _check

    _data.check_outputs(inputs, {"--html": html, "--json": json})
    if str(html) == "-":
        raise _check.invalid("--html", "name a file", "'-'")


def _unit(base: float) -> str:
    return {2: "bits", 10: "bans", math.e: "nats"}.get(base, f"logarithms of base {base:g}")


def _number(value: float | None) -> str:
    # Adding 0 makes a -0 that rounding left behind a 0.
    return "-" if value is None else f"{round(value, DECIMALS) + 0.0:.{DECIMALS}f}"


def _out(
    title: str,
    unit: str,
    axis: str,
    columns: list[str],
    rows: list[list[str]],
    shown: list[float],
    found: Sequence[Any],
    html: Path | None,
    json: Path | None,
) -> None:
    """Print a table with bars, and write the page and the JSON that were asked for."""
    import json as json_module

    from xent import _store
    from xent._terminal import as_typed, bar_of, fitted, one_line, printable, width_of

    text = ""
    if json is not None:
        records = [asdict(one) for one in found]
        for record in records:
            if "cuts" in record:  # JSON has no word for infinity
                record["cuts"] = [c if math.isfinite(c) else str(c) for c in record["cuts"]]
        text = json_module.dumps(records, ensure_ascii=False, indent=2, default=str)
    heading = f"{title} ({unit})" if unit else title
    if html is not None:
        _page(title, unit, axis, columns, rows, shown).write(html, argument="--html")
    if json is not None and str(json) != "-":
        with _store.writing(json, argument="--json") as out:
            out.write(text.encode() + b"\n")
    if str(json) == "-":
        typer.echo(text)
        return
    longest = max(0.0, *shown) or 1.0
    # A name cannot break its line.
    plain = [[_cut(one_line(row[0])), *row[1:]] for row in rows]
    widths = [max(width_of(row[j]) for row in [columns, *plain]) for j in range(len(columns))]
    bar = max(8, min(BAR_WIDTH, LINE_LENGTH - 4 - sum(widths) - 2 * (len(widths) - 1)))
    lines = [printable(heading)]
    for row, value in zip([columns, *plain], [0.0, *shown], strict=True):
        cells = [cell.rjust(width) for cell, width in zip(row[1:], widths[1:], strict=True)]
        drawn = f"{bar_of(value / longest, bar):<{bar}}"
        line = f"  {fitted(row[0], widths[0])}  {drawn}  {'  '.join(cells)}"
        lines.append(line.rstrip())
    typer.echo("\n".join(lines))
    if html is not None:
        typer.echo(f"\nThe page: {as_typed(html)}")


def _cut(name: str) -> str:
    """Cut a long name in its middle, with a sign: names that begin alike often end otherwise."""
    return name if len(name) <= MAX_NAME else f"{name[:17]}…{name[17 - MAX_NAME + 1 :]}"


def _page(
    title: str, unit: str, axis: str, columns: list[str], rows: list[list[str]], shown: list[float]
) -> Any:
    from importlib.metadata import version

    from xent._page import Page

    page = Page(title, unit, f"xent {version('xent')}")
    heading = columns[0].capitalize() + "s"
    page.section(heading, text=f"Bars: {axis}.", columns=columns, rows=rows, bars=shown)
    return page

"""`xent language evaluate`, `score` and `sample`: what models make of a text, and of nothing."""

from pathlib import Path
from typing import Annotated

import typer

from xent._terminal import one_line
from xent.cli import _data
from xent.cli._help import one_of
from xent.cli._language._files import (
    again,
    check_once,
    check_spared,
    doubt_json,
    load,
)
from xent.cli._language._options import (
    MIN_TEXT,
    STDOUT,
    Errors,
    JsonSwitch,
    LongestLine,
    ModelPath,
    OnBadLine,
    Spelling,
    Stream,
    TextField,
    TextPath,
    Unit,
    bad_lines,
    lines_up_to,
    show,
    skips_bad,
)


def evaluate(
    models: Annotated[
        list[Path], typer.Argument(metavar="MODEL", help="One model, or several to compare.")
    ],
    text: TextPath,
    by: Annotated[
        str | None,
        typer.Option(
            help="What several models are compared by: perplexity (the default) or bits_per_byte.",
            autocompletion=one_of("bits_per_byte", "perplexity"),
        ),
    ] = None,
    spelling: Spelling = "uniform",
    field: TextField = None,
    longest_line: LongestLine = None,
    unit: Unit = None,
    errors: Errors = None,
    json: JsonSwitch = False,
) -> None:
    """Measure how well models predict a text: perplexity and bits, the best model first.

    Example: xent language evaluate model.xent test.txt
    """
    import json as json_module
    import time

    from xent import _check
    from xent.language import compare

    if by is not None and len(models) < 2:
        raise _check.invalid("--by", "go with several models", f"{str(models[0])!r} alone")
    check_once(models)
    loaded = {str(path): load(path, unit=unit, errors=errors) for path in models}
    begin = time.perf_counter()
    with (
        _data.words("by", "errors", "spelling", "vocabulary", text="TEXT", models="MODEL"),
        lines_up_to(longest_line),
    ):
        doubt_json(field, text)
        source = again(text, field) if field is not None or len(loaded) > 1 else text
        found = compare(loaded, source, by=by or "perplexity", spelling=spelling)
    seconds = time.perf_counter() - begin
    if json:
        everything = {name: report.summary() for name, report in found.items()}
        typer.echo(json_module.dumps(everything, ensure_ascii=False, indent=2))
        return
    events = sum(report.events for report in found.values())
    for name, report in found.items():
        typer.echo(f"{one_line(name)}: {report}")
    if events >= MIN_TEXT:
        typer.echo(f"{events / seconds:,.0f} tokens a second.")


def score(
    model: ModelPath,
    text: TextPath,
    output: Stream = STDOUT,
    spelling: Spelling = "uniform",
    field: TextField = None,
    longest_line: LongestLine = None,
    unit: Unit = None,
    errors: Errors = None,
    on_bad_line: OnBadLine = "stop",
    json: JsonSwitch = False,
) -> None:
    """Print what each line of TEXT costs: its bits, a tab, and its bits per byte.

    The bits are those of the words and of the end of the line, and 8 for each byte of an unknown
    word unless --spelling says otherwise. The bytes are those of the line and its line feed.
    The fewer bits, the better predicted: an impossible line has inf, a skipped one nan.

    Example: xent language score model.xent test.txt --output scores.tsv
    """
    from xent import _check
    from xent.language._lines import _stream
    from xent.language._spelling import SPELLINGS

    _check.option("--spelling", spelling, SPELLINGS)
    check_spared(output, model, text)
    bad = _stream.BadLines(skips_bad(on_bad_line))
    row = '{"bits": %.17g, "bits_per_byte": %.17g}\n' if json else "%.6g\t%.6g\n"
    loaded = load(model, unit=unit, errors=errors)
    with (
        _data.words("errors", text="TEXT"),
        _stream.writing(output) as out,
        lines_up_to(longest_line),
    ):
        doubt_json(field, text)
        for some in _stream.scored(loaded, text, field, bad, spelling):
            pairs = zip(some.bits.tolist(), some.by("bits_per_byte").tolist(), strict=True)
            rows = "".join([row % pair for pair in pairs])
            if json:  # it has no word for infinitely many bits, nor for none
                rows = rows.replace("inf", "null").replace("nan", "null")
            out.write(rows.encode())
    if bad.count:
        typer.echo(bad_lines(bad.count, bad.first), err=True)


def sample(
    model: ModelPath,
    count: Annotated[int, typer.Option("--count", "-n", help="How many sentences to draw.")] = 1,
    seed: _data.Seed = 0,
    most: Annotated[int, typer.Option(help="Greatest number of tokens in a sentence.")] = 1000,
    unit: Unit = None,
    errors: Errors = None,
    json: JsonSwitch = False,
) -> None:
    """Draw sentences at random from a model.

    Example: xent language sample model.xent --count 5
    """
    import numpy as np

    from xent import _check

    loaded = load(model, unit=unit, errors=errors)
    luck = np.random.default_rng(_check.integer("--seed", seed, least=0))
    for _ in range(_check.integer("--count", count, least=1)):
        with _data.words("most"):
            tokens = loaded.sample(luck, most=most)
        if loaded.unit == "byte":
            text = bytes(int(t, 16) for t in tokens if len(t) == 2).decode("utf-8", "replace")
        else:
            text = ("" if loaded.unit == "character" else " ").join(tokens)
        show({"text": text, "tokens": tokens}, text, json)

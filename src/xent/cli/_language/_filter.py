"""`xent language filter`: lines of a corpus kept, dropped or annotated."""

from typing import Annotated

import typer

from xent._terminal import as_typed
from xent.cli import _data
from xent.cli._help import one_of
from xent.cli._language._files import check_spared, doubt_json, load
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


def filter_(
    model: ModelPath,
    text: TextPath,
    output: Stream,
    by: Annotated[
        str,
        typer.Option(
            help="Score of a line: bits_per_byte or perplexity.",
            autocompletion=one_of("bits_per_byte", "perplexity"),
        ),
    ] = "bits_per_byte",
    at_most: Annotated[
        float | None, typer.Option(help="Keep lines whose score is at most this.")
    ] = None,
    at_least: Annotated[
        float | None, typer.Option(help="Keep lines whose score is at least this.")
    ] = None,
    keep: Annotated[
        str | None, typer.Option(help="Keep the share of lines with the lowest scores, like 30%.")
    ] = None,
    annotate: Annotated[
        bool, typer.Option("--annotate", help="Write the score of each line beside it.")
    ] = False,
    spelling: Spelling = "uniform",
    field: TextField = None,
    longest_line: LongestLine = None,
    unit: Unit = None,
    errors: Errors = None,
    on_bad_line: OnBadLine = "stop",
    json: JsonSwitch = False,
) -> None:
    """Keep, drop or annotate the lines of a text of any size by their score.

    The lower the score, the better MODEL predicts the line. For bits per byte an unknown word
    costs its spelling (--spelling); for the perplexity it is one event.

    Example: xent language filter model.xent crawl.txt --at-most 2 --output kept.txt
    """
    import math
    import time

    from xent import _check
    from xent.language._lines import _stream
    from xent.language._spelling import SPELLINGS

    if at_most is None and at_least is None and keep is None and not annotate:
        advice = "Say which lines to keep, or --annotate all."
        raise _check.invalid("--at-most, --at-least, --keep", "be given", "none", advice)
    _check.option("--by", by, ("bits_per_byte", "perplexity"))
    _check.option("--spelling", spelling, SPELLINGS)
    if by == "perplexity" and spelling != "uniform":
        must = "go with --by bits_per_byte"
        advice = "For the perplexity an unknown word is one event."
        raise _check.invalid("--spelling", must, repr(spelling), advice)
    skip_bad = skips_bad(on_bad_line)
    if keep is not None and (at_most is not None or at_least is not None):
        raise _check.invalid("--keep", "be left out beside --at-most and --at-least", repr(keep))
    share = None if keep is None else _share(keep)
    for name, bound in (("--at-most", at_most), ("--at-least", at_least)):
        if bound is not None and math.isnan(bound):
            raise _check.invalid(name, "be a number", bound)
    if at_most is not None and at_least is not None and at_least > at_most:
        must = f"be at most {at_most:g}, which is --at-most"
        raise _check.invalid("--at-least", must, f"{at_least:g}", "Nothing lies between.")
    check_spared(output, model)
    loaded = load(model, unit=unit, errors=errors)
    begin = time.perf_counter()
    with _data.words("errors", text="TEXT"), lines_up_to(longest_line):
        doubt_json(field, text)
        done = _stream.filter_file(
            loaded,
            text,
            output,
            by=by,
            at_most=at_most,
            at_least=at_least,
            keep=share,
            annotate=annotate,
            field=field,
            skip_bad=skip_bad,
            spelling=spelling,
        )
    seconds = time.perf_counter() - begin
    found = {**vars(done), "seconds": seconds, "output": str(output)}
    sentence = f"{done.kept:,} of {done.records:,} lines written to {as_typed(output)}."
    if done.tokens >= MIN_TEXT:
        rates = done.tokens / seconds, done.bytes / seconds / 1e6
        sentence += " {:,.0f} tokens and {:.1f} MB a second.".format(*rates)
    if done.bad:
        sentence += " " + bad_lines(done.bad, done.first_bad)
    show(found, sentence, json, err=output == STDOUT)


def _share(text: str) -> float:
    """Read a share: 30% or 0.3."""
    from xent import _check

    must = "be a share of the lines, like 30% or 0.3"
    try:
        share = float(text.removesuffix("%")) / (100 if text.endswith("%") else 1)
    except ValueError:
        raise _check.invalid("--keep", must, repr(text)) from None
    if not 0 < share <= 1:
        raise _check.invalid("--keep", must, repr(text))
    return share

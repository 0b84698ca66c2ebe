"""`xent language filter`: lines of a corpus kept, dropped or annotated."""

from typing import Annotated

import typer

from xent.cli import _data
from xent.cli._language._files import check_spared, load
from xent.cli._language._options import (
    MIN_TEXT,
    STDOUT,
    JsonSwitch,
    ModelPath,
    Stream,
    TextField,
    TextPath,
    show,
)


def filter_(
    model: ModelPath,
    text: TextPath,
    output: Stream,
    at_most: Annotated[
        float | None, typer.Option(help="Keep lines of at most so many bits a byte.")
    ] = None,
    at_least: Annotated[
        float | None, typer.Option(help="Keep lines of at least so many bits a byte.")
    ] = None,
    annotate: Annotated[bool, typer.Option("--annotate", help="Write the score too.")] = False,
    field: TextField = None,
    json: JsonSwitch = False,
) -> None:
    """Keep, drop or annotate lines by their bits per byte; the file may be of any size."""
    import math
    import time

    from xent import _check
    from xent.language import _stream

    if at_most is None and at_least is None and not annotate:
        advice = "Say which lines to keep, or --annotate all."
        raise _check.invalid("--at-most, --at-least", "be given", "neither", advice)
    for name, bound in (("--at-most", at_most), ("--at-least", at_least)):
        if bound is not None and math.isnan(bound):
            raise _check.invalid(name, "be a number", bound)
    if at_most is not None and at_least is not None and at_least > at_most:
        must = f"be at most {at_most:g}, which is --at-most"
        raise _check.invalid("--at-least", must, f"{at_least:g}", "Nothing lies between.")
    check_spared(output, model)
    loaded = load(model)
    begin = time.perf_counter()
    with _data.words(text="TEXT"):
        done = _stream.filter_file(
            loaded, text, output, at_most=at_most, at_least=at_least, annotate=annotate, field=field
        )
    seconds = time.perf_counter() - begin
    found = {**vars(done), "seconds": seconds, "output": str(output)}
    sentence = f"{done.kept:,} of {done.records:,} lines written to {output}."
    if done.tokens >= MIN_TEXT:
        rates = done.tokens / seconds, done.bytes / seconds / 1e6
        sentence += " {:,.0f} tokens and {:.1f} MB a second.".format(*rates)
    show(found, sentence, json, err=output == STDOUT)

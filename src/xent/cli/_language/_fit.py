"""`xent language fit`: a model from text, its options read as Python would write them."""

from pathlib import Path
from typing import Annotated, Any

import typer

from xent._terminal import as_typed
from xent.cli import _data
from xent.cli._help import one_of
from xent.cli._language._files import check_spared, check_target, source, write
from xent.cli._language._options import (
    JsonSwitch,
    LongestLine,
    Output,
    TextField,
    lines_up_to,
    show,
)


def fit(
    text: Annotated[
        list[Path],
        typer.Argument(
            metavar="TEXT",
            help="Texts, plain or packed (.gz, .bz2, .xz, .zst); - reads standard input.",
        ),
    ],
    output: Output,
    order: Annotated[int, typer.Option(help="Length of the longest n-grams.")] = 5,
    smoothing: Annotated[
        str,
        typer.Option(
            help="Smoothing, as Python writes it: 'KneserNey(discount=0.75)', 'Katz', 'AddK(0.1)'."
        ),
    ] = "KneserNey",
    unknown: Annotated[
        str,
        typer.Option(
            help="What words outside the vocabulary are: word (<unk>, counted only where the "
            "text spells it), open (<unk>, counted for every such word of the training "
            "text), closed (there is no <unk>) or removed (counted, then removed, as SRILM "
            "does without -unk).",
            autocompletion=one_of("word", "open", "closed", "removed"),
        ),
    ] = "word",
    min_count: Annotated[
        str | None,
        typer.Option(
            help="Drop n-grams that occur less often: 2 for all orders from 2 on, or '3:2,4:2' "
            "by order."
        ),
    ] = None,
    vocabulary: Annotated[
        Path | None,
        typer.Option(help="A file with the words that the model shall know, one on each line."),
    ] = None,
    unit: Annotated[
        str,
        typer.Option(
            help="What a token is: word, character or byte.",
            autocompletion=one_of("word", "character", "byte"),
        ),
    ] = "word",
    errors: Annotated[
        str,
        typer.Option(
            help="What to do with text that is not UTF-8: strict refuses it, keep takes its bytes.",
            autocompletion=one_of("strict", "keep"),
        ),
    ] = "strict",
    held_out: Annotated[
        Path | None, typer.Option(help="Held-out text, on which JelinekMercer chooses its weights.")
    ] = None,
    memory: Annotated[
        str | None,
        typer.Option(help="Memory for counts, like 500MB or 2GB; beyond it they go to disk."),
    ] = None,
    folder: Annotated[
        Path | None,
        typer.Option(help="Folder for counts; a fit that was stopped or killed goes on from them."),
    ] = None,
    weighted: Annotated[
        bool,
        typer.Option("--weighted", help="Each line begins with how often it counts, and a tab."),
    ] = False,
    counts: Annotated[
        bool,
        typer.Option(
            "--counts", help="TEXT lists n-grams of every order, each on a line with its count."
        ),
    ] = False,
    field: TextField = None,
    longest_line: LongestLine = None,
    json: JsonSwitch = False,
) -> None:
    """Fit a model and write it: as ARPA if the name ends in .arpa, else as a file of xent.

    Example: xent language fit trusted.txt --order 3 --output model.xent
    """
    import time

    from xent import _check
    from xent.language import NGramModel

    check_target(output)
    check_spared(output, *text, held_out, vocabulary)
    words = None if vocabulary is None else _words(vocabulary)
    least = _min_count(min_count)
    if order == 1 and isinstance(least, int):
        raise _check.invalid("--min-count", "be left out with --order 1", least)
    counted = ("order", "unknown", "min_count", "vocabulary", "unit", "errors")
    begin = time.perf_counter()
    with (
        _data.words(
            *counted,
            "held_out",
            "memory",
            "folder",
            text="TEXT",
            weights="--weighted",
            counts="TEXT",
        ),
        lines_up_to(longest_line),
    ):
        model = NGramModel(
            order,
            _smoothing(smoothing),
            unknown=unknown,
            min_count=least,
            vocabulary=words,
            unit=unit,
            errors=errors,
        )
        found, weights = source(text, field), None
        if counts:
            beside = (held_out, memory, folder, field)
            if weighted or len(text) > 1 or any(option is not None for option in beside):
                must = "go with one TEXT, and with no option that says how lines are read"
                raise _check.invalid("--counts", must, "others")
            model.fit_counts(found[0])
        else:
            if weighted:
                found, weights = _weighted(text, field)
            model.fit(found, weights=weights, held_out=held_out, memory=memory, folder=folder)
    seconds = time.perf_counter() - begin
    write(model, output)
    sizes = {str(n): count for n, count in enumerate(model.counts(), 1)}
    show(
        {"model": repr(model), "ngrams": sizes, "seconds": seconds, "output": str(output)},
        f"{model!r}\n"
        + "".join(f"  {n}-grams {count:>12,}\n" for n, count in sizes.items())
        + f"Fitted in {seconds:.2f} s, written to {as_typed(output)}.",
        json,
    )


def _weighted(paths: list[Path], field: str | None) -> tuple[list[str], list[int]]:
    """Read lines that begin with a whole number and a tab."""
    from xent import _check
    from xent.language._lines import _stream

    lines, weights = [], []
    for path in paths:
        for number, line in enumerate(_stream.lines(path, field), 1):
            weight, tab, text = line.partition("\t")
            if not tab or not weight.isascii() or not weight.isdigit():
                must = "have lines that begin with a whole number and a tab"
                where = f"on line {number}" + (f" of {str(path)!r}" if len(paths) > 1 else "")
                raise _check.invalid("TEXT", must, f"{line[:80]!r} {where}")
            lines.append(text)
            weights.append(int(weight))
    return lines, weights


def _words(path: Path) -> list[str]:
    import re

    from xent import _check
    from xent._table.files import compression

    if not path.is_file():
        raise FileNotFoundError(f"There is no file {str(path)!r}.")
    with open(path, "rb") as raw, compression.reading(raw, str(path)) as file:
        words = file.read()
    try:
        text = words.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        found = f"{str(path)!r} with byte 0x{error.object[error.start]:02x} at {error.start}"
        raise _check.invalid("--vocabulary", "be UTF-8", found) from None
    # As in a text: a wide or no-break space is a letter, where str.split would end a word.
    return [word for word in re.split(r"[\0\t\n\r ]+", text) if word]


def _smoothing(text: str) -> Any:
    """Read a smoothing as Python would write it, from literals alone."""
    import ast
    import inspect

    from xent import _check
    from xent.language import smoothing

    names = [n for n in smoothing.__all__ if n != "Smoothing"]
    wrong = _check.invalid(
        "--smoothing", "be like KneserNey or AddK(0.1)", repr(text), f"There is {', '.join(names)}."
    )
    try:
        tree: Any = ast.parse(text.strip(), mode="eval").body
        call = tree if isinstance(tree, ast.Call) else None
        name: Any = tree.func if call is not None else tree
        if not isinstance(name, ast.Name) or name.id not in names:
            raise wrong
        args = [ast.literal_eval(a) for a in call.args] if call is not None else []
        fields = {k.arg or "": ast.literal_eval(k.value) for k in call.keywords} if call else {}
    except (SyntaxError, ValueError):
        raise wrong from None
    method = getattr(smoothing, name.id)
    try:
        inspect.signature(method).bind(*args, **fields)
    except TypeError as error:
        known = ", ".join(inspect.signature(method).parameters) or "none"
        must = f"hold settings of {name.id} ({known})"
        raise _check.invalid("--smoothing", must, f"{text!r}: {error}") from None
    return method(*args, **fields)


def _min_count(text: str | None) -> int | dict[int, int] | None:
    from xent import _check

    if text is None:
        return None
    must = "be a number, or numbers by order like 3:2,4:2"
    wrong = _check.invalid("--min-count", must, repr(text))
    try:
        if ":" not in text:
            return int(text)
        pairs = [part.split(":") for part in text.split(",")]
        found = {int(order): int(least) for order, least in pairs}
    except ValueError:
        raise wrong from None
    if len(found) < len(pairs):  # an order is named twice
        raise wrong
    return found

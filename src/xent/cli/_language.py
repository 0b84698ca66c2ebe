"""`xent language ...`: n-gram models fitted, read, scored and put to work on corpora."""

from pathlib import Path
from typing import Annotated, Any

import typer

from xent.cli import _data

STDIN, STDOUT = Path("/dev/stdin"), Path("-")
MIN_TEXT = 100_000  # tokens; the rate of fewer says how long the first call took


def _standard(path: Path | None) -> Path | None:
    """Return what "-" stands for where a text is read."""
    return STDIN if path == Path("-") else path


ModelPath = Annotated[
    Path, typer.Argument(metavar="MODEL", help="A model: ours, or .arpa, .arpa.gz, .arpa.zst.")
]
TextPath = Annotated[
    Path,
    typer.Argument(
        metavar="TEXT", help="Plain text, .gz or .zst; - is what comes in.", callback=_standard
    ),
]
TextField = Annotated[
    str | None, typer.Option(help="Lines are JSON; the text is under this name.", metavar="NAME")
]
Output = Annotated[Path, typer.Option("--output", "-o", help="Where the result shall stand.")]
Stream = Annotated[
    Path, typer.Option("--output", "-o", help="Where the result shall stand; - prints it.")
]
JsonSwitch = Annotated[bool, typer.Option("--json", help="Print JSON, and only it.")]


def register(app: typer.Typer) -> None:
    """Add the commands."""
    language = typer.Typer(help="N-gram language models of text.", no_args_is_help=True)
    for command in (fit, evaluate, score, filter_, mix, prune, convert, sample):
        language.command(command.__name__.rstrip("_"))(command)
    app.add_typer(language, name="language")


def fit(
    text: Annotated[
        list[Path],
        typer.Argument(metavar="TEXT...", help="Plain, .gz or .zst; - is what comes in."),
    ],
    output: Output,
    order: Annotated[int, typer.Option(help="The longest n-gram.")] = 5,
    smoothing: Annotated[
        str, typer.Option(help="As in Python: 'KneserNey(discount=0.75)', 'Katz', 'AddK(0.1)'.")
    ] = "KneserNey",
    unknown: Annotated[str, typer.Option(help="word, open or closed.")] = "word",
    min_count: Annotated[
        str | None, typer.Option(help="2 for all orders from 2 on, or '3:2,4:2' by order.")
    ] = None,
    vocabulary: Annotated[Path | None, typer.Option(help="The words to know, one a line.")] = None,
    unit: Annotated[str, typer.Option(help="word, character or byte.")] = "word",
    errors: Annotated[str, typer.Option(help="strict, or keep what is not UTF-8.")] = "strict",
    held_out: Annotated[Path | None, typer.Option(help="Text for JelinekMercer.")] = None,
    memory: Annotated[
        str | None, typer.Option(help="Spill counts to disk beyond it: 500MB, 2GB.")
    ] = None,
    folder: Annotated[
        Path | None,
        typer.Option(help="Keep counts here: a fit that was stopped or killed goes on from them."),
    ] = None,
    field: TextField = None,
    json: JsonSwitch = False,
) -> None:
    """Fit a model and write it: as ARPA if the name says so, else as our own file."""
    import time

    from xent import _check
    from xent.language import NGramModel

    _check_target(output)
    _check_spared(output, *text, held_out, vocabulary)
    words = None if vocabulary is None else _words(vocabulary)
    least = _min_count(min_count)
    if order == 1 and isinstance(least, int):
        raise _check.invalid("--min-count", "be left out with --order 1", least)
    counted = ("order", "unknown", "min_count", "vocabulary", "unit", "errors")
    begin = time.perf_counter()
    with _data.words(*counted, "held_out", "memory", "folder", text="TEXT"):
        model = NGramModel(
            order,
            _smoothing(smoothing),
            unknown=unknown,
            min_count=least,
            vocabulary=words,
            unit=unit,
            errors=errors,
        )
        model.fit(_source(text, field), held_out=held_out, memory=memory, folder=folder)
    seconds = time.perf_counter() - begin
    _write(model, output)
    counts = {str(n): count for n, count in enumerate(model.counts(), 1)}
    _print(
        {"model": repr(model), "ngrams": counts, "seconds": seconds, "output": str(output)},
        f"{model!r}\n"
        + "".join(f"  {n}-grams {count:>12,}\n" for n, count in counts.items())
        + f"Fitted in {seconds:.2f} s, written to {output}.",
        json,
    )


def evaluate(
    models: Annotated[list[Path], typer.Argument(metavar="MODEL...", help="One model or several.")],
    text: TextPath,
    by: Annotated[
        str, typer.Option(help="Compare several by perplexity or bits_per_byte.")
    ] = "perplexity",
    field: TextField = None,
    json: JsonSwitch = False,
) -> None:
    """Measure how well models predict a text: perplexity and bits, the best model first."""
    import json as json_module
    import time

    from xent.language import compare

    loaded = {str(path): _load(path) for path in models}
    begin = time.perf_counter()
    source = _again(text, field) if field is not None or len(loaded) > 1 else text
    with _data.words("by", text="TEXT", models="MODEL"):
        found = compare(loaded, source, by=by)
    seconds = time.perf_counter() - begin
    if json:
        everything = {name: report.summary() for name, report in found.items()}
        typer.echo(json_module.dumps(everything, ensure_ascii=False, indent=2))
        return
    events = sum(report.events for report in found.values())
    for name, report in found.items():
        typer.echo(f"{name}: {report}")
    if events >= MIN_TEXT:
        typer.echo(f"{events / seconds:,.0f} tokens a second.")


def score(
    model: ModelPath,
    text: TextPath,
    output: Stream = STDOUT,
    field: TextField = None,
    json: JsonSwitch = False,
) -> None:
    """Print two columns, a row for each line of TEXT, with --json as JSON lines.

    First the bits that MODEL needs for the line, its end included.
    After a tab these bits, divided by the bytes of the line and its line feed.
    The fewer, the better predicted; what is impossible has inf bits.
    """
    from xent.language import _stream

    _check_spared(output, model, text)
    row = '{"bits": %.17g, "bits_per_byte": %.17g}\n' if json else "%.6g\t%.6g\n"
    loaded = _load(model)
    with _data.words(text="TEXT"), _stream.writing(output) as out:
        for some, bits, _ in _stream.scored(loaded, text, field):
            pairs = zip(bits.tolist(), (bits / some.sizes).tolist(), strict=True)
            rows = "".join([row % pair for pair in pairs])
            # What is impossible has infinitely many bits, and JSON no word for them.
            out.write((rows.replace("inf", "null") if json else rows).encode())


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
    _check_spared(output, model)
    loaded = _load(model)
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
    _print(found, sentence, json, err=output == STDOUT)


def mix(
    models: Annotated[list[Path], typer.Argument(metavar="MODEL...", help="Two or more.")],
    dev: Annotated[Path, typer.Option(help="Text under which the mixture shall be most probable.")],
    test: Annotated[Path | None, typer.Option(help="Text to measure the mixture on.")] = None,
    output: Annotated[
        Path | None, typer.Option("--output", "-o", help="Where the mixture shall stand.")
    ] = None,
    json: JsonSwitch = False,
) -> None:
    """Find the weights with which models together predict a development text best."""
    from xent.language import mix as mix_models

    if output is not None:
        _check_target(output, exact=True)
        _check_spared(output, dev, test)
    text = _again(dev)
    with _data.words("dev", models="MODEL", text="--dev"):
        mixture = mix_models([_load_one(path) for path in models], text)
    weights = dict(zip(map(str, models), mixture.weights.tolist(), strict=True))
    found: dict[str, Any] = {"weights": weights, "perplexity_dev": mixture.perplexity(text)}
    said = "".join(f"{weight:.6f}  {name}\n" for name, weight in weights.items())
    said += f"perplexity of {dev} (--dev): {found['perplexity_dev']:.4f}"
    if test is not None:
        with _data.words(text="--test"):
            found["perplexity_test"] = mixture.perplexity(test)
        said += f"\nperplexity of {test} (--test): {found['perplexity_test']:.4f}"
    if output is not None:
        mixture.save(output)
        found["output"] = str(output)
        said += f"\nWritten to {output}."
    _print(found, said, json)


def prune(
    model: ModelPath,
    output: Output,
    entropy: Annotated[float, typer.Option(help="Rise of perplexity below which an n-gram goes.")],
    histories: Annotated[
        Path | None, typer.Option(help="A model (best: Katz) that says how likely histories are.")
    ] = None,
    json: JsonSwitch = False,
) -> None:
    """Leave out the n-grams that shorter ones predict almost as well."""
    _check_target(output)
    loaded = _load_one(model)
    likely = None if histories is None else _load_one(histories, "--histories")
    with _data.words("entropy", "histories"):
        small = loaded.prune(entropy, histories=likely)
    _write(small, output)
    before, after = sum(loaded.counts()), sum(small.counts())
    found = {"before": loaded.counts(), "after": small.counts(), "output": str(output)}
    sentence = f"{after:,} of {before:,} n-grams stay, written to {output}."
    _print(found, sentence, json)


def convert(
    model: ModelPath,
    output: Output,
    compact: Annotated[bool, typer.Option(help="Pack it: a byte for each probability.")] = False,
    json: JsonSwitch = False,
) -> None:
    """Write a model in another format: ARPA if the name says so, else our own file."""
    from xent import _check

    _check_target(output)
    if compact and _is_arpa(output):
        raise _check.invalid("--compact", "go with a file of our own", repr(output.name))
    loaded = _load(model)
    if compact:
        loaded.save(output, compact=True)
    else:
        _write(loaded, output)
    found = {"model": repr(loaded), "output": str(output), "bytes": output.stat().st_size}
    _print(found, f"Written to {output}.", json)


def sample(
    model: ModelPath,
    count: Annotated[int, typer.Option("--count", "-n", help="How many sentences.")] = 1,
    seed: _data.Seed = 0,
    most: Annotated[int, typer.Option(help="Tokens at most.")] = 1000,
    json: JsonSwitch = False,
) -> None:
    """Draw sentences."""
    import numpy as np

    from xent import _check

    loaded = _load(model)
    luck = np.random.default_rng(_check.integer("--seed", seed, least=0))
    for _ in range(_check.integer("--count", count, least=1)):
        with _data.words("most"):
            tokens = loaded.sample(luck, most=most)
        if loaded.unit == "byte":
            text = bytes(int(t, 16) for t in tokens if len(t) == 2).decode("utf-8", "replace")
        else:
            text = ("" if loaded.unit == "character" else " ").join(tokens)
        _print({"text": text, "tokens": tokens}, text, json)


# ------------------------------------------------------------------ what the commands share


def _is_arpa(path: Path) -> bool:
    return path.name.removesuffix(".gz").removesuffix(".zst").endswith(".arpa")


def _check_target(path: Path, *, exact: bool = False) -> None:
    """Refuse before the work what could not be written after it; ``exact``: ARPA could not."""
    from xent import _check, _store

    if exact and _is_arpa(path):
        advice = "A sum of back-off models is not one."
        raise _check.invalid("--output", "name a file of our own", repr(path.name), advice)
    if path == STDOUT:
        advice = "What score and filter write can be printed."
        raise _check.invalid("--output", "name a file", repr(str(path)), advice)
    _store.check_target(path, argument="--output")
    if _is_arpa(path) and path.name.endswith(".zst"):
        raise _check.invalid("--output", "end in .arpa or .arpa.gz", repr(path.name))


def _check_spared(output: Path, *inputs: Path | None) -> None:
    """Refuse to write over what is read."""
    import os

    from xent import _check

    read = {os.path.realpath(path) for path in inputs if path not in (None, STDOUT)}
    if output != STDOUT and os.path.realpath(output) in read:
        raise _check.invalid("--output", "differ from the input", repr(str(output)))


def _load(path: Path, argument: str = "MODEL") -> Any:
    from xent.language import _mixture, read_arpa

    with _data.words(path=argument):
        return read_arpa(path) if _is_arpa(path) else _mixture.load(path)


def _load_one(path: Path, argument: str = "MODEL") -> Any:
    """Read a model that is no mixture."""
    from xent import _check
    from xent.language import Mixture

    loaded = _load(path, argument)
    if isinstance(loaded, Mixture):
        raise _check.invalid(argument, "be one model", f"the mixture {str(path)!r}")
    return loaded


def _write(model: Any, path: Path) -> None:
    from xent.language import write_arpa

    if _is_arpa(path):
        write_arpa(model, path)
    else:
        model.save(path)


def _source(paths: list[Path], field: str | None) -> Any:
    from itertools import chain

    from xent.language import _stream

    paths = [STDIN if path == Path("-") else path for path in paths]
    if field is None:
        return paths
    return chain.from_iterable(_stream.lines(path, field) for path in paths)


def _again(text: Path, field: str | None = None) -> Any:
    """Return a text that several models can read: of a pipe, which is read but once, its lines."""
    from xent.language import _stream

    pipe = text.exists() and not text.is_file() and not text.is_dir()
    if field is None and not pipe:
        return text
    return list(_stream.lines(text, field))


def _words(path: Path) -> list[str]:
    if not path.is_file():
        raise FileNotFoundError(f"There is no file {str(path)!r}.")
    from xent import _check

    try:
        return path.read_text(encoding="utf-8-sig").split()
    except UnicodeDecodeError as error:
        found = f"{str(path)!r} with byte 0x{error.object[error.start]:02x} at {error.start}"
        raise _check.invalid("--vocabulary", "be UTF-8", found) from None


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


def _print(found: dict[str, Any], text: str, as_json: bool, *, err: bool = False) -> None:
    import json

    typer.echo(json.dumps(found, ensure_ascii=False) if as_json else text, err=err)

"""`xent language mix`, `prune` and `convert`: models made of models."""

from pathlib import Path
from typing import Annotated, Any

import typer

from xent.cli import _data
from xent.cli._language._files import (
    again,
    check_spared,
    check_target,
    is_arpa,
    load,
    load_one,
    write,
)
from xent.cli._language._options import Errors, JsonSwitch, ModelPath, Output, Unit, show


def mix(
    models: Annotated[list[Path], typer.Argument(metavar="MODEL...", help="Two or more.")],
    dev: Annotated[Path, typer.Option(help="Text under which the mixture shall be most probable.")],
    test: Annotated[Path | None, typer.Option(help="Text to measure the mixture on.")] = None,
    output: Annotated[
        Path | None, typer.Option("--output", "-o", help="Where the mixture shall stand.")
    ] = None,
    unit: Unit = None,
    errors: Errors = None,
    json: JsonSwitch = False,
) -> None:
    """Find the weights with which models together predict a development text best."""
    from xent.language import mix as mix_models

    if output is not None:
        check_target(output)
        check_spared(output, dev, test)
    text = again(dev)
    with _data.words("dev", "errors", models="MODEL", text="--dev"):
        mixture = mix_models([load_one(path, unit=unit, errors=errors) for path in models], text)
    weights = dict(zip(map(str, models), mixture.weights.tolist(), strict=True))
    found: dict[str, Any] = {"weights": weights, "perplexity_dev": mixture.perplexity(text)}
    said = "".join(f"{weight:.6f}  {name}\n" for name, weight in weights.items())
    said += f"perplexity of {dev} (--dev): {found['perplexity_dev']:.4f}"
    if test is not None:
        with _data.words("errors", text="--test"):
            found["perplexity_test"] = mixture.perplexity(test)
        said += f"\nperplexity of {test} (--test): {found['perplexity_test']:.4f}"
    if output is not None:
        write(mixture, output)
        found["output"] = str(output)
        said += f"\nWritten to {output}."
    show(found, said, json)


def prune(
    model: ModelPath,
    output: Output,
    entropy: Annotated[float, typer.Option(help="Rise of perplexity below which an n-gram goes.")],
    histories: Annotated[
        Path | None, typer.Option(help="A model (best: Katz) that says how likely histories are.")
    ] = None,
    unit: Unit = None,
    errors: Errors = None,
    json: JsonSwitch = False,
) -> None:
    """Leave out the n-grams that shorter ones predict almost as well."""
    check_target(output)
    loaded = load_one(model, unit=unit, errors=errors)
    likely = (
        None if histories is None else load_one(histories, "--histories", unit=unit, errors=errors)
    )
    with _data.words("entropy", "histories"):
        small = loaded.prune(entropy, histories=likely)
    write(small, output)
    before, after = sum(loaded.counts()), sum(small.counts())
    found = {"before": loaded.counts(), "after": small.counts(), "output": str(output)}
    sentence = f"{after:,} of {before:,} n-grams stay, written to {output}."
    show(found, sentence, json)


def convert(
    model: ModelPath,
    output: Output,
    compact: Annotated[bool, typer.Option(help="Pack it: a byte for each probability.")] = False,
    unit: Unit = None,
    errors: Errors = None,
    json: JsonSwitch = False,
) -> None:
    """Write a model in another format: ARPA if the name says so, else our own file."""
    from xent import _check

    check_target(output)
    if compact and is_arpa(output):
        raise _check.invalid("--compact", "go with a file of our own", repr(output.name))
    loaded = load(model, unit=unit, errors=errors)
    if compact:
        loaded.save(output, compact=True)
    else:
        write(loaded, output)
    found = {"model": repr(loaded), "output": str(output), "bytes": output.stat().st_size}
    show(found, f"Written to {output}.", json)

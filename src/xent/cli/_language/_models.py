"""`xent language mix`, `prune` and `convert`: models made of models."""

from pathlib import Path
from typing import Annotated, Any

import typer

from xent._terminal import as_typed
from xent.cli import _data
from xent.cli._language._files import (
    again,
    check_once,
    check_spared,
    check_target,
    is_arpa,
    load,
    load_one,
    write,
)
from xent.cli._language._options import Errors, JsonSwitch, ModelPath, Output, Unit, show


def mix(
    models: Annotated[list[Path], typer.Argument(metavar="MODEL", help="Two models or more.")],
    dev: Annotated[Path, typer.Option(help="Development text, on which the weights are chosen.")],
    test: Annotated[
        Path | None, typer.Option(help="Another text to measure the mixture on.")
    ] = None,
    output: Annotated[
        Path | None, typer.Option("--output", "-o", help="Write the mixture to this file.")
    ] = None,
    unit: Unit = None,
    errors: Errors = None,
    json: JsonSwitch = False,
) -> None:
    """Find the weights with which models together predict a development text best.

    Example: xent language mix news.xent talk.xent --dev dev.txt --output mixed.xent
    """
    from xent.language import mix as mix_models

    if output is not None:
        check_target(output)
        check_spared(output, *models, dev, test)
    check_once(models)
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
        said += f"\nWritten to {as_typed(output)}."
    show(found, said, json)


def prune(
    model: ModelPath,
    output: Output,
    entropy: Annotated[
        float,
        typer.Option(
            help="Drop an n-gram if that raises the perplexity by less than this share, like 1e-8."
        ),
    ],
    histories: Annotated[
        Path | None,
        typer.Option(
            help="Another model that gives the probabilities of histories; a Katz model is best."
        ),
    ] = None,
    unit: Unit = None,
    errors: Errors = None,
    json: JsonSwitch = False,
) -> None:
    """Leave out the n-grams that shorter ones predict almost as well.

    Example: xent language prune model.xent --entropy 1e-8 --output small.xent
    """
    check_target(output)
    check_spared(output, model, histories)
    loaded = load_one(model, unit=unit, errors=errors)
    likely = (
        None if histories is None else load_one(histories, "--histories", unit=unit, errors=errors)
    )
    with _data.words("entropy", "histories"):
        small = loaded.prune(entropy, histories=likely)
    write(small, output)
    before, after = sum(loaded.counts()), sum(small.counts())
    found = {"before": loaded.counts(), "after": small.counts(), "output": str(output)}
    sentence = f"{after:,} of {before:,} n-grams stay, written to {as_typed(output)}."
    show(found, sentence, json)


def convert(
    model: ModelPath,
    output: Output,
    compact: Annotated[
        bool, typer.Option(help="Pack the model: one byte for each probability.")
    ] = False,
    unit: Unit = None,
    errors: Errors = None,
    json: JsonSwitch = False,
) -> None:
    """Write a model in another format, as the name of the output ends.

    .arpa is ARPA text, .fst.txt an automaton in OpenFst's text with its words beside it in
    .words.txt, anything else a file of xent.

    Example: xent language convert model.xent --output model.arpa
    """
    from xent import _check

    check_target(output)
    check_spared(output, model)
    if compact and is_arpa(output):
        raise _check.invalid("--compact", "go with a file of our own", repr(output.name))
    loaded = load(model, unit=unit, errors=errors)
    if compact:
        loaded.save(output, compact=True)
    else:
        write(loaded, output)
    found = {"model": repr(loaded), "output": str(output), "bytes": output.stat().st_size}
    show(found, f"Written to {as_typed(output)}.", json)

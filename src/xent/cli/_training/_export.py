"""`xent export`: a model as other programs run it."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from xent._terminal import as_typed
from xent.cli import _data
from xent.cli._help import one_of
from xent.cli._training._module._code import code_of, module_factory

GRAPH_ENDINGS = {".onnx": "onnx", ".pt2": "torch"}


def export(
    model: Annotated[
        Path, typer.Argument(metavar="MODEL", help="A model that `xent train` wrote.")
    ],
    output: Annotated[
        Path, typer.Option("--output", "-o", help="Write the graph to this file: .pt2, .onnx.")
    ],
    format_: Annotated[
        str | None,
        typer.Option(
            "--format",
            help="torch (torch.export) or onnx; by default what the file's name says.",
            autocompletion=one_of("torch", "onnx"),
        ),
    ] = None,
    module: Annotated[
        str | None,
        typer.Option(
            help="The network that MODEL was trained with, if it was: its file is RUN.",
            metavar="FILE.py:NAME",
        ),
    ] = None,
) -> None:
    """Export a model as a graph that loads without xent, encoding and scaling within.

    It takes the columns as numbers, float64 of shape (rows, columns), and gives the natural
    logarithms of the probabilities. A text columns.json in the file says which number stands for
    which name, and names the classes.

    Example: xent export digits.xent --output digits.pt2
    """
    from xent import _check
    from xent.training import TrainedModel, export_model
    from xent.training._export import description

    kind = format_ or GRAPH_ENDINGS.get(output.suffix.lower())
    if kind is None:
        advice = "Or pass --format torch or --format onnx."
        raise _check.invalid("--output", "end in .pt2 or .onnx", repr(str(output)), advice)
    _data.check_outputs([model, code_of(module)], {"--output": output})
    with _data.words("format", "module", path="MODEL"):
        trained = TrainedModel.load(model, None if module is None else module_factory(module, 0))
        export_model(trained, output, kind)
    said = description(trained)
    typer.echo(f"{as_typed(output)}: takes {said['input']}; gives {said['output']}")

"""`xent train`, `predict` and `export`: labelled data in, a model out, and what it is good for."""

import typer

from xent.cli._training._export import export
from xent.cli._training._predict import predict
from xent.cli._training._train import train


def register(app: typer.Typer) -> None:
    """Add the commands."""
    for command in (train, predict, export):
        app.command()(command)

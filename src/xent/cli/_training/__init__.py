"""`xent train` and `xent predict`: labelled data in, a model out, and its predictions."""

import typer

from xent.cli._training._predict import predict
from xent.cli._training._train import train


def register(app: typer.Typer) -> None:
    """Add the commands."""
    for command in (train, predict):
        app.command()(command)

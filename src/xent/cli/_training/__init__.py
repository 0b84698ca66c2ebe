"""Labelled data in: `xent train`, `predict`, `export` and `compare-losses`."""

import typer

from xent.cli._training._compare_losses import compare_losses
from xent.cli._training._export import export
from xent.cli._training._predict import predict
from xent.cli._training._train import train


def register(app: typer.Typer) -> None:
    """Add the commands."""
    for command in (train, predict, export, compare_losses):
        app.command()(command)

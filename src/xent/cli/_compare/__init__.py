"""`xent compare`, and `xent evaluate --against`: two models or more on the same rows."""

from __future__ import annotations

import typer


def register(app: typer.Typer) -> None:
    """Add the command."""
    from xent.cli._compare._command import compare

    app.command()(compare)

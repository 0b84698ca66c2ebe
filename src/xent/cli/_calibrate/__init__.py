"""`xent calibrate`: a calibrator fitted on predictions, or used on them."""

from __future__ import annotations

import typer


def register(app: typer.Typer) -> None:
    """Add the command."""
    from xent.cli._calibrate._command import calibrate

    app.command()(calibrate)

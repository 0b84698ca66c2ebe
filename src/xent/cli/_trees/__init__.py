"""`xent tree`: a decision tree grown, applied and read."""

from __future__ import annotations

import typer


def register(app: typer.Typer) -> None:
    """Add the commands."""
    from xent.cli._trees import _command

    tree = typer.Typer(help="Fit, apply and read decision trees.", no_args_is_help=True)
    for command in (_command.fit, _command.predict, _command.show, _command.rules):
        tree.command(command.__name__)(command)
    app.add_typer(tree, name="tree")

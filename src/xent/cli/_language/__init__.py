"""`xent language ...`: n-gram models fitted, read, scored and put to work on corpora."""

import typer

from xent.cli._language._filter import filter_
from xent.cli._language._fit import fit
from xent.cli._language._measure import evaluate, sample, score
from xent.cli._language._models import convert, mix, prune


def register(app: typer.Typer) -> None:
    """Add the commands."""
    language = typer.Typer(
        help="Fit n-gram language models, measure texts with them, filter corpora.",
        no_args_is_help=True,
    )
    for command in (fit, evaluate, score, filter_, mix, prune, convert, sample):
        language.command(command.__name__.rstrip("_"))(command)
    app.add_typer(language, name="language")

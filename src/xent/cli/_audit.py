"""`xent audit`: training scripts in, what is wrong with their losses out."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer
from typer.core import TyperGroup

if TYPE_CHECKING:
    from xent.audit import AuditReport

FILES = "files"


class PathsOrCommand(TyperGroup):
    """`xent audit PATH...` is `xent audit files PATH...`."""

    def parse_args(self, ctx: Any, args: list[str]) -> list[str]:
        """Put the name of the command that is meant in front of what is a path or an option."""
        if not args or args[0] not in self.commands:
            args = [FILES, *args]
        return super().parse_args(ctx, args)


def register(app: typer.Typer) -> None:
    """Add the commands."""
    group = typer.Typer(
        name="audit", cls=PathsOrCommand, help="Say what is wrong with a training script's loss."
    )
    app.add_typer(group)
    _register_files(group)
    _register_rule(group)


def _register_files(group: typer.Typer) -> None:
    @group.command(FILES)
    def files(
        paths: Annotated[
            list[Path], typer.Argument(metavar="PATH...", help="Scripts, notebooks, folders.")
        ],
        format: Annotated[str, typer.Option(help="text, json, sarif or github.")] = "text",
        notes: Annotated[bool, typer.Option("--notes", help="Show notes as well.")] = False,
        select: Annotated[
            list[str] | None, typer.Option(help="Rules to look for: X402, or X4 for all of X4xx.")
        ] = None,
        ignore: Annotated[list[str] | None, typer.Option(help="Rules to leave out.")] = None,
        fail_on: Annotated[
            str | None,
            typer.Option(help="Exit with 1 at error, warning (the default), note, or never."),
        ] = None,
        baseline: Annotated[
            Path | None, typer.Option(help="A JSON report: leave out what it has.")
        ] = None,
    ) -> None:
        """Read training scripts; nothing is run. `xent audit rule ID` explains a rule."""
        from xent import _check
        from xent.audit._audit import _folder, audit, without_baseline
        from xent.audit._config import from_table, load
        from xent.audit._formats import REPORT_FORMATS

        _check.option("--format", format, REPORT_FORMATS)
        given = from_table(
            {"select": select or [], "ignore": ignore or [], "fail-on": fail_on or "warning"}
        )
        config = load(_folder(paths)).but(
            select=given.select if select else None,
            ignore=given.ignore if ignore else None,
            fail_on=fail_on,
        )
        report: AuditReport = audit(*paths, config=config)
        if baseline is not None:
            report = without_baseline(report, baseline)
        typer.echo(REPORT_FORMATS[format](report, notes))
        if report.reaches(config.fail_on):
            raise typer.Exit(1)


def _register_rule(group: typer.Typer) -> None:
    @group.command()
    def rule(
        rules: Annotated[
            list[str] | None, typer.Argument(metavar="[ID]...", help="All, if none is named.")
        ] = None,
    ) -> None:
        """Explain a rule: wrong and right lines, why, and what it costs."""
        from xent import _check
        from xent.audit._catalogue import RULES

        if not rules:
            for one in RULES.values():
                typer.echo(f"{one.id}  {one.level:8}{one.name}")
            return
        for name in rules:
            _check.option("ID", name.upper(), RULES)
            typer.echo(RULES[name.upper()].page())

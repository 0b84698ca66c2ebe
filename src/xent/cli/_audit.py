"""`xent audit`: training scripts in, what is wrong with their losses out."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer
from typer.core import TyperCommand, TyperGroup

from xent.cli import _data
from xent.cli._help import one_of

if TYPE_CHECKING:
    from xent.audit import AuditReport, Config

FILES = "files"
Format = Annotated[
    str,
    typer.Option(
        help="Form of the report: text, json, sarif or github.",
        autocompletion=one_of("text", "json", "sarif", "github"),
    ),
]
Notes = Annotated[
    bool, typer.Option("--notes", help="Show notes, too, beside errors and warnings.")
]
Select = Annotated[
    list[str] | None,
    typer.Option(help="Look for these rules alone: X402, or X4 for all of X4xx; may be repeated."),
]
Ignore = Annotated[list[str] | None, typer.Option(help="Leave out these rules; may be repeated.")]
FailOn = Annotated[
    str | None,
    typer.Option(
        help="Exit with code 1 at an error, a warning (the default), a note, or never.",
        autocompletion=one_of("error", "warning", "note", "never"),
    ),
]


class PathsOrCommand(TyperGroup):
    """`xent audit PATH...` is `xent audit files PATH...`."""

    def parse_args(self, ctx: Any, args: list[str]) -> list[str]:
        """Put the name of the command that is meant in front of what is a path or an option."""
        if not args or args[0] not in self.commands:
            args = [FILES, *args]
        return super().parse_args(ctx, args)


class ReadingCommand(TyperCommand):
    """Its name is left out where it is called, and so in its help."""

    def format_usage(self, ctx: Any, formatter: Any) -> None:
        """Write `xent audit [OPTIONS] PATH...`."""
        formatter.write_usage(ctx.parent.command_path, " ".join(self.collect_usage_pieces(ctx)))


def _rules(incomplete: str) -> list[str]:
    from xent.audit._catalogue import RULES

    return [name for name in RULES if name.startswith(incomplete.upper())]


def register(app: typer.Typer) -> None:
    """Add the commands."""
    group = typer.Typer(
        name="audit",
        cls=PathsOrCommand,
        help="Find what is wrong with the loss of a training script, and how to fix it.",
    )
    app.add_typer(group)
    _register_files(group)
    _register_run(group)
    _register_rule(group)


def _register_files(group: typer.Typer) -> None:
    @group.command(FILES, cls=ReadingCommand)
    def files(
        paths: Annotated[
            list[Path],
            typer.Argument(metavar="PATH", help="Scripts, notebooks, or folders of them."),
        ],
        format: Format = "text",
        notes: Notes = False,
        select: Select = None,
        ignore: Ignore = None,
        fail_on: FailOn = None,
        baseline: Annotated[
            Path | None,
            typer.Option(
                help="A JSON report of an earlier run; findings that it has are left out."
            ),
        ] = None,
    ) -> None:
        """Read training scripts, without running them.

        `xent audit run SCRIPT` runs one and looks at its losses; `xent audit rule ID` explains a
        rule.

        Example: xent audit train.py
        """
        from xent import _check
        from xent.audit._audit import _folder, audit, without_baseline
        from xent.audit._formats import REPORT_FORMATS

        _check.option("--format", format, REPORT_FORMATS)
        config = _config(_folder(paths), select, ignore, fail_on)
        report: AuditReport = audit(*paths, config=config)
        if baseline is not None:
            report = without_baseline(report, baseline)
        typer.echo(REPORT_FORMATS[format](report, notes))
        if report.reaches(config.fail_on):
            raise typer.Exit(1)


def _register_run(group: typer.Typer) -> None:
    @group.command(context_settings={"allow_interspersed_args": False})
    def run(
        script: Annotated[Path, typer.Argument(metavar="SCRIPT", help="A training script.")],
        arguments: Annotated[
            list[str] | None,
            typer.Argument(metavar="ARGS", help="Arguments of the script itself."),
        ] = None,
        steps: Annotated[
            int | None,
            typer.Option(help="Stop looking after so many steps; the script goes on."),
        ] = None,
        report: Annotated[
            Path | None, typer.Option(help="Write the report to this file, not to stderr.")
        ] = None,
        format: Format = "text",
        notes: Notes = False,
        select: Select = None,
        ignore: Ignore = None,
        fail_on: FailOn = None,
        strict: Annotated[
            bool,
            typer.Option(
                "--strict",
                help="Exit with code 1 on findings, whatever the exit code of the script.",
            ),
        ] = False,
    ) -> None:
        """Run a script unchanged, and say what is wrong with the losses that it computes.

        Example: xent audit run train.py --epochs 1
        """
        from xent import _check
        from xent.audit._formats import REPORT_FORMATS
        from xent.audit._run import program

        _check.option("--format", format, REPORT_FORMATS)
        if steps is not None:
            _check.integer("--steps", steps, least=1)
        if report is not None and not report.parent.is_dir():
            raise _check.invalid("--report", "lie in a folder that exists", repr(str(report)))
        if report is not None and report.resolve() == script.resolve():
            raise _check.invalid("--report", "differ from what is run", f"{str(report)!r} for both")
        config = _config(script.parent, select, ignore, fail_on)
        ran = program.run(script, arguments or [], config, steps)
        written = REPORT_FORMATS[format](ran.report, notes)
        if report is None:
            typer.echo(written, err=True)
        else:
            from xent import _store  # NumPy: not in front of the script

            with _store.writing(report, argument="--report") as file:
                file.write(f"{written}\n".encode())
        if ran.interrupted:
            program.interrupt()
        failed = ran.report.reaches(config.fail_on)
        raise typer.Exit(1 if failed and (strict or not ran.code) else ran.code)


def _config(
    folder: Path, select: list[str] | None, ignore: list[str] | None, fail_on: str | None
) -> Config:
    """Return the settings of a project, with what the command line says instead."""
    from xent.audit._config import from_table, load

    with _data.words("select", "ignore", **{"fail-on": "--fail-on"}):
        given = from_table(
            {"select": select or [], "ignore": ignore or [], "fail-on": fail_on or "warning"}
        )
    return load(folder).but(
        select=given.select if select else None,
        ignore=given.ignore if ignore else None,
        fail_on=fail_on,
    )


def _register_rule(group: typer.Typer) -> None:
    @group.command()
    def rule(
        rules: Annotated[
            list[str] | None,
            typer.Argument(
                metavar="ID",
                help="Rules to explain, like X101; by default all are listed.",
                autocompletion=_rules,
            ),
        ] = None,
    ) -> None:
        """Explain a rule: wrong and right lines, why, and what it costs.

        Example: xent audit rule X101
        """
        from xent import _check
        from xent.audit._catalogue import RULES

        if not rules:
            for one in RULES.values():
                typer.echo(f"{one.id}  {one.level:8}{one.name}")
            return
        for name in rules:
            _check.option("ID", name.upper(), RULES)
            typer.echo(RULES[name.upper()].page())

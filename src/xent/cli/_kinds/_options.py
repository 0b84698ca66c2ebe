"""What says that a file holds another kind of predictions, and which other options then mean one.

`KindOptions` are options of `xent evaluate`; what a kind has no use for is refused.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated, Any

import typer

from xent.cli._help import one_of

_OTHERS = "Other kinds of predictions"


@dataclass(frozen=True)
class KindOptions:
    """Which kind, and what belongs to it; each field is an option of the command."""

    soft: Annotated[
        str | None,
        typer.Option(
            help="Columns of a truth that is itself a distribution, like t_*, instead of --target.",
            metavar="COLUMNS",
            rich_help_panel=_OTHERS,
        ),
    ] = None
    multilabel: Annotated[
        bool,
        typer.Option(
            "--multilabel",
            help="Several labels at once: --target y_* is 0 or 1 for each, --probs p_* its own.",
            rich_help_panel=_OTHERS,
        ),
    ] = False
    ordered: Annotated[
        bool,
        typer.Option(
            "--ordered",
            help="The classes have an order, that of --labels or of their numbers: adds the ranked "
            "probability score.",
            rich_help_panel=_OTHERS,
        ),
    ] = False
    class_axis: Annotated[
        int | None,
        typer.Option(
            help="An NPZ of masks or sequences: the axis of classes, 1 for (N, C, H, W), -1 for "
            "(N, T, C); --logits and --target name its arrays.",
            metavar="AXIS",
            rich_help_panel=_OTHERS,
        ),
    ] = None
    tokens: Annotated[
        str | None,
        typer.Option(
            help="Column of lists of the log-probabilities of a document's tokens.",
            metavar="COLUMN",
            rich_help_panel=_OTHERS,
        ),
    ] = None
    harness: Annotated[
        bool,
        typer.Option(
            "--harness",
            help="FILE holds samples that lm-evaluation-harness logged, with rolling "
            "log-likelihoods.",
            rich_help_panel=_OTHERS,
        ),
    ] = False
    text: Annotated[
        str | None,
        typer.Option(
            help="Column with the source text of a document, for bits a word and a byte; "
            "with --harness a path like doc.page.",
            metavar="COLUMN",
            rich_help_panel=_OTHERS,
        ),
    ] = None
    mask: Annotated[
        str | None,
        typer.Option(
            help="Column of lists of 1 for a token that counts and 0 for padding.",
            metavar="COLUMN",
            rich_help_panel=_OTHERS,
        ),
    ] = None
    stride: Annotated[
        int | None,
        typer.Option(
            help="Rows are overlapping windows of texts, which --id names. This many tokens "
            "lie between the beginnings of two windows; tokens that they share count "
            "once.",
            rich_help_panel=_OTHERS,
        ),
    ] = None
    first: Annotated[
        str | None,
        typer.Option(
            help="How the first token was predicted: after_start (it follows a start token), "
            "or left_out (it has no probability).",
            autocompletion=one_of("after_start", "left_out"),
            rich_help_panel=_OTHERS,
        ),
    ] = None
    log_base: Annotated[
        str,
        typer.Option(
            help="Base of the tokens' log-probabilities: e, 2 or 10.",
            metavar="<number>",
            rich_help_panel=_OTHERS,
        ),
    ] = "e"

    @property
    def alone(self) -> str | None:
        """The option that makes a report of its own of the file; None where classes are judged."""
        from xent import _check

        asked = {
            "--soft": self.soft is not None,
            "--multilabel": self.multilabel,
            "--ordered": self.ordered,
            "--class-axis": self.class_axis is not None,
            "--tokens": self.tokens is not None,
            "--harness": self.harness,
        }
        typed = [option for option, said in asked.items() if said]
        if len(typed) > 1:
            must = f"be left out where {typed[1]} is given"
            raise _check.invalid(typed[0], must, "both")
        kind = typed[0] if typed else None
        belongs = {
            "--text": (self.text, ("--tokens", "--harness")),
            "--mask": (self.mask, ("--tokens",)),
            "--stride": (self.stride, ("--tokens",)),
            "--first": (self.first, ("--tokens",)),
            "--log-base": (None if self.log_base == "e" else self.log_base, ("--tokens",)),
        }
        for option, (said, kinds) in belongs.items():
            if said is not None and kind not in kinds:
                raise _check.invalid(option, f"go with {' or '.join(kinds)}", repr(said))
        return None if kind == "--ordered" else kind


# Options of `xent evaluate` that mean something for a kind, beside FILE, --base, --rows, --json and
# --fail-above, which all have.
TAKEN = {
    "--soft": ("probs", "logits", "log_probs", "weights", "normalize", "allow_probabilities"),
    "--multilabel": ("target", "probs", "logits", "weights", "ignore", "allow_probabilities"),
    "--class-axis": ("target", "probs", "logits", "log_probs", "ignore", "allow_probabilities"),
    "--tokens": ("id_",),
    "--harness": (),
}
NO_TABLE = ("--class-axis", "--harness")  # their files have no columns
DEFAULTS: dict[str, Any] = {"target": "target"}


def refuse_others(kind: str, said: dict[str, Any], reading: dict[str, bool]) -> None:
    """Refuse options that a kind has no use for.

    Parameters
    ----------
    kind : str
        The option that asked for the kind.
    said : dict of str to object
        The other options, by their names in Python.
    reading : dict of str to bool
        What can be said of a table, and whether it was.
    """
    from xent import _check

    typed = [
        "--" + name.rstrip("_").replace("_", "-")
        for name, value in said.items()
        if name not in TAKEN[kind] and value not in (None, False, [], DEFAULTS.get(name))
    ]
    typed += [option for option, given in reading.items() if given and kind in NO_TABLE]
    if typed:
        raise _check.invalid(typed[0], f"be left out where {kind} is given", "both")

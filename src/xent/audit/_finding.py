"""One finding, and its JSON form: the record that both halves of the audit make."""

from __future__ import annotations

from dataclasses import asdict, dataclass, field
from typing import Any

from xent.audit._catalogue import RULES

UNKNOWN_LINE = "?"  # a line that was not seen


@dataclass(frozen=True, order=True)
class Finding:
    """A mistake at one place of a script.

    Parameters
    ----------
    path, line, column : str, int, int
        Where; lines and columns count from 1.
    rule, name, level : str
        Which rule, and how sure. An "error" is wrong in every run of this line. A "warning" names
        the condition that was not seen. A "note" is a matter of taste or of little weight.
    message, fix : str
        What is wrong, and a line of code that is not.
    seen : str or None
        Facts of a run, or of the script.
    cell : int or None
        In a notebook the cell, counted from 1; the line is then the cell's.
    losses : tuple of (str, int, int)
        The calls of losses that it is about, where they stand elsewhere: file, first and last line.
    loop : (str, int, int) or None
        The loop over batches whose average it is.
    supposed : str
        What reading does not know and a run must confirm: the "sizes" of batches, that a call
        computes a "loss" that is a mean, or nothing (""). "part": more may be added to the loss.

    Examples
    --------
    >>> found = Finding("train.py", None, 4, 8, "X101", "double-softmax", "error", "twice", "once")
    >>> found.where
    'train.py:4:8'
    """

    path: str
    cell: int | None
    line: int
    column: int
    rule: str
    name: str
    level: str
    message: str
    fix: str
    seen: str | None = None
    losses: tuple[tuple[str, int, int], ...] = field(default=(), compare=False, repr=False)
    loop: tuple[str, int, int] | None = field(default=None, compare=False, repr=False)
    supposed: str = field(default="", compare=False, repr=False)

    @property
    def where(self) -> str:
        """The place as text: ``train.py:3:1``, ``nb.ipynb:cell 7:3``."""
        if self.cell is not None:
            return f"{self.path}:cell {self.cell}:{self.line}"
        return f"{self.path}:{self.line}:{self.column}"

    def as_json(self) -> dict[str, Any]:
        """Return the object that ``--format json`` prints for it."""
        parts = asdict(self)
        order = ("rule", "name", "level", "path", "line", "column", "cell", "message", "fix")
        return {key: parts[key] for key in (*order, "seen")}


def finding(
    rule: str,
    path: str,
    line: int,
    column: int,
    /,
    *,
    cell: int | None = None,
    level: str | None = None,
    seen: str | None = None,
    losses: tuple[tuple[str, int, int], ...] = (),
    loop: tuple[str, int, int] | None = None,
    supposed: str = "",
    **facts: object,
) -> Finding:
    """Make the finding of a rule at a place; ``facts`` fill the rule's message and fix."""
    known = RULES[rule]
    message, fix = known.message.format(**facts), known.fix.format(**facts)
    if facts.get("line") == UNKNOWN_LINE:
        for words in (f" at line {UNKNOWN_LINE}", f" of line {UNKNOWN_LINE}"):
            message, fix = message.replace(words, ""), fix.replace(words, "")
    return Finding(
        path=path,
        cell=cell,
        line=line,
        column=column,
        rule=rule,
        name=known.name,
        level=level or known.level,
        message=message,
        fix=fix,
        seen=seen,
        losses=losses,
        loop=loop,
        supposed=supposed,
    )

"""What an audit found, and how people read it."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

from xent import _check
from xent.audit._catalogue import FINDING_LEVELS
from xent.audit._finding import Finding

MOST_NAMED = 12  # of what was not followed, on the last line for people


@dataclass
class AuditReport:
    """What an audit found.

    Parameters
    ----------
    findings : list of Finding
        By place, notes among them.
    sites : int
        How many calls of losses were looked at.
    not_followed : list of str
        Losses whose arithmetic could not be seen, so that silence about them says nothing.

    Examples
    --------
    >>> import tempfile
    >>> from pathlib import Path
    >>> from xent.audit import audit
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     script = Path(folder) / "small.py"
    ...     _ = script.write_text("import torch.nn.functional as F; F.nll_loss(F.softmax(z, 1), y)")
    ...     report = audit(script)
    >>> len(report.findings), report.sites, report.reaches("error")
    (1, 1, True)
    """

    findings: list[Finding] = field(default_factory=list)
    sites: int = 0
    not_followed: list[str] = field(default_factory=list)

    def as_json(self) -> dict[str, Any]:
        """Return the object that ``--format json`` prints."""
        return {
            "schema": 1,
            "findings": [found.as_json() for found in self.findings],
            "sites": self.sites,
            "not_followed": self.not_followed,
        }

    def __str__(self) -> str:
        return text(self, notes=True)

    def reaches(self, level: str) -> bool:
        """Whether a finding is at a level or above it."""
        if level == "never":
            return False
        return any(
            FINDING_LEVELS.index(f.level) >= FINDING_LEVELS.index(level) for f in self.findings
        )


def text(report: AuditReport, notes: bool) -> str:
    """Write a report for people; the last line says how far the audit saw."""
    lines: list[str] = []
    for one in shown(report, notes):
        lines.append(f"{one.where}: {one.level} {one.rule} {one.name}: {one.message}")
        lines.append(f"  fix: {one.fix}")
        if one.seen:
            lines.append(f"  seen: {one.seen}")
    return "\n".join([*lines, summary(report, notes)])


def summary(report: AuditReport, notes: bool) -> str:
    """Write how much was found, and how far the audit saw."""
    findings = shown(report, notes)
    left = len(report.findings) - len(findings)
    named = ", ".join(report.not_followed[:MOST_NAMED]) or "nothing"
    if (more := len(report.not_followed) - MOST_NAMED) > 0:
        named += f" and {more:,} more (--format json lists them)"
    hidden = f"{_check.count(left, 'note')} not shown (--notes)\n" if left else ""
    return (
        f"{hidden}{_check.count(len(findings), 'finding')}; "
        f"looked at {_check.count(report.sites, 'loss site')}; "
        f"not followed: {named}"
    )


def shown(report: AuditReport, notes: bool) -> list[Finding]:
    """Return the findings that are written: notes where they are wanted."""
    return [one for one in report.findings if notes or one.level != "note"]

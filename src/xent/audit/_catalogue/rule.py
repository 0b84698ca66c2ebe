"""What a rule is: its id, its name, who sees it, how sure it is, and the text of its page."""

from __future__ import annotations

from dataclasses import dataclass

FINDING_LEVELS = ("note", "warning", "error")
STATIC, RUN = "S", "R"


@dataclass(frozen=True, kw_only=True)
class AuditRule:
    """One mistake about a loss.

    ``message`` and ``fix`` are templates: `str.format` puts the facts of one place into them.
    """

    id: str
    name: str
    seen_by: str  # "S" reads the script, "R" watches it run, "SR" both
    level: str  # the highest that it reaches
    message: str
    fix: str
    wrong: str  # lines of code
    right: str
    why: str  # the formula, and why the wrong lines compute another number
    cost: str
    silent: str = ""  # right lines that look alike, on which the rule says nothing
    source: str = ""

    @property
    def static(self) -> bool:
        """Whether reading the script can find it."""
        return STATIC in self.seen_by

    def page(self) -> str:
        """Return the page of the rule in Markdown."""
        how = {"S": "by reading the script", "R": "in a run", "SR": "by reading and in a run"}
        parts = [
            f"# {self.id} {self.name}",
            f"At most: {self.level}. Seen {how[self.seen_by]}.",
            "## Wrong",
            f"```text\n{self.wrong.strip()}\n```",
            "## Right",
            f"```text\n{self.right.strip()}\n```",
            "## Why",
            self.why.strip(),
            "## What it costs",
            self.cost.strip(),
        ]
        if self.silent:
            parts += ["## Silent when", self.silent.strip()]
        if self.source:
            parts += ["## Source", self.source.strip()]
        return "\n\n".join(parts) + "\n"

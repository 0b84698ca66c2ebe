"""X0xx: what stops the audit itself, and comments that silence nothing."""

from xent.audit._catalogue.rule import AuditRule

TOOL_RULES = (
    AuditRule(
        id="X000",
        name="cannot-read",
        seen_by="S",
        level="warning",
        message="this file cannot be read: {reason}",
        fix="make it valid Python 3 (or a valid notebook), or exclude it",
        wrong='print "loss", loss    # Python 2',
        right='print("loss", loss)',
        why="A file that does not parse was not looked at. Silence about it would read as "
        "approval.",
        cost="Nothing by itself.",
    ),
    AuditRule(
        id="X001",
        name="unused-ignore",
        seen_by="S",
        level="warning",
        message="this comment silences nothing: there is no {rules} here",
        fix="delete the comment",
        wrong="x = 1  # xent: ignore[X402]",
        right="x = 1",
        why="A comment that once silenced a finding hides the next one on that line.",
        cost="Nothing by itself.",
        silent="the rule is not selected, or a run alone can see it",
    ),
)

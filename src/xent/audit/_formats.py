"""How a report is written: for people, for programs, for code scanning, for GitHub's log."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

from xent import _check
from xent.audit._audit import AuditReport
from xent.audit._catalogue import RULES
from xent.audit._finding import Finding

SARIF = "https://json.schemastore.org/sarif-2.1.0.json"


def text(report: AuditReport, notes: bool) -> str:
    """Write a report for people; the last line says how far the audit saw."""
    lines: list[str] = []
    shown = _shown(report, notes)
    for one in shown:
        lines.append(f"{one.where}: {one.level} {one.rule} {one.name}: {one.message}")
        lines.append(f"  fix: {one.fix}")
        if one.seen:
            lines.append(f"  seen: {one.seen}")
    left = len(report.findings) - len(shown)
    if left:
        lines.append(f"{_check.count(left, 'note')} not shown (--notes)")
    lines.append(
        f"{_check.count(len(shown), 'finding')}; "
        f"looked at {_check.count(report.sites, 'loss site')}; "
        f"not followed: {', '.join(report.not_followed) or 'nothing'}"
    )
    return "\n".join(lines)


def as_json(report: AuditReport, notes: bool) -> str:
    """Write a report as one JSON object, notes always in it."""
    return json.dumps(report.as_json(), indent=2, ensure_ascii=False)


def github(report: AuditReport, notes: bool) -> str:
    """Write a report as commands of GitHub's log, which shows them beside the lines."""
    kinds = {"error": "error", "warning": "warning", "note": "notice"}
    lines = [
        f"::{kinds[one.level]} file={_escaped(one.path, True)},line={one.line},col={one.column},"
        f"title={one.rule} {one.name}::{_escaped(one.message + ' Fix: ' + one.fix)}"
        for one in _shown(report, notes)
    ]
    return "\n".join([*lines, text(AuditReport([], report.sites, report.not_followed), notes)])


def _escaped(value: str, in_property: bool = False) -> str:
    value = value.replace("%", "%25").replace("\r", "%0D").replace("\n", "%0A")
    return value.replace(":", "%3A").replace(",", "%2C") if in_property else value


def sarif(report: AuditReport, notes: bool) -> str:
    """Write a report as SARIF 2.1.0."""
    from xent import __version__

    shown = _shown(report, notes)
    rules = sorted({one.rule for one in shown})
    run = {
        "tool": {
            "driver": {
                "name": "xent audit",
                "version": __version__,
                "rules": [_sarif_rule(rule) for rule in rules],
            }
        },
        "results": [_sarif_result(one, rules.index(one.rule)) for one in shown],
    }
    return json.dumps({"$schema": SARIF, "version": "2.1.0", "runs": [run]}, indent=2)


def _sarif_rule(rule: str) -> dict[str, Any]:
    known = RULES[rule]
    return {
        "id": known.id,
        "name": known.name,
        "shortDescription": {"text": known.name.replace("-", " ")},
        "fullDescription": {"text": " ".join(known.why.split())},
        "help": {"text": known.page(), "markdown": known.page()},
        "defaultConfiguration": {"level": known.level},
    }


def _sarif_result(one: Finding, index: int) -> dict[str, Any]:
    where = f"In cell {one.cell}: " if one.cell is not None else ""
    return {
        "ruleId": one.rule,
        "ruleIndex": index,
        "level": one.level,
        "message": {"text": f"{where}{one.message}. Fix: {one.fix}"},
        "locations": [
            {
                "physicalLocation": {
                    "artifactLocation": {"uri": one.path.replace("\\", "/")},
                    "region": {"startLine": one.line, "startColumn": one.column},
                }
            }
        ],
    }


def _shown(report: AuditReport, notes: bool) -> list[Finding]:
    return [one for one in report.findings if notes or one.level != "note"]


REPORT_FORMATS: dict[str, Callable[[AuditReport, bool], str]] = {
    "text": text,
    "json": as_json,
    "sarif": sarif,
    "github": github,
}

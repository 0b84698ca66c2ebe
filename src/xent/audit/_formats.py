"""How a report is written: for people, for programs, for code scanning, for GitHub's log."""

from __future__ import annotations

import json
import os
from collections.abc import Callable
from typing import Any
from urllib.parse import quote

from xent.audit._catalogue import RULES
from xent.audit._finding import Finding
from xent.audit._report import AuditReport, shown, summary, text

SARIF = "https://json.schemastore.org/sarif-2.1.0.json"


def as_json(report: AuditReport, notes: bool) -> str:
    """Write a report as one JSON object, notes always in it."""
    return json.dumps(report.as_json(), indent=2, ensure_ascii=False)


def github(report: AuditReport, notes: bool) -> str:
    """Write a report as commands of GitHub's log, which shows them beside the lines."""
    kinds = {"error": "error", "warning": "warning", "note": "notice"}
    lines = [
        f"::{kinds[one.level]} file={_escaped(one.path, True)},line={one.line},col={one.column},"
        f"title={one.rule} {one.name}::{_escaped(f'{_cell(one)}{one.message} Fix: {one.fix}')}"
        for one in shown(report, notes)
    ]
    return "\n".join([*lines, summary(report, notes)])


def _cell(one: Finding) -> str:
    """Say in which cell of a notebook a line stands: that of its file is another."""
    return "" if one.cell is None else f"In cell {one.cell}: "


def _escaped(value: str, in_property: bool = False) -> str:
    value = value.replace("%", "%25").replace("\r", "%0D").replace("\n", "%0A")
    return value.replace(":", "%3A").replace(",", "%2C") if in_property else value


def sarif(report: AuditReport, notes: bool) -> str:
    """Write a report as SARIF 2.1.0."""
    from xent import __version__

    findings = shown(report, notes)
    rules = sorted({one.rule for one in findings})
    run = {
        "tool": {
            "driver": {
                "name": "xent audit",
                "version": __version__,
                "rules": [_sarif_rule(rule) for rule in rules],
            }
        },
        "columnKind": "unicodeCodePoints",
        "results": [_sarif_result(one, rules.index(one.rule)) for one in findings],
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
    path = quote(one.path.replace(os.sep, "/"), errors="surrogateescape")
    return {
        "ruleId": one.rule,
        "ruleIndex": index,
        "level": one.level,
        "message": {"text": f"{_cell(one)}{one.message}. Fix: {one.fix}"},
        "locations": [
            {
                "physicalLocation": {
                    "artifactLocation": {"uri": path},
                    "region": {"startLine": one.line, "startColumn": one.column},
                }
            }
        ],
    }


REPORT_FORMATS: dict[str, Callable[[AuditReport, bool], str]] = {
    "text": text,
    "json": as_json,
    "sarif": sarif,
    "github": github,
}

"""The JSON schema of what `--json` writes, made from the records themselves: it cannot be outdated.

JSON has no NaN and no infinity: a number may be null, "inf" or "-inf" (`_numbers.plain`).
"""

import inspect
import re
import types
import typing
from collections.abc import Sequence
from dataclasses import fields, is_dataclass
from typing import Any

from xent.evaluation._compare._records import ModelComparison
from xent.evaluation._kinds._label_report import MultilabelReport
from xent.evaluation._kinds._ordered import OrderedReport
from xent.evaluation._kinds._soft import SoftReport
from xent.evaluation._kinds._token_report import TokenReport
from xent.evaluation._numbers import ConfusedRows
from xent.evaluation._report import Report

Schema = dict[str, Any]

REPORTS = (Report, SoftReport, MultilabelReport, OrderedReport, TokenReport, ModelComparison)
JSON_NUMBER: Schema = {"anyOf": [{"type": "number"}, {"type": "null"}, {"enum": ["inf", "-inf"]}]}
JSON_TYPES = {int: {"type": "integer"}, str: {"type": "string"}, bool: {"type": "boolean"}}


def json_schema() -> dict[str, Any]:
    """Return the JSON schema of what `to_dict` returns, and of what ``--json`` writes.

    Returns
    -------
    dict
        Draft 2020-12, with one definition for each kind of report.

    Examples
    --------
    >>> "Report" in json_schema()["$defs"]
    True
    """
    found: Schema = {"number": JSON_NUMBER}
    for report in REPORTS:
        _define(report, found)
    _add_of_report(found)
    for report in REPORTS[1:]:
        _require(found[report.__name__], {"unit": {"type": "string"}})
    return {
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "title": "What xent evaluate --json and xent compare --json write",
        "anyOf": [{"$ref": f"#/$defs/{report.__name__}"} for report in REPORTS],
        "$defs": found,
    }


def _add_of_report(found: Schema) -> None:
    """Say what `Report.to_dict` has beside its fields, and what a command adds to it."""
    report = found["Report"]
    del report["properties"]["pairs"]
    report["required"].remove("pairs")
    ranking = report["properties"]["ranking"]
    points = {name: report["properties"].pop(name) for name in ("thresholds", "best_f1")}
    report["required"] = [name for name in report["required"] if name not in points]
    ranking |= {"properties": points, "required": ["roc_auc", "average_precision", *points]}
    confused = {"type": "array", "items": _of(ConfusedRows, found), "maxItems": 1000}
    interval = {"type": "array", "items": {"$ref": "#/$defs/number"}, "minItems": 2, "maxItems": 2}
    number = {"$ref": "#/$defs/number"}
    _require(report, {
        "confusion": confused, "confusion_pairs": {"type": "integer"}, "unit": {"type": "string"},
        "perplexity": number, "cross_entropy_bits": number, "cross_entropy_nats": number,
        "interval_bits": interval, "interval_nats": interval,
    })  # fmt: skip
    ordered = {**found["OrderedReport"]["properties"]}
    del ordered["report"]
    report["properties"] |= {
        "ordered": {"type": "object", "properties": ordered},
        "against": {"$ref": "#/$defs/ModelComparison"},
    }


def _require(schema: Schema, properties: Schema) -> None:
    schema["properties"] |= properties
    schema["required"] += list(properties)


def _define(record: Any, found: Schema) -> None:
    """Add a record, and those that it holds, to the definitions."""
    if record.__name__ in found:
        return
    own: Schema = {"type": "object"}
    found[record.__name__] = own
    said = _described(record)
    hints = typing.get_type_hints(record)
    properties = {
        field.name: {**_of(hints[field.name], found), **said.get(field.name, {})}
        for field in fields(record)
    }
    own |= {"properties": properties, "required": list(properties)}


def _of(kind: Any, found: Schema) -> Schema:
    """Return the schema of a type."""
    if kind in JSON_TYPES:
        return dict(JSON_TYPES[kind])
    if kind is float:
        return {"$ref": "#/$defs/number"}
    if is_dataclass(kind):
        _define(kind, found)
        return {"$ref": f"#/$defs/{kind.__name__}"}  # type: ignore[union-attr]
    origin, inner = typing.get_origin(kind), typing.get_args(kind)
    if origin in (list, Sequence):
        return {"type": "array", "items": _of(inner[0], found)}
    if origin is dict:
        return {"type": "object", "additionalProperties": _of(inner[1], found)}
    if origin is types.UnionType:
        either = [_of(part, found) for part in inner if part is not type(None)]
        return {"anyOf": [*either, {"type": "null"}]}
    return {}  # a label, an id: whatever it was


def _described(record: Any) -> dict[str, Schema]:
    """Return what a record's docstring says of its fields."""
    text = inspect.getdoc(record) or ""
    section = text.partition("Parameters\n----------\n")[2]
    found: dict[str, Schema] = {}
    for part in re.split(r"\n(?=\S)", section):
        head, _, rest = part.partition("\n")
        names, _, _ = head.partition(" : ")
        said = " ".join(rest.split()).replace("``", "").replace("`", "")
        found |= {name.strip(): {"description": said} for name in names.split(",")}
    return found

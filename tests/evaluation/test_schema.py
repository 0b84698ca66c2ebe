"""What --json writes is what the published schema says, for every kind of report."""

import json

import numpy as np
import pytest
import typer
from typer.testing import CliRunner

from xent.cli import _evaluate
from xent.evaluation import (
    compare,
    evaluate,
    evaluate_multilabel,
    evaluate_ordered,
    evaluate_soft,
    evaluate_tokens,
    json_schema,
)

P = np.random.default_rng(0).dirichlet(np.ones(3), 12)
Y = np.arange(12) % 3
REPORTS = {
    "Report": lambda: evaluate(Y, P, labels=None, by={"g": Y}, ids=list("abcdefghijkl")),
    "Report of zeros": lambda: evaluate([1], [[1.0, 0.0]]),
    "SoftReport": lambda: evaluate_soft(P, P[::-1]),
    "MultilabelReport": lambda: evaluate_multilabel(P > 0.3, P),
    "OrderedReport": lambda: evaluate_ordered(Y, P),
    "TokenReport": lambda: evaluate_tokens([[-1.0, -2.0], [-0.5]], texts=["a b", "c"]),
    "ModelComparison": lambda: compare(P, P[::-1], target=Y, by={"g": Y}),
    "ModelComparison of zeros": lambda: compare([0.0, 1.0], [0.5, 0.5], target=[1, 1]),
}


def check(value, schema, whole, path="$"):
    """A slow validator of the few words that the schema uses."""
    if "$ref" in schema:
        name = schema["$ref"].removeprefix("#/$defs/")
        return check(value, whole["$defs"][name], whole, path)
    if "anyOf" in schema:
        tried = [list(wrong(value, one, whole, path)) for one in schema["anyOf"]]
        assert [] in tried, f"{path}: {tried}"
    if "enum" in schema:
        assert value in schema["enum"], path
    kinds = {
        "object": dict, "array": list, "string": str, "integer": int, "number": (int, float),
        "null": type(None), "boolean": bool,
    }  # fmt: skip
    if "type" in schema:
        assert isinstance(value, kinds[schema["type"]]), f"{path} is {value!r}"
        assert not isinstance(value, bool) or schema["type"] == "boolean", path
    for name in schema.get("required", ()):
        assert name in value, f"{path} lacks {name}"
    for name, inner in schema.get("properties", {}).items():
        if name in value:
            check(value[name], inner, whole, f"{path}.{name}")
    if "additionalProperties" in schema:
        others = {n: v for n, v in value.items() if n not in schema.get("properties", {})}
        for name, entry in others.items():
            check(entry, schema["additionalProperties"], whole, f"{path}.{name}")
    if "items" in schema:
        for i, entry in enumerate(value):
            check(entry, schema["items"], whole, f"{path}[{i}]")
    return None


def wrong(*args):
    try:
        check(*args)
    except AssertionError as error:
        yield str(error)


@pytest.mark.parametrize("name", REPORTS)
def test_reports_are_as_the_schema_says(name):
    whole = json_schema()
    written = json.loads(json.dumps(REPORTS[name]().to_dict(), allow_nan=False))
    own = whole["$defs"][name.split()[0]]
    check(written, own, whole)
    strange = set(written) - set(own["properties"])
    assert not {key for key in strange if not key.startswith("bits_per_")}, "the schema lacks it"
    for key in own["required"]:
        broken = {k: v for k, v in written.items() if k != key}
        assert list(wrong(broken, own, whole)), f"a report without {key} is none"
    if isinstance(written.get("rows"), int):
        assert list(wrong({**written, "rows": "many"}, own, whole))


def test_the_schema_is_one_and_describes_itself():
    whole = json_schema()
    jsonschema = pytest.importorskip("jsonschema")
    jsonschema.Draft202012Validator.check_schema(whole)
    for make in REPORTS.values():
        jsonschema.validate(json.loads(json.dumps(make().to_dict())), whole)
    said = whole["$defs"]["Report"]["properties"]["brier"]["description"]
    assert "Brier's score" in said
    undescribed = [
        (name, key)
        for name, record in whole["$defs"].items()
        for key, entry in record.get("properties", {}).items()
        if name in {r.split()[0] for r in REPORTS} and not entry.get("description")
    ]
    assert len(undescribed) < 25, undescribed


def test_the_command_prints_it():
    app = typer.Typer()
    _evaluate.register(app)
    done = CliRunner().invoke(app, ["--schema"])
    assert done.exit_code == 0
    assert json.loads(done.stdout) == json.loads(json.dumps(json_schema()))

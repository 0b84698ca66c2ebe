"""What is printed, logged or returned, and what the text beside it calls it."""

from __future__ import annotations

import ast
import re

from xent.audit._follow import loops
from xent.audit._follow.averaging import never_added, sizes
from xent.audit._follow.run import Walk
from xent.audit._follow.values import (
    Choice,
    Const,
    Dictionary,
    Loss,
    Mean,
    Sequence,
    Total,
    Value,
    Zero,
)

AVERAGE = re.compile(r"(?<![a-z])(avg|average|averaged|mean)(?![a-z])", re.I)
PLACEHOLDER = re.compile(r"%[-+ #0]*\d*(?:\.\d+)?[sdfgeiru]|\{([^{}]*)\}")
SHOWS = frozenset(
    [
        "print",
        "echo",
        "write",
        "append",
        "update",
        "log",
        "debug",
        "info",
        "warning",
        "error",
        "critical",
        "exception",
        "set_description",
        "set_description_str",
        "set_postfix",
        "set_postfix_str",
        "add_scalar",
        "add_scalars",
        "log_dict",
        "log_metric",
        "log_metrics",
    ]
)


def value(run: Walk, shown: Value, label: str, node: ast.AST) -> None:
    """Judge a value that is shown beside a text."""
    # What was added to the average is called by the words in front of it, from the last comma on.
    words = re.split(r"[,;|\n]", label)[-1]
    average = AVERAGE.search(words)
    if isinstance(shown, Choice):
        shown = _but_zero(shown)
    if isinstance(shown, Total):
        _total(run, shown, average, words, node)
    elif isinstance(shown, Loss):
        _loss(run, shown, average, words, node)
    elif isinstance(shown, Mean) and shown.window:
        loop = shown.of.loops[-1]
        if loops.is_batches(loop) and not run.is_open(loop):
            _last(run, words, node, "note" if loop.trained else None, "window")


def appended(run: Walk, added: Value, node: ast.AST) -> None:
    """Judge a total that is kept in a list, by what the list is called."""
    if isinstance(added, Total) and isinstance(node, ast.Call):
        value(run, added, ast.unparse(node.func).removesuffix(".append"), node)


def _but_zero(shown: Choice) -> Value:
    """Return the mean that a name holds that began as 0."""
    means = [one for one in shown.options if isinstance(one, Mean)]
    others = [one for one in shown.options if not isinstance(one, Mean | Zero | Const)]
    return means[0] if len(means) == 1 and not others else shown


def _total(
    run: Walk, shown: Total, average: re.Match[str] | None, label: str, node: ast.AST
) -> None:
    term, loop = shown.term, shown.loops[-1]
    if not isinstance(term, Loss) or term.over or term.weighted or term.supposed:
        return
    if shown.emptied and run.is_open(loop):
        return
    if average is None or not loops.is_batches(loop) or term.scale is None:
        return
    run.report("X404", run.place(node), label=repr(_last_words(label)))


def _loss(run: Walk, shown: Loss, average: re.Match[str] | None, label: str, node: ast.AST) -> None:
    loop = shown.loop
    if loop is None or run.is_open(loop) or not loops.is_batches(loop) or shown.carried:
        return
    if shown.supposed or shown.kept:
        return
    if shown.over:
        never_added.last_divided(run, shown)
        return
    if loop.kind == "range" or shown.exp or sizes.one_batch(run, loop):
        return
    if average is None and loop.trained:
        _last(run, label, node, "note", "batch")
    elif average is not None or not shown.grad:
        _last(run, label, node, None, "batch")


def _last(run: Walk, label: str, node: ast.AST, level: str | None, of: str) -> None:
    label = _last_words(label)
    beside = f", shown as {label!r}" if label else ""
    run.report("X406", run.place(node), label=beside, size="len(x)", level=level, of=of)


AVERAGED = ("validation_step", "test_step")  # what these log, a trainer averages over the batches


def _of_step(run: Walk, shown: Value, node: ast.AST) -> None:
    """X405: a step of Lightning logs the perplexity of its batch."""
    loop = run.loops[-1] if run.loops else None
    if loop is None or getattr(loop.node, "name", "") not in AVERAGED:
        return
    if isinstance(shown, Loss) and shown.exp and shown.positive and shown.loop is loop:
        run.report("X405", run.place(node), losses=(shown.place,))


def _last_words(label: str) -> str:
    """Return a label, of a long one its end."""
    label = label.strip(" :=")
    return label if len(label) <= 30 else "..." + label[-30:].partition(" ")[2]


def with_template(
    run: Walk,
    template: str,
    values: list[Value],
    node: ast.AST,
    options: dict[str, Value] | None = None,
) -> None:
    """Judge values that fill the places of a template, each by the text in front of its place."""
    last, number = 0, 0
    for match in PLACEHOLDER.finditer(template.replace("%%", "  ")):
        before = template[last : match.start()]
        last = match.end()
        name = (match[1] or "").split(":")[0].split("!")[0]
        if options and name in options:
            value(run, options[name], before, node)
            continue
        position = int(name) if name.isdigit() else number
        number += 1
        if position < len(values):
            value(run, values[position], before, node)


def arguments(
    run: Walk, name: str, args: list[Value], options: dict[str, Value], node: ast.AST
) -> None:
    """Judge what a call shows: ``print("average loss:", total)``, ``writer.add_scalar``."""
    if name.rpartition(".")[2] not in SHOWS:
        return
    if name in ("log", "log_dict") and options.get("on_epoch") != Const(False):
        for given in (*args, *options.values()):
            for one in given.items.values() if isinstance(given, Dictionary) else (given,):
                _of_step(run, one, node)
    label = ""
    for number, arg in enumerate(args, 1):
        if isinstance(arg, Const) and isinstance(arg.value, str):
            if PLACEHOLDER.search(arg.value) and name != "print":
                with_template(run, arg.value, args[number:], node)
                return
            label = arg.value
            continue
        if isinstance(arg, Dictionary):
            for key, inner in arg.items.items():
                value(run, inner, str(key), node)
        elif isinstance(arg, Sequence):
            continue
        else:
            value(run, arg, label, node)
            label = ""
    for key, inner in options.items():
        value(run, inner, key, node)

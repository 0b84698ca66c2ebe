"""Metrics of torchmetrics that average what they are given, and meters of files not there."""

from __future__ import annotations

import ast
import re

from xent.audit._follow.averaging import averages, divisions
from xent.audit._follow.run import Walk
from xent.audit._follow.values import Const, Loss, Made, Opaque, Total, Value

METER = re.compile(r"(Average|Avg|Mean|Running)\w*Meter|AverageMeter|Averager|RunningAverage")
LOGGER = re.compile(r"\w*MetricLogger")
ADDS = frozenset(["update", "add", "append", "send", "add_value"])


def of_meter(
    run: Walk, meter: Made, name: str, args: list[Value], options: dict[str, Value], node: ast.AST
) -> None:
    """X402: a meter that is called so weighs all that it is given alike, where no size is given."""
    kind = meter.name.rpartition(".")[2]
    if name not in ADDS or not run.loops:
        return
    if METER.fullmatch(kind) is not None and len(args) == 1 and not options:
        values = args
    elif METER.fullmatch(kind) is not None and getattr(args[0], "accumulated", None) is not None:
        divisions.accumulated(run, run.place(node), "their number")
        return
    elif LOGGER.fullmatch(kind) is not None and not args and not SIZES & options.keys():
        values = list(options.values())
    else:
        return
    for value in values:
        if isinstance(value, Loss) and value.loop is run.loops[-1] and not value.carried:
            loops = (run.loops[-1],)
            given = Total(loops, value, run.place(node))
            alike = Total(loops, Const(1), given.place)
            averages.divided(run, given, alike, node)


SIZES = {"n", "weight", "num", "count", "batch_size", "k"}
TOTAL = object()  # the key of what a metric was given, among its attributes


def of_mean(
    run: Walk, metric: Made, name: str, args: list[Value], options: dict[str, Value], node: ast.AST
) -> Value:
    """Follow a MeanMetric: it weighs all that it is given alike, unless a weight is given too."""
    value, *weights = [*args, *options.values()] or [Opaque(name)]
    if name in ("update", "forward", "__call__"):
        if run.loops and not weights:
            run.write(metric.attrs, TOTAL, Total((run.loops[-1],), value, run.place(node)))
        return value
    total = metric.attrs.get(TOTAL)
    if name == "compute" and isinstance(total, Total):
        return averages.divided(run, total, Total(total.loops, Const(1), total.place), node)
    return Opaque(name)

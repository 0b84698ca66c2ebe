"""Metrics of torchmetrics that average what they are given."""

from __future__ import annotations

import ast

from xent.audit._follow.averaging import averages
from xent.audit._follow.run import Walk
from xent.audit._follow.values import Const, Loss, Made, Opaque, Total, Value

TOTAL = object()  # the key of what a metric was given, among its attributes


def of_mean(
    run: Walk, metric: Made, name: str, args: list[Value], options: dict[str, Value], node: ast.AST
) -> Value:
    """Follow a MeanMetric: it weighs all that it is given alike, unless a weight is given too."""
    value, *weights = [*args, *options.values()] or [Opaque(name)]
    if name in ("update", "forward", "__call__"):
        if isinstance(value, Loss) and run.loops and not weights:
            run.write(metric.attrs, TOTAL, Total((run.loops[-1],), value, run.place(node)))
        return value
    total = metric.attrs.get(TOTAL)
    if name == "compute" and isinstance(total, Total):
        return averages.divided(run, total, Total(total.loops, Const(1), total.place), node)
    return Opaque(name)

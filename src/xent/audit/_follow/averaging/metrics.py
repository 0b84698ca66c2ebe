"""Metrics of torchmetrics that average what they are given."""

from __future__ import annotations

import ast

from xent.audit._follow.averaging import averages
from xent.audit._follow.run import Walk
from xent.audit._follow.values import Const, Loss, Made, Opaque, Total, Value

TOTAL = ("mean of",)  # where a metric keeps what it was given among its attributes


def of_mean(
    run: Walk, metric: Made, name: str, args: list[Value], options: dict[str, Value], node: ast.AST
) -> Value:
    """Follow a MeanMetric: it weighs all that it is given alike, unless a weight is given too."""
    if name in ("update", "forward", "__call__") and args:
        weighted = len(args) > 1 or "weight" in options
        if isinstance(args[0], Loss) and run.loops and not weighted:
            loops = (run.loops[-1],)
            given = Total(loops, args[0], run.place(node), under=run.under())
            run.write(metric.attrs, TOTAL, given)
        return args[0]
    total = metric.attrs.get(TOTAL)
    if name == "compute" and isinstance(total, Total):
        one_each = Total(total.loops, Const(1), total.place, under=total.under)
        return averages.divided(run, total, one_each, node)
    return Opaque(name)

"""Numbers of a comparison as text, on a terminal and on a page; d is a `CostDifference`."""

import math
from typing import Any

from xent._lang import say
from xent._terminal import one_line


def pair_text(d: Any) -> str:
    return say("{second} less {first}", second=one_line(d.second), first=one_line(d.first))


def signed(value: float) -> str:
    return say("undefined") if math.isnan(value) else f"{value:+.4f}"


def between(low: float, high: float, *, sign: bool = False) -> str:
    if math.isnan(low) or math.isinf(low):
        return "-"
    template = "{low:+.4f} to {high:+.4f}" if sign else "{low:.4f} to {high:.4f}"
    return say(template, low=low, high=high)


def verdict(d: Any) -> str:
    """Say what the interval does: lie below 0, above it, or hold it."""
    if d.high < 0 or d.low > 0:
        return say("better") if d.high < 0 else say("worse")
    return say("open") if d.low <= 0 <= d.high else ""


def p_text(value: float) -> str:
    if math.isnan(value):
        return "-"
    return f"{value:.4f}" if value >= 1e-4 else f"{value:.0e}"

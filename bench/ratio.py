"""The one timer: two pieces of work interleaved in one process, and the ratio of their times.

On a noisy machine seconds lie and ratios of neighbours do not: each round runs ours and theirs back
to back, in alternating order, and the median of the rounds' ratios is reported with its spread.
"""

import gc
import os
import platform
import statistics
import time
from collections.abc import Callable
from dataclasses import dataclass
from importlib.metadata import PackageNotFoundError, version
from typing import Any


@dataclass(frozen=True)
class Ratio:
    """Time of ours over time of theirs."""

    name: str
    ours: float
    theirs: float
    ratio: float
    low: float
    high: float
    rounds: int

    def row(self, goal: str = "") -> str:
        """One line of a Markdown table."""
        spread = f"{self.ratio:.3g} ({self.low:.3g} to {self.high:.3g})"
        return f"| {self.name} | {pretty(self.ours)} | {pretty(self.theirs)} | {spread} | {goal} |"


HEADER = (
    "| work | ours | theirs | ours / theirs (quartiles) | goal |\n| --- | --- | --- | --- | --- |"
)


def ratio(
    name: str,
    ours: Callable[[], Any],
    theirs: Callable[[], Any],
    *,
    seconds: float = 3.0,
    rounds: int = 200,
    inner: int = 1,
    clock: Callable[[], float] = time.perf_counter,
) -> Ratio:
    """Interleave two calls for about ``seconds`` and compare their times.

    Parameters
    ----------
    name : str
        What is measured.
    ours, theirs : callable without arguments
        The two pieces of work; each is run once beforehand to warm up.
    seconds : float
        When to stop, at least five rounds in.
    rounds : int
        At most this many rounds.
    inner : int
        Calls per measurement, for work of microseconds.
    clock : callable
        `time.process_time` counts the processor's time alone, whoever else is at work.
    """
    ours()
    theirs()
    pairs: list[tuple[float, float]] = []
    enabled = gc.isenabled()
    gc.disable()
    try:
        end = time.perf_counter() + seconds
        while len(pairs) < rounds and (len(pairs) < 5 or time.perf_counter() < end):
            if len(pairs) % 2:
                b, a = _time(theirs, inner, clock), _time(ours, inner, clock)
            else:
                a, b = _time(ours, inner, clock), _time(theirs, inner, clock)
            pairs.append((a, b))
    finally:
        if enabled:
            gc.enable()
    ratios = sorted(a / b for a, b in pairs)
    low, middle, high = statistics.quantiles(ratios, n=4)
    return Ratio(
        name,
        statistics.median(a for a, _ in pairs),
        statistics.median(b for _, b in pairs),
        middle,
        low,
        high,
        len(pairs),
    )


def _time(work: Callable[[], Any], inner: int, clock: Callable[[], float]) -> float:
    start = clock()
    for _ in range(inner):
        work()
    return (clock() - start) / inner


def pretty(seconds: float) -> str:
    """Seconds in the unit that a person would choose.

    >>> pretty(0.00123)
    '1.23 ms'
    """
    for unit, size in (("s", 1.0), ("ms", 1e-3), ("µs", 1e-6)):
        if seconds >= size:
            return f"{seconds / size:.3g} {unit}"
    return f"{seconds * 1e9:.3g} ns"


def machine(*packages: str) -> str:
    """Describe the processor, Python and the versions of the packages named."""
    model = platform.processor() or platform.machine()
    try:
        with open("/proc/cpuinfo") as file:
            model = next(x.split(":")[1].strip() for x in file if x.startswith("model name"))
    except (OSError, StopIteration):
        pass
    found = []
    for package in ("numpy", *packages):
        try:
            found.append(f"{package} {version(package)}")
        except PackageNotFoundError:
            found.append(f"no {package}")
    where = f"{model}, {os.cpu_count()} cores, {platform.system()}"
    return f"{where}, Python {platform.python_version()}, {', '.join(found)}"

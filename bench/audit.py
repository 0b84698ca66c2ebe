"""The audit: what watching costs a step of training, and how fast scripts are read.

A step is a small model, its loss, its backward pass and its optimiser, as scripts have them. Blocks
of steps with the watchers and without take turns in one process; the median of the pairs. Times are
the processor's, so that a busy machine does not count.
"""

import statistics
import time
from collections.abc import Callable
from pathlib import Path

import torch
from torch import nn

from bench.ratio import machine, pretty
from xent.audit import Config, audit
from xent.audit._run.observer import Observer
from xent.audit._run.patches import Patches

PAIRS = 60
SETTLING = 60  # steps
STEPS = {100e-6: (8, 8, 100), 1e-3: (256, 160, 50)}  # seconds: batch, width, steps of a block


def steps_of(batch: int, width: int) -> Callable[[int], float]:
    """Return a function that trains for so many steps and returns the seconds of one."""
    torch.manual_seed(0)
    model = nn.Sequential(nn.Linear(width, width), nn.ReLU(), nn.Linear(width, 10))
    optimizer = torch.optim.SGD(model.parameters(), lr=0.01)
    criterion = nn.CrossEntropyLoss()
    x, y = torch.randn(batch, width), torch.randint(0, 10, (batch,))

    def steps(count: int) -> float:
        start = time.process_time()
        for _ in range(count):
            loss = criterion(model(x), y)
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
        return (time.process_time() - start) / count

    return steps


def overhead(batch: int, width: int, count: int) -> tuple[float, float, list[float]]:
    """Return the seconds of a step, watched and not, and the ratios of the pairs, sorted.

    One model is trained on, some steps watched and as many not, in turns: one observer sees all
    that is watched, as in a run: of the first thousand steps one in 25, then one in 100.
    """
    steps, patches = steps_of(batch, width), Patches(Observer())
    pairs = []
    for pair in range(PAIRS + 1):
        # Python forgets what it knew of the class Tensor where methods of it are replaced; a run
        # does that once.
        steps(SETTLING)
        plain = steps(count)
        patches.put()
        steps(SETTLING)
        seen = steps(count)
        patches.take_away()
        if pair:  # the first twenty steps are all looked at
            pairs.append((seen, plain))
    ratios = sorted(a / b for a, b in pairs)
    return (
        statistics.median(a for a, _ in pairs),
        statistics.median(b for _, b in pairs),
        ratios,
    )


def lines_a_second() -> float:
    """Read the scripts of the tests, as one file each."""
    import tempfile

    folder = Path(__file__).parent.parent / "tests" / "audit" / "scripts"
    parts = [part for file in folder.glob("*.txt") for part in file.read_text().split("### ")[1:]]
    with tempfile.TemporaryDirectory() as scratch:
        for number, part in enumerate(parts):
            code = "import torch\nimport torch.nn as nn\nimport torch.nn.functional as F\n"
            Path(scratch, f"{number}.py").write_text(code + part.partition("\n")[2])
        lines = sum(p.read_text().count("\n") for p in Path(scratch).iterdir())
        audit(scratch, config=Config())
        start = time.process_time()
        audit(scratch, config=Config())
        return lines / (time.process_time() - start)


def run() -> str:
    """Measure, and return the section of RESULTS.md."""
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    lines = [
        machine("torch"),
        "",
        "| a step of | watched | not | watched / not (quartiles) | goal |",
    ]
    lines.append("| --- | --- | --- | --- | --- |")
    for seconds, size in STEPS.items():
        seen, plain, ratios = overhead(*size)
        low, middle, high = statistics.quantiles(ratios, n=4)
        goal = "<= 1.05" if seconds < 5e-4 else "<= 1.01"
        shown = f"{middle:.3f} ({low:.3f} to {high:.3f})"
        lines.append(
            f"| about {pretty(seconds)} | {pretty(seen)} | {pretty(plain)} | {shown} | {goal} |"
        )
    torch.set_num_threads(threads)
    return "\n".join(
        [*lines, "", f"Reading: {lines_a_second():,.0f} lines a second (goal: 10,000)."]
    )

"""The audit: what watching costs a step of training, and how fast scripts are read.

A step is a small model, its loss, its backward pass and its optimiser, as scripts have them. Both
runs are the same loop in one process, with the watchers and without; the median of nine pairs.
Times are the processor's, so that a busy machine does not count.
"""

import statistics
import time
from pathlib import Path

import torch
from torch import nn

from bench.ratio import machine, pretty
from xent.audit import Config, audit
from xent.audit._run.observer import Observer
from xent.audit._run.patches import watching

PAIRS = 9
STEPS = {100e-6: (8, 8, 2000), 1e-3: (256, 160, 400)}  # seconds: batch, width, steps


def loop(batch: int, width: int, steps: int) -> float:
    """Train for so many steps and return the seconds of one."""
    torch.manual_seed(0)
    model = nn.Sequential(nn.Linear(width, width), nn.ReLU(), nn.Linear(width, 10))
    optimizer = torch.optim.SGD(model.parameters(), lr=0.01)
    criterion = nn.CrossEntropyLoss()
    x, y = torch.randn(batch, width), torch.randint(0, 10, (batch,))
    for step in range(steps + 50):
        if step == 50:
            start = time.process_time()
        loss = criterion(model(x), y)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
    return (time.process_time() - start) / steps


def watched(batch: int, width: int, steps: int) -> float:
    with watching(Observer()):
        return loop(batch, width, steps)


def overhead(batch: int, width: int, steps: int) -> tuple[float, float, list[float]]:
    """Return the seconds of a step, watched and not, and the ratios of the pairs, sorted."""
    loop(batch, width, 50)
    pairs = []
    for pair in range(PAIRS):
        if pair % 2:
            plain, seen = loop(batch, width, steps), watched(batch, width, steps)
        else:
            seen, plain = watched(batch, width, steps), loop(batch, width, steps)
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

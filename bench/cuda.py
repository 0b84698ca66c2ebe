"""Losses on a GPU against torch, Liger, Apple's cut cross-entropy and quack.

Rows of bfloat16 logits, and heads that never build them: time of forward and backward, the most
memory beyond the inputs, and how far the gradient is off. Where there is no GPU this says so.
"""

import statistics
from collections.abc import Callable
from importlib import import_module
from typing import Any, NamedTuple

import torch
import torch.nn.functional as F

import xent.losses as L
from bench.ratio import machine

ROWS, WIDTH, CLASSES = 8192, 2048, (32_768, 131_072, 262_144)
CHECKED = 64  # rows whose gradient is held against float64
ROUNDS = 20
HEADER = (
    "| work | library | time | bandwidth | memory beyond inputs | worst gradient error |\n"
    "| --- | --- | --- | --- | --- | --- |"
)
MISSING = "No GPU is at hand here: nothing was run, and nothing is known of the time on one."

Loss = Callable[..., torch.Tensor]


class Figures(NamedTuple):
    """What was measured of one library."""

    milliseconds: float
    megabytes: float
    error: float  # the largest in a row, as a share of the row's largest gradient


def rivals_of_logits() -> dict[str, Loss | str]:
    """Return losses of logits by library, or a sentence why one is not there."""
    return {
        "xent": L.cross_entropy,
        "torch": F.cross_entropy,
        "torch.compile": torch.compile(F.cross_entropy),
        "Liger": _rival("liger_kernel.transformers.functional", "liger_cross_entropy"),
        "quack": _rival("quack.cross_entropy", "cross_entropy"),
    }


def rivals_of_heads() -> dict[str, Loss | str]:
    """Return losses of hidden states and a head by library, or why one is not there."""

    def plain(x: torch.Tensor, w: torch.Tensor, y: torch.Tensor) -> torch.Tensor:
        return F.cross_entropy(x @ w.t(), y)

    liger = _rival("liger_kernel.transformers.functional", "liger_fused_linear_cross_entropy")
    cut = _rival("cut_cross_entropy", "linear_cross_entropy")
    return {
        "xent": L.linear_cross_entropy,
        "torch": plain,
        "torch.compile": torch.compile(plain),
        "Liger": liger,
        "cut cross-entropy": cut,
    }


def _rival(module: str, name: str) -> Loss | str:
    try:
        found: Loss = getattr(import_module(module), name)
    except (ImportError, AttributeError) as error:
        return f"not run: {error}"
    return found


def logits_of(classes: int) -> list[torch.Tensor]:
    """Return rows of which every second is sure of its class."""
    x = torch.randn(ROWS, classes, device="cuda", dtype=torch.bfloat16)
    y = torch.randint(0, classes, (ROWS,), device="cuda")
    x[torch.arange(0, ROWS, 2, device="cuda"), y[::2]] += 20
    return [x.requires_grad_(), y]


def head_of(classes: int) -> list[torch.Tensor]:
    """Return hidden states, a head and labels."""
    x = torch.randn(ROWS, WIDTH, device="cuda", dtype=torch.bfloat16)
    w = torch.randn(classes, WIDTH, device="cuda", dtype=torch.bfloat16) / WIDTH**0.5
    y = torch.randint(0, classes, (ROWS,), device="cuda")
    return [x.requires_grad_(), w.requires_grad_(), y]


def truth(tensors: list[torch.Tensor]) -> torch.Tensor:
    """Return the gradient of some rows in float64."""
    x, *head, y = (t.detach() for t in tensors)
    leaf = x[:CHECKED].double().cpu().requires_grad_()
    z = leaf @ head[0].double().cpu().t() if head else leaf
    loss = L.cross_entropy(z, y[:CHECKED].cpu(), reduction="sum") / ROWS
    return torch.autograd.grad(loss, leaf)[0].to(x.device)


def figures(loss: Loss, tensors: list[torch.Tensor], want: torch.Tensor) -> Figures:
    """Measure forward and backward of a loss."""
    leaves = [t for t in tensors if t.requires_grad]

    def step() -> None:
        for leaf in leaves:
            leaf.grad = None
        found = loss(*tensors)
        (found[0] if isinstance(found, tuple) else found).mean().backward()

    for _ in range(3):
        step()
    grad = tensors[0].grad
    assert grad is not None
    off = (grad[:CHECKED].double() - want).abs().amax(1) / want.abs().amax(1)
    del grad
    for leaf in leaves:
        leaf.grad = None
    torch.cuda.synchronize()
    before = torch.cuda.memory_allocated()
    torch.cuda.reset_peak_memory_stats()
    step()
    peak = torch.cuda.max_memory_allocated() - before
    times = []
    for _ in range(ROUNDS):
        start, end = (torch.cuda.Event(enable_timing=True) for _ in range(2))
        start.record()
        step()
        end.record()
        torch.cuda.synchronize()
        times.append(start.elapsed_time(end))
    return Figures(statistics.median(times), peak / 1e6, float(off.max()))


def rows_of(work: str, rivals: dict[str, Any], tensors: list[torch.Tensor]) -> list[str]:
    """Measure every rival on the same tensors; what one has no memory for is said, not raised."""
    want, lines = truth(tensors), []
    moved = 2 * tensors[0].nbytes  # one reading and one writing of the logits, or hidden states
    for library, loss in rivals.items():
        found = loss
        if not isinstance(loss, str):
            try:
                found = figures(loss, tensors, want)
            except Exception as error:
                found = f"not run: {type(error).__name__}: {str(error).splitlines()[0]}"
        if isinstance(found, str):
            lines.append(f"| {work} | {library} | {found} | | | |")
            continue
        speed = f"{moved / found.milliseconds / 1e6:.0f} GB/s" if len(tensors) == 2 else ""
        lines.append(
            f"| {work} | {library} | {found.milliseconds:.2f} ms | {speed} | "
            f"{found.megabytes:.0f} MB | {found.error:.2g} |"
        )
    return lines


def run() -> str:
    """Return the section of RESULTS.md."""
    if not torch.cuda.is_available():
        return MISSING
    torch.manual_seed(0)
    lines: list[str] = []
    for classes in CLASSES:
        work = f"cross_entropy, {ROWS} x {classes}, bfloat16, forward and backward"
        lines += rows_of(work, rivals_of_logits(), logits_of(classes))
        work = f"head, {ROWS} x {WIDTH} x {classes}, bfloat16, forward and backward"
        lines += rows_of(work, rivals_of_heads(), head_of(classes))
    name = torch.cuda.get_device_name()
    return "\n".join([f"{machine()}; {name}", "", HEADER, *lines])


if __name__ == "__main__":
    print(run())

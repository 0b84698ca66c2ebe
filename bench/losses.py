"""Losses against torch eager, torch.compile, the bare matrix products and the bare memory.

Two processes: one as users run Python, one with a warm allocator (MALLOC_MMAP_MAX_=0), in which
pages that torch has just written are not fetched from the kernel anew.
"""

import json
import os
import statistics
import subprocess
import sys
import time
from collections.abc import Callable
from typing import Any

import torch
import torch.nn.functional as F

import xent.losses as L
from bench.ratio import HEADER, machine, pretty, ratio
from xent.losses import _threads

SECONDS = 4.0


def training_step(loss: Callable[..., Any], x: torch.Tensor, *rest: Any) -> Callable[[], None]:
    # Logits of its own, so that each side frees the gradient that it made: to give 131 MB back
    # takes the kernel as long as the loss.
    x = x.detach().clone().requires_grad_()

    def step() -> None:
        x.grad = None
        loss(x, *rest).backward()

    return step


def logits(*shape: int, dtype: torch.dtype = torch.float32) -> torch.Tensor:
    return (torch.randn(*shape) * 3).to(dtype).requires_grad_()


def compare(
    name: str, ours: Any, theirs: Any, goal: str, *, inner: int = 1, seconds: float = SECONDS
) -> str:
    return ratio(name, ours, theirs, seconds=seconds, inner=inner).row(goal)


def big(warm: bool) -> list[str]:
    torch.set_num_threads(2)
    x, y = logits(1024, 32000), torch.randint(0, 32000, (1024,))
    ours = training_step(L.cross_entropy, x, y)
    where = "1024 x 32000, 2 threads" + (", warm allocator" if warm else "")
    eager = training_step(F.cross_entropy, x, y)
    goal = "<= 0.25" if warm else "<= 0.1"
    rows = [compare(f"cross_entropy, {where}, to torch eager", ours, eager, goal)]
    if not warm:
        compiled = training_step(torch.compile(F.cross_entropy), x, y)
        rows.append(compare("the same, to torch.compile", ours, compiled, "<= 0.25"))
    out = torch.empty_like(x)
    source = x.detach()
    copied = compare(
        "the same, to one read and one write", ours, lambda: torch.mul(source, 1.5, out=out), "<= 2"
    )
    # What the goals could be at best: the same memory traffic without a loss.
    limits = [
        compare(
            f"limit: one read and one write{how}, to torch eager{', warm' if warm else ''}",
            work, eager, "", seconds=2.0,
        )
        for how, work in (
            ("", lambda: torch.mul(source, 1.5, out=out)),
            (" of new memory", lambda: torch.mul(source, 1.5)),
        )
    ]  # fmt: skip
    return [*rows, copied, *limits]


class _Nothing(torch.autograd.Function):
    """What autograd takes in Python before any loss is computed."""

    @staticmethod
    def forward(ctx: Any, input: torch.Tensor, target: torch.Tensor) -> torch.Tensor:
        ctx.save_for_backward(input, target)
        ctx.gift = torch.empty_like(input)
        return torch.empty(())

    @staticmethod
    def backward(ctx: Any, up: torch.Tensor) -> Any:
        return ctx.gift, None


def against_compile() -> list[str]:
    """Other losses with a warm allocator."""
    torch.set_num_threads(2)
    x, y = logits(1024, 16000), torch.randint(0, 16000, (1024,))
    soft = torch.randn(1024, 16000).softmax(1)
    answers = (torch.rand(1024, 16000) < 0.1).float()
    half = logits(1024, 16000, dtype=torch.bfloat16)
    image, labels = logits(2, 19, 512, 512), torch.randint(0, 19, (2, 512, 512))

    def smooth(loss: Any) -> Any:
        return lambda x, y: loss(x, y, label_smoothing=0.1)

    heavy, often = torch.rand(16000) + 0.5, torch.rand(16000) * 5
    every = torch.rand(1024, 16000) + 0.5

    def weighing(**weights: torch.Tensor) -> Any:
        return lambda loss: lambda x, y: loss(x, y, **weights)

    works: list[tuple[str, Any, Any, torch.Tensor, torch.Tensor]] = [
        ("BCE with logits, 1024 x 16000", L.binary_cross_entropy_with_logits,
         F.binary_cross_entropy_with_logits, x, answers),
        ("label smoothing, 1024 x 16000", smooth(L.cross_entropy), smooth(F.cross_entropy), x, y),
        ("soft targets, 1024 x 16000", L.cross_entropy, F.cross_entropy, x, soft),
        ("segmentation, 2 x 19 x 512 x 512", L.cross_entropy, F.cross_entropy, image, labels),
        ("bfloat16, 1024 x 16000", L.cross_entropy, F.cross_entropy, half, y),
    ]  # fmt: skip
    yes_or_no = L.binary_cross_entropy_with_logits, F.binary_cross_entropy_with_logits
    beside = [
        (f"BCE with logits, {what}", *map(weighing(**weights), yes_or_no), x, answers)
        for what, weights in (
            ("pos_weight of classes", {"pos_weight": often}),
            ("weight and pos_weight of classes", {"weight": heavy, "pos_weight": often}),
            ("weight of every answer", {"weight": every}),
        )
    ]
    soft_room, room = torch.empty_like(soft), torch.empty_like(image, requires_grad=False)
    scores, pixels = x.detach(), image.detach()
    # What could be had at best: the same memory traffic without a loss, or a lighter loss.
    limits: dict[str, dict[str, Callable[[], Any]]] = {
        "soft targets, 1024 x 16000": {
            "two reads and one write": lambda: torch.add(scores, soft, out=soft_room),
            "class indices as targets": training_step(L.cross_entropy, x, y),
        },
        "segmentation, 2 x 19 x 512 x 512": {
            "one read and one write": lambda: torch.mul(pixels, 1.5, out=room),
        },
    }
    rows = []
    for name, ours, theirs, a, b in [*works, *beside]:
        torch._dynamo.reset()
        ours, theirs = training_step(ours, a, b), training_step(torch.compile(theirs), a, b)
        goal = "" if name in [work[0] for work in beside] else "<= 0.5"
        rows.append(compare(f"{name}, warm, to torch.compile", ours, theirs, goal, seconds=2.0))
        rows += [
            compare(f"limit: {what}, to {name}, torch.compile", work, theirs, "", seconds=1.0)
            for what, work in limits.get(name, {}).items()
        ]
    return rows


def small() -> list[str]:
    torch.set_num_threads(1)
    rows = []
    for n, c in ((64, 10), (128, 50), (256, 100)):
        x, y = logits(n, c), torch.randint(0, c, (n,))
        rows.append(
            compare(
                f"cross_entropy, {n} x {c}, to torch eager",
                training_step(L.cross_entropy, x, y),
                training_step(F.cross_entropy, x, y),
                "<= 1.6",
                inner=50,
                seconds=2.0,
            )
        )
        rows.append(
            compare(
                f"limit: an autograd.Function that does nothing, {n} x {c}, to torch eager",
                training_step(_Nothing.apply, x, y),
                training_step(F.cross_entropy, x, y),
                "",
                inner=50,
                seconds=1.0,
            )
        )
    return rows


def heads() -> list[str]:
    torch.set_num_threads(1)
    rows = []
    cases = [
        (512, 256, 32000, "float32", "mean", "<= 1.15"),
        (512, 1024, 32000, "float32", "mean", "<= 1.15"),
        (2048, 128, 8192, "float32", "mean", "<= 1.15"),
        (4096, 256, 16000, "float32", "mean", "<= 1.15"),
        (2048, 64, 16000, "float32", "mean", "<= 1.4"),
        (2048, 256, 16000, "float32", "none", "<= 1.33"),
        (2048, 256, 16000, "bfloat16", "mean", "<= 1.15"),
    ]
    for n, d, v, kind, reduction, goal in cases:
        dtype = getattr(torch, kind)
        x, w = logits(n, d, dtype=dtype), (torch.randn(v, d) / 16).to(dtype).requires_grad_()
        y = torch.randint(0, v, (n,))
        a, b = x.detach(), w.detach()
        buffer = torch.empty(min(n, 256), v, dtype=dtype)
        gx, gw = torch.empty_like(a), torch.zeros_like(b)

        def products(a: Any = a, b: Any = b, z: Any = buffer, gx: Any = gx, gw: Any = gw) -> None:
            for start in range(0, a.shape[0], z.shape[0]):
                rows = slice(start, start + z.shape[0])
                torch.mm(a[rows], b.t(), out=z)
                torch.mm(z, b, out=gx[rows])
                gw.addmm_(z.t(), a[rows])

        def step(x: Any = x, w: Any = w, y: Any = y, reduction: str = reduction) -> None:
            x.grad = w.grad = None
            L.linear_cross_entropy(x, w, y, reduction=reduction).sum().backward()

        name = f"linear_cross_entropy {n} x {d} x {v}, {kind}, {reduction}, to three products"
        rows.append(compare(name, step, products, goal, seconds=3.0))
        if reduction == "none":

            def four(a: Any = a, b: Any = b, z: Any = buffer, products: Any = products) -> None:
                for start in range(0, a.shape[0], z.shape[0]):
                    torch.mm(a[start : start + z.shape[0]], b.t(), out=z)
                products()

            rows.append(compare("the same, to four (the logits twice)", step, four, "<= 1"))
            name = "limit: four products, to three"
            rows.append(compare(name, four, products, "", seconds=2.0))
    return rows


def memory() -> list[str]:
    code = (
        "import sys; sys.path[:0] = ['tests/losses', 'tests']; import test_heads as t;"
        "print(t.extra_memory('ours', 4096, 256), t.extra_memory('plain', 4096, 256),"
        "*map(t.extra_memory, ('binary', 'kl', 'js')))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    ours, plain, *others = (int(n) for n in done.stdout.split())
    logits = 2048 * 16000 * 4
    heads = ("linear_binary_cross_entropy", "linear_kl_div", "linear_js_div")
    return [
        f"| peak memory of linear_cross_entropy 4096 x 256 x 16000 over inputs and gradients, to "
        f"linear + cross_entropy | {ours / 1e6:.0f} MB | {plain / 1e6:.0f} MB | "
        f"{ours / plain:.3f} | <= 0.06 |",
        *(
            f"| peak memory of {head} 2048 x 128 x 16000 over inputs and gradients, to the logits "
            f"alone | {took / 1e6:.0f} MB | {logits / 1e6:.0f} MB | {took / logits:.3f} | |"
            for head, took in zip(heads, others, strict=True)
        ),
    ]


def elsewhere(what: str, **environment: str) -> Any:
    """Run a part of this file in a process of its own."""
    done = subprocess.run(
        [sys.executable, "-m", "bench.losses", what],
        env=os.environ | environment, capture_output=True, text=True, check=True,
    )  # fmt: skip
    return json.loads(done.stdout.splitlines()[-1])


def warm() -> list[str]:
    rows: list[str] = elsewhere("warm", MALLOC_MMAP_MAX_="0", MALLOC_TRIM_THRESHOLD_="-1")
    return rows


def on_threads() -> list[float]:
    """Seconds of a loss: on torch's team, on our pool, on our pool with the team asleep."""
    torch.set_num_threads(2)
    x, y = logits(1024, 32000), torch.randint(0, 32000, (1024,))
    busy = torch.randn(1 << 20)
    team: Any = _threads.gomp_parallel
    took: list[list[float]] = [[], [], []]
    for _ in range(60):
        for found, owner, rest in zip(took, (team, _nobody, _nobody), (0, 0, 0.05), strict=True):
            _threads.gomp_parallel = owner
            busy.mul_(1.0)
            time.sleep(rest)
            start = time.perf_counter()
            L.cross_entropy(x, y)
            found.append(time.perf_counter() - start)
    _threads.gomp_parallel = team
    return [statistics.median(times) for times in took]


def _nobody() -> None:
    return None


def threads() -> list[str]:
    """Print what docs/design/0004 decides by."""
    team, pool, asleep = elsewhere("threads")
    passive = elsewhere("threads", OMP_WAIT_POLICY="passive")[1]
    return [
        f"| loss of 1024 x 32000 and its gradient, 2 threads, on torch's team, to our pool {how} | "
        f"{pretty(team)} | {pretty(theirs)} | {team / theirs:.3g} | |"
        for how, theirs in (
            ("right after an operation of torch", pool),
            ("50 ms after one", asleep),
            ("right after one, OMP_WAIT_POLICY=passive", passive),
        )
    ]


def run() -> str:
    rows = [*big(False), *warm(), *threads(), *small(), *heads(), *memory()]
    about = f"Forward and backward. {machine('torch', 'numba')}."
    return "\n".join([about, "", HEADER, *rows])


if __name__ == "__main__":
    alone = on_threads() if sys.argv[1:] == ["threads"] else [*big(True), *against_compile()]
    print(json.dumps(alone))

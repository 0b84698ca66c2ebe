"""The processes that share a vocabulary: who holds which classes, and sums that can be derived.

What is *replicated* has the same value, and the same gradient, in every process; what is *sharded*
has a part in each. `replicate` adds sharded parts up to a replicated whole and lets the gradient
through; `spread` takes a replicated value into sharded work and adds the gradients up. Each is the
derivative of the other, so derivatives of every order are right (Shoeybi et al. 2019, section 3).
"""

import zlib
from typing import Any, NamedTuple

import torch
import torch.distributed as dist
from torch import Tensor

from xent import _check


class Shards(NamedTuple):
    """Which classes of the vocabulary this process holds."""

    group: Any
    start: int  # the first class here
    classes: int  # of all processes together
    widest: int  # the most classes that one process holds


def members(group: Any) -> int:
    """Return how many processes there are; refuse what is no group of which this is one."""
    if not (dist.is_available() and dist.is_initialized()):
        because = "torch.distributed has no process group"
        advice = "Call torch.distributed.init_process_group first."
        raise _check.cannot("The vocabulary cannot be shared", because, advice)
    if group is not None and not isinstance(group, dist.ProcessGroup):
        must = "be a process group of torch.distributed of which this process is a member"
        raise _check.wrong_kind("group", must, _check.a(group))
    return dist.get_world_size(group)


def refuse_the_traced() -> None:
    """Say that what the processes exchange is not seen by the compiler and by transforms."""
    if torch.compiler.is_compiling() or torch._C._are_functorch_transforms_active():
        because = "torch.compile and torch.func do not see what the processes exchange"
        raise _check.cannot("The vocabulary cannot be shared", because, "Call it outside of them.")


def meet(group: Any, classes: int, like: Tensor, target: Tensor, call: object) -> Shards:
    """Learn every process's number of classes; refuse calls that are not one and the same.

    A process that works on other rows, or with other options, would leave the rest waiting or, what
    is worse, adding up what does not belong together.
    """
    marks = target.new_zeros((), dtype=torch.int64)
    if not target.is_floating_point():
        flat = target.reshape(-1)
        place = torch.arange(1, 2 * flat.numel() + 1, 2, device=flat.device)
        marks = ((flat + 1_000_003) * place).sum()
    mine = torch.tensor([classes, zlib.crc32(repr(call).encode()), 0], device=like.device)
    mine[2] = marks
    everyone = _gather(mine, group)
    told, marked = {row[1] for row in everyone}, {row[2] for row in everyone}
    if -1 in told:
        advice = "Its own error says which."
        because = "another process refused its arguments"
        raise _check.cannot("The vocabulary cannot be shared", because, advice)
    if len(told) > 1:
        because = "the processes differ in options, shapes, dtypes or in what needs a gradient"
        raise _check.cannot("The vocabulary cannot be shared", because)
    if len(marked) > 1:
        advice = "The rows are the same in all of them; only the classes are shared out."
        raise _check.invalid(
            "target", "be the same in every process of the group", "others", advice
        )
    sizes = [row[0] for row in everyone]
    start = sum(sizes[: dist.get_rank(group)])
    return Shards(group, start, sum(sizes), max(sizes))


def call_off(group: Any, like: Tensor | None) -> None:
    """Tell those who wait in `meet` that this process has refused its arguments."""
    device = like.device if isinstance(like, Tensor) else torch.device("cpu")
    _gather(torch.tensor([0, -1, 0], device=device), group)


def _gather(mine: Tensor, group: Any) -> list[list[int]]:
    parts = [torch.empty_like(mine) for _ in range(dist.get_world_size(group))]
    with _talking():
        dist.all_gather(parts, mine, group=group)
    rows: list[list[int]] = torch.stack(parts).tolist()
    return rows


class _talking:  # noqa: N801
    """Say what was lost when the other processes no longer answer."""

    def __enter__(self) -> None:
        pass

    def __exit__(self, kind: Any, error: Any, trace: Any) -> None:
        if isinstance(error, RuntimeError):
            what = "The processes that share the vocabulary no longer answer each other"
            raise ConnectionError(f"{what}: {error}") from error


def reduce(part: Tensor, group: Any, how: str) -> Tensor:
    """Combine one value of each process ("sum", "max" or "min"), without derivatives."""
    whole = part.detach().clone(memory_format=torch.contiguous_format)
    if whole.numel():
        with _talking():
            dist.all_reduce(whole, getattr(dist.ReduceOp, how.upper()), group)
    return whole


class _Replicate(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, part: Tensor, group: Any) -> Tensor:
        ctx.group = group
        half = part.dtype in (torch.float16, torch.bfloat16)
        whole = reduce(part.float() if half else part, group, "sum")
        return whole.to(part.dtype)

    @staticmethod
    def backward(ctx: Any, *up: Any) -> Any:
        return spread(up[0], ctx.group), None


class _Spread(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, whole: Tensor, group: Any) -> Tensor:
        ctx.group = group
        return whole.view_as(whole)

    @staticmethod
    def backward(ctx: Any, *up: Any) -> Any:
        return replicate(up[0], ctx.group), None


def replicate(part: Tensor, group: Any) -> Tensor:
    """Add up what every process has of a sum."""
    added: Tensor = _Replicate.apply(part, group)  # type: ignore[no-untyped-call]
    return added


def spread(whole: Tensor, group: Any) -> Tensor:
    """Take what all processes have alike into work of which each does a part."""
    taken: Tensor = _Spread.apply(whole, group)  # type: ignore[no-untyped-call]
    return taken

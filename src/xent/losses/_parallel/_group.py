"""The processes that share a vocabulary: who holds which classes, and sums that can be derived.

What is *replicated* has the same value, and the same gradient, in every process; what is *sharded*
has a part in each. `sum_over_group` adds sharded parts up to a replicated whole and lets the
gradient through; `copy_to_group` takes a replicated value into sharded work and adds the gradients
up. Each is the derivative of the other, so derivatives of every order are right (Shoeybi et al.
2019, section 3: their g and f).
"""

import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, NamedTuple

import torch
import torch.distributed as dist
from torch import Tensor

from xent import _check
from xent.losses._torch_private import is_transformed


class Shards(NamedTuple):
    """Which classes of the vocabulary this process holds."""

    group: Any
    start: int  # the first class here
    classes: int  # of all processes together
    widest: int  # the most classes that one process holds


def check_group(group: Any) -> None:
    """Refuse what is no group of which this process is a member."""
    if not (dist.is_available() and dist.is_initialized()):
        because = "torch.distributed has no process group"
        advice = "Call torch.distributed.init_process_group first."
        raise _check.cannot("The vocabulary cannot be shared", because, advice)
    if group is not None and not isinstance(group, dist.ProcessGroup):
        must = "be a process group of torch.distributed of which this process is a member"
        raise _check.wrong_kind("group", must, _check.a(group))


def refuse_transforms() -> None:
    """Refuse torch.compile and torch.func, which do not see what the processes exchange."""
    if is_transformed():
        because = "torch.compile and torch.func do not see what the processes exchange"
        raise _check.cannot("The vocabulary cannot be shared", because, "Call it outside of them.")


def compare_calls(group: Any, classes: int, like: Tensor, target: Tensor, call: object) -> Shards:
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
    calls, marks_of_all = {row[1] for row in everyone}, {row[2] for row in everyone}
    if -1 in calls:
        advice = "Its own error says which."
        because = "another process refused its arguments"
        raise _check.cannot("The vocabulary cannot be shared", because, advice)
    if len(calls) > 1:
        because = "the processes differ in options, shapes, dtypes or in what needs a gradient"
        raise _check.cannot("The vocabulary cannot be shared", because)
    if len(marks_of_all) > 1:
        advice = "The rows are the same in all of them; only the classes are shared out."
        raise _check.invalid(
            "target", "be the same in every process of the group", "others", advice
        )
    sizes = [row[0] for row in everyone]
    if not sum(sizes):
        raise _check.invalid("input", "have at least one class in some process", "none in all")
    start = sum(sizes[: dist.get_rank(group)])
    return Shards(group, start, sum(sizes), max(sizes))


@contextmanager
def refuse_in_all(group: Any, like: Any) -> Iterator[None]:
    """Tell those who wait in `compare_calls` when this process refuses its arguments."""
    try:
        yield
    except (ValueError, TypeError):
        device = like.device if isinstance(like, Tensor) else torch.device("cpu")
        _gather(torch.tensor([0, -1, 0], device=device), group)
        raise


def _gather(mine: Tensor, group: Any) -> list[list[int]]:
    parts = [torch.empty_like(mine) for _ in range(dist.get_world_size(group))]
    with _reporting_loss():
        dist.all_gather(parts, mine, group=group)
    rows: list[list[int]] = torch.stack(parts).tolist()
    return rows


@contextmanager
def _reporting_loss() -> Iterator[None]:
    """Say what was lost when the other processes no longer answer."""
    try:
        yield
    except RuntimeError as error:
        what = "The processes of the group no longer answer each other"
        raise ConnectionError(f"{what}: {error}") from error


def all_reduce(part: Tensor, group: Any, how: str) -> Tensor:
    """Combine one value of each process ("sum", "max" or "min"), without derivatives."""
    whole = part.detach().clone(memory_format=torch.contiguous_format)
    if whole.numel():
        with _reporting_loss():
            dist.all_reduce(whole, getattr(dist.ReduceOp, how.upper()), group)
    return whole


class _Sum(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, part: Tensor, group: Any) -> Tensor:
        ctx.group = group
        half = part.dtype in (torch.float16, torch.bfloat16)
        whole = all_reduce(part.float() if half else part, group, "sum")
        return whole.to(part.dtype)

    @staticmethod
    def backward(ctx: Any, *upstream: Any) -> Any:
        return copy_to_group(upstream[0], ctx.group), None


class _Copy(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, whole: Tensor, group: Any) -> Tensor:
        ctx.group = group
        return whole.view_as(whole)

    @staticmethod
    def backward(ctx: Any, *upstream: Any) -> Any:
        return sum_over_group(upstream[0], ctx.group), None


class _Gather(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, part: Tensor, group: Any) -> Tensor:
        ctx.group, ctx.rows = group, len(part)
        parts = [torch.empty_like(part) for _ in range(dist.get_world_size(group))]
        with _reporting_loss():
            dist.all_gather(parts, part.detach(), group=group)
        return torch.cat(parts)

    @staticmethod
    def backward(ctx: Any, *upstream: Any) -> Any:
        # Of every process: what they gather goes into losses of their own.
        whole = copy_to_group(sum_over_group(upstream[0], ctx.group), ctx.group)
        first = dist.get_rank(ctx.group) * ctx.rows
        return whole[first : first + ctx.rows], None


def gather_rows(part: Tensor, group: Any) -> Tensor:
    """Return the rows of all processes, of which each has as many; gradients come from all.

    torch's own takes ranks of the group for ranks of the world on its way back under gloo.
    """
    whole: Tensor = _Gather.apply(part.contiguous(), group)  # type: ignore[no-untyped-call]
    return whole


def sum_over_group(part: Tensor, group: Any) -> Tensor:
    """Add up what every process has of a sum."""
    whole: Tensor = _Sum.apply(part, group)  # type: ignore[no-untyped-call]
    return whole


def copy_to_group(whole: Tensor, group: Any) -> Tensor:
    """Take what all processes have alike into work of which each does a part."""
    copy: Tensor = _Copy.apply(whole, group)  # type: ignore[no-untyped-call]
    return copy

"""Binary cross-entropy of logits in Triton's kernels, under autograd. Kept is the input alone."""

from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor

from xent.losses._arguments import Options
from xent.losses._rows._autograd import without_inference
from xent.losses._torch_private import is_batched
from xent.losses._triton import _use
from xent.losses._triton._calls import AnswerCall
from xent.losses._triton._class import is_extreme


def answers_in_triton(
    input: Tensor,
    target: Tensor,
    weights: tuple[Tensor | None, Tensor | None, Tensor | None],
    ignore_index: float | None,
    o: Options,
    keep: bool,
    plain: Callable[[Tensor], Tensor],
) -> Tensor | None:
    """Return the losses of answers, or their sum in float64; None where Triton does not take it."""
    if not _takes(input, target, weights, ignore_index, o):
        return None
    places = [_place(w, input.shape) for w in weights]
    if any(place is None for place in places):
        return None
    found = [place for place in places if place is not None]
    loss: Tensor = _triton_answers(
        input, AnswerCall(target, weights, found, ignore_index, o, keep, plain)
    )
    return loss


def _takes(
    input: Tensor, target: Tensor, weights: Any, ignore_index: float | None, o: Options
) -> bool:
    """Say whether the kernels take such answers."""
    kinds = (torch.float32, torch.bfloat16, torch.float16)
    if not _use.is_at_hand(input) or input.dtype not in kinds or is_extreme(o):
        return False
    if not input.numel() or not input.is_contiguous() or not target.is_contiguous():
        return False
    if torch.float64 in {t.dtype for t in (target, *weights) if t is not None}:
        return False
    # what a half-precision target makes of another one torch knows
    return ignore_index is None or not (ignore_index % 1 or abs(ignore_index) > 256)


def score_head_answers(
    logits: Tensor,
    target: Tensor,
    weights: tuple[Tensor | None, Tensor | None, Tensor | None],
    ignore_index: float | None,
    o: Options,
    g: Any,
    upstream: Tensor | None,
) -> Tensor | None:
    """Return the sums of a chunk's rows; overwrite the logits by their gradient.

    ``weights`` are those of classes, of their yes, and of rows; ``g`` (a number, or a tensor of
    one) and ``upstream``, a number a row, multiply the gradient, and with ``g`` None the logits are
    left alone. Without Triton return None.
    """
    if not _takes(logits, target, weights, ignore_index, o):
        return None
    from xent.losses._triton import _launch_answers

    rows, classes = logits.shape
    if isinstance(g, Tensor):
        upstream, g = g if upstream is None else upstream * g, 1.0
    places = [(1, classes), (1, classes), (classes, rows)]
    call = AnswerCall(target, weights, places, ignore_index, o, False, lambda x: x)
    return _launch_answers.score_rows(logits, call, g, upstream)


def _place(weight: Tensor | None, shape: torch.Size) -> tuple[int, int] | None:
    """Say which of a weight's numbers an element has: (i // step) % period, or None.

    So it is where the dimensions along which the weight changes follow one another.
    """
    if weight is None:
        return 1, 1
    own = (1,) * (len(shape) - weight.dim()) + tuple(weight.shape)
    changing = [d for d, size in enumerate(own) if size != 1]
    if not changing:
        return 1, 1
    first, last = changing[0], changing[-1]
    if own[first : last + 1] != tuple(shape[first : last + 1]):
        return None
    return shape[last + 1 :].numel(), weight.numel()


class _TritonAnswers(torch.autograd.Function):
    """The losses of answers, or their sum."""

    @staticmethod
    def forward(ctx: Any, input: Tensor, call: AnswerCall) -> Tensor:
        from xent.losses._triton import _launch_answers

        ctx.call = call
        # All that backward reads, so that torch notices what was overwritten in between.
        ctx.save_for_backward(input, *without_inference(call.target, *call.weights))
        return _launch_answers.score(input.detach(), call)

    @staticmethod
    def backward(ctx: Any, upstream: Tensor) -> Any:
        from xent.losses._triton import _launch_answers

        input, call = ctx.saved_tensors[0], ctx.call
        if torch.is_grad_enabled() or is_batched([upstream]):
            with torch.enable_grad():
                loss = call.plain(input)
                up = upstream.to(loss.dtype)
                return torch.autograd.grad(loss, input, up, create_graph=True)[0], None
        return _launch_answers.differentiate(input.detach(), call, upstream), None


_triton_answers: Any = _TritonAnswers.apply

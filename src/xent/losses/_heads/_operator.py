"""The chunk loop of class heads as an operator of torch's, which torch.compile takes whole.

So a compiled graph holds no logits either. A loss that is one number makes its gradients with its
forward, as in eager mode; a loss of each row, an entropy, float16, and a loss with statistics make
them in backward.
"""

from typing import Any

import torch
from torch import Tensor

from xent.losses._arguments import Options
from xent.losses._heads._class_rows import ClassRows, class_job
from xent.losses._heads._head import job_of, missing_mean
from xent.losses._heads._loop import Wanted, gradients_of, score_all, score_columns
from xent.losses._reduction import loss_dtype
from xent.losses._rows._chunks import Job
from xent.losses._rows._formula import zero_masked_rows
from xent.losses._rows._softmax import SoftmaxRows
from xent.losses._rows._targets import BadRowError

HeadGradients = tuple[Tensor, Tensor, Tensor]  # of x, w and b; of what is not wanted an empty one
ForwardResult = tuple[Tensor, Tensor, Tensor, Tensor]


def _job(
    x: Tensor,
    w: Tensor,
    target: Tensor,
    weight: Tensor | None,
    token_weight: Tensor | None,
    o: Options,
    entropy: bool,
    stats: bool = False,
) -> Job:
    rows = SoftmaxRows(target, weight, token_weight, o)
    try:
        total = rows.total(w.shape[0])
    except BadRowError as bad:
        raise bad.sentence(rows.target, x.shape[:1], w.shape[0]) from None
    if entropy:
        return job_of(ClassRows(rows, True, True), o, 1.0, rows.target)
    return class_job(rows, stats, total)


def is_eager(o: Options, wants: Wanted, dtype: torch.dtype) -> bool:
    """Say whether the gradients come with the forward."""
    return any(wants) and o.reduction != "none" and dtype != torch.float16


def scored(x: Tensor, w: Tensor, b: Tensor | None, job: Job, wants: Wanted) -> ForwardResult:
    """Return the loss of a job, and the gradients or nothing."""
    fill = missing_mean(job, x)
    x = _without_silent_rows(x, job, wants)
    now = wants if is_eager(job.options, wants, x.dtype) else (False,) * 3
    loss, grads = score_all(x, w, b, job, now)
    loss = loss if isinstance(fill, float) and not fill else loss + fill
    return loss, *_made(x, grads)


def sloped(
    upstream: Tensor, x: Tensor, w: Tensor, b: Tensor | None, job: Job, wants: Wanted
) -> HeadGradients:
    """Return the gradients of a job, or nothing."""
    x = _without_silent_rows(x, job, wants)
    return _made(x, gradients_of(x, w, b, job, (upstream,), wants))


def _made(x: Tensor, grads: list[Tensor | None]) -> HeadGradients:
    gx, gw, gb = (x.new_empty(0) if grad is None else grad.contiguous() for grad in grads)
    return gx, gw, gb


def _without_silent_rows(x: Tensor, job: Job, wants: Wanted) -> Tensor:
    """Return hidden states with zeros where a NaN would come back in the weight's gradient."""
    counted = job.rows.counted() if wants[1] else None
    return x if counted is None else zero_masked_rows(x, counted)


def register_head(operator: Any, backward_operator: Any, count: int) -> None:
    """Tell torch the shapes of a head's operator, and its gradient, another operator.

    Both take ``count`` tensors, of which the first are x, w and b, then the reduction and other
    options, and last which of the three gradients are wanted.
    """

    @operator.register_fake  # type: ignore[untyped-decorator]
    def _(x: Tensor, w: Tensor, *rest: Any) -> Any:
        reduction, wants = rest[count - 2], rest[-3:]
        now = is_eager(Options(reduction), wants, x.dtype)
        loss = x.new_empty(x.shape[0] if reduction == "none" else (), dtype=loss_dtype(x))
        return loss, *_shaped(x, w, [now and want for want in wants])

    @backward_operator.register_fake  # type: ignore[untyped-decorator]
    def _(upstream: Tensor, x: Tensor, w: Tensor, *rest: Any) -> Any:
        return _shaped(x, w, rest[-3:])

    def save(ctx: Any, inputs: Any, output: Any) -> None:
        ctx.options, ctx.wants = inputs[count:], inputs[-3:]
        ctx.eager = is_eager(Options(inputs[count]), ctx.wants, inputs[0].dtype)
        ctx.save_for_backward(*(output[1:] if ctx.eager else inputs[:count]))

    def backward(ctx: Any, upstream: Tensor, *_: Any) -> Any:
        if ctx.eager:
            grads = [grad * upstream for grad in ctx.saved_tensors]
        else:
            grads = list(backward_operator(upstream, *ctx.saved_tensors, *ctx.options))
        wanted = [grad if want else None for grad, want in zip(grads, ctx.wants, strict=True)]
        return *wanted, *[None] * (count + len(ctx.options) - 3)

    operator.register_autograd(backward, setup_context=save)


def _shaped(x: Tensor, w: Tensor, wants: Any) -> HeadGradients:
    likes = zip((x, w, w[:, 0]), wants, strict=True)
    gx, gw, gb = (x.new_empty(like.shape if want else 0) for like, want in likes)
    return gx, gw, gb


@torch.library.custom_op("xent::linear_class_loss", mutates_args=())
def head_operator(
    x: Tensor,
    w: Tensor,
    b: Tensor | None,
    target: Tensor,
    weight: Tensor | None,
    token_weight: Tensor | None,
    reduction: str,
    ignore_index: int,
    label_smoothing: float,
    temperature: float,
    softcap: float,
    z_loss: float,
    empty: str,
    entropy: bool,
    wants_x: bool,
    wants_w: bool,
    wants_b: bool,
) -> tuple[Tensor, Tensor, Tensor, Tensor]:
    """Return the loss, and the gradients or nothing."""
    o = Options(reduction, ignore_index, label_smoothing, temperature, softcap, z_loss, empty)
    wants = (wants_x, wants_w, wants_b)
    job = _job(x, w, target, weight, token_weight, o, entropy)
    return scored(x, w, b, job, wants)


@torch.library.custom_op("xent::linear_class_loss_backward", mutates_args=())
def _backward_operator(
    upstream: Tensor,
    x: Tensor,
    w: Tensor,
    b: Tensor | None,
    target: Tensor,
    weight: Tensor | None,
    token_weight: Tensor | None,
    reduction: str,
    ignore_index: int,
    label_smoothing: float,
    temperature: float,
    softcap: float,
    z_loss: float,
    empty: str,
    entropy: bool,
    wants_x: bool,
    wants_w: bool,
    wants_b: bool,
) -> tuple[Tensor, Tensor, Tensor]:
    o = Options(reduction, ignore_index, label_smoothing, temperature, softcap, z_loss, empty)
    wants = (wants_x, wants_w, wants_b)
    return sloped(upstream, x, w, b, _job(x, w, target, weight, token_weight, o, entropy), wants)


register_head(head_operator, _backward_operator, 6)


@torch.library.custom_op("xent::linear_class_stats", mutates_args=())
def _stats_operator(
    x: Tensor,
    w: Tensor,
    b: Tensor | None,
    target: Tensor,
    weight: Tensor | None,
    token_weight: Tensor | None,
    reduction: str,
    ignore_index: int,
    label_smoothing: float,
    temperature: float,
    softcap: float,
    z_loss: float,
    empty: str,
    wants_x: bool,
    wants_w: bool,
    wants_b: bool,
) -> tuple[Tensor, Tensor, Tensor, Tensor, Tensor]:
    """Return the loss, log-normalisers, log-probabilities, entropies and the largest classes."""
    o = Options(reduction, ignore_index, label_smoothing, temperature, softcap, z_loss, empty)
    job = _job(x, w, target, weight, token_weight, o, False, True)
    fill = missing_mean(job, x)
    loss, *columns = score_columns(x, w, b, job)
    loss = loss if isinstance(fill, float) and not fill else loss + fill
    lse, log_prob, entropy = (column.to(loss.dtype).contiguous() for column in columns[:3])
    return loss, lse, log_prob, entropy, columns[3].long().contiguous()


@torch.library.custom_op("xent::linear_class_stats_backward", mutates_args=())
def _stats_backward_operator(
    of_loss: Tensor,
    of_lse: Tensor,
    of_log_prob: Tensor,
    of_entropy: Tensor,
    x: Tensor,
    w: Tensor,
    b: Tensor | None,
    target: Tensor,
    weight: Tensor | None,
    token_weight: Tensor | None,
    reduction: str,
    ignore_index: int,
    label_smoothing: float,
    temperature: float,
    softcap: float,
    z_loss: float,
    empty: str,
    wants_x: bool,
    wants_w: bool,
    wants_b: bool,
) -> tuple[Tensor, Tensor, Tensor]:
    o = Options(reduction, ignore_index, label_smoothing, temperature, softcap, z_loss, empty)
    job = _job(x, w, target, weight, token_weight, o, False, True)
    upstream = (of_loss, of_lse, of_log_prob, of_entropy)
    return _made(x, gradients_of(x, w, b, job, upstream, (wants_x, wants_w, wants_b)))


@_stats_operator.register_fake
def _(x: Tensor, w: Tensor, *rest: Any) -> Any:
    real, reduction = loss_dtype(x), rest[4]
    shape = x.shape[:1] if reduction == "none" else ()
    columns = (x.new_empty(x.shape[0], dtype=real) for _ in range(3))
    argmax = x.new_empty(x.shape[0], dtype=torch.int64)
    return x.new_empty(shape, dtype=real), *columns, argmax


@_stats_backward_operator.register_fake
def _(*arguments: Any) -> Any:
    return _shaped(arguments[4], arguments[5], arguments[-3:])


def _save_stats(ctx: Any, inputs: Any, output: Any) -> None:
    ctx.options, ctx.wants = inputs[6:], inputs[-3:]
    ctx.save_for_backward(*inputs[:6])


def _differentiate_stats(ctx: Any, *upstream: Any) -> Any:
    grads = _stats_backward_operator(*upstream[:4], *ctx.saved_tensors, *ctx.options)
    wanted = [grad if want else None for grad, want in zip(grads, ctx.wants, strict=True)]
    return *wanted, *[None] * (3 + len(ctx.options))


_stats_operator.register_autograd(_differentiate_stats, setup_context=_save_stats)


def compiled_head_stats(
    x: Tensor, w: Tensor, b: Tensor | None, rows: SoftmaxRows
) -> tuple[Tensor, ...]:
    """Return the loss of a head and its statistics within a graph of torch.compile."""
    found: tuple[Tensor, ...] = _stats_operator(
        x, w, b, rows.target, rows.weight, rows.row_weight, *rows.options, *wanted_of(x, w, b)
    )
    return found


def wanted_of(x: Tensor, w: Tensor, b: Tensor | None) -> list[bool]:
    """Say which gradients are wanted."""
    enabled = torch.is_grad_enabled()
    return [t is not None and t.requires_grad and enabled for t in (x, w, b)]


def compiled_head_loss(
    x: Tensor, w: Tensor, b: Tensor | None, rows: SoftmaxRows, entropy: bool = False
) -> Tensor:
    """Return the loss of a head within a graph of torch.compile."""
    loss: Tensor = head_operator(
        x, w, b, rows.target, rows.weight, rows.row_weight, *rows.options, entropy,
        *wanted_of(x, w, b),
    )[0]  # fmt: skip
    return loss


def is_compiled(*learnt: Tensor | None) -> bool:
    """Say whether torch.compile is at work, and the head alone is differentiated."""
    if not torch.compiler.is_compiling() or torch.compiler.is_exporting():
        return False
    return not any(t is not None and t.requires_grad for t in learnt)

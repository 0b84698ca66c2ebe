"""The statistics that a loss of class logits returns beside its value."""

from collections.abc import Sequence
from typing import Any, NamedTuple

from torch import Tensor

from xent.losses._arguments import Options
from xent.losses._reduction import exact_dtype
from xent.losses._rows._formula import entropy_of, expected_cost


class Stats(NamedTuple):
    """What a loss of class logits can tell beside its value, from the same pass.

    Attributes
    ----------
    lse : Tensor, the shape of the targets
        log Σ exp z of each row, differentiable.
    log_prob : Tensor, the shape of the targets
        Log-probability of each row's true class, differentiable. Σ t log p where targets are
        distributions (smoothed ones, if they are), and 0 where the row is ignored. Weights are no
        part of it.
    entropy : Tensor, the shape of the targets
        Entropy of each row's softmax in nats, differentiable.
    argmax : Tensor, the shape of the targets, int64
        The first most probable class.
    accuracy : Tensor, scalar
        Share of the counted rows whose most probable class is the true one.

    Examples
    --------
    >>> import torch
    >>> from xent.losses import cross_entropy
    >>> logits, target = torch.zeros(2, 4), torch.tensor([0, 3])
    >>> loss, stats = cross_entropy(logits, target, stats=True)
    >>> stats.argmax.tolist(), round(stats.accuracy.item(), 2)
    ([0, 0], 0.5)
    """

    lse: Tensor
    log_prob: Tensor
    entropy: Tensor
    argmax: Tensor
    accuracy: Tensor


def stats_need_second_pass(stats: bool, weight: Tensor | None, target: object) -> bool:
    """Say whether the statistics take a pass of their own: weights would change Σ t log p."""
    soft = isinstance(target, Tensor) and target.is_floating_point()
    return stats and weight is not None and soft


def in_two_passes(loss: Any, *tensors: Any, weight: Tensor | None, **others: Any) -> Any:
    """Run a loss for its value, and without the weights for its statistics."""
    return loss(*tensors, weight=weight, **others), loss(*tensors, stats=True, **others)[1]


def stats_of(log_p: Tensor, target: Tensor, o: Options, lse: Tensor | None = None) -> Stats:
    """Statistics of rows of log-probabilities, classes last; ``lse`` is that of their logits."""
    lse = log_p.logsumexp(-1) if lse is None else lse
    entropy = entropy_of(log_p)
    argmax = log_p.argmax(-1)
    plain = o if target.is_floating_point() else o._replace(label_smoothing=0.0)
    log_prob = -expected_cost(-log_p, target, None, plain)[0]
    accuracy = accuracy_of(argmax, target, o.ignore_index).to(log_p.dtype)
    return Stats(lse, log_prob, entropy, argmax, accuracy)


def accuracy_of(argmax: Tensor, target: Tensor, ignore_index: int) -> Tensor:
    """Share of the counted rows whose most probable class is the true one; NaN where none is."""
    if target.is_floating_point():
        kept, true = (target != 0).any(-1), target.argmax(-1)
    else:
        kept, true = target != ignore_index, target
    return ((argmax == true) & kept).sum().to(exact_dtype(kept)) / kept.sum()


def with_row_shape(columns: Sequence[Tensor], shape: tuple[int, ...], accuracy: Tensor) -> Stats:
    """Return log-normaliser, log-probability, entropy and argmax in the shape of the rows."""
    lse, log_prob, entropy, argmax = (column.reshape(shape) for column in columns)
    return Stats(lse, log_prob, entropy, argmax, accuracy.to(lse.dtype))

"""One class is true: cross-entropy of class logits, and of log-probabilities.

Values follow torch.nn.functional wherever torch is right; docs/losses.md lists the rest.
"""

import math
from collections.abc import Collection
from typing import Any

from torch import Tensor

from xent import _check
from xent.losses._arguments import (
    Options,
    check_devices,
    check_gamma,
    check_input,
    check_number,
    check_options,
    check_weight,
    class_axis,
)
from xent.losses._device._chunks import runs_on_device
from xent.losses._device._class import class_loss
from xent.losses._device._elements import values_of_rows
from xent.losses._device._focal import WrittenFocal
from xent.losses._overrides import overridable
from xent.losses._reduction import apply_weight, reduce_loss
from xent.losses._rows._autograd import small_batch_loss, softmax_loss
from xent.losses._rows._formula import (
    at_least_float32,
    cap_and_scale,
    class_costs,
    expected_cost,
    focal,
    weight_of_rows,
    zero_masked_rows,
)
from xent.losses._rows._stats import stats_need_second_pass, stats_of
from xent.losses._rows._targets import check_target_and_weights, one_ignored, validate_target

_DEFAULTS = (0.0, 1.0, 0.0, "zero")


@overridable
def cross_entropy(
    input: Tensor,
    target: Tensor,
    weight: Tensor | None = None,
    size_average: None = None,
    ignore_index: int | Collection[int] = -100,
    reduce: None = None,
    reduction: str = "mean",
    label_smoothing: float = 0.0,
    *,
    token_weight: Tensor | None = None,
    temperature: float = 1.0,
    softcap: float | None = None,
    z_loss: float = 0.0,
    axis: int | None = None,
    empty: str = "zero",
    stats: bool = False,
    inplace_backward: bool = False,
) -> Any:
    """How many nats the true classes take in the code that the logits' softmax describes.

    loss_n = - Σ_c w_c t_nc log softmax(z_n)_c,  z = input, capped and divided by temperature

    Parameters
    ----------
    input : Tensor, shape (C,), (N, C) or (N, C, d1, ...)
        Logits, the C classes along dimension 1 (0 where there is but one).
    target : Tensor, shape (), (N,) or (N, d1, ...) of integers, or the shape of ``input``
        Class indices, or the probability of every class.
    weight : Tensor, shape (C,), optional
        Weight w of each class.
    size_average, reduce : None
        Deprecated positions of torch.
    ignore_index : int, or several
        A class index whose rows are ignored, or some such.
    reduction : {"mean", "sum", "none"}
        The mean is over rows (over their weights, where classes or rows are weighted).
    label_smoothing : float
        Share of the target that is spread evenly over the classes, 0 to 1.
    token_weight : Tensor, the shape of the rows, optional
        Weight of each row.
    temperature, softcap : float
        z = softcap tanh(input / softcap) / temperature.
    z_loss : float
        Adds z_loss (log Σ exp z)², times the row's weight.
    axis : int, optional
        Where the classes are, if elsewhere.
    empty : {"zero", "nan", "raise"}
        What the mean of no row is.
    stats : bool
        Return (loss, Stats): log-normaliser, log-probability, entropy, argmax, accuracy.
    inplace_backward : bool
        Whether backward may write the gradient over ``input``, which is lost then; on an
        accelerator it does.

    Returns
    -------
    Tensor
        In nats, float32 or better; a scalar unless ``reduction="none"``.

    Raises
    ------
    ValueError
        If shapes or devices do not fit, an index is of no class, probabilities do not sum to 1, a
        weight is negative or not finite, or an option is out of range; if no row counts and
        ``empty="raise"``. What tensors hold is looked at on CPU alone.
    TypeError
        If an argument is no tensor, no number or of a dtype that cannot be.

    Examples
    --------
    >>> import torch
    >>> cross_entropy(torch.zeros(1, 4), torch.tensor([2])).item()  # log 4
    1.3862943649291992

    References
    ----------
    Bishop, C. M. (2006). Pattern Recognition and Machine Learning, equation 4.108.
    """
    if (
        weight is None
        and size_average is reduce is axis is None
        and token_weight is None
        and softcap is None
        and stats is inplace_backward is False
        and type(label_smoothing) is type(temperature) is type(z_loss) is float
        and type(reduction) is type(empty) is str
        and (label_smoothing, temperature, z_loss, empty) == _DEFAULTS
        and reduction in ("mean", "sum")
        and type(ignore_index) is int
        and abs(ignore_index) < 2**63
    ):
        loss = small_batch_loss(input, target, Options(reduction, ignore_index))
        if loss is not None:
            return loss
    check_input(input, size_average, reduce)
    target, ignored = one_ignored(target, ignore_index)
    o = check_options(
        reduction,
        ignore_index=ignored,
        label_smoothing=label_smoothing,
        temperature=temperature,
        softcap=softcap,
        z_loss=z_loss,
        empty=empty,
    )
    axis = class_axis(input, axis)
    target = check_target_and_weights(input, target, weight, token_weight, axis, o)
    if type(inplace_backward) is not bool:
        must = "be True or False"
        raise _check.wrong_kind("inplace_backward", must, _check.a(inplace_backward))
    score: Any = softmax_loss
    more: dict[str, bool] = {}
    if runs_on_device(input, target, weight, token_weight):
        score, more = class_loss, {"inplace": inplace_backward}
    if stats_need_second_pass(stats, weight, target):
        loss = score(input, target, weight, token_weight, axis, o, False, **more)
        return loss, score(input, target, None, token_weight, axis, o, True)[1]
    return score(input, target, weight, token_weight, axis, o, stats, **more)


@overridable
def nll_loss(
    input: Tensor,
    target: Tensor,
    weight: Tensor | None = None,
    size_average: None = None,
    ignore_index: int | Collection[int] = -100,
    reduce: None = None,
    reduction: str = "mean",
    *,
    label_smoothing: float = 0.0,
    token_weight: Tensor | None = None,
    axis: int | None = None,
    empty: str = "zero",
    stats: bool = False,
) -> Any:
    """How many nats the true classes take, given every class's log-probability.

    loss_n = - Σ_c w_c t_nc input_nc

    Parameters
    ----------
    input : Tensor, shape (C,), (N, C) or (N, C, d1, ...)
        Log-probabilities, the C classes along dimension 1 (0 where there is but one).
    target : Tensor, shape (), (N,) or (N, d1, ...) of integers, or the shape of ``input``
        Class indices, or the probability of every class.
    weight : Tensor, shape (C,), optional
        Weight w of each class.
    size_average, reduce : None
        Deprecated positions of torch.
    ignore_index : int, or several
        A class index whose rows are ignored, or some such.
    reduction : {"mean", "sum", "none"}
        The mean is over rows (over their weights, where classes or rows are weighted).
    label_smoothing : float
        Share of the target that is spread evenly over the classes, 0 to 1.
    token_weight : Tensor, the shape of the rows, optional
        Weight of each row.
    axis : int, optional
        Where the classes are, if elsewhere.
    empty, stats
        As in `cross_entropy`.

    Returns
    -------
    Tensor
        In nats, float32 or better; a scalar unless ``reduction="none"``.

    Raises
    ------
    ValueError, TypeError
        As in `cross_entropy`.

    Notes
    -----
    A row of weight 0 is left out, even where its log-probability is -inf.

    Examples
    --------
    >>> import torch
    >>> nll_loss(torch.tensor([[-0.5, -1.5]]), torch.tensor([1])).item()
    1.5

    References
    ----------
    Bishop, C. M. (2006). Pattern Recognition and Machine Learning, equation 4.108.
    """
    check_input(input, size_average, reduce)
    target, ignored = one_ignored(target, ignore_index)
    o = check_options(reduction, ignore_index=ignored, label_smoothing=label_smoothing, empty=empty)
    axis = class_axis(input, axis)
    target = check_target_and_weights(input, target, weight, token_weight, axis, o)
    target = validate_target(target, axis, input.shape[axis], o, token_weight)
    log_p = input.movedim(axis, -1)

    def formula(log_p: Tensor, target: Tensor) -> Tensor:
        return expected_cost(-at_least_float32(log_p), target, weight, o)[0]

    if not stats and runs_on_device(input, target, weight, token_weight):
        values = values_of_rows(log_p, formula, target)
        row_weight = weight_of_rows(values, target, weight, o)
    else:
        values, _, row_weight = expected_cost(-at_least_float32(log_p), target, weight, o)
    if token_weight is not None:
        values, row_weight = apply_weight(values, token_weight), row_weight * token_weight
    loss = reduce_loss(values, o.reduction, row_weight.sum(), o.empty)
    return (loss, stats_of(at_least_float32(log_p), target, o)) if stats else loss


@overridable
def focal_loss(
    input: Tensor,
    target: Tensor,
    *,
    gamma: float = 2.0,
    alpha: float | Tensor | None = None,
    weight: Tensor | None = None,
    ignore_index: int | Collection[int] = -100,
    reduction: str = "mean",
    label_smoothing: float = 0.0,
    token_weight: Tensor | None = None,
    temperature: float = 1.0,
    softcap: float | None = None,
    z_loss: float = 0.0,
    axis: int | None = None,
    empty: str = "zero",
    stats: bool = False,
) -> Any:
    """Cross-entropy in which a class counts the less, the surer the model already is of it.

    loss_n = - Σ_c α_c w_c t_nc (1 - p_nc)^γ log p_nc,  p = softmax(input)

    Parameters
    ----------
    input : Tensor, shape (C,), (N, C) or (N, C, d1, ...)
        Logits, the C classes along dimension 1 (0 where there is but one).
    target : Tensor, shape (), (N,) or (N, d1, ...) of integers, or the shape of ``input``
        Class indices, or the probability of every class.
    gamma : float
        How fast an easy row fades; 0 is the cross-entropy.
    alpha, weight : Tensor, shape (C,), optional
        Weights of each class: α leaves the mean one over rows, as in the paper; w divides it. A
        number as ``alpha`` is that of every class.
    ignore_index, label_smoothing, token_weight, temperature, softcap, z_loss, axis, empty, stats
        As in `cross_entropy`.
    reduction : {"mean", "sum", "none"}
        The mean is over the rows that count, or over their weights.

    Returns
    -------
    Tensor
        In nats, float32 or better; a scalar unless ``reduction="none"``.

    Raises
    ------
    ValueError, TypeError
        As in `cross_entropy`; also if ``gamma`` is negative or not finite.

    Examples
    --------
    >>> import torch
    >>> focal_loss(torch.zeros(1, 2), torch.tensor([0]), gamma=1.0).item()  # log(2) / 2
    0.3465735912322998

    References
    ----------
    Lin, T.-Y. et al. (2017). Focal Loss for Dense Object Detection, equation 5.
    """
    check_input(input)
    target, ignored = one_ignored(target, ignore_index)
    o = check_options(
        reduction,
        ignore_index=ignored,
        label_smoothing=label_smoothing,
        temperature=temperature,
        softcap=softcap,
        z_loss=z_loss,
        empty=empty,
    )
    gamma = check_gamma(gamma)
    axis = class_axis(input, axis)
    given = target
    target = check_target_and_weights(input, target, weight, token_weight, axis, o)
    target = validate_target(target, axis, input.shape[axis], o, token_weight)
    if isinstance(alpha, Tensor) and alpha.dim():
        check_weight("alpha", alpha, input.shape[axis : axis + 1], "class")
        check_devices(input, alpha=alpha)
    elif alpha is not None:
        number = check_number("alpha", alpha)
        if not 0 <= number < math.inf:
            raise _check.invalid("alpha", "be non-negative and finite", number)
        alpha = at_least_float32(input).new_full(input.shape[axis : axis + 1], number)
    logits = input.movedim(axis, -1)
    class_weight = weight if alpha is None else alpha
    if alpha is not None and weight is not None:
        real = at_least_float32(input).dtype
        class_weight = alpha.to(real) * weight.to(real)
    on_device = runs_on_device(input, target, class_weight, token_weight)
    many = target.is_floating_point() or label_smoothing or logits.shape[-1] == 1
    if many or (on_device and z_loss):

        def formula(logits: Tensor, target: Tensor, token: Tensor | None) -> Tensor:
            return _focal_costs(logits, target, class_weight, token, gamma, o)

        if on_device:
            run = WrittenFocal(class_weight, gamma, o)
            written = run.values, run.slope
            values = values_of_rows(logits, formula, target, token_weight, written=written)
        else:
            values = formula(logits, target, token_weight)
    else:  # the compiled rows know the one class that counts
        mask, kept = None if token_weight is None else token_weight != 0, target != ignored
        cost = cross_entropy(
            input, given, ignore_index=ignored, reduction="none", temperature=temperature,
            softcap=softcap, axis=axis, token_weight=mask,
        )  # fmt: skip
        target_weight = kept.to(cost.dtype)
        if class_weight is not None:
            target_weight = target_weight * class_weight.to(cost.dtype)[target.where(kept, 0)]
        values = target_weight * focal(cost.where(target_weight != 0, 0.0), gamma)
        if z_loss:
            z = _capped_rows(logits, target, token_weight, o)
            lse = zero_masked_rows(z, target_weight).logsumexp(-1)
            values = values + o.z_loss * target_weight * lse**2
    row_weight = weight_of_rows(values, target, weight, o)
    if token_weight is not None:
        values, row_weight = apply_weight(values, token_weight), row_weight * token_weight
    loss = reduce_loss(values, o.reduction, row_weight.sum(), o.empty)
    if not stats:
        return loss
    z = cap_and_scale(logits, o)
    return loss, stats_of(-class_costs(z), target, o, z.logsumexp(-1))


def _focal_costs(
    logits: Tensor,
    target: Tensor,
    class_weight: Tensor | None,
    token_weight: Tensor | None,
    gamma: float,
    o: Options,
) -> Tensor:
    """Return the focal loss of rows of logits, and its z-loss."""
    z = _capped_rows(logits, target, token_weight, o)
    values, target_weight, _ = expected_cost(class_costs(z), target, class_weight, o, gamma)
    if o.z_loss:
        lse = zero_masked_rows(z, target_weight).logsumexp(-1)
        values = values + o.z_loss * target_weight * lse**2
    return values


def _capped_rows(logits: Tensor, target: Tensor, token_weight: Tensor | None, o: Options) -> Tensor:
    """Return what the softmax sees of rows of logits, zeros where a row does not count."""
    masked = zero_masked_rows(logits, token_weight)
    if not target.is_floating_point():
        masked = zero_masked_rows(masked, target != o.ignore_index)
    return cap_and_scale(masked, o)

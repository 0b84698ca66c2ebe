"""Losses of preferred and other answers, whose logits are never built: DPO, SimPO, ORPO, KTO.

Each formula is its paper's. Hidden states of the answers come as (N, T, D); of pairs the preferred
answers are the first half and theirs the second, in the same order.
"""

from collections.abc import Collection

import torch
from torch import Tensor
from torch.nn import functional

from xent import _check
from xent.losses._arguments import check_number, check_numbers
from xent.losses._heads._answers import (
    answers_under,
    check_column,
    check_not_negative,
    check_positive,
    halves,
    reduce_answers,
)
from xent.losses._overrides import overridable
from xent.losses._rows._formula import binary_values


@overridable
def linear_dpo(
    input: Tensor,
    linear_weight: Tensor,
    target: Tensor,
    reference: Tensor,
    *,
    linear_bias: Tensor | None = None,
    beta: float = 0.1,
    label_smoothing: float = 0.0,
    ignore_index: int | Collection[int] = -100,
    temperature: float = 1.0,
    softcap: float | None = None,
    reduction: str = "mean",
) -> Tensor:
    """How surely a policy prefers the preferred answers, beyond what its reference does.

    loss = -log σ(β [log π(y_w) - log π_ref(y_w) - log π(y_l) + log π_ref(y_l)])

    Parameters
    ----------
    input : Tensor, shape (2N, T, D)
        Hidden states: of N preferred answers y_w, then of the N others y_l.
    linear_weight : Tensor, shape (V, D)
        The head, one row a class.
    target : Tensor, shape (2N, T) of integers
        The tokens; those of prompts and padding are ``ignore_index``.
    reference : Tensor, shape (2N,)
        Log-probabilities of the answers under the reference: `linear_log_prob(...).sum(-1)`.
    linear_bias : Tensor, shape (V,), optional
        Added to the logits.
    beta : float
        β: how dear it is to leave the reference.
    label_smoothing : float
        Share of the pairs that are taken to be the wrong way round, 0 to 1/2.
    ignore_index : int, or several
        A class index whose tokens count for nothing, or some such.
    temperature, softcap : float
        As in `cross_entropy`.
    reduction : {"mean", "sum", "none"}
        Over pairs.

    Returns
    -------
    Tensor
        In nats; a scalar, or (N,) where ``reduction="none"``.

    Raises
    ------
    ValueError, TypeError
        As in `linear_log_prob`; also if the answers are no pairs or an option is out of range.

    Examples
    --------
    >>> x, y = torch.zeros(2, 1, 3), torch.tensor([[0], [1]])
    >>> linear_dpo(x, torch.zeros(4, 3), y, torch.zeros(2)).item()  # log 2
    0.6931471824645996

    References
    ----------
    Rafailov, R. et al. (2023). Direct Preference Optimization, equation 7.
    """
    beta = check_positive("beta", beta)
    smoothing = check_number("label_smoothing", label_smoothing)
    if not 0 <= smoothing <= 0.5:
        raise _check.invalid("label_smoothing", "be between 0 and 1/2", smoothing)
    answers = answers_under(
        input, linear_weight, target, linear_bias, ignore_index, temperature, softcap
    )
    better, worse = halves(answers.gain(reference))
    margin = beta * (better - worse)
    values = -_log_sigmoid(margin)
    if smoothing:
        values = values * (1 - smoothing) - smoothing * _log_sigmoid(-margin)
    return reduce_answers(values, reduction)


@overridable
def linear_simpo(
    input: Tensor,
    linear_weight: Tensor,
    target: Tensor,
    *,
    linear_bias: Tensor | None = None,
    beta: float = 2.0,
    gamma: float = 1.0,
    ignore_index: int | Collection[int] = -100,
    temperature: float = 1.0,
    softcap: float | None = None,
    reduction: str = "mean",
) -> Tensor:
    """How surely a policy prefers the preferred answers by a margin, token for token.

    loss = -log σ(β log π(y_w) / |y_w| - β log π(y_l) / |y_l| - γ)

    Parameters
    ----------
    input, linear_weight, target, linear_bias, ignore_index, temperature, softcap, reduction
        As in `linear_dpo`.
    beta, gamma : float
        The scale β of the mean log-probabilities, and the margin γ.

    Returns
    -------
    Tensor
        In nats; a scalar, or (N,) where ``reduction="none"``.

    Raises
    ------
    ValueError, TypeError
        As in `linear_dpo`.

    Examples
    --------
    >>> x, y = torch.zeros(2, 1, 3), torch.tensor([[0], [1]])
    >>> linear_simpo(x, torch.zeros(4, 3), y, gamma=0.0).item()  # log 2
    0.6931471824645996

    References
    ----------
    Meng, Y. et al. (2024). SimPO: Simple Preference Optimization, equation 6.
    """
    beta, gamma = check_positive("beta", beta), check_not_negative("gamma", gamma)
    answers = answers_under(
        input, linear_weight, target, linear_bias, ignore_index, temperature, softcap
    )
    better, worse = halves(answers.mean())
    return reduce_answers(-_log_sigmoid(beta * (better - worse) - gamma), reduction)


@overridable
def linear_orpo(
    input: Tensor,
    linear_weight: Tensor,
    target: Tensor,
    *,
    linear_bias: Tensor | None = None,
    beta: float = 0.1,
    ignore_index: int | Collection[int] = -100,
    temperature: float = 1.0,
    softcap: float | None = None,
    reduction: str = "mean",
) -> Tensor:
    """How much the preferred answers cost, and how much better than the others' their odds are.

    loss = -log P(y_w) - β log σ(log odds(y_w) - log odds(y_l)),  log P(y) = log π(y) / |y|,
    odds(y) = P(y) / (1 - P(y))

    Parameters
    ----------
    input, linear_weight, target, linear_bias, ignore_index, temperature, softcap, reduction
        As in `linear_dpo`.
    beta : float
        The weight of the odds (λ in the paper).

    Returns
    -------
    Tensor
        In nats; a scalar, or (N,) where ``reduction="none"``.

    Raises
    ------
    ValueError, TypeError
        As in `linear_dpo`.

    Notes
    -----
    The first term is each answer's mean over its own tokens, as in the paper; TRL takes the mean
    over the tokens of all preferred answers together, which weighs long ones more.

    Examples
    --------
    >>> x, y = torch.zeros(2, 1, 3), torch.tensor([[0], [1]])
    >>> linear_orpo(x, torch.zeros(4, 3), y, beta=0.0).item()  # log 4
    1.3862943649291992

    References
    ----------
    Hong, J. et al. (2024). ORPO: Monolithic Preference Optimization, equations 3 to 7.
    """
    beta = check_not_negative("beta", beta)
    answers = answers_under(
        input, linear_weight, target, linear_bias, ignore_index, temperature, softcap
    )
    log_p = answers.mean()
    better, worse = halves(log_p - torch.log(-torch.expm1(log_p)))
    return reduce_answers(-halves(log_p)[0] - beta * _log_sigmoid(better - worse), reduction)


@overridable
def linear_kto(
    input: Tensor,
    linear_weight: Tensor,
    target: Tensor,
    reference: Tensor,
    desirable: Tensor,
    *,
    divergence: float | Tensor = 0.0,
    linear_bias: Tensor | None = None,
    beta: float = 0.1,
    desirable_weight: float = 1.0,
    undesirable_weight: float = 1.0,
    ignore_index: int | Collection[int] = -100,
    temperature: float = 1.0,
    softcap: float | None = None,
    reduction: str = "mean",
) -> Tensor:
    """How far answers that are desired or not lie on the wrong side of a reference point.

    loss = λ_D [1 - σ(β (r - z))] if desired, λ_U [1 - σ(β (z - r))] if not,
    r = log π(y) - log π_ref(y)

    Parameters
    ----------
    input : Tensor, shape (N, T, D)
        Hidden states of the answers.
    linear_weight, target, linear_bias, ignore_index, temperature, softcap
        As in `linear_dpo`, with N answers.
    reference : Tensor, shape (N,)
        Log-probabilities of the answers under the reference.
    desirable : Tensor, shape (N,) of booleans
        Whether an answer is desired.
    divergence : float or scalar Tensor
        z, the divergence from the reference that unrelated answers estimate; below 0 it is 0, and
        no gradient goes through it.
    beta, desirable_weight, undesirable_weight : float
        β, λ_D and λ_U.
    reduction : {"mean", "sum", "none"}
        Over answers.

    Returns
    -------
    Tensor
        0 to the weight of an answer, no unit; a scalar, or (N,) where ``reduction="none"``.

    Raises
    ------
    ValueError, TypeError
        As in `linear_log_prob`; also if an argument does not fit the answers.

    Examples
    --------
    >>> x, y, yes = torch.zeros(1, 1, 3), torch.tensor([[0]]), torch.tensor([True])
    >>> reference = torch.tensor([0.25]).log()
    >>> linear_kto(x, torch.zeros(4, 3), y, reference, yes).item()
    0.5

    References
    ----------
    Ethayarajh, K. et al. (2024). KTO: Model Alignment as Prospect Theoretic Optimization, eq. 8.
    """
    beta = check_positive("beta", beta)
    yes = check_not_negative("desirable_weight", desirable_weight)
    no = check_not_negative("undesirable_weight", undesirable_weight)
    answers = answers_under(
        input, linear_weight, target, linear_bias, ignore_index, temperature, softcap
    )
    gain = answers.gain(reference)
    if not isinstance(desirable, Tensor) or desirable.dtype != torch.bool:
        got = desirable.dtype if isinstance(desirable, Tensor) else _check.a(desirable)
        raise _check.wrong_kind("desirable", "be a tensor of booleans", got)
    check_column("desirable", desirable, gain.shape, gain, "an answer")
    if isinstance(divergence, Tensor):
        check_numbers("divergence", divergence, gain)
        if divergence.dim():
            raise _check.invalid("divergence", "be one number", tuple(divergence.shape))
        point = divergence.detach().to(gain.dtype).clamp_min(0.0)
    else:
        point = gain.new_full((), max(0.0, check_number("divergence", divergence)))
    over = beta * (gain - point)
    values = torch.where(desirable, yes * torch.sigmoid(-over), no * torch.sigmoid(over))
    return reduce_answers(values, reduction)


def _log_sigmoid(x: Tensor) -> Tensor:
    """Return log σ(x); when exporting by its formula, for ONNX Runtime's σ is 0 from -18 on."""
    if torch.compiler.is_exporting():
        return -binary_values(x, torch.ones_like(x), None, None)
    return functional.logsigmoid(x)

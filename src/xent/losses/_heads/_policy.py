"""The loss of a policy whose answers were sampled in groups and judged, without its logits: GRPO.

With the variants that others have made of it: sequence-level ratios (GSPO), means over all tokens
(DAPO), asymmetric clipping, and an entropy bonus.
"""

from collections.abc import Collection

import torch
from torch import Tensor

from xent import _check
from xent.losses._heads._answers import (
    answers_under,
    check_column,
    check_not_negative,
    mean_over_tokens,
    reduce_answers,
)
from xent.losses._overrides import overridable


@overridable
def linear_grpo(
    input: Tensor,
    linear_weight: Tensor,
    target: Tensor,
    advantage: Tensor,
    *,
    old: Tensor | None = None,
    reference: Tensor | None = None,
    linear_bias: Tensor | None = None,
    clip: float | tuple[float, float] = 0.2,
    beta: float = 0.0,
    entropy_bonus: float = 0.0,
    ratio: str = "token",
    mean_over: str = "answers",
    ignore_index: int | Collection[int] = -100,
    temperature: float = 1.0,
    softcap: float | None = None,
    reduction: str = "mean",
) -> Tensor:
    """How much better a policy could make the sampled answers that were judged well.

    loss_t = -min(ρ_t A, clip(ρ_t, 1 - ε, 1 + ε') A) + β [π_ref/π - log(π_ref/π) - 1]_t - c H_t,
    ρ_t = π(y_t) / π_old(y_t)

    Parameters
    ----------
    input : Tensor, shape (N, T, D)
        Hidden states of the answers.
    linear_weight, target, linear_bias, ignore_index, temperature, softcap
        As in `linear_dpo`, with N answers.
    advantage : Tensor, shape (N,)
        A: how much better an answer was judged than its group.
    old : Tensor, shape (N, T), optional
        Log-probabilities of the tokens under the policy that sampled them; its own if not given.
    reference : Tensor, shape (N, T), optional
        Log-probabilities of the tokens under the reference; where ``beta`` is not 0.
    clip : float or (float, float)
        ε, or ε and ε'.
    beta, entropy_bonus : float
        β, the weight of the divergence, and c, that of the entropy H of each token's softmax.
    ratio : {"token", "sequence"}
        Whether ρ is each token's, or the geometric mean of an answer's.
    mean_over : {"answers", "tokens"}
        Each answer's mean over its tokens, then over answers; or over all tokens alike.
    reduction : {"mean", "sum", "none"}
        Over what ``mean_over`` says; ``"none"`` gives each answer's mean, (N,).

    Returns
    -------
    Tensor
        No unit; a scalar unless ``reduction="none"``.

    Raises
    ------
    ValueError, TypeError
        As in `linear_log_prob`; also if an argument does not fit the answers.

    Examples
    --------
    >>> x, y = torch.zeros(2, 1, 3), torch.tensor([[0], [1]])
    >>> linear_grpo(x, torch.zeros(4, 3), y, torch.tensor([1.0, 0.5])).item()
    -0.75

    References
    ----------
    Shao, Z. et al. (2024). DeepSeekMath, equations 3 and 4; Zheng, C. et al. (2025). Group Sequence
    Policy Optimization, equation 5; Yu, Q. et al. (2025). DAPO, equation 8.
    """
    low, high = _check_clip(clip)
    beta = check_not_negative("beta", beta)
    bonus = check_not_negative("entropy_bonus", entropy_bonus)
    _check.option("ratio", ratio, ("token", "sequence"))
    _check.option("mean_over", mean_over, ("answers", "tokens"))
    if (reference is None) != (beta == 0):
        must = "be given where `beta` is not 0, and there alone"
        raise _check.invalid("reference", must, "none" if reference is None else f"beta={beta:g}")
    log_prob, kept, entropy = answers_under(
        input, linear_weight, target, linear_bias, ignore_index, temperature, softcap, bonus != 0
    )
    shape = log_prob.shape
    a = check_column("advantage", advantage, shape[:1], log_prob, "an answer").unsqueeze(-1)
    before = log_prob.detach()
    if old is not None:
        before = check_column("old", old, shape, log_prob, "a token")
    # Of what does not count there may stand anything.
    change = (log_prob - before).where(kept, 0.0)
    if ratio == "sequence":
        change = mean_over_tokens(change, kept).unsqueeze(-1).expand(shape)
    rho = torch.exp(change)
    values = -torch.minimum(rho * a, rho.clamp(1 - low, 1 + high) * a)
    if reference is not None:
        gap = check_column("reference", reference, shape, log_prob, "a token") - log_prob
        gap = gap.where(kept, 0.0)
        values = values + beta * (torch.expm1(gap) - gap)
    if entropy is not None:
        values = values - bonus * entropy
    values = values.where(kept, 0.0)
    if mean_over == "answers" or reduction == "none":
        return reduce_answers(mean_over_tokens(values, kept), reduction)
    total = reduce_answers(values, "sum" if reduction == "mean" else reduction)
    return total / kept.sum().clamp_min(1) if reduction == "mean" else total


def _check_clip(clip: float | tuple[float, float]) -> tuple[float, float]:
    pair = clip if isinstance(clip, tuple) else (clip, clip)
    if len(pair) != 2:
        raise _check.invalid("clip", "be one number or two", f"{len(pair)} numbers")
    low, high = (check_not_negative("clip", part) for part in pair)
    if low > 1:
        raise _check.invalid("clip", "be at most 1 below", low)
    return low, high

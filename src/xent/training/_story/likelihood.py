"""Maximum likelihood, negative log-likelihood, cross-entropy and KL: one loss under four names."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import ArrayLike, NDArray
from sklearn.utils.validation import check_array, check_is_fitted, column_or_1d
from torch import Tensor

from xent import _check, losses
from xent._lang import say
from xent._terminal import fitted, right_in, width_of
from xent.training._classifier import SoftmaxClassifier
from xent.training._fit.targets import numbers_in

LN_10 = math.log(10)


@dataclass(frozen=True, repr=False)
class LikelihoodTable:
    """One loss under four names; `print` it.

    Parameters
    ----------
    likelihood_log10 : float
        The logarithm to base 10 of the product of all true classes' probabilities.
    values : dict of str to float
        In nats a row, under each name.
    entropy : float
        Of the labels given the features, in nats a row: the part that no model can save.
    gradient_norms : dict of str to float
        Of each value, by the weights and biases of the output layer.
    largest_difference : float
        Between two of the four gradients, of any weight.

    Examples
    --------
    >>> from xent.training import SoftmaxClassifier
    >>> X, y = [[0.0], [1.0], [2.0], [3.0]], [0, 0, 1, 1]
    >>> from xent.training import likelihood_table
    >>> table = likelihood_table(SoftmaxClassifier(epochs=1, random_state=0).fit(X, y), X, y)
    >>> list(table.values)
    ['maximum likelihood', 'negative log-likelihood', 'cross-entropy', 'KL divergence + entropy']
    """

    likelihood_log10: float
    values: dict[str, float]
    entropy: float
    gradient_norms: dict[str, float]
    largest_difference: float

    def rows(self) -> list[tuple[str, str, str, str]]:
        """Return the lines of a table: name, formula, value, norm of the gradient."""
        formulas = (
            f"-1/N log L, L = Π p(y|x) = 10^{self.likelihood_log10:.1f}",
            "-1/N Σ log p(y|x)",
            "H(empirical, model)",
            f"D(empirical ‖ model) + H(empirical) = {self._divergence:.6f} + {self.entropy:.6f}",
        )
        return [
            (say(name), formula, f"{value:.6f}", f"{self.gradient_norms[name]:.6f}")
            for formula, (name, value) in zip(formulas, self.values.items(), strict=True)
        ]

    @property
    def _divergence(self) -> float:
        return self.values["KL divergence + entropy"] - self.entropy

    def __repr__(self) -> str:
        return str(self)

    def __str__(self) -> str:
        lines = [("", "", say("nats a row"), say("|gradient|")), *self.rows()]
        widths = [max(width_of(line[k]) for line in lines) for k in range(4)]
        out = [
            "  ".join(
                [fitted(line[0], widths[0]), fitted(line[1], widths[1])]
                + [right_in(cell, width) for cell, width in zip(line[2:], widths[2:], strict=True)]
            )
            for line in lines
        ]
        out.append(say("The gradients differ by at most {most:.1e}.", most=self.largest_difference))
        return "\n".join(out)


def likelihood_table(classifier: SoftmaxClassifier, X: ArrayLike, y: ArrayLike) -> LikelihoodTable:
    """Compute one loss in four ways, each with its own gradient.

    -1/N log Π p(y|x) = -1/N Σ log p(y|x) = H(e, model) = D(e ‖ model) + H(e), e empirical

    Parameters
    ----------
    classifier : SoftmaxClassifier
        Fitted, with a softmax as its link.
    X : array_like, shape (N, D)
        Features. Rows that are equal share one empirical distribution of their labels.
    y : array_like, shape (N,)
        Classes.

    Returns
    -------
    LikelihoodTable
        Four values in nats that differ by rounding alone, and the norms of four gradients.

    Raises
    ------
    ValueError
        If a class is none of the classifier's.

    Examples
    --------
    >>> X, y = [[0.0], [0.0], [1.0], [1.0]], [0, 1, 1, 1]
    >>> table = likelihood_table(SoftmaxClassifier(epochs=1, random_state=0).fit(X, y), X, y)
    >>> round(table.entropy, 4), table.largest_difference < 1e-12
    (0.3466, True)

    References
    ----------
    Bishop, C. M. (2006). Pattern Recognition and Machine Learning, sections 1.6.1 and 4.3.4.
    """
    check_is_fitted(classifier)
    rows = np.asarray(check_array(X, dtype=np.float64))
    labels = column_or_1d(y)
    if len(labels) != len(rows):
        raise _check.invalid("y", f"hold one class a row, {len(rows):,}", len(labels))
    number = torch.from_numpy(numbers_in(classifier.classes_, labels, "y"))
    *hidden, (weight, bias) = zip(classifier.coefs_, classifier.intercepts_, strict=True)
    distinct, place, counts = _distinct(rows)
    for inner, offset in hidden:
        distinct = np.maximum(distinct @ inner.T.astype(np.float64) + offset, 0.0)
    shares = torch.zeros(
        (len(distinct), len(classifier.classes_)), dtype=torch.float64, device="cpu"
    )
    shares.index_put_(
        (torch.from_numpy(place), number),
        torch.ones(1, dtype=torch.float64, device="cpu"),
        accumulate=True,
    )
    shares /= counts[:, None]
    parameters = [
        torch.tensor(a, dtype=torch.float64, device="cpu", requires_grad=True)
        for a in (weight, bias)
    ]
    logits = torch.addmm(parameters[1], torch.from_numpy(distinct), parameters[0].t())
    log_p = torch.log_softmax(logits, dim=1)
    each = log_p[torch.from_numpy(place)]
    log_likelihood = each.gather(1, number[:, None]).sum()
    entropy = float((torch.special.entr(shares).sum(1) * counts).sum() / counts.sum())
    values = {
        "maximum likelihood": -log_likelihood / len(number),
        "negative log-likelihood": losses.nll_loss(each, number),
        "cross-entropy": losses.cross_entropy(logits, shares, token_weight=counts),
        "KL divergence + entropy": entropy
        + losses.kl_div(log_p, shares, reduction="batchmean", axis=1, token_weight=counts),
    }
    gradients = {name: _gradient(value, parameters) for name, value in values.items()}
    first = gradients["maximum likelihood"]
    return LikelihoodTable(
        likelihood_log10=log_likelihood.item() / LN_10,
        values={name: value.item() for name, value in values.items()},
        entropy=entropy,
        gradient_norms={name: float(g.norm()) for name, g in gradients.items()},
        largest_difference=max(float((g - first).abs().max()) for g in gradients.values()),
    )


def _distinct(
    rows: NDArray[np.float64],
) -> tuple[NDArray[np.float64], NDArray[np.int64], Tensor]:
    """Return the rows that differ, which of them each row is, and how often each occurs."""
    found, place, counts = np.unique(rows, axis=0, return_inverse=True, return_counts=True)
    return found, place.reshape(-1), torch.from_numpy(counts.astype(np.float64))


def _gradient(value: Tensor, parameters: list[Tensor]) -> Tensor:
    parts = torch.autograd.grad(value, parameters, retain_graph=True)
    return torch.cat([part.reshape(-1) for part in parts])

"""The convex case solved: one linear layer under cross-entropy with an L2 penalty, in float64.

Truncated Newton steps: each solves for its direction by conjugate gradients, with the Hessian
applied, never built. What makes them few is the preconditioner, the Hessian of each class alone
(p(1 - p) as weights of its rows, those of no weight left out), factored once for several steps. The
direction needs few digits and is found in float32 where that goes well; the objective, its gradient
and the decision to stop are float64. Nocedal and Wright, Numerical Optimization (2006), chapter 7.

Columns are centred and scaled inside, and the penalty with them, so that the objective is the same:
of years, or of seconds since 1970, no digits would be left for what differs between the rows.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from xent import _check
from xent.training._checkpoint import Layer

LARGEST_FACTORS = 2e8  # numbers of all classes' Cholesky factors; beyond, the diagonal alone
FEW_ROUNDS = 8  # of conjugate gradients: more of them cost more than a new preconditioner
MOST_ROUNDS = 200
IDLE_STEPS = 2  # after which that do not lower the loss no further ones will
SILENT = 0.03  # share of the largest weight below which a row is left out of the preconditioner


@dataclass(frozen=True)
class Penalty:
    """How the solver is set.

    Parameters
    ----------
    C : float
        Inverse strength of the penalty, as scikit-learn's; infinite for none.
    tol : float
        The share of the objective that the last step may still gain.
    max_iter : int
        The most Newton steps.
    """

    C: float = 1.0
    tol: float = 1e-8
    max_iter: int = 100


class Problem:
    """Σ_i w_i H(t_i, softmax(x_i W + b)) + λ/2 ‖W‖² and what its Newton steps need.

    Parameters
    ----------
    X : ndarray, shape (N, D)
        Features.
    target : ndarray of int64, shape (N,), or float, shape (N, C)
        Class numbers or probabilities.
    weight : ndarray, shape (N,), optional
        How much a row counts.
    classes : int
        C.
    smoothing : float
        Of the targets.
    penalty : Penalty
        Its C; with two classes the penalty is on their difference, as scikit-learn's is.
    """

    def __init__(
        self,
        X: NDArray[np.generic],
        target: NDArray[np.generic],
        weight: NDArray[np.float64] | None,
        classes: int,
        smoothing: float,
        penalty: Penalty,
    ) -> None:
        rows, features = X.shape
        # A column that is the same in every row keeps weight 0: the intercept does its work.
        self.live = np.flatnonzero((X[:1] != X).any(axis=0))
        self.X = torch.empty((rows, len(self.live) + 1), dtype=torch.float64, device="cpu")
        self.X[:, :-1] = torch.from_numpy(np.asarray(X[:, self.live], dtype=np.float64))
        self.X[:, -1] = 1.0
        self.features = features
        hard = target if target.ndim == 1 else None
        dense = np.eye(classes)[target] if hard is not None else np.asarray(target, dtype=float)
        dense = (1 - smoothing) * dense + smoothing / classes if smoothing else dense
        weights = np.ones(rows) if weight is None else weight
        self.target = torch.from_numpy(dense * weights[:, None])
        self.rows = self.target.sum(dim=1, keepdim=True)
        self.counting = self.rows[:, 0] > 0
        self.total = float(weights.sum())
        strength = 0.0 if math.isinf(penalty.C) else 1 / penalty.C
        strength *= 2 if classes == 2 else 1
        self.centre, self.scale = self._standardise(strength)
        self.penalty = strength / self.scale.square()[:, None]
        self.penalty[-1] = 0.0
        self.free = strength == 0

    def _standardise(self, strength: float) -> tuple[Tensor, Tensor]:
        """Centre and scale the columns but the last, and return by how much: 0 and 1 for it."""
        inner = self.X[:, :-1]
        scale = torch.ones(self.X.shape[1], dtype=torch.float64, device="cpu")
        centre = torch.zeros_like(scale)
        if inner.shape[1]:
            centre[:-1] = (inner / len(inner)).sum(dim=0)  # no sum of large numbers is infinite
            inner -= centre[:-1]
            most = inner.abs().amax(dim=0)
            spread = most * (inner / most).square().mean(dim=0).sqrt()
            # Where hardly a row differs, the penalty outweighs the rows: its share is part of it.
            scale[:-1] = torch.hypot(
                spread, torch.full_like(spread, math.sqrt(strength / self.total))
            )
            inner /= scale[:-1]
        return centre, scale

    def norm(self, gradient: Tensor) -> float:
        """Return the norm of a gradient as it is at the columns that were given."""
        plain = gradient * self.scale[:, None] + self.centre[:, None] * gradient[-1]
        return float(plain.norm())

    def layer(self, W: Tensor) -> list[Layer]:
        """Return the weights and intercepts for the columns that were given."""
        plain = W / self.scale[:, None]
        weight = np.zeros((W.shape[1], self.features))
        weight[:, self.live] = plain[:-1].t().numpy()
        return [(weight, (plain[-1] - self.centre @ plain).numpy().copy())]

    def score(self, W: Tensor) -> tuple[float, Tensor]:
        """Return the objective and the probabilities of the rows.

        Parameters
        ----------
        W : Tensor, shape (D + 1, C)
            Weights, the intercepts last.
        """
        log_probs = torch.log_softmax(self.X @ W, dim=1)
        cost = -(self.target * log_probs).sum() + 0.5 * (self.penalty * W * W).sum()
        return float(cost), log_probs.exp_()

    def gradient(self, W: Tensor, p: Tensor) -> Tensor:
        """Return the objective's gradient, shape (D + 1, C)."""
        return self.X.t() @ (self.rows * p - self.target) + self.penalty * W

    def separated(self, W: Tensor) -> bool:
        """Tell whether every row that counts has its own class ahead: then more of W costs less."""
        z = self.X @ W
        true = self.target > 0
        least = z.where(true, math.inf).amin(dim=1)
        most = z.where(~true, -math.inf).amax(dim=1)
        return bool((least > most)[self.counting].all())

    def recedes(self, step: Tensor) -> bool:
        """Tell whether a step takes from no row and gives to some: then there is no end of it."""
        z = self.X @ step
        true = self.target > 0
        gap = (z.where(true, math.inf).amin(dim=1) - z.where(~true, -math.inf).amax(dim=1))[
            self.counting
        ]
        return bool(gap.max() > 0.1 and gap.min() > -0.01 * float(gap.max()))


class Direction:
    """Newton directions by preconditioned conjugate gradients.

    Parameters
    ----------
    problem : Problem
        What is solved.
    dtype : torch.dtype
        In which the directions are found.
    """

    def __init__(self, problem: Problem, dtype: torch.dtype) -> None:
        self.X, self.dtype = problem.X.to(dtype), dtype
        self.rows, self.penalty = problem.rows.to(dtype), problem.penalty.to(dtype)
        self.factors: Tensor | None = None
        self.diagonal = torch.empty(0, device="cpu")
        self.rounds = MOST_ROUNDS

    def find(self, gradient: Tensor, p: Tensor, accuracy: float) -> Tensor | None:
        """Return about -H⁻¹ g in float64; None where rounding won.

        Parameters
        ----------
        gradient, p : Tensor
            Of the problem, at the point.
        accuracy : float
            Of the direction, in the norm of the preconditioner.
        """
        p = p.to(self.dtype)
        if self.rounds > FEW_ROUNDS:
            self._precondition(p)
        size = float(gradient.norm())
        residual = (-gradient / size).to(self.dtype)
        step = torch.zeros_like(residual)
        towards = found = self._solve(residual)
        start = now = float((residual * found).sum())
        for count in range(1, MOST_ROUNDS + 1):
            bent = self._hessian(towards, p)
            curvature = float((towards * bent).sum())
            if not (curvature > 0 and now > 0):
                break
            step += now / curvature * towards
            residual -= now / curvature * bent
            found = self._solve(residual)
            before, now = now, float((residual * found).sum())
            if now <= accuracy**2 * start:
                self.rounds = count
                return step.double() * size
            towards = found + now / before * towards
        self.rounds = MOST_ROUNDS
        return step.double() * size if self.dtype == torch.float64 else None

    def _hessian(self, V: Tensor, p: Tensor) -> Tensor:
        change = self.X @ V
        change *= p
        change -= p * change.sum(dim=1, keepdim=True)
        change *= self.rows
        return self.X.t() @ change + self.penalty * V

    def _solve(self, R: Tensor) -> Tensor:
        if self.factors is not None:
            found = torch.cholesky_solve(R.t()[:, :, None], self.factors)[:, :, 0].t()
        else:
            found = R / self.diagonal
        # All that a softmax sees sums to 0 over the classes.
        return found - found.mean(dim=1, keepdim=True)

    def _precondition(self, p: Tensor) -> None:
        share = self.rows * p * (1 - p)
        width, classes = self.X.shape[1], p.shape[1]
        if classes * width**2 > LARGEST_FACTORS:
            diagonal = self.X.square().t() @ share + self.penalty
            self.diagonal = diagonal + 1e-6 * diagonal.amax()
            return
        if bool((share.amax(dim=1) == share.amin(dim=1)).all()):  # at the start all are alike
            self.factors = self._factor(share[:, 0]).expand(classes, width, width)
            return
        self.factors = torch.stack([self._factor(column) for column in share.t()])

    def _factor(self, share: Tensor) -> Tensor:
        """Return the Cholesky factor of one class's own Hessian."""
        kept = torch.nonzero(share > SILENT * share.amax())[:, 0]
        part = self.X[kept] * share[kept].sqrt()[:, None]
        matrix = part.t() @ part
        matrix.diagonal().add_(self.penalty[:, 0])
        ridge = 1e-6 * float(matrix.diagonal().amax()) or 1.0
        while True:
            matrix.diagonal().add_(ridge)
            factor: Tensor
            factor, failed = torch.linalg.cholesky_ex(matrix)
            if not int(failed):
                return factor
            ridge *= 10


def solve(problem: Problem, penalty: Penalty, after_step: Callable[..., None]) -> list[Layer]:
    """Find the lowest objective.

    Parameters
    ----------
    problem : Problem
        What is minimised.
    penalty : Penalty
        When to stop.
    after_step : callable
        Is handed the layer after each step, its objective as ``loss`` and the norm of the gradient
        before it as ``norm``, both divided by the sum of the weights.

    Returns
    -------
    list of (weight, bias)
        One layer, in float64.

    Raises
    ------
    ValueError
        If there is no lowest objective: without a penalty, where the classes can be separated.
    """
    W = torch.zeros(
        (problem.X.shape[1], problem.target.shape[1]), dtype=torch.float64, device="cpu"
    )
    unseen = problem.target.sum(dim=0) == 0
    if problem.free and bool(unseen.any()):
        raise _no_optimum("a class that no row has")
    if int((~unseen).sum()) < 2:
        must = "hold rows of two classes at least that weigh more than 0"
        raise _check.invalid("y", must, "rows of one")
    value, p = problem.score(W)
    easy = float(problem.X.abs().amax()) < 1e12
    direction = Direction(problem, torch.float32 if easy else torch.float64)
    gain, steps, idle = math.inf, 0, 0
    while steps < penalty.max_iter and idle < IDLE_STEPS:
        gradient = problem.gradient(W, p)
        if not gradient.any():
            gain = 0.0
            break
        accuracy = min(0.3, math.sqrt(min(gain, 1.0)) if gain < math.inf else 0.3)
        step = direction.find(gradient, p, max(accuracy, 1e-4))
        moved = None if step is None else _line_search(problem, W, value, gradient, step)
        if moved is None or step is None:
            if direction.dtype == torch.float64:
                break
            direction = Direction(problem, torch.float64)
            continue
        steps += 1
        gain = -float((gradient * step).sum()) / value
        idle = 0 if moved[1] < value else idle + 1
        if idle and direction.dtype != torch.float64:
            direction, idle = Direction(problem, torch.float64), 0
        W, value, p = moved
        norm = problem.norm(gradient) / problem.total
        after_step(problem.layer(W), loss=value / problem.total, norm=norm)
        if problem.free and problem.separated(W):
            raise _no_optimum("classes that weights separate without a fault")
        if gain < penalty.tol:
            change = float((problem.X @ step).abs().amax()) if problem.free else 0.0
            if change < 0.1:
                return problem.layer(W)
            if problem.recedes(step):
                raise _no_optimum("rows whose class weights separate from the others")
    if not gain < penalty.tol:
        stopped = f"The solver stopped after {_check.count(steps, 'step')}"
        if steps < penalty.max_iter:
            stopped += f", as the loss no longer falls in floating point: {penalty.tol:g} is finer "
            stopped += f"than it can be told, which is {gain:.1g} of it. Raise tol."
        else:
            stopped += f", the last of which gained {gain:.1g} of the objective: raise max_iter."
        _check.warn(stopped)
    return problem.layer(W)


def _line_search(
    problem: Problem, W: Tensor, value: float, gradient: Tensor, step: Tensor
) -> tuple[Tensor, float, Tensor] | None:
    """Return the point, its objective and probabilities; None where no step goes down."""
    slope = float((gradient * step).sum())
    if not slope < 0:
        return None
    length = 1.0
    while length > 1e-8:
        there = W + length * step
        found, p = problem.score(there)
        # What rounding hides at the end is no reason to stay.
        if found <= value + 1e-4 * length * slope + 1e-14 * abs(value):
            return there, found, p
        length /= 2
    return None


def _no_optimum(because: str) -> ValueError:
    return _check.cannot(
        "The loss has no lowest value without a penalty",
        f"the data hold {because}, and ever larger weights cost ever less",
        "Give a penalty: " + _check.setting("optimizer", "newton:C=1") + ".",
    )

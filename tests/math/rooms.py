"""Promises of the rooms that rest on one rounding: largest errors in ULP, printed as JSON."""

import json

import mpmath
import numpy as np
import torch
from mpmath import mpf

from xent.losses import cross_entropy
from xent.measures import entropy, kl_divergence

mpmath.mp.prec = 200


def error(found, true):
    unit = np.spacing(abs(found))
    return float(abs(mpf(float(found)) - true) / mpf(float(unit)))


def normal(row):
    total = mpmath.fsum(map(mpf, map(float, row)))
    return [mpf(float(v)) / total for v in row]


def of_entropy(row):
    return error(entropy(row), -mpmath.fsum(p * mpmath.log(p) for p in normal(row)))


def of_kl(p, q):
    pairs = zip(normal(p), normal(q), strict=True)
    return error(kl_divergence(p, q), mpmath.fsum(a * mpmath.log(a / b) for a, b in pairs))


def of_loss(logits, target, temperature):
    """Largest error of rows of three classes in float32."""
    found = cross_entropy(logits, target, temperature=temperature, reduction="none").numpy()
    worst = 0.0
    for row, k, value in zip(logits.numpy(), target.numpy(), found, strict=True):
        z = [mpf(float(v)) / mpf(temperature) for v in row]
        true = mpmath.log(mpmath.fsum(mpmath.exp(v - z[k]) for v in z))
        worst = max(worst, error(value, true))
    return worst


def main():
    rng = np.random.default_rng(1)
    third = np.where(np.arange(100) < 33, 1.0, 0.01)
    half = np.where(np.arange(100) % 2 == 0, 1.0, 0.3)
    near = half * (1 + 1e-6 * rng.standard_normal(100))
    logits = torch.from_numpy(rng.normal(size=(300, 3)).astype(np.float32) * 4)
    target = torch.from_numpy(rng.integers(0, 3, 300))
    return {
        "entropy, a third and the rest alike": of_entropy(third / third.sum()),
        "entropy, every other one alike": of_entropy(half / half.sum()),
        "KL, far": of_kl(half / half.sum(), (half / half.sum())[::-1]),
        "KL, near": of_kl(half / half.sum(), near / near.sum()),
        "cross-entropy": of_loss(logits, target, 1.0),
        "cross-entropy at a temperature": of_loss(logits, target, 0.7),
    }


if __name__ == "__main__":
    print(json.dumps(main()))

"""The report of a model's predictions, for every kind of target and of predictions."""

from collections.abc import Callable, Iterator
from itertools import product
from typing import Any

import numpy as np

from xent.evaluation import evaluate

Case = tuple[str, Callable[[], Any]]


def report(*args: Any, **options: Any) -> Any:
    found = evaluate(*args, **options)
    numbers = found.to_dict()
    del numbers["signature"]  # holds versions
    text = str(found).splitlines()[:-1]
    return numbers, found.perplexity, found.confused(), text


def cases() -> Iterator[Case]:
    for n, c, dtype, base in product((1, 9, 500), (2, 3, 12), ("f2", "f4", "f8"), (2, np.e, 10)):
        rng = np.random.default_rng([n, c])
        logits = (rng.standard_normal((n, c)) * 3).astype(dtype)
        target = rng.integers(0, c, n)
        probs = rng.integers(1, 9, (n, c)).astype(float)
        probs = (probs / probs.sum(1, keepdims=True)).astype(dtype)
        names = [f"class {i}" for i in range(c)]
        end = f"{n}x{c} {dtype} base {base:.1f}"
        yield f"logits {end}", lambda t=target, z=logits, b=base: report(t, logits=z, base=b)
        yield f"probs {end}", lambda t=target, p=probs, b=base: report(t, p, base=b)
        yield (
            f"names {end}",
            lambda t=target, p=probs, b=base, k=names: report(
                [k[i] for i in t], p, labels=k, base=b
            ),
        )
        yield f"transposed {end}", lambda t=target, p=probs: report(t, np.asfortranarray(p))
        if c == 2:
            yield f"one logit {end}", lambda t=target, z=logits: report(t, logits=z[:, 1])
            yield f"one probability {end}", lambda t=target, p=probs: report(t, p[:, 1])
    half = [[0.5, 0.5], [1.0, 0.0]]
    yield "impossible", lambda: report([0, 1], half)
    yield "masked", lambda: report([0, 1], logits=[[0.0, -np.inf], [1.0, 2.0]])
    wrong: dict[str, Callable[[], Any]] = {
        "sum": lambda: evaluate([0], [[0.5, 0.6]]),
        "negative": lambda: evaluate([0], [[1.5, -0.5]]),
        "both": lambda: evaluate([0], [[0.5, 0.5]], logits=[[0.0, 1.0]]),
        "neither": lambda: evaluate([0]),
        "target": lambda: evaluate([7, 0], half),
        "names": lambda: evaluate(["a", "b"], half),
        "labels": lambda: evaluate([0, 1], half, labels=["a"]),
        "base": lambda: evaluate([0, 1], half, base=1),
        "rows": lambda: evaluate([0], half),
        "empty": lambda: evaluate([], np.empty((0, 2))),
    }
    yield from ((f"refused {name}", call) for name, call in wrong.items())

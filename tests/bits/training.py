"""Short fits under every loss: parameters, history, predictions; and the comparison of losses."""

from collections.abc import Callable, Iterator
from itertools import product
from typing import Any

import numpy as np

from xent.training import Scaling, SoftmaxClassifier

Case = tuple[str, Callable[[], Any]]


def data(classes: int) -> tuple[np.ndarray, np.ndarray]:
    rng = np.random.default_rng(classes)
    X = rng.integers(0, 17, (150, 6)) / 16
    return X, np.argmax(X[:, :classes] + rng.integers(0, 3, (150, classes)) / 16, 1)


def fitted(classes: int = 3, **options: Any) -> Any:
    X, y = data(classes)
    chosen = {"epochs": 2, "random_state": 0, "progress": False, "device": "cpu"} | options
    model = SoftmaxClassifier(**chosen)
    model.fit(X[:100], y[:100], validation=(X[100:], y[100:]))
    return model.history_, model.predict_proba(X), model.predict_log_proba(X), model.predict(X)


def cases() -> Iterator[Case]:
    # Matrix products belong to the processor's library: see `record.py`.
    names = ("cross_entropy", "binary_cross_entropy", "mse_softmax", "mse_sigmoid")
    for loss, hidden, optimizer, c in product(names, ((), (5,)), ("sgd", "adam"), (2, 3)):
        yield (
            f"head {loss} hidden {len(hidden)} {optimizer} {c}",
            lambda k=loss, h=hidden, o=optimizer, c=c: fitted(c, loss=k, hidden=h, optimizer=o),
        )

    X, y = data(3)
    yield "Scaling", lambda: Scaling.of(X * 3 - 1).apply(X)
    wrong: dict[str, Callable[[], Any]] = {
        "loss": lambda: fitted(loss="hinge"),
        "epochs": lambda: fitted(epochs=0),
        "rate": lambda: fitted(learning_rate=float("nan")),
        "optimizer": lambda: fitted(optimizer="sdg"),
        "rows": lambda: SoftmaxClassifier().fit(X, y[:3]),
        "gaps": lambda: SoftmaxClassifier().fit(np.full((3, 2), np.nan), [0, 1, 2]),
    }
    yield from ((f"refused {name}", call) for name, call in wrong.items())

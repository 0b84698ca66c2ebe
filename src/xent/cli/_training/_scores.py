"""The columns of predictions: p_CLASS, l_CLASS, the prediction; no two of one name."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray


def score_columns(classes: NDArray[Any], log_probs: NDArray[np.float64]) -> dict[str, Any]:
    """Return probabilities, their logarithms and the prediction as columns."""
    import numpy as np

    columns = {f"p_{c}": np.exp(log_probs[:, j]) for j, c in enumerate(classes.tolist())}
    columns |= {f"l_{c}": log_probs[:, j] for j, c in enumerate(classes.tolist())}
    columns["prediction"] = classes[log_probs.argmax(axis=1)]
    return columns


def check_names(argument: str, classes: NDArray[Any], others: Sequence[str]) -> None:
    """Refuse predictions that would have two columns of one name."""
    from xent import _check

    scores = [f"{kind}_{c}" for kind in "pl" for c in classes.tolist()]
    names = [*scores, "prediction", *others]
    if len(set(names)) < len(names):
        twice = next(name for i, name in enumerate(names) if name in names[:i])
        must = "give every column of the predictions a name of its own"
        advice = "Rename the target and train anew."
        raise _check.invalid(argument, must, f"two {twice!r}", advice)

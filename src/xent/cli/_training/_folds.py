"""`xent train --folds`: every row predicted by a model that did not see it."""

from __future__ import annotations

import warnings
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

from xent.cli._training._prepared import Prepared
from xent.cli._training._scores import score_columns
from xent.cli._training._words import train_words

if TYPE_CHECKING:
    from xent.cli._training._prepared import Labelled
    from xent.training import SoftmaxClassifier

FOLD = "fold"  # the column that says which model predicted a row


def out_of_fold(
    rows: Labelled,
    folds: int,
    seed: int,
    learn: Callable[[Labelled], Prepared],
    classifier: SoftmaxClassifier,
    output: Path,
) -> str:
    """Train a model without each fold, write what it says of that fold, and sum it up in a line.

    Parameters
    ----------
    rows : LabelledTable or LabelledImages
        All.
    folds, seed : int
        How many, and how they are drawn.
    learn : callable
        Returns how rows become numbers, learned from some.
    classifier : SoftmaxClassifier
        Whose settings each has.
    output : Path
        Where the predictions go, in the order of the rows.
    """
    import numpy as np
    from sklearn.base import clone

    from xent import _check, _table
    from xent.training._split import fold_of_rows

    with train_words(folds="--folds"):
        fold = fold_of_rows(rows.labels, folds, seed)
    classes = np.unique(rows.labels)
    log_probs = np.empty((len(fold), len(classes)))
    for k in range(folds):
        part, held = rows.rows(fold != k), rows.rows(fold == k)
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # of columns: said once, of all rows
            prepared = learn(part)
        fitted = clone(classifier)
        with train_words():
            fitted.fit(prepared.numbers(part), part.labels, part.weight)
        log_probs[fold == k] = fitted.predict_log_proba(prepared.numbers(held))
    said: dict[str, Any] = {**rows.named(), **score_columns(classes, log_probs)}
    said |= {rows.target: rows.labels, FOLD: fold}
    _table.write(output, said, argument="--out-of-fold")
    nats = -log_probs[np.arange(len(fold)), np.searchsorted(classes, rows.labels)].mean()
    right = (classes[log_probs.argmax(axis=1)] == rows.labels).mean()
    return (
        f"{_check.count(folds, 'fold')}: {nats / np.log(2):.4f} bits a row out of fold, accuracy "
        f"{100 * right:.1f} %: {output}\n"
        f"Evaluate them: xent evaluate {output} --target {rows.target} --log-probs 'l_*'"
    )

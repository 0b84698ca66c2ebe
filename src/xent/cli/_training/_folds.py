"""`xent train --folds`: every row predicted by a model that did not see it."""

from __future__ import annotations

import warnings
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

from xent._terminal import as_typed
from xent.cli._training._rows._labelled import LabelledTable
from xent.cli._training._rows._multilabel import score_labels
from xent.cli._training._rows._prepared import Prepared
from xent.cli._training._scores import score_columns
from xent.cli._training._words import train_words

if TYPE_CHECKING:
    from xent.cli._training._rows._prepared import Labelled
    from xent.training import SoftmaxClassifier

FOLD = "fold"  # the column that says which model predicted a row


def out_of_fold(
    rows: Labelled,
    folds: int,
    seed: int,
    learn: Callable[[Labelled], Prepared],
    classifier: SoftmaxClassifier,
    output: Path,
    made: Callable[..., Any] | None = None,
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
    made : callable, optional
        Makes the network of each, whose features may be fewer.
    """
    import numpy as np
    from sklearn.base import clone

    from xent import _check, _table
    from xent.training import MultilabelClassifier
    from xent.training._fit.record import label_scores
    from xent.training._split import fold_of_rows

    several = rows.several if isinstance(rows, LabelledTable) else None
    with train_words(folds="--folds"):
        fold = fold_of_rows(rows.labels, folds, seed, None if several is None else several.labels)
    classes = np.unique(rows.labels) if several is None else np.array(several.labels)
    scores = np.empty((len(fold), len(classes)))  # log-probabilities, or logits of labels
    for k in range(folds):
        part, held = rows.rows(fold != k), rows.rows(fold == k)
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # of columns: said once, of all rows
            prepared = learn(part)
        fitted, X, X_held = clone(classifier), prepared.numbers(part), prepared.numbers(held)
        if made is not None:
            fitted.set_params(module=made(features=X.shape[1], classes=len(classes)))
        with train_words():
            names = None if several is None else several.labels
            fitted.fit(X, part.labels, part.weight, classes=names)
        several_of = isinstance(fitted, MultilabelClassifier)
        say = fitted.decision_function if several_of else fitted.predict_log_proba
        scores[fold == k] = say(X_held)
    said: dict[str, Any] = dict(rows.named())
    if several is not None:
        said |= score_labels(several, scores)
        said |= {f"y_{name}": rows.labels[:, j].astype(np.int8) for j, name in enumerate(classes)}
        found = label_scores(scores, rows.labels)
        nats, right = found["validation_cross_entropy"], found["validation_accuracy"]
        each, how = "label", "--multilabel --target 'y_*' --logits 'z_*'"
    else:
        said |= {**score_columns(classes, scores), rows.target: rows.labels}
        nats = -scores[np.arange(len(fold)), np.searchsorted(classes, rows.labels)].mean()
        right = float((classes[scores.argmax(axis=1)] == rows.labels).mean())
        each, how = "row", f"--target {as_typed(rows.target)} --log-probs 'l_*'"
    _table.write(output, said | {FOLD: fold}, argument="--out-of-fold")
    shown = as_typed(output)
    return (
        f"{_check.count(folds, 'fold')}: {nats / np.log(2):.4f} bits a {each} out of fold, "
        f"accuracy {100 * right:.1f} %: {shown}\nEvaluate them: xent evaluate {shown} {how}"
    )

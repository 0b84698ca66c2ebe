"""How well scores order the rows of a class before the others. No proper score, and said so.

Hanley and McNeil (1982) for the area under the receiver operating characteristic.
"""

from typing import Any

import numpy as np
from numpy.typing import NDArray

from xent.evaluation._accumulator.scores import MOST_RANKED
from xent.evaluation._arrays import block_of
from xent.evaluation._predictions import Predictions


def scores_of(given: Predictions, rows: NDArray[np.int64]) -> list[NDArray[Any]]:
    """Return what ranks rows, by their numbers, for each class, of two for the second alone."""
    classes, scores = len(given.labels), given.scores
    if not 2 <= classes <= MOST_RANKED:
        return []
    every = len(rows) == len(scores)
    if given.kind == "probs":
        # As they came: dividing rows by their sums would part equals.
        columns = [scores] if scores.ndim == 1 else [scores[:, c] for c in range(classes)]
        chosen = columns[-1:] if classes == 2 else columns
        return [block_of(some if every else some[rows]) for some in chosen]
    logs = np.concatenate([log_probs for _, log_probs in given.log_probs()])
    logs = logs if every else logs[rows]
    # The log odds keep apart what probabilities near 1 do not.
    return [logs[:, 1] - logs[:, 0]] if classes == 2 else list(logs.T)

"""A calibrator that was fitted: applied to new predictions, stored, and read again."""

import os
from collections.abc import Sized
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Self

import numpy as np
from numpy.typing import ArrayLike, NDArray

from xent import _check, _store
from xent.evaluation._calibration.calibrators.isotonic import Stairs
from xent.evaluation._calibration.calibrators.many_stairs import ManyStairs
from xent.evaluation._calibration.calibrators.softmax import Scale
from xent.evaluation._predictions import predictions

FORMAT, VERSION = "xent.calibrator", 1


@dataclass(frozen=True)
class Calibrator:
    """What `calibrate` fitted: it mends predictions of the same model.

    Parameters
    ----------
    method : str
        "temperature", "platt" or "isotonic".
    labels : list
        The classes in the order of the columns.
    map : Scale or ManyStairs
        What is done to log-probabilities.
    rows : int
        How many rows it was fitted on.
    before, after : float
        Mean cost of these rows in nats, without and with it, of all whose true class can be; after
        is never above before.
    impossible : int
        Rows whose true class was given probability 0.

    Notes
    -----
    A probability of 0 stays 0 under "temperature" and "platt".

    Examples
    --------
    >>> from xent.evaluation import calibrate
    >>> mended = calibrate([1, 0, 1, 1], [0.9, 0.8, 0.7, 0.4], method="temperature")
    >>> mended.temperature > 1  # it was too sure of itself
    True
    """

    method: str
    labels: list[Any]
    map: Scale | ManyStairs
    rows: int
    before: float
    after: float
    impossible: int = 0

    @property
    def temperature(self) -> float:
        """What logits are divided by; of a calibrator that does not divide, NaN."""
        return 1 / self.map.slope if isinstance(self.map, Scale) else np.nan

    @property
    def separated(self) -> bool:
        """Whether the best temperature or bias was infinite, so that virtual rows took part."""
        return isinstance(self.map, Scale) and self.map.separated

    def predict_log_proba(
        self,
        probs: ArrayLike | None = None,
        *,
        logits: ArrayLike | None = None,
        log_probs: ArrayLike | None = None,
        normalize: bool = False,
        allow_probabilities: bool = False,
    ) -> NDArray[np.float64]:
        """Mend predictions.

        Parameters
        ----------
        probs, logits, log_probs : array_like, shape (N, C), or (N,) for the second of two classes
            One of them, as `xent.evaluation.evaluate` takes them.
        normalize, allow_probabilities : bool
            As there.

        Returns
        -------
        ndarray of float64, shape (N, C)
            Log-probabilities, in nats; -inf where a class cannot be.

        Raises
        ------
        ValueError, TypeError
            If rows are no distributions over the classes of the calibrator.
        """
        given = next((v for v in (probs, logits, log_probs) if v is not None), ())
        rows = len(given) if isinstance(given, Sized) else 0
        said = predictions(
            [self.labels[0]] * rows, probs, logits, log_probs, labels=self.labels, positive=None,
            sample_weight=None, ignore=None, normalize=normalize,
            allow_probabilities=allow_probabilities,
        )  # fmt: skip
        found = np.empty((rows, len(self.labels)))
        for places, block, _ in said.distributions():
            found[places] = self.map.at(block)
        return found

    def predict_proba(
        self,
        probs: ArrayLike | None = None,
        *,
        logits: ArrayLike | None = None,
        log_probs: ArrayLike | None = None,
        normalize: bool = False,
        allow_probabilities: bool = False,
    ) -> NDArray[np.float64]:
        """Mend predictions; as `predict_log_proba`, and returns probabilities.

        Parameters
        ----------
        probs, logits, log_probs, normalize, allow_probabilities
            As there.

        Returns
        -------
        ndarray of float64, shape (N, C)
            Each row sums to 1.

        Raises
        ------
        ValueError, TypeError
            If rows are no distributions over the classes of the calibrator.
        """
        return np.exp(
            self.predict_log_proba(
                probs, logits=logits, log_probs=log_probs, normalize=normalize,
                allow_probabilities=allow_probabilities,
            )
        )  # fmt: skip

    def save(self, path: str | os.PathLike[str]) -> None:
        """Write the calibrator, whole or not at all.

        Parameters
        ----------
        path : str or PathLike
            Where the file shall stand.

        Raises
        ------
        ValueError
            If the folder does not exist.
        """
        numbers = np.array([self.before, self.after])
        arrays: dict[str, NDArray[Any]] = {"cost": numbers}
        state = {
            "method": self.method,
            "labels": self.labels,
            "rows": self.rows,
            "impossible": self.impossible,
            "separated": self.separated,
            "maps": 0,
        }
        if isinstance(self.map, Scale):
            arrays["slope"] = np.array([self.map.slope])
            if self.map.bias is not None:
                arrays["bias"] = self.map.bias
        else:
            arrays["kept"] = np.array([self.map.kept])
            state["maps"] = len(self.map.stairs)
            for i, steps in enumerate(self.map.stairs):
                arrays[f"map{i}"] = np.stack([steps.log_odds, steps.yes, steps.no])
        _store.save(path, format=FORMAT, version=VERSION, state=state, arrays=arrays)

    @classmethod
    def load(cls, path: str | os.PathLike[str]) -> Self:
        """Read a calibrator that `save` wrote. Nothing in the file is run.

        Parameters
        ----------
        path : str or PathLike
            The file.

        Returns
        -------
        Calibrator

        Raises
        ------
        FileNotFoundError
            If there is no such file.
        ValueError
            If it is no such file, damaged, or written by a newer xent.
        """
        state, arrays = _store.load(path, format=FORMAT, version=VERSION)
        try:
            found = cls._restored(state, arrays)
        except (KeyError, TypeError, ValueError):
            found = None
        if found is None or not found._fits():
            because = "its parts do not fit one another"
            raise _check.cannot(f"{str(Path(path))!r} cannot be read", because)
        return found

    @classmethod
    def _restored(cls, state: dict[str, Any], arrays: dict[str, NDArray[Any]]) -> Self:
        mended: Scale | ManyStairs
        if "slope" in arrays:
            (slope,) = arrays["slope"].tolist()
            mended = Scale(slope, arrays.get("bias"), bool(state["separated"]))
        else:
            (kept,) = arrays["kept"].tolist()
            maps = [Stairs(*arrays[f"map{i}"]) for i in range(state["maps"])]
            mended = ManyStairs(maps, kept)
        before, after = arrays["cost"].tolist()
        count = int(state["rows"]), before, after, int(state["impossible"])
        return cls(str(state["method"]), list(state["labels"]), mended, *count)

    def _fits(self) -> bool:
        """Tell whether the map is one of so many classes."""
        classes = len(self.labels)
        if isinstance(self.map, Scale):
            return self.map.bias is None or self.map.bias.shape == (classes,)
        return len(self.map.stairs) == (1 if classes == 2 else classes)

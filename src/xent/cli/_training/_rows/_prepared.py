"""How rows become numbers, learned from those to train on: a table's encoding, or pixels' scale."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from xent.cli._training._rows._images import LabelledImages, check_shape
from xent.cli._training._rows._labelled import LabelledTable
from xent.cli._training._words import train_words

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from xent.cli._training._rows._multilabel import LabelColumns
    from xent.training import Scaling, SoftmaxClassifier, TableEncoder, TrainedModel

    Labelled = LabelledTable | LabelledImages

LARGEST_PIXEL = 255.0
OWN_LEVELS = 100  # names of one column that have a feature each, where nothing is said


@dataclass(frozen=True)
class Prepared:
    """What was learned.

    Parameters
    ----------
    target : str
        What the classes are called.
    encoder : TableEncoder, optional
        Of a table.
    scaling : Scaling, optional
        Of pixels.
    columns : list of str
        Of a table.
    shape : tuple of int
        Of images.
    """

    target: str
    encoder: TableEncoder | None = None
    scaling: Scaling | None = None
    columns: list[str] = field(default_factory=list)
    shape: tuple[int, ...] = ()

    def numbers(self, rows: Labelled, argument: str = "DATA") -> NDArray[Any]:
        """Return the features of rows, whose refusals name ``argument``."""
        if isinstance(rows, LabelledTable):
            out: NDArray[Any]
            with train_words(X=argument):
                out = self.encoder.transform(rows.features)  # type: ignore[union-attr]
            return out
        check_shape(rows.images, self.shape, argument)
        return self.pixels(rows.images.X)

    def pixels(self, X: NDArray[Any]) -> NDArray[np.float32]:
        """Return images scaled as those to train on were, whatever they are stored as."""
        import numpy as np

        low, high = self.scaling.low, self.scaling.high  # type: ignore[union-attr]
        if X.dtype == np.uint8 and not low.any() and (high == LARGEST_PIXEL).all():
            return np.asarray(np.divide(X, np.float32(LARGEST_PIXEL), dtype=np.float32))
        return self.scaling.apply(X).astype(np.float32)  # type: ignore[union-attr]

    def model(
        self,
        classifier: SoftmaxClassifier,
        several: LabelColumns | None = None,
        module: str = "",
    ) -> TrainedModel:
        """Return a fitted classifier with all that it needs to meet new data."""
        from xent.training import TrainedModel

        listed = several is None or several.listed
        return TrainedModel(
            classifier,
            self.scaling,
            self.columns,
            self.target if several is None or not listed else several.columns[0],
            self.encoder,
            self.shape,
            [] if several is None or listed else several.columns,
            "" if several is None else several.separator,
            module,
        )


def prepare(rows: Labelled, scale: str | None = None, max_levels: int = OWN_LEVELS) -> Prepared:
    """Learn from the rows to train on how they become numbers.

    Parameters
    ----------
    rows : LabelledTable or LabelledImages
        Those to train on alone.
    scale : str, optional
        How the numbers of a table are scaled; by range where all columns are numbers, else
        standardised, where not given.
    max_levels : int
        How many names of one column have a feature of their own.
    """
    import numpy as np
    import pyarrow as pa

    from xent.training import Scaling, TableEncoder

    if isinstance(rows, LabelledTable):
        types = rows.features.schema.types
        numbers = all(pa.types.is_integer(kind) or pa.types.is_floating(kind) for kind in types)
        with train_words():
            scale = scale or ("range" if numbers else "standard")
            encoder = TableEncoder(scale, max_levels).fit(rows.features)
        columns = list(rows.features.column_names)
        return Prepared(rows.target, encoder, columns=columns)
    X = rows.images.X
    if X.dtype == np.uint8:
        width = np.full(X.shape[1], LARGEST_PIXEL)
        scaling = Scaling(np.zeros(X.shape[1]), width)
    else:
        with train_words():
            scaling = Scaling.of(X)
    return Prepared(rows.target, scaling=scaling, shape=rows.images.shape)

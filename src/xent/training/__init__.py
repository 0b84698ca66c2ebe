"""Labelled data in your hand: classifiers trained under a loss you name, losses side by side."""

from xent._optional import need as _need

_need("torch", extra="torch", by="xent.training")
_need("sklearn", extra="tables", by="xent.training")

from xent.training._classifier import SoftmaxClassifier  # noqa: E402
from xent.training._compare import Comparison, compare_losses  # noqa: E402
from xent.training._data import Images, read_images  # noqa: E402
from xent.training._dense import DenseClassifier  # noqa: E402
from xent.training._encoding import TableEncoder  # noqa: E402
from xent.training._export import export_model  # noqa: E402
from xent.training._fit.module import convolutional_network  # noqa: E402
from xent.training._model import Scaling, TrainedModel  # noqa: E402
from xent.training._multilabel import MultilabelClassifier  # noqa: E402
from xent.training._story.fair import (  # noqa: E402
    FairComparison,
    FairResult,
    compare_losses_fairly,
)
from xent.training._story.likelihood import LikelihoodTable, likelihood_table  # noqa: E402
from xent.training._story.slopes import double_softmax_floor, slopes_at  # noqa: E402
from xent.training._stream import ArrayRows, ParquetRows, StreamedRows  # noqa: E402

__all__ = [
    "ArrayRows",
    "Comparison",
    "DenseClassifier",
    "FairComparison",
    "FairResult",
    "Images",
    "LikelihoodTable",
    "MultilabelClassifier",
    "ParquetRows",
    "Scaling",
    "SoftmaxClassifier",
    "StreamedRows",
    "TableEncoder",
    "TrainedModel",
    "compare_losses",
    "compare_losses_fairly",
    "convolutional_network",
    "double_softmax_floor",
    "export_model",
    "likelihood_table",
    "read_images",
    "slopes_at",
]

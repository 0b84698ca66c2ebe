"""Decision trees: ID3, C4.5 and CART, for any table, with probabilities one can use.

Start with `TreeClassifier` or `TreeRegressor`; the presets choose the options of the three books.
"""

from xent._optional import need as _need

for _library in ("sklearn", "pyarrow", "narwhals"):
    _need(_library, extra="tables", by="xent.trees")

from xent.trees._classifier import TreeClassifier  # noqa: E402
from xent.trees._files import from_json, load, save, to_json  # noqa: E402
from xent.trees._presets import C45Classifier, CARTClassifier, CARTRegressor, ID3Classifier  # noqa: E402
from xent.trees._regressor import TreeRegressor  # noqa: E402

__all__ = [
    "C45Classifier",
    "CARTClassifier",
    "CARTRegressor",
    "ID3Classifier",
    "TreeClassifier",
    "TreeRegressor",
    "from_json",
    "load",
    "save",
    "to_json",
]

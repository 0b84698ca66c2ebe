"""Decision trees: ID3, C4.5 and CART, for any table, with probabilities one can use.

Start with `TreeClassifier` or `TreeRegressor`; the presets choose the options of the three books.
"""

from xent.trees._classifier import TreeClassifier
from xent.trees._files import from_json, load, save, to_json
from xent.trees._presets import C45Classifier, CARTClassifier, CARTRegressor, ID3Classifier
from xent.trees._regressor import TreeRegressor

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

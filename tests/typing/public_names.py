"""What a type checker says of the public names: `make check` has mypy read this, nothing runs it."""

from typing import Any, assert_type

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from xent import audit, evaluation, language, losses, measures, training, trees

z, hidden, head = torch.zeros(2, 3), torch.zeros(2, 4), torch.zeros(3, 4)
t = torch.zeros(2, dtype=torch.int64)
p, q = [0.5, 0.5], [0.25, 0.75]
array: NDArray[np.float64] = np.array(p)

# A loss is a Tensor, with statistics a pair.
assert_type(losses.cross_entropy(z, t), Tensor)
assert_type(losses.cross_entropy(z, t, stats=True), tuple[Tensor, losses.Stats])
assert_type(losses.cross_entropy(z, t, stats=True)[1].accuracy, Tensor)
assert_type(losses.cross_entropy(z, t, reduction="none"), Tensor)
assert_type(losses.nll_loss(z, t), Tensor)
assert_type(losses.focal_loss(z, t), Tensor)
assert_type(losses.kl_div(z, z), Tensor)
assert_type(losses.js_div(z, z), Tensor)
assert_type(losses.mse_loss(z, z), Tensor)
assert_type(losses.binary_cross_entropy(z, z), Tensor)
assert_type(losses.binary_cross_entropy_with_logits(z, z), Tensor)
assert_type(losses.linear_cross_entropy(hidden, head, t), Tensor)
assert_type(losses.linear_cross_entropy(hidden, head, t, stats=True), tuple[Tensor, losses.Stats])

# A measure of one distribution is a float, of several an array, of a Tensor a Tensor.
assert_type(measures.entropy(p), float)
assert_type(measures.entropy([p, q]), NDArray[np.float64])
assert_type(measures.entropy([p, q], base=2, axis=-1), NDArray[np.float64])
assert_type(measures.entropy(z), Tensor)
assert_type(measures.entropy(array), Any)  # of as many axes as it has
assert_type(measures.entropy(p, keepdims=True), Any)
assert_type(measures.self_information(p), NDArray[np.float64])
assert_type(measures.cross_entropy(p, q), float)
assert_type(measures.kl_divergence(p, q, base=2), float)
assert_type(measures.kl_divergence([p], [q]), NDArray[np.float64])
assert_type(measures.js_distance(p, q), float)
assert_type(measures.perplexity(p), float)
assert_type(measures.perplexity(p, q), float)
assert_type(measures.mutual_information([p, q]), float)
assert_type(measures.mutual_information([[p, q]]), NDArray[np.float64])
assert_type(measures.estimate_entropy([1, 2, 2]), measures.Estimate)
assert_type(measures.rank_features({"x": [1]}, target="x"), list[measures.FeatureRank])

# Reports and models are what their names say.
assert_type(evaluation.evaluate([0], [[0.5, 0.5]]), evaluation.Report)
assert_type(evaluation.evaluate([0], [[0.5, 0.5]]).cross_entropy, float)
assert_type(evaluation.evaluate([0], [[0.5, 0.5]]).to_text(lang="zh"), str)
assert_type(evaluation.compare([0.5], [0.5], target=[1]), evaluation.ModelComparison)
classifier = training.SoftmaxClassifier()
assert_type(classifier.fit([[0.0], [1.0]], [0, 1]), training.SoftmaxClassifier)
assert_type(classifier.predict_proba([[0.0]]), NDArray[np.float64])
assert_type(trees.C45Classifier().fit([[0.0]], [0]), trees.C45Classifier)
assert_type(trees.C45Classifier().predict_proba([[0.0]]), NDArray[np.float64])
model = language.NGramModel(2, language.WittenBell())
assert_type(model.fit(["a b"]), language.NGramModel)
assert_type(model.evaluate(["a"]), language.Evaluation)
assert_type(audit.audit("train.py"), audit.AuditReport)

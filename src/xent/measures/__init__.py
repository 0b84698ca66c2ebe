"""A distribution in your hand: entropy, cross-entropy and divergence, in nats, bits or bans."""

from xent.measures._divergence import (
    cross_entropy,
    js_distance,
    js_divergence,
    kl_divergence,
    perplexity,
)
from xent.measures._drift import ColumnDrift, drift
from xent.measures._entropy import entropy, gini, self_information
from xent.measures._estimate import Estimate, estimate_entropy, estimate_mutual_information
from xent.measures._gain import (
    gain_ratio,
    information_gain,
    normalized_mutual_information,
    symmetric_uncertainty,
)
from xent.measures._joint import (
    conditional_entropy,
    conditional_mutual_information,
    mutual_information,
    variation_of_information,
)
from xent.measures._measurement import Measurement
from xent.measures._power import (
    f_divergence,
    renyi_divergence,
    renyi_entropy,
    tsallis_entropy,
)
from xent.measures._tables import FeatureRank, rank_features
from xent.measures._views import Counts, Logits, LogProbs

__all__ = [
    "ColumnDrift",
    "Counts",
    "Estimate",
    "FeatureRank",
    "LogProbs",
    "Logits",
    "Measurement",
    "conditional_entropy",
    "conditional_mutual_information",
    "cross_entropy",
    "drift",
    "entropy",
    "estimate_entropy",
    "estimate_mutual_information",
    "f_divergence",
    "gain_ratio",
    "gini",
    "information_gain",
    "js_distance",
    "js_divergence",
    "kl_divergence",
    "mutual_information",
    "normalized_mutual_information",
    "perplexity",
    "rank_features",
    "renyi_divergence",
    "renyi_entropy",
    "self_information",
    "symmetric_uncertainty",
    "tsallis_entropy",
    "variation_of_information",
]

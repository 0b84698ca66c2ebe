"""A distribution in your hand: entropy, cross-entropy and divergence, in nats, bits or bans."""

from importlib import import_module
from typing import TYPE_CHECKING

from xent.measures.densities._measurement import Measurement
from xent.measures.discrete._divergence import (
    cross_entropy,
    js_distance,
    js_divergence,
    kl_divergence,
    perplexity,
)
from xent.measures.discrete._entropy import entropy, gini, self_information
from xent.measures.discrete._gain import (
    gain_ratio,
    information_gain,
    normalized_mutual_information,
    symmetric_uncertainty,
)
from xent.measures.discrete._joint import (
    conditional_entropy,
    conditional_mutual_information,
    mutual_information,
    variation_of_information,
)
from xent.measures.discrete._orders import (
    f_divergence,
    renyi_divergence,
    renyi_entropy,
    tsallis_entropy,
)
from xent.measures.rows._typed_arrays import Counts, Logits, LogProbs

if TYPE_CHECKING:
    from xent.measures.samples._estimate import (
        Estimate,
        estimate_entropy,
        estimate_mutual_information,
    )
    from xent.measures.samples._two_samples import estimate_cross_entropy, estimate_kl_divergence
    from xent.measures.tables._drift import ColumnDrift, drift
    from xent.measures.tables._rank import FeatureRank, rank_features

_LATER = {  # loaded when first named
    "ColumnDrift": "tables._drift",
    "Estimate": "samples._estimate",
    "FeatureRank": "tables._rank",
    "drift": "tables._drift",
    "estimate_cross_entropy": "samples._two_samples",
    "estimate_entropy": "samples._estimate",
    "estimate_kl_divergence": "samples._two_samples",
    "estimate_mutual_information": "samples._estimate",
    "rank_features": "tables._rank",
}

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
    "estimate_cross_entropy",
    "estimate_entropy",
    "estimate_kl_divergence",
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


def __getattr__(name: str) -> object:
    if name not in _LATER:
        raise AttributeError(f"module 'xent.measures' has no attribute {name!r}")
    found = globals()[name] = getattr(import_module(f"xent.measures.{_LATER[name]}"), name)
    return found


def __dir__() -> list[str]:
    return __all__

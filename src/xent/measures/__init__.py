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
    mutual_information,
    variation_of_information,
)
from xent.measures.discrete._orders import (
    f_divergence,
    renyi_divergence,
    renyi_entropy,
    tsallis_entropy,
)
from xent.measures.discrete._several import conditional_mutual_information, total_correlation
from xent.measures.rows._typed_arrays import Counts, Logits, LogProbs

if TYPE_CHECKING:
    from xent.measures.discrete._adjusted import adjusted_mutual_information
    from xent.measures.samples._estimate import estimate_entropy, estimate_mutual_information
    from xent.measures.samples._result import Estimate
    from xent.measures.samples._two_samples import estimate_cross_entropy, estimate_kl_divergence
    from xent.measures.tables._drift import ColumnDrift, drift
    from xent.measures.tables._rank import rank_features
    from xent.measures.tables._rank_column import FeatureRank

_LATER = {  # loaded when first named
    "discrete._adjusted": ("adjusted_mutual_information",),
    "samples._estimate": ("estimate_entropy", "estimate_mutual_information"),
    "samples._result": ("Estimate",),
    "samples._two_samples": ("estimate_cross_entropy", "estimate_kl_divergence"),
    "tables._drift": ("ColumnDrift", "drift"),
    "tables._rank": ("rank_features",),
    "tables._rank_column": ("FeatureRank",),
}

__all__ = [
    "ColumnDrift",
    "Counts",
    "Estimate",
    "FeatureRank",
    "LogProbs",
    "Logits",
    "Measurement",
    "adjusted_mutual_information",
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
    "total_correlation",
    "tsallis_entropy",
    "variation_of_information",
]


def __getattr__(name: str) -> object:
    for file, names in _LATER.items():
        if name in names:
            found = globals()[name] = getattr(import_module(f"xent.measures.{file}"), name)
            return found
    raise AttributeError(f"module 'xent.measures' has no attribute {name!r}")


def __dir__() -> list[str]:
    return __all__

"""A distribution in your hand: entropy, cross-entropy and divergence, in nats, bits or bans."""

from xent.measures._divergence import cross_entropy, js_divergence, kl_divergence, perplexity
from xent.measures._entropy import entropy

__all__ = ["cross_entropy", "entropy", "js_divergence", "kl_divergence", "perplexity"]

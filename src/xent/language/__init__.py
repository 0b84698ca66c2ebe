"""Text in your hand: n-gram models, their perplexity, and filters for corpora."""

from xent.language._evaluation import Evaluation, compare
from xent.language._model import NGramModel, TokenLogProbs
from xent.language.smoothing import (
    AbsoluteDiscounting,
    AddK,
    GoodTuring,
    JelinekMercer,
    Katz,
    KneserNey,
    MaximumLikelihood,
    StupidBackoff,
    WittenBell,
)

__all__ = [
    "AbsoluteDiscounting",
    "AddK",
    "Evaluation",
    "GoodTuring",
    "JelinekMercer",
    "Katz",
    "KneserNey",
    "MaximumLikelihood",
    "NGramModel",
    "StupidBackoff",
    "TokenLogProbs",
    "WittenBell",
    "compare",
]

"""Text in your hand: n-gram models, their perplexity, and filters for corpora."""

from xent.language._compare import compare
from xent.language._corpus import Selection, buckets, select
from xent.language._evaluation import Evaluation
from xent.language._formats.arpa import read_arpa, write_arpa
from xent.language._formats.openfst import write_openfst
from xent.language._mixture import Mixture, mix
from xent.language._model import NGramModel
from xent.language._scorer import TokenLogProbs
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
    "Mixture",
    "NGramModel",
    "Selection",
    "StupidBackoff",
    "TokenLogProbs",
    "WittenBell",
    "buckets",
    "compare",
    "mix",
    "read_arpa",
    "select",
    "write_arpa",
    "write_openfst",
]

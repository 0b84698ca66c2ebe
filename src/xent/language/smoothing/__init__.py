"""The smoothings, one a file; each is an object whose fields are its settings."""

from xent.language.smoothing._absolute_discounting import AbsoluteDiscounting
from xent.language.smoothing._add_k import AddK
from xent.language.smoothing._good_turing import GoodTuring
from xent.language.smoothing._jelinek_mercer import JelinekMercer
from xent.language.smoothing._katz import Katz
from xent.language.smoothing._kneser_ney import KneserNey
from xent.language.smoothing._maximum_likelihood import MaximumLikelihood
from xent.language.smoothing._smoothing import Smoothing
from xent.language.smoothing._stupid_backoff import StupidBackoff
from xent.language.smoothing._witten_bell import WittenBell

__all__ = [
    "AbsoluteDiscounting",
    "AddK",
    "GoodTuring",
    "JelinekMercer",
    "Katz",
    "KneserNey",
    "MaximumLikelihood",
    "Smoothing",
    "StupidBackoff",
    "WittenBell",
]

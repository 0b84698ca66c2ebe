"""Several models on one text, side by side."""

from collections.abc import Mapping
from typing import Any

from xent import _check
from xent.language._evaluation import Evaluation
from xent.language._lines._text import check_rereadable
from xent.language._scorer import Scorer


def compare(
    models: Mapping[str, Scorer], text: Any, *, by: str = "perplexity", spelling: str = "uniform"
) -> dict[str, Evaluation]:
    """Evaluate several models on one text, the best first.

    Perplexities count a model's own events. They can be compared only if all models have the same
    vocabulary and treat unknown words alike; bits per byte always can.

    Parameters
    ----------
    models : mapping of str to NGramModel or Mixture
    text : path, lines, token lists or id arrays
        Not an iterator, as it is read once a model.
    by : str
        ``"perplexity"`` or ``"bits_per_byte"``.
    spelling : str
        What an unknown word costs in bits per byte, as in `NGramModel.evaluate`.

    Returns
    -------
    dict of str to Evaluation
        In the order of the measure asked for.

    Raises
    ------
    ValueError, TypeError
        If perplexities were asked for and the vocabularies differ, or ``text`` is an iterator.
    FileNotFoundError
        If it is a file that does not exist.

    Examples
    --------
    >>> from xent.language import NGramModel, WittenBell
    >>> text = ["a b", "b a", "a a b"]
    >>> models = {str(n): NGramModel(n, WittenBell()).fit(text) for n in (1, 2)}
    >>> list(compare(models, ["a b"]))
    ['2', '1']
    """
    _check.option("by", by, ("perplexity", "bits_per_byte"))
    check_rereadable("text", text)
    if by == "perplexity" and models:
        first_name, first = next(iter(models.items()))
        for name, model in models.items():
            same = model.vocabulary.same_words(first.vocabulary)
            alike = model.unknown == first.unknown or (model.is_closed and first.is_closed)
            if not same or not alike:
                raise _check.cannot(
                    f"Perplexities of {first_name!r} and {name!r} cannot be compared",
                    "their vocabularies differ" if not same else "they treat unknown words apart",
                    "Compare "
                    + _check.setting("by", "bits_per_byte")
                    + ", or fit both with one "
                    + _check.setting("vocabulary")
                    + ".",
                )
    found = {name: model.evaluate(text, spelling=spelling) for name, model in models.items()}
    return dict(sorted(found.items(), key=lambda item: getattr(item[1], by)))

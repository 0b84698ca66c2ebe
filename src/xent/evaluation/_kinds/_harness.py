"""Samples that lm-evaluation-harness wrote (`--log_samples`): a log-likelihood a document.

Each line of its JSONL holds what was asked of the model, what it answered, and pairs of
log-likelihood and length for its own measures. Only rolling log-likelihoods, of whole documents,
are bits of a text; choices and generations are something else, and refused.
"""

import json
import os
from typing import Any

import numpy as np
from numpy.typing import NDArray

from xent import _check
from xent.evaluation._kinds._documents import sizes_of
from xent.evaluation._kinds._token_report import TokenReport
from xent.evaluation._kinds._tokens import summed

PAIRS_OF = {"word": "word_perplexity", "byte": "byte_perplexity"}


def evaluate_harness(
    path: str | os.PathLike[str], *, text: str | None = None, base: float = 2
) -> TokenReport:
    """How many bits a word and a byte a model took in a run of lm-evaluation-harness, per document.

    bits per byte = - Σ_documents log2 p(document) / Σ_documents bytes of its text

    Parameters
    ----------
    path : str or PathLike
        Its ``samples_*.jsonl`` of a task of rolling log-likelihoods, such as wikitext.
    text : str, optional
        Where a sample holds the source text, for example ``"doc.page"``; then words, characters
        and bytes are counted here. Else they are the harness's counts, whose words are one more at
        each blank end of a text.
    base : float
        Base of the logarithm: 2 gives bits.

    Returns
    -------
    TokenReport
        Without tokens, which the samples do not tell. The first token of a document is given what
        the harness puts before it: a start token, or the prefix of the run.

    Raises
    ------
    ValueError
        If the file holds no such samples, or a document twice.

    Examples
    --------
    >>> evaluate_harness("samples_wikitext.jsonl").per("byte")  # doctest: +SKIP
    0.9337

    References
    ----------
    Gao, L. et al. (2024). The Language Model Evaluation Harness. Zenodo.
    """
    return harness_evaluated(path, text=text, base=base)[0]


def harness_evaluated(
    path: str | os.PathLike[str], *, text: str | None, base: float
) -> tuple[TokenReport, dict[str, Any]]:
    """Return the report, and columns of what each document cost."""
    unit = _check.log_of_base(base, "a report")
    names: list[Any] = []
    costs: list[float] = []
    texts: list[str] = []
    lengths: dict[str, list[int]] = {}
    for line, sample in _samples(path):
        where = f"line {line} of {str(path)!r}"
        pairs = {name: sample.get(key) for name, key in PAIRS_OF.items()}
        likelihood = _likelihood(sample, pairs, where)
        if not likelihood <= 0:
            must = "hold log-likelihoods of at most 0"
            raise _check.invalid("path", must, f"{likelihood:g} on {where}")
        names.append(sample.get("doc_id", len(names)))
        costs.append(-likelihood / unit)
        if text is not None:
            texts.append(_text(sample, text, where))
            continue
        for name, pair in pairs.items():
            if isinstance(pair, list) and len(pair) == 2:
                if not (isinstance(pair[1], int) and pair[1] >= 0):
                    must = "hold lengths that are whole numbers"
                    raise _check.invalid("path", must, f"{pair[1]!r} on {where}")
                lengths.setdefault(name, []).append(pair[1])
    if len({str(name) for name in names}) < len(names):
        seen = [str(name) for name in names]
        twice = next(name for name in seen if seen.count(name) > 1)
        must, advice = "hold every doc_id once", "Each filter of the harness has lines of its own."
        raise _check.invalid("path", must, f"{twice!r} twice in {str(path)!r}", advice)
    if not names:
        raise _check.invalid("path", "hold samples", f"none in {str(path)!r}")
    return summed(names, np.array(costs), _lengths(texts, lengths, names), float(base))


def _samples(path: str | os.PathLike[str]) -> Any:
    """Yield the number of each line that is not blank, and what it holds."""
    with open(path, "rb") as file:
        for number, line in enumerate(file, 1):
            if not line.strip():
                continue
            try:
                sample = json.loads(line)
            except (ValueError, RecursionError):
                sample = None
            if not isinstance(sample, dict):
                got = f"line {number} of {str(path)!r}, which is none"
                raise _check.invalid("path", "hold a JSON object a line", got) from None
            yield number, sample


def _likelihood(sample: dict[str, Any], pairs: dict[str, Any], where: str) -> float:
    """Return the log-likelihood of a document, from the harness's pairs or the model's answer."""
    for pair in pairs.values():
        if isinstance(pair, list) and len(pair) == 2 and isinstance(pair[0], int | float):
            return float(pair[0])
    answer = sample.get("filtered_resps", sample.get("resps"))
    while isinstance(answer, list) and len(answer) == 1:
        answer = answer[0]
    try:
        return float(answer)  # type: ignore[arg-type]
    except (TypeError, ValueError):
        must = "hold a rolling log-likelihood a document"
        advice = "Tasks of choices and of generated text have none."
        raise _check.invalid("path", must, f"none on {where}", advice) from None


def _text(sample: dict[str, Any], place: str, where: str) -> str:
    found: Any = sample
    for key in place.split("."):
        found = found.get(key) if isinstance(found, dict) else None
    if not isinstance(found, str):
        has = sample.get("doc")
        keys = [f"doc.{key}" for key in has] if isinstance(has, dict) else list(sample)
        advice = f"It has {_check.join_names(keys, last='and')}."
        raise _check.invalid("text", f"name a text on {where}", repr(place), advice)
    return found


def _lengths(
    texts: list[str], lengths: dict[str, list[int]], names: list[Any]
) -> dict[str, NDArray[np.int64]]:
    if texts:
        return sizes_of(texts, names)
    found = {name: np.array(each) for name, each in lengths.items() if len(each) == len(names)}
    if not found:
        must = "say where a sample holds its source text"
        advice = "The samples have no lengths of their own."
        raise _check.invalid("text", must, "None", advice)
    return found

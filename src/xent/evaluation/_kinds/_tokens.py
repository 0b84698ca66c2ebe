"""Log-probabilities of tokens: bits a token, a word, a character and a byte of the text itself."""

import hashlib
import math
from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from xent import _check
from xent.evaluation._kinds._documents import Documents, documents_of, sizes_of
from xent.evaluation._kinds._means import mean_of, signature, worst
from xent.evaluation._kinds._token_report import (
    FIRST_TOKEN,
    DocumentRow,
    TokenPlace,
    TokenReport,
    TokenUnit,
)
from xent.evaluation._probabilities import check_costs

Numbers = NDArray[np.float64]


def evaluate_tokens(
    log_probs: ArrayLike | Sequence[ArrayLike],
    *,
    texts: Sequence[str] | None = None,
    documents: ArrayLike | None = None,
    mask: ArrayLike | Sequence[ArrayLike] | None = None,
    stride: int | None = None,
    ids: Sequence[Any] | None = None,
    first: str | None = None,
    log_base: float = math.e,
    base: float = 2,
) -> TokenReport:
    """How many bits a language model spends a token, a word, a character, a byte of the text.

    bits per byte = - Σ_tokens log2 p(token) / Σ_documents bytes of its text

    Parameters
    ----------
    log_probs : array_like or sequence of array_like
        Of each token that was seen: one array a document; or, shape (N, T), documents padded to
        one length with ``mask``; or, shape (M,), all tokens in a row with ``documents``. The first
        entry of a document may be missing (None or NaN), as servers send it.
    texts : sequence of str, optional
        The source text of each document, before any tokenizer or clean-up saw it.
    documents : array_like, shape (M,) or (N,), optional
        Which document each token belongs to, or each array (windows of one text), in the order of
        its text.
    mask : array_like of bool, optional
        Of the shape of ``log_probs``: which entries count; padding does not.
    stride : int, optional
        The arrays are overlapping windows of texts, which ``documents`` names. So many tokens lie
        between the beginnings of two windows. What a window shares with the one before it is its
        context, and counts once. Of a document's last window only what is new counts, however long
        it is.
    ids : sequence, optional
        What the documents are called.
    first : {"after_start", "left_out"}, optional
        What the first token was conditioned on, for the record: a start token, or nothing, so that
        it has no probability.
    log_base : float
        Base of ``log_probs``: math.e as nearly all have it, 10 in ARPA's world, 2.
    base : float
        Base of the logarithm in the report: 2 gives bits.

    Returns
    -------
    TokenReport
        Print it.

    Raises
    ------
    ValueError, TypeError
        If a log-probability is above 0, missing but at the start, or shapes do not fit.

    Notes
    -----
    Words are what blanks separate (`str.split`), characters are code points, bytes UTF-8. The
    interval is of the ratio, over documents: one document has none.

    Examples
    --------
    >>> report = evaluate_tokens([[-1.0, -2.0], [-3.0]], texts=["two words", "one"], base=math.e)
    >>> report.per("token"), report.per("word"), report.per("byte")
    (2.0, 2.0, 0.5)

    References
    ----------
    Shannon, C. E. (1951). Prediction and entropy of printed English. Bell System Technical
    Journal 30. Cochran, W. G. (1977). Sampling Techniques, chapter 6: the ratio of two sums.
    """
    found = documents_of(log_probs, documents, mask, ids, stride)
    sizes = None if texts is None else sizes_of(texts, found.names)
    report, _ = tokens_evaluated(found, sizes, first=first, log_base=log_base, base=base)
    return report


def tokens_evaluated(
    found: Documents,
    sizes: dict[str, NDArray[np.int64]] | None,
    *,
    first: str | None,
    log_base: float,
    base: float,
) -> tuple[TokenReport, dict[str, Any]]:
    """Return the report, and columns of what each document cost."""
    if first is not None:
        _check.option("first", first, tuple(FIRST_TOKEN))
    unit = _check.log_of_base(base, "a report")
    if first == "after_start" and found.unscored:
        must = 'be "left_out" where first tokens have no log-probability'
        raise _check.invalid("first", must, repr(first))
    if not (log_base > 1 and math.isfinite(log_base)):
        raise _check.invalid("log_base", "be above 1 and finite", repr(log_base))
    cost = np.abs(found.log_probs)
    check_costs(cost, 0, "log_probs", piece="token")
    cost *= math.log(log_base) / unit
    starts = found.starts
    tokens = np.diff(np.append(starts, len(cost)))
    # A document without a scored token costs nothing, and its text counts.
    spent = np.zeros(len(found.names))
    some = np.flatnonzero(tokens > 0)
    spent[some] = np.add.reduceat(cost, starts[some])
    report, columns = summed(found.names, spent, {"token": tokens} | (sizes or {}), float(base))
    report = replace(
        report,
        first=first,
        unscored=found.unscored,
        padded=found.padded,
        context=found.context,
        impossible=int(np.isinf(cost).sum()),
        places=_places(found, cost),
    )
    return report, columns


def summed(
    names: list[Any], spent: Numbers, units: dict[str, NDArray[np.int64]], base: float
) -> tuple[TokenReport, dict[str, Any]]:
    """Return the report of documents whose costs are known, and columns of what each cost.

    Parameters
    ----------
    names : list
        What the documents are called.
    spent : ndarray of float64
        What each costs, in the unit of the report.
    units : dict of str to ndarray of int64
        How long each is, by what its length is counted in.
    base : float
        Base of the logarithm.
    """
    counted = [
        TokenUnit(name, int(number.sum()), *mean_of(spent, number.astype(np.float64)))
        for name, number in units.items()
    ]
    tokens = units.get("token")
    length = next(units[name] for name in ("byte", "token", *units) if name in units)
    rate = np.nan_to_num(_rate(spent, length), nan=0.0, posinf=math.inf)
    digest = hashlib.sha256(spent.astype("<f8").tobytes())
    for number in units.values():
        digest.update(number.astype("<i8").tobytes())
    report = TokenReport(
        documents=len(names),
        tokens=None if tokens is None else int(tokens.sum()),
        base=base,
        cost=math.fsum(spent),
        units=counted,
        perplexity=math.nan if tokens is None else _power(base, counted[0].cost),
        first=None,
        unscored=0,
        padded=0,
        impossible=int(np.isinf(spent).sum()),
        places=[],
        hardest=[
            DocumentRow(
                names[i],
                None if tokens is None else int(tokens[i]),
                float(spent[i]),
                float(rate[i]),
            )
            for i in worst(rate)
        ],
        signature=signature("tokens", base, [f"{len(names)} documents"], digest.hexdigest()),
    )
    columns = {"document": np.array([str(name) for name in names]), report.unit: spent}
    columns |= {f"{name}s": number for name, number in units.items()}
    columns |= {f"{report.unit}_per_{name}": _rate(spent, number) for name, number in units.items()}
    return report, columns


def _rate(spent: Numbers, number: NDArray[np.int64]) -> Numbers:
    with np.errstate(divide="ignore", invalid="ignore"):
        return np.asarray(spent / number)


def _power(base: float, exponent: float) -> float:
    try:
        return float(base**exponent)
    except OverflowError:
        return math.inf


def _places(found: Documents, cost: Numbers) -> list[TokenPlace]:
    """Return the mean cost of tokens by place: the 1st, the 2nd and 3rd, the next 4, and so on."""
    if not len(cost):
        return []
    part = np.frexp(found.places + 1.0)[1] - 1  # floor(log2(place))
    tokens = np.bincount(part)
    spent = np.bincount(part, cost)
    return [
        TokenPlace(1 << k, (2 << k) - 1, int(n), float(spent[k] / n))
        for k, n in enumerate(tokens.tolist())
        if n
    ]

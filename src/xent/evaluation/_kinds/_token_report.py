"""What `evaluate_tokens` found, as plain data and as one screen of text."""

import math
from dataclasses import asdict, dataclass
from typing import Any

from xent import _check
from xent._lang import say, say_count
from xent._terminal import fitted, left_in, one_line
from xent.evaluation._kinds._means import KindReport, reach
from xent.evaluation._numbers import plain, said_unit

FIRST_TOKEN = {
    "after_start": "given what stands at the start of every text",
    "left_out": "not scored: nothing stands before it",
}


@dataclass(frozen=True)
class TokenUnit:
    """What the documents cost by one way to count their length.

    Parameters
    ----------
    name : str
        "token", "word", "character" or "byte".
    number : int
        How many there are.
    cost, low, high : float
        Cost of one, and its interval over documents.

    Examples
    --------
    >>> import math
    >>> from xent.evaluation import evaluate_tokens
    >>> report = evaluate_tokens([[-1.0, -2.0], [-3.0]], texts=["two words", "one"], base=math.e)
    >>> [(unit.name, unit.cost) for unit in report.units][:2]
    [('token', 2.0), ('word', 2.0)]
    """

    name: str
    number: int
    cost: float
    low: float
    high: float


@dataclass(frozen=True)
class TokenPlace:
    """Tokens that stand in the same part of their documents.

    Parameters
    ----------
    first, last : int
        From which place to which, counted from 1.
    tokens : int
        How many.
    cost : float
        Their mean cost.

    Examples
    --------
    >>> import math
    >>> from xent.evaluation import evaluate_tokens
    >>> report = evaluate_tokens([[-1.0, -2.0], [-3.0]], texts=["two words", "one"], base=math.e)
    >>> [(place.first, place.tokens, place.cost) for place in report.places]
    [(1, 2, 2.0), (2, 1, 2.0)]
    """

    first: int
    last: int
    tokens: int
    cost: float


@dataclass(frozen=True)
class DocumentRow:
    """One of the documents that cost most for their length.

    Parameters
    ----------
    id : object
        What it is called, or its number.
    tokens : int or None
        How many of its tokens were scored; None where that is not known.
    cost : float
        What they cost together.
    rate : float
        The cost of one byte, or of one token where no texts were given.

    Examples
    --------
    >>> import math
    >>> from xent.evaluation import evaluate_tokens
    >>> report = evaluate_tokens([[-1.0, -2.0], [-3.0]], texts=["two words", "one"], base=math.e)
    >>> report.hardest[0].rate
    1.0
    """

    id: Any
    tokens: int | None
    cost: float
    rate: float


@dataclass(frozen=True, repr=False)
class TokenReport(KindReport):
    """What `evaluate_tokens` found; `print` it.

    Parameters
    ----------
    documents, tokens : int, int or None
        How many, and how many tokens of them were scored; None where that is not known.
    base : float
        Base of every logarithm here: 2 for bits.
    cost : float
        What everything costs together.
    units : list of TokenUnit
        Cost of a token and, where texts were given, of a word, a character and a byte.
    perplexity : float
        Of tokens; NaN where they are not known.
    first : str or None
        What was said of the first token of a document.
    unscored : int
        First tokens that have no log-probability.
    padded : int
        Entries that were left out as padding or by ``mask``.
    impossible : int
        Tokens, or documents where tokens are not known, that were given probability 0.
    places : list of TokenPlace
        Tokens by their place in the document, in parts that double.
    hardest : list of DocumentRow
        The documents that cost most for their length.
    signature : str
        Versions, settings and a hash of the data.
    context : int
        Tokens of windows that an earlier window scored: they are conditioned on, and count once.

    Examples
    --------
    >>> import math
    >>> from xent.evaluation import evaluate_tokens
    >>> report = evaluate_tokens([[-1.0, -2.0], [-3.0]], texts=["two words", "one"], base=math.e)
    >>> report.documents, report.per("token"), report.per("byte")
    (2, 2.0, 0.5)
    """

    documents: int
    tokens: int | None
    base: float
    cost: float
    units: list[TokenUnit]
    perplexity: float
    first: str | None
    unscored: int
    padded: int
    impossible: int
    places: list[TokenPlace]
    hardest: list[DocumentRow]
    signature: str
    context: int = 0

    def per(self, name: str) -> float:
        """Return the cost of one token, word, character or byte.

        Parameters
        ----------
        name : str
            Which.

        Returns
        -------
        float
            In the unit of the report.

        Raises
        ------
        ValueError
            If it was not counted, as words are not without texts.
        """
        found = {unit.name: unit.cost for unit in self.units}
        return found[_check.option("name", name, tuple(found))]

    def to_dict(self) -> dict[str, Any]:
        """Return everything as plain lists, numbers and strings, ready for JSON.

        Returns
        -------
        dict
            Keys as the attributes, and ``bits_per_token`` and so on by their names.
        """
        found = asdict(self)
        size = math.log2(self.base)
        for unit in self.units:
            found[f"bits_per_{unit.name}"] = unit.cost * size
        return plain({**found, "unit": self.unit})  # type: ignore[no-any-return]

    def __str__(self) -> str:
        sizes = [say_count(self.documents, "document")]
        if self.tokens is not None:
            sizes.append(say_count(self.tokens, "token"))
        lines = [say(", ").join(sizes), ""]
        for unit in self.units:
            said = "   95 % interval over documents {interval}   ({number})"
            number = say_count(unit.number, unit.name)
            lines.append(
                f"{left_in(self._per(unit.name), 15)} {unit.cost:8.4f}"
                + say(said, interval=reach(unit.low, unit.high), number=number)
            )
        lines += [*self._token_lines(), ""]
        rate = self._per(self._rate())
        lines.append(say("documents that cost most for their length: {rate}", rate=rate))
        for d in self.hardest[:5]:
            tokens = "" if d.tokens is None else f"   ({say_count(d.tokens, 'token')})"
            lines.append(f"  {fitted(one_line(d.id), 24)} {d.rate:8.4f}{tokens}")
        return "\n".join([*lines, "", self.signature])

    def _token_lines(self) -> list[str]:
        """Say what was counted among the tokens, and what they cost by their place."""
        lines = []
        if self.tokens is not None:
            lines += [say("perplexity of tokens {value:.4g}", value=self.perplexity), ""]
        how = say(FIRST_TOKEN[self.first]) if self.first else say("given what was not said")
        lines.append(say("first token of a document: {how}", how=how))
        if self.unscored:
            said = "{tokens} without a log-probability: what they would cost is missing above"
            lines.append(say(said, tokens=say_count(self.unscored, "first token")))
        if self.padded:
            said = "{tokens} of padding left out"
            lines.append(say(said, tokens=say_count(self.padded, "token")))
        if self.context:
            said = "{tokens} of windows conditioned on, not scored again"
            lines.append(say(said, tokens=say_count(self.context, "token")))
        if self.impossible:
            lines.append(say("something had probability 0: infinite cost"))
        if self.documents == 1:
            lines.append(say("one document: how far another would be off cannot be said"))
        if self.places:
            lines += ["", say("place           tokens   {unit} a token", unit=said_unit(self.base))]
        return lines + [
            f"  {left_in(say('{first:,} to {last:,}', first=p.first, last=p.last), 12)} "
            f"{p.tokens:>7,}   {p.cost:.4f}"
            for p in self.places
        ]

    def _per(self, name: str) -> str:
        return say("{unit} a {name}", unit=said_unit(self.base), name=say(name))

    def _rate(self) -> str:
        names = [unit.name for unit in self.units]
        return "byte" if "byte" in names else names[0]

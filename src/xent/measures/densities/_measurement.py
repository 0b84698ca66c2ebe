"""A number with its error: what `entropy` and its kin give for distribution objects.

It stands alone so that the room can show it without loading what finds it.
"""

from typing import Self


class Measurement(float):
    """A number that says how it was found and how far it may be off. It is a float.

    Parameters
    ----------
    value : float
        The number, in the unit of the logarithm's base.
    error : float
        0 for a closed form, which is off by rounding alone. For an integral or a sum an estimate,
        usually far too large, but no proven bound. For a mean over draws or a sample its standard
        error.
    method : str
        "closed form", "quadrature", "sum", "monte carlo" or "sample mean".

    Examples
    --------
    >>> from scipy.stats import norm
    >>> from xent.measures import entropy
    >>> found = entropy(norm(0, 1), base=2)
    >>> round(found, 6), found.method
    (2.047096, 'closed form')
    """

    __slots__ = ("_error", "_method")
    _error: float
    _method: str

    def __new__(cls, value: float, error: float, method: str) -> Self:
        made = super().__new__(cls, value)
        made._error, made._method = float(error), method
        return made

    @property
    def value(self) -> float:
        """The number alone."""
        return float(self)

    @property
    def error(self) -> float:
        """How far the number may be off: an estimate, no proven bound."""
        return self._error

    @property
    def method(self) -> str:
        """How it was found."""
        return self._method

    def __repr__(self) -> str:
        return f"Measurement({float(self)!r}, error={self._error:.2g}, method={self._method!r})"

    def __reduce__(self) -> tuple[type[Self], tuple[float, float, str]]:
        return type(self), (float(self), self._error, self._method)

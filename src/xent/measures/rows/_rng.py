"""Where randomness comes from: a generator or a seed that the caller hands over."""

# Annotations stay text: np.random is loaded by whoever draws, not by the import.
from __future__ import annotations

import numpy as np

from xent import _check


def rng_for(
    rng: np.random.Generator | int | None, argument: str, times: int
) -> tuple[np.random.Generator | None, int]:
    """Return the generator for so many draws, or None for none; refuse a draw without a seed."""
    times = _check.integer(argument, times, least=0)
    if not times:
        if rng is not None:
            advice = "Nothing is drawn here."
            must = "be left out without " + _check.setting(argument)
            raise _check.invalid("rng", must, "one", advice)
        return None, 0
    return generator(rng, argument), times


def generator(rng: object, purpose: str) -> np.random.Generator:
    """Return a generator; refuse to make one without a seed."""
    must = f"be a Generator or an integer of at least 0 for {purpose}"
    if isinstance(rng, bool) or not isinstance(rng, np.random.Generator | int | np.integer):
        raise _check.wrong_kind("rng", must, repr(rng))
    if not isinstance(rng, np.random.Generator) and rng < 0:
        raise _check.invalid("rng", f"be at least 0 for {purpose}", rng)
    return np.random.default_rng(rng)

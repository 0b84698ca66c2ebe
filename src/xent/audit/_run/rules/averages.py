"""X401, X402 and X405 in numbers: what an average shows, and what is right, of a pass that ran."""

from __future__ import annotations

import math
from collections import Counter

from xent.audit._run.sites import Pass, Round, Site

SIZES_TOLD = 3  # different sizes of batches that are told one by one


def quantified(rule: str, site: Site, level: str) -> tuple[bool | None, str]:
    """Say whether an average of a site's losses is wrong, and by how much.

    Returns True, False, or None where the run does not tell.
    """
    if site.name == "backward" or "none" in site.reductions:
        return None, ""
    if rule != "X405" and "sum" in site.reductions and "mean" not in site.reductions:
        return False, ""
    one = _told(site, level)
    if one is None:
        return None, ""
    whole = one.whole
    told = one.told()
    if rule == "X402" and len(one.terms) == 1:
        ragged = one.round.ragged if one.round is not None else 0
        known = one.round is not None and one.round.samples is not None
        if not ragged:
            return (False if whole or known else None), sizes(one.sizes)
        return True, from_loader(one.round)
    if rule == "X401" and one.sizes.keys() == {1}:
        return False, sizes(one.sizes)
    if told is None:
        return True, ""
    one = told
    said = sizes(one.sizes)
    if len(one.sizes) == 1 and len(one.terms) > 1:
        said += f" with {min(one.terms):,} to {max(one.terms):,} targets"
    if not whole:
        return True, said + " so far"
    if any(cell.unread or not math.isfinite(cell.total) for cell in one.cells.values()):
        return True, said
    return True, f"{said}; {_numbers(rule, one)}"


def _told(site: Site, level: str) -> Pass | None:
    """Return the pass that tells most: of evaluation for a warning, a whole and uneven one."""
    passes = [one for one in site.passes if one.grad == (level == "note")] or site.passes
    if not passes:
        return None
    return max(
        enumerate(passes),
        key=lambda at: (at[1].whole, len(at[1].terms) > 1, at[0]),
    )[1]


def from_loader(one: Round | None) -> str:
    """Say how many batches of which sizes a loader gives, whose last is smaller."""
    if one is None or not one.size or one.samples is None:
        return ""
    return sizes(Counter({one.size: one.samples // one.size, one.ragged: 1}))


def sizes(batches: Counter[int]) -> str:
    """Say how many batches of which sizes there were: "78 batches of 128, 1 of 16"."""
    if len(batches) > SIZES_TOLD:
        return f"{batches.total():,} batches of {min(batches):,} to {max(batches):,}"
    parts = [f"{count:,} of {size:,}" for size, count in sorted(batches.items(), reverse=True)]
    first, _, rest = parts[0].partition(" of ")
    word = "batch" if first == "1" else "batches"
    return ", ".join([f"{first} {word} of {rest}", *parts[1:]])


def _numbers(rule: str, one: Pass) -> str:
    cells = one.cells.items()
    total = sum(cell.total for _, cell in cells)
    batches = sum(cell.batches for _, cell in cells)
    samples = sum(size * cell.batches for (size, _), cell in cells)
    terms = sum(count * cell.batches for (_, count), cell in cells)
    right = sum(count * cell.total for (_, count), cell in cells) / max(terms, 1)
    shown = total / (samples if rule == "X401" else batches)
    if rule == "X405":
        shown, right = sum(cell.exponentials for _, cell in cells) / batches, math.exp(right)
    return "shown {}, right {}".format(*apart(shown, right))


def apart(shown: float, right: float) -> tuple[str, str]:
    """Write two numbers with three digits, or as many as tell them apart."""
    for digits in range(3, 8):
        pair = tuple(f"{value:#.{digits}g}".rstrip(".") for value in (shown, right))
        if pair[0] != pair[1]:
            break
    return pair[0], pair[1]

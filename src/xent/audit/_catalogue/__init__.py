"""The catalogue: every rule of `xent audit`, whoever sees it, by its id.

A rule stands in the file of its hundred. Its page in docs/audit/ is what `Rule.page` returns.
"""

from __future__ import annotations

from xent.audit._catalogue import (
    activations,
    averaging,
    divergences,
    modes,
    numerics,
    sequences,
    targets,
    terms,
    tool,
)
from xent.audit._catalogue.rule import LEVELS, Rule

_FAMILIES = (
    tool,
    activations,
    targets,
    divergences,
    averaging,
    sequences,
    numerics,
    modes,
    terms,
)
RULES: dict[str, Rule] = {rule.id: rule for family in _FAMILIES for rule in family.RULES}

__all__ = ["LEVELS", "RULES", "Rule"]

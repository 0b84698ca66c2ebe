"""The catalogue: every rule of `xent audit`, whoever sees it, by its id.

A rule stands in the file of its hundred. Its page in docs/audit/ is what `AuditRule.page` returns.
"""

from __future__ import annotations

from xent.audit._catalogue.activations import ACTIVATIONS_RULES
from xent.audit._catalogue.averaging import AVERAGING_RULES
from xent.audit._catalogue.divergences import DIVERGENCES_RULES
from xent.audit._catalogue.modes import MODES_RULES
from xent.audit._catalogue.numerics import NUMERICS_RULES
from xent.audit._catalogue.rule import FINDING_LEVELS, AuditRule
from xent.audit._catalogue.sequences import SEQUENCES_RULES
from xent.audit._catalogue.targets import TARGETS_RULES
from xent.audit._catalogue.terms import TERMS_RULES
from xent.audit._catalogue.tool import TOOL_RULES

_FAMILIES = (
    TOOL_RULES,
    ACTIVATIONS_RULES,
    TARGETS_RULES,
    DIVERGENCES_RULES,
    AVERAGING_RULES,
    SEQUENCES_RULES,
    NUMERICS_RULES,
    MODES_RULES,
    TERMS_RULES,
)
RULES: dict[str, AuditRule] = {rule.id: rule for family in _FAMILIES for rule in family}

__all__ = ["FINDING_LEVELS", "RULES", "AuditRule"]

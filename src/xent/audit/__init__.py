"""The audit of training scripts: what is wrong with their losses, and the line that is right.

`audit` reads scripts and notebooks and runs nothing; neither PyTorch nor NumPy is imported.
`watch`, `check` and `check_model` look at losses that are computed.
"""

from xent.audit._audit import audit
from xent.audit._config import Config
from xent.audit._finding import Finding
from xent.audit._report import AuditReport
from xent.audit._run.watch import check, check_model, watch

__all__ = ["AuditReport", "Config", "Finding", "audit", "check", "check_model", "watch"]


def __dir__() -> list[str]:
    return __all__

"""The audit of training scripts: what is wrong with their losses, and the line that is right.

`audit` reads scripts and notebooks and runs nothing; neither PyTorch nor NumPy is imported.
"""

from xent.audit._audit import AuditReport, audit
from xent.audit._config import Config
from xent.audit._finding import Finding

__all__ = ["AuditReport", "Config", "Finding", "audit"]


def __dir__() -> list[str]:
    return __all__

"""The fixture `xent_audit`: a test under which the losses are watched fails where one is wrong."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from xent.audit import AuditReport


@pytest.fixture
def xent_audit() -> Iterator[AuditReport]:
    """Watch the losses of a test; it fails if a finding reaches the project's ``fail-on``."""
    pytest.importorskip("torch")
    from pathlib import Path

    from xent.audit import watch
    from xent.audit._config import load

    config = load(Path.cwd())
    with watch(config=config) as report:
        yield report
    if report.reaches(config.fail_on):
        pytest.fail(str(report), pytrace=False)

"""The fixture `xent_audit`: a test under which the losses are watched fails where one is wrong."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import suppress
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from xent.audit import AuditReport


def pytest_addoption(pluginmanager: pytest.PytestPluginManager) -> None:
    """Take xent off the list of modules whose asserts pytest rewrites.

    pytest puts every package of a distribution with an entry point on it
    (`Config._mark_plugins_for_rewrite`), a plugin in a module of its own or not, and then parses
    all of xent anew. This hook is called as soon as the plugin is registered.
    """
    with suppress(AttributeError):  # private: where it is another, the start is slow as before
        hook = pluginmanager.rewrite_hook
        hook._must_rewrite.discard("xent")  # type: ignore[attr-defined]
        hook._marked_for_rewrite_cache.clear()  # type: ignore[attr-defined]


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

"""Tests that need a library or a program are skipped where it is absent, and say which.

At the root, for the examples in src/ as well; all other settings of tests are in tests/conftest.py.
"""

import re
from importlib.util import find_spec

import pytest

EXTRAS = {
    "torch": "PyTorch", "jax": "JAX", "altair": "Altair", "vl_convert": "vl-convert",
    "jinja2": "Jinja", "distributed": "Dask", "pyarrow": "pyarrow", "narwhals": "narwhals",
    "sklearn": "scikit-learn", "pandas": "pandas", "polars": "polars",
    "torchmetrics": "torchmetrics", "triton": "triton",
}  # fmt: skip
ABSENT = {name: title for name, title in EXTRAS.items() if find_spec(name) is None}


def wanted(error):
    """Name the absent library for want of which something was not imported, if it is one."""
    if not isinstance(error, ImportError):
        return None
    root = (error.name or "").partition(".")[0]
    named = [name for name, title in ABSENT.items() if root == name or title in str(error)]
    return named[0] if named else None


@pytest.hookimpl(wrapper=True)
def pytest_make_collect_report(collector):
    """Skip a file of tests that needs an absent library, and say which."""
    report = yield
    if ABSENT and report.outcome == "failed" and (call := getattr(report, "call", None)):
        error = call.excinfo.value
        while error is not None:
            if name := wanted(error):
                report.outcome = "skipped"
                report.longrepr = (str(collector.path), 0, f"Skipped: needs {name}")
                break
            error = error.__cause__ or error.__context__
    return report


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(item, call):
    """Skip a test that meets one on its way."""
    report = yield
    if (
        ABSENT
        and report.outcome == "failed"
        and call.excinfo
        and (name := wanted(call.excinfo.value))
    ):
        report.outcome = "skipped"
        report.longrepr = (str(item.path), item.location[1] or 0, f"Skipped: needs {name}")
    return report


# Programs beside which xent is held: what a skipped test says of each.
PROGRAMS = {
    "R": r"\bR (is not installed|has no rpart)",
    "Weka's package": "weka package",
    "KenLM": "(?i)kenlm",
    "Chromium": "Chromium",
}


def pytest_terminal_summary(terminalreporter):
    """Say in one line how many tests were skipped for want of which program."""
    said = [str(report.longrepr[-1]) for report in terminalreporter.stats.get("skipped", ())]
    absent = {
        name: sum(bool(re.search(of, text)) for text in said) for name, of in PROGRAMS.items()
    }
    found = [f"{name} {number}" for name, number in absent.items() if number]
    if found:
        terminalreporter.write_line(
            f"Skipped for want of: {', '.join(found)}. What R and Weka print is recorded, so xent "
            "is compared with it everywhere."
        )

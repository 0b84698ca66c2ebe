"""`make test-oldest` installs the lowest versions that pyproject.toml names, and no others."""

import re
import tomllib
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
REQUIREMENT = re.compile(r"([\w.-]+)(?:\[[\w,]+\])?>=([\w.]+)")


def lowest() -> dict[str, str]:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    named = [*project["dependencies"]]
    for extra in project["optional-dependencies"].values():
        named += extra
    found = [REQUIREMENT.match(line) for line in named if not line.startswith("xent[")]
    assert all(found), "each has a lower bound"
    return {match[1].lower(): match[2] for match in found if match}


def installed() -> dict[str, str]:
    lines = (ROOT / "constraints-oldest.txt").read_text().splitlines()
    pairs = [line.split("==") for line in lines if line and not line.startswith("#")]
    return {name.lower(): version for name, version in pairs}


@pytest.mark.parametrize("name", sorted(lowest()))
def test_the_lowest_version_is_the_one_that_is_tested(name):
    if name == "torch":
        pytest.skip("tested with the one build that constraints.txt names")
    there, named = installed()[name].split("."), lowest()[name].split(".")
    assert there[: len(named)] == named
    assert set(there[len(named) :]) <= {"0"}

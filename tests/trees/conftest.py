import json
from pathlib import Path

import pytest

GOLDEN = Path(__file__).parents[1] / "golden"


@pytest.fixture(scope="session")
def weka():
    return json.loads((GOLDEN / "weka_j48.json").read_text())["data"]


@pytest.fixture(scope="session")
def rpart():
    return json.loads((GOLDEN / "rpart_kyphosis.json").read_text())


def arff(path):
    """Read the ARFF files of the weka package: columns of levels and values."""
    import re

    columns, rows, body = [], [], False
    for line in path.read_text(errors="replace").splitlines():
        line = line.strip()
        if not line or line.startswith("%"):
            continue
        if body:
            rows.append([v.strip().strip("'\"").strip() for v in line.split(",")])
        elif line.lower().startswith("@data"):
            body = True
        elif line.lower().startswith("@attribute"):
            name, what = re.match(
                r"@attribute\s+('[^']*'|\"[^\"]*\"|\S+)\s*(.*)$", line, re.IGNORECASE
            ).groups()
            levels = None
            if what.startswith("{"):
                inside = what[1 : what.rindex("}")].split(",")
                levels = [v.strip().strip("'\"").strip() for v in inside]
            columns.append({"name": name.strip("'\""), "levels": levels, "values": []})
    for row in rows:
        for column, value in zip(columns, row, strict=True):
            known = value if column["levels"] else None if value == "?" else float(value)
            column["values"].append(None if value == "?" else known)
    return columns

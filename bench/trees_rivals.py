"""Decision trees side by side: ours, scikit-learn, rpart (R), J48 (Weka) and C5.0 (c50py).

Every program gets the same tables and the same five folds, with its defaults. What is not installed
is left out with a line that says so: `Rscript` with the package rpart (Debian: r-cran-rpart), weka
(Debian: weka), c50py (pip). Names go to scikit-learn as one-hot columns, to all others as they are.
"""

import math
import os
import re
import shutil
import subprocess
import tempfile
import time
import warnings
from collections.abc import Callable, Iterator
from functools import partial
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from bench.ratio import machine, pretty
from bench.trees import data_sets, numeric, theirs

WEKA = Path("/usr/share/java/weka.jar")
EXAMPLES = Path("/usr/share/doc/weka/examples")
R_SCRIPT = """
library(rpart)
spec <- read.csv(file.path(commandArgs(TRUE)[1], "spec.csv"), stringsAsFactors = FALSE)
for (i in seq_len(nrow(spec))) {
  levels <- strsplit(readLines(spec$levels[i]), "\\t")
  read <- function(path) {
    d <- read.csv(path, stringsAsFactors = FALSE)
    for (j in seq_along(d)) if (length(levels[[j]])) d[[j]] <- factor(d[[j]], levels[[j]])
    d
  }
  train <- read(spec$train[i]); test <- read(spec$test[i])
  took <- min(sapply(seq_len(spec$times[i]), function(k)
    system.time(fit <<- rpart(y ~ ., train, method = "class"))[["elapsed"]]))
  write.csv(predict(fit, test, type = "prob"), spec$out[i], row.names = FALSE)
  cat(sum(fit$frame$var == "<leaf>"), took, "\\n")
}
"""
Table = tuple[pd.DataFrame, np.ndarray]
Said = tuple[np.ndarray, int, float]  # probabilities of the test rows, leaves, seconds of the fit


def tables() -> Iterator[tuple[str, pd.DataFrame, np.ndarray]]:
    """Yield the data sets of `bench.trees`, and those that the weka package brings."""
    from scipy.io import arff

    yield from data_sets()
    for name in ("credit-g", "ionosphere", "segment-challenge"):
        if (EXAMPLES / f"{name}.arff").exists():
            rows, meta = arff.loadarff(EXAMPLES / f"{name}.arff")
            frame = pd.DataFrame(rows)
            for column in frame.columns:
                if meta[column][0] == "nominal":
                    words = frame[column].str.decode("utf8").replace("?", None)
                    frame[column] = pd.Categorical(words, meta[column][1])
            yield f"{name} (weka)", frame.iloc[:, :-1], frame.iloc[:, -1].astype(str).to_numpy()


def in_python(tree: Any, train: Table, test: Table, times: int) -> Said:
    """Fit an estimator of ours, scikit-learn's or c50py's."""
    took = math.inf
    for _ in range(times):
        start = time.perf_counter()
        tree.fit(*train)
        took = min(took, time.perf_counter() - start)
    inner = tree[-1] if hasattr(tree, "steps") else tree
    count: Callable[[], int] | None = getattr(inner, "get_n_leaves", None)
    leaves = count() if count else leaves_of(inner.tree_)
    said = np.zeros((len(test[1]), len(np.unique(np.append(train[1], test[1])))))
    places = np.searchsorted(np.unique(np.append(train[1], test[1])), tree.classes_)
    said[:, places] = tree.predict_proba(test[0])
    return said, leaves, took


def leaves_of(node: Any) -> int:
    """Leaves of a tree of c50py's."""
    children = getattr(node, "children", None)
    if isinstance(children, dict):
        children = list(children.values())
    found = children or [c for c in (getattr(node, k, None) for k in ("left", "right")) if c]
    return sum(leaves_of(c) for c in found) if found else 1


def write_csv(table: Table, classes: list[str], path: Path) -> list[str]:
    """Write a table for R; return the levels of every column, tab by tab, empty for numbers."""
    X, y = table
    frame = X.copy()
    frame.columns = [f"x{j}" for j in range(X.shape[1])]
    frame["y"] = y
    frame.to_csv(path, index=False)
    levels = [
        "\t".join(map(str, X.dtypes.iloc[j].categories)) if is_name(X, j) else ""
        for j in range(X.shape[1])
    ]
    return [*levels, "\t".join(classes)]


def is_name(X: pd.DataFrame, j: int) -> bool:
    """Whether a column holds names."""
    return isinstance(X.dtypes.iloc[j], pd.CategoricalDtype)


def rpart(work: list[tuple[Table, Table, int]]) -> list[Said]:
    """Fit and predict all tables in one process of R."""
    with tempfile.TemporaryDirectory() as folder:
        here, spec = Path(folder), []
        for i, (train, test, times) in enumerate(work):
            classes = np.unique(np.append(train[1], test[1])).tolist()
            levels = write_csv(train, classes, here / f"{i}.train")
            write_csv(test, classes, here / f"{i}.test")
            (here / f"{i}.levels").write_text("\n".join(levels) + "\n")
            row = {name: str(here / f"{i}.{name}") for name in ("train", "test", "levels", "out")}
            spec.append({**row, "times": times})
        pd.DataFrame(spec).to_csv(here / "spec.csv", index=False)
        (here / "fit.R").write_text(R_SCRIPT)
        done = subprocess.run(
            ["Rscript", str(here / "fit.R"), folder], capture_output=True, text=True, check=True
        )
        out = []
        for i, line in enumerate(done.stdout.strip().split("\n")):
            leaves, took = line.split()
            said = pd.read_csv(here / f"{i}.out").to_numpy()
            out.append((said, int(leaves), float(took)))
        return out


def write_arff(table: Table, classes: list[str], path: Path) -> None:
    """Write a table for weka."""
    X, y = table
    lines = ["@relation t"]
    columns = []
    for j in range(X.shape[1]):
        if is_name(X, j):
            known = X.dtypes.iloc[j].categories
            lines.append(f"@attribute x{j} {{{','.join(f'v{i}' for i in range(len(known)))}}}")
            codes = X.iloc[:, j].cat.codes
            columns.append(["?" if c < 0 else f"v{c}" for c in codes])
        else:
            lines.append(f"@attribute x{j} numeric")
            columns.append(["?" if v != v else repr(float(v)) for v in X.iloc[:, j]])
    lines.append(f"@attribute class {{{','.join(f'c{i}' for i in range(len(classes)))}}}")
    columns.append([f"c{classes.index(c)}" for c in y.tolist()])
    rows = [",".join(row) for row in zip(*columns, strict=True)]
    path.write_text("\n".join([*lines, "@data", *rows]) + "\n")


def j48(work: list[tuple[Table, Table, int]]) -> list[Said]:
    """Fit and predict each table in a process of weka.

    Leaves and time are those of the first table, as J48 prints them in a process of its own.
    """
    out: list[Said] = []
    for train, test, _ in work:
        classes = np.unique(np.append(train[1], test[1])).tolist()
        with tempfile.TemporaryDirectory() as folder:
            a, b, c = (str(Path(folder) / name) for name in ("a.arff", "b.arff", "c.arff"))
            write_arff(train, classes, Path(a))
            write_arff(test, classes, Path(b))
            java = ["java", "-Xss64m", "-cp", str(WEKA)]
            name = "weka.classifiers.trees.J48"
            asked = [*java, "weka.filters.supervised.attribute.AddClassification", "-distribution"]
            asked += ["-W", name, "-c", "last", "-b", "-i", a, "-o", os.devnull, "-r", b, "-s", c]
            subprocess.run(asked, capture_output=True, text=True, check=True)
            rows = Path(c).read_text().split("@data\n")[1].strip().split("\n")
            said = np.array([[float(v) for v in r.split(",")[-len(classes) :]] for r in rows])
            if out:
                out.append((said, *out[0][1:]))
                continue
            shown = subprocess.run(
                [*java, name, "-t", a, "-no-cv"], capture_output=True, text=True, check=True
            ).stdout
        leaves = int(re.findall(r"Number of Leaves\s*:\s*(\d+)", shown)[0])
        took = float(re.findall(r"Time taken to build model: ([\d.]+)", shown)[0])
        out.append((said, leaves, took))
    return out


def programs() -> dict[str, Callable[[list[tuple[Table, Table, int]]], list[Said]] | str]:
    """Return what is compared, and why some of it is not."""
    from sklearn.compose import make_column_selector, make_column_transformer
    from sklearn.pipeline import make_pipeline
    from sklearn.preprocessing import OneHotEncoder

    from xent.trees import C45Classifier, CARTClassifier, TreeClassifier

    def each(make: Callable[[], Any]) -> Callable[[list[tuple[Table, Table, int]]], list[Said]]:
        return lambda work: [in_python(make(), *task) for task in work]

    def sklearn() -> Any:
        names = make_column_selector(dtype_include="category")
        hot = (OneHotEncoder(handle_unknown="ignore"), names)
        tree = theirs().set_params(criterion="gini")
        return make_pipeline(make_column_transformer(hot, remainder="passthrough"), tree)

    found: dict[str, Any] = {
        "TreeClassifier": each(TreeClassifier),
        "C45Classifier": each(C45Classifier),
        "CARTClassifier": each(CARTClassifier),
        "scikit-learn": each(sklearn),
    }
    has_r = (
        shutil.which("Rscript")
        and not subprocess.run(
            ["Rscript", "-e", "library(rpart)"], capture_output=True, check=False
        ).returncode
    )
    found["rpart"] = rpart if has_r else "R with rpart is not installed"
    found["J48"] = j48 if shutil.which("java") and WEKA.exists() else "weka is not installed"
    if find_spec("c50py"):
        from c50py import C5Classifier

        found["C5.0 (c50py)"] = each(partial(C5Classifier))
    else:
        found["C5.0 (c50py)"] = "c50py is not installed"
    return found


def bits_of(said: np.ndarray, y: np.ndarray) -> float:
    """Cross-entropy in bits, clipped as scikit-learn's `log_loss` clips."""
    p = said / said.sum(1, keepdims=True)
    p = np.clip(p, np.finfo(float).eps, 1 - np.finfo(float).eps)
    return float(-np.log2(p[np.arange(len(y)), y]).mean())


def run() -> str:
    """Accuracy, bits, leaves and time."""
    from sklearn.model_selection import StratifiedKFold

    warnings.simplefilter("ignore", UserWarning)  # glass has a class of nine
    data = list(tables())
    work: list[tuple[Table, Table, int]] = []
    folds = []
    for _, X, y in data:
        for a, b in StratifiedKFold(5, shuffle=True, random_state=0).split(X, y):
            folds.append(b)
            work.append(((X.iloc[a], y[a]), (X.iloc[b], y[b]), 1))
    large, target = numeric(20_000, 2)
    frame = pd.DataFrame(large, columns=[f"x{j}" for j in range(20)])
    few = frame.iloc[:10], target[:10].astype(str)
    lines = ["| | accuracy | bits | leaves | fit 20k x 20 | tables |", "|" + " --- |" * 6]
    detail = []
    missing = []
    for name, program in programs().items():
        if isinstance(program, str):
            missing.append(f"{name} is left out: {program}.")
            continue
        right, bits, leaves, failed = [], [], [], 0
        for i, (label, _, y) in enumerate(data):
            tasks, held = work[5 * i : 5 * i + 5], folds[5 * i : 5 * i + 5]
            try:
                said = program(tasks)
            except Exception as error:  # a rival that cannot read the table has no figure
                failed += 1
                detail.append(f"{name} on {label}: {type(error).__name__}.")
                continue
            codes = np.unique(y, return_inverse=True)[1]
            pairs = [(p, codes[h]) for (p, _, _), h in zip(said, held, strict=True)]
            right.append(np.mean([v for p, c in pairs for v in p.argmax(1) == c]))
            bits.append(sum(bits_of(p, c) * len(c) for p, c in pairs) / len(y))
            leaves.append(said[0][1])
        took = program([((frame, target.astype(str)), few, 2)])[0][2]
        lines.append(
            f"| {name} | {np.mean(right):.3f} | {np.mean(bits):.3f} | {np.mean(leaves):.1f} | "
            f"{pretty(took)} | {len(data) - failed} of {len(data)} |"
        )
    return "\n".join(
        [
            f"Means over {len(data)} data sets ({', '.join(label for label, _, _ in data)}), five "
            "folds, everything at its defaults; bits of cross-entropy a case on held-out rows, "
            "leaves of the tree of the first fold. The time is one fit of 20,000 rows of 20 "
            "numbers, two classes, the better of two (J48: of one, as it prints it, in a fresh "
            "Java).",
            "",
            *lines,
            "",
            *missing,
            *detail,
            machine("numba", "scikit-learn", "c50py"),
        ]
    )

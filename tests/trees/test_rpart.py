"""CART is CART, on tables that R brings: the nodes and predictions of rpart, run here and now.

Left out are the tables where rpart follows a rounding error between two equal splits, and those
where its surrogates of names differ: it takes one that sends a single case to one side, which it
refuses of numbers, and refuses some that agree with the split on every case.
"""

import shutil
import subprocess

import numpy as np
import pandas as pd
import pytest

from xent.trees import CARTClassifier, CARTRegressor
from xent.trees._prune import alphas

TABLES = {
    "kyphosis": ("kyphosis", "Kyphosis"),
    "stagec": ("transform(stagec[, -1], pgstat = factor(pgstat, labels = c('no', 'yes')))", "pgstat"),
    "cars, reliability": ("transform(cu.summary, Reliability = plain(Reliability))", "Reliability"),
    "cars, type": ("transform(cu.summary, Reliability = plain(Reliability))", "Type"),
    "cars, country": ("cu.summary[, -1]", "Country"),
    "titanic": ("spread(Titanic)", "Survived"),
    "eyes": ("spread(HairEyeColor)", "Eye"),
    "infert": ("transform(infert, case = factor(case, labels = c('no', 'yes')))", "case"),
    "warpbreaks": ("warpbreaks", "tension"),
    "chicks": ("chickwts", "feed"),
    "grass": ("as.data.frame(CO2)[, -1]", "Type"),
    "ozone": ("airquality[!is.na(airquality$Ozone), ]", "Ozone"),
    "miles": ("mtcars", "mpg"),
    "teeth": ("ToothGrowth", "len"),
    "swiss": ("swiss", "Fertility"),
}  # fmt: skip
CONTROLS = {(20, 7): "minsplit = 20, minbucket = 7", (8, 3): "minsplit = 8, minbucket = 3"}
OPENING = """
library(rpart)
plain <- function(v) factor(as.character(v), levels = levels(v))
spread <- function(t) {
  d <- as.data.frame(t)
  d[rep(seq_len(nrow(d)), d$Freq), names(d) != "Freq"]
}
"""
EACH = """
d <- TABLE; y <- "TARGET"
d <- d[!is.na(d[[y]]), c(setdiff(names(d), y), y)]
if (is.factor(d[[y]])) d[[y]] <- droplevels(d[[y]])
write.csv(d, "PLACE.csv", row.names = FALSE, na = "")
writeLines(sapply(d, function(v) paste(levels(v), collapse = "\\t")), "PLACE.levels")
"""
FIT = """
fit <- rpart(as.formula(paste(y, "~ .")), d, control = rpart.control(cp = 0, xval = 0, CONTROL))
said <- if (is.factor(d[[y]])) predict(fit, d, type = "prob") else predict(fit, d)
write.csv(cbind(nrow(fit$frame), said), "PLACE.said", row.names = FALSE)
"""


@pytest.fixture(scope="module")
def rpart_says(tmp_path_factory):
    """Run R once for all tables; its files stand in a folder."""
    program = shutil.which("Rscript")
    if program is None:
        pytest.skip("R is not installed")
    folder = tmp_path_factory.mktemp("r")
    script = OPENING
    for i, (table, target) in enumerate(TABLES.values()):
        part = EACH.replace("TABLE", table).replace("TARGET", target).replace("PLACE", str(i))
        for least, control in CONTROLS.items():
            part += FIT.replace("CONTROL", control).replace("PLACE", f"{i}-{least[1]}")
        script += part
    (folder / "all.R").write_text(script)
    done = subprocess.run([program, "all.R"], cwd=folder, capture_output=True, text=True)
    if "there is no package" in done.stderr:
        pytest.skip("R has no rpart")
    assert done.returncode == 0, done.stderr
    return folder


@pytest.mark.parametrize("least", CONTROLS, ids=str)
@pytest.mark.parametrize("name", TABLES)
def test_the_tree_of_rpart(rpart_says, name, least):
    i = list(TABLES).index(name)
    levels = (rpart_says / f"{i}.levels").read_text().split("\n")[:-1]
    frame = pd.read_csv(rpart_says / f"{i}.csv", dtype=dict.fromkeys(np.flatnonzero(levels), str))
    for column, names in zip(frame.columns, levels, strict=True):
        if names:
            frame[column] = pd.Categorical(frame[column], names.split("\t"))
    X, y = frame.iloc[:, :-1], frame.iloc[:, -1]
    options = {"pruning": None, "min_samples_split": least[0], "min_samples_leaf": least[1]}
    theirs = pd.read_csv(rpart_says / f"{i}-{least[1]}.said").to_numpy()
    if levels[-1]:
        tree = CARTClassifier(**options).fit(X, y.astype(str))
        # rpart keeps no split that saves no error.
        tree.tree_ = tree.tree_.compact(alphas(tree.tree_, tree.criterion) <= 1e-12)
        tree.value_ = tree.tree_.stats / tree.tree_.stats.sum(1, keepdims=True)
        said = np.zeros((len(X), theirs.shape[1] - 1))
        said[:, [levels[-1].split("\t").index(c) for c in tree.classes_]] = tree.predict_proba(X)
    else:
        tree = CARTRegressor(**options).fit(X, y)
        said = tree.predict(X)[:, None]
    assert tree.n_nodes_ == theirs[0, 0]
    np.testing.assert_allclose(said, theirs[:, 1:], rtol=1e-9, atol=1e-9)

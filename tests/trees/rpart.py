"""What rpart makes of tables that R brings: asked of R where it is, and kept in golden/.

`PYTHONPATH=tests python tests/trees/rpart.py` asks anew and writes what R said.
"""

import csv
import json
import shutil
import subprocess
import tempfile
from pathlib import Path

PROGRAM = shutil.which("Rscript")
RECORDED = Path(__file__).parents[1] / "golden" / "rpart_tables.json"
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
cat(R.version.string, "with rpart", as.character(packageVersion("rpart")))
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


def ask():
    """Run R once for all tables; return what it said as plain data."""
    script = OPENING
    for i, (table, target) in enumerate(TABLES.values()):
        part = EACH.replace("TABLE", table).replace("TARGET", target).replace("PLACE", str(i))
        for least, control in CONTROLS.items():
            part += FIT.replace("CONTROL", control).replace("PLACE", f"{i}-{least[1]}")
        script += part
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        (folder / "all.R").write_text(script)
        done = subprocess.run([PROGRAM, "all.R"], cwd=folder, capture_output=True, text=True)
        if "there is no package" in done.stderr:
            return None
        assert done.returncode == 0, done.stderr
        found = {name: read(folder, i) for i, name in enumerate(TABLES)}
    return {"source": done.stdout, "tables": found}


def read(folder, i):
    """Return a table, and what each tree says of it: rows that are told the same are kept once."""
    with open(folder / f"{i}.csv", newline="") as file:
        names, *rows = csv.reader(file)
    levels = (folder / f"{i}.levels").read_text().split("\n")[:-1]
    columns = [
        {"name": name, "levels": known.split("\t") if known else None, "values": list(values)}
        for name, known, values in zip(names, levels, zip(*rows, strict=True), strict=True)
    ]
    trees = {}
    for least in CONTROLS:
        with open(folder / f"{i}-{least[1]}.said", newline="") as file:
            said = [[float(cell) for cell in line] for line in list(csv.reader(file))[1:]]
        each = [tuple(line[1:]) for line in said]
        distinct = sorted(set(each))
        place = {line: k for k, line in enumerate(distinct)}
        trees[str(least[1])] = {
            "nodes": int(said[0][0]),
            "said": distinct,
            "which": [place[line] for line in each],
        }
    return {"columns": columns, "trees": trees}


if __name__ == "__main__":
    RECORDED.write_text(json.dumps(ask(), separators=(",", ":"), ensure_ascii=False) + "\n")

"""The figures on the screens of evaluate, compare and calibrate, computed by other means."""

import json

import numpy as np
import pytest
from scipy import stats
from sklearn.isotonic import IsotonicRegression
from sklearn.metrics import average_precision_score, precision_recall_fscore_support, roc_auc_score

from screens import columns, figures, line_of, screens

DIGITS = {"bits": 1.0, "nats": np.log(2), "bans": np.log10(2), "units": 0.5}  # of a bit; base 4


def near(found, expected, decimals):
    """Whether printed numbers are these, rounded."""
    return found == pytest.approx(expected, abs=0.51 * 10.0**-decimals, rel=1e-9)


def interval(cost, weight, groups=None):
    """Return the ends of Student's interval of a weighted mean, of independent rows or groups."""
    mean = np.average(cost, weights=weight)
    each = weight * (cost - mean) / weight.sum()
    if groups is not None:
        each = np.array([each[groups == g].sum() for g in np.unique(groups)])
    n = len(each)
    error = np.sqrt((each**2).sum() * n / (n - 1))
    reach = stats.t.ppf(0.975, n - 1) * error
    return mean, mean - reach, mean + reach, 2 * stats.t.sf(abs(mean) / error, n - 1)


def entropy(weights):
    share = np.asarray(weights) / np.sum(weights)
    return -(share[share > 0] * np.log2(share[share > 0])).sum()


def check_report(screen, true, labels, p, weight, unit="bits"):
    """Compare every figure of a report on a screen with plain NumPy."""
    size, counted = DIGITS[unit], weight > 0
    true, p, weight = true[counted], p[counted], weight[counted]
    t = np.array([labels.index(name) for name in true])
    said = p.argmax(axis=1)
    cost = -np.log2(p[np.arange(len(t)), t])
    mean, low, high, _ = interval(cost, weight)
    uniform, prior = np.log2(len(labels)), entropy(np.bincount(t, weight))
    head = figures(line_of(screen, "cross-entropy"))
    assert near(head[0], mean * size, 4)
    assert head[1] == pytest.approx(2**mean, rel=1e-3)
    ends = line_of(screen, "95 % interval").split()
    assert near(float(ends[0]), max(low, 0) * size, 4)
    assert near(float(ends[2]), high * size, 4)
    assert ends[3] == (unit if unit != "units" else "units")
    other = mean * (np.log(2) if unit == "bits" else 1)
    assert near(figures(line_of(screen, "95 % interval"))[2], other, 4)
    assert near(figures(line_of(screen, "uniform"))[0], uniform * size, 4)
    assert near(figures(line_of(screen, "class prior"))[0], prior * size, 4)
    alike = np.mean([np.average(cost[t == c], weights=weight[t == c]) for c in np.unique(t)])
    explained = figures(line_of(screen, "explained"))
    assert explained[0] == pytest.approx(100 * (1 - mean / prior), abs=0.06)
    assert near(explained[1], alike * size, 4)
    right = said == t
    brier = ((p - np.eye(len(labels))[t]) ** 2).sum(axis=1)
    sure = p.max(axis=1)
    bins = np.minimum((sure * 15).astype(int), 14)
    gap = sum(abs((weight * (sure - right))[bins == b].sum()) for b in set(bins)) / weight.sum()
    quality = figures(line_of(screen, "accuracy"))
    assert near(quality[0], 100 * np.average(right, weights=weight), 1)
    assert near(quality[-2:], [np.average(brier, weights=weight), 100 * gap], 1)
    assert near(quality[-2], np.average(brier, weights=weight), 4)
    of_classes = screen[screen.index(next(x for x in screen if x.startswith("where the"))) + 1 :]
    for c, label in enumerate(labels):
        row = figures(line_of(of_classes, label + " ").replace("%", ""))
        mine = t == c
        share = (weight * cost)[mine].sum() / (weight * cost).sum()
        recall = np.average(right[mine], weights=weight[mine])
        each = np.average(cost[mine], weights=weight[mine]) * size
        assert near(row, [100 * share, each, 100 * recall, weight[mine].sum()], 1)
        assert near(row[1], each, 3)
    return cost, t, p, weight


def check_two_classes(screen, t, score, weight, mean):
    """Compare the lines that two classes alone have with scikit-learn."""
    order = figures(line_of(screen, "order alone"))
    area = roc_auc_score(t, score, sample_weight=weight)
    assert near(order, [area, average_precision_score(t, score, sample_weight=weight)], 4)
    (head,) = [line for line in screen if " from " in line and line.endswith("0.9")]
    for j, threshold in enumerate(figures(head)[-5:]):
        found = precision_recall_fscore_support(
            t, score >= threshold, sample_weight=weight, average="binary", zero_division=0
        )
        for name, value in zip(("precision", "recall", "F1"), found, strict=False):
            shown = line_of(screen, name).partition("best")[0].replace("%", "").split()[j]
            assert shown == "-" or near(float(shown), 100 * value, 1), (name, threshold)
            assert shown != "-" or not (score >= threshold).any()
    calibrated = IsotonicRegression().fit(score, t, weight).predict(score)
    best = np.where(t, calibrated, 1 - calibrated)
    refined, unknown = np.average(-np.log2(best), weights=weight), entropy(np.bincount(t, weight))
    expected = [mean, mean - refined, unknown - refined, unknown]
    assert near(figures(line_of(screen, "CORP:").replace("-", " ")), expected, 4)


WEIGHED = "weights, slices and base"


@pytest.mark.parametrize(
    ("options", "unit"),
    [
        ("--by g", "bits"),
        ("--weights w --by g", "bits"),
        ("--weights w --base e", "nats"),
        ("--by g --base 10 --json report.json --rows rows.csv", "bans"),
    ],
)
def test_reports_of_three_classes(options, unit):
    data = columns("evaluate", WEIGHED, "p.csv")
    screen = screens("evaluate", WEIGHED)[f"xent evaluate p.csv {options}"]
    weight = data["w"] if "--weights" in options else np.ones(5)
    p = np.stack([data[f"p_{c}"] for c in "abc"], axis=1)
    cost, t, _, _ = check_report(screen, data["target"], ["a", "b", "c"], p, weight, unit)
    most = line_of(screen, "most confused: ")
    assert (
        most
        == f"a for c ({'2.0' if weight[3] == 2 else 1}), b for a ({'1.0' if weight[3] == 2 else 1})"
    )
    if "--by" not in options:
        return
    slices = screen[screen.index(f"by g: {unit} a row, interval, rows, accuracy") :]
    for name in ("x", "y", ""):
        mine = data["g"] == name
        shown = figures(line_of(slices, (name or "missing") + "  ").replace("%", ""))
        mean = np.average(cost[mine], weights=weight[mine]) * DIGITS[unit]
        right = np.average(p[mine].argmax(axis=1) == t[mine], weights=weight[mine])
        assert near(shown[0], mean, 3)
        assert near(shown[-2:], [weight[mine].sum(), 100 * right], 1)
        if name:
            _, low, high, _ = interval(cost[mine] * DIGITS[unit], weight[mine])
            assert near(shown[1:3], [max(low, 0), high], 3)


def test_rows_and_json_of_the_same_report():
    data = columns("evaluate", WEIGHED, "p.csv")
    shown = screens("evaluate", WEIGHED)
    cost = -np.log10([0.5, 0.25, 0.75, 0.25, 0.5])
    lines = [line.split(",") for line in shown["show rows.csv"]]
    assert lines[0] == [
        f'"{n}"' for n in ["g", "row", "target", "prediction", "probability", "bans", "weight"]
    ]
    for i, line in enumerate(lines[1:]):
        assert line[0].strip('"') == data["g"][i]
        assert line[1:4] == [str(i), f'"{data["target"][i]}"', f'"{"aacCb"[i].lower()}"']
        assert [*map(float, line[4:])] == pytest.approx([10 ** -cost[i], cost[i], 1], rel=1e-5)
    (keys,) = [command for command in shown if command.startswith("show report.json")]
    found = {k: json.loads(v) for k, _, v in (line.partition(": ") for line in shown[keys])}
    assert [h["row"] for h in found["hardest"]] == [1, 3, 0, 4, 2]
    assert [h["cost"] for h in found["hardest"]] == pytest.approx(sorted(cost)[::-1], rel=1e-5)
    assert found["coverage"] == [
        {"confidence": 0.75, "coverage": 0.2, "cross_entropy": pytest.approx(cost[2], rel=1e-5), "accuracy": 1.0},
        {"confidence": 0.5, "coverage": 1.0, "cross_entropy": pytest.approx(cost.mean(), rel=1e-5), "accuracy": 0.6},
    ]  # fmt: skip
    assert found["top_k"] == {"1": 0.6, "2": 1.0}
    assert [c["precision"] for c in found["per_class"]] == [0.5, 1, 0.5]


TWO = "two classes in one column, a threshold, a prior"


@pytest.mark.parametrize("options", ["", " --weights w --prior prior.csv --label-smoothing 0.1"])
def test_reports_of_two_classes(options):
    data = columns("evaluate", TWO, "p.csv")
    screen = screens("evaluate", TWO)[
        f"xent evaluate p.csv --target y --probs s --positive 1{options}"
    ]
    weight = data["w"] if options else np.ones(5)
    score, t = data["s"], data["y"].astype(int)
    p = np.stack([1 - score, score], axis=1)
    names = np.array(["0", "1"])[t]
    cost, *_ = check_report(screen, names, ["0", "1"], p, weight)
    check_two_classes(screen, t, score, weight, np.average(cost, weights=weight))
    best = max(
        (
            precision_recall_fscore_support(t, score >= s, sample_weight=weight, average="binary")[
                2
            ],
            s,
        )
        for s in score
    )
    assert near(figures(screen[line_number(screen, "F1")])[-2:], [100 * best[0], best[1]], 1)
    if options:
        # One of four rows of the prior's table is a 1; smoothing leaves a model 1 - 0.1 + 0.1 / 2.
        prior = np.average(np.where(t, 2.0, -np.log2(0.75)), weights=weight)
        assert near(figures(line_of(screen, "training prior"))[0], prior, 4)
        assert near(figures(line_of(screen, "label smoothing"))[0], -np.log2(0.95), 4)


def line_number(screen, start):
    return next(i for i, line in enumerate(screen) if line.strip().startswith(start))


def test_reports_of_tables_in_pieces_and_of_what_was_dropped():
    for scene, file, command in (
        ("streamed as a whole", "p.csv", "xent evaluate p.csv --weights w --by g"),
        ("streamed as a whole", "p.csv", "xent evaluate p.csv --weights w --by g --workers 1"),
        ("a table in pieces", "p.parquet", "xent evaluate p.parquet --weights w --by g"),
        ("a table in pieces", "p.parquet", "xent evaluate p.parquet --weights w --by g --checkpoint c.xent --json a.json"),
        ("against another model's rows", "old.csv", "xent evaluate old.csv --weights w --id id --rows rows.csv --json old.json"),
    ):  # fmt: skip
        data = columns("evaluate", scene, file)
        screen = screens("evaluate", scene)[command]
        p = np.stack([data["p_a"], data["p_b"]], axis=1)
        cost, t, *_ = check_report(screen, data["target"], ["a", "b"], p, data["w"])
        check_two_classes(screen, t, data["p_b"], data["w"], np.average(cost, weights=data["w"]))
        if "--by" in command:
            slices = screen[screen.index("by g: bits a row, interval, rows, accuracy") :]
            for name in "xy":
                mine = data["g"] == name
                mean, low, high, _ = interval(cost[mine], data["w"][mine])
                shown = figures(line_of(slices, name + "  ").replace("%", ""))
                assert near(shown[:3], [mean, max(low, 0), high], 3)
                right = np.average(p[mine].argmax(1) == t[mine], weights=data["w"][mine])
                assert near(shown[3:], [data["w"][mine].sum(), 100 * right], 1)
    # Rows 1 and 5 of the German table have no class: the numbers of the others stay.
    shown = screens("evaluate", "rows left out keep their numbers")
    rows = [line.split("\t") for line in shown["show rows.tsv"][1:]]
    assert [(row[0], row[1]) for row in rows] == [
        ('"7"', "0"),
        ('"9"', "2"),
        ('"3"', "3"),
        ('"4"', "4"),
    ]
    bits = [float(row[5]) for row in rows]
    assert bits == pytest.approx(-np.log2([0.75, 0.5, 0.75, 0.875]), rel=1e-5)
    command = next(c for c in shown if "--rows rows.tsv" in c)
    assert near(figures(line_of(shown[command], "cross-entropy"))[0], np.mean(bits), 4)


def test_infinite_rows_and_what_stands_for_zero():
    data = columns("evaluate", "classes, slices and rows beyond the first ones", "many.csv")
    screen = screens("evaluate", "classes, slices and rows beyond the first ones")[
        "xent evaluate many.csv --by g --fail-above 3"
    ]
    true = np.array([data[f"p_{t}"][i] for i, t in enumerate(data["target"])])
    floored = -np.log2(np.maximum(true, 1e-15)).mean()
    (line,) = [line for line in screen if "probability 0" in line]
    assert near(figures(line)[-1], floored, 4)
    order = np.argsort([-np.inf if p == 0 else np.log2(p) for p in true], kind="stable")
    slices = screen[line_number(screen, "by g") + 1 :][:10]
    costs = [figures(line)[1] for line in slices]
    assert costs == pytest.approx([-np.log2(true[i]) if true[i] else np.inf for i in order[:10]])
    assert screen[line_number(screen, "by g") + 11] == "  and 2 more"


# ------------------------------------------------------------------ compare


def costs_of(scene, *names):
    first = columns("compare", scene, names[0])
    found = []
    for name in names:
        data = columns("compare", scene, name)
        place = {i: n for n, i in enumerate(data["id"])}
        rows = [place[i] for i in first["id"]]
        found.append(
            -np.log2([data[f"p_{t}"][n] for t, n in zip(first["target"], rows, strict=True)])
        )
    return found, first


def check_difference(screen, name, first, second, weight, size=1.0, groups=None):
    shown = figures(line_of(screen, name))
    mean, low, high, p = interval((second - first) * size, weight, groups)
    assert near(shown[:4], [mean, low, high, p], 4)
    assert line_of(screen, name).split()[-1] == (
        "better" if high < 0 else "worse" if low > 0 else "open"
    )
    return p


def test_differences_of_paired_rows():
    (old, new, third), data = costs_of("two files and three", "old.csv", "new.csv", "third.csv")
    one = np.ones(4)
    shown = screens("compare", "two files and three")
    screen = shown["xent compare old.csv new.csv --id id"]
    p = check_difference(screen, "new.csv less old.csv", old, new, one)
    assert p == pytest.approx(stats.ttest_rel(new, old).pvalue)
    for name, cost in (("old.csv  ", old), ("new.csv  ", new)):
        mean, low, high, _ = interval(cost, one)
        assert near(figures(line_of(screen, name)), [mean, max(low, 0), high], 4)
    screen = shown["xent compare old.csv new.csv third.csv --id id --pairs all --base e"]
    pairs = {
        "new.csv less old.csv": (old, new), "third.csv less old.csv": (old, third),
        "third.csv less new.csv": (new, third),
    }  # fmt: skip
    ps = {n: check_difference(screen, n, a, b, one, np.log(2)) for n, (a, b) in pairs.items()}
    ordered = sorted(ps, key=ps.get)
    holm = np.maximum.accumulate([min(1, ps[n] * (3 - i)) for i, n in enumerate(ordered)])
    assert near([figures(line_of(screen, n))[4] for n in ordered], list(holm), 4)
    screen = shown[
        "xent compare old.csv new.csv third.csv --id id --weights w --by g --fail-above -0.1"
    ]
    check_difference(screen, "new.csv less old.csv", old, new, data["w"])
    check_difference(screen, "third.csv less old.csv", old, third, data["w"])
    for name, cost in (("new.csv", new), ("third.csv", third)):
        mine = data["g"] == "x"
        found = figures(line_of(screen, f"x: {name} less old.csv"))
        mean, low, high, _ = interval((cost - old)[mine], data["w"][mine])
        assert near(found[:3], [mean, low, high], 4)
        assert found[-1] == 2
        for g in "yz":
            alone = line_of(screen, f"{g}: {name} less old.csv").split()
            assert near(float(alone[0]), (cost - old)[data["g"] == g][0], 4)
            assert alone[1:] == ["-", "-", "1"]
    found = json.loads(
        "\n".join(shown["xent compare old.csv new.csv --id id --group g --confidence 0.8 --json -"])
    )
    (d,) = found["differences"]
    _, low, high, p = interval(new - old, one, data["g"])
    narrow = stats.t.ppf(0.9, 2) / stats.t.ppf(0.975, 2)
    middle = (new - old).mean()
    expected = [middle, middle + (low - middle) * narrow, middle + (high - middle) * narrow, p]
    assert [d[k] for k in ("difference", "low", "high", "p_value")] == pytest.approx(
        expected, rel=1e-5
    )
    assert (d["rows"], d["groups"], found["groups"]) == (4, 3, 3)
    # Of 16 ways to set four signs 10 give a mean as far from 0 as -0.3962, or farther.
    far = [abs(np.dot(s, new - old)) >= abs((new - old).sum()) - 1e-12 for s in np.ndindex(2, 2, 2, 2)
           for s in [2 * np.array(s) - 1]]  # fmt: skip
    screen = shown["xent compare old.csv new.csv --id id --test sign_flip --interval bootstrap"]
    assert near(figures(line_of(screen, "new.csv less old.csv"))[3], np.mean(far), 4)
    screen = shown["xent compare old.csv third.csv --id id --ignore a"]
    check_difference(screen, "third.csv less old.csv", old[1::2], third[1::2], one[:2])


def test_costs_that_are_infinite():
    scene = "costs, groups and what is not alike"
    shown = screens("compare", scene)
    a, b = np.array([1.0, 2, 4, np.inf]), np.array([0.5, 2, 2, 1])
    finite, groups = (b - a)[:3], np.array(["x", "x", "y"])
    screen = shown["xent compare a.csv b.csv --costs cost --id id --group site"]
    mean, low, high, p = interval(finite, np.ones(3), groups)
    assert near(figures(line_of(screen, "on the other rows"))[:4], [mean, low, high, p], 4)
    assert near(
        figures(line_of(screen, "b.csv  "))[:3],
        interval(b, np.ones(4), np.array([*groups, "z"]))[:3],
        4,
    )
    screen = shown["xent compare b.csv a.csv --costs cost --id id --base 10"]
    mean, low, high, p = interval(-finite, np.ones(3))
    assert near(figures(line_of(screen, "on the other rows"))[:4], [mean, low, high, p], 4)


def test_other_orders_and_formats():
    first, second = -np.log2([0.5, 0.5, 0.25]), -np.log2([0.25, 0.75, 0.5])
    screen = screens("compare", "other orders, formats and tests")[
        "xent compare a.csv b.parquet --id id --separator ; --drop p_c --test sign_flip"
    ]
    mean, low, high, _ = interval(second - first, np.ones(3))
    flips = [2 * np.array(s) - 1 for s in np.ndindex(2, 2, 2)]
    far = [abs(s @ (second - first)) >= abs((second - first).sum()) - 1e-12 for s in flips]
    found = figures(line_of(screen, "b.parquet less a.csv"))
    assert near(found, [mean, low, high, np.mean(far)], 4)


# ------------------------------------------------------------------ calibrate


def test_calibrators_of_six_rows():
    """Four of six rows are right at 0.9: log 9 / T = log 2 makes 0.9 two thirds."""
    shown = screens("calibrate", "fitted and used")
    fitted = shown["xent calibrate p.csv --target target --model t.xent"]
    assert near(figures(fitted[0])[0], np.log(9) / np.log(2), 2)
    bits = np.array([entropy([2, 1]), -np.log2(0.9) * 2 / 3 - np.log2(0.1) / 3])
    assert near(figures(fitted[1]), bits, 4)
    nats = shown["xent calibrate p.csv --target target --model t.xent --base e --weights w"][1]
    assert near(figures(nats), bits * np.log(2), 4)
    bans = shown["xent calibrate p.csv --target target --model i.xent --method isotonic --base 10"]
    assert near(figures(bans[1])[1], bits[1] * np.log10(2), 4)
    platt = shown["xent calibrate p.csv --target target --model p.xent --method platt --ignore b"]
    assert figures(platt[0])[1] == 3
    assert near(figures(platt[1])[1], bits[1], 4)
    # 0.1 and 0.9 of new.csv stand in the other order of columns, and its row of 0.5 stays.
    rows = [line.split(",") for line in shown["show two_thirds.csv"]]
    assert rows[0] == ['"id"', '"prediction"', '"p_a"', '"p_b"', '"l_a"', '"l_b"']
    for row, p in zip(rows[1:], (2 / 3, 1 / 2), strict=True):
        assert row[1] == '"a"'
        expected = [p, 1 - p, np.log(p), np.log(1 - p)]
        assert [*map(float, row[2:])] == pytest.approx(expected, rel=1e-5)

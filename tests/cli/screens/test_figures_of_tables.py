"""The figures on the screens of rank, drift, trees and training, computed by other means."""

import json
import re

import numpy as np
import pandas
import pytest
from scipy import stats
from scipy.spatial.distance import jensenshannon

from screens import columns, figures, line_of, screens


def near(found, expected, decimals=4):
    """Whether printed numbers are these, rounded."""
    return found == pytest.approx(expected, abs=0.51 * 10.0**-decimals, rel=1e-9)


def entropy(weights):
    return stats.entropy(np.ravel(weights), base=2)


TENNIS = "information gain of tennis"


def gain(data, column, target, weight):
    table = pandas.crosstab(data[column], data[target], weight, aggfunc="sum").fillna(0).to_numpy()
    return entropy(table.sum(0)) + entropy(table.sum(1)) - entropy(table), table


def test_scores_of_tennis():
    data = columns("rank", TENNIS, "days.csv")
    shown = screens("rank", TENNIS)
    one = np.ones(14)
    expected = {c: gain(data, c, "play", one)[0] for c in ("outlook", "humid", "windy")}
    screen = shown["xent rank days.csv --target play"]
    assert [line.split()[0] for line in screen[2:]] == [
        *sorted(expected, key=expected.get)[::-1],
        "n",
    ]
    for name, bits in expected.items():
        levels = len(set(data[name]))
        assert near(figures(line_of(screen, name)), [bits, levels, 0])
    nats = shown["xent rank days.csv --target play --base e --columns o*,windy"]
    assert near(figures(line_of(nats, "windy"))[0], expected["windy"] * np.log(2))
    ratio = shown["xent rank days.csv --target play --score gain_ratio --weights n"]
    assert not [line for line in ratio if line.strip().startswith("n ")]
    for name in expected:
        bits, table = gain(data, name, "play", data["n"])
        assert near(figures(line_of(ratio, name))[0], bits / entropy(table.sum(1)))
    symmetric = shown["xent rank days.csv --target play --score symmetric_uncertainty --columns *"]
    gini = shown["xent rank days.csv --target play --score gini"]
    for name in expected:
        bits, table = gain(data, name, "play", one)
        both = entropy(table.sum(0)) + entropy(table.sum(1))
        assert near(figures(line_of(symmetric, name))[0], 2 * bits / both)
        share = table / 14
        impurity = 1 - (share.sum(0) ** 2).sum()
        inside = 1 - ((share / share.sum(1, keepdims=True)) ** 2).sum(1)
        assert near(figures(line_of(gini, name))[0], impurity - (share.sum(1) * inside).sum())
    bars = [line.count("█") for line in screen[2:]]
    assert bars == [22, int(22 * expected["humid"] / expected["outlook"]), 4, 0]


def test_gaps_are_a_symbol_or_left_out():
    """a: u, u, gap are k and v, v, gap are m. b, in one bin: its gap is m, five rows are 3 to 2."""
    shown = screens("rank", TENNIS)
    symbol = shown["xent rank gaps.csv --target y"]
    assert near(figures(line_of(symbol, "a ")), [2 / 3, 3, 2])
    assert near(figures(line_of(symbol, "b ")), [1 - 5 / 6 * entropy([3, 2]), 2, 1])
    left_out = shown["xent rank gaps.csv --target y --missing drop"]
    assert near(figures(line_of(left_out, "a ")), [1, 2, 2])
    assert near(figures(line_of(left_out, "b ")), [0, 1, 1])


def test_permutations_are_counted_with_the_order_itself():
    """A p-value of 9 shuffles is a number of tenths; what chance gives is taken off the score."""
    screen = screens("rank", TENNIS)[
        "xent rank days.csv --target play --columns humid,windy --permutations 9 --seed 1"
    ]
    for name in ("humid", "windy"):
        score, levels, missing, adjusted, p = figures(line_of(screen, name))
        assert (levels, missing) == (2, 0)
        assert 0 < adjusted < score
        assert (10 * p) == round(10 * p) >= 1
    assert screen[2].split()[0] == "humid"


def test_cuts_weights_and_bases_of_numbers():
    scene = "numbers, cuts and long names"
    data, shown = columns("rank", scene, "n.csv"), screens("rank", scene)
    (x,) = json.loads("\n".join(shown["show r.json"]))
    assert (x["cuts"], x["score"], x["levels"]) == ([5.5], 1, 2)
    weighed = shown["xent rank n.csv --target y --weights w --html r.html"]
    weights = [data["w"][data["y"] == c].sum() for c in "ny"]
    assert near(figures(line_of(weighed, "x "))[0], entropy(weights))
    assert "x\n |\n | " + f"{entropy(weights):.4f}" + " | 2 | 0" in "\n".join(shown["show r.html"])
    bans = shown["xent rank n.csv --target x --target-bins 2 --columns y --base 10"]
    assert near(figures(line_of(bans, "y "))[0], np.log10(2))
    long = "a_very_long_name_of_a_column_with_its_end"
    names = shown[f"xent rank n.csv --target y --drop x --drop z --names {long}"]
    bits = gain({long: data[long].astype(str), "y": data["y"]}, long, "y", np.ones(10))[0]
    assert near(figures(line_of(names, "a_very_long_name_…with_its_end"))[0], bits)


# ------------------------------------------------------------------ drift


def shares(levels, *tables):
    found = [np.array([(column == level).sum() for level in levels]) for column in tables]
    return [counts / counts.sum() for counts in found]


def moved(p, q, counts, base=2.0):
    """Return JS, KL and PSI with half a row of the smaller table more, new and gone."""
    more = 0.5 / min(counts)
    smooth = [(s + more) / (1 + more * len(s)) for s in (p, q)]
    kl = stats.entropy(smooth[1], smooth[0], base=base)
    psi = ((smooth[1] - smooth[0]) * np.log(smooth[1] / smooth[0])).sum()
    new, gone = q[p == 0].sum(), p[q == 0].sum()
    return [jensenshannon(p, q, base=base) ** 2, kl, psi, 100 * new, 100 * gone]


def check_move(screen, name, expected):
    shown = figures(line_of(screen, name).replace("%", ""))
    assert near(shown[:3], expected[:3])
    assert near(shown[3:], expected[3:], 1)


def test_moves_of_names_and_quantiles():
    scene = "names, numbers and gaps"
    a, b = columns("drift", scene, "january.csv"), columns("drift", scene, "february.csv")
    shown = screens("drift", scene)
    city = shares(["b", "m", "k", ""], a["city"], b["city"])
    screen = shown["xent drift january.csv february.csv"]
    check_move(screen, "city", moved(*city, (4, 4)))
    # Quantiles of four sizes are the four; what lies above them is new.
    size = shares([1, 2, 3, 4, 5], a["size"], np.minimum(b["size"], 5))
    assert near(figures(line_of(screen, "size"))[0], jensenshannon(*size, base=2) ** 2)
    nats = shown["xent drift january.csv february.csv --measure kl --base e --columns city"]
    assert near(figures(line_of(nats, "city"))[:3], moved(*city, (4, 4), np.e)[:3])
    weighed = shown["xent drift january.csv february.csv --weights w"]
    heavy = np.array([1, 1, 1, 5]) / 8
    assert near(figures(line_of(weighed, "city"))[0], jensenshannon(city[0], heavy, base=2) ** 2)
    hellinger = shown["xent drift january.csv february.csv --measure hellinger --threshold 0.1"]
    distance = np.sqrt(1 - np.sqrt(city[0] * city[1]).sum())
    assert near(figures(line_of(hellinger, "city"))[3], distance)
    variation = shown[
        "xent drift january.csv february.csv --measure total_variation --threshold 0.6"
    ]
    assert near(figures(line_of(variation, "city"))[3], abs(city[0] - city[1]).sum() / 2)
    assert variation[-2:] == ["! 1 column above 0.6: size", "= 1"]
    assert hellinger[-2:] == ["! 3 columns above 0.1: size, city, w", "= 1"]
    left_out = shown["xent drift january.csv february.csv --missing drop --bins 2"]
    known = shares(["b", "m", "k"], a["city"], b["city"][:3])
    check_move(left_out, "city", moved(*known, (4, 3)))
    (found,) = json.loads(
        "\n".join(
            shown["xent drift january.csv february.csv --measure psi --columns city --json -"]
        )
    )
    assert found["new_levels"] == ["k", None]
    assert (found["new"], found["gone"], found["levels"]) == (0.5, 0, 4)


def test_moves_of_dates_and_booleans():
    scene = "levels that come and go, dates and booleans"
    shown = screens("drift", scene)
    screen = shown["xent drift a.csv b.csv --bins 2 --html d.html"]
    half, all_ = np.array([0.5, 0.5]), np.array([1.0, 0.0])
    check_move(screen, "flag", moved(half, all_, (4, 4)))
    assert near(figures(line_of(screen, "x  "))[:3], [0, 0, 0])
    bans = shown[
        "xent drift a.csv b.csv --bins 4 --columns x,flag --measure js --base 10 --threshold 0.05"
    ]
    assert near(figures(line_of(bans, "flag"))[0], jensenshannon(half, all_, base=10) ** 2)
    order = [one["name"] for one in json.loads("\n".join(shown["show d.json"]))]
    assert order == ["very_long_name_of_a_column_that_moved", "day", "flag", "x"]


# ------------------------------------------------------------------ trees


def reaches(lines, data, weight):
    """Return the weight of each class at every leaf of a tree in text, by the leaf's line."""
    path, found = [], {}
    for line in lines:
        depth = line.count("|   ")
        test, _, leaf = line.replace("|   ", "").partition(": ")
        known = re.fullmatch(r"(\w+) (<=|>|=|in) (.+?)( or missing)?", test)
        if known is None:
            continue
        name, sign, value, gaps = known.groups()
        column = data[name]
        if sign in ("=", "in"):
            hit = np.isin(column, value.strip("{}").split(", "))
        else:
            hit = column <= float(value) if sign == "<=" else column > float(value)
            hit |= bool(gaps) & np.isnan(column)
        path[depth:] = [hit]
        if leaf:
            found[line] = (np.logical_and.reduce(path), leaf)
    return found


@pytest.mark.parametrize(
    ("scene", "command", "file", "weights"),
    [
        ("fit, show, predict and rules", "xent tree show c45.tree", "days.csv", None),
        ("kinds of trees", "xent tree show a.tree", "days.csv", None),
        ("fit, show, predict and rules", "xent tree show g.tree", "gaps.csv", "w"),
    ],
)
def test_cases_of_every_leaf(scene, command, file, weights):
    data = columns("trees", scene, file)
    target = "play" if "play" in data else "y"
    weight = data[weights] if weights else np.ones(len(data[target]))
    if target == "y":
        kept = data["y"] != ""
        data, weight = {name: column[kept] for name, column in data.items()}, weight[kept]
    leaves = reaches(screens("trees", scene)[command], data, weight)
    assert sum(weight[hit].sum() for hit, _ in leaves.values()) == weight.sum()
    for line, (hit, leaf) in leaves.items():
        label, cases, wrong = re.fullmatch(r"(\w+) \(([\d.]+)(?:/([\d.]+))?\)", leaf).groups()
        assert float(cases) == weight[hit].sum(), line
        assert float(wrong or 0) == weight[hit & (data[target] != label)].sum(), line


def test_quinlans_tree():
    """The tree of C4.5's book on these days, and its rules; the steps are means of their rows."""
    shown = screens("trees", "fit, show, predict and rules")
    assert shown["xent tree show c45.tree"][:6] == [
        "outlook = overcast: yes (4)", "outlook = rain", "|   windy = no: yes (3)",
        "|   windy = yes: no (2)", "outlook = sunny", "|   humidity <= 75: yes (2)",
    ]  # fmt: skip
    simplified = shown["xent tree rules c45.tree --data days.csv --target play"]
    assert simplified[0] == "if outlook = sunny and humidity > 75 then no (3; 1.000)"
    assert near(float(line_of(shown["xent tree show r.tree"], "").split()[0]), 1124 / 14)
    predicted = [line.split(",") for line in shown["show out.csv"][1:]]
    assert predicted == [['"no"', "1", "0", '"no"'], ['"no"', "1", "0", '"no"']]
    steps = screens("trees", "kinds of trees")["xent tree show s.tree"]
    assert steps[0].startswith("x <= 3.5")


# ------------------------------------------------------------------ training


def test_held_out_bits_are_those_of_the_predictions():
    shown = screens("training", "train and predict")
    rows = [line.split(",") for line in shown["show out.csv 3"]]
    at = {name.strip('"'): j for j, name in enumerate(rows[0])}
    true = [float(row[at["p_" + row[at["y"]].strip('"')]]) for row in rows[1:]]
    train = shown[
        "xent train d.csv --target y --model m.xent --epochs 1 --features x --validation new.csv"
    ]
    bits, right, count = figures(line_of(train, "held out:").replace("%", ""))
    assert bits == pytest.approx(-np.log2(true).mean(), abs=3e-3)
    assert (right, count) == (100, 2)
    assert [row[at["prediction"]] for row in rows[1:]] == ['"yes"', '"no"']
    for row in rows[1:]:
        logs = [np.exp(float(row[at[f"l_{c}"]])) for c in ("no", "yes")]
        assert logs == pytest.approx([float(row[at[f"p_{c}"]]) for c in ("no", "yes")], abs=2e-3)


def test_labels_and_the_floor_of_a_second_softmax():
    shown = screens("training", "what was read")
    floor = shown[
        "xent compare-losses part.parquet --target y --losses cross_entropy,double_softmax --epochs 1 --seeds 2 --rates 0.5,5 --validation 0.3"
    ]
    (said,) = [line for line in floor if line.startswith("The loss that double_softmax")]
    assert near(figures(said)[-1], np.log(1 + 1 / np.e))
    labels = [line.split(",") for line in shown["show lo.csv 3"]]
    logits = np.array([[float(x) for x in row[2:4]] for row in labels[1:]])
    probs = np.array([[float(x) for x in row[:2]] for row in labels[1:]])
    assert probs == pytest.approx(1 / (1 + np.exp(-logits)), abs=2e-3)
    true = np.array([[1, 0], [0, 1], [1, 1], [0, 0]])
    train = shown[
        "xent train many.csv --target y_* --multilabel --features x --model l.xent --epochs 1 --validation many.csv"
    ]
    bits, right, _ = figures(line_of(train, "held out:").replace("%", ""))
    assert bits == pytest.approx(-np.log2(np.where(true, probs, 1 - probs)).mean(), abs=3e-3)
    assert near(right, 100 * ((probs > 0.5) == true).mean(), 1)

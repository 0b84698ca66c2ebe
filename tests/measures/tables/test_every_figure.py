"""Every figure of a drift and of a rank, counted once more level by level, under all options."""

import math
import warnings
from collections import Counter

import numpy as np
import pandas as pd
import pytest

from xent.measures import Counts, drift, rank_features

SHARES = [0.3, 0.25, 0.15, 0.1, 0.1, 0.05, 0.03, 0.02]


def table(rows, shift):
    rng = np.random.default_rng(shift)
    name = rng.choice(list("abcdefgh"), rows, p=np.roll(SHARES, shift))
    x = np.round(rng.normal(shift / 3, 1, rows), 1)
    return pd.DataFrame(
        {
            "name": np.where(rng.random(rows) < 0.1, None, name),
            "same": "one",
            "x": np.where(rng.random(rows) < 0.1, np.nan, x),
            "w": rng.integers(0, 4, rows),
        }
    )


OLD, NEW = table(60, 0), table(35, 2)


def counts(values, weight, levels):
    """How many rows each level has; a missing value is one of its own."""
    found = Counter()
    for value, w in zip(values, weight, strict=True):
        if w > 0:
            found[None if value is None or value != value else levels(value)] += w
    return found


def cuts_of(values, weight, bins):
    """The least values with k-ths of the rows up to them, the greatest, and below the least."""
    some = sorted((v, w) for v, w in zip(values, weight, strict=True) if v == v and w > 0)
    total, found = sum(w for _, w in some), {-math.inf, some[-1][0]}
    for k in range(1, bins):
        upto = 0.0
        for value, w in some:
            upto += w
            if upto * bins >= k * total:
                found.add(value)
                break
    least = min(found - {-math.inf})
    found = (found - {-math.inf}) | {math.nextafter(some[0][0], -math.inf)}
    assert least >= some[0][0]
    return sorted(found)


def slow_drift(old, new, base, missing):
    if missing == "drop":
        old, new = ({k: v for k, v in one.items() if k is not None} for one in (old, new))
    levels = list(dict.fromkeys([*old, *new]))
    n, m = sum(old.values()), sum(new.values())
    p, q = ([one.get(level, 0) / size for level in levels] for one, size in ((old, n), (new, m)))
    more = 0.5 / max(1.0, min(n, m))
    a, b = ([(x + more) / (1 + len(levels) * more) for x in one] for one in (p, q))

    def kl(x, y):
        return sum(s * math.log(s / t) for s, t in zip(x, y, strict=True) if s > 0)

    middle = [(x + y) / 2 for x, y in zip(p, q, strict=True)]
    came = [level for level in levels if not old.get(level)]
    went = [level for level in levels if not new.get(level)]
    return (
        {
            "js": (kl(p, middle) + kl(q, middle)) / 2 / math.log(base),
            "kl": kl(b, a) / math.log(base),
            "psi": kl(b, a) + kl(a, b),
            "hellinger": math.sqrt(
                sum((x**0.5 - y**0.5) ** 2 for x, y in zip(p, q, strict=True)) / 2
            ),
            "total_variation": sum(abs(x - y) for x, y in zip(p, q, strict=True)) / 2,
            "levels": len(levels),
            "new": sum(new[level] for level in came) / m,
            "gone": sum(old[level] for level in went) / n,
        },
        sorted(came, key=lambda c: -new[c]),
        sorted(went, key=lambda c: -old[c]),
    )


@pytest.mark.parametrize("base", [2, math.e, 0.5])
@pytest.mark.parametrize("missing", ["symbol", "drop"])
@pytest.mark.parametrize("weights", ["none", "column", "arrays"])
@pytest.mark.parametrize("turned", [False, True])
def test_drift(turned, weights, missing, base):
    old, new = (NEW, OLD) if turned else (OLD, NEW)
    given = {"none": None, "column": "w", "arrays": (old["w"] / 2, new["w"] * 3)}[weights]
    w = {
        "none": (np.ones(len(old)), np.ones(len(new))),
        "column": (old["w"], new["w"]),
        "arrays": (old["w"] / 2, new["w"] * 3),
    }[weights]
    found = drift(
        old, new, columns=["name", "same", "x"], weights=given, missing=missing, base=base, bins=4
    )
    assert [d.name for d in found] == sorted(
        [d.name for d in found], key=lambda name: -abs(next(d.js for d in found if d.name == name))
    )
    cuts = cuts_of(old["x"], w[0], 4)
    for d in found:
        levels = (lambda v: sum(c < v for c in cuts)) if d.name == "x" else (lambda v: v)
        both = [counts(t[d.name].tolist(), w, levels) for t, w in zip((old, new), w, strict=True)]
        wanted, came, went = slow_drift(*both, base, missing)
        assert d.kind == ("numbers" if d.name == "x" else "symbols")
        for name, value in wanted.items():
            assert getattr(d, name) == pytest.approx(value, rel=1e-9, abs=1e-12), (d.name, name)
        if d.name != "x":
            # Of levels with as many rows any may come first.
            assert [both[1][c] for c in d.new_levels] == [both[1][c] for c in came[:10]]
            assert set(d.new_levels) == set(came)
            assert [both[0][c] for c in d.gone_levels] == [both[0][c] for c in went[:10]]
        assert (d.low, d.high) == (None, None)


@pytest.mark.parametrize("base", [2, 10, 0.5])
def test_the_interval_is_in_the_unit_of_its_value(base):
    nats = drift(OLD, NEW, columns=["name", "x"], bootstrap=40, rng=1)
    for a, b in zip(
        nats, drift(OLD, NEW, columns=["name", "x"], bootstrap=40, rng=1, base=base), strict=True
    ):
        ends = sorted((a.low / math.log(base), a.high / math.log(base)))
        assert (b.low, b.high) == pytest.approx(ends, rel=1e-12)
        assert b.low <= b.js <= b.high


@pytest.mark.parametrize("turned", [False, True])
def test_a_column_without_a_value_is_of_the_kind_of_the_other(turned):
    none, some = pd.DataFrame({"x": [None, None]}), pd.DataFrame({"x": [1.5, 2.5]})
    (found,) = drift(*((some, none) if turned else (none, some)))
    assert (found.kind, found.new, found.gone) == ("numbers", 1.0, 1.0)
    assert found.js == pytest.approx(math.log(2))


def entropy(rows):
    total = sum(rows)
    return -sum(r / total * math.log(r / total) for r in rows if r > 0)


def slow_score(pairs, score):
    """The score of a column that is counted: rows of pairs of a level and a class."""
    x, y = Counter(), Counter()
    for (a, b), rows in pairs.items():
        x[a] += rows
        y[b] += rows
    h_x, h_y, total = entropy(x.values()), entropy(y.values()), sum(x.values())
    gain = h_x + h_y - entropy(pairs.values())
    if len(x) == 1:
        return 0.0
    if score == "gini":
        inside = sum(rows**2 / x[a] for (a, _), rows in pairs.items()) / total
        return inside - sum((rows / total) ** 2 for rows in y.values())
    return {
        "information_gain": gain,
        "gain_ratio": gain / h_x,
        "symmetric_uncertainty": 2 * gain / (h_x + h_y),
    }[score]


@pytest.mark.parametrize(
    "score", ["information_gain", "gain_ratio", "symmetric_uncertainty", "gini"]
)
@pytest.mark.parametrize("missing", ["symbol", "drop"])
@pytest.mark.parametrize("weights", [None, "w"])
@pytest.mark.parametrize("base", [math.e, 2, 0.5])
def test_rank(base, weights, missing, score):
    if score != "information_gain" and base != math.e:
        with pytest.raises(ValueError, match=f"`base` must be left out for '{score}'"):
            rank_features(OLD, "y", score=score, base=base)
        return
    noise = np.random.default_rng(4).normal(0, 0.2, 60)
    frame = OLD.assign(y=np.where(OLD["x"].fillna(0.3) + noise > 0.2, "yes", "no"))
    frame.loc[5, "y"] = None if missing == "drop" else "no"
    found = rank_features(
        frame,
        "y",
        columns=["name", "same", "x"],
        weights=weights,
        missing=missing,
        score=score,
        base=base,
    )
    w = np.ones(60) if weights is None else frame["w"].to_numpy()
    assert [f.name for f in found] == [f.name for f in sorted(found, key=lambda f: -abs(f.score))]
    for f in found:
        pairs, rows, gaps, levels = Counter(), 0, 0, set()
        for value, label, weight in zip(
            frame[f.name].tolist(), frame["y"].tolist(), w, strict=True
        ):
            if weight == 0:
                continue
            gap = value is None or value != value
            gaps += gap
            if missing == "drop" and (gap or label not in ("yes", "no")):
                continue
            level = "gap" if gap else sum(c < value for c in f.cuts) if f.name == "x" else value
            pairs[level, label] += weight
            levels.add(level)
            rows += 1
        assert (f.rows, f.missing, f.levels) == (rows, gaps, len(levels))
        assert f.score == pytest.approx(
            slow_score(pairs, score) / math.log(base), rel=1e-9, abs=1e-12
        )
        assert f.kind == ("numbers" if f.name == "x" else "symbols")
        assert (len(f.cuts) > 0) == (f.name == "x")


@pytest.mark.parametrize(
    ("classes", "rows", "said"), [(50, 60, 0), (51, 60, 1), (70, 700, 0), (71, 700, 1)]
)
def test_how_many_whole_numbers_are_probably_no_classes(classes, rows, said):
    frame = pd.DataFrame({"x": ["a", "b"] * (rows // 2), "y": np.arange(rows) % classes})
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        rank_features(frame, "y")
    assert len(caught) == said
    if said:
        assert f"`y` has {classes} whole numbers in {rows} rows" in str(caught[0].message)


@pytest.mark.parametrize("confidence", [0.05, 0.5, 0.99])
def test_an_interval_holds_its_value_however_narrow_it_is(confidence):
    """Redrawn tables differ by more than those that were seen: less twice that it lies below."""
    for d in drift(OLD[:12], NEW[:12], bootstrap=50, rng=0, confidence=confidence):
        assert d.low <= d.js <= d.high


@pytest.mark.parametrize("place", [0, 2])
def test_a_bad_weight_is_named_by_its_place(place):
    weight = np.ones(4)
    weight[place] = -2
    frame = pd.DataFrame({"x": list("aabb"), "y": list("cdcd"), "w": weight})
    for call in (
        lambda: Counts.from_samples("aabb", weights=weight),
        lambda: rank_features(frame, "y", weights="w"),
        lambda: drift(frame, frame, weights=(weight, weight)),
    ):
        with pytest.raises(
            ValueError, match=rf"must be finite and non-negative, got -2 at \[{place}\]"
        ):
            call()

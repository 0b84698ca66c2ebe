"""A number from a book or a paper for every public function: `tests/golden/` says which page."""

import json
import math
import re
from collections.abc import Callable
from fractions import Fraction
from functools import partial
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from xent import measures as m

GOLDEN = Path(__file__).parents[1] / "golden"


def golden(name):
    return json.loads((GOLDEN / f"{name}.json").read_text())


COVER, QUINLAN, KULLBACK = map(golden, ("cover_thomas_2006", "quinlan_1986", "kullback_1959"))
MANNING, HAN, MARTIN = map(golden, ("manning_2008", "han_kamber_2012", "jurafsky_martin"))
NDD, PSI, SPIDERS, IN_R = map(
    golden, ("ndd_readme", "optbinning_monitoring", "inext_spider", "r_entropy")
)
UNSURE = golden("estimators")["symmetric_uncertainty"]
AGREED = golden("estimators")["adjusted_mutual_information"]

HORSES = COVER["horses"]["p"]
JOINT = np.array(COVER["joint"]["joint"])
PAIR = COVER["kl"]["p"], COVER["kl"]["q"]
COINS = np.zeros((2, 2, 3))
for one, other in np.ndindex(2, 2):
    COINS[one, other, one + other] = 0.25
LETTERS = np.eye(26) / 2 + np.roll(np.eye(26), 1, axis=1) / 2
ERASURE, SYMMETRIC, Z = (COVER["channels"][name] for name in ("erasure", "symmetric", "z"))
CLUSTERS = m.Counts(MANNING["clusters"]["counts"])
POULTRY = MANNING["export_poultry"]["counts"]
SAID, MODEL = MARTIN["colours"]["said"], MARTIN["colours"]["models"][0]
COLLISION, SECOND = (float(Fraction(COVER["powers"][name])) for name in ("collision", "second"))
HELLINGER = 1 - (1 + math.sqrt(3)) / math.sqrt(8)
INCOME = m.Counts(HAN["income"]["counts"])


def rows_of(table):
    """Return two columns whose pairs occur as often as a table says."""
    table = np.array(table)
    return (np.repeat(codes.ravel(), table.ravel()) for codes in np.indices(table.shape))


def sample(counts):
    return np.repeat(np.arange(len(counts)), counts)


def drawn(row):
    """Return a table of one column with these shares."""
    return pd.DataFrame({"x": [str(i) for i in sample((4 * np.array(row)).astype(int))]})


def in_r(method, counts):
    return m.estimate_entropy(sample(counts), method=method).value


def binned(counts, times):
    """Return a table of bins whose rows stand for so many times their counts."""
    return pd.DataFrame({"bin": [str(i) for i in range(10)], "rows": times * np.array(counts)})


def windy():
    play, wind = rows_of(np.array(QUINLAN["columns"]["windy"]["counts"]).T)
    return pd.DataFrame({"wind": wind.astype(str), "play": play})


# What is called, what is printed, and how many of its decimals.
NUMBERS: dict[str, list[tuple[Callable, object, int]]] = {
    "entropy": [(lambda: m.entropy(HORSES, base=2), 2.0, 15)],
    "self_information": [
        (lambda: m.self_information(HORSES, base=2), COVER["horses"]["lengths"], 14)
    ],
    "cross_entropy": [
        (lambda: m.cross_entropy(HORSES, np.ones(8) / 8, base=2), COVER["horses"]["uniform_code"], 14)
    ],
    "perplexity": [
        (lambda: m.perplexity(np.ones(10) / 10), MARTIN["digits_perplexity"], 13),
        (lambda: m.perplexity(m.Counts(SAID), MODEL["q"]), MODEL["perplexity"], 2),
    ],
    "kl_divergence": [
        (lambda: m.kl_divergence(*PAIR, base=2), COVER["kl"]["p_q"], 4),
        (lambda: m.kl_divergence(KULLBACK["p"], KULLBACK["q"]), KULLBACK["p_q"], 7),
    ],
    "js_divergence": [
        (lambda: m.js_divergence(*ERASURE["rows"], base=2), ERASURE["bits"], 14),
        (lambda: m.js_divergence(*SYMMETRIC["rows"], base=2), SYMMETRIC["bits"], 7),
        (lambda: m.js_divergence(*LETTERS, base=2), math.log2(COVER["channels"]["typewriter"]["like"]), 13),
        (lambda: m.js_divergence(*Z["rows"], weights=Z["weights"], base=2), Z["bits"], 3),
    ],
    "js_distance": [
        (lambda: m.js_distance(*ERASURE["rows"], base=2), math.sqrt(ERASURE["bits"]), 14)
    ],
    "gini": [
        (lambda: m.gini(m.Counts(HAN["target"])), HAN["gini"], 3),
        (lambda: m.gini(HORSES), 1 - COLLISION, 15),
    ],
    "renyi_entropy": [
        (lambda: m.renyi_entropy(HORSES, 0, base=2), COVER["powers"]["hartley_bits"], 14),
        (lambda: m.renyi_entropy(HORSES, 2, base=2), -math.log2(COLLISION), 14),
        (lambda: m.renyi_entropy(HORSES, math.inf, base=2), COVER["powers"]["least_bits"], 14),
    ],
    "tsallis_entropy": [(lambda: m.tsallis_entropy(HORSES, 2), 1 - COLLISION, 15)],
    "renyi_divergence": [
        (lambda: m.renyi_divergence(*PAIR, 0.5), -2 * math.log(1 - HELLINGER), 14),
        (lambda: m.renyi_divergence(*PAIR, 2), math.log(SECOND), 14),
        (lambda: m.renyi_divergence(*PAIR, math.inf, base=2), COVER["powers"]["most_bits"], 14),
    ],
    "f_divergence": [
        (lambda: m.f_divergence(*PAIR, "total_variation"), float(Fraction(COVER["powers"]["total_variation"])), 15),
        (lambda: m.f_divergence(*PAIR, "squared_hellinger"), HELLINGER, 15),
        (lambda: m.f_divergence(*PAIR, "chi_square"), SECOND - 1, 15),
        (lambda: m.f_divergence(*PAIR, "alpha", alpha=2), (SECOND - 1) / 2, 15),
    ],
    "conditional_entropy": [
        (lambda: m.conditional_entropy(JOINT, given=0, base=2), COVER["joint"]["x_given_y"], 14)
    ],
    "mutual_information": [
        (lambda: m.mutual_information(JOINT, base=2), COVER["joint"]["mutual_information"], 14),
        (lambda: m.mutual_information(m.Counts(POULTRY), base=2), MANNING["export_poultry"]["bits"], 7),
        (lambda: m.mutual_information(COINS.sum(2)), COVER["coins"]["unconditional"], 15),
    ],
    "conditional_mutual_information": [
        (lambda: m.conditional_mutual_information(COINS, base=2), COVER["coins"]["conditional"], 14)
    ],
    "total_correlation": [
        (lambda: m.total_correlation(JOINT, base=2), COVER["joint"]["mutual_information"], 14)
    ],
    "variation_of_information": [
        (lambda: m.variation_of_information(JOINT, base=2), COVER["variation"]["value"], 14)
    ],
    "normalized_mutual_information": [
        (lambda: m.normalized_mutual_information(CLUSTERS), MANNING["clusters"]["nmi"], 2)
    ],
    "adjusted_mutual_information": [
        (lambda one=one: m.adjusted_mutual_information(m.Counts.from_samples(one["x"], given=one["y"]), average=one["average"]), one["value"], 5)
        for one in AGREED
    ],
    "symmetric_uncertainty": [
        (lambda: m.symmetric_uncertainty(CLUSTERS), MANNING["clusters"]["nmi"], 2),
        (lambda: m.symmetric_uncertainty(m.Counts(UNSURE["counts"])), UNSURE["value"], 14),
    ],
    "information_gain": [
        (lambda: m.information_gain(INCOME, base=2), HAN["income"]["gain"], 3)
    ],
    "gain_ratio": [(lambda: m.gain_ratio(INCOME), HAN["income"]["ratio"], 3)],
    "estimate_entropy": [
        (lambda: m.estimate_entropy(sample(NDD["counts"]), method="nsb", size=100).value, NDD["nsb_100"], 5),
        (lambda: m.estimate_entropy(sample(NDD["counts"]), method="nsb", size=100).standard_error, NDD["nsb_100_deviation"], 4),
        (lambda: math.exp(m.estimate_entropy(sample(SPIDERS["counts"])).value), SPIDERS["observed"], 6),
        (lambda: math.exp(m.estimate_entropy(sample(SPIDERS["counts"]), method="chao_wang_jost").value), SPIDERS["estimated"], 6),
        *((partial(in_r, method, one["counts"]), one["value"], 11) for method in ("plugin", "chao_shen") for one in IN_R[method]),
    ],
    "estimate_mutual_information": [
        (lambda: m.estimate_mutual_information(*rows_of(POULTRY), base=2).value, MANNING["export_poultry"]["bits"], 7)
    ],
    "estimate_kl_divergence": [
        (lambda: m.estimate_kl_divergence(sample([9, 12, 4]), "012").value, math.inf, 0),
        (lambda: m.estimate_kl_divergence(sample([9, 12, 4]), [0, 1, 2]).value, KULLBACK["p_q"], 7),
    ],
    "estimate_cross_entropy": [
        (lambda: 2 ** m.estimate_cross_entropy(sample(SAID), sample([8, 1, 1]), base=2).value, MODEL["perplexity"], 2)
    ],
    "rank_features": [
        (lambda: m.rank_features(windy(), "play", base=2)[0].score, QUINLAN["columns"]["windy"]["gain"], 3)
    ],
    "drift": [
        (lambda: m.drift(*map(drawn, ERASURE["rows"]), base=2)[0].js, ERASURE["bits"], 14),
        # Half a row more in each bin is nothing where each row stands for a million.
        (lambda: m.drift(*(binned(PSI[t], 1e6) for t in ("reference", "current")), weights="rows")[0].psi, PSI["psi"], 6),
        (lambda: m.drift(*(binned(PSI[t], 1) for t in ("reference", "current")), weights="rows")[0].psi, PSI["psi"], 4),
    ],
}  # fmt: skip


@pytest.mark.parametrize("name", NUMBERS)
def test_the_number_in_the_book(name):
    for call, printed, decimals in NUMBERS[name]:
        np.testing.assert_allclose(call(), printed, rtol=0, atol=0.5000001 * 10.0**-decimals)


def test_every_function_has_one():
    functions = {name for name in m.__all__ if callable(getattr(m, name)) and name.islower()}
    lacking = sorted(functions ^ set(NUMBERS))
    assert not lacking, (
        f"NUMBERS in tests/measures/test_books.py needs a line for {lacking[0]!r}: a call, the number "
        "that a book, a paper or another library gives for it, and how many of its decimals"
    )


def test_the_page_says_formula_trap_and_source():
    page = (GOLDEN.parents[1] / "docs" / "measures.md").read_text()
    section = page.split("## The functions")[1].split("\n## ")[0]
    lines = [line for line in section.splitlines() if line.startswith("| `")]
    cells = [re.split(r"(?<!\\)\|", line.strip("|")) for line in lines]
    assert all(len(row) == 4 and all(cell.strip() for cell in row) for row in cells)
    named = {row[0].strip(" `").partition("(")[0] for row in cells}
    takes = {n for n in m.__all__ if {"p", "joint"} & set(getattr(m, n).__annotations__)}
    assert named == takes, "run `make tables`: docs/measures.md, 'The functions', has other names"

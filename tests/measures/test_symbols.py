"""Distributions that know their symbols are measured symbol by symbol, whatever holds them."""

import math
import re
from collections import Counter

import jax.numpy as jnp
import numpy as np
import pandas as pd
import polars as pl
import pyarrow as pa
import pytest
import scipy.sparse
import torch
from numpy.testing import assert_allclose

from xent import measures as m
from xent.measures import Counts, Logits, LogProbs

OLD, NEW = "aabbbcdd", "ddddaaabce"  # ranked by frequency their symbols have other orders


def shares(text):
    return {s: n / len(text) for s, n in Counter(text).items()}


def pairs(p, q):
    return [(p.get(s, 0.0), q.get(s, 0.0)) for s in sorted({*p, *q})]


def kl(p, q):
    return sum(a * math.log(a / b) if b else math.inf for a, b in pairs(p, q) if a)


def mixed(*many, weights):
    keys = {s for one in many for s in one}
    return {s: sum(w * one.get(s, 0.0) for w, one in zip(weights, many, strict=True)) for s in keys}


def js(*many, weights=None):
    weights = weights or [1 / len(many)] * len(many)
    middle = mixed(*many, weights=weights)
    return sum(w * kl(one, middle) for w, one in zip(weights, many, strict=True))


def entropy(p):
    return -sum(a * math.log(a) for a in p.values())


# Each measure of two by a loop over the symbols of a dict.
MEASURES = {
    "kl_divergence": (m.kl_divergence, kl),
    "cross_entropy": (m.cross_entropy, lambda p, q: entropy(p) + kl(p, q)),
    "perplexity": (m.perplexity, lambda p, q: math.exp(entropy(p) + kl(p, q))),
    "js_divergence": (m.js_divergence, js),
    "js_weighted": (
        lambda p, q: m.js_divergence(p, q, weights=[0.2, 0.8]),
        lambda p, q: js(p, q, weights=[0.2, 0.8]),
    ),
    "js_distance": (m.js_distance, lambda p, q: math.sqrt(js(p, q))),
    "renyi": (
        lambda p, q: m.renyi_divergence(p, q, 2),
        lambda p, q: math.log(sum(a * a / b for a, b in pairs(p, q) if a)),
    ),
    "renyi_half": (
        lambda p, q: m.renyi_divergence(p, q, 0.5),
        lambda p, q: -2 * math.log(sum(math.sqrt(a * b) for a, b in pairs(p, q))),
    ),
    "total_variation": (
        lambda p, q: m.f_divergence(p, q, "total_variation"),
        lambda p, q: 0.5 * sum(abs(a - b) for a, b in pairs(p, q)),
    ),
    "squared_hellinger": (
        lambda p, q: m.f_divergence(p, q, "squared_hellinger"),
        lambda p, q: 1 - sum(math.sqrt(a * b) for a, b in pairs(p, q)),
    ),
    "chi_square": (
        lambda p, q: m.f_divergence(p, q, "chi_square"),
        lambda p, q: sum((a - b) ** 2 / b for a, b in pairs(p, q)),
    ),
    "alpha": (
        lambda p, q: m.f_divergence(p, q, "alpha", alpha=3),
        lambda p, q: (sum(a**3 / b**2 for a, b in pairs(p, q) if a) - 1) / 6,
    ),
}


def with_symbols(array):
    """Counts of an array that a library made, its symbols ranked by frequency."""

    def made(text):
        ranked = Counter(text).most_common()
        return Counts(array([n for _, n in ranked]), (tuple(s for s, _ in ranked),))

    return made


def series(text):
    return pd.Series(list(text)).value_counts()


HOLDERS = {
    "from_samples": Counts.from_samples,
    "counter": Counter,
    "counts of a dict": lambda text: Counts(dict(Counter(text))),
    "dict": shares,
    "logits of a dict": lambda text: Logits({s: math.log(n) for s, n in Counter(text).items()}),
    "logarithms of a Series": lambda text: LogProbs(np.log(series(text) / len(text))),
    "value_counts": lambda text: Counts(series(text)),
    "shares of value_counts": lambda text: pd.Series(list(text)).value_counts(normalize=True),
    "Int64": lambda text: Counts(series(text).astype("Int64")),
    "categories": lambda text: Counts(
        pd.Series(pd.Categorical(list(text), list("zedcba"))).value_counts()
    ),
    "value_counts as a frame": lambda text: Counts(series(text).to_frame()),
    "value_counts without index": lambda text: Counts(series(text).reset_index()),
    "groupby": lambda text: Counts(pd.DataFrame({"x": list(text)}).groupby("x").size()),
    "row of a frame": lambda text: Counts(series(text).to_frame().T.iloc[0]),
    "polars": lambda text: Counts(pl.Series("x", list(text)).value_counts(sort=True)),
    "shares of polars": lambda text: pl.Series("x", list(text)).value_counts(normalize=True),
    "polars group_by": lambda text: Counts(pl.DataFrame({"x": list(text)}).group_by("x").len()),
    "arrow": lambda text: Counts(pa.array(list(text)).value_counts()),
    "arrow in chunks": lambda text: Counts(pa.chunked_array([list(text)]).value_counts()),
    "numpy's unique_counts": lambda text: Counts(np.unique_counts(list(text))),
    "torch": with_symbols(lambda n: torch.tensor(n, dtype=torch.float64)),
    "jax": with_symbols(lambda n: jnp.asarray(n, jnp.float32)),
}


@pytest.mark.parametrize("name", MEASURES)
@pytest.mark.parametrize("holder", HOLDERS)
def test_measures_take_outcomes_by_their_symbols(holder, name):
    ours, oracle = MEASURES[name]
    made = HOLDERS[holder]
    found, truth = ours(made(OLD), made(NEW)), oracle(shares(OLD), shares(NEW))
    assert_allclose(float(found), truth, rtol=2e-6 if holder == "jax" else 1e-12)


@pytest.mark.parametrize("holder", HOLDERS)
def test_what_one_side_lacks_counts_0_there(holder):
    made = HOLDERS[holder]
    assert float(m.kl_divergence(made("aab"), made("ccd"))) == math.inf
    assert float(m.cross_entropy(made("aab"), made("ccd"))) == math.inf
    assert float(m.perplexity(made("aab"), made("ccd"))) == math.inf
    assert_allclose(float(m.js_divergence(made("aab"), made("ccd"), base=2)), 1.0, rtol=1e-7)
    assert_allclose(float(m.f_divergence(made("aab"), made("ccd"), "total_variation")), 1.0)
    assert float(m.renyi_divergence(made("aab"), made("ccd"), 0)) == math.inf


def test_holders_of_several_kinds_and_more_than_two():
    several = Counter(OLD), series(NEW) / len(NEW), Counts.from_samples("abe")
    truth = js(shares(OLD), shares(NEW), shares("abe"), weights=[0.5, 0.25, 0.25])
    assert_allclose(m.js_divergence(*several, weights=[0.5, 0.25, 0.25]), truth, rtol=1e-12)
    both = Counter("ab"), Counter("ac")
    plain = m.js_divergence(*both, weights=[0.3, 0.7])
    assert m.js_divergence(*both, weights=pd.Series([0.3, 0.7])) == plain
    with pytest.raises(TypeError, match="`weights` must be 2 numbers in the order of"):
        m.js_divergence(Counter("ab"), Counter("ac"), weights={"p": 0.5, "q": 0.5})


def test_sparse_tables_are_aligned_too():
    wide = scipy.sparse.csr_array([[2, 3, 1, 2, 0]])
    old = Counts(wide, (("all",), tuple("abcdz")))
    new = Counts(scipy.sparse.csr_array([[4, 3, 1, 1, 1]]), (("all",), tuple("dabce")))
    assert_allclose(m.kl_divergence(old, new), [kl(shares(OLD), shares(NEW))], rtol=1e-12)
    assert_allclose(m.js_divergence(old, Counter(NEW)), [js(shares(OLD), shares(NEW))], rtol=1e-12)
    rng = np.random.default_rng(0)
    x, y = rng.integers(0, 5000, (2, 20_000))
    pieces = [
        Counts.from_samples([f"x{i}" for i in a], given=[f"y{i}" for i in b])
        for a, b in ((x, y), (x[::-1], y[::-1]))
    ]
    assert hasattr(pieces[0].values, "tocoo")
    swapped = Counts(
        pieces[1].values[::-1].tocsr(), (pieces[1].symbols[0][::-1], pieces[1].symbols[1])
    )
    assert m.kl_divergence(pieces[0], swapped, axis=(0, 1)) == 0
    found = m.js_divergence(pieces[0], swapped, axis=-1)
    assert_allclose(found, 0.0, atol=1e-15)


def crosstab(rows, columns):
    return pd.crosstab(pd.Series(list(rows), name="look"), pd.Series(list(columns), name="play"))


def test_joint_tables_are_aligned_by_rows_and_columns():
    one, other = crosstab("aabbc", "xyyyx"), crosstab("cbaab", "zyxyx")
    truth = js(
        shares([*zip("aabbc", "xyyyx", strict=True)]), shares([*zip("cbaab", "zyxyx", strict=True)])
    )
    found = m.js_divergence(Counts(one), Counts(other.iloc[::-1, ::-1]), axis=(0, 1))
    assert_allclose(found, truth, rtol=1e-12)
    each = m.js_divergence(Counts(one), Counts(other.iloc[::-1, ::-1]))  # a distribution a row
    rows = [("xy", "xy"), ("yy", "xy"), ("x", "z")]
    by_hand = [js(shares(p), shares(q)) for p, q in rows]
    assert_allclose(each, by_hand, rtol=1e-12, atol=1e-16)
    with pytest.raises(ValueError, match=r"in the order \['look', 'play'\].*Transpose"):
        m.kl_divergence(Counts(one), Counts(other.T), axis=(0, 1))
    assert_allclose(
        m.kl_divergence(Counts.from_samples("aabb", given="xyyy"), Counts(crosstab("baba", "yxyy")), axis=(0, 1)),
        0.0,
        atol=1e-15,
    )  # fmt: skip


def test_columns_of_data_frames_are_taken_by_name():
    p = pd.DataFrame([[0.2, 0.3, 0.5], [0.1, 0.1, 0.8]], columns=list("abc"), index=["u", "v"])
    assert (m.kl_divergence(p, p[["c", "a", "b"]]) == 0).all()
    assert (m.kl_divergence(p, p.iloc[::-1, [2, 0, 1]]) == 0).all()
    assert (m.kl_divergence(pl.from_pandas(p), pl.from_pandas(p[["b", "c", "a"]])) == 0).all()
    arrow = pa.table({name: p[name].to_numpy() for name in p})
    assert (m.kl_divergence(arrow, arrow.select(["b", "c", "a"])) == 0).all()
    assert (m.kl_divergence(p.T, p.T.iloc[::-1, ::-1], axis=0) == 0).all()
    truth = {"a": 0.5, "b": 0.5}
    assert_allclose(m.kl_divergence(truth, p), [kl(truth, dict(r)) for _, r in p.iterrows()])
    with pytest.raises(
        ValueError, match=r"`q` must have the rows of `p` by their labels, got none"
    ):
        m.kl_divergence(p, p.set_axis(["u", "w"]))
    with pytest.raises(ValueError, match="`q` must name its outcomes, as `p` does, got 3 without"):
        m.kl_divergence(p, p.to_numpy())


def test_tables_from_pairs_of_symbols():
    truth = m.mutual_information([[1 / 4, 1 / 4], [0, 1 / 2]])
    frame = pd.DataFrame({"x": list("aabb"), "y": list("xyyy")})
    for pairs_ in (
        Counter(zip("aabb", "xyyy", strict=True)),
        Counts(frame.value_counts()),
        Counts(frame.groupby(["x", "y"]).size()),
        frame.value_counts(normalize=True),
        Counts(pl.from_pandas(frame).group_by("x", "y").len()),
        Counts(frame.value_counts().reset_index()),
    ):
        assert_allclose(m.mutual_information(pairs_), truth, rtol=1e-14)
        assert_allclose(m.conditional_entropy(pairs_, given=-2), math.log(2) / 2, rtol=1e-14)
    for counts in (Counter(zip("aabb", "xyyy", strict=True)), Counts(frame.value_counts())):
        by_place = m.adjusted_mutual_information(Counts([[1, 1], [0, 2]]))
        assert_allclose(m.adjusted_mutual_information(counts), by_place)
    three = Counter([("a", 0, 0), ("b", 1, 0), ("a", 1, 1), ("b", 0, 1)])
    assert_allclose(m.conditional_mutual_information(three, base=2), 1.0)
    with pytest.raises(ValueError, match=r"`joint` must have no margins, got 'All'"):
        m.mutual_information(Counts(pd.crosstab(frame.x, frame.y, margins=True)))
    with pytest.raises(ValueError, match=r"`joint` must have no margins, got 'All'"):
        m.adjusted_mutual_information(Counts(pd.crosstab(frame.x, frame.y, margins=True)))
    with pytest.raises(ValueError, match="`joint` must be a table, or symbols with their counts"):
        m.mutual_information(
            Counts(pl.DataFrame({"x": [1, 1], "y": [2, 3]}).group_by("x", "y").len())
        )


def test_a_plain_array_beside_symbols():
    ids = pd.Series([2, 2, 2, 1, 1, 0]).value_counts()  # ranked: 2, 1, 0
    truth = kl({0: 1 / 6, 1: 2 / 6, 2: 3 / 6}, {0: 0.2, 1: 0.3, 2: 0.5})
    assert_allclose(m.kl_divergence(Counts(ids), [0.2, 0.3, 0.5]), truth, rtol=1e-12)
    assert_allclose(m.cross_entropy(Counter(OLD), np.full(4, 0.25)), math.log(4))
    for p, q in ((Counter("aab"), [0.6, 0.4]), (Counts(ids + 0), Counts([1, 2, 3, 4]))):
        with pytest.raises(ValueError, match="whose order alone would decide"):
            m.kl_divergence(p, q)
        with pytest.raises(ValueError, match="whose order alone would decide"):
            m.kl_divergence(q, p)
    default = pd.Series([0.5, 0.25, 0.25])  # its RangeIndex names nothing
    assert m.kl_divergence(default, [0.5, 0.25, 0.25]) == 0


def test_missing_values_are_one_symbol():
    found = m.kl_divergence(
        Counts(pd.Series(["a", None, "a"]).value_counts(dropna=False)),
        {None: 1 / 3, "a": 2 / 3},
    )
    assert found == 0
    nan = Counts(pd.Series([np.nan, 1.0, 1.0]).value_counts(dropna=False))
    assert m.kl_divergence(nan, Counts.from_samples([1, None, 1], missing="symbol")) == 0
    assert m.kl_divergence(nan, Counts(pl.Series([1, 1, None]).value_counts())) == 0


@pytest.mark.parametrize(
    ("p", "q", "got"),
    [
        (Counter([1, 2]), Counter(["1", "2"]), r"'1' \(str\) beside 1 \(int\)"),
        (Counter([1, 2]), Counter(["2", "x"]), r"'2' \(str\) beside 2 \(int\)"),
        (Counter([True, False]), Counter(["True", "False"]), r"'True' \(str\) beside True"),
        (Counter("ab"), Counter(b"ab"), r"97 \(int\) beside 'a' \(str\)"),
        (
            Counts(pd.to_datetime(pd.Series(["2024-01-01"])).value_counts()),
            Counts(pd.Series(["2024-01-01"]).value_counts()),
            r"'2024-01-01' \(str\) beside Timestamp",
        ),
        (
            Counts(pd.to_datetime(pd.Series(["2024-01-01"])).value_counts()),
            Counts(pd.to_datetime(pd.Series(["2024-01-01"]), utc=True).value_counts()),
            r"beside Timestamp",
        ),
    ],
)
def test_symbols_that_differ_by_type_alone_are_refused(p, q, got):
    with pytest.raises(
        ValueError, match="`q` must have symbols of the type of those of `p`.*" + got
    ):
        m.kl_divergence(p, q)


def test_symbols_of_another_type_beside_those_in_common_are_symbols():
    """1 and 2 are in both, so that nothing is told apart by its type alone."""
    assert m.kl_divergence({1: 0.5, 2: 0.5}, {1: 0.25, 2: 0.25, "x": 0.5}) == math.log(2)
    assert m.kl_divergence({1: 0.5, 2: 0.5}, {"x": 0.5, None: 0.25, 2: 0.25}) == math.inf
    assert m.kl_divergence({1: 0.25, 2: 0.75}, {2: 0.75, None: 0.0, 1: 0.25}) == 0


def test_numbers_are_symbols_by_value():
    assert m.kl_divergence(Counter([1, 2]), Counter([1.0, 2.0])) == 0
    assert m.kl_divergence(Counter([True, False]), Counter([1, 0])) == 0
    assert m.kl_divergence(Counter([np.int8(1)]), Counter([np.float64(1)])) == 0


def test_symbols_that_do_not_tell_outcomes_apart_are_refused():
    twice = pd.Series([0.5, 0.5], index=["a", "a"])
    with pytest.raises(ValueError, match=r"`q` must name every symbol once, got 'a' and 'a'"):
        m.kl_divergence({"a": 1.0}, twice)
    with pytest.raises(ValueError, match="`p` must name every symbol once"):
        m.js_divergence(twice, twice.iloc[::-1])
    bins = [pd.cut(pd.Series(np.arange(10.0) ** a), 3).value_counts() for a in (1, 0.9)]
    with pytest.raises(ValueError, match="`q` must be cut at the edges of the others"):
        m.kl_divergence(*map(Counts, bins))
    bins = [pd.cut(pd.Series(np.arange(1, 10.0) ** a), [0, 3, 6, 9]) for a in (1, 0.9)]
    by_hand = kl({0: 1 / 3, 1: 1 / 3, 2: 1 / 3}, {0: 3 / 9, 1: 4 / 9, 2: 2 / 9})
    assert_allclose(m.kl_divergence(*(Counts(b.value_counts()) for b in bins)), by_hand)
    for wrong in ((("a", "b"),), (("a", "b", "c"), ("d",))):
        with pytest.raises(ValueError, match="`p` must have one symbol for each outcome"):
            m.kl_divergence(Counts([1, 2, 3], wrong), Counter("ab"))


def test_where_is_taken_by_symbol_or_refused():
    old, new = Counts(series(OLD)), Counts(series(NEW))
    truth = kl(shares("aabbb"), shares("aaab"))
    keep = {s: s in "ab" for s in "edcba"}
    assert_allclose(m.kl_divergence(old, new, where=keep), truth, rtol=1e-12)
    assert_allclose(m.kl_divergence(old, new, where=pd.Series(keep)), truth, rtol=1e-12)
    assert_allclose(m.entropy(old, where=keep), entropy(shares("aabbb")), rtol=1e-12)
    with pytest.raises(ValueError, match="`where` must have symbols where those of"):
        m.kl_divergence(old, new, where=[True] * 4)
    with pytest.raises(ValueError, match="`where` must say of every symbol, got no 'd'"):
        m.kl_divergence(old, new, where={s: True for s in "abce"})


def test_gradients_pass_through_symbols():
    z = torch.tensor([0.5, -1.0], dtype=torch.float64, requires_grad=True)
    weights = torch.exp(z)
    m.kl_divergence(Counter("abb"), Counts(weights, (("b", "a"),))).backward()
    q = torch.softmax(z.detach(), 0)
    assert_allclose(z.grad, q.numpy() - [2 / 3, 1 / 3], rtol=1e-12)


@pytest.mark.parametrize(
    "call",
    [
        lambda: m.entropy(["a", "b"]),
        lambda: m.entropy([0, 1, 0, 1]),
        lambda: m.kl_divergence(["a", "b"], ["a", "c"]),
        lambda: m.mutual_information([0, 1, 1], [1, 1, 0]),
        lambda: m.mutual_information(x := np.array([0, 1, 1]), x),
        lambda: m.normalized_mutual_information(list("ab"), list("ab")),
        lambda: m.mutual_information([["a", "b"], ["b", "a"]]),
        lambda: m.entropy(pd.Series(list("ab"))),
    ],
)
def test_labels_where_probabilities_are_expected_get_the_way_out(call):
    with pytest.raises((ValueError, TypeError), match=r"estimate_\w+.*Counts\.from_samples\("):
        call()


def test_tensors_of_one_number_are_the_number():
    """As symbols each would be one of its own: a tensor is equal to no other."""
    found = Counts.from_samples([torch.tensor(2), np.array(1), torch.tensor(2)])
    assert (found.values.tolist(), found.symbols) == ([1, 2], ((1, 2),))
    with pytest.raises(TypeError, match=r"hold hashable symbols, got a list at \[0\]"):
        Counts.from_samples([torch.tensor([1, 2]), torch.tensor([1, 2])])


@pytest.mark.parametrize(
    ("one", "other", "what"),
    [
        ("caf\u00e9", "cafe\u0301", "how accents are encoded (NFC or NFD)"),
        ("a", "a ", "blanks alone"),
        ("Ann", "ann", "capital letters alone"),
    ],
)
def test_symbols_that_are_written_otherwise_are_doubted(one, other, what):
    said = f"may be one of the others: {other!r} differs from {one!r} in {what}."
    with pytest.warns(UserWarning, match=re.escape(f"`q` has a symbol that {said}")):
        assert m.kl_divergence({one: 0.2, "z": 0.8}, {other: 0.2, "z": 0.8}) == math.inf


def test_symbols_that_both_have_are_not_doubted():
    found = m.kl_divergence({"a": 0.5, "A": 0.5}, {"A": 0.5, "a": 0.25, "b": 0.25})
    assert found == pytest.approx(0.5 * math.log(2), abs=1e-15)

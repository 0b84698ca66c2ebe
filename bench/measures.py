"""Measures: the time of reading the data as the yardstick, peers, small calls, error in ULP.

Accuracy and speed are those of the same kernels; the truth is mpmath's (tests/measures/truth.py).
"""

import subprocess
import sys
import time
import timeit
import warnings
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

from bench.ratio import HEADER, machine, pretty, ratio
from xent import measures as m

ROWS, OUTCOMES = 10_000, 1000


def run() -> str:
    import numba

    numba.set_num_threads(1)
    return "\n\n".join(
        (
            f"{machine('numba', 'scipy', 'torch', 'torchmetrics')}; one thread.",
            f"Rows: {ROWS} x {OUTCOMES} float64, checks on. A ratio below 1 is in our favour.",
            speed(),
            small(),
            first_call(),
            samples(),
            tables(),
            densities(),
            accuracy(),
        )
    )


def speed() -> str:
    from scipy.spatial.distance import jensenshannon
    from scipy.special import softmax
    from scipy.stats import entropy as scipy_entropy
    from sklearn.metrics import mutual_info_score

    rng = np.random.default_rng(0)
    p, q = rng.dirichlet(np.ones(OUTCOMES), (2, ROWS))
    flat = rng.random((ROWS, OUTCOMES))
    flat /= flat.sum(1, keepdims=True)
    ten, other = rng.dirichlet(np.ones(10), 2)
    counts, logits = rng.integers(1, 50, 10), rng.normal(size=10)

    def read() -> object:
        return p.sum(axis=1)

    work = [
        ("entropy / P.sum(axis=1)", lambda: m.entropy(p), read, "<= 1.3"),
        ("entropy, flat rows / P.sum", lambda: m.entropy(flat), read, "<= 1.3"),
        ("cross-entropy / P.sum", lambda: m.cross_entropy(p, q), read, ""),
        ("KL / P.sum", lambda: m.kl_divergence(p, q), read, "<= 2"),
        ("JS / P.sum", lambda: m.js_divergence(p, q), read, "<= 2.5"),
        (
            "entropy / scipy",
            lambda: m.entropy(p),
            lambda: scipy_entropy(p, axis=1),
            "<= 0.1",
        ),
        (
            "KL / scipy",
            lambda: m.kl_divergence(p, q),
            lambda: scipy_entropy(p, q, axis=1),
            "<= 0.1",
        ),
        (
            "JS distance / scipy",
            lambda: m.js_distance(p, q),
            lambda: jensenshannon(p, q, axis=1),
            "<= 0.1",
        ),
    ]
    lines = [ratio(name, a, b, seconds=6.0).row(goal) for name, a, b, goal in work]
    lines += [ratio(n, f, read, seconds=3.0).row("limit") for n, f in limits(p, q)]
    lines += torchmetrics_lines(p, q)
    ten_outcomes = [
        ("10 outcomes: entropy / scipy", lambda: m.entropy(ten), lambda: scipy_entropy(ten)),
        (
            "10 outcomes: KL / scipy",
            lambda: m.kl_divergence(ten, other),
            lambda: scipy_entropy(ten, other),
        ),
        (
            "10 outcomes: JS distance / scipy",
            lambda: m.js_distance(ten, other),
            lambda: jensenshannon(ten, other),
        ),
        (
            "10 counts: entropy / scipy",
            lambda: m.entropy(m.Counts(counts)),
            lambda: scipy_entropy(counts),
        ),
        (
            "10 logits: entropy / scipy's softmax and entropy",
            lambda: m.entropy(m.Logits(logits)),
            lambda: scipy_entropy(softmax(logits)),
        ),
        (
            "2 x 5 counts: gain ratio / sklearn's I",
            lambda: m.gain_ratio(m.Counts(counts.reshape(2, 5))),
            lambda: mutual_info_score(None, None, contingency=counts.reshape(2, 5)),
        ),
    ]
    lines += [
        ratio(n, a, b, seconds=1.0, inner=100).row("ours <= 20 µs") for n, a, b in ten_outcomes
    ]
    return "\n".join((HEADER, *lines))


def limits(p: np.ndarray, q: np.ndarray) -> list[tuple[str, Callable[[], None]]]:
    """NumPy's vectorised logarithms alone, 32 rows at a time into a buffer that stays near."""
    one, other = np.empty((2, 32, p.shape[1]))

    def of_each(step: Callable[[np.ndarray, np.ndarray], None]) -> Callable[[], None]:
        def work() -> None:
            for i in range(0, len(p), 32):
                step(p[i : i + 32], q[i : i + 32])

        return work

    def log(x: np.ndarray, _y: np.ndarray) -> None:
        np.log(x, out=one[: len(x)])

    def log_of_ratio(x: np.ndarray, y: np.ndarray) -> None:
        np.log(np.divide(x, y, out=one[: len(x)]), out=one[: len(x)])

    def logs_of_shares(x: np.ndarray, y: np.ndarray) -> None:
        middle = np.add(x, y, out=other[: len(x)])
        for row in (x, y):
            np.log(np.divide(row, middle, out=one[: len(x)]), out=one[: len(x)])

    return [
        ("limit of entropy: np.log(P) / P.sum", of_each(log)),
        ("limit of KL: np.log(P / Q) / P.sum", of_each(log_of_ratio)),
        ("limit of JS: np.log(P / (P + Q)), np.log(Q / (P + Q)) / P.sum", of_each(logs_of_shares)),
    ]


def small() -> str:
    """Every function of distributions on ten outcomes, or on two variables of 2 and 5 values."""
    rng = np.random.default_rng(0)
    p, q = rng.dirichlet(np.ones(10), 2)
    n, k = rng.integers(1, 50, (2, 10))
    z, y = rng.normal(size=(2, 10))
    kinds = [(p, q), (m.Counts(n), m.Counts(k)), (m.Logits(z), m.Logits(y))]

    def reshaped(value: Any, *shape: int) -> Any:
        if isinstance(value, np.ndarray):
            return value.reshape(shape)
        return type(value)(value.values.reshape(shape))

    of_one = [m.entropy, m.self_information, m.gini, m.perplexity]
    of_two = [m.cross_entropy, m.kl_divergence, m.js_divergence, m.js_distance]
    joint = [
        m.mutual_information, m.normalized_mutual_information, m.variation_of_information,
        m.information_gain, m.gain_ratio, m.symmetric_uncertainty,
    ]  # fmt: skip
    work: dict[str, Callable[[Any, Any], Any]] = {
        **{f.__name__: lambda a, b, f=f: f(a) for f in of_one},
        "renyi_entropy, 2": lambda a, b: m.renyi_entropy(a, 2),
        "tsallis_entropy, 2": lambda a, b: m.tsallis_entropy(a, 2),
        **{f.__name__: lambda a, b, f=f: f(a, b) for f in of_two},
        "js_divergence, weights": lambda a, b: m.js_divergence(a, b, weights=[0.3, 0.7]),
        "renyi_divergence, 2": lambda a, b: m.renyi_divergence(a, b, 2),
        "f_divergence, chi_square": lambda a, b: m.f_divergence(a, b, "chi_square"),
        "f_divergence, alpha": lambda a, b: m.f_divergence(a, b, "alpha", alpha=2),
        "conditional_entropy": lambda a, b: m.conditional_entropy(a, given=-1),
        **{f.__name__: lambda a, b, f=f: f(a) for f in joint},
        "conditional_mutual_information": lambda a, b: m.conditional_mutual_information(a),
    }
    shapes = {f.__name__: (2, 5) for f in (m.conditional_entropy, *joint)}
    shapes["conditional_mutual_information"] = (1, 2, 5)
    lines = [
        "| 10 outcomes, best of 20 rounds, goal <= 20 µs | probabilities | Counts | Logits |",
        "| --- | --- | --- | --- |",
    ]
    for name, f in work.items():
        times = []
        for pair in kinds:
            a, b = (reshaped(v, *shapes.get(name, (10,))) for v in pair)
            f(a, b)
            found = timeit.repeat(lambda f=f, a=a, b=b: f(a, b), number=200, repeat=20)
            times.append(pretty(min(found) / 200))
        lines.append(f"| {name} | {' | '.join(times)} |")
    return "\n".join(lines)


def torchmetrics_lines(p: np.ndarray, q: np.ndarray) -> list[str]:
    try:
        import torch

        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            from torchmetrics.functional.regression import (
                jensen_shannon_divergence,
                kl_divergence,
            )
    except ImportError:
        return []
    torch.set_num_threads(1)
    left, right = torch.tensor(p), torch.tensor(q)
    work = [
        (
            "KL / torchmetrics",
            lambda: m.kl_divergence(p, q),
            lambda: kl_divergence(left, right, reduction="none"),
        ),
        (
            "JS / torchmetrics",
            lambda: m.js_divergence(p, q),
            lambda: jensen_shannon_divergence(left, right, reduction="none"),
        ),
    ]
    return [ratio(name, a, b, seconds=6.0).row("<= 0.04") for name, a, b in work]


def first_call() -> str:
    code = (
        "import numpy, time; t = time.perf_counter(); import xent.measures as m;"
        "m.kl_divergence([0.5, 0.5], [0.25, 0.75]); print(time.perf_counter() - t)"
    )
    times = [
        float(subprocess.run([sys.executable, "-c", code], capture_output=True, check=True).stdout)
        for _ in range(5)
    ]
    best = f"{min(times):.2f} s (goal <= 0.5 s)"
    return f"First KL of a process, Numba's import and cached kernels in it: {best}."


def samples() -> str:
    from sklearn.feature_selection import mutual_info_regression
    from sklearn.metrics import mutual_info_score

    rng = np.random.default_rng(0)
    x, y = rng.integers(0, 100, 1_000_000), rng.integers(0, 50, 1_000_000)

    def three() -> None:
        counts = m.Counts.from_samples(x, given=y)
        m.entropy(m.Counts(counts.values.sum(0)))
        m.conditional_entropy(counts, given=0)
        m.mutual_information(counts)

    a, b = rng.standard_normal((2, 20_000))
    b += a
    work = [
        ("H, H(Y given X), I of 1e6 rows / sklearn's I", three, lambda: mutual_info_score(x, y),
         "<= 0.025"),
        ("the same / one bincount of the pairs", three, lambda: np.bincount(x * 50 + y), "<= 0.83"),
        ("KSG of 20,000 pairs / sklearn", lambda: m.estimate_mutual_information(a, b, method="ksg"),
         lambda: mutual_info_regression(a[:, None], b, random_state=0), "<= 0.5"),
    ]  # fmt: skip
    return "\n".join((HEADER, *(ratio(n, f, g, seconds=4.0).row(goal) for n, f, g, goal in work)))


def tables() -> str:
    """Rank and compare Parquet files; pandas reads them whole for scikit-learn and scipy."""
    import tempfile

    import pandas as pd
    from scipy.spatial.distance import jensenshannon
    from sklearn.metrics import mutual_info_score

    names = [f"c{i}" for i in range(6)]

    def frame(seed: int) -> pd.DataFrame:
        rng = np.random.default_rng(seed)
        words = np.array([f"word {i}" for i in range(50)])
        found = pd.DataFrame({name: words[rng.integers(0, 50, 400_000)] for name in names})
        return found.assign(x=rng.normal(size=400_000).round(3), y=rng.integers(0, 5, 400_000))

    with tempfile.TemporaryDirectory() as folder:
        paths = [str(Path(folder) / f"{i}.parquet") for i in (0, 1)]
        for seed, path in enumerate(paths):
            frame(seed).to_parquet(path)

        def ranked() -> object:
            table = pd.read_parquet(paths[0])
            table["x"] = pd.qcut(table["x"], 10, labels=False)
            return [mutual_info_score(table[name], table["y"]) for name in [*names, "x"]]

        def moved() -> object:
            old, new = (pd.read_parquet(path) for path in paths)
            found = []
            for name in names:
                both = [t[name].value_counts(normalize=True) for t in (old, new)]
                found.append(jensenshannon(*pd.concat(both, axis=1).fillna(0).to_numpy().T))
            edges = old["x"].quantile(np.arange(1, 10) / 10)
            both = [np.bincount(np.searchsorted(edges, t["x"])) for t in (old, new)]
            return [*found, jensenshannon(*both)]

        work = [
            ("rank_features / pandas, sklearn", lambda: m.rank_features(paths[0], "y"), ranked, ""),
            ("drift / pandas, scipy", lambda: m.drift(*paths), moved, "<= 1"),
        ]
        title = "\nFiles of 400,000 rows: 6 columns of 50 words, one of numbers, 5 classes.\n\n"
        lines = [ratio(name, f, g, seconds=6.0).row(goal) for name, f, g, goal in work]
    return title + "\n".join((HEADER, *lines))


def densities() -> str:
    """Integrals against scipy's own, which knows neither peaks nor tails."""
    from scipy.integrate import quad
    from scipy.stats import cauchy, gamma, norm, skewnorm

    p, q, skew = norm(0, 1), cauchy(0, 1), skewnorm(4)

    def naive() -> float:
        return quad(lambda x: p.pdf(x) * (p.logpdf(x) - q.logpdf(x)), -np.inf, np.inf)[0]

    work = [
        ("H of a gamma, formula / scipy", lambda: m.entropy(gamma(3)), lambda: gamma(3).entropy()),
        ("H of a skew normal, integral / scipy", lambda: m.entropy(skew), skew.entropy),
        ("KL of normal from Cauchy / scipy.integrate.quad", lambda: m.kl_divergence(p, q), naive),
    ]  # fmt: skip
    lines = [ratio(n, f, g, seconds=2.0, inner=5).row("") for n, f, g in work]
    far = norm(0, 1e-9), norm(1000, 1e-9)
    ours = m.js_divergence(*far, base=2)
    theirs = quad(far[1].pdf, -np.inf, np.inf)[0]
    for name, work, goal in kernel_densities():
        start = time.perf_counter()
        found = work()
        took = time.perf_counter() - start
        lines.append(f"| {name}, {found:.9g} nats | {took:.3g} s | | | {goal} |")
    told = f"JS of peaks of width 1e-9, 1000 apart: {ours:.12f} bits; mass that quad finds of one"
    return "\n".join((HEADER, *lines, "", f"{told}: {theirs:.3g} of 1."))


def kernel_densities() -> list[tuple[str, Callable[[], float], str]]:
    """Densities whose integrals took seconds to minutes; the first call of each is timed."""
    from scipy.stats import gaussian_kde, studentized_range

    rng = np.random.default_rng(0)
    many, p, q = (gaussian_kde(rng.standard_normal(n)) for n in (5_000, 1_000, 1_000))
    studied = studentized_range(3, 10)
    x, y = rng.multivariate_normal([0, 0], [[1, 0.7], [0.7, 1]], 1_000_000).round(2).T
    m.entropy(gaussian_kde(rng.standard_normal(50)))  # compiled before
    m.kl_divergence(*(gaussian_kde(rng.standard_normal(50)) for _ in range(2)))
    m.estimate_mutual_information(x[:1000], y[:1000], method="ksg")
    return [
        ("H of a gaussian_kde of 5,000 points", lambda: float(m.entropy(many).value), "0.1 s"),
        ("KL of two of 1,000 points", lambda: float(m.kl_divergence(p, q).value), "0.2 s"),
        ("H of studentized_range(3, 10)", lambda: float(m.entropy(studied).value), ""),
        ("KSG of 1e6 pairs of 2 decimals (truth 0.33667)",
         lambda: float(m.estimate_mutual_information(x, y, method="ksg").value), ""),
    ]  # fmt: skip


def accuracy() -> str:
    sys.path.insert(0, str(Path(__file__).parents[1] / "tests"))
    from measures import truth

    functions = {
        "entropy": (m.entropy, truth.entropy, 4),
        "cross-entropy": (m.cross_entropy, truth.cross_entropy, 4),
        "kl": (m.kl_divergence, truth.kl, 4),
        "js": (m.js_divergence, truth.js, 8),
    }
    rng = np.random.default_rng(0)
    small = [truth.hard_pair(rng, int(rng.choice((2, 3, 5, 10, 33)))) for _ in range(8000)]
    long = [truth.hard_pair(rng, int(rng.choice((200, 1000, 4096)))) for _ in range(60)]
    lines = [
        "| error in ULP, worst | goal | 8000 short rows | 60 rows of 200 to 4096 |",
        "| --- | --- | --- | --- |",
    ]
    pairs = {k: v[:2] for k, v in functions.items()}
    found = [truth.worst_of(pairs, rows) for rows in (small, long)]
    for name, (_, _, goal) in functions.items():
        lines.append(f"| {name} | {goal} | {found[0][name][0]:.2f} | {found[1][name][0]:.2f} |")
    lines.append(
        "\n100,000 rows and rows of 128,000: `pytest -m long tests/measures/test_accuracy.py`."
    )
    return "\n".join(lines)

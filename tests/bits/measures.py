"""The measures: every function over every kind of input, densities, estimates, tables."""

import math
import tempfile
from collections.abc import Callable, Iterator
from itertools import product
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import scipy.sparse
import torch
from scipy import stats

from xent import measures as m

Case = tuple[str, Callable[[], Any]]


def rng(*seed: int) -> np.random.Generator:
    return np.random.default_rng(seed)


def rows(n: int, k: int, kind: str = "uniform", seed: int = 0) -> np.ndarray:
    """Probabilities: alike, far apart, with zeros, over many decades, almost sure."""
    draw = rng(seed, n, k)
    if kind == "spread":
        p = 10.0 ** -draw.uniform(0, 25, (n, k))
    elif kind == "zeros":
        p = draw.integers(0, 3, (n, k)).astype(float)
        p[:, 0] += 1
    elif kind == "sure":
        p = np.full((n, k), 1e-14)
        p[:, 0] = 1
    else:
        p = draw.uniform(0.1, 1, (n, k))
    return p / p.sum(-1, keepdims=True)


def near(p: np.ndarray, by: float) -> np.ndarray:
    q = p * (1 + by * np.where(np.arange(p.shape[-1]) % 2, 1, -1))
    return q / q.sum(-1, keepdims=True)


ONE = {
    "entropy": m.entropy,
    "self_information": m.self_information,
    "perplexity": m.perplexity,
    "gini": m.gini,
    "renyi_entropy 0.5": lambda p, **o: m.renyi_entropy(p, 0.5, **o),
    "renyi_entropy 2": lambda p, **o: m.renyi_entropy(p, 2, **o),
    "renyi_entropy inf": lambda p, **o: m.renyi_entropy(p, math.inf, **o),
    "renyi_entropy 1+1e-9": lambda p, **o: m.renyi_entropy(p, 1 + 1e-9, **o),
    "tsallis_entropy 2": lambda p, **o: m.tsallis_entropy(p, 2, **o),
    "tsallis_entropy 1-1e-7": lambda p, **o: m.tsallis_entropy(p, 1 - 1e-7, **o),
}
TWO = {
    "cross_entropy": m.cross_entropy,
    "kl_divergence": m.kl_divergence,
    "js_divergence": m.js_divergence,
    "js_distance": m.js_distance,
    "perplexity of two": m.perplexity,
    "renyi_divergence 0.5": lambda p, q, **o: m.renyi_divergence(p, q, 0.5, **o),
    "renyi_divergence 1-1e-6": lambda p, q, **o: m.renyi_divergence(p, q, 1 - 1e-6, **o),
    "renyi_divergence 3": lambda p, q, **o: m.renyi_divergence(p, q, 3, **o),
    "total_variation": lambda p, q, **o: m.f_divergence(p, q, "total_variation", **o),
    "squared_hellinger": lambda p, q, **o: m.f_divergence(p, q, "squared_hellinger", **o),
    "chi_square": lambda p, q, **o: m.f_divergence(p, q, "chi_square", **o),
    "alpha": lambda p, q, **o: m.f_divergence(p, q, "alpha", alpha=0.3, **o),
}
JOINT = {
    "mutual_information": m.mutual_information,
    "conditional_entropy given x": lambda p, **o: m.conditional_entropy(p, given=-2, **o),
    "conditional_entropy given y": lambda p, **o: m.conditional_entropy(p, given=-1, **o),
    "normalized_mutual_information": m.normalized_mutual_information,
    "variation_of_information": m.variation_of_information,
    "information_gain": m.information_gain,
    "gain_ratio": m.gain_ratio,
    "symmetric_uncertainty": m.symmetric_uncertainty,
}


def laid(x: np.ndarray, layout: str) -> np.ndarray:
    if layout == "strided":
        wide = np.zeros((*x.shape[:-1], 2 * x.shape[-1]), x.dtype)
        wide[..., ::2] = x
        return wide[..., ::2]
    if layout == "fortran":
        return np.asfortranarray(x)
    if layout == "backwards":
        return x[::-1, ::-1]
    if layout == "read-only":
        x = x.copy()
        x.flags.writeable = False
        return x
    if layout == "broadcast":
        return np.broadcast_to(x[:1], x.shape)
    if layout == "big-endian":
        return x.astype(x.dtype.newbyteorder(">"))
    if layout == "unaligned":
        raw = np.zeros(x.nbytes + 1, np.uint8)[1:].view(x.dtype).reshape(x.shape)
        raw[...] = x
        return raw
    return x


KINDS = ("uniform", "spread", "zeros", "sure")
SIZES = [(1, 1), (3, 2), (5, 10), (4, 129), (2, 1500), (1, 33000)]
LAYOUTS = ("strided", "fortran", "backwards", "read-only", "broadcast", "big-endian", "unaligned")


def views(p: np.ndarray) -> dict[str, Any]:
    """The same rows as every kind of input."""
    counts = np.round(p * 1000).astype(np.int64)
    counts[:, 0] += 1
    with np.errstate(divide="ignore"):
        logs = np.log(p)
    found: dict[str, Any] = {
        "float32": p.astype(np.float32),
        "counts": m.Counts(counts),
        "counts uint8": m.Counts((counts % 200).astype(np.uint8) + 1),
        "counts float": m.Counts(p * 7),
        "logits": m.Logits(logs * 3 + 1),
        "logits float32": m.Logits((logs * 3 + 1).astype(np.float32)),
        "log-probabilities": m.LogProbs(logs),
        "list": p.tolist(),
        "csr": scipy.sparse.csr_array(p),
        "csc": scipy.sparse.csc_array(p),
        "coo counts": m.Counts(scipy.sparse.coo_array(counts)),
        "torch": torch.from_numpy(p),
        "torch float32": torch.from_numpy(p.astype(np.float32)),
        "torch logits": m.Logits(torch.from_numpy(logs * 3 + 1)),
    }
    return found


def discrete() -> Iterator[Case]:
    for (n, k), kind in product(SIZES, KINDS):
        p = rows(n, k, kind)
        for name, f in ONE.items():
            yield f"{name} {kind} {n}x{k}", lambda f=f, p=p: f(p)
        for other, by in (("far", None), ("near", 1e-3), ("nearest", 1e-13), ("same", 0.0)):
            q = rows(n, k, "uniform", 1) if by is None else near(p, by)
            for name, f in TWO.items():
                if other in ("far", "nearest") or name[0] in "kj":
                    yield f"{name} {kind} {n}x{k} {other}", lambda f=f, p=p, q=q: f(p, q)
    p, q = rows(6, 40, "zeros"), rows(6, 40, "uniform", 1)
    options: dict[str, dict[str, Any]] = {
        "base 2": {"base": 2},
        "base 10": {"base": 10},
        "keepdims": {"keepdims": True},
        "where": {"where": np.arange(40) < 25},
        "axis 0": {"axis": 0},
        "axes": {"axis": (0, 1)},
    }
    for (word, o), (name, f) in product(options.items(), [*ONE.items(), *TWO.items()]):
        two = name in TWO

        def call(f: Any = f, o: dict[str, Any] = o, two: bool = two) -> Any:
            x, y = p, q
            if "axis" in o:
                axis = o["axis"]
                x, y = (a / a.sum(axis, keepdims=True) for a in (x, y))
            if "where" in o:
                keep = np.where(o["where"], 1.0, 0.0)
                x, y = (a * keep / (a * keep).sum(-1, keepdims=True) for a in (x, y))
            return f(x, y, **o) if two else f(x, **o)

        yield f"{name} {word}", call
    p, q = rows(6, 40, "uniform", 3), rows(6, 40, "uniform", 1)
    for layout, (name, f) in product(LAYOUTS, [*ONE.items(), *TWO.items()]):
        x, y = laid(p, layout), laid(q, layout)
        yield (
            f"{name} {layout}",
            lambda f=f, x=x, y=y, two=name in TWO: f(x, y) if two else f(x),
        )
    ps, qs = views(p), views(q)
    for kind, (name, f) in product(ps, [*ONE.items(), *TWO.items()]):
        yield (
            f"{name} {kind}",
            lambda f=f, k=kind, two=name in TWO: f(ps[k], qs[k]) if two else f(ps[k]),
        )
        if name in TWO and kind not in ("list", "float32"):
            yield f"{name} {kind} beside dense", lambda f=f, k=kind: f(ps[k], q)
            yield f"{name} dense beside {kind}", lambda f=f, k=kind: f(p, qs[k])
    for name, f in [*ONE.items(), *TWO.items()]:
        large, other = rows(3000, 60, "spread", 4), rows(3000, 60, "uniform", 5)
        yield (
            f"{name} large both",
            lambda f=f, a=large, b=other, two=name in TWO: f(a, b) if two else f(a),
        )
    three = [rows(4, 9, "uniform", seed) for seed in (1, 2, 3)]
    for f in (m.js_divergence, m.js_distance):
        yield f"{f.__name__} of three", lambda f=f: f(*three)
        yield f"{f.__name__} of three weights", lambda f=f: f(*three, weights=[0.2, 0.3, 0.5])


def joint() -> Iterator[Case]:
    for (a, b), kind in product([(2, 2), (3, 5), (40, 30), (200, 300)], KINDS):
        p = rows(3, a * b, kind).reshape(3, a, b)
        for name, f in JOINT.items():
            yield f"{name} {kind} {a}x{b}", lambda f=f, p=p: f(p)
            if kind == "zeros":
                yield f"{name} sparse {a}x{b}", lambda f=f, p=p: f(scipy.sparse.csr_array(p[0]))
                yield f"{name} counts {a}x{b}", lambda f=f, p=p: f(m.Counts(np.round(p * 999) + 1))
                yield f"{name} logits {a}x{b}", lambda f=f, p=p: f(m.Logits(p * 9))
                yield f"{name} torch {a}x{b}", lambda f=f, p=p: f(torch.from_numpy(p))
                yield f"{name} keepdims {a}x{b}", lambda f=f, p=p: f(p, keepdims=True)
                yield (
                    f"{name} axes {a}x{b}",
                    lambda f=f, p=p: f(p.transpose(1, 2, 0), axis=(0, 1)),
                )
    product_law = np.outer(rows(1, 7)[0], rows(1, 5, seed=1)[0])
    for name, f in JOINT.items():
        yield f"{name} independent", lambda f=f: f(product_law)
        yield (
            f"{name} almost independent",
            lambda f=f: f(near(product_law.reshape(1, -1), 1e-9).reshape(7, 5)),
        )
    for average in ("arithmetic", "geometric", "min", "max"):
        yield (
            f"normalized_mutual_information {average}",
            lambda a=average: m.normalized_mutual_information(product_law, average=a),
        )
    for kind in KINDS:
        p = rows(2, 60, kind).reshape(2, 3, 4, 5)
        yield (
            f"conditional_mutual_information {kind}",
            lambda p=p: m.conditional_mutual_information(p),
        )
        yield (
            f"conditional_mutual_information {kind} base 2",
            lambda p=p: m.conditional_mutual_information(p, base=2, keepdims=True),
        )
        yield (
            f"conditional_entropy of three {kind}",
            lambda p=p: m.conditional_entropy(p, given=(-3, -1), axis=(-3, -2, -1)),
        )


def gradients() -> Iterator[Case]:
    def by_torch(f: Any, kind: str, *inputs: np.ndarray) -> Any:
        leaves = [torch.from_numpy(x.copy()).requires_grad_() for x in inputs]
        made = [{"p": lambda z: z, "logits": m.Logits, "logs": m.LogProbs}[kind](z) for z in leaves]
        out = f(*made)
        grads = torch.autograd.grad(out.sum(), leaves, create_graph=True)
        total = sum((g * torch.arange(g.numel()).view(g.shape)).sum() for g in grads)
        second = ()
        if total.requires_grad:
            second = torch.autograd.grad(total, leaves, allow_unused=True)
        return out, grads, second

    p, q = rows(3, 6, "zeros"), rows(3, 6, "uniform", 1)
    for name, f in [*ONE.items(), *TWO.items()]:
        inputs = (p, q) if name in TWO else (p,)
        yield f"{name} gradient p", lambda f=f, i=inputs: by_torch(f, "p", *i)
        yield (
            f"{name} gradient logits",
            lambda f=f, i=inputs: by_torch(f, "logits", *(5 * x for x in i)),
        )
        yield (
            f"{name} gradient logs",
            lambda f=f, i=inputs: by_torch(f, "logs", *(np.log(x + (x == 0) * 1e-300) for x in i)),
        )
    table = rows(1, 20)[0].reshape(4, 5)
    for name, f in JOINT.items():
        yield f"{name} gradient p", lambda f=f: by_torch(f, "p", table)

    def by_jax(f: Any, *inputs: np.ndarray) -> Any:
        import jax

        args = [jax.numpy.asarray(x) for x in inputs]
        value = f(*args)
        grad = jax.grad(lambda *a: f(*a).sum(), argnums=tuple(range(len(args))))(*args)
        return value, grad

    for name, f in list(ONE.items())[:2] + list(TWO.items())[:3]:
        inputs = (p, q) if name in TWO else (q,)
        yield f"{name} jax", lambda f=f, i=inputs: by_jax(f, *i)


def densities() -> Iterator[Case]:
    pairs: dict[str, tuple[Any, Any]] = {
        "normal": (stats.norm(0, 1), stats.norm(1, 2)),
        "lognormal": (stats.lognorm(0.5), stats.lognorm(0.7, scale=2)),
        "uniform": (stats.uniform(0, 1), stats.uniform(-1, 3)),
        "exponential": (stats.expon(scale=2), stats.expon(scale=3)),
        "laplace": (stats.laplace(0, 1), stats.laplace(1, 2)),
        "cauchy": (stats.cauchy(0, 1), stats.cauchy(1, 2)),
        "gumbel": (stats.gumbel_r(0, 1), stats.gumbel_r(1, 2)),
        "gamma": (stats.gamma(2), stats.gamma(3, scale=2)),
        "weibull": (stats.weibull_min(2), stats.weibull_min(1.5, scale=2)),
        "pareto": (stats.pareto(3), stats.pareto(2)),
        "beta": (stats.beta(2, 3), stats.beta(1.5, 2)),
        "von mises": (stats.vonmises(2), stats.vonmises(1, loc=0.5)),
        "geometric": (stats.geom(0.3), stats.geom(0.5)),
        "poisson": (stats.poisson(3), stats.poisson(4)),
        "binomial": (stats.binom(9, 0.3), stats.binom(9, 0.5)),
        "student": (stats.t(5), stats.t(7)),
        "normal and cauchy": (stats.norm(0, 1), stats.cauchy(0, 1)),
        "cauchy and normal": (stats.cauchy(0, 1), stats.norm(0, 1)),
        "two dimensions": (
            stats.multivariate_normal([0, 0], [[1, 0], [0, 1]]),
            stats.multivariate_normal([2, 0], [[2, 0], [0, 1]]),
        ),
        "torch normal": (
            torch.distributions.Normal(0.0, 1.0),
            torch.distributions.Normal(1.0, 2.0),
        ),
        "torch categorical": (
            torch.distributions.Categorical(torch.tensor([0.25, 0.75])),
            torch.distributions.Categorical(torch.tensor([0.5, 0.5])),
        ),
    }
    for name, (p, q) in pairs.items():
        yield f"density entropy {name}", lambda p=p: m.entropy(p, base=2)
        for f in (m.cross_entropy, m.kl_divergence, m.js_divergence):
            yield f"density {f.__name__} {name}", lambda f=f, p=p, q=q: f(p, q)
    p, q = pairs["two dimensions"]
    yield "density drawn", lambda: m.js_divergence(p, q, rng=0, draws=2000)


def estimates() -> Iterator[Case]:
    draw = rng(11)
    symbols, others = draw.integers(0, 12, 300), draw.integers(0, 14, 200)
    real, more = draw.standard_normal(200), draw.standard_normal(150) * 1.5
    names = np.array(list("abcdefghijklmn"))[symbols]
    alone = ["plugin", "miller_madow", "jackknife", "grassberger", "chao_shen", "chao_wang_jost", "shrinkage", "nsb", "dirichlet"]  # fmt: skip
    for method in alone:
        extra = {"size": 20} if method in ("nsb", "dirichlet") else {}
        for kind, x in (("numbers", symbols), ("names", names)):
            yield (
                f"estimate_entropy {method} {kind}",
                lambda x=x, k=method, e=extra: m.estimate_entropy(x, method=k, **e),
            )
        if not extra:
            yield (
                f"estimate_entropy {method} given",
                lambda k=method: m.estimate_entropy(symbols, given=symbols % 3, method=k),
            )
            yield (
                f"estimate_mutual_information {method}",
                lambda k=method: m.estimate_mutual_information(symbols[:200], others, method=k),
            )
    for method in ("kozachenko_leonenko", "vasicek", "ebrahimi", "van_es", "kde", "kde_resubstitution", "normal"):  # fmt: skip
        yield (
            f"estimate_entropy {method}",
            lambda k=method: m.estimate_entropy(real, method=k, base=2),
        )
    for method in ("ksg", "ksg2", "normal"):
        yield (
            f"estimate_mutual_information {method}",
            lambda k=method: m.estimate_mutual_information(real[:150], real[:150] + more, method=k),
        )
    yield (
        "estimate_mutual_information ross",
        lambda: m.estimate_mutual_information(symbols[:200], real, method="ross"),
    )
    yield (
        "estimate_mutual_information ksg ties",
        lambda: m.estimate_mutual_information(np.round(real[:150]), np.round(more), method="ksg"),
    )
    yield (
        "estimate_mutual_information null",
        lambda: m.estimate_mutual_information(symbols[:200], others, permutations=19, rng=0),
    )
    yield (
        "estimate_mutual_information given",
        lambda: m.estimate_mutual_information(symbols[:200], others, given=others % 2),
    )
    for f in (m.estimate_kl_divergence, m.estimate_cross_entropy):
        for method in ("plugin", "zhang_grabchak"):
            yield f"{f.__name__} {method}", lambda f=f, k=method: f(symbols, others, method=k)
        yield (
            f"{f.__name__} dirichlet",
            lambda f=f: f(symbols, others, method="dirichlet", size=20, prior="jeffreys"),
        )
        for method in ("nearest_neighbors", "normal"):
            yield f"{f.__name__} {method}", lambda f=f, k=method: f(real, more, method=k)
            yield (
                f"{f.__name__} {method} of points",
                lambda f=f, k=method: f(real.reshape(-1, 2), more.reshape(-1, 2), method=k),
            )
    yield "from_samples", lambda: m.entropy(m.Counts.from_samples(names))
    yield (
        "from_samples given",
        lambda: m.mutual_information(m.Counts.from_samples(symbols[:200], given=others)),
    )


def frame(seed: int, n: int = 400) -> pd.DataFrame:
    draw = rng(seed)
    y = draw.integers(0, 3, n)
    return pd.DataFrame(
        {
            "number": np.round(draw.standard_normal(n) + y, 2 + seed),
            "gaps": np.where(draw.random(n) < 0.1, np.nan, y * 1.5 + draw.standard_normal(n)),
            "whole": draw.integers(0, 40, n) + y,
            "name": np.array(list("abcdefgh"))[draw.integers(0, 6, n) + (y > 1)],
            "yes": draw.random(n) < 0.4,
            "when": pd.to_datetime("2020-01-01") + pd.to_timedelta(draw.integers(0, 900, n), "D"),
            "weight": draw.uniform(0.5, 2, n),
            "y": np.array(["low", "mid", "top"])[y],
        }
    )


def tables() -> Iterator[Case]:
    one, two = frame(0), frame(1)

    def on_disk(ending: str) -> list[str]:
        folder = Path(tempfile.mkdtemp())
        for name, table in (("one", one), ("two", two)):
            file = folder / f"{name}.{ending}"
            table.to_parquet(file) if ending == "parquet" else table.to_csv(file, index=False)
        return [str(folder / f"{name}.{ending}") for name in ("one", "two")]

    options: dict[str, dict[str, Any]] = {
        "plain": {},
        "base 2": {"base": 2},
        "drop": {"missing": "drop"},
        "weights": {"weights": "weight"},
        "permutations": {"permutations": 9, "rng": 0},
    }
    for word, o in options.items():
        yield f"rank_features {word}", lambda o=o: m.rank_features(one, "y", **o)
    for score in ("information_gain", "gain_ratio", "symmetric_uncertainty"):
        yield f"rank_features {score}", lambda s=score: m.rank_features(one, "y", score=s)
    yield (
        "rank_features ksg",
        lambda: m.rank_features(one, "y", numeric="ksg", columns=["number", "gaps", "whole"]),
    )
    options.pop("permutations")
    options |= {"bootstrap": {"bootstrap": 9, "rng": 0}, "bins": {"bins": 4}}
    for word, o in options.items():
        yield f"drift {word}", lambda o=o: m.drift(one, two, **o)
    for ending in ("parquet", "csv"):
        yield f"rank_features {ending}", lambda e=ending: m.rank_features(on_disk(e)[0], "y")
        yield f"drift {ending}", lambda e=ending: m.drift(*on_disk(e))


def refusals() -> Iterator[Case]:
    half = [0.5, 0.5]
    wrong: dict[str, Callable[[], Any]] = {
        "sum": lambda: m.entropy([[0.5, 0.5], [2, 4]]),
        "negative": lambda: m.entropy([1.5, -0.5]),
        "nan": lambda: m.entropy([0.5, np.nan]),
        "base": lambda: m.entropy(half, base=1),
        "axis": lambda: m.entropy(half, axis=3),
        "shapes": lambda: m.kl_divergence(half, [0.2, 0.3, 0.5]),
        "empty": lambda: m.entropy([]),
        "text": lambda: m.entropy(["a", "b"]),
        "counts": lambda: m.entropy(m.Counts([1, -1])),
        "counts of nothing": lambda: m.entropy(m.Counts([0, 0])),
        "logits": lambda: m.entropy(m.Logits([np.nan, 1])),
        "order": lambda: m.renyi_entropy(half, -1),
        "name": lambda: m.f_divergence(half, half, "hellinger"),
        "given": lambda: m.conditional_entropy([[0.5, 0.5]], given=5),
        "average": lambda: m.normalized_mutual_information([[0.5, 0.5]], average="mean"),
        "method": lambda: m.estimate_entropy([1, 2], method="plug"),
        "reals": lambda: m.estimate_entropy([1.5, 2.5]),
        "target": lambda: m.rank_features(frame(0), "z"),
        "missing": lambda: m.rank_features(frame(0), "y", missing="refuse"),
        "drift": lambda: m.drift(frame(0), frame(0).drop(columns="name")),
        "density": lambda: m.kl_divergence(stats.norm(0, 1), stats.poisson(3)),
        "density batch": lambda: m.entropy(stats.norm([0, 1], 1)),
    }
    yield from ((f"refused {name}", call) for name, call in wrong.items())


def cases() -> Iterator[Case]:
    yield from discrete()
    yield from joint()
    yield from gradients()
    yield from densities()
    yield from estimates()
    yield from tables()
    yield from refusals()

"""Small calls that compile what a room needs: for `xent warm-up`, and for the code in a wheel.

They are the calls of README and docs, for every float type and kind of target, of sizes that take
each way through a room. A call may do again what another did: what is compiled is compiled once.
"""

import tempfile
from collections.abc import Callable, Iterator
from functools import partial
from itertools import islice, product
from pathlib import Path
from typing import Any

import numpy as np

Call = Callable[[], object]


def _probabilities(*shape: int, seed: int = 0) -> Any:
    p = np.random.default_rng(seed).random(shape)
    return p / p.sum(-1, keepdims=True)


# ------------------------------------------------------------------ measures


def _measures() -> Iterator[Call]:
    import scipy.sparse

    from xent import measures as m

    one: list[Any] = [m.entropy, m.perplexity, m.gini]
    one += [partial(f, alpha=a) for f, a in product((m.renyi_entropy, m.tsallis_entropy), (0.5, 2))]
    two: list[Any] = [m.cross_entropy, m.kl_divergence, m.js_divergence, m.js_distance]
    two += [partial(m.renyi_divergence, alpha=a) for a in (0.5, 2)]
    two += [partial(m.f_divergence, name=name) for name in ("total_variation", "chi_square")]
    joint: list[Any] = [
        m.mutual_information, partial(m.conditional_entropy, given=-2), m.gain_ratio,
        m.variation_of_information, m.information_gain, m.normalized_mutual_information,
        m.symmetric_uncertainty,
    ]  # fmt: skip
    for columns in (3, 300):
        p, q = _probabilities(4, columns), _probabilities(4, columns, seed=1)
        kinds: list[Any] = [
            lambda x: x, lambda x: x[0], lambda x: x.astype(np.float32),
            lambda x: np.repeat(x, 2, -1)[:, ::2],
            lambda x: m.Counts(np.round(x * 99) + 1), lambda x: m.Logits(np.log(x)),
            lambda x: m.LogProbs(np.log(x)), lambda x: m.Counts(scipy.sparse.csr_array(x)),
        ]  # fmt: skip
        for kind in kinds:
            yield from (partial(f, kind(p)) for f in one)
            yield from (partial(f, kind(p), kind(q)) for f in two)
        yield partial(m.self_information, p)
        yield partial(m.js_divergence, p, q, p, weights=[0.2, 0.3, 0.5])
        tables = _probabilities(2, columns * 4).reshape(2, 4, columns)
        for f, table in product(joint, (tables[0], tables, m.Counts(np.round(tables * 999)))):
            yield partial(f, table)
        yield partial(m.conditional_mutual_information, tables / 2)
    yield from _samples()


def _samples() -> Iterator[Call]:
    import pyarrow as pa

    from xent import measures as m

    rng = np.random.default_rng(0)
    number, name = rng.integers(0, 9, (2, 100)), rng.choice(list("abcd"), (2, 100))
    real = rng.standard_normal((2, 100))
    for x, y in (number, name):
        for method in ("plugin", "miller_madow", "jackknife", "grassberger", "chao_shen"):
            yield partial(m.estimate_entropy, x, method=method)
        yield partial(m.estimate_mutual_information, x, y, permutations=9, rng=0)
        yield partial(m.estimate_mutual_information, x, y, given=y)
        for method in ("plugin", "zhang_grabchak"):
            yield partial(m.estimate_kl_divergence, x, y, method=method)
        yield partial(m.Counts.from_samples, x, given=y)
    yield partial(m.estimate_entropy, real[0], method="kozachenko_leonenko")
    yield partial(m.estimate_mutual_information, *real, method="ksg")
    yield partial(m.estimate_kl_divergence, *real, method="nearest_neighbors")
    table = pa.table({"x": real[0], "n": number[0], "c": name[0], "y": name[1]})
    yield partial(m.rank_features, table, "y", permutations=9, rng=0)
    yield partial(m.rank_features, table, "y", numeric="ksg", columns=["x", "n"])
    yield partial(m.drift, table, table, bootstrap=9, rng=0)


# ------------------------------------------------------------------ losses


def _losses() -> Iterator[Call]:
    import torch

    kinds = (torch.float32, torch.float64, torch.bfloat16, torch.float16)
    shapes = ((7, 10), (300, 10), (3, 1500), (2, 33000), (2, 5, 3, 4), (2, 5, 40, 40))
    for dtype, shape in product(kinds, shapes):
        yield partial(_class_losses, dtype, shape)
    for dtype in kinds:
        yield partial(_binary_losses, dtype)
        yield partial(_other_losses, dtype)


def _back(loss: Callable[..., Any], *inputs: Any, **options: Any) -> None:
    """Take a loss with its gradient."""
    leaves = [x.detach().requires_grad_() if x.is_floating_point() else x for x in inputs]
    found = loss(*leaves, **options)
    (found[0] if isinstance(found, tuple) else found).sum().backward()


def _class_losses(dtype: Any, shape: tuple[int, ...]) -> None:
    import torch

    from xent import losses

    exact = dtype if dtype == torch.float64 else torch.float32
    x, rows = torch.randn(shape).to(dtype), (shape[0], *shape[2:])
    target = torch.randint(0, shape[1], rows)
    soft = torch.rand(shape, dtype=exact).softmax(1)
    token, weight = torch.rand(rows, dtype=exact), torch.rand(shape[1], dtype=exact)
    options: list[dict[str, Any]] = [
        {}, {"reduction": "none"}, {"label_smoothing": 0.1, "weight": weight},
        {"temperature": 0.7, "token_weight": token}, {"softcap": 5.0},
        {"z_loss": 0.01, "stats": True},
    ]  # fmt: skip
    for chosen in options:
        _back(losses.cross_entropy, x, target, **chosen)
        for t in (soft, soft.to(dtype)):
            with torch.no_grad():
                losses.cross_entropy(x, t, **chosen)
            _back(lambda z, t=t, o=chosen: losses.cross_entropy(z, t, **o), x)
    with torch.no_grad():
        losses.cross_entropy(x, target)
    _back(losses.cross_entropy, x.transpose(0, 1).contiguous().transpose(0, 1), target)
    for reduction in ("mean", "none"):
        _back(losses.focal_loss, x, target, reduction=reduction)
    _back(losses.nll_loss, x.log_softmax(1), target)


def _binary_losses(dtype: Any) -> None:
    import torch

    from xent import losses

    for shape in ((64,), (300, 10)):
        x, t = torch.randn(shape).to(dtype), torch.randint(0, 2, shape).to(dtype)
        weight = torch.rand(shape).to(dtype)
        options: list[dict[str, Any]] = [
            {}, {"reduction": "none"}, {"weight": weight}, {"pos_weight": weight[-1].abs() + 1},
        ]  # fmt: skip
        for chosen in options:
            bce = partial(losses.binary_cross_entropy_with_logits, **chosen)
            _back(lambda z, t=t, f=bce: f(z, t), x)
        _back(lambda z, t=t: losses.binary_cross_entropy(z, t), x.sigmoid())
        _back(lambda z, t=t: losses.mse_loss(z, t), x)
    _back(lambda z, t=t: losses.multilabel_soft_margin_loss(z, t), x)


def _other_losses(dtype: Any) -> None:
    import torch

    from xent import losses

    for classes in (10, 1500):
        x, y = (torch.randn(4, classes).to(dtype) for _ in range(2))
        for f in (losses.kl_div, losses.js_div):
            _back(lambda z, w=y, f=f: f(z.log_softmax(-1), w.softmax(-1)), x)
        _back(losses.kl_div, x.log_softmax(-1), y.log_softmax(-1), log_target=True)
        hidden, head = torch.randn(6, 8).to(dtype), torch.randn(classes, 8).to(dtype)
        target = torch.randint(0, classes, (6,))
        _back(losses.linear_cross_entropy, hidden, head, target)
        _back(losses.linear_cross_entropy, hidden, head, target, z_loss=1e-4, label_smoothing=0.1)
        _back(losses.linear_log_prob, hidden, head, target)
        _back(losses.linear_entropy, hidden, head)
        for linear in (losses.linear_kl_div, losses.linear_js_div):
            _back(lambda h, w, f=linear: f(h, w, h.detach() + 1, w.detach()), hidden, head)
    labels = torch.randint(0, 2, (6, classes)).to(dtype)
    _back(lambda h, w: losses.linear_binary_cross_entropy(h, w, labels), hidden, head)
    _back(losses.info_nce, hidden, hidden.flip(0), temperature=1.0)
    _back(
        lambda a, b: losses.siglip(a, b, scale=1.0, bias=0.0),
        hidden,
        hidden.flip(0),
    )


# ------------------------------------------------------------------ trees


def _trees() -> Iterator[Call]:
    import pyarrow as pa

    from xent import trees

    rng = np.random.default_rng(0)
    X = rng.standard_normal((150, 4))
    tables = {
        "numbers": X, "single": X.astype(np.float32), "few": np.round(X),
        "names": pa.table({f"c{j}": rng.choice(list("abcde"), 150) for j in range(3)}),
        "mixed": pa.table({
            "x": np.where(rng.random(150) < 0.1, np.nan, X[:, 0]), "n": rng.integers(0, 9, 150),
            "c": np.array(["a", "b", "c", None])[rng.integers(0, 4, 150)],
        }),
    }  # fmt: skip
    classifiers: list[Any] = [
        trees.TreeClassifier, trees.ID3Classifier, trees.C45Classifier, trees.CARTClassifier,
        partial(trees.TreeClassifier, splitter="histogram"),
        partial(trees.TreeClassifier, pruning="pessimistic"),
        partial(trees.TreeClassifier, criterion="gini", missing="surrogate",
                pruning="cost_complexity"),
        partial(trees.TreeClassifier, criterion="gain_ratio", nominal="multiway", pruning=None),
        partial(trees.C45Classifier, pruning=None),
    ]  # fmt: skip
    regressors: list[Any] = [trees.TreeRegressor, trees.CARTRegressor]
    regressors.append(partial(trees.TreeRegressor, splitter="histogram"))
    two, three = (X[:, 0] > 0).astype(int), np.array(["a", "b", "c"])[rng.integers(0, 3, 150)]
    for table in tables.values():
        for tree, y in product(classifiers, (two, three)):
            yield partial(_classify, tree, table, y)
        for tree in regressors:
            yield partial(_regress, tree, table, X[:, 1])
    large = rng.standard_normal((20_000, 3))
    yield partial(_classify, trees.TreeClassifier, large, (large[:, 0] > 0).astype(int))
    yield partial(_regress, trees.TreeRegressor, large, large[:, 0])


def _classify(make: Callable[[], Any], X: Any, y: Any) -> None:
    try:
        tree = make().fit(X, y)
    except ValueError:
        return  # ID3 takes no gaps: its user is told so, too
    tree.predict(X)
    tree.predict_proba(X)
    tree.to_text(), tree.to_rules()
    make().fit(X, y, sample_weight=np.linspace(0.5, 2, len(y)))
    if len(y) < 1000:
        tree.gain_table(X, y)
        tree.to_ruleset(X, y).predict(X)


def _regress(make: Callable[[], Any], X: Any, y: Any) -> None:
    tree = make().fit(X, y)
    tree.predict(X)
    make().fit(X, y, sample_weight=np.linspace(0.5, 2, len(y)))


# ------------------------------------------------------------------ language


def _language() -> Iterator[Call]:
    from xent import language as lm

    smoothings = [
        lm.KneserNey(discount=0.75), lm.KneserNey(discount=0.75, interpolated=False), lm.Katz(),
        lm.WittenBell(), lm.AbsoluteDiscounting(0.6), lm.JelinekMercer(), lm.GoodTuring(),
        lm.AddK(0.1), lm.MaximumLikelihood(), lm.StupidBackoff(), lm.KneserNey(),
    ]  # fmt: skip
    for smoothing in smoothings:
        yield partial(_speak, smoothing)
    yield partial(_filter)
    yield partial(_binaries)


def _lines() -> list[str]:
    rng = np.random.default_rng(0)
    return [
        " ".join(f"w{int(w)}" for w in 20 * rng.random(int(rng.integers(1, 12))) ** 3)
        for _ in range(90)
    ]


def _speak(smoothing: Any) -> None:
    from xent import language as lm

    lines = _lines()
    for order, options in ((3, {}), (2, {"unit": "character"}), (5, {})):
        try:
            model = lm.NGramModel(order, smoothing, **options).fit(lines)  # type: ignore[arg-type]
        except ValueError:
            continue  # so small a text does not give every smoothing what it needs
        model.score(lines)
        model.token_log_probs(lines[:3])
        model.evaluate(lines[:9]).summary()
        if not isinstance(smoothing, lm.StupidBackoff):  # its scores are no probabilities
            model.next("w1", top_k=3), model.sample(0), model.distribution("w1 w0")
        with tempfile.TemporaryDirectory() as folder:
            for name, compact in (("plain", False), ("small", True)):
                model.save(Path(folder) / name, compact=compact)
                lm.NGramModel.load(Path(folder) / name).score(lines)


def _filter() -> None:
    from xent import language as lm
    from xent.language import kenlm

    lines = _lines()
    words = sorted({word for line in lines for word in line.split()})
    two = [lm.NGramModel(2, lm.WittenBell(), vocabulary=words).fit(x) for x in (lines[:9], lines)]
    lm.mix(two, dev=lines[:9]).perplexity(lines)
    lm.select(lines, *two, share=0.3), lm.buckets(lines, two[1], (0.3, 0.4, 0.3))
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder) / "text"
        file.write_text("\n".join(lines))
        model = lm.NGramModel(3, lm.WittenBell()).fit(file, memory="100MB", folder=f"{folder}/runs")
        arpa = Path(folder) / "model.arpa"
        lm.write_arpa(model, arpa)
        lm.read_arpa(arpa).score(lines)
        kenlm.Model(str(arpa)).score("w1 w2", bos=True, eos=True)
        list(kenlm.Model(str(arpa)).full_scores("w1 w2"))
        model.prune(0.01).score(lines)


# A KenLM binary of hash tables and one of a trie, of five words, as zlib packs them.
BINARIES = [
    (
        "c-qU&O)OBz$yLZGDJihh*U!#KO-"
        "##7%}LQq&d=3P&QD2INXswEO)OC;OD!tS%+FIW<zhg9274f}pAks>2Lg}?BUFYNOdhaD7Gs6dEKr(>0TqDc3+fd2"
        "TDFyf^$2EXU%n(R&d$t$8*t@(|5#i6ARA<sxt7+X+CSZ|STIx_*bj0n)Xn>#?gsHeG?4EAq#O3aRC9b{%4peWEDR"
        "L01LFOSMQ=aUR@bzG{0hQi=e<6!tI3i8n!68SE^eUNW`1GMp=Jdj(+;Fw?Mpk~AKQs}5Vs&e;FYNgDe=lhAUD~R="
        "4IP4*c1b?K9ERcNMZm0m>N-k"
    ),
    (
        "c-qU&O)OBz$yLZGDJihh*U!#KO-"
        "##7%}LQq&d=3P&QD2INXswEO)OC;OD!tS%+FIW<zhg9274f}pAks>2Lg}?BUFYNOdhajfr^1JD^!jJN;4su1QRQ$"
        "Q`~FWR>~lloqhR|xHvmk&i9YC#SgO0wX`PH{^@>&&~act$N>x}pkW^p2PBWgZvd-jg!3JM{D!^Es0P5@fdRy@iUN"
        ")M0mOfl7#I@dfqVs^{tqBKfC3Icfd~08l^hHRUw;6G#07R_b8JfUvh5gbitQK@8Eo`{R1yOKT>CrF"
    ),
]  # fmt: skip


def _binaries() -> None:
    import base64
    import zlib

    from xent import language as lm
    from xent.language import kenlm

    with tempfile.TemporaryDirectory() as folder:
        for packed in BINARIES:
            file = Path(folder) / "model.bin"
            file.write_bytes(zlib.decompress(base64.b85decode(packed)))
            model = lm.NGramModel.load(file)
            model.score(["a b", "b"]), model.distribution("a"), model.evaluate(["a b"])
            drop_in, state = kenlm.Model(file), kenlm.State()
            drop_in.score("a b"), drop_in.BaseScore(state, "a", state)
        lm.write_arpa(model, Path(folder) / "model.arpa")


# ------------------------------------------------------------------ evaluation and training


def _many_scores() -> None:
    """Count more distinct scores than are counted one by one."""
    from xent.evaluation import Accumulator
    from xent.evaluation._accumulator.scores import column

    y, p = np.arange(300) % 2, np.random.default_rng(0).random(300)
    wide = np.stack([1 - p, p], axis=1).astype(np.float32)
    before, column.MOST_SCORES = column.MOST_SCORES, 100
    try:
        for probs in (p, wide, np.asfortranarray(wide), np.asfortranarray(wide, np.float64)):
            one = Accumulator()
            for _ in range(2):
                one.update(y, probs)
                one.result()
        for dtype in (np.float32, np.float64):
            one = Accumulator()
            one.update(y, logits=np.asfortranarray(np.log(wide), dtype))
    finally:
        column.MOST_SCORES = before


def _evaluation() -> Iterator[Call]:
    from xent.evaluation import evaluate

    yield _many_scores
    y, weight = np.arange(30) % 3, np.linspace(0.5, 2, 30)
    for dtype, classes in product((np.float64, np.float32), (3, 70)):
        p = _probabilities(30, classes)
        yield partial(evaluate, y, p.astype(dtype), sample_weight=weight, by={"y": y})
        yield partial(evaluate, y, logits=np.log(p).astype(dtype))


def _training() -> Iterator[Call]:
    from xent.training import SoftmaxClassifier, compare_losses

    X, y = np.random.default_rng(0).random((90, 4)), np.arange(90) % 3
    start = SoftmaxClassifier(epochs=1, random_state=0, progress=False)
    yield partial(compare_losses, X, y, validation=(X, y), classifier=start)
    for rows in (X.astype(np.float32), np.round(9 * X).astype(np.uint8)):
        yield partial(start.fit, rows, y, validation=(rows, y))


CALLS: dict[str, Callable[[], Iterator[Call]]] = {
    "measures": _measures,
    "losses": _losses,
    "evaluation": _evaluation,
    "training": _training,
    "language": _language,
    "trees": _trees,
}
# What the calls of a room ask for beside the core.
NEEDS = {
    "measures": ("pyarrow",),
    "losses": ("torch",),
    "training": ("torch", "sklearn"),
    "trees": ("sklearn", "pyarrow"),
}


def count(room: str) -> int:
    """Return how many calls a room has."""
    return sum(1 for _ in CALLS[room]())


def run(room: str, index: int) -> None:
    """Make one call of a room."""
    next(islice(CALLS[room](), index, None))()

"""Every option of every loss but cross_entropy (test_grid.py) against torch's own words in float64.

The table of docs/losses.md says which option means something where; it is held against the
signatures, and each of its entries has to be used below.
"""

import inspect
import itertools
import math
import re
from functools import partial
from pathlib import Path

import pytest
import torch
import torch.distributed as dist
import torch.nn.functional as F

import xent.losses as L
from xent.losses._rows import _chunks

N, C, D = 6, 5, 3
inf = math.inf
PAGE = Path(__file__).parents[2] / "docs" / "losses.md"
OPTIONS = [
    "weight", "pos_weight", "ignore_index", "label_smoothing", "token_weight", "temperature",
    "softcap", "z_loss", "axis", "empty", "stats", "linear_bias",
]  # fmt: skip
LOSSES = [n for n in L.__all__ if n[0].islower()]


def table():
    lines = PAGE.read_text().split("## Which option where")[1].split("\n## ")[0].splitlines()
    rows = [
        [c.strip(" `") for c in line.strip("|").split("|")] for line in lines if line[:1] == "|"
    ]
    names = rows[0][1:]
    return names, {row[0]: dict(zip(names, row[1:], strict=True)) for row in rows[2:]}


def test_the_table_is_true():
    names, rows = table()
    assert names == OPTIONS, "an option is a column of docs/losses.md, and a name in OPTIONS here"
    assert sorted(rows) == LOSSES, "run `make tables`"
    for loss, row in rows.items():
        has = inspect.signature(getattr(L, loss)).parameters
        for option, mark in row.items():
            assert mark in {"yes", ""}, (loss, option)
            assert (option in has) == (mark == "yes"), (loss, option, "run `make tables`")


def test_the_page_says_formula_trap_and_source_of_every_loss():
    section = PAGE.read_text().split("## Formula, trap, source")[1].split("\n## ")[0]
    rows = [line.strip("|").split("|") for line in section.splitlines() if line[:3] == "| `"]
    assert all(len(row) == 4 and all(cell.strip() for cell in row) for row in rows)
    named = sorted(name for row in rows for name in re.findall(r"`(\w+)`", row[0]))
    assert named == LOSSES, "run `make tables`: docs/losses.md, 'Formula, trap, source', differs"


def random(*shape, seed):
    g = torch.Generator().manual_seed(seed)
    return torch.randn(shape, generator=g, dtype=torch.float64)


HARD = torch.tensor([0, 4, 1, -100, 3, 1])
SOFT = random(N, C, seed=1).softmax(1)
ANSWERS = (random(N, C, seed=2) > 0).double()
PART = torch.where(random(N, C, seed=3) > 1, -1.0, ANSWERS)  # -1: nobody knows
SHARES = random(N, C, seed=4).sigmoid()
CLASS = random(C, seed=5).exp()
ROW = random(N, seed=6).exp()
EACH = random(N, C, seed=7).exp()
BIAS = random(C, seed=8)
W = random(C, D, seed=9)
TX, TW = random(N, D, seed=10), random(C, D, seed=11)


def bent(x, temperature=1.0, softcap=None, **_):
    x = x if softcap is None else softcap * torch.tanh(x / softcap)
    return x / temperature


def mean(each, scale, reduction):
    if reduction == "none":
        return each
    return each.sum() if reduction == "sum" else each.sum() / scale.sum()


def class_loss(cost, target, lse, o):
    """Sum of shares times costs, and the z-loss, as cross_entropy weighs them."""
    w = torch.ones(C).double() if o.get("weight") is None else o["weight"]
    a = w if o.get("alpha") is None else w * o["alpha"]
    s, token = o.get("label_smoothing", 0.0), o.get("token_weight")
    token = torch.ones(N).double() if token is None else token
    if target.is_floating_point():
        t, scale = target, torch.ones(N).double()
    else:
        kept = (target != o.get("ignore_index", -100)).double()
        safe = torch.where(kept > 0, target, 0)
        t, scale = F.one_hot(safe, C).double(), w[safe] * kept
    t = t * (1 - s) + s / C
    if not target.is_floating_point():
        t = t * kept.unsqueeze(1)
    each = (a * t * cost).sum(1) + o.get("z_loss", 0.0) * (a * t).sum(1) * lse**2
    return mean(each * token, scale * token, o["reduction"])


def nll(x, target, **o):
    return class_loss(-x, target, 0.0, o)


def focal(x, target, gamma=2.0, **o):
    z = bent(x, **o)
    log_p = z.log_softmax(1)
    return class_loss(-((1 - log_p.exp()) ** gamma) * log_p, target, z.logsumexp(1), o)


def answers(loss, target, o):
    s = o.get("label_smoothing", 0.0)
    kept = torch.ones(N, C).double()
    if o.get("ignore_index") is not None:
        kept = (target != o["ignore_index"]).double()
    each = loss(target * kept * (1 - s) + s / 2)
    each = each * (1.0 if o.get("weight") is None else o["weight"])
    scale = kept * (1.0 if o.get("token_weight") is None else o["token_weight"])
    return each * scale, scale


def binary(x, target, **o):
    z, u = bent(x, **o), o.get("pos_weight")
    each, scale = answers(
        lambda t: F.binary_cross_entropy_with_logits(z, t, pos_weight=u, reduction="none"),
        target,
        o,
    )
    return mean(each, scale, o["reduction"])


def sigmoid_focal(x, target, alpha=0.25, gamma=2.0, reduction="none", **o):
    """torchvision.ops.sigmoid_focal_loss, word by word, of the smoothed target."""
    z = bent(x, **o)

    def loss(t):
        p = torch.sigmoid(z)
        ce = F.binary_cross_entropy_with_logits(z, t, reduction="none")
        p_t = p * t + (1 - p) * (1 - t)
        each = ce * ((1 - p_t) ** gamma)
        return each if alpha is None else (alpha * t + (1 - alpha) * (1 - t)) * each

    each, scale = answers(loss, target, o)
    return mean(each, scale, reduction)


def probabilities(x, target, **o):
    u = 1.0 if o.get("pos_weight") is None else o["pos_weight"]
    each, scale = answers(lambda t: -(u * t * torch.log(x) + (1 - t) * torch.log(1 - x)), target, o)
    return mean(each, scale, o["reduction"])


def multilabel(x, target, **o):
    token = torch.ones(N).double() if o.get("token_weight") is None else o["token_weight"]
    z, u = bent(x, **o), o.get("pos_weight")
    each, kept = answers(
        lambda t: F.binary_cross_entropy_with_logits(z, t, pos_weight=u, reduction="none"), target,
        {**o, "token_weight": None},
    )  # fmt: skip
    return mean(each.sum(1) / kept.sum(1) * token, token, o["reduction"])


def kl(x, target, **o):
    s = o.get("label_smoothing", 0.0)
    token = torch.ones(N).double() if o.get("token_weight") is None else o["token_weight"]
    t = (target.exp() if o.get("log_target") else target) * (1 - s) + s / C
    each = F.kl_div(x, t, reduction="none") * token.unsqueeze(1)
    if o["reduction"] == "batchmean":
        return each.sum() / token.sum()
    return mean(each, token.unsqueeze(1).expand(N, C), o["reduction"])


def mse(x, target, **o):
    scale = torch.ones(N, C).double()
    for name in ("weight", "token_weight"):
        scale = scale if o.get(name) is None else scale * o[name]
    return mean((x - target) ** 2 * scale, scale, o["reduction"])


def js(x, target, beta=0.3, **o):
    s = o.get("label_smoothing", 0.0)
    token = torch.ones(N).double() if o.get("token_weight") is None else o["token_weight"]
    z = bent(x, **o)
    p, q = z.softmax(1), bent(target, **o).softmax(1) * (1 - s) + s / C
    m = beta * q + (1 - beta) * p
    if beta == 0:
        each = (q * (q / p).log()).sum(1)
    else:
        each = beta * (q * (q / m).log()).sum(1) + (1 - beta) * (p * (p / m).log()).sum(1)
    each = each + o.get("z_loss", 0.0) * z.logsumexp(1) ** 2
    return mean(each * token, token, o["reduction"])


def info(x, b, temperature, **o):
    token = torch.ones(N).double() if o.get("token_weight") is None else o["token_weight"]
    each = 0.0
    more = o.get("negatives")
    for products in (x @ (b if more is None else torch.cat((b, more))).T, b @ x.T):
        z = bent(products, temperature, o.get("softcap"))
        s = o.get("label_smoothing", 0.0)
        own = F.cross_entropy(z, torch.arange(N), reduction="none", label_smoothing=s)
        each = each + (own + o.get("z_loss", 0.0) * z.logsumexp(1) ** 2) / 2
    return mean(each * token, token, o["reduction"])


def pairs_loss(x, b, scale, bias, **o):
    token = torch.ones(N).double() if o.get("token_weight") is None else o["token_weight"]
    z, s = bent(scale * x @ b.T + bias, softcap=o.get("softcap")), o.get("label_smoothing", 0.0)
    own = torch.eye(N).double() * (1 - s) + s / 2
    each = F.binary_cross_entropy_with_logits(
        z, own, pos_weight=o.get("pos_weight"), reduction="none"
    )
    return mean(each.sum(1) * token, token, o["reduction"])


def linear_binary(x, target, **o):
    z = F.linear(x, W, o.get("linear_bias"))
    dense = target
    if not target.is_floating_point():
        dense = torch.zeros(N, C).double()
        dense[target[:, 0], target[:, 1]] = 1.0
    token = o.get("token_weight")
    o = {**o, "token_weight": None if token is None else token.unsqueeze(1)}
    if o["reduction"] == "none":
        return binary(z, dense, **o).sum(1)
    return binary(z, dense, **o)


def linear_kl(x, **o):
    teacher, s = o.pop("teacher", None), o.get("label_smoothing", 0.0)
    z = F.linear(x, W, o.get("linear_bias"))
    if teacher is None:
        return js(z, F.linear(TX, TW), beta=0, **o)
    # the listed classes and one more: everything else
    token = torch.ones(N).double() if o.get("token_weight") is None else o["token_weight"]
    z = bent(z, **o)
    indices, log_q = teacher
    p, q, k = z.softmax(1).gather(1, indices), log_q.exp() * (1 - s) + s / C, indices.shape[1]
    rest_p, rest_q = 1 - p.sum(1), (1 - log_q.exp().sum(1)) * (1 - s) + s * (C - k) / C
    each = (q * (q / p).log()).sum(1) + rest_q * (rest_q / rest_p).log()
    each = each + o.get("z_loss", 0.0) * z.logsumexp(1) ** 2
    return mean(each * token, token, o["reduction"])


def linear_js(x, **o):
    return js(F.linear(x, W, o.get("linear_bias")), F.linear(TX, TW), **o)


def log_prob(x, target, **o):
    z = bent(F.linear(x, W, o.get("linear_bias")), **o).log_softmax(1)
    kept = target != o.get("ignore_index", -100)
    return z.gather(1, target.where(kept, 0).unsqueeze(1)).squeeze(1).where(kept, 0.0)


def sampled(x, target, samples, log_q, **o):
    """Row by row, over the true class and the samples that are not it."""
    z, found = bent(F.linear(x, W, o.get("linear_bias")), **o) - log_q, []
    for row, y in zip(z, target, strict=True):
        others = row[samples[samples != y]]
        kept = int(y != -100)
        found.append(
            kept * (torch.cat((row[y * kept].view(1), others)).logsumexp(0) - row[y * kept])
        )
    token = torch.ones(N).double() if o.get("token_weight") is None else o["token_weight"]
    return mean(torch.stack(found) * token, token * (target != -100), o["reduction"])


def entropy(x, **o):
    z = bent(F.linear(x, W, o.get("linear_bias")), **o).log_softmax(1)
    return -(z.exp() * z).sum(1)


TOP = F.linear(TX, TW).log_softmax(1).topk(2)
TEACHER = (TOP.indices, TOP.values)
PAIRS = ANSWERS.nonzero().flip(0)
REDUCTIONS = {"reduction": ("mean", "sum", "none")}
CLASSES = {
    "weight": (None, CLASS), "token_weight": (None, ROW), "label_smoothing": (0.0, 0.3),
    "ignore_index": (-100,), **REDUCTIONS,
}  # fmt: skip
SHAPE = {"temperature": (1.0, 0.7), "softcap": (None, 3.0)}
YES = {
    "weight": (None, CLASS), "pos_weight": (None, CLASS * 2), "token_weight": (None, EACH),
    "label_smoothing": (0.0, 0.3), **REDUCTIONS,
}  # fmt: skip
TAUGHT = {
    "token_weight": (None, ROW), "label_smoothing": (0.0, 0.3), "z_loss": (0.0, 0.1),
    **SHAPE, **REDUCTIONS,
}  # fmt: skip
LINEAR = {"linear_bias": (None, BIAS)}
logits = random(N, C, seed=20) * 3
hidden = random(N, D, seed=21)

# name: (truth, input, targets, options)
CASES = {
    "nll_loss": (nll, logits.log_softmax(1), [(HARD,), (SOFT,)], CLASSES),
    "nll_loss ignoring": (nll, logits.log_softmax(1), [(HARD.abs() % 5,)], {**CLASSES, "ignore_index": (1,)}),
    "focal_loss": (focal, logits, [(HARD,), (SOFT,)],
                   {**CLASSES, **SHAPE, "z_loss": (0.0, 0.1), "gamma": (1.5,), "alpha": (None, CLASS)}),
    "binary_cross_entropy_with_logits": (binary, logits, [(ANSWERS,), (SHARES,)], {**YES, **SHAPE}),
    "binary_cross_entropy_with_logits ignoring": (binary, logits, [(PART,)], {**YES, "ignore_index": (-1,)}),
    "sigmoid_focal_loss": (sigmoid_focal, logits, [(ANSWERS,), (SHARES,)],
                           {**{k: v for k, v in YES.items() if k != "pos_weight"}, **SHAPE,
                            "alpha": (0.25, None), "gamma": (2.0, 0.5, 0.0)}),
    "sigmoid_focal_loss ignoring": (sigmoid_focal, logits, [(PART,)],
                                    {**REDUCTIONS, "weight": (None, CLASS), "ignore_index": (-1,)}),
    "binary_cross_entropy": (probabilities, logits.sigmoid(), [(ANSWERS,), (SHARES,)], YES),
    "binary_cross_entropy ignoring": (probabilities, logits.sigmoid(), [(PART,)], {**YES, "ignore_index": (-1,)}),
    "multilabel_soft_margin_loss": (multilabel, logits, [(ANSWERS,), (SHARES,)],
                                    {**YES, **SHAPE, "token_weight": (None, ROW)}),
    "multilabel_soft_margin_loss ignoring": (multilabel, logits, [(PART,)],
                                             {**YES, "token_weight": (None, ROW), "ignore_index": (-1,)}),
    "kl_div": (kl, logits.log_softmax(1), [(SOFT,)],
               {"label_smoothing": (0.0, 0.3), "token_weight": (None, ROW),
                "reduction": ("mean", "sum", "none", "batchmean")}),
    "kl_div of logarithms": (kl, logits.log_softmax(1), [(SOFT.log(),)],
                             {"label_smoothing": (0.0, 0.3), "token_weight": (None, ROW),
                              "log_target": (True,), "reduction": ("mean", "sum", "none", "batchmean")}),
    "mse_loss": (mse, logits, [(ANSWERS,)],
                 {"weight": (None, EACH), "token_weight": (None, ROW.unsqueeze(1)), **REDUCTIONS}),
    "js_div": (js, logits, [(random(N, C, seed=22),)], {**TAUGHT, "beta": (0.3, 0)}),
    "info_nce": (info, hidden, [(random(N, D, seed=23),)],
                 {**TAUGHT, "temperature": (0.7,)}),
    "info_nce among others": (info, hidden, [(random(N, D, seed=23),)],
                              {**TAUGHT, "temperature": (0.7,), "negatives": (random(4, D, seed=25),)}),
    "siglip": (pairs_loss, hidden, [(random(N, D, seed=24),)],
               {"scale": (2.0,), "bias": (-1.0,), "pos_weight": (None, ROW), "token_weight": (None, ROW),
                "label_smoothing": (0.0, 0.3), "softcap": (None, 3.0), **REDUCTIONS}),
    "linear_binary_cross_entropy": (linear_binary, hidden, [(ANSWERS,), (PAIRS,), (SHARES,)],
                                    {**YES, **SHAPE, **LINEAR, "token_weight": (None, ROW)}),
    "linear_binary_cross_entropy ignoring": (linear_binary, hidden, [(PART,)],
                                             {**YES, **LINEAR, "token_weight": (None, ROW), "ignore_index": (-1,)}),
    "linear_kl_div": (linear_kl, hidden, [()], {**TAUGHT, **LINEAR}),
    "linear_kl_div of a list": (linear_kl, hidden, [()], {**TAUGHT, **LINEAR, "teacher": (TEACHER,)}),
    "linear_js_div": (linear_js, hidden, [()], {**TAUGHT, **LINEAR, "beta": (0.3,)}),
    "linear_log_prob": (log_prob, hidden, [(HARD,)], {**SHAPE, **LINEAR, "ignore_index": (-100,)}),
    "linear_log_prob ignoring": (log_prob, hidden, [(HARD.abs() % 5,)], {**SHAPE, **LINEAR, "ignore_index": (1,)}),
    "linear_sampled_cross_entropy": (
        sampled, hidden, [(HARD, torch.tensor([0, 3, 1, 3]), random(C, seed=26))],
        {**SHAPE, **LINEAR, **REDUCTIONS, "token_weight": (None, ROW), "ignore_index": (-100,)}),
    "linear_entropy": (entropy, hidden, [()], {**SHAPE, **LINEAR}),
}  # fmt: skip


def ours(name, x, target, o):
    loss = getattr(L, name.split()[0])
    if name.startswith("linear_kl_div of"):
        return loss(x, W, **o)
    if name.startswith(("linear_kl", "linear_js")):
        return loss(x, W, TX, TW, **o)
    return loss(x, W, *target, **o) if name.startswith("linear") else loss(x, *target, **o)


WHOLE = pytest.param(200, marks=[pytest.mark.grid, pytest.mark.long])


@pytest.mark.parametrize("combinations", [24, WHOLE])
@pytest.mark.parametrize("name", CASES)
def test_options(name, combinations, monkeypatch):
    monkeypatch.setattr(_chunks, "_CHUNK_ROWS", 4)
    monkeypatch.setattr(_chunks, "_CHUNK_BYTES", 0)
    truth, input, targets, options = CASES[name]
    every = list(itertools.product(targets, *options.values()))
    step = next(
        s for s in range(max(1, len(every) // combinations), 999) if math.gcd(s, len(every)) == 1
    )
    for target, *values in every[::step]:
        o = dict(zip(options, values, strict=True))
        x, y = (input.clone().requires_grad_() for _ in range(2))
        got, want = ours(name, x, target, dict(o)), truth(y, *target, **o)
        torch.testing.assert_close(
            got, want, rtol=1e-11, atol=1e-13, msg=lambda m, o=o: f"{o}\n{m}"
        )
        up = random(*want.shape, seed=30)
        got.backward(up)
        want.backward(up)
        torch.testing.assert_close(
            x.grad, y.grad, rtol=1e-11, atol=1e-12, msg=lambda m, o=o: f"{o}\n{m}"
        )


ELSEWHERE = {"cross_entropy", "linear_cross_entropy", "vocab_parallel_cross_entropy"}
ELSEWHERE |= {"linear_dpo", "linear_simpo", "linear_orpo", "linear_kto", "linear_grpo"}


@pytest.mark.parametrize("loss", sorted({*LOSSES} - ELSEWHERE))
def test_every_option_of_the_table_is_used(loss):
    """The others have files of their own: test_grid, test_heads, test_group and test_answers."""
    cases = [options for name, (*_, options) in CASES.items() if name.split()[0] == loss]
    assert cases, f"CASES in tests/losses/test_options.py needs a plain formula for {loss!r}"
    used = {option for options in cases for option in options}
    unused = {o for o, mark in table()[1][loss].items() if mark} - used - {"axis", "empty", "stats"}
    assert not unused, f"{loss}: its options in CASES need values for {sorted(unused)}"


AXIS = [n for n in LOSSES if "axis" in inspect.signature(getattr(L, n)).parameters]
# Those whose target is first of all class indices.
MAPS = {n for n in AXIS if n not in CASES or not CASES[n][2][0][0].is_floating_point()}


@pytest.mark.parametrize("name", sorted(set(AXIS) - {"vocab_parallel_cross_entropy"}))
def test_axis(name):
    """Classes in the middle, and the same classes last."""
    loss = getattr(L, name)
    x = random(2, C, 3, seed=40)
    y = (
        torch.tensor([[0, 1, 2], [3, 4, 0]])
        if name in MAPS
        else random(2, C, 3, seed=41).softmax(1)
    )
    x = x.log_softmax(1) if name in {"nll_loss", "kl_div"} else x
    row = random(2, 3, seed=42).exp()
    moved = y if name in MAPS else y.movedim(1, -1)
    got = loss(x, y, axis=1, label_smoothing=0.2, token_weight=row)
    last = loss(x.movedim(1, -1), moved, axis=-1, label_smoothing=0.2, token_weight=row)
    torch.testing.assert_close(got, last)
    flat = loss(
        x.movedim(1, -1).reshape(6, C), moved.reshape(6, *moved.shape[2:]), label_smoothing=0.2,
        token_weight=row.reshape(6),
    )  # fmt: skip
    torch.testing.assert_close(got, flat)
    assert name == "multilabel_soft_margin_loss" or torch.equal(
        got, loss(x, y, label_smoothing=0.2, token_weight=row)
    )


def facts(z, target):
    """Statistics of rows of logits against class indices, or distributions."""
    log_p = z.log_softmax(-1)
    entropy = -(log_p.exp() * log_p).sum(-1)
    if target.is_floating_point():
        told, right = (target * log_p).sum(-1), z.argmax(-1) == target.argmax(-1)
        return z.logsumexp(-1), told, entropy, z.argmax(-1), right.double().mean()
    kept = target != -100
    told = log_p.gather(-1, target.where(kept, 0).unsqueeze(-1)).squeeze(-1).where(kept, 0.0)
    right = (z.argmax(-1) == target)[kept].double().mean()
    return z.logsumexp(-1), told, entropy, z.argmax(-1), right


def two_classes(x):
    return torch.stack([torch.zeros_like(x), x], -1)


def sides(t):
    return torch.stack([1 - t, t], -1)


def test_statistics(monkeypatch):
    monkeypatch.setattr(_chunks, "_CHUNK_ROWS", 4)
    monkeypatch.setattr(_chunks, "_CHUNK_BYTES", 0)
    log_p, p = logits.log_softmax(1), logits.sigmoid()
    other, theirs = random(N, D, seed=43), F.linear(TX, TW)
    z = F.linear(hidden, W)
    listed = TEACHER[0], TEACHER[1] - TEACHER[1].logsumexp(1, keepdim=True)
    only = torch.zeros(N, C).double().scatter(1, listed[0], listed[1].exp())
    products = hidden @ other.T
    both, own = torch.stack([products, products.T]), torch.arange(N).expand(2, N)
    eye = torch.eye(N).double()
    cases = [
        (lambda: L.nll_loss(log_p, HARD, stats=True), facts(log_p, HARD)),
        (lambda: L.nll_loss(log_p, SOFT, stats=True), facts(log_p, SOFT)),
        (lambda: L.focal_loss(logits, HARD, temperature=0.7, stats=True), facts(logits / 0.7, HARD)),
        (lambda: L.kl_div(log_p, SOFT, reduction="sum", stats=True), facts(log_p, SOFT)),
        (lambda: L.js_div(logits, theirs, stats=True), facts(logits, theirs.softmax(1))),
        (lambda: L.js_div(logits, theirs, label_smoothing=0.3, stats=True),
         facts(logits, 0.7 * theirs.softmax(1) + 0.3 / C)),
        (lambda: L.binary_cross_entropy_with_logits(logits, SHARES, softcap=4.0, stats=True),
         facts(two_classes(bent(logits, softcap=4.0)), sides(SHARES))),
        (lambda: L.multilabel_soft_margin_loss(logits, SHARES, stats=True),
         facts(two_classes(logits), sides(SHARES))),
        (lambda: L.binary_cross_entropy(p, SHARES, stats=True),
         facts(sides(p).log(), sides(SHARES))),
        (lambda: L.info_nce(hidden, other, temperature=0.5, stats=True), facts(both / 0.5, own)),
        (lambda: L.siglip(hidden, other, scale=2.0, bias=-1.0, stats=True),
         facts(two_classes(2 * products - 1), sides(eye))),
        (lambda: L.linear_log_prob(hidden, W, HARD, stats=True), facts(z, HARD)),
        (lambda: L.linear_kl_div(hidden, W, TX, TW, stats=True), facts(z, theirs.softmax(1))),
        (lambda: L.linear_js_div(hidden, W, TX, TW, stats=True), facts(z, theirs.softmax(1))),
        (lambda: L.linear_kl_div(hidden, W, teacher=listed, stats=True), facts(z, only)),
    ]  # fmt: skip
    for call, want in cases:
        _, stats = call()
        for name, a, b in zip(L.Stats._fields, stats, want, strict=True):
            torch.testing.assert_close(
                a, b, rtol=1e-11, atol=1e-12, msg=lambda m, n=name: f"{n}\n{m}"
            )
    some = L.binary_cross_entropy_with_logits(logits, PART, ignore_index=-1, stats=True)[1]
    kept = PART != -1
    assert not some.log_prob[~kept].any()
    assert some.accuracy == ((logits > 0) == (PART > 0.5))[kept].double().mean()


@pytest.mark.parametrize("smoothing", [0.0, 0.3])
def test_statistics_know_no_weights(smoothing):
    """What each loss tells of a distribution is Σ t log p, whatever its classes and rows weigh."""
    dist.init_process_group("gloo", store=dist.HashStore(), rank=0, world_size=1)
    try:
        z, x = F.linear(hidden, W), hidden.clone().requires_grad_()
        o = {"label_smoothing": smoothing, "token_weight": random(N, seed=45).exp(), "stats": True}
        spread_out = SOFT * (1 - smoothing) + smoothing / C
        want = facts(z, spread_out)
        heavy = {"weight": CLASS, **o}
        for call in (
            lambda w: L.cross_entropy(F.linear(w, W), SOFT, **heavy),
            lambda w: L.focal_loss(F.linear(w, W), SOFT, **heavy),
            lambda w: L.nll_loss(F.linear(w, W).log_softmax(1), SOFT, **heavy),
            lambda w: L.linear_cross_entropy(w, W, SOFT, **heavy),
            lambda w: L.linear_cross_entropy(w, W, SOFT, group=dist.group.WORLD, **heavy),
            lambda w: L.vocab_parallel_cross_entropy(F.linear(w, W), SOFT, **heavy),
        ):
            loss, stats = call(x)
            torch.testing.assert_close(stats.log_prob, want[1], rtol=1e-11, atol=1e-12)
            up = random(N, seed=46)
            (found,) = torch.autograd.grad((stats.log_prob * up).sum() + loss, x)
            y = hidden.clone().requires_grad_()
            log_p = F.linear(y, W).log_softmax(1)
            plain = ((spread_out * log_p).sum(1) * up).sum()
            (truth,) = torch.autograd.grad(plain, y)
            alone = torch.autograd.grad(call(x)[0], x)[0]
            torch.testing.assert_close(found - alone, truth, rtol=1e-9, atol=1e-11)
    finally:
        dist.destroy_process_group()


def test_derivatives_of_statistics():
    weights = random(3, seed=44)

    def mixed(call):
        return lambda x: sum(w * s.sum() for w, s in zip(weights, call(x)[1][:3], strict=True))

    x = logits[:2].clone().requires_grad_()
    h = hidden[:2].clone().requires_grad_()
    for call, at in [
        (lambda x: L.binary_cross_entropy_with_logits(x, SHARES[:2], stats=True), x),
        (lambda x: L.focal_loss(x, HARD[:2], stats=True), x),
        (lambda x: L.js_div(x, SOFT[:2], stats=True), x),
        (lambda x: L.linear_kl_div(x, W, TX[:2], TW, stats=True), h),
        (lambda x: L.linear_log_prob(x, W, HARD[:2], stats=True), h),
    ]:
        assert torch.autograd.gradcheck(mixed(call), at)


def no_rows(name):
    """Return a loss of no rows: of what CASES gives it, or of what its own file does."""
    h = hidden[:0]
    rest = {
        "cross_entropy": (logits[:0], HARD[:0]), "linear_cross_entropy": (h, W, HARD[:0]),
        "linear_binary_cross_entropy": (h, W, ANSWERS[:0]), "linear_kl_div": (h, W, TX[:0], TW),
        "linear_js_div": (h, W, TX[:0], TW),
        "linear_sampled_cross_entropy": (h, W, HARD[:0], HARD[:2], random(C, seed=26)),
    }.get(name)  # fmt: skip
    if rest is None:
        _, input, targets, _ = CASES[name]
        rest = [t[:0] for t in (input, *targets[0])]
    named = {"info_nce": {"temperature": 1.0}, "siglip": {"scale": 1.0, "bias": 0.0}}.get(name, {})
    given = [t.clone() for t in rest]

    def call(**o):
        return getattr(L, name)(*given, **named, **o)

    call.given = given
    return call


EMPTY = [n for n in LOSSES if "empty" in inspect.signature(getattr(L, n)).parameters]


@pytest.mark.parametrize("reduction", ["mean", "sum"])
@pytest.mark.parametrize("name", sorted(set(EMPTY) - {"vocab_parallel_cross_entropy"}))
def test_gradients_of_no_row_are_zeros(name, reduction):
    """A step of a batch that happens to be empty is none, and no error."""
    call = no_rows(name)
    learnt = [t for t in call.given[:2] if t.is_floating_point()]
    for leaf in learnt:
        leaf.requires_grad_()
    call(reduction=reduction).backward()
    for leaf in learnt:
        assert leaf.grad is None or not leaf.grad.any()
    assert learnt[0].grad.shape == learnt[0].shape


@pytest.mark.parametrize("name", sorted(set(EMPTY) - {"vocab_parallel_cross_entropy"}))
def test_empty(name):
    call = no_rows(name)
    if name == "sigmoid_focal_loss":  # each answer's by default, as torchvision's
        call = partial(call, reduction="mean")
    assert call() == 0
    assert call(empty="nan").isnan()
    assert call(reduction="sum", empty="nan") == 0
    assert not call(reduction="none").numel()
    with pytest.raises(ValueError, match="no row counts"):
        call(empty="raise")


SEVERAL = {
    "cross_entropy": lambda y, **o: L.cross_entropy(logits, y, **o),
    "small": lambda y, **o: L.cross_entropy(logits.float(), y, **o),
    "nll_loss": lambda y, **o: L.nll_loss(logits, y, **o),
    "focal_loss": lambda y, **o: L.focal_loss(logits, y, **o),
    "linear_cross_entropy": lambda y, **o: L.linear_cross_entropy(hidden, W, y, **o),
    "linear_log_prob": lambda y, **o: L.linear_log_prob(hidden, W, y, **o).sum(),
    "CrossEntropyLoss": lambda y, **o: L.CrossEntropyLoss(**o)(logits, y),
    "compiled": lambda y, **o: torch.compile(L.cross_entropy, backend="eager")(logits, y, **o),
}


@pytest.mark.grid
@pytest.mark.parametrize("name", SEVERAL)
def test_several_ignored_classes(name):
    y = torch.tensor([0, 4, 1, -100, 255, 1])
    ignored = y.where((y != 1) & (y != 255), -100)
    want = SEVERAL[name](ignored)
    for several in ((-100, 255, 1), [255, 1, -100], {1, 255, -100}):
        assert torch.equal(SEVERAL[name](y, ignore_index=several), want)
    small = torch.tensor([0, 4, 1, 255, 255, 1], dtype=torch.uint8)
    assert torch.equal(SEVERAL[name](small, ignore_index=(255, 1)), want)
    if name != "compiled":
        with pytest.raises(ValueError, match="`ignore_index` must be a class index, or hold some"):
            SEVERAL[name](y, ignore_index=())
        with pytest.raises((TypeError, ValueError), match="`ignore_index` must be"):
            SEVERAL[name](y, ignore_index=(0.5,))


def test_a_number_as_alpha():
    for target in (HARD, SOFT):
        found = L.focal_loss(logits, target, alpha=0.25, gamma=1.5)
        torch.testing.assert_close(found, 0.25 * L.focal_loss(logits, target, gamma=1.5))
        tensor = L.focal_loss(logits, target, alpha=torch.full((C,), 0.25).double(), gamma=1.5)
        assert torch.equal(found, tensor)
    with pytest.raises(ValueError, match="`alpha` must be non-negative and finite, got -1"):
        L.focal_loss(logits, HARD, alpha=-1)
    with pytest.raises(ValueError, match="`alpha` must be between 0 and 1, got -1"):
        L.sigmoid_focal_loss(logits, ANSWERS, alpha=-1)


def test_an_answer_that_is_nearly_sure_keeps_its_focal_digits():
    """mpmath, 30 digits: (1 / (1 + e^x))^2 log(1 + e^-x) / 4 at x = 30."""
    found = L.sigmoid_focal_loss(torch.tensor([30.0]), torch.tensor([1.0])).item()
    assert abs(found / 2.048503156e-40 - 1) < 1e-4  # a subnormal number of float32
    found = L.sigmoid_focal_loss(torch.tensor([20.0]), torch.tensor([1.0])).item()
    assert abs(found / 2.18912767939e-27 - 1) < 1e-6
    for logit in (inf, -inf):
        x = torch.tensor([logit], requires_grad=True)
        loss = L.sigmoid_focal_loss(x, torch.tensor([float(logit > 0)]), gamma=0.5)
        loss.backward()
        assert (loss.item(), x.grad.item()) == (0.0, 0.0)


class Adapted(torch.nn.Linear):
    """Stands for a head that an adapter wraps, as LoRA does."""

    def __init__(self):
        super().__init__(D, C)
        self.lora_A = torch.nn.Linear(D, 1)


def test_a_head_that_is_a_module():
    head, adapted = torch.nn.Linear(D, C), Adapted()
    quantised = torch.nn.Linear(D, C)
    quantised.weight = torch.nn.Parameter(torch.zeros(C, D, dtype=torch.int8), requires_grad=False)
    for given, words in (
        (head, "Give its .weight, and its .bias as linear_bias."),
        (adapted, "Its .weight leaves the adapter out: merge the adapter first"),
        (quantised, "A quantised head has no such weight: dequantise it"),
        (quantised.weight, "A quantised head has no such weight: dequantise it"),
    ):
        for loss in (
            lambda w: L.linear_cross_entropy(hidden.float(), w, HARD),
            lambda w: L.linear_log_prob(hidden.float(), w, HARD),
            lambda w: L.linear_kl_div(hidden.float(), w, hidden.float(), head.weight),
        ):
            with pytest.raises(TypeError, match=re.escape(words)):
                loss(given)


def test_modules_take_the_options():
    x = logits.clone()
    got = L.BCEWithLogitsLoss(stats=True, softcap=3.0)(x, ANSWERS, token_weight=EACH)
    want = L.binary_cross_entropy_with_logits(x, ANSWERS, token_weight=EACH, softcap=3.0)
    assert torch.equal(got[0], want)
    got = L.KLDivLoss(reduction="batchmean", label_smoothing=0.2, axis=1)
    want = L.kl_div(x, SOFT, reduction="batchmean", label_smoothing=0.2, token_weight=ROW)
    assert torch.equal(got(x, SOFT, token_weight=ROW), want)


def test_sums_are_checked_where_an_axis_is_named():
    with pytest.raises(
        ValueError, match=re.escape("`target` must sum to 1 over the classes, got 2")
    ):
        L.kl_div(logits, SOFT * 2, axis=1, reduction="sum")
    L.kl_div(logits.view(-1), SOFT.view(-1), reduction="sum")
    with pytest.raises(ValueError, match="must sum to 1 over the classes"):
        L.nll_loss(logits, SOFT * 2)
    with pytest.raises(ValueError, match="`ignore_index` must be None with index pairs"):
        L.linear_binary_cross_entropy(hidden, W, PAIRS, ignore_index=1)


PLAIN = sorted({name.split()[0] for name in CASES})
JS = {"beta": 0.3}
NAMED = {
    "js_div": JS,
    "linear_js_div": JS,
    "info_nce": {"temperature": 1.0},
    "siglip": {"scale": 2.0, "bias": -1.0},
}


def bare(name, x, target, **options):
    """Call a loss, its other tensors of the same dtype as its input."""
    loss, named = getattr(L, name), {**NAMED.get(name, {}), **options}
    if name in {"linear_kl_div", "linear_js_div"}:
        target = TX, TW
    like = [t.to(x.dtype) if name in {"info_nce", "siglip"} else t for t in target]
    if name.startswith("linear"):
        like = [t if t.dtype == torch.int64 else t.to(x.dtype) for t in target]
        return loss(x, W.to(x.dtype), *like, **named)
    return loss(x, *like, **named)


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16, torch.float16], ids=str)
@pytest.mark.parametrize("name", PLAIN)
def test_dtypes_and_layouts(name, dtype):
    truth, input, targets, _ = CASES[name]
    x = input.to(dtype)
    x = torch.stack([x, x], -1)[..., 0].requires_grad_()  # not contiguous
    y = x.detach().double().requires_grad_()
    named = {} if name in {"linear_log_prob", "linear_entropy"} else {"reduction": "sum"}
    got = bare(name, x, targets[0], **named)
    want = truth(y, *targets[0], **NAMED.get(name, {}), reduction="sum")
    assert got.dtype == torch.float32 or name == "mse_loss"  # promoted, as in torch
    got.sum().backward()
    want.sum().backward()
    assert x.grad.dtype == dtype
    # a head's product and its logits are of the input's dtype
    loose = (
        1e-5
        if dtype == torch.float32
        else 3e-2
        if name in {"info_nce", "siglip"} or name[:6] == "linear"
        else 1e-3
    )
    torch.testing.assert_close(got.double(), want, rtol=loose, atol=loose)
    step = {torch.float32: 1e-5, torch.bfloat16: 8e-3, torch.float16: 2e-3}[dtype]
    size = y.grad.abs().max()
    assert (x.grad.double() - y.grad).abs().max() <= max(step, loose) * 2 * size


@pytest.mark.filterwarnings("ignore:.torch.jit:DeprecationWarning")
@pytest.mark.parametrize("name", PLAIN)
def test_functional_transforms(name):
    _, input, targets, _ = CASES[name]

    def f(x):
        return bare(name, x, targets[0]).sum()

    x = input.clone().requires_grad_()
    (want,) = torch.autograd.grad(f(x), x)
    torch.testing.assert_close(torch.func.grad(f)(input), want)
    along = random(*input.shape, seed=50)
    push = torch.func.jvp(f, (input,), (along,))[1]
    torch.testing.assert_close(push, (want * along).sum())
    both = torch.func.vmap(f)(torch.stack([input, input * 1.0]))
    torch.testing.assert_close(both, f(input).expand(2))


@pytest.mark.long
@pytest.mark.filterwarnings("ignore:.torch.jit:DeprecationWarning")
@pytest.mark.parametrize("name", PLAIN)
def test_compiled(name):
    _, input, targets, options = CASES[name]
    o = {k: v[-1] for k, v in options.items() if k not in NAMED.get(name, {})}
    o.pop("linear_bias", None)
    torch._dynamo.reset()

    def f(x):
        return bare(name, x, targets[0], **o).sum()

    x = input.clone().requires_grad_()
    (want,) = torch.autograd.grad(f(x), x)
    compiled = torch.compile(f, fullgraph=True, backend="aot_eager")
    torch.testing.assert_close(torch.autograd.grad(compiled(x), x)[0], want)


ALL = [*PLAIN, "cross_entropy", "linear_cross_entropy"]


def cast(value, dtype):
    if isinstance(value, tuple):
        return tuple(cast(v, dtype) for v in value)
    real = isinstance(value, torch.Tensor) and value.is_floating_point()
    return value.to(dtype) if real else value


def cases_of(name, dtype):
    """Input, target and options of a loss, but for its reduction: the plain ones, and the last."""
    usual = None, hidden if name[:6] == "linear" else logits, [(HARD,)], {**CLASSES, **SHAPE}
    _, input, targets, options = CASES.get(name, usual)
    for which in (0, -1):
        named = {"reduction", *NAMED.get(name, {})}
        o = {k: cast(v[which], dtype) for k, v in options.items() if k not in named}
        yield cast(input, dtype), cast(targets[which], dtype), o


def reductions(name):
    if name in {"linear_log_prob", "linear_entropy"}:
        return [{}]
    means = ["mean", "batchmean"] if name == "kl_div" else ["mean"]
    every = [{"reduction": m, "empty": e} for m in means for e in ("zero", "nan")]
    return [*every, {"reduction": "sum"}, {"reduction": "none"}]


@pytest.mark.filterwarnings("ignore:.torch.jit:DeprecationWarning")
@pytest.mark.parametrize("name", ALL)
def test_tangents_are_of_the_dtype_of_the_value(name):
    for x, target, o in cases_of(name, torch.float32):
        for how in reductions(name):
            f = partial(bare, name, target=target, **o, **how)
            value, push = torch.func.jvp(f, (x,), (torch.ones_like(x),))
            assert value.dtype == push.dtype == f(x).dtype == torch.float32, (o, how)


@pytest.mark.filterwarnings("ignore:.torch.jit:DeprecationWarning")
@pytest.mark.parametrize("beta", [0, 0.3, 1])
def test_the_tangent_of_a_single_row(beta):
    x, y = logits[:2].float()
    for reduction in REDUCTIONS["reduction"]:
        f = partial(L.js_div, target=y, beta=beta, z_loss=0.1, reduction=reduction)
        value, push = torch.func.jvp(f, (x,), (torch.ones_like(x),))
        assert value.dtype == push.dtype == torch.float32


@pytest.mark.parametrize("name", ALL)
def test_unreduced_losses_may_be_multiplied_in_place(name):
    dtypes = (torch.float64, torch.float32, torch.bfloat16)
    cases = [case for dtype in dtypes for case in cases_of(name, dtype)]
    for x, target, o in cases:
        x = x.clone().requires_grad_()
        o = {**o, **reductions(name)[-1]}
        want = bare(name, x, target, **o)
        mask = (torch.arange(want.numel()).reshape(want.shape) % 2).to(want.dtype)
        (slope,) = torch.autograd.grad((want * mask).sum(), x)
        got = bare(name, x, target, **o)
        got *= mask
        assert torch.equal(got, want * mask)
        assert torch.equal(torch.autograd.grad(got.sum(), x)[0], slope)

"""The losses: every function and option, dtype and layout, values and gradients of both orders."""

# ruff: noqa: B008  (a case holds its inputs as defaults)
from collections.abc import Callable, Iterator
from itertools import combinations, product
from typing import Any

import numpy as np
import torch

from xent import losses

Case = tuple[str, Callable[[], Any]]
DTYPES = {
    "f32": torch.float32,
    "f64": torch.float64,
    "f16": torch.float16,
    "bf16": torch.bfloat16,
}


# ------------------------------------------------------------------ inputs


def normal(*shape: int, dtype: str = "f32", seed: int = 0, scale: float = 3.0) -> torch.Tensor:
    drawn = np.random.default_rng([seed, *shape]).standard_normal(shape) * scale
    return torch.from_numpy(np.asarray(drawn)).to(DTYPES[dtype])


def eighths(*shape: int, dtype: str = "f32", seed: int = 0) -> torch.Tensor:
    """Small multiples of 1/8: their matrix products are exact, whatever the order of the sums."""
    drawn = np.random.default_rng([seed, *shape]).integers(-8, 9, shape) / 8
    return torch.from_numpy(drawn).to(DTYPES[dtype])


def indices(*shape: int, classes: int, dtype: Any = torch.int64, seed: int = 1) -> torch.Tensor:
    drawn = np.random.default_rng([seed, *shape]).integers(0, classes, shape)
    return torch.from_numpy(np.asarray(drawn)).to(dtype)


def simplex(*shape: int, dtype: str = "f32", seed: int = 2, axis: int = -1) -> torch.Tensor:
    """Probabilities along an axis; sums of powers of two, so that dividing rounds nothing."""
    drawn = np.random.default_rng([seed, *shape]).integers(1, 9, shape).astype(float)
    probs = torch.from_numpy(drawn / drawn.sum(axis, keepdims=True))
    return probs.to(DTYPES["f32" if dtype in ("f16", "bf16") else dtype])


def between(*shape: int, dtype: str = "f32", seed: int = 3) -> torch.Tensor:
    drawn = np.random.default_rng([seed, *shape]).uniform(0.01, 0.99, shape)
    return torch.from_numpy(drawn).to(DTYPES[dtype])


def coins(*shape: int, dtype: Any = torch.float32, seed: int = 4) -> torch.Tensor:
    return indices(*shape, classes=2, seed=seed).to(dtype)


def laid(x: torch.Tensor, layout: str) -> torch.Tensor:
    """The same numbers, laid out otherwise in memory."""
    if layout == "strided":
        wide = x.new_zeros(*x.shape[:-1], 2 * x.shape[-1])
        wide[..., ::2] = x
        return wide[..., ::2]
    if layout == "rows":
        wide = x.new_zeros(2 * x.shape[0], *x.shape[1:])
        wide[::2] = x
        return wide[::2]
    if layout == "transposed":
        return x.transpose(0, -1).contiguous().transpose(0, -1)
    if layout == "broadcast":
        return x[:1].expand(x.shape)
    if layout == "offset":
        flat = x.new_zeros(x.numel() + 1)
        flat[1:] = x.flatten()
        return flat[1:].view(x.shape)
    return x


LAYOUTS = ("contiguous", "strided", "rows", "transposed", "broadcast", "offset")


# ------------------------------------------------------------------ values and gradients


def tensors(out: Any) -> list[torch.Tensor]:
    """A loss, and the statistics beside it."""
    if isinstance(out, torch.Tensor):
        return [out]
    return [t for item in out for t in tensors(item)]


def upstream(out: torch.Tensor) -> torch.Tensor:
    pattern = torch.arange(out.numel(), dtype=torch.float64) % 5 - 1.5
    return pattern.view(out.shape).to(out.dtype)


def first(f: Callable[..., Any], *inputs: torch.Tensor, order: int = 1) -> Any:
    """Value and gradients by every input that floats; the second derivatives too, for order 2."""
    leaves = [x.detach().requires_grad_() if x.is_floating_point() else x for x in inputs]
    asked = [x for x in leaves if x.requires_grad]
    found = tensors(f(*leaves))
    live = [t for t in found if t.requires_grad]
    if not live:
        return found
    seeds = [upstream(t) for t in live]
    grads = torch.autograd.grad(live, asked, seeds, create_graph=order == 2, allow_unused=True)
    if order == 1:
        return found, grads
    total = [(g * upstream(g)).sum() for g in grads if g is not None and g.requires_grad]
    second = torch.autograd.grad(total, asked, allow_unused=True) if total else []
    return found, grads, second


def mixed(options: dict[str, Any], most: int = 2) -> Iterator[tuple[str, dict[str, Any]]]:
    """No option, each alone, and every two together. A name before `:` is the argument."""
    for count in range(most + 1):
        for names in combinations(options, count):
            arguments = [n.partition(":")[0] for n in names]
            if len(set(arguments)) == count:
                yield (
                    " ".join(names) or "plain",
                    dict(zip(arguments, [options[n] for n in names], strict=True)),
                )


def row_options(shape: tuple[int, ...], classes: int, dtype: str) -> dict[str, Any]:
    """What every loss over classes takes."""
    token = between(*shape, seed=7, dtype="f64" if dtype == "f64" else "f32") if shape else None
    return {
        "reduction:none": "none",
        "reduction:sum": "sum",
        "label_smoothing": 0.1,
        "token_weight": token,
        "temperature": 0.7,
        "softcap": 5.0,
        "z_loss": 0.01,
        "stats": True,
    }


SHAPES = {"small": (7, 10), "long": (3, 1500), "huge": (2, 33000), "pixels": (2, 5, 3, 4)}


def rows_of(shape: tuple[int, ...]) -> tuple[int, ...]:
    return (shape[0], *shape[2:])


def class_cases(name: str, loss: Callable[..., Any], extra: dict[str, Any]) -> Iterator[Case]:
    """A loss of logits and class indices or probabilities."""
    for kind, (size, shape), dtype in product(("index", "soft"), SHAPES.items(), DTYPES):
        classes, rows = shape[1], rows_of(shape)
        options = row_options(rows, classes, dtype) | extra
        weight_dtype = dtype if dtype == "f64" else "f32"
        options["weight"] = between(classes, seed=8, dtype=weight_dtype)
        if kind == "index":
            options["ignore_index"] = 2
            target = indices(*rows, classes=min(classes, 9))
        else:
            target = simplex(*shape, dtype=dtype, axis=1)
        if size == "huge" and (dtype in ("f16", "f64") or kind == "soft"):
            continue
        x = normal(*shape, dtype=dtype)
        most = 2 if size == "small" and dtype in ("f32", "bf16") and not extra else 1
        for options_name, chosen in mixed(options, most):
            yield (
                f"{name} {kind} {size} {dtype} {options_name}",
                lambda x=x, t=target, c=chosen: first(lambda z: loss(z, t, **c), x),
            )


def layout_cases(name: str, loss: Callable[..., Any]) -> Iterator[Case]:
    for layout, (size, shape), dtype in product(LAYOUTS, SHAPES.items(), DTYPES):
        if layout == "contiguous" or size == "huge" or (dtype == "f16" and name != "cross_entropy"):
            continue
        x = laid(normal(*shape, dtype=dtype, seed=5), layout)
        target = indices(*rows_of(shape), classes=shape[1])
        soft = laid(simplex(*shape, dtype=dtype, axis=1), layout)
        for kind, t in (("index", target), ("soft", soft)):
            yield (
                f"{name} {kind} {size} {dtype} {layout}",
                lambda x=x, t=t: first(lambda z: loss(z, t, reduction="none"), x),
            )


def corner_rows(dtype: str) -> torch.Tensor:
    inf, nan = float("inf"), float("nan")
    rows = [
        [0.0, 0.0, 0.0, 0.0],
        [50.0, 0.0, -50.0, 1.0],
        [-inf, 1.0, 2.0, -inf],
        [inf, 1.0, 2.0, 3.0],
        [nan, 1.0, 2.0, 3.0],
        [-inf, -inf, -inf, -inf],
        [60000.0, -60000.0, 0.0, 1.0],
        [1e-7, -1e-7, 0.0, -0.0],
    ]
    return torch.tensor(rows, dtype=DTYPES[dtype])


def corner_cases() -> Iterator[Case]:
    for dtype, target, kind in product(DTYPES, range(4), ("none", "mean")):
        x, t = corner_rows(dtype), torch.full((8,), target)
        for name, loss in (("cross_entropy", losses.cross_entropy), ("focal", losses.focal_loss)):
            yield (
                f"{name} corners {dtype} target {target} {kind}",
                lambda x=x, t=t, k=kind, f=loss: first(
                    lambda z: f(z, t, reduction=k, stats=k == "none"), x
                ),
            )
    for dtype, answer in product(DTYPES, (0.0, 0.3, 1.0)):
        x = corner_rows(dtype)
        t = torch.full_like(x, answer)
        yield (
            f"bce corners {dtype} {answer}",
            lambda x=x, t=t: first(
                lambda z: losses.binary_cross_entropy_with_logits(z, t, reduction="none"), x
            ),
        )
    for empty, reduction in product(("zero", "nan", "raise"), ("mean", "sum", "none")):
        yield (
            f"cross_entropy empty {empty} {reduction}",
            lambda e=empty, r=reduction: first(
                lambda z: losses.cross_entropy(z, torch.full((3,), -100), reduction=r, empty=e),
                normal(3, 4),
            ),
        )


def target_cases() -> Iterator[Case]:
    """Dtypes of targets, tiny batches and such as several threads share."""
    kinds = (torch.int8, torch.int16, torch.int32, torch.int64, torch.uint8)
    for integer, dtype in product(kinds, DTYPES):
        yield (
            f"cross_entropy target {integer} {dtype}",
            lambda i=integer, d=dtype: first(
                lambda z: losses.cross_entropy(z, indices(6, classes=9, dtype=i)),
                normal(6, 9, dtype=d),
            ),
        )
    sizes = [(1, 1), (1, 2), (2, 3), (3, 7), (8, 8), (9, 17), (16, 64), (33, 100), (65, 257)]
    sizes += [(4, 1023), (4, 1024), (4, 1025), (2, 31999), (2, 32001), (1, 50257)]
    for (n, c), dtype, kind in product(sizes, DTYPES, ("mean", "none", "stats")):
        options = {"stats": True} if kind == "stats" else {"reduction": kind}
        yield (
            f"cross_entropy {n}x{c} {dtype} {kind}",
            lambda n=n, c=c, d=dtype, o=options: first(
                lambda z: losses.cross_entropy(z, indices(n, classes=c), **o),
                normal(n, c, dtype=d, seed=9),
            ),
        )
    for dtype in DTYPES:
        yield (
            f"cross_entropy one row {dtype}",
            lambda d=dtype: first(
                lambda z: losses.cross_entropy(z, torch.tensor(3)), normal(9, dtype=d)
            ),
        )
    threaded = [(2000, 40), (300, 1100), (20, 33000), (9000, 3)]
    for (n, c), dtype, kind in product(threaded, DTYPES, ("index", "soft")):
        for name, options in (
            ("mean", {}),
            ("none", {"reduction": "none"}),
            ("stats", {"stats": True, "label_smoothing": 0.1}),
        ):
            if kind == "soft" and c > 2000:
                continue
            yield (
                f"cross_entropy {n}x{c} {kind} {dtype} {name} both",
                lambda n=n, c=c, d=dtype, o=options, k=kind: first(
                    lambda z: losses.cross_entropy(
                        z,
                        indices(n, classes=c) if k == "index" else simplex(n, c, dtype=d),
                        **o,
                    ),
                    normal(n, c, dtype=d, seed=9),
                ),
            )
    for dtype, reduction in product(DTYPES, ("mean", "none")):
        yield (
            f"cross_entropy picture {dtype} {reduction} both",
            lambda d=dtype, r=reduction: first(
                lambda z: losses.cross_entropy(
                    z, indices(2, 128, 128, classes=6), reduction=r, ignore_index=2
                ),
                normal(2, 6, 128, 128, dtype=d),
            ),
        )
        yield (
            f"bce large {dtype} {reduction} both",
            lambda d=dtype, r=reduction: first(
                lambda z: losses.binary_cross_entropy_with_logits(
                    z, coins(700, 300, dtype=z.dtype), reduction=r
                ),
                normal(700, 300, dtype=d),
            ),
        )


# ------------------------------------------------------------------ yes or no


def binary_cases() -> Iterator[Case]:
    shapes = {"small": (7, 10), "flat": (23,), "long": (3, 1500), "pixels": (2, 3, 4, 5)}
    logits = losses.binary_cross_entropy_with_logits
    for (size, shape), dtype, soft in product(shapes.items(), DTYPES, (False, True)):
        wide = "f64" if dtype == "f64" else "f32"
        target = between(*shape, dtype=dtype) if soft else coins(*shape, dtype=DTYPES[dtype])
        options: dict[str, Any] = {
            "reduction:none": "none",
            "reduction:sum": "sum",
            "label_smoothing": 0.1,
            "weight": between(shape[-1], seed=8, dtype=wide),
            "token_weight": between(*shape, seed=7, dtype=wide),
            "ignore_index": 1.0,
            "stats": True,
            "pos_weight": between(shape[-1], seed=6, dtype=wide),
        }
        word = "soft" if soft else "hard"
        most = 2 if size == "small" and dtype == "f32" else 1
        more = {"temperature": 0.7, "softcap": 5.0}
        for name, chosen in mixed(options | more, most):
            yield (
                f"bce logits {word} {size} {dtype} {name}",
                lambda x=normal(*shape, dtype=dtype), t=target, c=chosen: first(
                    lambda z: logits(z, t, **c), x
                ),
            )
        for name, chosen in mixed(options, 1):
            yield (
                f"bce {word} {size} {dtype} {name}",
                lambda x=between(*shape, dtype=dtype, seed=12), t=target, c=chosen: first(
                    lambda z: losses.binary_cross_entropy(z, t, **c), x
                ),
            )
        for layout in LAYOUTS[1:]:
            yield (
                f"bce logits {word} {size} {dtype} {layout}",
                lambda x=laid(normal(*shape, dtype=dtype), layout), t=laid(target, layout): first(
                    lambda z: logits(z, t, reduction="none"), x
                ),
            )
    for dtype, kind in product(DTYPES, (torch.bool, torch.int8, torch.int64, torch.uint8)):
        yield (
            f"bce logits target {kind} {dtype}",
            lambda d=dtype, k=kind: first(
                lambda z: logits(z, coins(5, 6, dtype=k)), normal(5, 6, dtype=d)
            ),
        )
    for dtype in DTYPES:
        options = row_options((7,), 10, dtype) | {"weight": between(10, seed=8)}
        del options["z_loss"]
        for name, chosen in mixed(options, 1):
            yield (
                f"multilabel {dtype} {name}",
                lambda d=dtype, c=chosen: first(
                    lambda z: losses.multilabel_soft_margin_loss(
                        z, coins(7, 10, dtype=z.dtype), **c
                    ),
                    normal(7, 10, dtype=d),
                ),
            )


# ------------------------------------------------------------------ divergences, pairs, squares


def single(size: str, name: str) -> str:
    """Torch itself adds these up, and differently on two threads."""
    return "head " if size == "huge" and "label_smoothing" in name else ""


def other_cases() -> Iterator[Case]:
    shapes = {"small": (6, 8), "long": (2, 1500), "huge": (2, 33000)}
    for (size, shape), dtype in product(shapes.items(), DTYPES):
        if size == "huge" and dtype != "f32":
            continue
        options = row_options(shape[:-1], shape[-1], dtype)
        log_options = {
            k: v for k, v in options.items() if k not in ("temperature", "softcap", "z_loss")
        }
        log_options |= {"reduction:batchmean": "batchmean", "axis": -1}
        logs = torch.log_softmax(normal(*shape, dtype="f64"), -1).to(DTYPES[dtype])
        soft = simplex(*shape, dtype=dtype)
        for name, chosen in mixed(log_options, 2 if size == "small" and dtype == "f32" else 1):
            yield (
                f"{single(size, name)}kl_div {size} {dtype} {name}",
                lambda x=logs, t=soft, c=chosen: first(
                    lambda z, q: losses.kl_div(z, q.to(z.dtype), **c), x, t
                ),
            )
            yield (
                f"{single(size, name)}kl_div log_target {size} {dtype} {name}",
                lambda x=logs, t=logs.flip(0), c=chosen: first(
                    lambda z, q: losses.kl_div(z, q, log_target=True, **c), x, t
                ),
            )
        for name, chosen in mixed(
            options | {"beta": 0.3}, 2 if size == "small" and dtype == "f32" else 1
        ):
            yield (
                f"js_div {size} {dtype} {name}",
                lambda d=dtype, s=shape, t=soft, c=chosen: first(
                    lambda z, q: losses.js_div(z, q, **c), normal(*s, dtype=d), t
                ),
            )
        nll_options = {k: v for k, v in log_options.items() if "batchmean" not in k}
        nll_options |= {"weight": between(shape[-1], seed=8), "ignore_index": 2}
        for name, chosen in mixed(nll_options, 2 if size == "small" and dtype == "f32" else 1):
            yield (
                f"nll_loss {size} {dtype} {name}",
                lambda x=logs, s=shape, c=chosen: first(
                    lambda z: losses.nll_loss(z, indices(s[0], classes=6), **c), x
                ),
            )
        squares: dict[str, Any] = {
            "reduction:none": "none",
            "reduction:sum": "sum",
            "weight": between(*shape, seed=8, dtype=dtype),
            "token_weight": between(*shape, seed=7),
        }
        for name, chosen in mixed(squares, 2 if size == "small" else 1):
            yield (
                f"head mse_loss {size} {dtype} {name}",
                lambda d=dtype, s=shape, c=chosen: first(
                    lambda z, t: losses.mse_loss(z, t, **c),
                    normal(*s, dtype=d),
                    normal(*s, dtype=d, seed=1),
                ),
            )
    for dtype, n in product(DTYPES, (1, 12)):
        a, b = eighths(n, 16, dtype=dtype), eighths(n, 16, dtype=dtype, seed=1)
        options = row_options((n,), n, dtype)
        for drop in ("temperature",):
            options.pop(drop)
        for name, chosen in mixed(options, 1):
            yield (
                f"head info_nce {n} {dtype} {name}",
                lambda a=a, b=b, c=chosen: first(
                    lambda a, b: losses.info_nce(a, b, temperature=0.5, **c), a, b
                ),
            )
        options.pop("z_loss")
        for name, chosen in mixed(options, 1):
            yield (
                f"head siglip {n} {dtype} {name}",
                lambda a=a, b=b, c=chosen: first(
                    lambda a, b: losses.siglip(a, b, scale=2.0, bias=-1.0, **c), a, b
                ),
            )


# ------------------------------------------------------------------ heads and modules


def head_cases() -> Iterator[Case]:
    sizes = {"small": (6, 8, 11), "wide": (5, 16, 1500), "chunks": (700, 16, 3000)}
    for (size, (n, d, v)), dtype in product(sizes.items(), DTYPES):
        h, w = eighths(n, d, dtype=dtype), eighths(v, d, dtype=dtype, seed=1)
        h2, w2 = eighths(n, d, dtype=dtype, seed=2), eighths(v, d, dtype=dtype, seed=3)
        bias = eighths(v, dtype=dtype, seed=4)
        options = row_options((n,), v, dtype) | {"linear_bias": bias}
        more = {"weight": between(v, seed=8), "ignore_index": 2}
        most = 2 if size == "small" and dtype == "f32" else 1
        target = indices(n, classes=min(v, 9))
        if size == "chunks":
            if dtype != "f32":
                continue
            options = {k: options[k] for k in ("reduction:none", "label_smoothing", "stats")}
            more = {"weight": between(v, seed=8)}
        for name, chosen in mixed(options | more, most):
            yield (
                f"head linear_cross_entropy {size} {dtype} {name}",
                lambda h=h, w=w, t=target, c=chosen: first(
                    lambda h, w: losses.linear_cross_entropy(h, w, t, **c), h, w
                ),
            )
        for name, chosen in mixed(options | {"beta": 0.3}, 1):
            yield (
                f"head linear_js_div {size} {dtype} {name}",
                lambda h=h, w=w, h2=h2, w2=w2, c=chosen: first(
                    lambda h, w: losses.linear_js_div(h, w, h2, w2, **c), h, w
                ),
            )
        for name, chosen in mixed(options, 1):
            yield (
                f"head linear_kl_div {size} {dtype} {name}",
                lambda h=h, w=w, h2=h2, w2=w2, c=chosen: first(
                    lambda h, w: losses.linear_kl_div(h, w, h2, w2, **c), h, w
                ),
            )
        few = (torch.tensor([[0, 3]] * n), simplex(n, 2, dtype=dtype).log() - 0.5)
        yield (
            f"head linear_kl_div list {size} {dtype}",
            lambda h=h, w=w, few=few: first(
                lambda h, w: losses.linear_kl_div(h, w, teacher=few), h, w
            ),
        )
        yes = coins(n, v, dtype=DTYPES[dtype])
        short = {k: x for k, x in options.items() if k not in ("z_loss", "stats")}
        for name, chosen in mixed(
            short | {"pos_weight": between(v, seed=6), "weight": more["weight"]}, 1
        ):
            yield (
                f"head linear_bce {size} {dtype} {name}",
                lambda h=h, w=w, t=yes, c=chosen: first(
                    lambda h, w: losses.linear_binary_cross_entropy(h, w, t, **c), h, w
                ),
            )
        for name, chosen in mixed(
            {k: options[k] for k in ("temperature", "softcap", "linear_bias") if k in options}
        ):
            yield (
                f"head linear_log_prob {size} {dtype} {name}",
                lambda h=h, w=w, t=target, c=chosen: first(
                    lambda h, w: losses.linear_log_prob(h, w, t, **c), h, w
                ),
            )
            yield (
                f"head linear_entropy {size} {dtype} {name}",
                lambda h=h, w=w, c=chosen: first(
                    lambda h, w: losses.linear_entropy(h, w, **c), h, w
                ),
            )


def module_cases() -> Iterator[Case]:
    x, t = normal(7, 10), indices(7, classes=10)
    weight = between(10, seed=8)
    made: dict[str, tuple[Callable[[], Any], torch.Tensor]] = {
        "CrossEntropyLoss": (lambda: losses.CrossEntropyLoss(weight, label_smoothing=0.1), t),
        "CrossEntropyLoss stats": (lambda: losses.CrossEntropyLoss(stats=True, softcap=4.0), t),
        "BCEWithLogitsLoss": (
            lambda: losses.BCEWithLogitsLoss(weight, pos_weight=weight),
            coins(7, 10),
        ),
        "KLDivLoss": (lambda: losses.KLDivLoss(reduction="batchmean"), simplex(7, 10)),
    }
    for name, (make, target) in made.items():
        yield f"module {name}", lambda m=make, t=target: first(lambda z: m()(z, t), x)
        yield f"module {name} repr", lambda m=make: repr(m())
        yield f"module {name} keys", lambda m=make: list(m().state_dict())
    for loss, order_name in product(("mean", "none"), ("grad", "grad of grad")):
        for name, f, target in (
            ("cross_entropy", losses.cross_entropy, t),
            ("cross_entropy soft", losses.cross_entropy, simplex(7, 10)),
            ("focal_loss", losses.focal_loss, t),
            ("bce logits", losses.binary_cross_entropy_with_logits, coins(7, 10)),
            ("js_div", losses.js_div, simplex(7, 10)),
        ):
            for dtype in ("f32", "f64"):
                yield (
                    f"second {name} {dtype} {loss} {order_name}",
                    lambda f=f, tt=target, r=loss, o=order_name, d=dtype: first(
                        lambda z: f(
                            z, tt.to(z.dtype) if tt.is_floating_point() else tt, reduction=r
                        ),
                        normal(7, 10, dtype=d),
                        order=2 if o == "grad of grad" else 1,
                    ),
                )
    with_h = (eighths(6, 8), eighths(11, 8, seed=1), indices(6, classes=9))
    yield (
        "head second linear_cross_entropy",
        lambda: first(
            lambda h, w: losses.linear_cross_entropy(h, w, with_h[2]), *with_h[:2], order=2
        ),
    )


def parallel_cases() -> Iterator[Case]:
    def grouped(f: Callable[[Any], Any]) -> Any:
        import torch.distributed as dist

        if not dist.is_initialized():
            dist.init_process_group("gloo", store=dist.HashStore(), rank=0, world_size=1)
        return f(dist.group.WORLD)

    for dtype in DTYPES:
        options = row_options((7,), 10, dtype) | {"weight": between(10, seed=8), "ignore_index": 2}
        for name, chosen in mixed(options, 1):
            yield (
                f"vocab_parallel {dtype} {name}",
                lambda d=dtype, c=chosen: grouped(
                    lambda group: first(
                        lambda z: losses.vocab_parallel_cross_entropy(
                            z, indices(7, classes=10), group=group, **c
                        ),
                        normal(7, 10, dtype=d),
                    )
                ),
            )


# ------------------------------------------------------------------ refusals


def refusals() -> Iterator[Case]:
    ce, bce = losses.cross_entropy, losses.binary_cross_entropy_with_logits
    x, t = normal(4, 5), indices(4, classes=5)
    wrong: dict[str, Callable[[], Any]] = {
        "target too large": lambda: ce(x, t + 9),
        "target negative": lambda: ce(x, t - 7),
        "target float": lambda: ce(x, t.float()),
        "target shape": lambda: ce(x, t[:3]),
        "smoothing 2": lambda: ce(x, t, label_smoothing=2.0),
        "smoothing nan": lambda: ce(x, t, label_smoothing=float("nan")),
        "reduction": lambda: ce(x, t, reduction="maen"),
        "temperature 0": lambda: ce(x, t, temperature=0.0),
        "softcap -1": lambda: ce(x, t, softcap=-1.0),
        "z_loss -1": lambda: ce(x, t, z_loss=-1.0),
        "empty": lambda: ce(x, t, empty="none"),
        "weight shape": lambda: ce(x, t, torch.ones(4)),
        "weight negative": lambda: ce(x, t, -torch.ones(5)),
        "weight inf": lambda: ce(x, t, torch.full((5,), float("inf"))),
        "token_weight shape": lambda: ce(x, t, token_weight=torch.ones(5)),
        "token_weight negative": lambda: ce(x, t, token_weight=-torch.ones(4)),
        "integer logits": lambda: ce(t, t),
        "array logits": lambda: ce(np.ones((4, 5)), t),
        "size_average": lambda: ce(x, t, size_average=True),
        "soft sum": lambda: ce(x, torch.full((4, 5), 0.5)),
        "soft negative": lambda: ce(x, simplex(4, 5) * -1),
        "axis": lambda: ce(x, t, axis=5),
        "no classes": lambda: ce(torch.empty(3, 0), torch.zeros(3, dtype=torch.int64)),
        "bce target": lambda: bce(x, x),
        "bce shape": lambda: bce(x, coins(4, 6)),
        "bce pos_weight": lambda: bce(x, coins(4, 5), pos_weight=torch.ones(3)),
        "focal gamma": lambda: losses.focal_loss(x, t, gamma=-1.0),
        "info_nce temperature": lambda: losses.info_nce(x, x, temperature=0.0),
        "info_nce shapes": lambda: losses.info_nce(x, x[:3], temperature=1.0),
        "head width": lambda: losses.linear_cross_entropy(x, torch.ones(7, 4), t),
        "head target": lambda: losses.linear_cross_entropy(x, torch.ones(7, 5), t + 40),
        "js beta": lambda: losses.js_div(x, simplex(4, 5), beta=2.0),
        "module reduction": lambda: losses.CrossEntropyLoss(reduction="maen"),
    }
    yield from ((f"refused {name}", call) for name, call in wrong.items())


def cases() -> Iterator[Case]:
    yield from class_cases("cross_entropy", losses.cross_entropy, {})
    yield from layout_cases("cross_entropy", losses.cross_entropy)
    yield from class_cases("focal_loss", losses.focal_loss, {"gamma": 1.5})
    yield from layout_cases("focal_loss", losses.focal_loss)
    yield from corner_cases()
    yield from target_cases()
    yield from binary_cases()
    yield from other_cases()
    yield from head_cases()
    yield from module_cases()
    yield from parallel_cases()
    yield from refusals()

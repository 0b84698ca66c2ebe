"""What has no values: fake and meta tensors, graphs being recorded. And what must not be baked in."""

import pytest
import torch
from torch._subclasses.fake_tensor import FakeTensorMode
from torch.fx.experimental.proxy_tensor import make_fx

import xent.losses as L

ROWS, CLASSES = 4, 3
TARGET = torch.tensor([0, 2, 1, -100])
SOFT = torch.tensor([0.2, 0.3, 0.5]).expand(ROWS, CLASSES).contiguous()
HEAD = torch.randn(CLASSES, CLASSES, generator=torch.Generator().manual_seed(0))

# Of x, class indices, probabilities and a head.
LOSSES = {
    "cross_entropy": lambda x, y, p, w: L.cross_entropy(x, y),
    "soft": lambda x, y, p, w: L.cross_entropy(x, p, label_smoothing=0.1),
    "nll_loss": lambda x, y, p, w: L.nll_loss(x, y),
    "focal_loss": lambda x, y, p, w: L.focal_loss(x, y),
    "bce": lambda x, y, p, w: L.binary_cross_entropy_with_logits(x, p),
    "sigmoid_focal_loss": lambda x, y, p, w: L.sigmoid_focal_loss(x, p).sum(),
    "binary_cross_entropy": lambda x, y, p, w: L.binary_cross_entropy(x.sigmoid(), p),
    "kl_div": lambda x, y, p, w: L.kl_div(x, p, reduction="batchmean"),
    "js_div": lambda x, y, p, w: L.js_div(x, p),
    "info_nce": lambda x, y, p, w: L.info_nce(x, p, temperature=0.5),
    "siglip": lambda x, y, p, w: L.siglip(x, p, scale=1.0, bias=0.0),
    "linear_cross_entropy": lambda x, y, p, w: L.linear_cross_entropy(x, w, y),
    "linear_kl_div": lambda x, y, p, w: L.linear_kl_div(x, w, p, w),
    "linear_js_div": lambda x, y, p, w: L.linear_js_div(x, w, p, w),
    "linear_bce": lambda x, y, p, w: L.linear_binary_cross_entropy(x, w, p),
    "linear_bce, pairs": lambda x, y, p, w: L.linear_binary_cross_entropy(
        x, w, y.clamp(min=0)[:, None].expand(ROWS, 2)
    ),
    "linear_log_prob": lambda x, y, p, w: L.linear_log_prob(x, w, y).sum(),
    "linear_entropy": lambda x, y, p, w: L.linear_entropy(x, w).sum(),
    "weighed rows": lambda x, y, p, w: L.linear_cross_entropy(x, w, y, token_weight=p[:, 0]),
    "weighed kl": lambda x, y, p, w: L.linear_kl_div(x, w, p, w, token_weight=p[:, 0]),
    "weighed bce": lambda x, y, p, w: L.linear_binary_cross_entropy(x, w, p, token_weight=p[:, 0]),
}


def logits():
    return torch.randn(ROWS, CLASSES, generator=torch.Generator().manual_seed(1))


@pytest.mark.parametrize("name", LOSSES)
def test_shapes_without_values(name):
    inputs = logits(), TARGET, SOFT, HEAD
    x, *rest = (t.to("meta") for t in inputs)
    loss = LOSSES[name](x.requires_grad_(), *rest)
    loss.backward()
    assert (loss.shape, loss.device.type, x.grad.shape) == ((), "meta", x.shape)
    with FakeTensorMode() as mode:
        x, *rest = map(mode.from_tensor, inputs)
        loss = LOSSES[name](x.requires_grad_(), *rest)
        loss.backward()
        assert (loss.shape, x.grad.shape) == ((), x.shape)


@pytest.mark.parametrize("name", ["weighed rows", "weighed kl", "weighed bce"])
def test_batches_of_weighed_rows(name):
    x, p = (torch.stack([logits(), 2 * logits()]), torch.stack([SOFT, SOFT.flip(1)]))
    batched = torch.func.vmap(LOSSES[name], (0, None, 0, None))(x, TARGET, p, HEAD)
    each = torch.stack([LOSSES[name](*pair, HEAD) for pair in zip(x, [TARGET] * 2, p, strict=True)])
    torch.testing.assert_close(batched, each)


@pytest.mark.parametrize("name", LOSSES)
def test_graphs_hold_the_operations(name):
    rest = TARGET, SOFT, HEAD
    graph = make_fx(LOSSES[name])(logits(), *rest)
    x = 3 * logits()
    torch.testing.assert_close(graph(x, *rest), LOSSES[name](x, *rest))


@pytest.mark.parametrize("name", ["focal_loss", "linear_log_prob", "weighed kl", "shaped"])
def test_compiled_for_batches_of_any_size(name):
    # The compiler then makes symbols of numbers too, the defaults among them.
    def shaped(x, y, p, w):
        return L.linear_cross_entropy(x, w, y, temperature=0.7, z_loss=0.1, label_smoothing=0.1)

    loss = shaped if name == "shaped" else LOSSES[name]
    compiled = torch.compile(loss, fullgraph=True, dynamic=True, backend="eager")
    for rows in (2, 4, 3):
        batch = logits()[:rows], TARGET[:rows], SOFT[:rows], HEAD
        torch.testing.assert_close(compiled(*batch), loss(*batch))


@pytest.mark.filterwarnings("ignore:.*torch.jit:DeprecationWarning")
@pytest.mark.filterwarnings("ignore::torch.jit.TracerWarning")
def test_traced_by_torchscript():
    module = L.CrossEntropyLoss(label_smoothing=0.1)
    traced = torch.jit.trace(module, (logits(), TARGET))
    x = 3 * logits()
    torch.testing.assert_close(traced(x, TARGET), module(x, TARGET))


def test_exported():
    class Model(torch.nn.Module):
        def __init__(self):
            super().__init__()
            self.loss = L.CrossEntropyLoss(torch.tensor([0.5, 1.0, 2.0]), label_smoothing=0.1)

        def forward(self, x, y):
            hidden = L.linear_cross_entropy(x, HEAD, y)
            return self.loss(x, y), hidden

    program = torch.export.export(Model(), (logits(), TARGET))
    # Operations of torch alone: a saved program needs no import of ours, and ONNX knows them.
    assert "xent" not in str([node.target for node in program.graph.nodes])
    x = 3 * logits()
    loss, hidden = program.module()(x, TARGET)
    whole = torch.nn.CrossEntropyLoss(torch.tensor([0.5, 1.0, 2.0]), label_smoothing=0.1)
    torch.testing.assert_close(loss, whole(x, TARGET))
    torch.testing.assert_close(hidden, torch.nn.functional.cross_entropy(x @ HEAD.T, TARGET))


@pytest.mark.filterwarnings("ignore")
def test_onnx_knows_the_operations():
    """Values by ONNX Runtime, which knows nothing of ours."""
    pytest.importorskip("onnxscript")
    runtime = pytest.importorskip("onnxruntime")

    class Model(torch.nn.Module):
        def __init__(self):
            super().__init__()
            self.loss = L.CrossEntropyLoss(torch.tensor([0.5, 1.0, 2.0]), label_smoothing=0.1)

        def forward(self, x, y, w):
            return (
                self.loss(x, y),
                L.linear_cross_entropy(x, w, y),
                L.binary_cross_entropy_with_logits(x, x.sigmoid()),
                L.kl_div(x.log_softmax(1), x.softmax(1).flip(1), reduction="batchmean"),
            )

    program = torch.onnx.export(Model(), (logits(), TARGET, HEAD), dynamo=True, verbose=False)
    session = runtime.InferenceSession(program.model_proto.SerializeToString())
    x = 3 * logits()
    found = session.run(None, {"x": x.numpy(), "y": TARGET.numpy(), "w": HEAD.numpy()})
    F = torch.nn.functional
    truth = (
        F.cross_entropy(x, TARGET, torch.tensor([0.5, 1.0, 2.0]), label_smoothing=0.1),
        F.cross_entropy(x @ HEAD.T, TARGET),
        F.binary_cross_entropy_with_logits(x, x.sigmoid()),
        F.kl_div(x.log_softmax(1), x.softmax(1).flip(1), reduction="batchmean"),
    )
    torch.testing.assert_close([torch.from_numpy(each) for each in found], list(truth))


@pytest.mark.filterwarnings("ignore:.*torch.jit:DeprecationWarning", "ignore::UserWarning")
def test_scripts_are_refused():
    """docs/losses.md says so: forward takes a keyword-only argument."""
    with pytest.raises(torch.jit.frontend.NotSupportedError, match="keyword-only"):
        torch.jit.script(L.CrossEntropyLoss())


@pytest.mark.parametrize("name", ["cross_entropy", "linear_cross_entropy"])
def test_unreduced_losses_are_masked_in_place(name):
    x, w = logits().requires_grad_(), HEAD
    y, mask = TARGET.clamp(min=0), torch.tensor([1.0, 0.0, 2.0, 1.0])

    def score(how):
        if name == "cross_entropy":
            return how(x, y, reduction="none")
        return L.linear_cross_entropy(x, w, y, reduction="none")

    loss = score(L.cross_entropy)
    loss *= mask
    logits_ = x if name == "cross_entropy" else x @ w.T
    want = torch.nn.functional.cross_entropy(logits_, y, reduction="none") * mask
    torch.testing.assert_close(loss, want)
    got = torch.autograd.grad(loss.sum(), x)
    torch.testing.assert_close(got, torch.autograd.grad(want.sum(), x))


def compiled(call, *tensors):
    """Value, gradients, and the largest tensor of the graphs that torch.compile makes of it."""
    from torch._dynamo.backends.common import aot_autograd
    from torch._functorch.aot_autograd import make_boxed_func

    sizes = []

    def keep(graph, _):
        for node in graph.graph.nodes:
            values = node.meta.get("val")
            values = values if isinstance(values, tuple | list) else [values]
            sizes.extend(v.numel() for v in values if isinstance(v, torch.Tensor))
        return make_boxed_func(graph.forward)

    torch._dynamo.reset()
    leaves = [t.clone().requires_grad_(t.is_floating_point()) for t in tensors]
    backend = aot_autograd(fw_compiler=keep, bw_compiler=keep)
    loss = torch.compile(call, fullgraph=True, backend=backend)(*leaves)
    (loss if loss.dim() == 0 else (loss * torch.arange(1.0, len(loss) + 1)).sum()).backward()
    return loss, [leaf.grad for leaf in leaves if leaf.is_floating_point()], max(sizes)


HEADS = {
    "mean": lambda x, w, b, y: L.linear_cross_entropy(x, w, y, linear_bias=b, label_smoothing=0.1),
    "rows": lambda x, w, b, y: L.linear_cross_entropy(x, w, y, linear_bias=b, reduction="none"),
    "sum": lambda x, w, b, y: L.linear_cross_entropy(
        x, w, y, linear_bias=b, reduction="sum", softcap=3.0, z_loss=0.1
    ),
    "nothing": lambda x, w, b, y: L.linear_cross_entropy(x, w, y * 0 - 100, linear_bias=b),
    "log_prob": lambda x, w, b, y: L.linear_log_prob(x, w, y, linear_bias=b),
    "entropy": lambda x, w, b, y: L.linear_entropy(x, w, linear_bias=b),
    "binary": lambda x, w, b, y: L.linear_binary_cross_entropy(
        x, w, _pairs_of(y), linear_bias=b, pos_weight=WEIGHTS, label_smoothing=0.1
    ),
    "binary rows": lambda x, w, b, y: L.linear_binary_cross_entropy(
        x, w, _pairs_of(y), linear_bias=b, token_weight=WEIGHTS[:40], reduction="none"
    ),
    "kl": lambda x, w, b, y: L.linear_kl_div(
        x, w, THEIRS, THEIR_HEAD, linear_bias=b, temperature=2.0, token_weight=WEIGHTS[:40]
    ),
    "kl rows": lambda x, w, b, y: L.linear_kl_div(
        x, w, teacher=_top_classes(y), linear_bias=b, reduction="none"
    ),
    "statistics": lambda x, w, b, y: _with_stats(
        L.linear_cross_entropy(x, w, y, linear_bias=b, z_loss=0.1, softcap=5.0, stats=True)
    ),
    "statistics of rows": lambda x, w, b, y: _with_stats(
        L.linear_cross_entropy(
            x, w, y, linear_bias=b, token_weight=WEIGHTS[:40], reduction="none", stats=True
        )
    ),
    "grpo": lambda x, w, b, y: L.linear_grpo(
        x[:, None], w, y[:, None], WEIGHTS[:40], linear_bias=b, entropy_bonus=0.1
    ),
    "js": lambda x, w, b, y: L.linear_js_div(x, w, THEIRS, THEIR_HEAD, linear_bias=b, softcap=5.0),
}
THEIRS, THEIR_HEAD = (
    torch.randn(s, generator=torch.Generator().manual_seed(7)) for s in ((40, 4), (60, 4))
)
WEIGHTS = torch.arange(60.0).remainder(3)


def _with_stats(found):
    """The loss, and whatever of its statistics can be differentiated."""
    loss, stats = found
    rows = 0.3 * stats.lse - 0.7 * stats.log_prob + 0.2 * stats.entropy + stats.argmax
    return loss + rows + stats.accuracy


def _pairs_of(y):
    """The class of each row, and the one before it, are true."""
    rows = torch.arange(len(y)).repeat(2)
    return torch.stack([rows, torch.cat([y, y - 1]).remainder(60)], 1)


def _top_classes(y):
    listed = torch.stack([y, y + 1], 1).remainder(60)
    return listed, torch.tensor([0.5, 0.25]).log().expand(len(y), 2)


@pytest.mark.grid
@pytest.mark.parametrize("name", HEADS)
def test_compiled_heads_hold_no_logits(name):
    g = torch.Generator().manual_seed(0)
    rows, width, classes = 40, 6, 60  # the head is the largest that need be there
    x, w, b = (torch.randn(s, generator=g) for s in ((rows, width), (classes, width), (classes,)))
    y = torch.randint(0, classes, (rows,), generator=g)
    y[3] = -100
    loss, grads, largest = compiled(HEADS[name], x, w, b, y)
    leaves = [t.clone().requires_grad_() for t in (x, w, b)]
    truth = HEADS[name](*leaves, y)
    (truth if truth.dim() == 0 else (truth * torch.arange(1.0, rows + 1)).sum()).backward()
    torch.testing.assert_close(loss, truth)
    for found, leaf in zip(grads, leaves, strict=True):
        torch.testing.assert_close(found, leaf.grad)
    assert largest == classes * width < rows * classes


def test_compiled_heads_find_wrong_targets_and_silence_rows():
    x, w = torch.randn(4, 3), torch.randn(5, 3)
    y, token = torch.tensor([0, 9, 1, 2]), torch.tensor([1.0, 0.0, 2.0, 1.0])
    call = torch.compile(L.linear_cross_entropy, fullgraph=True, backend="aot_eager")
    with pytest.raises(ValueError, match="`target` must be below 5"):
        call(x, w, y)
    x[1] = float("nan")
    leaf = w.clone().requires_grad_()
    loss = call(x, leaf, y, token_weight=token)
    loss.backward()
    truth = w.clone().requires_grad_()
    kept = torch.tensor([0, 2, 3])
    other = L.linear_cross_entropy(x[kept], truth, y[kept], token_weight=token[kept])
    other.backward()
    torch.testing.assert_close(loss, other)
    torch.testing.assert_close(leaf.grad, truth.grad)


def test_other_compiled_heads_find_what_is_wrong():
    x, w, y = torch.randn(4, 3), torch.randn(5, 3), torch.rand(4, 5)
    call = torch.compile(L.linear_binary_cross_entropy, fullgraph=True, backend="aot_eager")
    torch.testing.assert_close(call(x, w, y), L.linear_binary_cross_entropy(x, w, y))
    with pytest.raises(ValueError, match="`target` must"):
        call(x, w, y + 2)
    with pytest.raises(ValueError, match="`target` must hold rows below 4 and classes below 5"):
        call(x, w, torch.tensor([[0, 5]]))

    def call(x, w, *teacher):
        return L.linear_kl_div(x, w, teacher=teacher)

    call = torch.compile(call, fullgraph=True, backend="aot_eager")
    with pytest.raises(ValueError, match="`teacher` must list a class once a row"):
        call(x, w, torch.tensor([[1, 1]] * 4), torch.full((4, 2), -1.0))


def test_an_exported_head_holds_operations_of_torch_alone():
    class Model(torch.nn.Module):
        def forward(self, x, w, y):
            return L.linear_cross_entropy(x, w, y)

    x, w, y = torch.randn(4, 3), torch.randn(5, 3), torch.tensor([0, 4, 1, -100])
    program = torch.export.export(Model(), (x, w, y))
    assert "xent" not in str(program.graph)
    torch.testing.assert_close(program.module()(x, w, y), L.linear_cross_entropy(x, w, y))


def random(*shape, dtype):
    return torch.randn(*shape, generator=torch.Generator().manual_seed(1)).to(dtype)


@pytest.mark.parametrize("reduction", ["mean", "none"])
@pytest.mark.parametrize(
    "dtype", [torch.float32, torch.bfloat16, torch.float64, torch.float16], ids=str
)
def test_operators_give_what_torch_is_told_of_them(dtype, reduction):
    """Shapes, strides and types: what the rest of a compiled graph is made for."""
    ops, real = torch.ops.xent, torch.promote_types(dtype, torch.float32)
    o = (reduction, -100, 0.1, 0.7, 0.0, 0.0, "zero")
    y = torch.tensor([[0, 3, 1], [2, -100, 0]])
    x = random(2, 4, 3, dtype=dtype)
    ups = random(6, dtype=real) if reduction == "none" else random((), dtype=real)
    hidden, w, b = random(6, 5, dtype=dtype), random(4, 5, dtype=dtype), random(4, dtype=dtype)
    head = hidden, w, b, y.reshape(-1), None, None
    answers = hidden, w, b, random(6, 4, dtype=dtype).sigmoid(), None, None, None
    of_answers = reduction, 0.1, 0.7, 0.0, "zero", None
    teacher = hidden, w, b, hidden + 1, w, b, None, None, None
    wants, columns = (True, True, True), [random(6, dtype=real) for _ in range(3)]
    calls = [
        (ops.linear_class_loss, (*head, *o, False, *wants)),
        (ops.linear_class_loss_backward, (ups, *head, *o, False, *wants)),
        (ops.linear_class_stats, (*head, *o, *wants)),
        (ops.linear_class_stats_backward, (ups, *columns, *head, *o, *wants)),
        (ops.linear_binary_loss, (*answers, *of_answers, *wants)),
        (ops.linear_binary_loss_backward, (ups, *answers, *of_answers, *wants)),
        (ops.linear_teacher_loss, (*teacher, reduction, *o[2:], 0.0, *wants)),
        (ops.linear_teacher_loss_backward, (ups, *teacher, reduction, *o[2:], 0.0, *wants)),
    ]
    # Logits of float16 come to the operator as float32.
    last = (x.float() if dtype == torch.float16 else x).movedim(1, -1)
    x = last.movedim(-1, 1)
    for z, axis in (
        (x, 1),
        (last, 2),
        (last.contiguous(), 2),
        (last.contiguous().movedim(-1, 1), 1),
    ):
        calls.append((ops.softmax_loss, (z, y, None, None, axis, *o, True)))
        up = ups.reshape(2, 3) if reduction == "none" else ups.expand(2, 3)
        calls.append((ops.softmax_loss_backward, (up, z, y, None, None, axis, *o[1:6])))
    for operator, arguments in calls:
        torch.library.opcheck(operator.default, arguments, test_utils="test_faketensor")


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16], ids=str)
def test_compiled_heads_of_half_precision(dtype):
    def classes(x, w, y, p):
        return L.linear_cross_entropy(x, w, y, temperature=0.7, reduction="none")

    def shares(x, w, y, p):
        return L.linear_cross_entropy(x, w, p)

    def answers(x, w, y, p):
        return L.linear_binary_cross_entropy(x, w, p, temperature=0.7)

    x, w, y = random(6, 5, dtype=dtype), random(4, 5, dtype=dtype), torch.tensor([0, 3, 1, 2, 0, 1])
    p = random(6, 4, dtype=torch.float32).softmax(1).to(dtype)
    plain = torch.nn.functional
    z = x.double() @ w.double().t()
    truths = {
        classes: lambda z: plain.cross_entropy(z / 0.7, y, reduction="none"),
        shares: lambda z: -(p.double() * z.log_softmax(1)).sum() / 6,
        answers: lambda z: plain.binary_cross_entropy_with_logits(z / 0.7, p.double()),
    }
    for call, formula in truths.items():
        torch._dynamo.reset()
        leaf = x.clone().requires_grad_()
        loss = torch.compile(call, fullgraph=True, backend="aot_eager")(leaf, w, y, p)
        loss.sum().backward()
        logits = z.clone().requires_grad_()
        want = formula(logits)
        want.sum().backward()
        assert loss.dtype == torch.float32
        torch.testing.assert_close(loss.double(), want, rtol=0.02, atol=0.02)
        torch.testing.assert_close(
            leaf.grad.double(), logits.grad @ w.double(), rtol=0.03, atol=0.03
        )


def test_an_upstream_gradient_of_a_compiled_loss_is_not_rounded():
    x, w = random(6, 5, dtype=torch.bfloat16), random(4, 5, dtype=torch.bfloat16)
    y = torch.tensor([0, 3, 1, 2, 0, 1])
    calls = (
        lambda x: L.cross_entropy(x[:, :4], y) * 0.3,
        lambda x: L.linear_cross_entropy(x, w, y) * 0.3,
    )
    for call in calls:
        torch._dynamo.reset()
        found, want = (x.clone().requires_grad_() for _ in range(2))
        torch.compile(call, fullgraph=True, backend="aot_eager")(found).backward()
        call(want).backward()
        assert torch.equal(found.grad, want.grad)

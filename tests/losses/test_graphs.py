"""Every loss and head with statistics and weights, as torch.compile, torch.export and ONNX see it."""

import pytest
import torch

import xent.losses as L


def normal(*shape, seed):
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed))


X, Q, HEAD, P = (
    normal(6, 5, seed=0),
    normal(6, 5, seed=1),
    normal(7, 5, seed=2),
    normal(6, 5, seed=3),
)
P = P.softmax(1)
Y, OF_HEAD = torch.tensor([0, 4, 1, -100, 3, 1]), torch.tensor([0, 6, 1, -100, 3, 1])
CLASSES, TOKENS = torch.linspace(0.0, 2.0, 5), torch.linspace(0.0, 1.0, 6)
PAIRS = torch.tensor([[0, 1], [3, 6]])
ALL = {
    "label_smoothing": 0.1, "softcap": 5.0, "z_loss": 0.1, "temperature": 0.7, "stats": True,
    "token_weight": TOKENS,
}  # fmt: skip
PROBS = {"token_weight": TOKENS, "stats": True}
ANSWERS = {"stats": True, "ignore_index": -1, "token_weight": TOKENS[:, None]}

LOSSES = {
    "cross_entropy": lambda x: L.cross_entropy(x, Y, CLASSES, **ALL),
    "soft": lambda x: L.cross_entropy(x, P, CLASSES, **ALL),
    "nll_loss": lambda x: L.nll_loss(x.log_softmax(1), Y, CLASSES, **PROBS),
    "focal_loss": lambda x: L.focal_loss(x, Y, alpha=0.5, weight=CLASSES, **ALL),
    "bce": lambda x: L.binary_cross_entropy_with_logits(
        x, P, CLASSES, pos_weight=CLASSES, softcap=5.0, **ANSWERS
    ),
    "binary_cross_entropy": lambda x: L.binary_cross_entropy(x.sigmoid(), P, CLASSES, **ANSWERS),
    "sigmoid_focal_loss": lambda x: L.sigmoid_focal_loss(x, P, weight=CLASSES, **ANSWERS),
    "multilabel": lambda x: L.multilabel_soft_margin_loss(x, P, CLASSES, **PROBS),
    "kl_div": lambda x: L.kl_div(x.log_softmax(1), P, axis=1, reduction="batchmean", **PROBS),
    "js_div": lambda x: L.js_div(x, Q, **ALL),
    "info_nce": lambda x: L.info_nce(x, Q, temperature=0.5, stats=True),
    "queue": lambda x: L.info_nce(x, Q, temperature=0.5, negatives=HEAD, stats=True),
    "siglip": lambda x: L.siglip(x, Q, scale=1.0, bias=0.0, **PROBS),
    "linear_cross_entropy": lambda x: L.linear_cross_entropy(
        x, HEAD, OF_HEAD, weight=TOKENS.repeat(2)[:7], **ALL
    ),
    "linear_log_prob": lambda x: L.linear_log_prob(x, HEAD, OF_HEAD, stats=True),
    "linear_entropy": lambda x: L.linear_entropy(x, HEAD),
    "answers": lambda x: L.linear_binary_cross_entropy(
        x, HEAD, (Q @ HEAD.T).sigmoid(), pos_weight=TOKENS.repeat(2)[:7], token_weight=TOKENS
    ),
    "pairs": lambda x: L.linear_binary_cross_entropy(x, HEAD, PAIRS, token_weight=TOKENS),
    "linear_kl_div": lambda x: L.linear_kl_div(x, HEAD, Q, HEAD, **ALL),
    "linear_js_div": lambda x: L.linear_js_div(x, HEAD, Q, HEAD, **PROBS),
    "dpo": lambda x: L.linear_dpo(x[:, None], HEAD, OF_HEAD[:, None], -TOKENS),
    "simpo": lambda x: L.linear_simpo(x[:, None], HEAD, OF_HEAD[:, None]),
    "orpo": lambda x: L.linear_orpo(x[:, None], HEAD, OF_HEAD[:, None]),
    "kto": lambda x: L.linear_kto(x[:, None], HEAD, OF_HEAD[:, None], -TOKENS, TOKENS > 0.5),
    "grpo": lambda x: L.linear_grpo(
        x[:, None], HEAD, OF_HEAD[:, None], TOKENS, entropy_bonus=0.1
    ),
    "sampled": lambda x: L.linear_sampled_cross_entropy(
        x, HEAD, OF_HEAD, torch.tensor([0, 2, 3]), HEAD[:, 0].log_softmax(0), token_weight=TOKENS
    ),
}  # fmt: skip
EVERYDAY = {"soft", "bce", "linear_cross_entropy", "linear_kl_div", "grpo"}
EACH = pytest.mark.parametrize(
    "name", [n if n in EVERYDAY else pytest.param(n, marks=pytest.mark.long) for n in LOSSES]
)


def flat(found):
    """The loss, then its statistics where there are any."""
    return [found] if isinstance(found, torch.Tensor) else [found[0], *found[1]]


class Model(torch.nn.Module):
    def __init__(self, name):
        super().__init__()
        self.name = name

    def forward(self, x):
        return tuple(flat(LOSSES[self.name](x)))


@pytest.mark.grid
@EACH
def test_compiled_whole(name):
    """No break in the graph; values and gradients of eager mode, through statistics too."""
    torch._dynamo.reset()
    results = []
    for call in (Model(name), torch.compile(Model(name), fullgraph=True, backend="aot_eager")):
        x = X.clone().requires_grad_()
        found = call(x)
        sum((part.sum() * (1 + n) for n, part in enumerate(found[:4])), torch.zeros(())).backward()
        results.append([*(part.detach() for part in found), x.grad])
    torch.testing.assert_close(*results, equal_nan=True)


@EACH
def test_exported_without_ours(name):
    """A saved program runs without xent."""
    program = torch.export.export(Model(name), (X,))
    assert "xent" not in str(program.graph)
    want = flat(LOSSES[name](2 * X))
    torch.testing.assert_close(list(program.module()(2 * X)), want, equal_nan=True)


@pytest.mark.long
@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize("name", LOSSES)
def test_run_by_another_program(name):
    """By ONNX Runtime, which knows nothing of ours."""
    pytest.importorskip("onnxscript")
    runtime = pytest.importorskip("onnxruntime")
    program = torch.onnx.export(Model(name), (X,), dynamo=True, verbose=False)
    session = runtime.InferenceSession(program.model_proto.SerializeToString())
    found = [torch.from_numpy(part) for part in session.run(None, {"x": (2 * X).numpy()})]
    torch.testing.assert_close(found, flat(LOSSES[name](2 * X)), equal_nan=True)

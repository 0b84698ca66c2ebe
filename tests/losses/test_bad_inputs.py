"""What peers answer in silence or with NaN: each of 77 inputs and more, and the answer here."""

import inspect
import math
import re

import numpy as np
import pytest
import torch

import xent.losses as L

inf, nan = math.inf, math.nan
X = torch.tensor([[2.0, -1.0, 0.5], [0.0, 1.0, 3.0]])
Y = torch.tensor([0, 2])
SOFT = torch.full((2, 3), 1 / 3)
B, T = torch.zeros(4), torch.tensor([0.0, 1.0, 1.0, 0.0])
H, W = torch.zeros(2, 4), torch.zeros(3, 4)
LOG3, LOG2 = math.log(3), math.log(2)
TRUE = float(
    np.mean([-2 + np.log(np.exp([2, -1, 0.5]).sum()), -3 + np.log(np.exp([0, 1, 3.0]).sum())])
)
LEARNT = torch.ones((), requires_grad=True)
MASKED = torch.tensor([[0.0, 0.0, -inf]])
bce, kl = L.binary_cross_entropy_with_logits, L.kl_div


def no_weight(value):
    return torch.tensor([value, 1.0, 1.0])


REFUSED = {
    "target == C": (lambda: L.cross_entropy(X, Y + 1), "`target` must be below 3, the number"),
    "target == 2**40": (lambda: L.cross_entropy(X, Y + 2**40), "`target` must be below 3"),
    "target = -1": (lambda: L.cross_entropy(X, Y - 1), "`target` must be non-negative, got -1 at [0]"),
    "target = -1, reduction none": (lambda: L.cross_entropy(X, Y - 1, reduction="none"), "must be non-neg"),
    "target == C, label_smoothing": (lambda: L.cross_entropy(X, Y + 1, label_smoothing=0.1), "below 3"),
    "float class indices": (lambda: L.cross_entropy(X, Y.float()), "Class indices are integers."),
    "bool targets": (lambda: L.cross_entropy(X, Y > 0), "must hold class indices or probabilities, got torch.bool"),
    "integer logits": (lambda: L.cross_entropy(X.long(), Y), "`input` must be a floating-point tensor"),
    "target length != batch": (lambda: L.cross_entropy(X, Y[:1]), "`target` must have the shape (2,)"),
    "target shape (N,1)": (lambda: L.cross_entropy(X, Y[:, None]), "`target` must have the shape (2,)"),
    "arguments swapped": (lambda: L.cross_entropy(Y, X), "Are `input` and `target` swapped?"),
    "python lists": (lambda: L.cross_entropy(X.tolist(), Y), "`input` must be a tensor, got a list"),
    "soft targets of a half softmax": (
        lambda: L.cross_entropy(torch.zeros(1, 3), torch.tensor([[0.5, 0.25, 0.252]])),
        "got 1.002 at [0]. Of logits in half precision take logits.float().softmax(-1)",
    ),
    "answer past rounding": (
        lambda: L.binary_cross_entropy_with_logits(torch.zeros(1), torch.tensor([1.0000012])),
        "must be between 0 and 1, got 1.00000119 at [0]. What half precision or a resize has",
    ),
    "answer of 1.5": (
        lambda: L.binary_cross_entropy_with_logits(torch.zeros(1), torch.tensor([1.5])),
        "must be between 0 and 1, got 1.5 at [0].",
    ),
    "soft targets sum 0.5": (lambda: L.cross_entropy(X, SOFT / 2), "must sum to 1 over the classes, got 0.5 at [0]"),
    "soft targets negative": (lambda: L.cross_entropy(X, SOFT - torch.tensor([1.0, 0, 0])), "must be non-negative"),
    "soft targets NaN": (lambda: L.cross_entropy(X, SOFT * nan), "must sum to 1 over the classes, got nan"),
    "soft targets + ignore_index": (lambda: L.cross_entropy(X, SOFT, ignore_index=0), "token_weight of 0"),
    "soft targets, shape (N,)": (lambda: L.cross_entropy(X, SOFT[:, 0]), "`target` must have the shape of `input`"),
    "one-hot integers": (lambda: L.cross_entropy(X, torch.ones(2, 3).long()), "pass them as floats"),
    "class weight negative": (lambda: L.cross_entropy(X, Y, no_weight(-1.0)), "must be finite and non-negative, got -1"),
    "class weights cancel": (lambda: L.cross_entropy(X, Y, torch.tensor([1.0, 1, -1])), "must be finite and non-neg"),
    "class weight NaN": (lambda: L.cross_entropy(X, Y, no_weight(nan)), "must be finite and non-negative, got nan"),
    "class weight wrong length": (lambda: L.cross_entropy(X, Y, torch.ones(2)), "one entry a class, (3,), got (2,)"),
    "label_smoothing 1.5": (lambda: L.cross_entropy(X, Y, label_smoothing=1.5), "must be between 0 and 1, got 1.5"),
    "label_smoothing -0.1": (lambda: L.cross_entropy(X, Y, label_smoothing=-0.1), "between 0 and 1, got -0.1"),
    "label_smoothing nan": (lambda: L.cross_entropy(X, Y, label_smoothing=nan), "between 0 and 1, got nan"),
    "C = 0": (lambda: L.cross_entropy(X[:, :0], Y), "must have at least one class, got (2, 0)"),
    "0-dim logits": (lambda: L.cross_entropy(X[0, 0], Y[0]), "must have a class dimension"),
    "sparse logits": (lambda: L.cross_entropy(X.to_sparse(), Y), "`input` must be a dense tensor, got torch.sparse_coo"),
    "nested logits": (lambda: L.cross_entropy(torch.nested.nested_tensor([X, X], layout=torch.jagged), Y), "`input` must be a dense tensor"),
    "float8 logits": (lambda: L.cross_entropy(X.to(torch.float8_e4m3fn), Y), "`input` must be of 16 bits or more"),
    "target on another device": (lambda: L.cross_entropy(X, Y.to("meta")), "on the device of `input`, cpu, got meta"),
    "weight on another device": (lambda: L.nll_loss(X, Y, torch.ones(3, device="meta")), "`weight` must be on the device"),
    "sparse head": (lambda: L.linear_cross_entropy(H, W.to_sparse(), Y), "`linear_weight` must be a dense tensor"),
    "answers of integers": (lambda: L.linear_binary_cross_entropy(H, W, torch.ones(2, 3).long()), "floats: target.float()"),
    "head and target swapped": (lambda: L.linear_cross_entropy(H, Y, W), "a floating-point tensor, got torch.int64"),
    "head on another device": (lambda: L.linear_cross_entropy(H, W.to("meta"), Y), "`linear_weight` must be on the dev"),
    "BCE target on another device": (lambda: bce(B, T.to("meta")), "`target` must be on the device of `input`, cpu"),
    "ignore_index None": (lambda: L.cross_entropy(X, Y, ignore_index=None), "`ignore_index` must be an integer"),
    "ignore_index 2**70": (lambda: L.cross_entropy(X, Y, ignore_index=2**70), "`ignore_index` must be below 2**63"),
    "label_smoothing None": (lambda: L.cross_entropy(X, Y, label_smoothing=None), "`label_smoothing` must be a number"),
    "z_loss text": (lambda: L.cross_entropy(X, Y, z_loss="1"), "`z_loss` must be a number, got '1'"),
    "axis 1.0": (lambda: L.cross_entropy(X, Y, axis=1.0), "`axis` must be an integer or None, got 1.0"),
    "temperature for each class": (lambda: L.cross_entropy(X, Y, temperature=torch.ones(3)), "be a number, got a tensor"),
    "temperature that learns": (lambda: L.info_nce(X, X, temperature=LEARNT), "got a tensor that requires a gradient"),
    "reduction='avg'": (lambda: L.cross_entropy(X, Y, reduction="avg"), "must be 'mean', 'sum' or 'none'"),
    "complex logits": (lambda: L.cross_entropy(X + 0j, Y), "`input` must be a floating-point tensor"),
    "BCE logits: target 5": (lambda: bce(B, T + 5), "`target` must be between 0 and 1, got 5 at [0]"),
    "BCE logits: target NaN": (lambda: bce(B, T * nan), "`target` must be between 0 and 1, got nan at [0]"),
    "BCE logits: shapes (4,1), (4,)": (lambda: bce(B[:, None], T), "must have the shape of `input`, (4, 1)"),
    "BCE logits: pos_weight -1": (lambda: bce(B, T, pos_weight=torch.tensor(-1.0)), "must be finite and non-negative"),
    "BCE probabilities: p = 1.5": (lambda: L.binary_cross_entropy(B + 1.5, T), "must be between 0 and 1 (for logits"),
    "BCE probabilities: p NaN": (lambda: L.binary_cross_entropy(B * nan, T), "`input` must be between 0 and 1"),
    "BCE probabilities: target 5": (lambda: L.binary_cross_entropy(B, T + 5), "`target` must be between 0 and 1"),
    "logits as probabilities": (lambda: L.binary_cross_entropy(X, SOFT), "(for logits use binary_cross_entropy_with_l"),
    "KL: negative p": (lambda: kl(X, -SOFT), "`target` must be non-negative"),
    "KL: not normalised, axis named": (lambda: kl(X, SOFT * 20, axis=1), "must sum to 1 over the classes, got 20"),
    "KL: arguments swapped": (lambda: kl(SOFT, SOFT.log()), "are these logarithms? pass log_target=True"),
    "all ignored, empty='raise'": (lambda: L.cross_entropy(X, Y * 0 - 100, empty="raise"), "no row counts"),
    "linear: target == C": (lambda: L.linear_cross_entropy(H, W, Y + 1), "must be below 3, the number of classes"),
    "linear: options": (lambda: L.linear_cross_entropy(H, W, Y, options={}), "`options` must be None, got {}"),
    "linear: head turned round": (lambda: L.linear_cross_entropy(H, W.T, Y), "must have the shape (V, 4), got (4, 3)"),
}  # fmt: skip


@pytest.mark.parametrize("name", REFUSED)
def test_refused(name):
    call, words = REFUSED[name]
    with pytest.raises((ValueError, TypeError), match=re.escape(words)):
        call()


ANSWERED = {
    "empty batch, mean": (lambda: L.cross_entropy(X[:0], Y[:0]), 0.0),
    "all ignored, mean": (lambda: L.cross_entropy(X, Y * 0 - 100), 0.0),
    "int32 targets": (lambda: L.cross_entropy(X, Y.int()), TRUE),
    "uint8 targets": (lambda: L.cross_entropy(X, Y.byte()), TRUE),
    "int16 targets": (lambda: L.cross_entropy(X, Y.short()), TRUE),
    "NaN logit": (lambda: L.cross_entropy(X * nan, Y), nan),
    "NaN logit in an ignored row, sum": (
        lambda: L.cross_entropy(torch.tensor([[nan, 0.0], [0.0, 0.0]]), torch.tensor([-100, 0]), reduction="sum"),
        LOG2),
    "+inf logit of the true class": (lambda: L.cross_entropy(torch.tensor([[inf, 0.0]]), Y[:1]), 0.0),
    "-inf logit of the true class": (lambda: L.cross_entropy(torch.tensor([[-inf, 0.0]]), Y[:1]), inf),
    "-inf logit of another class": (lambda: L.cross_entropy(MASKED, Y[:1]), LOG2),
    "the same, label_smoothing": (lambda: L.cross_entropy(MASKED, Y[:1], label_smoothing=0.1), inf),
    "the same, one-hot soft target": (lambda: L.cross_entropy(MASKED, torch.eye(3)[:1]), LOG2),
    "whole row -inf": (lambda: L.cross_entropy(MASKED - inf, Y[:1]), nan),
    "whole row -inf but ignored": (lambda: L.cross_entropy(MASKED - inf, Y[:1] - 100), 0.0),
    "zero probability of the true class": (
        lambda: L.nll_loss(torch.tensor([[0.0, 1.0]]).log(), Y[:1]), inf),
    "soft targets float64, logits float32": (lambda: L.cross_entropy(X * 0, SOFT.double()), LOG3),
    "class weight all 0, mean": (lambda: L.cross_entropy(X, Y, torch.zeros(3)), 0.0),
    "class weight float64": (lambda: L.cross_entropy(X, Y, torch.ones(3).double()), TRUE),
    "float16, sum over 1e5 rows": (
        lambda: L.cross_entropy(torch.zeros(100_000, 3).half(), torch.zeros(100_000).long(), reduction="sum") / 1e5,
        LOG3),
    "bfloat16, mean over 1e5 rows": (
        lambda: L.cross_entropy(torch.zeros(100_000, 3).bfloat16(), torch.zeros(100_000).long()), LOG3),
    "non-contiguous logits": (lambda: L.cross_entropy(torch.stack([X, X], -1)[..., 0], Y), TRUE),
    "C = 1": (lambda: L.cross_entropy(X[:, :1], Y * 0), 0.0),
    "C = 2e6": (lambda: L.cross_entropy(torch.zeros(1, 2_000_000), Y[:1]), math.log(2e6)),
    "BCE logits: logit +inf, target 1": (lambda: bce(B[:1] + inf, T[1:2]), 0.0),
    "BCE logits: logit -inf, target 0": (lambda: bce(B[:1] - inf, T[:1]), 0.0),
    "BCE logits: int target": (lambda: bce(B, T.long()), LOG2),
    "BCE probabilities: p = 0, target 1": (lambda: L.binary_cross_entropy(B[:1], T[1:2]), inf),
    "KL: p = 0, q = 0": (lambda: kl(torch.tensor([-inf, 0.0]), torch.tensor([0.0, 1.0]), reduction="sum"), 0.0),
    "KL: q = 0, p > 0": (lambda: kl(torch.tensor([-inf, 0.0]), torch.tensor([0.5, 0.5]), reduction="sum"), inf),
    "KL: log_target, p = 0": (
        lambda: kl(torch.tensor([-inf, 0.0]), torch.tensor([-inf, 0.0]), reduction="sum", log_target=True), 0.0),
    "KL: batchmean is the divergence": (
        lambda: kl(torch.full((2, 3), 1 / 3).log(), torch.eye(3)[:2], reduction="batchmean"), LOG3),
    "linear: all ignored": (lambda: L.linear_cross_entropy(H, W, Y * 0 - 100), 0.0),
    "float64 in, float64 out": (lambda: bce(B.double() - 20, T.double() * 0), math.log1p(math.exp(-20))),
    # Nothing tells these from what they are taken for; torch's functions take any number too.
    "probabilities as logits": (lambda: L.cross_entropy(SOFT, Y), LOG3),
    "NLL: positive log-probabilities": (lambda: L.nll_loss(SOFT, Y), -1 / 3),
    "KL: probabilities as log-probabilities": (
        lambda: kl(SOFT, SOFT, reduction="batchmean"), -LOG3 - 1 / 3),
}  # fmt: skip


@pytest.mark.parametrize("name", ANSWERED)
def test_answered(name):
    call, want = ANSWERED[name]
    assert float(call()) == pytest.approx(want, rel=1e-6, nan_ok=True)


def test_gradients_of_corners():
    def slope(loss, x, *rest, **options):
        x = x.clone().requires_grad_()
        loss(x, *rest, **options).backward()
        return x.grad[0].tolist()

    assert slope(L.cross_entropy, MASKED, torch.eye(3)[:1]) == [-0.5, 0.5, 0.0]
    assert slope(L.cross_entropy, MASKED, Y[:1]) == [-0.5, 0.5, 0.0]
    assert slope(L.cross_entropy, X, Y * 0 - 100) == [0.0, 0.0, 0.0]
    soft = SOFT.clone().requires_grad_()
    L.cross_entropy(X, soft).backward()  # a target may learn
    torch.testing.assert_close(soft.grad, -X.log_softmax(1) / 2)
    x = X.clone().requires_grad_()
    loss = L.linear_cross_entropy(x, torch.eye(3), Y)
    loss.backward()
    with pytest.raises(RuntimeError, match="second time"):
        loss.backward()
    assert bce(B.double(), T.double()).dtype == torch.float64


LOSSES = [n for n in L.__all__ if n[0].islower() and n != "vocab_parallel_cross_entropy"]
ARGUMENTS = {
    "a": X,
    "b": X,
    "linear_weight": W,
    "teacher_input": H,
    "teacher_weight": W,
    "scale": 1.0,
    "bias": 0.0,
    "temperature": 1.0,
    "reference": torch.zeros(2),
    "advantage": torch.zeros(2),
    "desirable": torch.tensor([True, False]),
    "samples": Y,
    "log_q": torch.zeros(len(W)),
}
ANSWERS = {"linear_dpo", "linear_simpo", "linear_orpo", "linear_kto", "linear_grpo"}  # fmt: skip


def _least(name):
    """Return a loss, its parameters, and the fewest arguments that it can be called with."""
    loss = getattr(L, name)
    parameters = inspect.signature(loss).parameters
    likes = {"input": H if "linear_weight" in parameters else SOFT, **ARGUMENTS}
    must = {n for n, p in parameters.items() if p.default is p.empty}
    must |= {"teacher_input", "teacher_weight"} & set(parameters)
    unknown = must - {"target", *likes}
    assert not unknown, f"ARGUMENTS in tests/losses/test_bad_inputs.py needs a value of {unknown}"
    for target in (Y, SOFT):  # class indices where they are taken
        likes["target"] = target
        if name in ANSWERS:
            likes |= {"input": H.unsqueeze(1), "target": Y.unsqueeze(1)}
        good = {n: likes[n] for n in must}
        try:
            loss(**good)
        except (ValueError, TypeError):
            continue
        break
    return loss, parameters, good


@pytest.mark.parametrize("name", LOSSES)
def test_every_wrong_kind_is_refused(name):
    """What every docstring promises: ValueError or TypeError, whichever argument it is."""
    loss, parameters, good = _least(name)
    loss(**good)
    for argument in parameters:
        if argument in {"stats", "log_target"}:
            continue  # anything is true or false
        for wrong in ("text", [1.0, 2.0], object()):
            try:
                loss(**{**good, argument: wrong})
            except (ValueError, TypeError):
                continue
            pytest.fail(f"{argument}={wrong!r} was taken")


WRONG = {
    "array": np.ones((2, 3), np.float32), "numbers": np.array([0, 2]), "complex": 1j, "dict": {},
    "complex tensor": X + 1j, "one complex": torch.tensor(1j), "sparse": X.to_sparse(),
    "float8": X.to(torch.float8_e4m3fn), "elsewhere": torch.ones(2, 3, device="meta"),
    "a row elsewhere": torch.ones(2, device="meta"), "a class elsewhere": torch.ones(3, device="meta"),
    "unsigned": torch.ones(2, dtype=torch.uint64), "type": torch.Tensor, "negative": -torch.ones(2),
}  # fmt: skip


NAMED = [
    "cross_entropy",
    "focal_loss",
    "info_nce",
    "js_div",
    "kl_div",
    "mse_loss",
    "nll_loss",
    "siglip",
    "binary_cross_entropy",
    "binary_cross_entropy_with_logits",
    "multilabel_soft_margin_loss",
]
FINE = {
    ("target", "unsigned"),
    ("pos_weight", "unsigned"),
    ("scale", "negative"),
    ("bias", "negative"),
}


@pytest.mark.parametrize("name", NAMED)
def test_the_sentence_names_the_argument(name):
    loss, parameters, good = _least(name)
    for argument in set(parameters) - {"stats", "log_target"}:
        for kind, wrong in WRONG.items():
            if (argument, kind) not in FINE:
                with pytest.raises((ValueError, TypeError), match=r"^`\w+` must "):
                    loss(**{**good, argument: wrong})


def test_parts_of_a_head_of_another_kind():
    with pytest.raises(ValueError, match="`linear_bias` must have the dtype of `input`"):
        L.linear_entropy(H, W, linear_bias=torch.zeros(3).double())
    with pytest.raises(TypeError, match="`linear_bias` must be a tensor"):
        L.linear_entropy(H, W, linear_bias=[0.0] * 3)
    for teacher in (([0], [0.0]), [1, 2, 3], "text", object()):
        with pytest.raises(TypeError, match="`teacher` must be two tensors"):
            L.linear_kl_div(H, W, teacher=teacher)

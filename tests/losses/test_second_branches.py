"""Options of the losses in pairs."""

import numpy as np
import pytest
import torch

import xent.losses as L

LOGITS = torch.tensor(
    [[3.0, 1, 0], [0, 2, 1], [0, 1, 5], [4, 0, 1], [0, 3, 0]], dtype=torch.float64
)


@pytest.mark.parametrize("ignored", [0, 1, 2, [0, 2], -100])
@pytest.mark.parametrize("head", [False, True])
def test_accuracy_knows_what_is_ignored(ignored, head):
    """Rows of an ignored class, 0 among them, count neither as right nor as wrong."""
    target = torch.tensor([0, 1, 1, 2, 1])
    if head:
        eye = torch.eye(3, dtype=torch.float64)
        _, stats = L.linear_cross_entropy(LOGITS, eye, target, ignore_index=ignored, stats=True)
    else:
        _, stats = L.cross_entropy(LOGITS, target, ignore_index=ignored, stats=True)
    kept = ~torch.isin(target, torch.as_tensor(ignored))
    right = (LOGITS.argmax(1) == target)[kept].double().mean()
    assert float(stats.accuracy) == pytest.approx(float(right))


@pytest.mark.parametrize("shape", [(4, 3), (4, 3, 5), (4, 3, 2, 2)])
def test_batchmean_divides_by_the_rows_of_the_first_axis(shape):
    log_q = torch.randn(shape, generator=torch.Generator().manual_seed(1)).log_softmax(1)
    p = torch.randn(shape, generator=torch.Generator().manual_seed(2)).softmax(1)
    found = L.kl_div(log_q, p, reduction="batchmean")
    torch.testing.assert_close(found, torch.nn.functional.kl_div(log_q, p, reduction="batchmean"))
    twice = L.kl_div(log_q, p, reduction="batchmean", token_weight=torch.full((4, *shape[2:]), 2.0))
    torch.testing.assert_close(twice, found)


def random(*shape, seed):
    return torch.randn(shape, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)


def test_a_divergence_below_0_is_0():
    """As a number and as a tensor (Ethayarajh et al. 2024, section 4.1: the larger of 0 and it)."""
    x, w = random(3, 2, 4, seed=3), random(5, 4, seed=4)
    y, yes = torch.tensor([[0, 1], [2, 3], [4, 0]]), torch.tensor([True, False, True])
    reference = torch.tensor([-3.0, -2.0, -4.0], dtype=torch.float64)
    want = L.linear_kto(x, w, y, reference, yes, beta=0.5)
    for below in (-1.0, torch.tensor(-1.0), torch.tensor(-1.0, dtype=torch.float64)):
        assert torch.equal(L.linear_kto(x, w, y, reference, yes, beta=0.5, divergence=below), want)


def test_a_row_of_which_nothing_is_known_is_no_row():
    """Neither in the mean of rows, nor in that of weighed rows."""
    x = random(4, 3, seed=5)
    y = torch.tensor([[1.0, -1, 0], [-1, -1, -1], [0, 1, 1], [-1, -1, 1]], dtype=torch.float64)
    each = torch.nn.functional.binary_cross_entropy_with_logits(x, y.clamp_min(0), reduction="none")
    known = (y != -1).double()
    rows = (each * known).sum(1) / known.sum(1).clamp_min(1)
    for weight in (None, torch.tensor([0.5, 8.0, 2.0, 1.0], dtype=torch.float64)):
        w = torch.ones(4).double() if weight is None else weight
        counts = w * (known.sum(1) > 0)
        got = L.multilabel_soft_margin_loss(x, y, ignore_index=-1, token_weight=weight)
        torch.testing.assert_close(got, (rows * counts).sum() / counts.sum())


HEAD = torch.eye(3, dtype=torch.float64)
TRUE = torch.tensor([0, 2, -100, 1, 0])
OF_CLASSES = {
    "cross_entropy": lambda **o: L.cross_entropy(LOGITS, TRUE, **o),
    "weighted": lambda **o: L.cross_entropy(
        LOGITS, TRUE, weight=torch.tensor([0.5, 2, 1], dtype=torch.float64), **o
    ),
    "nll_loss": lambda **o: L.nll_loss(LOGITS.log_softmax(1), TRUE, **o),
    "focal_loss": lambda **o: L.focal_loss(LOGITS, TRUE, **o),
    "linear_cross_entropy": lambda **o: L.linear_cross_entropy(LOGITS, HEAD, TRUE, **o),
}


@pytest.mark.parametrize("name", OF_CLASSES)
def test_the_log_probability_of_a_class_index_is_not_smoothed(name):
    loss, stats = OF_CLASSES[name](label_smoothing=0.3, stats=True)
    log_p = LOGITS.log_softmax(1)
    want = log_p.gather(1, TRUE.clamp_min(0).unsqueeze(1)).squeeze(1).where(TRUE >= 0, 0.0)
    torch.testing.assert_close(stats.log_prob, want)
    torch.testing.assert_close(loss, OF_CLASSES[name](label_smoothing=0.3))
    torch.testing.assert_close(stats.accuracy, torch.tensor(0.25, dtype=torch.float64))


@pytest.mark.parametrize("name", ["cross_entropy", "focal_loss", "linear_cross_entropy"])
@pytest.mark.parametrize(
    "shape", [{"softcap": 2.0}, {"temperature": 0.5}, {"softcap": 2.0, "temperature": 0.5}]
)
def test_statistics_are_those_of_capped_and_scaled_logits(name, shape):
    _, stats = OF_CLASSES[name](stats=True, label_smoothing=0.3, **shape)
    cap = shape.get("softcap")
    z = LOGITS if cap is None else cap * torch.tanh(LOGITS / cap)
    z = z / shape.get("temperature", 1.0)
    torch.testing.assert_close(stats.lse, z.logsumexp(1))
    p = z.softmax(1)
    torch.testing.assert_close(stats.entropy, -(p * p.log()).sum(1))


def test_accuracy_of_both_searches_of_a_pair():
    """a finds its b every time, b finds its a once of four."""
    products = torch.tensor(
        [[1.0, 0, 0, 0], [0, 2, 0, 0], [0, 0, 3, 0], [3.5, 3.5, 3.5, 4]], dtype=torch.float64
    )
    eye = torch.eye(4, dtype=torch.float64)
    right = [(m.argmax(1) == torch.arange(4)).double().mean() for m in (products, products.T)]
    assert [float(r) for r in right] == [1.0, 0.25]
    _, stats = L.info_nce(products, eye, temperature=1.0, stats=True)
    torch.testing.assert_close(stats.accuracy, (right[0] + right[1]) / 2)


@pytest.mark.parametrize(
    "call",
    [
        lambda w: L.cross_entropy(LOGITS, TRUE, token_weight=w),
        lambda w: L.nll_loss(LOGITS, TRUE, token_weight=w),
        lambda w: L.focal_loss(LOGITS, TRUE, token_weight=w),
        lambda w: L.multilabel_soft_margin_loss(LOGITS, LOGITS.sigmoid(), token_weight=w),
    ],
)
def test_of_several_bad_weights_the_first_is_named(call):
    weight = torch.tensor([1.0, -2.0, 1.0, -3.0, float("nan")], dtype=torch.float64)
    with pytest.raises(ValueError, match=r"`token_weight` must be finite .* got -2 at \[1\]"):
        call(weight)


def test_of_several_bad_answers_the_first_is_named():
    x, p = torch.zeros(2, 3), torch.tensor([[0.5, 0.5, 1.5], [-0.5, 0.5, 2.5]])
    for call, name in (
        (lambda: L.binary_cross_entropy(p, x), "input"),
        (lambda: L.binary_cross_entropy_with_logits(x, p), "target"),
        (lambda: L.sigmoid_focal_loss(x, p), "target"),
    ):
        with pytest.raises(
            ValueError, match=rf"`{name}` must be between 0 and 1.* got 1.5 at \[0, 2\]"
        ):
            call()


@pytest.mark.parametrize(
    ("dtype", "step"),
    [(torch.float32, 2.0**-23), (torch.float16, 2.0**-10), (torch.bfloat16, 2.0**-7)],
    ids=str,
)
@pytest.mark.parametrize("classes", [16, 64])
def test_how_far_from_1_a_row_may_sum(dtype, step, classes):
    """Twice the dtype's step times the root of the classes, and a millionth at least."""
    far = max(1e-6, 2 * step * classes**0.5)
    x = torch.zeros(1, classes)
    for off, good in (
        (0.75 * far, True),
        (1.5 * far, False),
        (-0.75 * far, True),
        (-1.5 * far, False),
    ):
        # Steps of the dtype at 1/2, so that the sum is what it is meant to be.
        unit = step / 2
        p = torch.zeros(1, classes, dtype=dtype)
        p[0, :2] = 0.5
        p[0, 0] = (
            0.5 + round(off / unit) * unit if off < 0 else 0.5 + round(off / (2 * unit)) * unit
        )
        p[0, 1] = 1 + off - p[0, 0].double()
        assert (p.double().sum() - 1 - off).abs() < 0.2 * far
        if good:
            L.cross_entropy(x, p)
        else:
            with pytest.raises(ValueError, match="`target` must sum to 1 over the classes"):
                L.cross_entropy(x, p)


@pytest.mark.parametrize("index", [64, 100, 255, -100, -(2**63), 2**63 - 1])
def test_an_ignored_class_of_any_integer_type(index):
    target = torch.tensor([0, 2, index, 1, 0])
    want = L.cross_entropy(LOGITS[[0, 1, 3, 4]], target[[0, 1, 3, 4]])
    for given in (index, np.int64(index), torch.tensor(index)):
        torch.testing.assert_close(L.cross_entropy(LOGITS, target, ignore_index=given), want)
    with pytest.raises(ValueError, match=r"`ignore_index` must be below 2\*\*63"):
        L.cross_entropy(LOGITS, target, ignore_index=2**63)


@pytest.mark.parametrize("shape", [(), (1,), (1, 1)])
def test_a_scale_is_one_number_of_any_shape(shape):
    a, b = random(4, 3, seed=8), random(4, 3, seed=9)
    want = L.siglip(a, b, scale=2.0, bias=-1.0)
    scale, bias = (torch.full(shape, v, dtype=torch.float64) for v in (2.0, -1.0))
    torch.testing.assert_close(L.siglip(a, b, scale=scale, bias=bias), want)


def test_a_reduction_is_known_by_its_letters():
    """Names that were put together, as those of a file of settings are, are no other strings."""
    a, target = random(5, 3, seed=10), torch.tensor([0, 2, 1, 1, 0])
    for reduction in ("mean", "sum", "none"):
        again = "".join(reversed(reduction[::-1]))
        assert again is not reduction
        for loss in (
            lambda r: L.cross_entropy(a, target, reduction=r),
            lambda r: L.linear_cross_entropy(a, HEAD, target, reduction=r),
            lambda r: L.focal_loss(a, target, reduction=r),
            lambda r: L.nll_loss(a, target, reduction=r),
            lambda r: L.linear_kl_div(a, HEAD, a, HEAD, reduction=r, temperature=2.0),
        ):
            assert torch.equal(loss(again), loss(reduction))


@pytest.mark.parametrize(
    ("dtype", "own", "several"),
    [
        (torch.uint8, 156, (-100, 255)),  # 156 is -100 modulo 256
        (torch.uint8, 1, (257, 255)),
        (torch.int8, 44, (-100, 300)),
        (torch.int16, 7, (-100, 2**40)),
    ],
    ids=str,
)
def test_ignored_classes_that_a_small_integer_cannot_hold(dtype, own, several):
    x = random(4, 200, seed=11)
    target = torch.tensor([own, 0, 3, own], dtype=dtype)
    want = torch.nn.functional.cross_entropy(x, target.long())
    for loss in (
        lambda: L.cross_entropy(x, target, ignore_index=several),
        lambda: L.nll_loss(x.log_softmax(1), target, ignore_index=several),
        lambda: L.linear_cross_entropy(
            x, torch.eye(200, dtype=torch.float64), target, ignore_index=several
        ),
    ):
        torch.testing.assert_close(loss(), want)


@pytest.mark.parametrize("name", ["probabilities", "logits", "focal", "multilabel"])
def test_an_answer_at_one_half_is_no(name):
    """Of two classes alike the first is the largest, in an answer and in its target."""
    x = torch.tensor([[0.0, 2.0, -2.0, 0.0], [0.0, 0.0, 3.0, -1.0]], dtype=torch.float64)
    t = torch.tensor([[0.5, 1.0, 0.5, 0.0], [1.0, 0.4, 0.5, 0.0]], dtype=torch.float64)
    call = {
        "probabilities": lambda: L.binary_cross_entropy(x.sigmoid(), t, stats=True),
        "logits": lambda: L.binary_cross_entropy_with_logits(x, t, stats=True),
        "focal": lambda: L.sigmoid_focal_loss(x, t, stats=True),
        "multilabel": lambda: L.multilabel_soft_margin_loss(x, t, stats=True),
    }[name]
    said, true = (torch.stack([1 - p, p], -1).argmax(-1) for p in (x.sigmoid(), t))
    stats = call()[1]
    assert torch.equal(stats.argmax, said)
    torch.testing.assert_close(stats.accuracy, (said == true).double().mean())


WEIGHTS = torch.tensor([0.5, 2.0, 0.0, 1.0, 3.0], dtype=torch.float64)
OTHER = random(5, 3, seed=20)
SHARES = OTHER.softmax(1)
WITH_STATS = {
    **{name: (call, {"label_smoothing"}) for name, call in OF_CLASSES.items()},
    "shares": (lambda **o: L.cross_entropy(LOGITS, SHARES, **o), {"label_smoothing", "z_loss"}),
    "binary": (
        lambda token_weight, **o: L.binary_cross_entropy_with_logits(
            LOGITS, SHARES, token_weight=token_weight.unsqueeze(1), **o
        ),
        {"label_smoothing", "softcap"},
    ),
    "multilabel": (
        lambda **o: L.multilabel_soft_margin_loss(LOGITS, SHARES, **o),
        {"label_smoothing", "softcap"},
    ),
    "kl_div": (lambda **o: L.kl_div(LOGITS.log_softmax(1), SHARES, **o), {"label_smoothing"}),
    "js_div": (lambda **o: L.js_div(LOGITS, OTHER, **o), {"label_smoothing", "z_loss", "softcap"}),
    "info_nce": (
        lambda **o: L.info_nce(LOGITS, OTHER, **{"temperature": 0.5, **o}),
        {"label_smoothing", "z_loss", "softcap"},
    ),
    "info_nce, more negatives": (
        lambda **o: L.info_nce(LOGITS, OTHER, negatives=SHARES, **{"temperature": 0.5, **o}),
        {"label_smoothing", "z_loss", "softcap"},
    ),
    "siglip": (lambda **o: L.siglip(LOGITS, OTHER, scale=2.0, bias=-1.0, **o), {"softcap"}),
    "linear_kl_div": (
        lambda **o: L.linear_kl_div(LOGITS, HEAD, OTHER, HEAD, **o),
        {"label_smoothing", "z_loss", "softcap"},
    ),
    "linear_js_div": (
        lambda **o: L.linear_js_div(LOGITS, HEAD, OTHER, HEAD, **o),
        {"label_smoothing", "z_loss", "softcap"},
    ),
}


@pytest.mark.parametrize("name", WITH_STATS)
def test_statistics_change_no_loss(name):
    """Whatever else is asked for, alone and together, of all rows and of weighed ones."""
    call, known = WITH_STATS[name]
    amount = {"label_smoothing": 0.3, "z_loss": 0.1, "softcap": 2.0}
    for reduction in ("mean", "sum", "none"):
        for chosen in ((), *[(one,) for one in sorted(known)], tuple(sorted(known))):
            o = {"reduction": reduction, "token_weight": WEIGHTS, **{n: amount[n] for n in chosen}}
            plain, beside = call(**o), call(stats=True, **o)[0]
            torch.testing.assert_close(beside, plain, rtol=1e-12, atol=1e-13)


TOP = torch.tensor([[5, 0], [3, 2], [4, 2], [2, 1], [5, 3]])


@pytest.mark.parametrize("smoothing", [0.0, 0.3])
def test_a_teacher_of_its_largest_classes_by_hand(smoothing):
    """What the teacher does not list is one outcome; smoothing gives it the share of its classes."""
    x = random(5, 6, seed=21)
    x[[0, 2, 4], TOP[[0, 2, 4], 0]] = 9.0
    q = torch.tensor([0.6, 0.3], dtype=torch.float64).expand(5, 2)
    p = x.softmax(1)
    listed = p.gather(1, TOP)
    ours = torch.cat((listed, 1 - listed.sum(1, keepdim=True)), 1)
    theirs = torch.tensor([0.6, 0.3, 0.1], dtype=torch.float64) * (1 - smoothing)
    theirs = theirs + smoothing * torch.tensor([1, 1, 4], dtype=torch.float64) / 6
    want = (theirs * (theirs / ours).log()).sum(1)
    eye = torch.eye(6, dtype=torch.float64)
    # The second column is the teacher's largest class in two rows of five.
    order = torch.tensor([[1, 0], [0, 1], [1, 0], [0, 1], [0, 1]])
    given = TOP.gather(1, order), q.log().gather(1, order)
    for stats in (False, True):
        found = L.linear_kl_div(x, eye, teacher=given, label_smoothing=smoothing, reduction="none",
                                stats=stats)  # fmt: skip
        loss, beside = found if stats else (found, None)
        torch.testing.assert_close(loss, want, rtol=1e-11, atol=1e-12)
    assert (x.argmax(1) == TOP[:, 0]).tolist() == [True, False, True, False, True]
    assert float(beside.accuracy) == pytest.approx(0.6)


def test_a_class_that_a_teacher_lists_twice_is_named_by_its_row():
    x, eye = random(5, 6, seed=21), torch.eye(6, dtype=torch.float64)
    log_q = torch.full((5, 2), 0.4, dtype=torch.float64).log()
    for row in (0, 3):
        twice = TOP.clone()
        twice[row:] = 4
        with pytest.raises(
            ValueError, match=rf"list a class once a row, got one twice at \[{row}\]"
        ):
            L.linear_kl_div(x, eye, teacher=(twice, log_q))


@pytest.mark.parametrize("soft", [False, True])
@pytest.mark.parametrize("z_loss", [0.0, 0.1])
@pytest.mark.parametrize("alpha", [None, 0.5, torch.tensor([0.2, 3.0, 1.0], dtype=torch.float64)])
def test_focal_loss_with_both_weights_by_hand(soft, z_loss, alpha):
    """The z-loss has both weights too; the mean divides by ``weight`` alone."""
    w = torch.tensor([0.5, 2.0, 1.0], dtype=torch.float64)
    a = torch.ones(3, dtype=torch.float64) * (1.0 if alpha is None else alpha)
    hard = torch.nn.functional.one_hot(TRUE.clamp_min(0), 3).double() * (TRUE >= 0).unsqueeze(1)
    t = SHARES if soft else hard
    log_p, lse = LOGITS.log_softmax(1), LOGITS.logsumexp(1)
    each = a * w * t
    rows = -(each * (1 - log_p.exp()) ** 2 * log_p).sum(1) + z_loss * each.sum(1) * lse**2
    count = torch.ones(5).double() if soft else (w * hard).sum(1)
    o = {"alpha": alpha, "weight": w, "z_loss": z_loss}
    target = SHARES if soft else TRUE
    torch.testing.assert_close(
        L.focal_loss(LOGITS, target, reduction="none", **o), rows, rtol=1e-11, atol=1e-12
    )
    torch.testing.assert_close(
        L.focal_loss(LOGITS, target, token_weight=WEIGHTS, **o),
        (rows * WEIGHTS).sum() / (count * WEIGHTS).sum(), rtol=1e-11, atol=1e-12,
    )  # fmt: skip


def test_a_row_of_weight_0_is_none_of_a_sampled_loss():
    """Be it NaN: neither its loss nor a gradient sees it."""
    w, samples = random(6, 4, seed=22).requires_grad_(), torch.tensor([0, 3, 5])
    log_q, y = torch.full((6,), 1 / 6).double().log(), torch.tensor([1, 2, 4])
    x, weight = random(3, 4, seed=23), torch.tensor([1.0, 0.0, 2.0], dtype=torch.float64)
    found = []
    for rows, at in ((torch.tensor([0, 2]), None), (torch.arange(3), 1)):
        given = x.clone()
        if at is not None:
            given[at] = float("nan")
        given = given[rows].requires_grad_()
        loss = L.linear_sampled_cross_entropy(
            given, w, y[rows], samples, log_q, token_weight=weight[rows]
        )
        of_x, of_w = torch.autograd.grad(loss, (given, w))
        found.append((loss.detach(), of_x[of_x.shape[0] - 1], of_x[0], of_w))
        assert at is None or not of_x[at].any()
    torch.testing.assert_close(found[1], found[0])


@pytest.mark.parametrize("softcap", [None, 2.0])
@pytest.mark.parametrize("temperature", [1.0, 0.5])
@pytest.mark.parametrize("name", ["js_div", "linear_js_div", "linear_kl_div"])
def test_statistics_beside_a_teacher_cap_and_scale_both(name, softcap, temperature):
    """The log-probability is what the smoothed teacher expects of the student."""
    o = {"softcap": softcap, "temperature": temperature, "label_smoothing": 0.3, "stats": True}
    call = {
        "js_div": lambda: L.js_div(LOGITS, OTHER, **o),
        "linear_js_div": lambda: L.linear_js_div(LOGITS, HEAD, OTHER, HEAD, **o),
        "linear_kl_div": lambda: L.linear_kl_div(LOGITS, HEAD, OTHER, HEAD, **o),
    }[name]
    z, y = (
        (x if softcap is None else softcap * torch.tanh(x / softcap)) / temperature
        for x in (LOGITS, OTHER)
    )
    log_p, q = z.log_softmax(1), 0.7 * y.softmax(1) + 0.1
    _, stats = call()
    torch.testing.assert_close(stats.log_prob, (q * log_p).sum(1))
    torch.testing.assert_close(stats.lse, z.logsumexp(1))
    torch.testing.assert_close(stats.entropy, -(log_p.exp() * log_p).sum(1))
    right = (LOGITS.argmax(1) == OTHER.argmax(1)).double().mean()
    torch.testing.assert_close(stats.accuracy, right)


@pytest.mark.parametrize("loss", ["cross_entropy", "focal_loss", "nll_loss", "head"])
def test_of_several_bad_probabilities_the_first_is_named(loss):
    """The first row that has one, and its first class."""
    p = SHARES.float()
    p[2] = torch.tensor([1.5, -0.25, -0.25])
    p[4] = torch.tensor([-1.0, 1.0, 1.0])
    x = LOGITS.float()
    call = {
        "cross_entropy": lambda: L.cross_entropy(x, p),
        "focal_loss": lambda: L.focal_loss(x, p),
        "nll_loss": lambda: L.nll_loss(x.log_softmax(1), p),
        "head": lambda: L.linear_cross_entropy(x, torch.eye(3), p),
    }[loss]
    with pytest.raises(ValueError, match=r"`target` must be non-negative, got -0.25 at \[2, 1\]"):
        call()


ANSWERS = {
    "logits": lambda x, t, **o: L.binary_cross_entropy_with_logits(x, t, **o),
    "probabilities": lambda x, t, **o: L.binary_cross_entropy(x.sigmoid(), t, **o),
    "focal": lambda x, t, **o: L.sigmoid_focal_loss(x, t, **o),
    "multilabel": lambda x, t, **o: L.multilabel_soft_margin_loss(x, t, **o),
}


@pytest.mark.parametrize("name", ANSWERS)
@pytest.mark.parametrize("by", ["weight", "token_weight", "ignore_index", "both"])
def test_statistics_of_answers_leave_out_what_is_none(name, by):
    """By whichever option it is told that nothing is known there."""
    x = random(3, 3, seed=30)
    known = torch.tensor([1.0, 0.0, 2.0], dtype=torch.float64)
    t = torch.tensor([[1, 0, 1], [0, 0, 0], [0, 1, 1]], dtype=torch.float64)
    rows = known != 0
    given = t.where(rows.unsqueeze(1), -1.0 if by == "ignore_index" else float("nan"))
    of_rows = known if name == "multilabel" else known.unsqueeze(1)
    options = {"weight": known.unsqueeze(1), "token_weight": of_rows, "ignore_index": -1}
    if by == "both":
        o = {"weight": known.unsqueeze(1), "token_weight": torch.ones_like(of_rows)}
    else:
        o = {by: options[by]}
    _, stats = ANSWERS[name](x, given, stats=True, **o)
    log_prob = -torch.nn.functional.binary_cross_entropy_with_logits(x, t, reduction="none")
    torch.testing.assert_close(stats.log_prob, log_prob * rows.unsqueeze(1))
    right = ((x > 0) == (t > 0.5))[rows].double().mean()
    torch.testing.assert_close(stats.accuracy, right)


@pytest.mark.parametrize("kept", [[3, 1, 0, 2], [0, 0, 0, 0], [3, 3, 3, 3]])
@pytest.mark.parametrize("mean_over", ["answers", "tokens"])
def test_what_a_policys_loss_is_the_mean_of(kept, mean_over):
    """Where the sampler is the policy itself each token costs minus its answer's advantage."""
    x, w = random(4, 3, 2, seed=31), random(5, 2, seed=32)
    y = torch.tensor([[1] * k + [-100] * (3 - k) for k in kept])
    a = torch.tensor([1.0, -2.0, 0.5, 4.0], dtype=torch.float64)
    tokens = torch.tensor(kept, dtype=torch.float64)
    each = -a * (tokens > 0)
    sums = -a * tokens
    want = {
        "none": each,
        "sum": (each if mean_over == "answers" else sums).sum(),
        "mean": each.mean() if mean_over == "answers" else sums.sum() / max(1, sum(kept)),
    }
    for reduction, value in want.items():
        found = L.linear_grpo(x, w, y, a, mean_over=mean_over, reduction=reduction)
        torch.testing.assert_close(found, value)


@pytest.mark.parametrize("several", [range(1, 3), {1, 2}, frozenset((2, 1)), [np.int64(1), 2]])
def test_ignored_classes_in_any_collection(several):
    want = L.cross_entropy(LOGITS[[0, 4]], TRUE[[0, 4]])
    for loss in (
        L.cross_entropy,
        lambda x, t, **o: L.nll_loss(x.log_softmax(1), t, **o),
        lambda x, t, **o: L.focal_loss(x, t, gamma=0.0, **o),
        lambda x, t, **o: L.linear_cross_entropy(x, HEAD, t, **o),
    ):
        given = TRUE.where(TRUE >= 0, 1)
        torch.testing.assert_close(loss(LOGITS, given, ignore_index=several), want)


@pytest.mark.parametrize("name", ["logits", "probabilities", "focal"])
@pytest.mark.parametrize("which", ["weight", "pos_weight", "token_weight"])
@pytest.mark.parametrize("beside", ["", "weight", "token_weight", "ignore_index"])
def test_a_bad_weight_is_named_whatever_is_beside_it(name, which, beside):
    if which == beside or (name == "focal" and which == "pos_weight"):
        return
    o = {which: torch.tensor([[1.0, 2.0, -1.0]], dtype=torch.float64)}
    if beside:
        o[beside] = -1 if beside == "ignore_index" else torch.ones(5, 1, dtype=torch.float64)
    for stats in (False, True):
        with pytest.raises(ValueError, match=rf"`{which}` must be finite .* got -1 at \[0, 2\]"):
            ANSWERS[name](LOGITS, SHARES, stats=stats, **o)


def test_the_advice_on_sums_looks_at_the_rows_that_count():
    """Of a row of weight 0 nothing is asked, so neither what it sums to."""
    x, p = LOGITS.log_softmax(1).float(), SHARES.float()
    p[1] *= 1 + 2.0**-9
    p[3] = 7.0
    weight = torch.tensor([1.0, 1.0, 1.0, 0.0, 1.0])
    with pytest.raises(ValueError, match=r"sum to 1 over .* got 1\.00.* at \[1\].*take log"):
        L.kl_div(x, p, token_weight=weight, axis=1)
    p[1] = 2.0
    with pytest.raises(ValueError, match=r"sum to 1 over the classes, got 6 at \[1\]\.$"):
        L.kl_div(x, p, token_weight=weight, axis=1)


def test_a_teacher_may_be_certain():
    """A log-probability of 0 leaves nothing to the classes that are not listed."""
    classes = torch.tensor([[0], [2], [1], [1], [0]])
    found = L.linear_kl_div(LOGITS, HEAD, teacher=(classes, torch.zeros(5, 1).double()))
    want = torch.nn.functional.cross_entropy(LOGITS, classes[:, 0])
    torch.testing.assert_close(found, want)
    with pytest.raises(ValueError, match=r"`teacher` must .*got 1e-0?9 at \[0, 0\]"):
        L.linear_kl_div(LOGITS, HEAD, teacher=(classes, torch.full((5, 1), 1e-9).double()))


@pytest.mark.parametrize("axis", [True, False, 1.0, "1"])
def test_an_axis_is_an_integer(axis):
    for call in (
        lambda: L.cross_entropy(LOGITS, TRUE, axis=axis),
        lambda: L.nll_loss(LOGITS, TRUE, axis=axis),
        lambda: L.focal_loss(LOGITS, TRUE, axis=axis),
        lambda: L.kl_div(LOGITS, SHARES, axis=axis),
        lambda: L.js_div(LOGITS, OTHER, axis=axis),
        lambda: L.multilabel_soft_margin_loss(LOGITS, SHARES, axis=axis),
    ):
        with pytest.raises(TypeError, match="`axis` must be an integer or None, got"):
            call()


def test_both_weights_of_a_square():
    w, rows = random(5, 3, seed=33).abs(), WEIGHTS.unsqueeze(1)
    gaps, both = (LOGITS - OTHER) ** 2, w * rows
    for reduction, want in (
        ("none", gaps * both),
        ("sum", (gaps * both).sum()),
        ("mean", (gaps * both).sum() / both.sum()),
    ):
        found = L.mse_loss(LOGITS, OTHER, reduction=reduction, weight=w, token_weight=rows)
        torch.testing.assert_close(found, want)


@pytest.mark.parametrize("name", ["logits", "focal", "multilabel"])
@pytest.mark.parametrize(
    "shape", [{"softcap": 2.0}, {"temperature": 0.5}, {"softcap": 2.0, "temperature": 0.5}]
)
def test_statistics_of_answers_are_those_of_capped_and_scaled_logits(name, shape):
    """Of two classes, with the logits 0 and z."""
    _, stats = ANSWERS[name](LOGITS, SHARES, stats=True, **shape)
    cap = shape.get("softcap")
    z = LOGITS if cap is None else cap * torch.tanh(LOGITS / cap)
    z = z / shape.get("temperature", 1.0)
    both = torch.stack((torch.zeros_like(z), z), -1)
    log_p = both.log_softmax(-1)
    torch.testing.assert_close(stats.lse, both.logsumexp(-1))
    torch.testing.assert_close(stats.entropy, -(log_p.exp() * log_p).sum(-1))
    torch.testing.assert_close(
        stats.log_prob, SHARES * log_p[..., 1] + (1 - SHARES) * log_p[..., 0]
    )


@pytest.mark.parametrize("bad", [3, 4, -1, 2**40])
@pytest.mark.parametrize("name", OF_CLASSES)
def test_no_class_of_a_row_of_weight_0(name, bad):
    """The number of classes is the first that is none."""
    call = {
        "cross_entropy": L.cross_entropy,
        "weighted": lambda x, t, **o: L.cross_entropy(x, t, weight=torch.ones(3).double(), **o),
        "nll_loss": lambda x, t, **o: L.nll_loss(x.log_softmax(1), t, **o),
        "focal_loss": lambda x, t, **o: L.focal_loss(x, t, label_smoothing=0.1, **o),
        "linear_cross_entropy": lambda x, t, **o: L.linear_cross_entropy(x, HEAD, t, **o),
    }[name]
    given = TRUE.clone()
    given[1] = bad
    weight = torch.tensor([1.0, 0.0, 1.0, 2.0, 1.0], dtype=torch.float64)
    rest = [0, 2, 3, 4]
    want = call(LOGITS[rest], TRUE[rest], token_weight=weight[rest])
    torch.testing.assert_close(call(LOGITS, given, token_weight=weight), want)
    with pytest.raises(ValueError, match=r"`target` must be .*got -?\d+ at \[1\]"):
        call(LOGITS, given, token_weight=torch.ones(5).double())


@pytest.mark.parametrize("axis", [0, 1, 2, -1])
def test_a_weight_for_each_class_has_as_many_as_that_axis(axis):
    """Whatever the other axes have."""
    x = random(2, 3, 4, seed=34)
    classes = x.shape[axis]
    target = torch.zeros([n for i, n in enumerate(x.shape) if i != axis % 3], dtype=torch.long)
    weight = torch.arange(1.0, classes + 1).double()
    log_p = x.log_softmax(axis)
    cost = -log_p.select(axis, 0)
    p = cost.neg().exp()
    for call, name, want in (
        (
            lambda w: L.focal_loss(x, target, alpha=w, axis=axis),
            "alpha",
            ((1 - p) ** 2 * cost).mean(),
        ),
        (
            lambda w: L.focal_loss(x, target, weight=w, axis=axis),
            "weight",
            ((1 - p) ** 2 * cost).mean(),
        ),
        (lambda w: L.cross_entropy(x, target, weight=w, axis=axis), "weight", cost.mean()),
        (lambda w: L.nll_loss(log_p, target, weight=w, axis=axis), "weight", cost.mean()),
    ):
        torch.testing.assert_close(call(weight), want)
        for other in {2, 3, 4} - {classes}:
            with pytest.raises(ValueError, match=f"`{name}` must have one entry a class"):
                call(torch.ones(other).double())


def test_samples_are_indices():
    x, w = random(2, 3, seed=35), random(4, 3, seed=36)
    y, log_q = torch.tensor([0, 3]), torch.zeros(4).double()
    for samples in (
        torch.tensor([True, False, True, False]), torch.tensor([0.0, 1.0]), torch.tensor([[0, 1]]),
    ):  # fmt: skip
        with pytest.raises(TypeError, match="`samples` must hold the indices of sampled classes"):
            L.linear_sampled_cross_entropy(x, w, y, samples, log_q)
    for bad in (-1, 4):
        with pytest.raises(
            ValueError, match=rf"`samples` must hold classes, 0 to 3, got {bad} at \[1\]"
        ):
            L.linear_sampled_cross_entropy(x, w, y, torch.tensor([0, bad]), log_q)


def test_a_teachers_module_is_to_give_its_own_parts():
    module = torch.nn.Linear(3, 3).double()
    with pytest.raises(TypeError, match=r"and its \.bias as teacher_bias"):
        L.linear_kl_div(LOGITS, HEAD, OTHER, module)
    with pytest.raises(TypeError, match=r"and its \.bias as linear_bias"):
        L.linear_kl_div(LOGITS, module, OTHER, HEAD)


def test_a_product_of_two_weights_is_not_rounded_to_float32():
    """In sums of thousands of answers its rounding would be all that is wrong: by NumPy's float64."""
    right = 0
    for seed in range(24):
        luck = np.random.default_rng(seed)
        x = luck.normal(size=(512, 8)).astype(np.float32)
        w, v = (luck.uniform(1, 2, 8).astype(np.float32) for _ in range(2))
        v[1:], w[1:] = v[0], w[0]
        cost = np.logaddexp(0, -x.astype(np.float64)) * w.astype(np.float64) * v.astype(np.float64)
        found = L.binary_cross_entropy_with_logits(
            torch.from_numpy(x), torch.ones(512, 8), torch.from_numpy(w),
            pos_weight=torch.from_numpy(v), reduction="sum",
        )  # fmt: skip
        right += np.float32(cost.sum()) == found.item()
    assert right >= 22

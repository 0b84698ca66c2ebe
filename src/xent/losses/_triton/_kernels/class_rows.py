"""The kernels of class losses: a program a row forward, a program a block of a row backward.

`score_rows` reads the logits once. `differentiate_rows` reads them once more and writes the
gradient, over them where both are the same. `score_and_differentiate_rows` does both at once, which
takes the logits from memory once where a row stays in the cache: the epilogue of a head's chunk.

Offsets are of 64 bits: a row begins where its number, of 64 bits, times the stride says.
"""

import triton
import triton.language as tl

from xent.losses._triton._kernels.numerics import TWO_32, exact, log1p_exact, scaled_exp, softcapped
from xent.losses._triton._kernels.rows import (
    LOG_PROB,
    LSE,
    MASS,
    OTHERS,
    ROW_ENTROPY,
    ROW_WEIGHT,
    TOP,
    VALUE,
    gaps_of_block,
    read_row,
    spread_target,
)


@triton.jit
def _weights_of_row(
    row, target, class_weight, row_weight, classes, ignore_index, smoothing,
    SOFT: tl.constexpr, SMOOTH: tl.constexpr, WEIGHT: tl.constexpr, TOKEN: tl.constexpr,
):  # fmt: skip
    """Return the class, its weight in the loss, the row's factor and its weight in the mean.

    A row that counts for nothing has the factor 0, one whose class is none NaN.
    """
    factor = tl.full((), 1.0, tl.float64)
    if TOKEN:
        factor = tl.load(row_weight + row).to(tl.float64)
    label = tl.full((), -1, tl.int64)
    class_factor = tl.full((), 0.0, tl.float64)
    total = factor
    if not SOFT:
        label = tl.load(target + row)
        factor = tl.where(label == ignore_index, 0.0, factor)
        label = tl.where(label == ignore_index, -1, label)
        known = (label >= 0) & (label < classes)
        class_factor = tl.full((), 1.0, tl.float64)
        if WEIGHT:
            class_factor = tl.load(class_weight + label, mask=known, other=0.0).to(tl.float64)
        total = factor * class_factor
        if WEIGHT and not SMOOTH:
            factor = tl.where(known & (class_factor == 0.0), 0.0, factor)
        factor = tl.where(known | (factor == 0.0), factor, float("nan"))
        if SMOOTH:
            class_factor = class_factor * (1.0 - exact(smoothing))
    return label, class_factor, factor, total


@triton.jit
def _score(
    row, x, soft, class_weight, kept, argmaxes, rows, classes,
    label, class_factor, factor, total,
    log2e, ln2_high, ln2_low, inverse, exact_inverse, cap, smoothing, even, z_loss,
    SOFT: tl.constexpr, SMOOTH: tl.constexpr, WEIGHT: tl.constexpr, CAP: tl.constexpr,
    Z: tl.constexpr, STATS: tl.constexpr, BLOCK: tl.constexpr,
):  # fmt: skip
    """Write the columns of a row; return its largest logit, its others and the target's mass."""
    read = classes
    if not STATS:
        read = tl.where(factor == 0.0, 0, classes)
    # Before the row is read: then its threads have met, and one may begin to overwrite it.
    inside = (label >= 0) & (label < read)
    logit = tl.load(x + label, mask=inside, other=0.0).to(tl.float32)
    top, bent_top, others, margins, mass, spread, argmax = read_row(
        x, soft, class_weight, read, log2e, ln2_high, ln2_low, inverse, exact_inverse, cap, even,
        smoothing, SOFT, SMOOTH, WEIGHT, CAP, STATS, BLOCK,
    )  # fmt: skip
    log_sum = log1p_exact(others / TWO_32)
    lse = bent_top * exact_inverse + log_sum
    log_prob = tl.full((), 0.0, tl.float64)
    if not SOFT:
        bent = logit.to(tl.float64)
        if CAP:
            bent, _ = softcapped(logit, cap)
        margin = tl.where(logit == top, 0.0, (bent_top - bent) * exact_inverse)
        log_prob = tl.where(inside, -(margin + log_sum), 0.0)
    value = tl.where(class_factor == 0.0, 0.0, -log_prob * class_factor)
    if SOFT or SMOOTH:
        cost = margins * exact_inverse + tl.where(mass == 0.0, 0.0, mass * log_sum)
        value += cost
        if SOFT:
            log_prob = -cost
    if Z:
        value += exact(z_loss) * (class_factor + mass) * lse * lse
    value = tl.where(factor == 0.0, 0.0, value * factor)
    tl.store(kept + VALUE * rows + row, value.to(tl.float32))
    tl.store(kept + ROW_WEIGHT * rows + row, total.to(tl.float32))
    tl.store(kept + TOP * rows + row, top)
    tl.store(kept + OTHERS * rows + row, others.to(tl.float32))
    tl.store(kept + MASS * rows + row, mass.to(tl.float32))
    if STATS:
        entropy = log_sum + spread * exact_inverse / (TWO_32 + others)
        tl.store(kept + LSE * rows + row, lse.to(tl.float32))
        tl.store(kept + LOG_PROB * rows + row, log_prob.to(tl.float32))
        tl.store(kept + ROW_ENTROPY * rows + row, entropy.to(tl.float32))
        tl.store(argmaxes + row, argmax.to(tl.int64))
    return top, bent_top, others, mass


@triton.jit
def _slopes(
    row, kept, upstream, upstream_stride, divisor, stat_grads, rows, label, class_factor, factor,
    bent_top, others, mass, exact_inverse, g, z_loss,
    SOFT: tl.constexpr, SMOOTH: tl.constexpr, Z: tl.constexpr, UPSTREAM: tl.constexpr,
    DIVIDE: tl.constexpr, STAT_GRADS: tl.constexpr,
):  # fmt: skip
    """Return by what p, the spread target, the true class and p (z_m - z) of a row are multiplied.

    The gradient is first * p - second * a - third [c = y] + fourth * p (z_m - z), all over T.
    """
    up = tl.full((), 1.0, tl.float64) * g
    if UPSTREAM:
        up = up * tl.load(upstream + row * upstream_stride).to(tl.float64)
    if DIVIDE:
        up = up / tl.load(divisor).to(tl.float64)
    up = tl.where(factor == 0.0, 0.0, up * factor)
    log_sum = log1p_exact(others / TWO_32)
    weight = class_factor + mass
    of_p = up * weight
    if Z:
        lse = bent_top * exact_inverse + log_sum
        of_p += up * 2.0 * exact(z_loss) * weight * lse
    of_share, of_label = up, up * class_factor
    of_spread = tl.full((), 0.0, tl.float64)
    if STAT_GRADS:
        of_lse = tl.load(stat_grads + row).to(tl.float64)
        of_log_prob = tl.load(stat_grads + rows + row).to(tl.float64)
        of_spread = tl.load(stat_grads + 2 * rows + row).to(tl.float64)
        entropy = tl.load(kept + ROW_ENTROPY * rows + row).to(tl.float64)
        of_p += of_lse + of_spread * (log_sum - entropy)
        if SOFT:
            of_p -= of_log_prob * mass
            of_share -= of_log_prob
        else:
            of_log_prob = tl.where(label < 0, 0.0, of_log_prob)
            of_p -= of_log_prob
            of_label -= of_log_prob
    return (
        of_p * exact_inverse, of_share * exact_inverse, of_label * exact_inverse,
        of_spread * exact_inverse * exact_inverse,
    )  # fmt: skip


@triton.jit
def _write_gradient(
    start, x, grad, soft, class_weight, classes, read, label, top, bent_top, others,
    of_p, of_share, of_label, of_spread,
    log2e, ln2_high, ln2_low, inverse, cap, smoothing, even,
    SOFT: tl.constexpr, SMOOTH: tl.constexpr, WEIGHT: tl.constexpr, CAP: tl.constexpr,
    SPREAD: tl.constexpr, HALF: tl.constexpr, BLOCK: tl.constexpr,
):  # fmt: skip
    """Write the gradient of a block of a row, 0 where its classes are not ``read``."""
    c = start + tl.arange(0, BLOCK)
    inside = c < read
    v = tl.load(x + c, mask=inside, other=0.0).to(tl.float32)
    d, lost, slope = gaps_of_block(v, top, bent_top, cap, CAP)
    share = TWO_32 / (TWO_32 + others)  # p of the largest class
    rest = others / (TWO_32 + others)
    if HALF:  # 2^-18 of p is lost, of which half precision shows nothing
        p = tl.exp2(d * log2e) * share.to(tl.float32)
        of_each = of_p.to(tl.float32)
    else:
        p = scaled_exp(d, lost, log2e, ln2_high, ln2_low, inverse, False)
        of_each = (of_p * (share / TWO_32)).to(tl.float32)
    is_label, is_top = c == label, v == top
    if SOFT or (SMOOTH and WEIGHT):
        pull = of_share.to(tl.float32) * spread_target(
            soft, class_weight, c, inside, even, smoothing, SOFT, SMOOTH, WEIGHT
        )
        if not SOFT:
            pull = pull + tl.where(is_label, of_label.to(tl.float32), 0.0)
        found = p * of_each - pull
        of_top = (of_p.to(tl.float32) - pull) * share.to(tl.float32) - pull * rest.to(tl.float32)
    else:
        low = of_share * 0.0
        if SMOOTH:
            low = of_share * even
        high = low + of_label
        pull = tl.where(is_label, high.to(tl.float32), low.to(tl.float32))
        found = p * of_each - pull
        of_top = tl.where(
            is_label,
            ((of_p - high) * share - high * rest).to(tl.float32),
            ((of_p - low) * share - low * rest).to(tl.float32),
        )
    found = tl.where(is_top, of_top, found)
    if SPREAD:
        of_gap = (of_spread * share).to(tl.float32)
        if not HALF:
            of_gap = (of_spread * (share / TWO_32)).to(tl.float32)
        found = found + tl.where((p == 0.0) | is_top, 0.0, -d * p * of_gap)
    found = tl.where(inside, found * slope, 0.0)
    tl.store(grad + c, found.to(grad.dtype.element_ty), mask=c < classes)


@triton.jit(do_not_specialize=["ignore_index"])
def score_rows(
    x, stride, target, soft_stride, class_weight, row_weight, kept, argmaxes, rows, classes,
    ignore_index, log2e, ln2_high, ln2_low, inverse, inverse_low, cap, smoothing, even, z_loss,
    SOFT: tl.constexpr, SMOOTH: tl.constexpr, WEIGHT: tl.constexpr, TOKEN: tl.constexpr,
    CAP: tl.constexpr, Z: tl.constexpr, STATS: tl.constexpr, BLOCK: tl.constexpr,
):  # fmt: skip
    """Write what is kept of each row: its loss, and what its gradient is made of."""
    row = tl.program_id(0).to(tl.int64)
    exact_inverse = exact(inverse) + exact(inverse_low)
    label, class_factor, factor, total = _weights_of_row(
        row, target, class_weight, row_weight, classes, ignore_index, smoothing,
        SOFT, SMOOTH, WEIGHT, TOKEN,
    )  # fmt: skip
    _score(
        row, x + row * stride, target + row * soft_stride, class_weight, kept, argmaxes, rows,
        classes, label, class_factor, factor, total, log2e, ln2_high, ln2_low, inverse,
        exact_inverse, cap, smoothing, even, z_loss, SOFT, SMOOTH, WEIGHT, CAP, Z, STATS, BLOCK,
    )  # fmt: skip


@triton.jit(do_not_specialize=["ignore_index"])
def differentiate_rows(
    x, stride, grad, grad_stride, target, soft_stride, class_weight, row_weight, kept, upstream,
    upstream_stride, divisor, stat_grads, rows, classes, ignore_index, g,
    log2e, ln2_high, ln2_low, inverse, inverse_low, cap, smoothing, even, z_loss,
    SOFT: tl.constexpr, SMOOTH: tl.constexpr, WEIGHT: tl.constexpr, TOKEN: tl.constexpr,
    CAP: tl.constexpr, Z: tl.constexpr, UPSTREAM: tl.constexpr, DIVIDE: tl.constexpr,
    STAT_GRADS: tl.constexpr, HALF: tl.constexpr, BLOCK: tl.constexpr,
):  # fmt: skip
    """Write the gradient of a block of a row."""
    row = tl.program_id(0).to(tl.int64)
    exact_inverse = exact(inverse) + exact(inverse_low)
    label, class_factor, factor, _ = _weights_of_row(
        row, target, class_weight, row_weight, classes, ignore_index, smoothing,
        SOFT, SMOOTH, WEIGHT, TOKEN,
    )  # fmt: skip
    top = tl.load(kept + TOP * rows + row)
    others = tl.load(kept + OTHERS * rows + row).to(tl.float64)
    mass = tl.load(kept + MASS * rows + row).to(tl.float64)
    bent_top = top.to(tl.float64)
    if CAP:
        bent_top, _ = softcapped(top, cap)
    of_p, of_share, of_label, of_spread = _slopes(
        row, kept, upstream, upstream_stride, divisor, stat_grads, rows, label, class_factor,
        factor, bent_top, others, mass, exact_inverse, g, z_loss,
        SOFT, SMOOTH, Z, UPSTREAM, DIVIDE, STAT_GRADS,
    )  # fmt: skip
    read = classes
    if not STAT_GRADS:
        read = tl.where(factor == 0.0, 0, classes)
    _write_gradient(
        tl.program_id(1) * BLOCK, x + row * stride, grad + row * grad_stride,
        target + row * soft_stride, class_weight, classes, read, label, top, bent_top, others,
        of_p, of_share, of_label, of_spread, log2e, ln2_high, ln2_low, inverse, cap, smoothing,
        even, SOFT, SMOOTH, WEIGHT, CAP, STAT_GRADS, HALF, BLOCK,
    )  # fmt: skip


@triton.jit(do_not_specialize=["ignore_index"])
def score_and_differentiate_rows(
    x, stride, target, soft_stride, class_weight, row_weight, kept, upstream, upstream_stride,
    rows, classes, ignore_index, g,
    log2e, ln2_high, ln2_low, inverse, inverse_low, cap, smoothing, even, z_loss,
    SOFT: tl.constexpr, SMOOTH: tl.constexpr, WEIGHT: tl.constexpr, TOKEN: tl.constexpr,
    CAP: tl.constexpr, Z: tl.constexpr, UPSTREAM: tl.constexpr, HALF: tl.constexpr,
    BLOCK: tl.constexpr,
):  # fmt: skip
    """Write what is kept of each row, and its gradient over its logits."""
    row = tl.program_id(0).to(tl.int64)
    exact_inverse = exact(inverse) + exact(inverse_low)
    label, class_factor, factor, total = _weights_of_row(
        row, target, class_weight, row_weight, classes, ignore_index, smoothing,
        SOFT, SMOOTH, WEIGHT, TOKEN,
    )  # fmt: skip
    x, soft = x + row * stride, target + row * soft_stride
    top, bent_top, others, mass = _score(
        row, x, soft, class_weight, kept, kept, rows, classes, label, class_factor, factor, total,
        log2e, ln2_high, ln2_low, inverse, exact_inverse, cap, smoothing, even, z_loss,
        SOFT, SMOOTH, WEIGHT, CAP, Z, False, BLOCK,
    )  # fmt: skip
    of_p, of_share, of_label, of_spread = _slopes(
        row, kept, upstream, upstream_stride, kept, kept, rows, label, class_factor, factor,
        bent_top, others, mass, exact_inverse, g, z_loss,
        SOFT, SMOOTH, Z, UPSTREAM, False, False,
    )  # fmt: skip
    read = tl.where(factor == 0.0, 0, classes)
    for start in range(0, classes, BLOCK):
        _write_gradient(
            start, x, x, soft, class_weight, classes, read, label, top, bent_top, others,
            of_p, of_share, of_label, of_spread, log2e, ln2_high, ln2_low, inverse, cap, smoothing,
            even, SOFT, SMOOTH, WEIGHT, CAP, False, HALF, BLOCK,
        )  # fmt: skip

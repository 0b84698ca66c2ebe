"""What the rows of a logistic regression add up to: gradient, information and loss."""

import numpy as np

from xent._compile.decorator import outer
from xent._math.exp import EXP_SCALE, scaled_exp
from xent._math.llvm import prefer_512
from xent._math.log import log1p
from xent._math.vector import FLOAT64_LANES, load, select, store, zeros

U = np.uint64
LINE_BLOCK = 4096  # rows that are summed in eight lanes
LINE_SUMS = 6


@outer()
def line_sums(x, y, w, slope, level, out):
    """Sum what rows say of a line of log odds, for each `LINE_BLOCK` of them.

    A row has the log odds ``slope`` x + ``level`` of yes, the share y of yes and the weight w; rows
    are a multiple of 8. ``out`` (blocks, `LINE_SUMS` times 8) takes the derivatives of the loss by
    both, the second ones (of slope, of both, of level) and the loss in nats, each lane by lane.
    """
    prefer_512()
    for block in range(U(out.shape[0])):
        line = out[block]
        begin = block * U(LINE_BLOCK)
        end = min(begin + U(LINE_BLOCK), U(x.shape[0]))
        a = b = c = d = e = f = zeros()
        for i in range(begin, end, U(FLOAT64_LANES)):
            at, share, weight = load(x, i), load(y, i), load(w, i)
            t = slope * at + level
            u = scaled_exp(-abs(t), zeros()) / EXP_SCALE
            less = u / (1.0 + u)  # the lesser of the probabilities of yes and no
            gap = weight * select(t > 0.0, (1.0 - share) - less, less - share)
            curve = weight * (less / (1.0 + u))
            pull = curve * at
            a, b, c, d, e = a + gap * at, b + gap, c + pull * at, d + pull, e + curve
            f = f + weight * (select(t > 0.0, (1.0 - share) * t, -(share * t)) + log1p(u))
        store(line, U(0), a)
        store(line, U(8), b)
        store(line, U(16), c)
        store(line, U(24), d)
        store(line, U(32), e)
        store(line, U(40), f)

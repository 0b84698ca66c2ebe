"""Logits of a linear layer in float64, two rows at a time: for few classes faster than a product.

Features are made float64 as they are read, five classes at a time, whose sums stay in registers.
"""

from typing import Any

import numpy as np

from xent._compile.decorator import kernel
from xent._math.llvm import CACHE_LINE, prefer_512, prefetch

CLASSES_AT_ONCE = 5
ROWS_A_BLOCK = 32  # that the second cache holds
LOOSE = {"reassoc", "contract", "nsz"}  # a sum in another order: a SIMD register has several


@kernel(fastmath=LOOSE)
def linear_rows(X: Any, weight: Any, bias: Any, out: Any, start: int, stop: int) -> None:
    """Write ``X @ weight.T + bias`` of some rows.

    Parameters
    ----------
    X : array of float64, float32 or uint8, shape (N, D)
        Rows.
    weight, bias : array of float64, shape (C, D), (C,)
        The layer; C is a multiple of `CLASSES_AT_ONCE`.
    out : array of float64, shape (N, C)
        The logits.
    start, stop : int
        Which rows.
    """
    prefer_512()
    line = CACHE_LINE // X.itemsize
    for first in range(start, stop, ROWS_A_BLOCK):
        last = min(first + ROWS_A_BLOCK, stop)
        for c in range(0, len(weight), 5):  # a part of the layer that the nearest cache holds
            w0, w1, w2, w3, w4 = (
                weight[c],
                weight[c + 1],
                weight[c + 2],
                weight[c + 3],
                weight[c + 4],
            )
            for i in range(first, last, 2):
                # Two rows share what is read of the layer; the last of an odd number is read twice,
                # so that a row has the same bits wherever it stands.
                j = min(i + 1, last - 1)
                x, y = X[i], X[j]
                if c == 0:  # what comes next is fetched meanwhile
                    for at in range((i + 2) * X.shape[1], (i + 4) * X.shape[1], line):
                        prefetch(X, at)
                s0, s1, s2, s3, s4 = bias[c], bias[c + 1], bias[c + 2], bias[c + 3], bias[c + 4]
                t0, t1, t2, t3, t4 = s0, s1, s2, s3, s4
                for d in range(len(x)):
                    p, q = np.float64(x[d]), np.float64(y[d])
                    s0 += p * w0[d]
                    s1 += p * w1[d]
                    s2 += p * w2[d]
                    s3 += p * w3[d]
                    s4 += p * w4[d]
                    t0 += q * w0[d]
                    t1 += q * w1[d]
                    t2 += q * w2[d]
                    t3 += q * w3[d]
                    t4 += q * w4[d]
                out[i, c], out[i, c + 1], out[i, c + 2] = s0, s1, s2
                out[i, c + 3], out[i, c + 4] = s3, s4
                out[j, c], out[j, c + 1], out[j, c + 2] = t0, t1, t2
                out[j, c + 3], out[j, c + 4] = t3, t4

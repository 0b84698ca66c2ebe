"""Surrogates: for every split in two, the other columns that would divide the rows most alike.

A surrogate must agree with the split on more cases than the heavier branch alone would, and send at
least two cases each way, by weight (Breiman et al. 1984, section 5.3).
"""

import numpy as np

from xent._compile.decorator import kernel
from xent.trees._kernels.records import UNSEEN_CODE


@kernel(forceinline=True)
def agreement(left, total):
    """Weight that a split sends where the split sends it, and whether its sides are crossed."""
    straight = left[0] + total[1] - left[1]
    crossed = left[1] + total[0] - left[0]
    return max(straight, crossed), crossed > straight + 1e-9


@kernel()
def agree_sorted(ranks, indices, place, feature, lv, choice, branch, score, split, flip, a, b):
    """For the sorted columns a..b: the split of each node that agrees best with its split."""
    starts, stops, weight = lv.start, lv.stop, lv.weight
    for q in range(a, b):
        f = feature[q]
        rank, index = ranks[place[q]], indices[place[q]]
        for k in range(starts.size):
            score[f, k] = 0.0
            if choice[k] < 0 or choice[k] == f:
                continue
            start, stop = starts[k], stops[k]
            while stop > start and rank[stop - 1] == UNSEEN_CODE:
                stop -= 1
            total = np.zeros(2)
            for i in range(start, stop):
                side = branch[index[i]]
                if side >= 0:
                    total[side] += weight[index[i]] if weight.size else 1.0
            left = np.zeros(2)
            for i in range(start, stop - 1):
                side = branch[index[i]]
                if side >= 0:
                    left[side] += weight[index[i]] if weight.size else 1.0
                seen = left[0] + left[1]
                if rank[i] == rank[i + 1] or seen < 2 or total[0] + total[1] - seen < 2:
                    continue
                agreed, crossed = agreement(left, total)
                if agreed > score[f, k] + 1e-9:
                    score[f, k], split[f, k], flip[f, k] = agreed, i, crossed


@kernel()
def agree_coded(
    codes, levels, slots, feature, nominal, lv, choice, branch, score, split, flip, a, b
):
    """For the coded columns a..b: the same; names go level by level, so `split` is not used."""
    for q in range(a, b):
        f = feature[q]
        for k in range(lv.start.size):
            score[f, k] = 0.0
            if choice[k] < 0 or choice[k] == f:
                continue
            hist = sides(codes[slots[q]], levels[q], lv, k, branch)
            if nominal:
                sent = np.zeros(2)
                for c in range(levels[q]):
                    score[f, k] += max(hist[c, 0], hist[c, 1])
                    sent[1 if hist[c, 1] > hist[c, 0] else 0] += hist[c, 0] + hist[c, 1]
                if sent.min() < 2:
                    score[f, k] = 0.0
                continue
            total = hist.sum(0)
            left = np.zeros(2)
            for c in range(levels[q] - 1):
                left += hist[c]
                seen = left[0] + left[1]
                if seen < 2 or total[0] + total[1] - seen < 2 or hist[c, 0] + hist[c, 1] == 0:
                    continue
                agreed, crossed = agreement(left, total)
                if agreed > score[f, k] + 1e-9:
                    score[f, k], split[f, k], flip[f, k] = agreed, c, crossed


@kernel()
def sides(code, levels, lv, k, branch):
    """Weight of a node's cases by code and branch, where both are known."""
    hist = np.zeros((levels, 2))
    for e in range(lv.start[k], lv.stop[k]):
        c = code[lv.row[e]]
        if c < levels and branch[e] >= 0:
            hist[c, branch[e]] += lv.weight[e] if lv.weight.size else 1.0
    return hist


@kernel()
def sent(lv, choice, branch, out):
    """Weight of each node's cases that its split sends left and right."""
    for k in range(lv.start.size):
        out[k] = 0.0
        if choice[k] < 0:
            continue
        for e in range(lv.start[k], lv.stop[k]):
            if branch[e] >= 0:
                out[k, branch[e]] += lv.weight[e] if lv.weight.size else 1.0


@kernel()
def resolve(lv, k, column, codes, threshold, sets, set_start, flip, last, branch):
    """Send a node's cases without a branch by one surrogate, and after the last one to `last`."""
    for e in range(lv.start[k], lv.stop[k]):
        if branch[e] >= 0:
            continue
        if set_start >= 0:
            c = codes[lv.row[e]]
            if set_start + c < sets.size:
                branch[e] = sets[set_start + c] ^ flip
        elif last < 0:
            x = column[lv.row[e]]
            if x <= threshold:
                branch[e] = flip
            elif x > threshold:
                branch[e] = 1 - flip
        if last >= 0:
            branch[e] = last

"""Every smoothing written out from its formula with dictionaries: slow, and nothing like ours."""

import math
from collections import Counter, defaultdict

BEGIN, END = "<s>", "</s>"


class Slow:
    """Counts of sentences, and the probability of a word after a history under each method."""

    def __init__(self, sentences, order, words):
        self.order = order
        self.outcomes = [*words, END]  # <unk> among the words where it is one
        self.counts = Counter()
        self.left = defaultdict(set)
        for sentence in sentences:
            line = [BEGIN, *sentence, END]
            for end in range(1, len(line) + 1):
                for n in range(1, min(order, end) + 1):
                    gram = tuple(line[end - n : end])
                    if gram != (BEGIN,):
                        self.counts[gram] += 1
                    if end - n > 0:
                        self.left[gram].add(line[end - n - 1])

    def c(self, gram):
        return self.counts[gram]

    def total(self, h, count=None):
        return sum((count or self.c)((*h, w)) for w in self.outcomes)

    def kinds(self, h):
        return sum(self.c((*h, w)) > 0 for w in self.outcomes)

    def cut(self, h):
        h = tuple(h)
        return h[len(h) - min(len(h), self.order - 1) :]

    def of_length(self, n):
        return [g for g in self.counts if len(g) == n and self.counts[g] > 0]

    def count_of_counts(self, n, r, count=None):
        return sum((count or self.c)(g) == r for g in self.of_length(n))

    def stands(self, gram, least):
        """Seen often enough, or the beginning or end of a longer n-gram that stands."""
        if not self.c(gram) or self.c(gram) >= least[len(gram) - 1]:
            return self.c(gram) > 0
        longer = [g for g in self.of_length(len(gram) + 1) if gram in (g[:-1], g[1:])]
        return any(self.stands(g, least) for g in longer)

    # ---------------------------------------------------------------- the two schemes

    def interpolated(self, h, w, kept, total):
        """kept((h, w)), total(h): mixed with the shorter history down to the uniform."""
        h = self.cut(h)
        below = self.interpolated(h[1:], w, kept, total) if h else 1 / len(self.outcomes)
        if total(h) == 0:
            return below
        mass = sum(kept((*h, v)) for v in self.outcomes) / total(h)
        return kept((*h, w)) / total(h) + (1 - mass) * below

    def backed_off(self, h, w, kept, total):
        """The shorter history speaks for words not seen, and for them alone."""
        h = self.cut(h)

        def below(v):
            return self.backed_off(h[1:], v, kept, total) if h else 1 / len(self.outcomes)

        if total(h) == 0:
            return below(w)
        seen = [v for v in self.outcomes if self.c((*h, v)) > 0]
        mass = sum(kept((*h, v)) for v in seen) / total(h)
        if not h and len(seen) == len(self.outcomes):
            return kept((w,)) / total(h) + (1 - mass) * below(w)
        rest = 1 - sum(below(v) for v in seen)
        if rest < 1e-9:
            return kept((*h, w)) / total(h) / mass
        if w in seen:
            return kept((*h, w)) / total(h)
        return (1 - mass) * below(w) / rest

    # ---------------------------------------------------------------- the methods

    def maximum_likelihood(self, h, w):
        h = self.cut(h)
        while h and self.total(h) == 0:
            h = h[1:]
        return self.c((*h, w)) / self.total(h)

    def add_k(self, h, w, k):
        h = self.cut(h)
        if len(h) < self.order - 1 and h[:1] != (BEGIN,):
            return 1 / len(self.outcomes)
        return (self.c((*h, w)) + k) / (self.total(h) + k * len(self.outcomes))

    def witten_bell(self, h, w, interpolated):
        def total(h):
            return self.total(h) + self.kinds(h)

        scheme = self.interpolated if interpolated else self.backed_off
        return scheme(h, w, self.c, total)

    def absolute(self, h, w, d, interpolated):
        def kept(gram):
            return max(0.0, self.c(gram) - d)

        scheme = self.interpolated if interpolated else self.backed_off
        return scheme(h, w, kept, self.total)

    def continuation(self, gram):
        if len(gram) == self.order or gram[0] == BEGIN:
            return self.c(gram)
        return len(self.left[gram]) if self.c(gram) else 0

    def modified_discounts(self, n):
        t = [self.count_of_counts(n, r, self.continuation) for r in range(5)]
        y = t[1] / (t[1] + 2 * t[2])
        return [0.0, *(r - (r + 1) * y * t[r + 1] / t[r] for r in (1, 2, 3))]

    def kneser_ney(self, h, w, discounts, interpolated=True):
        """discounts[n] = [0, D1, D2, D3+]."""

        def kept(gram):
            a = self.continuation(gram)
            return max(0.0, a - discounts[len(gram)][min(a, 3)])

        def total(h):
            return self.total(h, self.continuation)

        scheme = self.interpolated if interpolated else self.backed_off
        return scheme(h, w, kept, total)

    def katz_ratio(self, n, r, k):
        """SRILM's coefficient, and 1 where it is out of range."""
        if n == 1 or r > k or r == 0:
            return 1.0
        ones = self.count_of_counts(n, 1)
        if ones == 0 or self.count_of_counts(n, r) == 0:
            return 1.0
        common = (k + 1) * self.count_of_counts(n, k + 1) / ones
        star = (r + 1) * self.count_of_counts(n, r + 1) / (r * self.count_of_counts(n, r))
        if star > 1 or common >= 1:
            return 1.0
        ratio = (star - common) / (1 - common)
        return ratio if ratio > 1e-6 else 1.0

    def katz(self, h, w, k, least):
        """The algorithm of SRILM's estimation, history by history."""
        h = self.cut(h)

        def below(v):
            return self.katz(h[1:], v, k, least) if h else 1 / len(self.outcomes)

        n = len(h) + 1
        total = self.total(h)
        if total == 0:
            return below(w)
        shown = [v for v in self.outcomes if self.stands((*h, v), least)]
        kept = {v: self.katz_ratio(n, self.c((*h, v)), k) * self.c((*h, v)) for v in shown}
        if sum(kept.values()) > (1 - 3e-6) * total and self.kinds(h) < len(self.outcomes):
            total += 1
        mass = sum(kept.values()) / total
        if w in kept:
            return kept[w] / total
        rest = 1 - sum(below(v) for v in shown)
        return (1 - mass) * below(w) / rest

    def good_turing(self, h, w, cutoff):
        """The whole history or nothing; what is left goes evenly to words not seen."""
        h = self.cut(h)
        uniform = 1 / len(self.outcomes)
        whole = len(h) == self.order - 1 or h[:1] == (BEGIN,)
        total = self.total(h)
        if not whole or total == 0:
            return uniform
        if cutoff is None:
            stars = gale_sampson(Counter(self.counts[g] for g in self.of_length(self.order)))
            kept = {v: stars(self.c((*h, v))) for v in self.outcomes}
        else:
            # The discounts are those of the longest n-grams, unigrams included.
            kept = {}
            for v in self.outcomes:
                r = self.c((*h, v))
                kept[v] = r * (self.katz_ratio(self.order, r, cutoff) if self.order > 1 else 1.0)
        if sum(kept.values()) > (1 - 3e-6) * total and self.kinds(h) < len(self.outcomes):
            total += 1
        unseen = len(self.outcomes) - self.kinds(h)
        left = 1 - sum(kept.values()) / total
        if not unseen:
            return kept[w] / sum(kept.values())
        return kept[w] / total if self.c((*h, w)) else left / unseen

    def jelinek_mercer(self, h, w, weights):
        h = self.cut(h)
        below = self.jelinek_mercer(h[1:], w, weights) if h else 1 / len(self.outcomes)
        if self.total(h) == 0:
            return below
        own = weights[len(h)]
        return own * self.c((*h, w)) / self.total(h) + (1 - own) * below

    def stupid(self, h, w, alpha):
        h = self.cut(h)
        if self.c((*h, w)):
            return self.c((*h, w)) / self.total(h)
        return alpha * self.stupid(h[1:], w, alpha) if h else 0.0

    def perplexity(self, sentences, p):
        logs = []
        for sentence in sentences:
            line = [BEGIN, *sentence, END]
            logs += [math.log(p(line[:i], line[i])) for i in range(1, len(line))]
        return math.exp(-sum(logs) / len(logs))


def gale_sampson(times):
    """Simple Good-Turing of Gale and Sampson, section 6, as a function of r; never above r.

    A count that no n-gram of the order has, possible where a sentence begins, is discounted by a
    share between its neighbours'.
    """
    kinds = sorted(times)
    x, y = [], []
    for j, r in enumerate(kinds):
        before = kinds[j - 1] if j else 0
        after = kinds[j + 1] if j + 1 < len(kinds) else 2 * r - before
        x.append(math.log(r))
        y.append(math.log(times[r] / (0.5 * (after - before))))
    mx, my = sum(x) / len(x), sum(y) / len(y)
    slope = sum((a - mx) * (b - my) for a, b in zip(x, y, strict=True))
    slope /= sum((a - mx) ** 2 for a in x)

    def line(r):
        return math.exp(my + slope * (math.log(r) - mx))

    star, turing = {}, True
    for r in kinds:
        good = (r + 1) * line(r + 1) / line(r)
        if turing and times[r + 1]:
            plain = (r + 1) * times[r + 1] / times[r]
            spread = (r + 1) ** 2 * times[r + 1] / times[r] ** 2 * (1 + times[r + 1] / times[r])
            turing = abs(plain - good) > 1.96 * math.sqrt(spread)
        else:
            turing = False
        star[r] = plain if turing else good
    seen = sum(r * times[r] for r in kinds)
    scale = (1 - times[1] / seen) * seen / sum(star[r] * times[r] for r in kinds)
    share = {r: star[r] * scale / r for r in kinds}

    def discounted(r):
        if r == 0:
            return 0.0
        low = max((k for k in kinds if k <= r), default=kinds[0])
        high = min((k for k in kinds if k >= r), default=kinds[-1])
        part = 0.0 if high == low else (r - low) / (high - low)
        return r * min(1.0, share[low] + part * (share[high] - share[low]))

    return discounted

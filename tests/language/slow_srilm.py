"""Katz and Kneser-Ney from the manual of SRILM, ngram-discount(7), equation by equation.

A back-off table in dictionaries, made level by level as the manual says: f(a_z) for the n-grams
listed (its equations for -gtmax and -kndiscount, 6 for interpolation), bow(a_) from its equation 3.
Cut-offs count occurrences, also for Kneser-Ney (SRILM's own are of the modified counts there).
What was cut goes to back-off alone with ``interpolate="backoff"``, as in SRILM, to all words with
``True``, as in lmplz.
Without ``-unk`` (``unk=False``) n-grams with <unk> are removed: none is an event, none is listed,
but they are counted: as words seen before others, and among the counts of counts.
A history that leaves nothing is divided by one more, Doug Paul's way out, as in the CMU toolkit.
Nothing is shared with the package or with `slow_ngrams`, which goes history by history.
"""

import math
from collections import Counter, defaultdict


class Table:
    """The model that ``ngram-count -unk -order N`` with the given options is said to make."""

    def __init__(self, sentences, order, method, least, *, interpolate=False, gtmax=7, unk=True):
        self.order, self.least, self.unk = order, least, unk
        self.counts = [Counter() for _ in range(order + 1)]
        words = {"</s>"}
        for sentence in sentences:
            line = ("<s>", *sentence, "</s>")
            words.update(sentence)
            for n in range(1, order + 1):
                self.counts[n].update(line[i : i + n] for i in range(len(line) - n + 1))
        del self.counts[1]["<s>",]  # no event
        self.words = words if unk else words - {"<unk>"}
        self.seen = [Counter(counts) for counts in self.counts]
        if method.endswith("kndiscount"):
            self.modify()
        self.f = {(w,): 1 / len(self.words) for w in self.words}  # for the level below the unigrams
        self.bow = {}
        for n in range(1, order + 1):
            self.level(n, method, interpolate, gtmax)

    def modify(self):
        """Lower orders count the words before them, but for n-grams that begin with <s>."""
        for n in range(1, self.order):
            before = defaultdict(set)
            for gram in self.counts[n + 1]:
                before[gram[1:]].add(gram[0])
            for gram in self.counts[n]:
                if gram[0] != "<s>":
                    self.counts[n][gram] = len(before[gram])

    def taken(self, n, method, gtmax):
        """What is left of a count c of order n."""
        of = Counter(self.counts[n].values())
        if method == "gt":

            def star(c):
                if n == 1 or c > gtmax:
                    return c
                a = (gtmax + 1) * of[gtmax + 1] / of[1]
                share = (c + 1) * of[c + 1] / of[c] / c
                good = a < 1 and a < share <= 1  # "discount coeff is out of range" otherwise
                return c * (share - a) / (1 - a) if good else c

            return star
        y = of[1] / (of[1] + 2 * of[2])
        if method == "ukndiscount":
            return lambda c: c - y
        d = [0, *(r - (r + 1) * y * of[r + 1] / of[r] for r in (1, 2, 3))]
        return lambda c: c - d[min(c, 3)]

    def level(self, n, method, interpolate, gtmax):
        left = self.taken(n, method, gtmax)
        after = defaultdict(dict)
        for gram, c in self.counts[n].items():
            if self.unk or "<unk>" not in gram:
                after[gram[:-1]][gram[-1]] = c
        found = {}
        for history, followers in after.items():
            total = sum(followers.values())
            often = {w for w in followers if self.seen[n][*history, w] >= self.least[n - 1]}
            listed = {w: left(c) for w, c in followers.items() if w in often}
            if sum(listed.values()) > (1 - 3e-6) * total and len(followers) < len(self.words):
                total += 1
            kept = {w: c / total for w, c in listed.items()}
            spare = 1 - sum(kept.values())
            if interpolate == "backoff":  # what the discounts free, of all that was seen
                spare = 1 - sum(map(left, followers.values())) / total
            below = {w: self.below(history, w) for w in kept}
            if interpolate or n == 1:  # every word was seen: what is left goes to all alike
                kept = {w: g + spare * below[w] for w, g in kept.items()}
            found.update({(*history, w): f for w, f in kept.items()})
            rest = 1 - sum(below.values())
            self.bow[history] = (1 - sum(kept.values())) / rest if rest > 1e-12 else 0.0
        self.f = {**(self.f if n > 1 else {}), **found}

    def below(self, history, word):
        return self.p(history[1:], word) if history else 1 / len(self.words)

    def p(self, history, word):
        weight = 1.0
        while (*history, word) not in self.f:
            weight *= self.bow.get(history, 1.0)
            history = history[1:]
        return weight * self.f[*history, word]

    def perplexity(self, sentences):
        logs = []
        for sentence in sentences:
            line = ("<s>", *sentence, "</s>")
            for i in range(1, len(line)):
                if not self.unk and line[i] == "<unk>":
                    continue
                logs.append(math.log(self.p(line[max(0, i - self.order + 1) : i], line[i])))
        return math.exp(-math.fsum(logs) / len(logs))

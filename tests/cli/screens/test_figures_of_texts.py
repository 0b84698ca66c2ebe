"""The figures on the screens of language and of other predictions, computed by other means."""

import itertools
import json
import math
from collections import Counter

import numpy as np
import pytest
from scipy import stats
from scipy.special import log_softmax, rel_entr

from screens import columns, figures, files, line_of, screens


def near(found, expected, decimals=4):
    """Whether printed numbers are these, rounded."""
    return found == pytest.approx(expected, abs=0.51 * 10.0**-decimals, rel=1e-9)


# ------------------------------------------------------------------ language, add one


class AddOne:
    """Words after one word: (count + k) / (total + k V), V with the end and the unknown word."""

    def __init__(self, lines, k=1.0, order=2, words=None):
        sentences = [["<s>", *line.split(), "</s>"] for line in lines]
        self.known = words or {word for words in sentences for word in words[1:-1]}
        sentences = [[self.spelt(w) for w in words] for words in sentences]
        self.pairs = Counter(pair for w in sentences for pair in itertools.pairwise(w))
        self.k, self.order, self.size = k, order, len(self.known) + 2

    def spelt(self, word):
        return word if word in self.known or word in ("<s>", "</s>") else "<unk>"

    def bits(self, line):
        """Return the bits of each event of a line, and which of them are unknown words."""
        words = ["<s>", *(self.spelt(w) for w in line.split()), "</s>"]
        costs = []
        for before, word in itertools.pairwise(words):
            seen = [n for (h, w), n in self.pairs.items() if w == word
                    and (h == before or self.order == 1)]  # fmt: skip
            all_ = [n for (h, _), n in self.pairs.items() if h == before or self.order == 1]
            share = (sum(seen) + self.k) / (sum(all_) + self.k * self.size)
            costs.append(-math.log2(share))
        return np.array(costs), np.array([w == "<unk>" for w in words[1:]])

    def seen(self, line):
        words = ["<s>", *(self.spelt(w) for w in line.split()), "</s>"]
        return [pair in self.pairs for pair in itertools.pairwise(words)]


FIT = "fit, score and filter"


def check_evaluation(screen, model, lines):
    """Compare every figure of an evaluation with the counts above."""
    costs, unknown = (np.concatenate(x) for x in zip(*map(model.bits, lines), strict=True))
    words = sum(len(line.split()) for line in lines)
    size, letters = (sum(len(x) + 1 for x in kind) for kind in ([x.encode() for x in lines], lines))
    lost = [w for line in lines for w in line.split() if model.spelt(w) == "<unk>"]
    spelt = sum(8 * (len(w.encode()) + 1) for w in lost)
    assert near(figures(line_of(screen, "perplexity"))[0], 2 ** costs.mean())
    assert near(figures(line_of(screen, "unknown left out"))[0], 2 ** costs[~unknown].mean())
    assert near(figures(line_of(screen, "bits an event"))[0], costs.mean(), 5)
    assert near(figures(line_of(screen, "bits a word"))[0], costs.sum() / words, 5)
    assert near(figures(line_of(screen, "bits a byte"))[0], (costs.sum() + spelt) / size, 5)
    rate = (costs.sum() + spelt) / letters
    assert near(figures(line_of(screen, "bits a character"))[0], rate, 5)
    assert near(figures(line_of(screen, "unknown spelt"))[0], spelt / size, 5)
    assert figures(line_of(screen, "events")) == [len(costs), len(lines), len(lost), 0]


def test_two_words_and_one():
    data, shown = files("language", FIT), screens("language", FIT)
    two, one = (AddOne(data["a.txt"], order=n) for n in (2, 1))
    fitted = shown["xent language fit a.txt --order 2 --smoothing AddK(1) --output m.xent"]
    # Five words, the end, <s> and <unk>; as many pairs as are in the lines.
    assert [figures(line)[-1] for line in fitted[1:3]] == [8, len(two.pairs)]
    screen = shown["xent language evaluate m.xent t.txt"]
    check_evaluation(screen, two, data["t.txt"])
    hits = np.concatenate([two.seen(line) for line in data["t.txt"]])
    matched = figures(line_of(screen, "matched n-grams").replace("%", "").replace(":", ""))
    assert near(matched[1::2], [100 * (1 - hits.mean()), 100 * hits.mean()], 1)
    both = shown["xent language evaluate m.xent u.arpa t.txt --by bits_per_byte"]
    middle = next(i for i, line in enumerate(both) if line.startswith("u.arpa"))
    check_evaluation(both[:middle], two, data["t.txt"])
    check_evaluation(both[middle:], one, data["t.txt"])
    found = json.loads("\n".join(shown["xent language evaluate m.xent t.txt --json"]))["m.xent"]
    costs = np.concatenate([two.bits(line)[0] for line in data["t.txt"]])
    assert found["cross_entropy"] == pytest.approx(costs.mean() * math.log(2), rel=1e-5)
    assert (found["words"], found["bytes"], found["spelling_bits"]) == (8, 31, 16)
    arpa = [line.split("\t") for line in shown["show u.arpa"] if "\t" in line]
    for log, word in arpa:
        if word != "<s>":
            share = one.bits(word)[0][0] if word != "</s>" else one.bits("")[0][0]
            assert float(log) == pytest.approx(-share * math.log10(2), abs=6e-6)


def test_scores_and_what_is_kept():
    data, shown = files("language", FIT), screens("language", FIT)
    model, lines = AddOne(data["a.txt"]), data["t.txt"]
    bits = []
    for line in lines:
        spelt = sum(8 * (len(w) + 1) for w in line.split() if model.spelt(w) == "<unk>")
        bits.append(model.bits(line)[0].sum() + spelt)
    rates = [b / (len(line) + 1) for b, line in zip(bits, lines, strict=True)]
    scored = [[*map(float, line.split("\t"))] for line in shown["xent language score m.xent t.txt"]]
    assert scored == [pytest.approx(pair, rel=1e-5) for pair in zip(bits, rates, strict=True)]
    kept = shown["xent language filter m.xent t.txt --at-most 2.5 --output -"]
    assert kept[:-1] == [line for line, rate in zip(lines, rates, strict=True) if rate <= 2.5]
    assert kept[-1] == "! 2 of 4 lines written to -."
    annotated = [line.partition("\t") for line in shown["show kept.txt"]][:4]
    if len(annotated) == 4:
        assert [float(a) for a, _, _ in annotated] == pytest.approx(rates, rel=1e-5)
    skipped = shown["xent language score m.xent lines.jsonl --field text --on-bad-line skip"]
    known = [model.bits(text)[0].sum() for text in ("the cat sat", "the dog")]
    assert [float(line.split("\t")[0]) for line in skipped[0:3:2]] == pytest.approx(known, rel=1e-5)
    mixed = shown["xent language mix m.xent u.arpa --dev a.txt --test t.txt"]
    costs = [np.concatenate([model.bits(x)[0] for x in data[f]]) for f in ("a.txt", "t.txt")]
    assert near(figures(line_of(mixed, "perplexity of a.txt"))[0], 2 ** costs[0].mean())
    assert near(figures(line_of(mixed, "perplexity of t.txt"))[0], 2 ** costs[1].mean())


def test_other_vocabularies_and_units():
    data, shown = files("language", "other models"), screens("language", "other models")
    model = AddOne(data["a.txt"], words={"a", "b"})
    check_evaluation(shown["xent language evaluate v.xent b.txt"], model, data["b.txt"])
    weighed = shown["show w.arpa"]
    counts = {"a": 3, "b": 3, "c": 1, "</s>": 4, "<unk>": 0}
    for log, word in (line.split("\t") for line in weighed if "\t" in line):
        if word in counts:
            share = (counts[word] + 1) / (sum(counts.values()) + len(counts))
            assert float(log) == pytest.approx(math.log10(share), abs=6e-6)
    (least,) = shown[
        "xent language fit a.txt --order 2 --smoothing AddK(0.5) --min-count 2 --output mc.xent --json"
    ]
    least = json.loads(least.replace("#", "0"))
    pairs = AddOne(data["a.txt"]).pairs
    assert least["ngrams"] == {"1": 6, "2": sum(n >= 2 for n in pairs.values())}
    (kept,) = shown["xent language filter kn.xent a.txt --keep 25% --output k.txt --json"]
    kept = json.loads(kept.replace("#", "0"))
    events = sum(len(line.split()) + 1 for line in data["a.txt"])
    size = sum(len(line) + 1 for line in data["a.txt"])
    assert (kept["records"], kept["kept"], kept["tokens"], kept["bytes"]) == (4, 1, events, size)
    closed = shown["xent language evaluate cl.xent b.txt"]
    assert figures(line_of(closed, "events")) == [5, 2, 2, 0]


def test_letters_of_several_bytes_and_scores_that_are_none():
    scene = "other letters, scores that are none, and lines that are no text"
    data, shown = files("language", scene), screens("language", scene)
    model = AddOne(data["a.txt"])
    check_evaluation(shown["xent language evaluate m.xent u.txt"], model, data["u.txt"])
    lines = shown["xent language score m.xent lines.jsonl --field text --on-bad-line skip --json"]
    bits = model.bits("a b")[0].sum()
    assert json.loads(lines[0]) == pytest.approx(
        {"bits": bits, "bits_per_byte": bits / 4}, rel=1e-5
    )
    assert json.loads(lines[1]) == {"bits": None, "bits_per_byte": None}
    # Every pair of a.txt was seen, so the backed-off score is the share of its history.
    pairs = model.pairs
    history = Counter()
    for (before, _), times in pairs.items():
        history[before] += times
    mean = -sum(n * math.log2(n / history[h]) for (h, _), n in pairs.items()) / sum(pairs.values())
    screen = shown["xent language evaluate s.xent a.txt"]
    assert near(figures(line_of(screen, "bits an event"))[0], mean, 5)
    assert screen[-1] == "  These scores are no probabilities: they compare with nothing."


def test_an_automaton_costs_what_the_model_does():
    """Down arcs and back-off, in nats: the line `a d` and the other have the evaluation's bits."""
    shown = screens("language", "other models")
    arcs, final = {}, {}
    for fields in (line.split() for line in shown["show kn.fst.txt"]):
        if len(fields) == 2:
            final[fields[0]] = float(fields[1])
        else:
            arcs[fields[0], fields[2]] = fields[1], float(fields[3])

    def cost(state, word):
        if word is None and state in final:
            return "", final[state]
        if (state, word) in arcs:
            return arcs[state, word]
        lower, paid = arcs[state, "<eps>"]
        after, more = cost(lower, word)
        return after, paid + more

    total = []
    for line in files("language", "other models")["b.txt"]:
        state = "0"
        for word in [*line.replace("d", "<unk>").split(), None]:
            state, paid = cost(state, word)
            total.append(paid)
    screen = shown["xent language evaluate kn.xent b.txt"]
    assert near(figures(line_of(screen, "perplexity"))[0], math.exp(np.mean(total)), 3)


# ------------------------------------------------------------------ other kinds of predictions


def interval(cost, weight):
    mean, n = np.average(cost, weights=weight), len(cost)
    error = np.sqrt(((weight / weight.sum() * (cost - mean)) ** 2).sum() * n / (n - 1))
    reach = stats.t.ppf(0.975, n - 1) * error
    return [mean, max(0, mean - reach), mean + reach]


def test_soft_truth():
    data = columns("kinds", "soft truth and several labels", "soft.csv")
    shown = screens("kinds", "soft truth and several labels")
    t, p = (np.stack([data[f"{k}_{c}"] for c in "ab"], axis=1) for k in "tp")
    for options, weight, size in (
        ("--weights w --rows rows.csv", data["w"], 1),
        ("--base e --fail-above 0.1", np.ones(3), math.log(2)),
    ):
        screen = shown[f"xent evaluate soft.csv --soft t_* {options}"]
        cost = -(t * np.log2(p)).sum(1) * size
        floor, waste = (
            stats.entropy(t, axis=1) / math.log(2) * size,
            rel_entr(t, p).sum(1) / math.log(2) * size,
        )
        assert near(figures(line_of(screen, "cross-entropy"))[0], np.average(cost, weights=weight))
        assert near(figures(line_of(screen, "cross-entropy"))[2:], interval(cost, weight)[1:])
        mean_floor = np.average(floor, weights=weight)
        assert near(figures(line_of(screen, "floor"))[0], mean_floor)
        assert near(figures(line_of(screen, "divergence")), interval(waste, weight))
        prior = stats.entropy(np.average(t, axis=0, weights=weight), base=2) * size
        assert near(figures(line_of(screen, "class prior"))[0], prior)
        explained = 100 * (prior - np.average(cost, weights=weight)) / (prior - mean_floor)
        assert near(figures(line_of(screen, "explained").replace("%", ""))[0], explained, 1)
        assert near(
            figures(line_of(screen, "Brier"))[0], np.average(((p - t) ** 2).sum(1), weights=weight)
        )
        for c, name in enumerate("ab"):
            share = (weight * -t[:, c] * np.log2(p[:, c])).sum() / (weight * cost / size).sum()
            expected = [np.average(t[:, c], weights=weight), np.average(p[:, c], weights=weight)]
            row = figures(line_of(screen, f"{name}  ").replace("%", ""))
            assert near(row[:2], expected, 3)
            assert near(row[2], 100 * share, 1)


def test_several_labels():
    data = columns("kinds", "soft truth and several labels", "multi.csv")
    shown = screens("kinds", "soft truth and several labels")
    y, p = (np.stack([data[f"{k}_{c}"] for c in "ab"], axis=1) for k in "yp")
    known, weight = y >= 0, data["w"]
    cost = np.where(known, -np.log2(np.where(y == 1, p, 1 - p)), 0)
    screen = shown["xent evaluate multi.csv --multilabel --target y_* --ignore -1 --weights w"]
    cells = (weight[:, None] * known).sum()
    assert near(
        figures(line_of(screen, "cross-entropy"))[0], (weight[:, None] * cost).sum() / cells
    )
    assert near(figures(line_of(screen, "a row")), interval(cost.sum(1), weight))
    for c, name in enumerate("ab"):
        w = weight * known[:, c]
        positive = (w * y[:, c]).sum()
        share = (w * cost[:, c]).sum() / (weight[:, None] * cost).sum()
        prior = stats.entropy([positive, w.sum() - positive], base=2)
        row = figures(line_of(screen, f"{name}  ").replace("%", ""))
        assert near(row[0], 100 * share, 1)
        assert near(row[1:], [(w * cost[:, c]).sum() / w.sum(), prior, positive, w.sum()])
    plain = json.loads(
        "\n".join(
            shown[
                "xent evaluate multi.csv --multilabel --target y_* --ignore -1 --base e --json - --lang zh"
            ]
        )
    )
    assert plain["cross_entropy"] == pytest.approx(cost.sum() / known.sum() * math.log(2), rel=1e-5)
    assert plain["brier"] == pytest.approx(((p - y)[known] ** 2).mean(), rel=1e-5)
    assert [h["row"] for h in plain["hardest"]] == [0, 1, 2, 3]


@pytest.mark.parametrize(("options", "weigh"), [("", False), (" --weights w --base e", True)])
def test_ordered_classes(options, weigh):
    data = columns("kinds", "ordered classes", "stars.csv")
    screen = screens("kinds", "ordered classes")[f"xent evaluate stars.csv --ordered{options}"]
    weight = data["w"] if weigh else np.ones(3)
    p = np.stack([data[f"p_{c}"] for c in (9, 10, 11)], axis=1)
    said, seen = p.cumsum(1)[:, :2], np.array([[t <= c for c in (9, 10)] for t in data["target"]])
    rps = ((said - seen) ** 2).sum(1)
    shown = figures(line_of(screen, "ranked probability score"))
    assert near([shown[0], *shown[2:]], interval(rps, weight))
    below = np.average(seen, axis=0, weights=weight)
    climate = (below * (1 - below)).sum()
    skill = 100 * (1 - np.average(rps, weights=weight) / climate)
    assert near(figures(line_of(screen, "climatology").replace("%", "")), [climate, skill], 1)
    table = screen[screen.index("at most            said    seen   (F - O)²") :]
    for j, name in enumerate(("9", "10")):
        brier = np.average((said - seen)[:, j] ** 2, weights=weight)
        row = figures(line_of(table, f"{name}  "))
        assert near(row, [np.average(said[:, j], weights=weight), below[j], brier], 3)
        assert near(row[2], brier)


def test_thirteen_labels_and_seven_documents():
    """The prior of the first label is one bit of thirteen; document i costs i + 1 nats."""
    shown = screens("kinds", "many labels, and documents by their bytes")
    labels = shown["xent evaluate many.csv --multilabel --target y_*"]
    assert near(figures(line_of(labels, "label priors"))[0], 1 / 13)
    assert near(figures(line_of(labels, "Brier"))[0], (1 + 0.25 + 24 * 0.25) / 26)
    assert [x.split()[0] for x in labels if x.endswith(" of 2")] == [*"abcdefghijkl"]
    documents = shown["xent evaluate seven.jsonl --tokens logs --text text --base e --fail-above 1"]
    _, low, high = interval(np.arange(1, 8) / 2, np.ones(7))
    assert near(figures(line_of(documents, "nats a byte "))[0], 2)
    assert near(figures(line_of(documents, "nats a byte ").replace("95 %", ""))[1:3], [low, high])
    hardest = documents[documents.index("documents that cost most for their length: nats a byte") :]
    assert [figures(x)[:2] for x in hardest[1:6]] == [[6 - i, (7 - i) / 2] for i in range(5)]
    assert f"ends at {high:.4f} nats" in documents[-2]


def test_masks():
    screen = screens("kinds", "masks")[
        "xent evaluate masks.npz --class-axis 1 --logits logits --target mask --ignore 255"
    ]
    stored = dict(line.split(" = ") for line in files("kinds", "masks")["masks.npz"])
    z, mask = (np.array(json.loads(stored[name])) for name in ("logits", "mask"))
    flat, truth = np.moveaxis(z, 1, -1).reshape(-1, 2), mask.ravel()
    kept = truth != 255
    cost = -log_softmax(flat[kept], axis=1)[np.arange(kept.sum()), truth[kept]] / math.log(2)
    assert near(figures(line_of(screen, "cross-entropy"))[0], cost.mean())
    assert screen[0] == "3 rows, 2 classes"


def test_tokens():
    documents = [json.loads(line) for line in files("kinds", "tokens of documents")["lm.jsonl"]]
    shown = screens("kinds", "tokens of documents")
    for options, log, size, mask in (
        ("--text text --id id --rows rows.csv", 1, 1 / math.log(2), False),
        ("--mask ok --base e", 1, 1, True),
        ("--log-base 2 --text text", math.log(2), 1 / math.log(2), False),
    ):
        screen = shown[f"xent evaluate lm.jsonl --tokens logs {options}"]
        rows = [
            [x for x, ok in zip(d["logs"], d["ok"], strict=True) if ok or not mask]
            for d in documents
        ]
        paid = np.array([-sum(row) for row in rows]) * log * size
        tokens = np.array([len(row) for row in rows])
        units = {"token": tokens}
        if "--text" in options:
            texts = [d["text"] for d in documents]
            # A word more for the end of each document would be 5, 2 and 2.
            units["byte"] = np.array([len(t.encode()) for t in texts])
            units["character"] = np.array([len(t) for t in texts])
            units["word"] = np.array([len(t.split()) for t in texts])
        unit = "nats" if "--base e" in options else "bits"
        for name, counts in units.items():
            found = figures(line_of(screen, f"{unit} a {name} ").replace("95 %", ""))
            rate = paid.sum() / counts.sum()
            each = (paid - rate * counts) / counts.sum()
            reach = stats.t.ppf(0.975, 2) * math.sqrt((each**2).sum() * 3 / 2)
            assert near(found, [rate, max(0, rate - reach), rate + reach, counts.sum()])
        first = -sum(row[0] for row in rows) * log * size / 3
        assert near(figures(line_of(screen, "1 to 1")), [3, first])
        later = [x for row in rows for x in row[1:]]
        found = figures(line_of(screen, "2 to 3"))
        assert near(found, [len(later), -np.mean(later) * log * size])
    rows = [line.split(",") for line in shown["show rows.csv"]]
    assert [row[0] for row in rows[1:]] == ['"7"', '"8"', '"9"']
    assert float(rows[1][-1]) == pytest.approx(4 / math.log(2) / 5, rel=1e-5)

"""Language models under every smoothing: scores, distributions, ARPA files, stored models."""

import tempfile
from collections.abc import Callable, Iterator
from itertools import product
from pathlib import Path
from typing import Any

import numpy as np

from xent import language
from xent.language import (
    AbsoluteDiscounting,
    AddK,
    GoodTuring,
    JelinekMercer,
    Katz,
    KneserNey,
    MaximumLikelihood,
    NGramModel,
    StupidBackoff,
    WittenBell,
)

Case = tuple[str, Callable[[], Any]]


def text(seed: int = 0, lines: int = 120) -> list[str]:
    """Sentences whose words follow one another with a preference, some words seldom."""
    rng = np.random.default_rng(seed)
    made = []
    for _ in range(lines):
        word, sentence = 0, []
        for _ in range(int(rng.integers(0, 12))):
            word = int(min(word * 2 + rng.integers(0, 5), 10 * rng.random() ** 2 * 9)) % 60
            sentence.append(f"w{word}" if word % 17 else "ünd")
        made.append(" ".join(sentence))
    return made


TRAIN, TEST = text(), text(1, 30)
SMOOTHINGS = {
    "KneserNey": KneserNey(),
    "KneserNey back-off": KneserNey(interpolated=False),
    "KneserNey plain": KneserNey(modified=False),
    "KneserNey 0.75": KneserNey(discount=0.75),
    "KneserNey three": KneserNey(discount=(0.5, 1.0, 1.4)),
    "Katz": Katz(),
    "Katz 3": Katz(3),
    "WittenBell": WittenBell(),
    "WittenBell back-off": WittenBell(interpolated=False),
    "AbsoluteDiscounting": AbsoluteDiscounting(),
    "AbsoluteDiscounting back-off": AbsoluteDiscounting(0.6, interpolated=False),
    "JelinekMercer": JelinekMercer(),
    "JelinekMercer 4": JelinekMercer(buckets=4),
    "JelinekMercer given": JelinekMercer(weights=(0.3, 0.5, 0.6)),
    "GoodTuring": GoodTuring(),
    "GoodTuring 5": GoodTuring(cutoff=5),
    "AddK": AddK(0.1),
    "MaximumLikelihood": MaximumLikelihood(),
    "StupidBackoff": StupidBackoff(),
}


def tried(call: Callable[[], Any]) -> Any:
    try:
        return call()
    except (ValueError, TypeError) as error:
        return error


def shown(model: Any) -> Any:
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder) / "model"

        def arpa() -> bytes:
            language.write_arpa(model, file)
            return file.read_bytes()

        def compact() -> Any:
            model.save(file, compact=True)
            return NGramModel.load(file).score(TEST)

        def stored() -> Any:
            model.save(file)
            return NGramModel.load(file).score(TEST)

        calls = {
            "score": lambda: model.score(TEST),
            "tokens": lambda: tuple(model.token_log_probs(TEST)),
            "summary": lambda: model.evaluate(TEST).summary(),
            "counts": model.counts,
            "distribution": lambda: model.distribution("w1 w4"),
            "next": lambda: [str(x) for x in model.next("w1", top_k=5)],
            "sample": lambda: model.sample(0),
            "arpa": arpa,
            "stored": stored,
            "compact": compact,
        }
        return {name: tried(call) for name, call in calls.items()}


def cases() -> Iterator[Case]:
    for (name, smoothing), order in product(SMOOTHINGS.items(), (1, 2, 3, 5)):
        yield (
            f"{name} order {order}",
            lambda s=smoothing, o=order: shown(NGramModel(o, s).fit(TRAIN)),
        )
    words = sorted({w for line in TRAIN for w in line.split()})[:20]
    options: dict[str, dict[str, Any]] = {
        "min_count": {"min_count": 2},
        "min_count by order": {"min_count": {1: 2, 3: 2}},
        "open": {"unknown": "open", "vocabulary": words},
        "closed": {"unknown": "closed", "vocabulary": words},
        "character": {"unit": "character"},
        "byte": {"unit": "byte"},
    }
    for (name, smoothing), (word, o) in product(SMOOTHINGS.items(), options.items()):
        yield f"{name} {word}", lambda s=smoothing, o=o: shown(NGramModel(3, s, **o).fit(TRAIN))
    yield "held out", lambda: shown(NGramModel(3, JelinekMercer()).fit(TRAIN, held_out=TEST))
    yield "runs", lambda: shown(NGramModel(3).fit(TRAIN * 9, memory="100MB"))
    for name, entropy in product(("Katz", "WittenBell", "KneserNey"), (0.001, 0.05)):

        def pruned(s: Any = SMOOTHINGS[name], e: float = entropy) -> Any:
            return shown(NGramModel(3, s).fit(TRAIN).prune(e))

        yield f"pruned {name} {entropy}", pruned

    def mixed() -> Any:
        two = [NGramModel(2, WittenBell()).fit(x) for x in (TRAIN, TRAIN[::-1])]
        mixture = language.mix(two, dev=TEST)
        return list(mixture.weights), mixture.score(TEST), mixture.perplexity(TEST)

    def chosen() -> Any:
        known = sorted({w for line in TRAIN for w in line.split()})
        two = [NGramModel(2, WittenBell(), vocabulary=known).fit(x) for x in (TRAIN[:40], TRAIN)]
        found = language.select(TEST, *two, share=0.3)
        return found.chosen, found.difference, language.buckets(TEST, two[1], (0.3, 0.4, 0.3))

    yield "mixture", mixed
    yield "select and buckets", chosen
    wrong: dict[str, Callable[[], Any]] = {
        "order": lambda: NGramModel(0),
        "unknown": lambda: NGramModel(2, unknown="words"),
        "unit": lambda: NGramModel(2, unit="letter"),
        "empty": lambda: NGramModel(2).fit([]),
        "mark": lambda: NGramModel(2).fit(["a <s> b"]),
        "discount": lambda: KneserNey(discount=2.0),
        "alpha": lambda: StupidBackoff(-1),
        "k": lambda: AddK(0),
        "weights": lambda: JelinekMercer(weights=(2.0,)),
        "unfitted": lambda: NGramModel(2).score(["a"]),
        "file": lambda: NGramModel(2).fit("no such file"),
    }
    yield from ((f"refused {name}", call) for name, call in wrong.items())

"""First calls of each room in a fresh process: what they cost, what they compiled, their bits.

    python first_calls.py CALL

Prints one line of JSON: CPU seconds of the call after the imports, how many functions of xent were
compiled in it, and a hash of what it returned.
"""

import hashlib
import json
import sys
import time

import numpy as np


def cross_entropy(rows, classes, dtype="float32", soft=False):
    import torch

    from xent.losses import cross_entropy

    torch.manual_seed(0)
    x = torch.randn(rows, classes).to(getattr(torch, dtype)).requires_grad_()
    target = torch.rand(rows, classes).softmax(1) if soft else torch.randint(0, classes, (rows,))

    def call():
        loss = cross_entropy(x, target)
        loss.backward()
        return loss.detach().float().numpy(), x.grad.float().numpy()

    return call


def entropy():
    from xent.measures import entropy

    p = np.random.default_rng(0).dirichlet(np.ones(50), 20)
    return lambda: [entropy(p)]


def mutual_information():
    from xent.measures import mutual_information

    table = np.random.default_rng(0).dirichlet(np.ones(12)).reshape(3, 4)
    return lambda: [mutual_information(table)]


def information_of_samples():
    from xent.measures import estimate_mutual_information

    x, y = np.random.default_rng(0).integers(0, 5, (2, 100))
    return lambda: [estimate_mutual_information(x, y).value]


def tree(name):
    from sklearn.datasets import load_iris

    from xent import trees

    X, y = load_iris(return_X_y=True)

    def call():
        model = getattr(trees, name)().fit(X, y)
        return [model.predict_proba(X)]

    return call


def language():
    from xent.language import NGramModel, WittenBell

    lines = ["the cat sat on the mat", "a dog and a cat sat"] * 20
    return lambda: [NGramModel(3, WittenBell()).fit(lines).score(lines)]


def evaluation():
    from xent.evaluation import evaluate

    p, y = np.random.default_rng(0).dirichlet(np.ones(3), 30), np.arange(30) % 3
    return lambda: [evaluate(y, p).cross_entropy]


CALLS = {
    "measures: entropy": entropy,
    "measures: mutual information of a table": mutual_information,
    "measures: plug-in information of 100 rows": information_of_samples,
    "losses: cross_entropy 64 x 10": lambda: cross_entropy(64, 10),
    "losses: cross_entropy 64 x 32000": lambda: cross_entropy(64, 32000),
    "losses: soft targets 64 x 1000": lambda: cross_entropy(64, 1000, soft=True),
    "losses: bfloat16 64 x 1000": lambda: cross_entropy(64, 1000, "bfloat16"),
    "trees: TreeClassifier on iris": lambda: tree("TreeClassifier"),
    "trees: C45Classifier on iris": lambda: tree("C45Classifier"),
    "language: NGramModel(3).fit and score": language,
    "evaluation: evaluate": evaluation,
}


def main(name):
    from numba.core import event

    compiled = []

    class Listener(event.Listener):
        def on_start(self, event):
            module = event.data["dispatcher"].py_func.__module__ or ""
            compiled.extend([module] if module.startswith("xent.") else [])

        def on_end(self, event):
            pass

    event.register("numba:compile", Listener())
    if name.startswith("losses"):
        import torch

        torch.set_num_threads(1)
    call = CALLS[name]()
    begin = time.process_time()
    found = call()
    seconds = time.process_time() - begin
    bits = hashlib.sha256(b"".join(np.asarray(x).tobytes() for x in found)).hexdigest()
    print(json.dumps({"seconds": seconds, "compiled": len(compiled), "bits": bits}))


if __name__ == "__main__":
    main(sys.argv[1])

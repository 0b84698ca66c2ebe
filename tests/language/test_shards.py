"""Files counted apart, by whatever executor, are the model of one process to the last bit."""

import warnings
from concurrent.futures import Executor, Future, ProcessPoolExecutor, ThreadPoolExecutor
from multiprocessing import get_context

import numpy as np
import pytest

from language.test_smoothing import corpus
from xent.language import Katz, KneserNey, NGramModel, WittenBell


class Here(Executor):
    """Does each task at once."""

    def submit(self, fn, /, *args, **kwargs):
        done = Future()
        done.set_result(fn(*args, **kwargs))
        return done


@pytest.fixture(scope="module")
def paths(tmp_path_factory):
    folder = tmp_path_factory.mktemp("shards")
    found = []
    for i, size in enumerate((40, 1, 90)):
        path = folder / f"{i}.txt"
        path.write_text("".join(" ".join([*s, f"only{i}"]) + "\n" for s in corpus(i, size)))
        found.append(path)
    return found


def same(a, b):
    assert a.vocabulary.words() == b.vocabulary.words()
    for ours, theirs in zip(a.backoff.rows, b.backoff.rows, strict=True):
        for name in vars(ours):
            np.testing.assert_array_equal(getattr(ours, name), getattr(theirs, name), err_msg=name)


OPTIONS = [
    {"smoothing": KneserNey()},
    {"smoothing": Katz(), "unknown": "open", "vocabulary": ["a", "b", "c"]},
    {"smoothing": Katz(k=3), "unknown": "removed", "vocabulary": ["a", "b", "c"]},
    {"smoothing": WittenBell(), "unknown": "closed", "vocabulary": ["c", "a"], "min_count": 2},
    {"smoothing": WittenBell(), "unit": "character"},
    {"smoothing": WittenBell(), "min_count": {1: 30}},
    {"smoothing": WittenBell(), "min_count": {1: 30}, "unknown": "open"},
    {
        "smoothing": WittenBell(),
        "min_count": {1: 30},
        "unknown": "closed",
        "vocabulary": ["c", "a"],
    },
]


@pytest.mark.filterwarnings("ignore:.*discount:UserWarning")
@pytest.mark.parametrize("options", OPTIONS, ids=lambda o: repr(o["smoothing"]))
def test_same_bits(paths, options):
    for order in (1, 3):
        model = NGramModel(order, **options).fit(paths)
        same(model, NGramModel(order, **options).fit([str(p) for p in paths], executor=Here()))
    assert sum(model.counts()) > 5


def test_threads(paths):
    with ThreadPoolExecutor(2) as pool:
        same(
            NGramModel(2, WittenBell()).fit(paths),
            NGramModel(2, WittenBell()).fit(paths, executor=pool),
        )


@pytest.mark.long
def test_processes(paths):
    with ProcessPoolExecutor(2, get_context("spawn")) as pool:
        same(
            NGramModel(2, WittenBell()).fit(paths),
            NGramModel(2, WittenBell()).fit(paths, executor=pool),
        )


@pytest.mark.long
def test_dask(paths):
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        distributed = pytest.importorskip("distributed")
        with (
            distributed.LocalCluster(
                n_workers=1, threads_per_worker=2, processes=False, dashboard_address=None
            ) as cluster,
            distributed.Client(cluster) as client,
        ):
            found = NGramModel(2, WittenBell()).fit(paths, executor=client.get_executor())
    same(NGramModel(2, WittenBell()).fit(paths), found)


def test_refusals(paths):
    with pytest.raises(TypeError, match="`text` must be paths where `executor` is given"):
        NGramModel(2).fit([["a", "b"]], executor=Here())
    with pytest.raises(FileNotFoundError):
        NGramModel(2).fit([paths[0], "nowhere.txt"], executor=Here())

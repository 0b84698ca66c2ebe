"""Kernels compile, spread over threads, survive a fork and a place where nothing can be written."""

import os
import subprocess
import sys
import threading
from pathlib import Path

import numba
import numpy as np
import pytest

from xent._compile import decorator
from xent._compile import threads as block_threads


@pytest.mark.parametrize("threads", [1, 2, 3, 7])
@pytest.mark.parametrize("count", [0, 1, 5, 100])
def test_blocks_cover_every_row_once(threads, count):
    seen = np.zeros(count, int)

    def work(start, stop):
        seen[start:stop] += 1
        return stop - start

    sizes = block_threads.in_blocks(work, count, threads=threads)
    assert sum(sizes) == count
    assert (seen == 1).all()
    assert len(sizes) <= threads


def test_small_work_wakes_no_thread():
    assert block_threads.in_blocks(lambda a, b: b - a, 9, threads=8, least=10) == [9]


def test_who_is_ready_takes_the_next_block():
    rest = threading.Event()
    done = []

    def work(start, stop):
        if start == 0:
            assert rest.wait(60)  # until all other blocks are done, by whoever was not waiting
        else:
            done.append(start)
            if len(done) == 7:
                rest.set()

    block_threads.in_blocks(work, 8, threads=2, turns=4)
    assert sorted(done) == [1, 2, 3, 4, 5, 6, 7]


def test_no_block_is_smaller_than_the_least():
    assert block_threads.in_blocks(lambda a, b: b - a, 9, threads=2, least=3, turns=4) == [3, 3, 3]


def test_an_error_in_any_block_reaches_the_caller():
    def work(start, stop):
        if stop == 8:
            raise ArithmeticError("last block")

    with pytest.raises(ArithmeticError, match="last block"):
        block_threads.in_blocks(work, 8, threads=4)


@pytest.mark.skipif(not hasattr(os, "fork"), reason="needs fork")
@pytest.mark.filterwarnings("ignore:This process .* is multi-threaded:DeprecationWarning")
def test_usable_after_fork():
    block_threads.in_blocks(lambda a, b: None, 4, threads=2)
    child = os.fork()
    if child == 0:
        done = block_threads.in_blocks(lambda a, b: b - a, 4, threads=2)
        os._exit(0 if done == [2, 2] else 1)
    _, status = os.waitpid(child, 0)
    assert os.waitstatus_to_exitcode(status) == 0


def test_what_belongs_to_no_module_still_compiles():
    made = {}
    exec("def one():\n    return 1", {}, made)
    assert numba.njit(made["one"])() == 1


def test_compiles_in_memory_where_no_cache_can_be_kept(tmp_path):
    module = tmp_path / "frozen.py"
    module.write_text(
        "from xent._compile.decorator import kernel\n\n@kernel()\ndef double(x):\n    return 2 * x\n"
    )
    # Root may write anywhere, so the cache is taken away by making Numba find no place for it.
    code = (
        "from numba.core import caching\n"
        "caching.CacheImpl._locator_classes = []\n"
        "import frozen; print(frozen.double(21))"
    )
    env = {
        **os.environ,
        "PYTHONPATH": f"{tmp_path}{os.pathsep}{Path(decorator.__file__).parents[2]}",
    }
    done = subprocess.run([sys.executable, "-c", code], env=env, capture_output=True, text=True)
    assert done.stdout.strip() == "42", done.stderr


def test_whoever_waits_for_the_compiler_is_told_once(tmp_path):
    code = "import sys\nsys.stderr.isatty = lambda: {}\nimport numpy as np\n"
    code += "from xent.measures import entropy\nentropy(np.full((2, 4), 0.25))\n"
    code += "entropy(np.full((2, 4), 0.25, np.float32))"

    def said(terminal, folder):
        env = os.environ | {"NUMBA_CACHE_DIR": str(tmp_path / folder)}
        run = [sys.executable, "-c", code.format(terminal)]
        return subprocess.run(run, env=env, capture_output=True, text=True, check=True).stderr

    assert said(True, "a") == decorator.NOTICE + "\n"
    assert said(True, "a") == ""
    assert said(False, "b") == ""


def test_what_kernels_call_is_compiled_inside_them_alone(tmp_path):
    module = tmp_path / "nested.py"
    module.write_text(
        "from xent._compile.decorator import kernel\n\n"
        "@kernel(forceinline=True)\ndef half(x):\n    return x / 2\n\n"
        "@kernel(inside=True)\ndef quarter(x):\n    return half(half(x))\n\n"
        "@kernel()\ndef eighth(x):\n    return half(quarter(x))\n"
    )
    places = {"NUMBA_CACHE_DIR": str(tmp_path / "cache")}
    places["PYTHONPATH"] = f"{tmp_path}{os.pathsep}{Path(decorator.__file__).parents[2]}"
    code = "import nested; print(nested.eighth(8.0), sum(nested.eighth.stats.cache_hits.values()))"
    for hits in (0, 1):
        run = [sys.executable, "-c", code]
        done = subprocess.run(run, env=os.environ | places, capture_output=True, text=True)
        assert done.stdout.split() == ["1.0", str(hits)], done.stderr
    kept = {path.name.split("-")[0] for path in (tmp_path / "cache").rglob("*.nb?")}
    assert kept == {"nested.eighth"}

"""What is not ours still compiles; what kernels call is compiled inside them alone."""

import gc
import logging
import os
import subprocess
import sys
from pathlib import Path
from types import SimpleNamespace

import numba

from xent._compile import decorator, notice


def test_what_belongs_to_no_module_still_compiles():
    made = {}
    exec("def one():\n    return 1", {}, made)
    assert numba.njit(made["one"])() == 1


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
    kept = {path.name.partition(".cpython")[0] for path in (tmp_path / "cache").rglob("*.nbc")}
    assert kept == {"nested.eighth"}


def test_kernels_of_one_text_are_kept_apart_by_what_they_close_over(tmp_path):
    (tmp_path / "scaled.py").write_text(
        "from xent._compile.decorator import kernel\n\n"
        "def times(n):\n    @kernel()\n    def scaled(x):\n        return n * x\n\n"
        "    return scaled\n\nprint(times(2.0)(3.0), times(5.0)(3.0))\n"
    )
    places = {"NUMBA_CACHE_DIR": str(tmp_path / "cache")}
    places["PYTHONPATH"] = str(Path(decorator.__file__).parents[2])
    run = [sys.executable, str(tmp_path / "scaled.py")]
    for _ in range(2):
        done = subprocess.run(run, env=os.environ | places, capture_output=True, text=True)
        assert done.stdout.split() == ["6.0", "15.0"], done.stderr
    assert len(list((tmp_path / "cache").rglob("*.nbc"))) == 2


def test_many_short_compilations_are_worth_a_word_together(monkeypatch, caplog):
    now = [0.0]
    monkeypatch.setattr(notice, "time", SimpleNamespace(monotonic=lambda: now[0]))
    waiting = notice._Waiting()
    kernel = SimpleNamespace(
        py_func=SimpleNamespace(__module__="xent.trees._kernels.grow"),
        _cache=SimpleNamespace(cache_path=None),
    )
    with caplog.at_level(logging.WARNING, "xent"):
        for told in (0, 0, 1, 1):
            waiting.on_start(SimpleNamespace(data={"dispatcher": kernel}))
            now[0] += 0.4
            waiting.on_pass()
            waiting.on_end(None)
            now[0] += 100
            assert len(caplog.records) == told


def test_the_collector_of_cycles_runs_as_often_as_before():
    before = gc.get_threshold()
    try:
        for own in (700, 1_000_000, 0):  # 0: its user has switched it off
            gc.set_threshold(own, 7, 9)
            with notice._collected_seldom():
                assert gc.get_threshold() == (own and max(own, notice.SELDOM), 7, 9)
            assert gc.get_threshold() == (own, 7, 9)
    finally:
        gc.set_threshold(*before)


def test_a_kernel_serves_the_room_whose_loops_it_is_for():
    for module, room in (
        ("xent._kernels.rows.softmax", "losses"), ("xent._kernels.images.tiles", "losses"),
        ("xent._kernels.distributions.entropy", "measures"), ("xent._math.exp", "measures"),
        ("xent.trees._kernels.grow", "trees"), ("xent.language._kernels.text", "language"),
        ("numpy.linalg", ""), ("xent", ""), (None, ""), ("xenture.rows", ""),
    ):  # fmt: skip
        assert notice._room(module) == room

"""Kernels compile where nothing can be kept, whoever waits is told, parts are compiled inside."""

import os
import subprocess
import sys
from pathlib import Path

import numba

from xent._compile import decorator


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
    kept = {path.name.partition(".cpython")[0] for path in (tmp_path / "cache").rglob("*.nbc")}
    assert kept == {"nested.eighth"}

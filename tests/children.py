"""Python programs and commands as children of a process that has loaded the libraries already.

A fresh Python takes two to five seconds of processor time for PyTorch, scikit-learn and others
before it does what is asked. One server a test process loads them once and forks a child for each
request: a process of its own with its own folder, environment, output and exit code. Where nothing
can be forked, each child starts afresh. What a test says of a start, a kill or an import needs a
fresh one, by `subprocess`.
"""

import atexit
import gc
import importlib
import json
import os
import subprocess
import sys
import tempfile
import threading
import traceback
import types
import warnings
from contextlib import suppress
from functools import cache
from pathlib import Path

SOURCES = Path(__file__).parent.parent / "src"
COMMAND = "from xent.cli import main; main()"
# None that starts threads when it is imported.
LOADED_AHEAD = (
    "torch", "torch.optim", "torch.utils.data", "sklearn.base", "sklearn.utils.validation",
    "pyarrow.compute", "pyarrow.csv", "pyarrow.parquet", "narwhals", "altair", "jinja2",
    "torch._dynamo", "scipy.special", "scipy.stats", "scipy.optimize", "numba", "pandas",
    "pyarrow.pandas_compat", "pydantic", "typer._adapters", "vl_convert", "sklearn.datasets",
    "safetensors.numpy", "xent.cli", "xent.measures", "xent.losses", "xent.evaluation",
    "xent.training", "xent.language", "xent.trees",
)  # fmt: skip


def python(code, *arguments, cwd, environment=None, ahead=LOADED_AHEAD):
    """Do what `python -c CODE ARGUMENTS` does in a folder, and return what `subprocess.run` would.

    ``ahead`` names the modules that are loaded already.
    """
    if not hasattr(os, "fork"):
        return fresh(code, *arguments, cwd=cwd, environment=environment)
    run, env = _started(code, arguments, environment)
    with tempfile.TemporaryDirectory() as folder:
        output, errors = Path(folder) / "output", Path(folder) / "errors"
        request = [code, run[3:], str(cwd), env, str(output), str(errors)]
        server = _server(os.getpid(), ahead)
        server.stdin.write(json.dumps(request) + "\n")
        server.stdin.flush()
        status = server.stdout.readline()
        assert status, "the server is gone: its own stderr says why"
        return subprocess.CompletedProcess(run, int(status), output.read_text(), errors.read_text())


def fresh(code, *arguments, cwd, environment=None):
    """Do the same in a process that has loaded nothing."""
    run, env = _started(code, arguments, environment)
    return subprocess.run(run, cwd=cwd, env=env, capture_output=True, text=True)


def _started(code, arguments, environment):
    run = [sys.executable, "-c", code, *map(str, arguments)]
    return run, {**os.environ, "PYTHONPATH": str(SOURCES), **(environment or {})}


def xent(*arguments, cwd, environment=None):
    """Run a command of xent."""
    return python(COMMAND, *arguments, cwd=cwd, environment=environment)


@cache
def _server(_process, ahead):
    run = [sys.executable, "-c", f"import sys; sys.path[0] = {str(Path(__file__).parent)!r}\n"]
    run[-1] += "from children import serve; serve()"
    run += ahead
    env = {**os.environ, "PYTHONPATH": str(SOURCES)}
    server = subprocess.Popen(
        run, env=env, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    )
    atexit.register(server.communicate)
    return server


def serve():
    """Fork a child for each line of stdin; answer with its exit code."""
    sys.path[0] = ""
    for name in sys.argv[1:]:
        with suppress(ImportError):
            importlib.import_module(name)
    # A forked child would have the locks of threads, but not the threads.
    assert threading.active_count() == 1, threading.enumerate()
    gc.freeze()  # what no child changes is not copied for it
    for line in sys.stdin:
        child = os.fork()
        if not child:
            _become(*json.loads(line))
        print(os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]), flush=True)


def _become(code, arguments, folder, environment, output, errors):
    """Run a program as if this process had been started for it, and end."""
    os.chdir(folder)
    os.environ.clear()
    os.environ.update(environment)
    for place, path, mode in (
        (0, os.devnull, os.O_RDONLY),
        (1, output, os.O_WRONLY | os.O_CREAT),
        (2, errors, os.O_WRONLY | os.O_CREAT),
    ):
        opened = os.open(path, mode)
        os.dup2(opened, place)
        os.close(opened)
    if asked := environment.get("PYTHONWARNINGS"):
        warnings.simplefilter(asked)
    # What an interpreter, and Numba when it is imported, reads of the environment.
    sys.path[1:1] = [p for p in environment["PYTHONPATH"].split(os.pathsep) if p not in sys.path]
    sys.dont_write_bytecode = bool(environment.get("PYTHONDONTWRITEBYTECODE"))
    if numba := sys.modules.get("numba"):
        numba.core.config.reload_config()
    sys.argv = ["-c", *arguments]
    program = sys.modules["__main__"] = types.ModuleType("__main__")
    try:
        exec(compile(code, "<string>", "exec"), program.__dict__)
        status = 0
    except SystemExit as stop:
        status = stop.code if isinstance(stop.code, int) else int(stop.code is not None)
        if isinstance(stop.code, str):
            print(stop.code, file=sys.stderr)
    except BaseException:
        traceback.print_exc()
        status = 1
    for thread in threading.enumerate():
        if thread is not threading.main_thread() and not thread.daemon:
            thread.join()
    # Not the whole end of an interpreter: it takes a second to free what was loaded ahead.
    atexit._run_exitfuncs()
    sys.stdout.flush()
    sys.stderr.flush()
    os._exit(status)

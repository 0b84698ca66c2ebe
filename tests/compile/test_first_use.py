"""The first use: told to whoever waits, interruptible, kept where it can be, whole at all times."""

import os
import signal
import threading
import time

import pytest

from xent._compile import threads

RUN = (
    "from xent._kernels.distributions.outer import quarter\nfrom xent._math.apart import same\n"
    "print(quarter(8.0), same(1.0))\n"
    "print(*(sum(k.stats.cache_hits.values()) for k in (quarter, same)))"
)
TELL = "from xent._compile import notice\nnotice.PATIENCE = 0\n" + RUN


def lines(errors):
    return [line for line in errors.splitlines() if "First use" in line]


def test_who_waits_in_a_pipe_is_told_once(house):
    said, errors = house.run(TELL)
    assert said == ["2.0 1.0", "0 0"]
    [line] = lines(errors)
    assert line == errors.strip()
    assert line.startswith("First use of xent.measures here: its loops are compiled for this")
    assert ", once; later runs start at once." in line
    assert str(house.cache) in line
    assert "`xent warm-up`" in line
    assert house.run(TELL) == (["2.0 1.0", "1 1"], "")


def test_short_compilations_are_not_worth_a_word(house):
    code = RUN.replace("print", "import xent._compile.notice as n; n.PATIENCE = 1e9\nprint", 1)
    assert house.run(code)[1] == ""


def test_a_log_takes_the_line(house):
    log = house.place / "log.txt"
    code = f"import logging\nlogging.basicConfig(filename={str(log)!r})\n" + TELL
    assert house.run(code)[1] == ""
    assert log.read_text().startswith("WARNING:xent:First use of xent.measures here")


def test_a_test_suite_that_makes_errors_of_warnings_passes(house):
    assert house.said(TELL, PYTHONWARNINGS="error") == ["2.0 1.0", "0 0"]


@pytest.mark.skipif(not hasattr(os, "openpty"), reason="needs a terminal")
def test_a_terminal_shows_a_spinner_too(house):
    ours, theirs = os.openpty()
    process = house.start(TELL, stderr=theirs, TERM="xterm", COLUMNS="300")
    os.close(theirs)
    shown = b""
    with open(ours, "rb", buffering=0) as terminal:
        try:
            while some := terminal.read(4096):
                shown += some
        except OSError:  # how a terminal ends on Linux
            pass
    process.communicate(timeout=60)
    assert process.returncode == 0
    assert shown.count(b"First use of xent.measures here") == 1
    assert b"xent.measures: compiling for this processor" in shown


def test_code_is_kept_nowhere_where_nothing_can_be_written(house):
    file = house.place / "file"
    file.write_text("no folder")
    for folder in ("_math", "_kernels/distributions"):
        (house.package / folder / "__pycache__").write_text("no folder either")
    places = {"NUMBA_CACHE_DIR": str(file), "HOME": str(file), "XDG_CACHE_HOME": str(file)}
    for _ in range(2):
        said, errors = house.run(TELL, **places)
        assert said == ["2.0 1.0", "0 0"]
        [line] = lines(errors)
        assert "in each process anew: no folder for machine code can be written (tried " in line
        assert "Set NUMBA_CACHE_DIR to one that can" in line


def test_code_beside_the_package_serves_who_writes_elsewhere(house):
    # As root compiles it in an image, for users who may not write there.
    assert house.said(NUMBA_CACHE_DIR="") == ["2.0 1.0", "0 0"]
    assert house.said(NUMBA_CACHE_DIR=str(house.place / "mine")) == ["2.0 1.0", "1 1"]
    assert not list((house.place / "mine").rglob("*.nbc"))


def test_many_processes_compile_at_once(house):
    code = RUN.replace("8.0", "complex(8)")
    running = [house.start(text) for text in (RUN, code)]  # both compile `same`
    for process in running:
        said, errors = process.communicate(timeout=300)
        assert process.returncode == 0, errors
        assert said.splitlines()[0] in ("2.0 1.0", "(2+0j) 1.0")
    assert house.said(RUN) == ["2.0 1.0", "1 1"]
    assert house.said(code) == ["(2+0j) 1.0", "1 1"]


def test_damaged_code_is_compiled_anew(house):
    house.said()
    for number, path in enumerate(sorted(house.cache.rglob("*.nbc"))):
        data = bytearray(path.read_bytes())
        if number:
            data[len(data) // 2] ^= 1
        path.write_bytes(data if number else data[:1000])
    assert house.said() == ["2.0 1.0", "0 0"]
    assert house.said() == ["2.0 1.0", "1 1"]


@pytest.mark.skipif(not hasattr(os, "fork"), reason="needs fork")
def test_a_forked_child_uses_and_compiles(house):
    code = RUN + (
        "\nimport os, sys\nsys.stdout.flush()\nchild = os.fork()\nif not child:\n"
        "    os._exit(0 if quarter(4.0) == 1 and quarter(complex(4)) == 1 else 1)\n"
        "print(os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]))"
    )
    assert house.said(code)[-1] == "0"


def test_another_numba_goes_the_long_way(house):
    private = house.package / "_compile" / "numba_private.py"
    private.write_text(private.read_text().replace('TRIED = ("0.68.",)', "TRIED = ()"))
    house.options("inside=True")
    said, errors = house.run(TELL)
    assert said == ["2.0 1.0", "0 0"]
    assert len(lines(errors)) == 1
    assert house.said(TELL) == ["2.0 1.0", "1 1"]


def test_without_the_compiler_one_sentence_says_so(house):
    code = RUN.replace(
        "print(quarter",
        "try:\n    quarter(8.0)\nexcept ValueError as e:\n    print(e)\n0, (quarter",
        1,
    )
    code = code.partition("0, (quarter")[0]
    [sentence] = house.said(code, NUMBA_DISABLE_JIT="1")
    assert sentence.startswith("`NUMBA_DISABLE_JIT` must be 0 or unset where xent counts, got 1. ")


# Python hears of Ctrl-C when LLVM calls it back with finished code, where exceptions are forgotten.
PRESSED = (
    "import signal\nfrom numba.core.codegen import JITCodeLibrary as library\n"
    "hook = library._object_compiled_hook.__func__\n"
    "times = [1]\n"
    "def pressed(*arguments):\n    times and signal.raise_signal(signal.SIGINT * times.pop())\n    hook(*arguments)\n"
    "library._object_compiled_hook = classmethod(pressed)\n"
    "from xent._kernels.distributions.outer import quarter\n"
    "try:\n    quarter(8.0)\nexcept KeyboardInterrupt:\n    print('heard')\n"
    "print(quarter(8.0), signal.getsignal(signal.SIGINT) is signal.default_int_handler)"
)


def test_ctrl_c_is_heard_while_code_is_made(house):
    assert house.said(PRESSED) == ["heard", "2.0 True"]


def test_a_handler_of_the_program_is_left_alone(house):
    own = "import signal\nsignal.signal(signal.SIGINT, lambda *_: print('mine'))\n"
    said = house.said(own + PRESSED)
    assert set(said[:-1]) == {"mine"}
    assert said[-1] == "2.0 False"


def test_ctrl_c_stops_those_who_compile_on_other_threads():
    begun, gone = threading.Event(), []

    def work(start, stop):
        if threading.current_thread() is threading.main_thread():
            assert begun.wait(60)
            signal.raise_signal(signal.SIGINT)
        begun.set()
        end = time.monotonic() + 60
        while time.monotonic() < end:  # what the compiler asks before each pass
            try:
                threads.raise_if_stopped()
            except KeyboardInterrupt:
                gone.append(start)
                raise
            time.sleep(0.001)

    before = time.monotonic()
    with pytest.raises(KeyboardInterrupt):
        threads.in_blocks(work, 2, threads=2)
    assert len(gone) == 1
    assert time.monotonic() - before < 30
    assert sum(threads.in_blocks(lambda a, b: b - a, 4, threads=2)) == 4

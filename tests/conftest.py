"""The strictest settings for every test: the same examples each time, no threads left to chance."""

import os
import signal
import zlib

# Before NumPy or PyTorch is loaded, here or in a child: two test processes with two threads each
# wait for one another on a small machine. Tests of threads ask for theirs.
os.environ.setdefault("OMP_NUM_THREADS", "1")

import pytest
from hypothesis import HealthCheck, settings

# A shell that starts the suite in the background has it ignore Ctrl-C, and its children with it,
# and nohup has them ignore the end of the terminal.
signal.signal(signal.SIGINT, signal.default_int_handler)
if hasattr(signal, "SIGHUP"):
    signal.signal(signal.SIGHUP, signal.SIG_DFL)

settings.register_profile(
    "house",
    derandomize=True,
    deadline=None,
    suppress_health_check=[HealthCheck.too_slow],
)

# Processes of their own: doctest's collection would set a device, or an interpreter, for all tests.
collect_ignore = ["losses/device_worker.py", "losses/triton_worker.py", "typing/public_names.py"]
settings.load_profile(os.environ.get("HYPOTHESIS_PROFILE", "house"))


def pytest_addoption(parser):
    parser.addoption(
        "--one-case", action="store_true", help="of each test function run the first case alone"
    )
    parser.addoption("--part", help="of the cases run the K-th of N parts, as in 1/3")


@pytest.fixture
def repeats(request):
    """How often a long test does what it repeats: as it says, or a tenth of it in the short form."""
    return lambda times: times // 10 if request.config.getoption("--one-case") else times


def pytest_collection_modifyitems(config, items):
    """`-m long --one-case` is the short form of the long tests; see `most_of_a_grid` as well."""
    items[:] = rooms_in_turns(config.rootpath, items)
    for item in most_of_a_grid(items):
        item.add_marker("long")
    kept = set(map(id, items))
    if config.getoption("--part"):  # drawn by their names, as many of each test
        part, parts = map(int, config.getoption("--part").split("/"))
        kept = {id(one) for one in items if zlib.crc32(one.nodeid.encode()) % parts == part - 1}
    if config.getoption("--one-case"):
        wanted = [item for item in items if item.get_closest_marker("long") is not None]
        first = {(one.path, getattr(one, "originalname", one.name)): one for one in wanted[::-1]}
        kept &= set(map(id, first.values()))
    config.hook.pytest_deselected(items=[item for item in items if id(item) not in kept])
    items[:] = [item for item in items if id(item) in kept]


def most_of_a_grid(items):
    """Return the cases of grids that are not for every day: of four alike some three.

    Drawn by the cases' names: every fourth would be one value of an option that has four.
    """
    grids = {}
    for item in items:
        if item.get_closest_marker("grid") is not None:
            grids.setdefault((item.path, item.originalname), []).append(item)
    for cases in grids.values():
        drawn = [case for case in cases if zlib.crc32(case.name.encode()) % 4 == 0] or cases[:1]
        kept = set(map(id, drawn))
        yield from (case for case in cases if id(case) not in kept)


def rooms_in_turns(root, items):
    """Return the tests ordered so that a file of each room comes before the second file of any.

    Two processes that take file after file are then in different rooms, and seldom compile the same
    loop at the same time. What goes through several rooms, and is no room's own, comes after them;
    of that the documents first, since no other file takes as long.
    """
    files = {}  # of each folder, in the order in which they were found
    for item in items:
        files.setdefault(_folder(root, item.path), {}).setdefault(item.path)
    turn = {
        path: (
            not (root / "src" / "xent" / folder[-1]).is_dir() or folder[0] == "src",
            at if path.name != "test_docs.py" else -1,
        )
        for folder, found in files.items()
        for at, path in enumerate(found)
    }
    return sorted(items, key=lambda item: turn[item.path])


def _folder(root, path):
    """Name the folder of tests/ or of src/xent/ in which a file lies, at whatever depth."""
    parts = path.relative_to(root).parts
    return parts[: 3 if parts[0] == "src" else 2] if len(parts) > 2 else parts[:1]

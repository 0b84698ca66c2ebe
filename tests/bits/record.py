"""Hashes the public results of every room over a recorded set of inputs.

`python tests/bits/record.py [ROOM ...]` compares with what `recorded/` holds and prints each case
that differs; with `--write` it records anew. A room's file beside this one yields pairs of a name
and a function of no argument; what the function returns is hashed byte for byte (dtype, shape,
data; every NaN is the same NaN), a refusal by its kind and sentence. Beside each hash stands a
short text with the first values, so that a difference can be seen and not only noticed.

A case named `... both` runs on one thread and on two, and must give the same bits. Cases named
`head ...` hold matrix products or sums whose rounding belongs to the library that makes them: they are
compared only on the processor model that recorded them, on one thread.

Results are promised to the bit for one processor level and one set of library versions. Elsewhere
nothing can be compared, and the command says why and ends with 3 (1 where a case differs).
"""

import argparse
import base64
import dataclasses
import hashlib
import importlib.metadata
import importlib.util
import json
import os
import platform
import re
import sys
import tempfile
import time
import warnings
from collections.abc import Callable, Iterator
from pathlib import Path
from random import Random
from typing import Any

import numpy as np

HERE = Path(__file__).parent
ROOMS = ["losses", "measures", "trees", "language", "evaluation", "training"]
LIBRARIES = {
    "losses": ["numpy", "numba", "torch"],
    "measures": ["numpy", "scipy", "numba", "torch", "jax"],
    "trees": ["numpy", "scipy", "numba", "scikit-learn"],
    "language": ["numpy", "numba"],
    "evaluation": ["numpy", "numba"],
    "training": ["numpy", "numba", "torch", "scikit-learn"],
}
BY_MODEL = {"measures", "losses", "evaluation"}
SHOWN = 25  # characters of the first values


# ------------------------------------------------------------------ what a result is made of


def parts(value: Any) -> Iterator[tuple[str, bytes, str]]:
    """The kind, the bytes and a short text of every piece of a result, in a fixed order."""
    if hasattr(value, "detach") and hasattr(value, "requires_grad"):  # a torch tensor
        value = value.detach().cpu()
        if str(value.dtype) == "torch.bfloat16":
            wide = value.float().contiguous().numpy()
            yield from array_parts(wide, "bfloat16")
            return
        value = value.contiguous().numpy()
    elif type(value).__module__.startswith("jax"):
        value = np.asarray(value)
    if isinstance(value, np.ndarray | np.generic) and np.asarray(value).dtype.kind != "O":
        yield from array_parts(np.asarray(value), np.asarray(value).dtype.str)
    elif isinstance(value, float):
        plain = np.asarray(float(value))
        yield from array_parts(plain, type(value).__name__)
        yield from parts(
            [getattr(value, name) for name in ("error", "method") if hasattr(value, name)]
        )
    elif value is None or isinstance(value, bool | int | str):
        text = repr(value)
        yield type(value).__name__, text.encode(), text
    elif isinstance(value, bytes):
        yield "bytes", value, f"{len(value)} bytes"
    elif isinstance(value, BaseException):
        text = f"{type(value).__name__}: {value}"
        yield "error", text.encode(), text
    elif dataclasses.is_dataclass(value):
        yield "record", type(value).__name__.encode(), ""
        for field in dataclasses.fields(value):
            yield from parts(getattr(value, field.name))
    elif isinstance(value, dict):
        yield "dict", str(len(value)).encode(), ""
        for key, item in value.items():
            yield from parts(key)
            yield from parts(item)
    elif isinstance(value, list | tuple | np.ndarray):
        yield "list", str(len(value)).encode(), ""
        for item in value:
            yield from parts(item)
    else:
        raise TypeError(f"a case returned a {type(value)}: give its numbers")


def array_parts(array: np.ndarray, kind: str) -> Iterator[tuple[str, bytes, str]]:
    if array.dtype.kind in "fc":
        array = np.where(np.isnan(array), np.array(np.nan, array.dtype), array)
    kind = f"{kind}{list(array.shape) if array.ndim else ''}".replace(" ", "")
    first = array.ravel()[:2].tolist()
    text = ",".join(short(x) if isinstance(x, float) else repr(x) for x in first)
    yield kind, np.ascontiguousarray(array).tobytes(), f"{kind.lstrip('<|=')} {text}"


def short(x: float) -> str:
    """The exact number, without the zeros that float.hex fills up with."""
    return re.sub(r"\.?0*p", "p", x.hex())


def digest(value: Any) -> tuple[str, str]:
    """The hash of a result, and its first values."""
    hasher, shown = hashlib.blake2b(digest_size=6), ""
    for kind, data, text in parts(value):
        hasher.update(f"{kind} {len(data)} ".encode())
        hasher.update(data)
        if len(shown) < SHOWN and text:
            shown += f"{'; ' if shown else ''}{text}"
    return base64.urlsafe_b64encode(hasher.digest()).decode(), shown[:SHOWN]


def threads(number: int) -> None:
    """How many threads every library takes from here on."""
    import numba  # not before the environment is set

    numba.set_num_threads(min(number, numba.config.NUMBA_NUM_THREADS))
    if "torch" in sys.modules:
        sys.modules["torch"].set_num_threads(number)


def outcome(case: Callable[[], Any]) -> tuple[str, str]:
    try:
        return digest(case())
    except (ValueError, TypeError, ImportError, OSError, RuntimeError) as error:
        return digest(error)


def result(name: str, case: Callable[[], Any], number: int) -> str:
    """Hash and first values of a case, on one line."""
    threads(1 if name.startswith("head ") else number)
    found, shown = outcome(case)
    if name.endswith(" both"):
        threads(3 - number)
        other, _ = outcome(case)
        if other != found:
            found += f"|{other}"
    return f"{found} {shown}"


# ------------------------------------------------------------------ what it was made with


def made_with(room: str) -> dict[str, str]:
    import llvmlite.binding

    names = llvmlite.binding.get_host_cpu_features()
    level = next((n for n in ("avx512f", "avx2", "avx") if names.get(n)), platform.machine())
    if level == "avx2" and not names.get("fma"):
        level = "avx"
    # Machines in a cloud may hide the units for matrices that others of the model have.
    matrices = " with AMX" if names.get("amx-tile") else ""
    model = llvmlite.binding.get_host_cpu_name() + matrices
    found = {"processor": level.removesuffix("f"), "model": model}
    if os.environ.get("NUMBA_CPU_NAME"):
        found["processor"] = found["model"] = os.environ["NUMBA_CPU_NAME"]
    for name in LIBRARIES[room]:
        try:
            found[name] = importlib.metadata.version(name)
        except importlib.metadata.PackageNotFoundError:
            found[name] = "none"
    return found


def cases(room: str) -> dict[str, Callable[[], Any]]:
    if str(HERE) not in sys.path:
        sys.path.insert(0, str(HERE))
    spec = importlib.util.spec_from_file_location(f"bits_{room}", HERE / f"{room}.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules[spec.name] = module
    spec.loader.exec_module(module)
    found: dict[str, Callable[[], Any]] = {}
    for name, case in module.cases():
        assert name not in found, f"two cases are named {name!r}"
        found[name] = case
    return found


def path(room: str) -> Path:
    return HERE / "recorded" / f"{room}.json"


def differing(room: str) -> list[str]:
    """Why nothing can be compared here: what differs from what the room was recorded with."""
    then, now = json.loads(path(room).read_text())["made with"], made_with(room)
    # Sums of long rows are added up as the compiler likes it for one model of processor.
    alike = {"model"} if room not in BY_MODEL else set()
    return [
        f"{k} {now[k]} here, {v} there" for k, v in then.items() if k not in alike and now[k] != v
    ]


# ------------------------------------------------------------------ the command


def write(room: str, number: int) -> None:
    found = {name: result(name, case, number) for name, case in cases(room).items()}
    lines = ",\n".join(f"{json.dumps(k)}:{json.dumps(v)}" for k, v in found.items())
    head = json.dumps(made_with(room))
    path(room).write_text(f'{{"made with":{head},\n"cases":{{\n{lines}\n}}}}\n')


def compare(room: str, number: int, share: float, only: str) -> int:
    """Print what differs from the record; how many cases do."""
    recorded = json.loads(path(room).read_text())
    known, todo = recorded["cases"], cases(room)
    wrong = 0
    for name in sorted(known.keys() ^ todo.keys()):
        print(f"{room}: {name}: {'not recorded' if name in todo else 'no longer a case'}")
        wrong += 1
    same_model = recorded["made with"]["model"] == made_with(room)["model"]
    names = [name for name in todo if name in known and only in name]
    if not same_model:
        names = [name for name in names if not name.startswith("head ")]
    if share < 1:
        names = sorted(Random(0).sample(names, max(1, int(len(names) * share))))
    for name in names:
        now = result(name, todo[name], number)
        if now != known[name]:
            print(f"{room}: {name}\n    recorded {known[name]}\n    now      {now}")
            wrong += 1
    print(f"{room}: {len(names)} cases, {wrong} differ")
    return wrong


def main() -> int:
    command = argparse.ArgumentParser(description="Hash the public results of every room.")
    command.add_argument(
        "rooms", nargs="*", metavar="ROOM", choices=[*ROOMS, []], help=", ".join(ROOMS)
    )
    command.add_argument("--write", action="store_true", help="record instead of comparing")
    command.add_argument("--threads", type=int, default=1, choices=(1, 2))
    command.add_argument("--share", type=float, default=1.0, help="of the cases, drawn by a seed")
    command.add_argument("--only", default="", help="cases whose name contains this text")
    args = command.parse_args()
    warnings.simplefilter("ignore")
    os.environ |= {"NUMBA_NUM_THREADS": "2", "OMP_NUM_THREADS": "2"}  # before they are imported
    wrong = 0
    with tempfile.TemporaryDirectory() as folder:
        os.chdir(folder)
        for room in args.rooms or [room for room in ROOMS if args.write or path(room).exists()]:
            start = time.process_time()
            if args.write:
                write(room, args.threads)
            elif reasons := differing(room):
                print(f"{room}: cannot be compared: {'; '.join(reasons)}")
                return 3
            else:
                wrong += compare(room, args.threads, args.share, args.only)
            print(f"{room}: {time.process_time() - start:.1f} s of processor time", file=sys.stderr)
    return 1 if wrong else 0


if __name__ == "__main__":
    sys.exit(main())

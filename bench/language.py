"""N-gram models against KenLM (its lmplz, its Python module, its C++ benchmark) and NLTK.

The text is the English of the docstrings that come with Python and the packages we test with, so
that every machine has it. lmplz is built from the sources of `pip download --no-binary :all: kenlm`
(needs cmake, a compiler and Boost) into a folder outside the repository, once; whatever is absent
is skipped and said so.
"""

import os
import re
import resource
import shutil
import subprocess
import sys
import sysconfig
import tarfile
import tempfile
import time
from collections import Counter
from importlib.util import find_spec
from pathlib import Path

import numba

from bench.ratio import HEADER, machine, pretty, ratio
from xent.language import KneserNey, NGramModel, kenlm, read_arpa, write_arpa

PLACE = Path(tempfile.gettempdir()) / "xent-bench-kenlm"
PACKAGES = ("numpy", "scipy", "sklearn", "pandas", "sympy", "torch", "jax", "networkx", "dask")
SMALL = 1_000_000
DOCSTRING = re.compile(r'"""(.*?)"""', re.DOTALL)
TOKEN = re.compile(r"\w+|[^\w\s]")


def text(folder: Path) -> tuple[Path, Path, int, int]:
    """Write a text of about a million tokens, and the largest one there is."""
    small, large = folder / "small.txt", folder / "large.txt"
    roots = [Path(sysconfig.get_path("stdlib"))]
    roots += [Path(sysconfig.get_path("purelib")) / name for name in (*PACKAGES, "polars")]
    tokens = small_tokens = 0
    with open(small, "w") as little, open(large, "w") as big:
        for root in roots:
            for file in sorted(root.rglob("*.py")):
                if root == roots[0] and "site-packages" in file.parts:
                    continue
                source = file.read_text(errors="ignore")
                for line in "\n".join(DOCSTRING.findall(source)).split("\n"):
                    words = TOKEN.findall(line)
                    if words:
                        tokens += len(words)
                        big.write(" ".join(words) + "\n")
                        if tokens < SMALL:
                            little.write(" ".join(words) + "\n")
                            small_tokens = tokens
    return small, large, small_tokens, tokens


def tools() -> Path | None:
    """Return the folder with lmplz, build_binary and kenlm_benchmark, built where it can be."""
    made = PLACE / "build" / "bin"
    if not (made / "lmplz").exists():
        PLACE.mkdir(exist_ok=True)
        fetch = [sys.executable, "-m", "pip", "download", "--quiet", "--no-deps"]
        fetch += ["--no-build-isolation", "--no-binary", ":all:", "kenlm==0.3.0"]
        try:
            subprocess.run(fetch, cwd=PLACE, check=True, capture_output=True, timeout=120)
            with tarfile.open(next(PLACE.glob("kenlm-*.tar.gz"))) as packed:
                packed.extractall(PLACE, filter="data")
            source = next(p for p in PLACE.glob("kenlm-*") if p.is_dir())
            for command in (
                ["cmake", "-S", str(source), "-B", "build", "-DCMAKE_BUILD_TYPE=Release"],
                ["make", "-C", "build", "-j2", "lmplz", "build_binary", "kenlm_benchmark"],
            ):
                subprocess.run(command, cwd=PLACE, check=True, capture_output=True, timeout=400)
        except (OSError, StopIteration, subprocess.SubprocessError):
            return None
    return made if (made / "lmplz").exists() else None


def lmplz(bins: Path, source: Path, *more: str) -> None:
    command = [str(bins / "lmplz"), "-o", "5", "-S", "500M", "-T", tempfile.gettempdir() + "/"]
    with open(source, "rb") as given:
        subprocess.run([*command, *more], stdin=given, check=True, capture_output=True)


def fitting(bins: Path, source: Path, folder: Path) -> list[str]:
    ours, theirs = folder / "ours.arpa", folder / "theirs.arpa"

    def to_arpa() -> None:
        write_arpa(NGramModel(5).fit(source), ours)

    return [
        ratio(
            "fit order 5, ~1M tokens, to an ARPA file (lmplz)",
            to_arpa,
            lambda: lmplz(bins, source, "--arpa", str(theirs)),
            seconds=15,
        ).row("<= 0.333"),
        ratio(
            "fit order 5, ~1M tokens, in memory (lmplz --intermediate)",
            lambda: NGramModel(5).fit(source),
            lambda: lmplz(bins, source, "--intermediate", str(folder / "theirs")),
            seconds=15,
        ).row("<= 0.2"),
    ]


ROOM = 60  # bytes an n-gram: a little more than a model and the work on it take
CHILD = """
import resource, sys, numba
numba.set_num_threads(1)
from xent.language import NGramModel
def peak():
    with open("/proc/self/status") as file:  # a child's ru_maxrss begins with its parent's
        return 1024 * int(next(x for x in file if x.startswith("VmHWM")).split()[1])
def used():
    u = resource.getrusage(resource.RUSAGE_SELF)
    return u.ru_utime + u.ru_stime, peak()
import warnings
with warnings.catch_warnings():
    warnings.simplefilter("ignore")
    NGramModel(5).fit(["a b c"])
before = used()
model = NGramModel(5).fit(sys.argv[1], memory=int(sys.argv[2]) if len(sys.argv) > 2 else None)
after = used()
print(after[0] - before[0], after[1] - before[1], sum(model.counts()))
"""


def large(bins: Path | None, source: Path, tokens: int, folder: Path) -> list[str]:
    """Compare the CPU time and the memory of one run each: they hardly vary."""

    def child(*more: str) -> list[float]:
        command = [sys.executable, "-c", CHILD, str(source), *more]
        run = subprocess.run(command, check=True, capture_output=True, text=True)
        return [float(x) for x in run.stdout.split()]

    ours, memory, ngrams = child()
    limit = int(ROOM * ngrams)
    spilled, peak, _ = child(str(limit))
    name = f"fit order 5, {tokens / 1e6:.1f}M tokens, {ngrams / 1e6:.1f}M n-grams, CPU time"
    theirs = None
    if bins is not None:
        before = resource.getrusage(resource.RUSAGE_CHILDREN)
        lmplz(bins, source, "--intermediate", str(folder / "theirs"))
        after = resource.getrusage(resource.RUSAGE_CHILDREN)
        theirs = after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime
    compared = "-" if theirs is None else f"{ours / theirs:.3g}"
    shown = "-" if theirs is None else pretty(theirs)
    return [
        f"| {name} | {pretty(ours)} | {shown} | {compared} | <= 0.25 |",
        f"| the same, peak memory above the start | {memory / tokens:.0f} bytes a token | - | - "
        "| <= 90 bytes |",
        f"| the same with memory={limit / 1e6:.0f}MB, CPU time (in memory) | {pretty(spilled)} "
        f"| {pretty(ours)} | {spilled / ours:.3g} | none |",
        f"| its peak memory above the start (in memory) | {peak / 1e6:.0f} MB "
        f"| {memory / 1e6:.0f} MB | {peak / memory:.3g} | <= {limit / 1e6:.0f} MB |",
    ]


def scoring(source: Path, folder: Path, bins: Path | None) -> list[str]:
    import kenlm as theirs_module

    lines = source.read_text().split("\n")[:-1]
    model = NGramModel(5).fit(source)
    arpa, binary = folder / "ours.arpa", folder / "theirs.bin"
    write_arpa(model, arpa)
    if bins is not None:
        command = [str(bins / "build_binary"), "probing", str(arpa), str(binary)]
        subprocess.run(command, check=True, capture_output=True)
    # Its probing hash table is KenLM's fastest; without build_binary it makes one from the ARPA.
    theirs = theirs_module.Model(str(binary if bins is not None else arpa))
    rows = []
    every = numba.get_num_threads()
    for threads in (1, 2):
        numba.set_num_threads(min(threads, every))
        rows.append(
            ratio(
                f"sentence scores from a list of str, {threads} thread(s) (Model.score loop)",
                lambda: model.score(lines),
                lambda: [theirs.score(line) for line in lines],
                seconds=8,
            ).row("<= 0.5" if threads == 1 else "<= 0.333")
        )
    numba.set_num_threads(1)
    rows += short_lines(lines, folder)
    rows.append(
        ratio(
            "token scores from a list of str, 1 thread (full_scores loop)",
            lambda: model.token_log_probs(lines),
            lambda: [list(theirs.full_scores(line)) for line in lines],
            seconds=10,
        ).row("<= 0.25")
    )
    drop_in = kenlm.Model(arpa)
    few = lines[:2000]
    rows.append(
        ratio(
            "the drop-in, sentence by sentence (Model.score loop)",
            lambda: [drop_in.score(line) for line in few],
            lambda: [theirs.score(line) for line in few],
            seconds=3,
        ).row("<= 2")
    )
    rows.append(ids_alone(model, lines, bins, binary, source, folder))
    rows += loading(model, folder, source, bins)
    numba.set_num_threads(every)
    return rows


def short_lines(lines: list[str], folder: Path) -> list[str]:
    """Score lines of a newspaper's length, of 10,000 words, that the model has not seen."""
    import kenlm as theirs_module

    words = [word for line in lines for word in line.split()]
    common = {word for word, _ in Counter(words).most_common(9_999)}
    words = [word if word in common else "<unk>" for word in words]
    short = [" ".join(words[i : i + 20]) for i in range(0, len(words), 20)]
    seen = len(short) * 9 // 10
    model = NGramModel(5).fit(short[:seen])
    write_arpa(model, folder / "short.arpa")
    theirs = theirs_module.Model(str(folder / "short.arpa"))
    new = short[seen:]
    name = "the same of new short lines (20 tokens, 10,000 words), 1 thread"
    works = {
        name: (lambda: model.score(new), "<= 0.4"),
        "their reading alone: joined, checked, cut into words, these looked up": (
            lambda: list(model.reader().ids(new)),
            "",
        ),
    }
    return [
        ratio(what, work, lambda: [theirs.score(line) for line in new], seconds=4).row(goal)
        for what, (work, goal) in works.items()
    ]


def ids_alone(
    model: NGramModel, lines: list[str], bins: Path | None, binary: Path, source: Path, folder: Path
) -> str:
    from xent.language._lines._text import sentence_starts

    ids = next(iter(model.reader().ids(lines)))
    starts = sentence_starts(ids)
    seconds = []
    for _ in range(20):
        begin = time.process_time()
        model.backoff.score(ids, starts, threads=1)
        seconds.append(time.process_time() - begin)
    ours = (len(ids) - len(starts) + 1) / sorted(seconds)[len(seconds) // 2] / 1e6
    theirs = None
    if bins is not None:
        program = str(bins / "kenlm_benchmark")
        coded = folder / "ids.bin"
        with open(source, "rb") as given, open(coded, "wb") as out:
            command = [program, "-v", "-m", str(binary)]
            subprocess.run(command, stdin=given, stdout=out, check=True)
        speeds = []
        for _ in range(5):
            with open(coded, "rb") as given:
                done = subprocess.run(
                    [program, "-q", "--threads", "1", "-m", str(binary)],
                    stdin=given,
                    capture_output=True,
                    text=True,
                )
            speeds.append(_speed(done.stdout + done.stderr))
        theirs = sorted(speeds)[2]
    shown = "-" if theirs is None else f"{theirs:.1f} M/s"
    share = "-" if not theirs else f"{theirs / ours:.3g}"
    name = "token ids to scores, 1 core (kenlm_benchmark, probing)"
    return f"| {name} | {ours:.1f} M/s | {shown} | {share} | <= 0.47, 15 M/s where it does 7 |"


def _speed(report: str) -> float:
    """Read millions of queries a second out of kenlm_benchmark's report."""
    found = re.search(r"Queries per second excluding load, CPU: ([\d.e+]+)", report)
    return float(found[1]) / 1e6 if found else float("nan")


def loading(model: NGramModel, folder: Path, source: Path, bins: Path | None) -> list[str]:
    path = folder / "ours.xent"
    model.save(path)
    result = ratio(
        "load a stored model and score a line (read the ARPA file)",
        lambda: NGramModel.load(path).score(["the"]),
        lambda: read_arpa(folder / "ours.arpa"),
        seconds=4,
    )
    size = path.stat().st_size / sum(model.counts())
    rows = [result.row("ours < 50 ms"), f"| stored size | {size:.1f} bytes an n-gram | - | - | - |"]
    return rows + compact(source, folder, bins)


def compact(source: Path, folder: Path, bins: Path | None) -> list[str]:
    """Weigh the packed form against the quantised trie, on lines that neither was fitted on."""
    lines = source.read_text().split("\n")[:-1]
    model = NGramModel(5).fit([line for i, line in enumerate(lines) if i % 10])
    path, arpa, trie = folder / "small.xent", folder / "most.arpa", folder / "theirs.trie"
    model.save(path, compact=True)
    packed = NGramModel.load(path)
    ngrams = sum(model.counts())
    theirs = "-"
    if bins is not None:
        write_arpa(model, arpa)
        command = [str(bins / "build_binary"), "-q", "8", "-b", "8", "-a", "22", "trie"]
        subprocess.run([*command, str(arpa), str(trie)], check=True, capture_output=True)
        theirs = f"{trie.stat().st_size / ngrams:.2f} bytes"
    test = lines[::10]
    before, after = model.evaluate(test).perplexity, packed.evaluate(test).perplexity
    size = f"{path.stat().st_size / ngrams:.2f} bytes"
    moved = f"{100 * (after / before - 1):+.3f} %"
    return [
        f"| compact size, an n-gram (quantised trie) | {size} | {theirs} | - | <= 6 bytes |",
        f"| its perplexity against the exact model's | {moved} | - | - | <= 0.2 % |",
        ratio(
            "its sentence scores from a list of str, 1 thread (the exact model's)",
            lambda: packed.score(test),
            lambda: model.score(test),
            seconds=3,
        ).row("none"),
    ]


def against_nltk(source: Path, number: int) -> str:
    """Time NLTK on as many tokens as it manages in a few seconds."""
    import warnings

    from nltk.lm import KneserNeyInterpolated
    from nltk.lm.preprocessing import padded_everygram_pipeline

    lines = source.read_text().split("\n")[:number]
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        model = NGramModel(3, KneserNey(discount=0.75)).fit(lines)
        grams, words = padded_everygram_pipeline(3, [line.split() for line in lines])
        theirs = KneserNeyInterpolated(3, discount=0.75)
        theirs.fit(grams, words)
    tokens, begin = 0, time.perf_counter()
    for line in lines:
        padded = ["<s>", "<s>", *line.split(), "</s>"]
        for i in range(2, len(padded)):
            theirs.score(padded[i], padded[i - 2 : i])
            tokens += 1
        if time.perf_counter() - begin > 6:
            break
    slow = tokens / (time.perf_counter() - begin)
    many = lines * 4
    fast = 0.0
    for _ in range(9):  # a call takes milliseconds, in which others may have the processor
        begin = time.perf_counter()
        events = model.evaluate(many).events
        fast = max(fast, events / (time.perf_counter() - begin))
    name = f"evaluate Kneser-Ney, order 3, {number:,} lines (NLTK)"
    return f"| {name} | {fast / 1e6:.1f} M/s | {slow:.3g} /s | {slow / fast:.2g} | <= 1e-5 |"


def run() -> str:
    """Measure what can be measured here and say what is missing."""
    folder = Path(tempfile.mkdtemp(prefix="xent-bench-"))
    rows, missing = [], []
    try:
        small, big, small_tokens, tokens = text(folder)
        bins = tools()
        if bins is None:
            missing.append("lmplz could not be built: rows against it are left out.")
        else:
            rows += fitting(bins, small, folder)
        rows += large(bins, big, tokens, folder)
        if find_spec("kenlm"):
            rows += scoring(small, folder, bins)
        else:
            missing.append("The kenlm module is not installed: scoring is left out.")
        if find_spec("nltk") and find_spec("regex"):
            rows += [against_nltk(small, lines) for lines in (2000, 10_000)]
        else:
            missing.append("NLTK is not installed: its row is left out.")
        used = f"Text: docstrings, {small_tokens:,} tokens; the large one {tokens:,}."
    finally:
        shutil.rmtree(folder, ignore_errors=True)
    threads = os.environ.get("NUMBA_NUM_THREADS", numba.get_num_threads())
    notes = "\n".join([used, f"Numba threads where not said: {threads}.", *missing])
    return f"{machine('numba', 'kenlm', 'nltk')}\n\n{notes}\n\n{HEADER}\n" + "\n".join(rows)

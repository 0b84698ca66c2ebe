"""`xent language ...` end to end, in a folder of its own."""

import gzip
import json
import math
import shlex
import shutil
import subprocess
import sys

import numpy as np
import pyarrow as pa
import pytest
import typer
from typer.testing import CliRunner

from language.test_smoothing import corpus
from xent.cli import _language
from xent.language import KneserNey, MaximumLikelihood, Mixture, NGramModel, WittenBell, read_arpa

app = typer.Typer()
_language.register(app)

LINES = [" ".join(s) for s in corpus(0, 120)]


@app.callback()
def _root():
    """So that `language` stays a sub-command."""


def run(*args):
    done = CliRunner().invoke(app, ["language", *map(str, args)])
    if done.exception and not isinstance(done.exception, SystemExit):
        raise done.exception
    assert done.exit_code == 0, done.output
    return done.stdout


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    folder = tmp_path_factory.mktemp("language")
    (folder / "train.txt").write_text("\n".join(LINES) + "\n")
    (folder / "test.txt").write_text("\n".join(LINES[:40]) + "\nzz a\n")
    with open(folder / "test.jsonl", "w") as file:
        for i, line in enumerate(LINES[:9]):
            file.write(json.dumps({"id": i, "text": line + "\n" + LINES[i + 9]}) + "\n")
    run(
        "fit",
        folder / "train.txt",
        "-o",
        folder / "m.xent",
        "--order",
        2,
        "--smoothing",
        "WittenBell",
    )
    return folder


@pytest.fixture
def model(folder):
    return NGramModel.load(folder / "m.xent")


def test_fit_is_fit(model):
    expected = NGramModel(2, WittenBell()).fit(LINES)
    np.testing.assert_array_equal(model.score(LINES), expected.score(LINES))


def test_json_lines_read_as_text_are_doubted(folder, tmp_path):
    text, kept = folder / "test.jsonl", tmp_path / "kept.jsonl"
    for command in (
        ("fit", text, "--order", 1, "--smoothing", "AddK(1)", "-o", tmp_path / "m.xent"),
        ("evaluate", folder / "m.xent", text),
        ("score", folder / "m.xent", text),
        ("filter", folder / "m.xent", text, "--at-most", 9, "--output", kept),
    ):
        with pytest.warns(UserWarning, match="braces and names too.* pass --field NAME"):
            run(*command)


def test_fit_larger_than_memory(folder, model, tmp_path):
    args = ("fit", folder / "train.txt", "-o", tmp_path / "m.xent", "--order", 2, "--smoothing", "WittenBell",
            "--memory", "100MB", "--folder", tmp_path / "counts")  # fmt: skip
    for _ in range(2):
        run(*args)
        found = NGramModel.load(tmp_path / "m.xent")
        np.testing.assert_array_equal(found.score(LINES), model.score(LINES))
    assert (tmp_path / "counts" / "run-00000.xent").exists()
    with pytest.raises(ValueError, match=r"`--memory` must be a number of bytes, or like '2GB'"):
        run(*args[:-3], "much", *args[-2:])


def test_fit_options(folder, tmp_path):
    (tmp_path / "words").write_bytes("\ufeffa b\r\nc\r\nd\u00a0e\n\u3000\n\x0cf".encode())
    out = run(
        "fit", folder / "train.txt", folder / "test.txt", "-o", tmp_path / "m.arpa.gz",
        "--smoothing", "AddK(0.5)", "--order", 3, "--unknown", "open", "--min-count", "2:1,3:2",
        "--vocabulary", tmp_path / "words", "--json",
    )  # fmt: skip
    found = json.loads(out)
    model = read_arpa(tmp_path / "m.arpa.gz")
    assert model.vocabulary.words()[3:] == ["a", "b", "c", "d\u00a0e", "\u3000", "\x0cf"]
    assert list(found["ngrams"].values()) == model.counts()
    assert "AddK(k=0.5)" in found["model"]


def test_fit_from_json_lines(folder, tmp_path):
    run("fit", folder / "test.jsonl", "--field", "text", "-o", tmp_path / "m.xent", "--order", 1,
        "--smoothing", "WittenBell(interpolated=False)")  # fmt: skip
    expected = NGramModel(1, WittenBell(interpolated=False)).fit(
        [x for i in range(9) for x in (LINES[i], LINES[i + 9])]
    )
    np.testing.assert_array_equal(
        NGramModel.load(tmp_path / "m.xent").score(LINES), expected.score(LINES)
    )


def test_evaluate(folder, model):
    expected = model.evaluate(folder / "test.txt")
    found = json.loads(run("evaluate", folder / "m.xent", folder / "test.txt", "--json"))
    assert found[str(folder / "m.xent")] == expected.summary()
    text = run("evaluate", folder / "m.xent", folder / "test.txt")
    assert f"perplexity          {expected.perplexity:.4f}" in text
    assert "unknown 1" in text
    by_bytes = run(
        "evaluate", folder / "m.xent", folder / "test.jsonl", "--field", "text", "--json"
    )
    assert json.loads(by_bytes)[str(folder / "m.xent")]["sentences"] == 18


def test_score(folder, model, tmp_path):
    rows = [
        line.split("\t")
        for line in run("score", folder / "m.xent", folder / "test.txt").splitlines()
    ]
    bits = -model.score(folder / "test.txt") / math.log(2)
    bits[-1] += 24  # zz and what ends it: three bytes
    np.testing.assert_allclose([float(r[0]) for r in rows], bits, rtol=1e-5)
    assert float(rows[0][1]) == pytest.approx(bits[0] / (len(LINES[0]) + 1), rel=1e-5)
    run("score", folder / "m.xent", folder / "test.jsonl", "--field", "text", "--json",
        "-o", tmp_path / "s.jsonl.gz")  # fmt: skip
    found = [json.loads(x) for x in unpacked(tmp_path / "s.jsonl.gz").splitlines()]
    both = -model.score([LINES[0], LINES[9]]).sum() / math.log(2)
    assert found[0]["bits"] == pytest.approx(both)
    assert found[0]["bits_per_byte"] == pytest.approx(both / (len(LINES[0]) + len(LINES[9]) + 2))


def test_unknown_words_are_spelt_by_the_vocabulary(folder, model, tmp_path):
    learnt = model.evaluate(folder / "test.txt", spelling="vocabulary")
    assert learnt.spelling_bits not in (0, model.evaluate(folder / "test.txt").spelling_bits)
    spelling = ("--spelling", "vocabulary")
    found = run("evaluate", folder / "m.xent", folder / "test.txt", "--json", *spelling)
    (report,) = json.loads(found).values()
    assert report["spelling_bits"] == learnt.spelling_bits
    rows = run("score", folder / "m.xent", folder / "test.txt", "--json", *spelling).splitlines()
    bits = json.loads(rows[-1])["bits"]  # of "zz a"
    assert bits == pytest.approx(learnt.spelling_bits - model.score(["zz a"])[0] / math.log(2))
    out = tmp_path / "kept.txt"
    shares = json.loads(rows[-1])["bits_per_byte"]
    run(
        "filter", folder / "m.xent", folder / "test.txt", "-o", out, "--at-least", shares, *spelling
    )
    assert out.read_text() == "zz a\n"
    bounds = ("--at-least", shares, "--at-most", shares)  # both are kept themselves
    run("filter", folder / "m.xent", folder / "test.txt", "-o", out, *bounds, *spelling)
    assert out.read_text() == "zz a\n"
    with pytest.raises(ValueError, match="`--spelling` must be 'uniform' or 'vocabulary', got 'u'"):
        run("score", folder / "m.xent", folder / "test.txt", "--spelling", "u")


def test_score_says_its_columns():
    said = run("score", "--help")
    assert "its bits, a tab, and its bits per byte" in said


def unpacked(path):
    if path.suffix == ".zst":
        with pa.input_stream(str(path), compression="zstd") as file:
            return file.read().decode()
    data = path.read_bytes()
    return (gzip.decompress(data) if path.suffix == ".gz" else data).decode()


@pytest.mark.parametrize("suffix", ["", ".gz", ".zst"])
def test_filter(folder, model, tmp_path, suffix):
    lines = (folder / "test.txt").read_text().splitlines()
    bits = (-model.score(lines) / math.log(2) + np.array([0] * 40 + [24])) / [
        len(x) + 1 for x in lines
    ]
    out = tmp_path / f"kept.txt{suffix}"
    middle = float(np.median(bits))
    found = json.loads(
        run(
            "filter",
            folder / "m.xent",
            folder / "test.txt",
            "-o",
            out,
            "--at-most",
            middle,
            "--json",
        )
    )
    expected = [x for x, b in zip(lines, bits, strict=True) if b <= middle]
    assert unpacked(out).splitlines() == expected
    assert (found["records"], found["kept"]) == (41, len(expected))
    run(
        "filter",
        folder / "m.xent",
        folder / "test.txt",
        "-o",
        out,
        "--at-least",
        middle,
        "--annotate",
    )
    first = unpacked(out).splitlines()[0].split("\t")
    place = int(np.argmax(bits >= middle))
    assert first[1] == lines[place]
    assert float(first[0]) == pytest.approx(bits[place], rel=1e-5)


def test_filter_json_lines(folder, model, tmp_path):
    out = tmp_path / "all.jsonl"
    run(
        "filter",
        folder / "m.xent",
        folder / "test.jsonl",
        "-o",
        out,
        "--annotate",
        "--field",
        "text",
    )
    records = [json.loads(x) for x in out.read_text().splitlines()]
    assert [r["id"] for r in records] == list(range(9))
    text = records[4]["text"]
    expected = -model.score(text.split("\n")).sum() / math.log(2) / (len(text) + 1)
    assert records[4]["bits_per_byte"] == pytest.approx(expected, abs=1e-6)


def test_mix(folder, tmp_path):
    run("fit", folder / "test.txt", "-o", tmp_path / "b.xent", "--order", 1, "--smoothing", "WittenBell",
        "--vocabulary", _words(tmp_path))  # fmt: skip
    run("fit", folder / "train.txt", "-o", tmp_path / "a.xent", "--order", 2, "--smoothing", "WittenBell",
        "--vocabulary", tmp_path / "words")  # fmt: skip
    found = json.loads(
        run("mix", tmp_path / "a.xent", tmp_path / "b.xent", "--dev", folder / "test.txt",
            "--test", folder / "train.txt", "--json")
    )  # fmt: skip
    assert sum(found["weights"].values()) == pytest.approx(1)
    assert found["perplexity_test"] > 1
    models = tmp_path / "a.xent", tmp_path / "b.xent"
    both = tmp_path / "both.xent"
    run("mix", *models, "--dev", folder / "test.txt", "-o", both)
    mixture = Mixture.load(both)
    assert mixture.weights.tolist() == list(found["weights"].values())
    evaluated = json.loads(run("evaluate", both, *models, folder / "test.txt", "--json"))
    assert next(iter(evaluated)) == str(both), "the mixture is the best on its own text"
    assert evaluated[str(both)]["perplexity"] == pytest.approx(found["perplexity_dev"])
    rows = run("score", both, folder / "test.txt").splitlines()
    bits = -mixture.score((folder / "test.txt").read_text().splitlines()) / math.log(2)
    bits[-1] += 24
    assert [float(row.split("\t")[0]) for row in rows] == pytest.approx(bits.tolist(), rel=1e-5)
    run("filter", both, folder / "test.txt", "-o", tmp_path / "kept", "--at-most", "9")
    assert (tmp_path / "kept").read_text()
    assert len(run("sample", both, "-n", 2).splitlines()) == 2
    run("convert", both, "-o", tmp_path / "small.xent", "--compact")
    assert 2 * (tmp_path / "small.xent").stat().st_size < both.stat().st_size
    for wrong, sentence in (
        (("prune", both, "-o", tmp_path / "x", "--entropy", 1), "`MODEL` must be one model, got"),
        (("mix", both, models[0], "--dev", folder / "test.txt"), "`MODEL` must be one model, got"),
    ):
        with pytest.raises(ValueError) as caught:
            run(*wrong)
        assert str(caught.value).startswith(sentence)
    run("mix", *models, "--dev", folder / "test.txt", "-o", tmp_path / "x.arpa")
    run("convert", both, "-o", tmp_path / "y.arpa")
    assert (tmp_path / "x.arpa").read_bytes() == (tmp_path / "y.arpa").read_bytes()
    one = read_arpa(tmp_path / "x.arpa").evaluate(folder / "test.txt").perplexity
    assert one == pytest.approx(found["perplexity_dev"], rel=0.01)


def _words(tmp_path):
    (tmp_path / "words").write_text(" ".join(sorted({w for x in LINES for w in x.split()})))
    return tmp_path / "words"


def test_prune_and_convert(folder, model, tmp_path):
    out = json.loads(
        run("prune", folder / "m.xent", "-o", tmp_path / "s.xent", "--entropy", 1e-3, "--json")
    )
    assert out["after"] == model.prune(1e-3).counts()
    run("convert", tmp_path / "s.xent", "-o", tmp_path / "s.arpa")
    run("convert", tmp_path / "s.arpa", "-o", tmp_path / "t.xent")
    test = LINES[:20]
    first, last = (NGramModel.load(tmp_path / f"{x}.xent").score(test) for x in "st")
    np.testing.assert_allclose(first, last, rtol=1e-6)
    run("convert", tmp_path / "s.xent", "-o", tmp_path / "c.xent", "--compact")
    np.testing.assert_allclose(NGramModel.load(tmp_path / "c.xent").score(test), first, rtol=1e-2)
    assert 3 * (tmp_path / "c.xent").stat().st_size < (tmp_path / "s.xent").stat().st_size


def test_sample(folder, model):
    for seed in (0, 7):
        drawn = run("sample", folder / "m.xent", "-n", 3, "--seed", seed).splitlines()
        luck = np.random.default_rng(seed)
        assert drawn == [" ".join(model.sample(luck)) for _ in range(3)]


@pytest.mark.parametrize(
    ("args", "sentence"),
    [
        (("fit", "train.txt", "-o", "no/m.xent"), "`--output` must lie in a folder that exists"),
        (
            ("fit", "train.txt", "-o", "x.xent", "--smoothing", "Knesser"),
            "`--smoothing` must be like KneserNey or AddK(0.1), got 'Knesser'. There is Absolute",
        ),
        (
            ("fit", "train.txt", "-o", "x.xent", "--smoothing", "AddK(open('x'))"),
            "`--smoothing` must be like KneserNey",
        ),
        (
            ("fit", "train.txt", "-o", "x.xent", "--order", "1", "--min-count", "2"),
            "`--min-count` must be left out with --order 1, got 2.",
        ),
        (
            ("fit", "train.txt", "-o", "x.xent", "--min-count", "two"),
            "`--min-count` must be a number, or numbers by order like 3:2,4:2, got 'two'.",
        ),
        (("fit", "train.txt", "-o", "x.xent", "--order", "0"), "`--order` must be an integer of"),
        (
            ("fit", "bytes", "-o", "x.xent"),
            "`TEXT` must be UTF-8, got byte 0xff on line 1. It is UTF-16, which becomes",
        ),
        (("score", "test.txt", "test.txt"), "`MODEL` must be a xent.language file"),
        (("score", "m.xent", "bytes"), "`TEXT` must be UTF-8, got byte 0xff on line 1."),
        (("mix", "m.xent", "n.xent", "--dev", "bytes"), "`--dev` must be UTF-8, got byte 0xff"),
        (("prune", "m.xent", "-o", "x", "--entropy", "0"), "`--entropy` must be positive"),
        (
            ("prune", "m.xent", "-o", "x", "--entropy", "1", "--histories", "test.txt"),
            "`--histories` must be a xent.language file",
        ),
        (
            ("filter", "m.xent", "test.txt", "-o", "x"),
            "`--at-most, --at-least, --keep` must be given, got none.",
        ),
        (
            ("filter", "m.xent", "test.txt", "-o", "test.txt", "--annotate"),
            "`--output` must differ from the input",
        ),
        (
            ("convert", "m.xent", "-o", "m.arpa", "--compact"),
            "`--compact` must go with a file of our own, got 'm.arpa'.",
        ),
        (
            ("fit", "train.txt", "-o", "x.xent", "--smoothing", "AddK(m=1)"),
            "`--smoothing` must hold settings of AddK (k), got 'AddK(m=1)': got an unexpected",
        ),
        (
            ("fit", "train.txt", "-o", "x.xent", "--vocabulary", "bytes"),
            "`--vocabulary` must be UTF-8, got 'bytes' with byte 0xff at 0.",
        ),
        (("fit", "train.txt", "-o", "-"), "`--output` must name a file, got '-'. What score and"),
        (("fit", ".", "-o", "x.xent"), "`TEXT` must be a file, got the folder '.'."),
        (("fit", "cut.gz", "-o", "x.xent"), "'cut.gz' cannot be read: its compressed data are cut"),
        (
            ("filter", "m.xent", "cut.gz", "-o", "half.gz", "--at-most", "9"),
            "'cut.gz' cannot be read: its compressed data are cut short or damaged",
        ),
        (
            ("filter", "m.xent", "bytes.zst", "-o", "half.zst", "--at-most", "9"),
            "'bytes.zst' cannot be read: its name says zstd, and it begins with",
        ),
        (
            ("filter", "m.xent", "test.txt", "-o", "x", "--at-most", "nan"),
            "`--at-most` must be a number, got nan.",
        ),
        (
            ("filter", "m.xent", "test.txt", "-o", "x", "--at-most", "1", "--at-least", "2"),
            "`--at-least` must be at most 1, which is --at-most, got 2. Nothing lies between.",
        ),
        (
            ("score", "m.xent", "test.jsonl", "--field", "body"),
            "`TEXT` must hold a text under 'body' in every line, got line 1 without it.",
        ),
        (
            ("score", "m.xent", "test.txt", "--field", "text"),
            "`TEXT` must hold JSON lines, got line 1",
        ),
        *(
            (args, f"`--output` must differ from the input, got '{args[args.index('-o') + 1]}'.")
            for args in (
                ("fit", "train.txt", "-o", "train.txt"),
                ("fit", "train.txt", "-o", "test.txt", "--vocabulary", "test.txt"),
                ("score", "m.xent", "./test.txt", "-o", "test.txt"),
                ("filter", "m.xent", "test.txt", "-o", "m.xent", "--at-most", "9"),
                ("mix", "m.xent", "m.xent", "--dev", "test.txt", "-o", "test.txt"),
            )
        ),
        (
            ("fit", "train.txt", "-o", "x.xent", "--min-count", "2:2,2:3"),
            "`--min-count` must be a number, or numbers by order like 3:2,4:2, got '2:2,2:3'.",
        ),
        (
            ("evaluate", "m.xent", "half.jsonl", "--field", "text"),
            "`TEXT` must hold text that UTF-8 can write, got half a surrogate pair on line 2.",
        ),
    ],
)
def test_refusals(folder, tmp_path, monkeypatch, args, sentence):
    for file in folder.iterdir():
        shutil.copy(file, tmp_path)
    monkeypatch.chdir(tmp_path)
    shutil.copy("m.xent", "n.xent")
    for name in ("bytes", "bytes.zst"):
        (tmp_path / name).write_bytes(b"\xff\xfe")
    (tmp_path / "cut.gz").write_bytes(gzip.compress("\n".join(LINES).encode())[:-20])
    (tmp_path / "half.jsonl").write_text('{"text": "a"}\n{"text": "\\ud800"}\n')
    before = {path: path.read_bytes() for path in tmp_path.iterdir()}
    with pytest.raises(ValueError) as caught:
        run(*args)
    assert str(caught.value).startswith(sentence)
    assert {path: path.read_bytes() for path in tmp_path.iterdir()} == before, "nothing is written"


def test_pipes(folder, model):
    """A dash reads what comes in; what goes out is the lines alone, the report goes to stderr."""
    script = "from xent.cli import main; main()"
    text = (folder / "test.txt").read_bytes()
    lines = text.decode().splitlines()
    bits = -model.score(lines) / math.log(2) / [len(x) + 1 for x in lines]
    bits[-1] += 24 / 5
    args = ["language", "filter", folder / "m.xent", "-", "-o", "-", "--at-most", "2.5"]
    done = subprocess.run([sys.executable, "-c", script, *args], input=text, capture_output=True)
    kept = [x for x, b in zip(lines, bits, strict=True) if b <= 2.5]
    assert done.stdout.decode().splitlines() == kept
    said = done.stderr.decode().splitlines()  # the first use of a cold cache is told, too
    assert said[-1] == f"{len(kept)} of 41 lines written to -."
    assert all(line.startswith("First use of xent.") for line in said[:-1])


def test_rates_of_a_text_that_is_large_enough(folder, tmp_path):
    text = tmp_path / "t"
    text.write_text("\n".join(LINES[:50] * 800))
    assert "tokens a second." in run("evaluate", folder / "m.xent", text)
    assert " MB a second." in run(
        "filter", folder / "m.xent", text, "-o", tmp_path / "k", "--annotate"
    )
    assert "a second" not in run("evaluate", folder / "m.xent", folder / "test.txt")


def test_several_models_read_one_pipe(folder, model, tmp_path):
    words = model.vocabulary.words()[3:]
    for n in (1, 2):
        NGramModel(n, WittenBell(), vocabulary=words).fit(LINES[:50]).save(tmp_path / str(n))
    text = folder / "test.txt"
    script = f"{shlex.quote(sys.executable)} -c 'from xent.cli import main; main()' language"
    for command in ("evaluate 1 2 {} --json", "mix 1 2 --dev {} --json"):
        piped, plain = (
            subprocess.run(
                ["bash", "-c", f"{script} {command.format(where)}"],
                cwd=tmp_path, capture_output=True, text=True, check=True,
            ).stdout
            for where in (f"<(cat {text})", text)
        )  # fmt: skip
        assert piped == plain


def test_impossible_lines_in_json(tmp_path):
    NGramModel(1, MaximumLikelihood()).fit(["a b"]).save(tmp_path / "m")
    (tmp_path / "t").write_text("a\nc\n")
    first, second = run("score", tmp_path / "m", tmp_path / "t", "--json").splitlines()
    assert json.loads(first)["bits"] == pytest.approx(2 * math.log2(3))
    assert json.loads(second) == {"bits": None, "bits_per_byte": None}


# ------------------------------------------------------------------ a crawl

PROSE = ["the cat sat on the mat", "a dog and a cat sat on the mat", "the dog saw the cat"]
STRANGE = [
    "aGVsbG8gd29ybGQgdGhpcyBpcyBiYXNlNjQgdGV4dA==",
    "https://example.org/a/very/long/path?with=a&query=that&goes=on",
    "今天天气很好我们去公园玩儿",
    "🎉🎉🎉🎊🎊",
]


@pytest.fixture
def crawl(tmp_path):
    train = [*PROSE, "the <unk> sat on a mat", "<unk> <unk> and a dog", "a <unk>"] * 9
    for name, unknown in (("m.xent", "word"), ("closed.xent", "closed")):
        NGramModel(3, WittenBell(), unknown=unknown).fit(train).save(tmp_path / name)
    lines = [
        line
        for pair in zip(STRANGE, [*PROSE, "a bird sat on the mat"], strict=True)
        for line in pair
    ]
    (tmp_path / "crawl.txt").write_text("\n".join([*lines, ""]))
    return tmp_path


def test_a_removed_unk_from_the_shell(crawl):
    (crawl / "train.txt").write_text("\n".join([*PROSE, "a <unk> dog", "<unk> sat"] * 9))
    method = KneserNey(discount=0.75)
    for name, unknown in (("removed", "removed"), ("none", "closed")):
        made = crawl / f"{name}.xent"
        run("fit", crawl / "train.txt", "-o", made, "--order", "2", "--unknown", unknown,
            "--smoothing", "KneserNey(discount=0.75)")  # fmt: skip
    model = NGramModel.load(crawl / "removed.xent")
    expected = NGramModel(2, method, unknown="removed").fit(crawl / "train.txt")
    assert model.unknown == "removed"
    np.testing.assert_array_equal(model.score(PROSE), expected.score(PROSE))
    other = NGramModel.load(crawl / "none.xent").score(PROSE)
    assert not np.array_equal(other, model.score(PROSE))
    rows = run("score", crawl / "removed.xent", crawl / "train.txt").splitlines()
    assert len(rows) == 9 * (len(PROSE) + 2)
    text = run("evaluate", crawl / "removed.xent", crawl / "train.txt")
    assert "unknown 18" in text


@pytest.mark.parametrize("model", ["m.xent", "closed.xent"])
def test_what_no_word_spells_costs_more_than_prose(crawl, model):
    lines = (crawl / "crawl.txt").read_text().splitlines()
    rows = run("score", crawl / model, crawl / "crawl.txt").splitlines()
    by_byte = {line: float(row.split("\t")[1]) for line, row in zip(lines, rows, strict=True)}
    assert min(by_byte[line] for line in STRANGE) > 8
    assert max(bits for line, bits in by_byte.items() if line not in STRANGE) < 4
    run("filter", crawl / model, crawl / "crawl.txt", "-o", crawl / "kept", "--keep", "50%")
    assert (crawl / "kept").read_text().splitlines() == [x for x in lines if x not in STRANGE]
    share = json.loads(
        run("filter", crawl / model, crawl / "crawl.txt", "-o", crawl / "kept", "--keep", "0.25",
            "--annotate", "--json")
    )  # fmt: skip
    kept = [line.split("\t") for line in (crawl / "kept").read_text().splitlines()]
    assert share["kept"] == len(kept) == 2
    assert [line for _, line in kept] == sorted(
        sorted(lines, key=by_byte.__getitem__)[:2], key=lines.index
    )


def test_filter_by_perplexity(crawl):
    lines = (crawl / "crawl.txt").read_text().splitlines()
    model = NGramModel.load(crawl / "m.xent")
    expected = [model.evaluate([line]).perplexity for line in lines]
    middle = sorted(expected)[3]
    args = ("filter", crawl / "m.xent", crawl / "crawl.txt", "-o", crawl / "kept")
    run(*args, "--by", "perplexity", "--at-most", middle + 1e-9)
    few = [x for x, p in zip(lines, expected, strict=True) if p <= middle]
    assert (crawl / "kept").read_text().splitlines() == few
    run(*args, "--by", "perplexity", "--annotate")
    found = [float(line.split("\t")[0]) for line in (crawl / "kept").read_text().splitlines()]
    assert found == pytest.approx(expected, rel=1e-5)
    for more, sentence in (
        (("--by", "bits"), "`--by` must be 'bits_per_byte' or 'perplexity', got 'bits'."),
        (("--keep", "30"), "`--keep` must be a share of the lines, like 30% or 0.3, got '30'."),
        (("--keep", "few"), "`--keep` must be a share of the lines, like 30% or 0.3, got 'few'."),
        (("--keep", "9%", "--at-most", "1"), "`--keep` must be left out beside --at-most and"),
        (("--keep", "9%", "--on-bad-line", "go"), "`--on-bad-line` must be 'stop' or 'skip', got"),
    ):
        with pytest.raises(ValueError) as caught:
            run(*args, "--annotate", *more)
        assert str(caught.value).startswith(sentence)
    with pytest.raises(ValueError, match="`--by` must be bits_per_byte for a closed vocabulary"):
        run("filter", crawl / "closed.xent", *args[2:], "--by", "perplexity", "--at-most", "9")


def test_lines_that_are_no_text_are_skipped_and_counted(crawl):
    good = [line.encode() for line in PROSE * 50]
    bad = [b"caf\xe9", b"the <s> cat", b"</s>", b"\xff\xfe"]
    lines = list(good)
    for place, line in zip((3, 40, 41, 153), bad, strict=True):
        lines.insert(place, line)
    (crawl / "t").write_bytes(b"\r\n".join(lines) + b"\r\n")
    args = ("filter", crawl / "m.xent", crawl / "t", "-o", crawl / "kept", "--annotate")
    with pytest.raises(ValueError, match="`TEXT` must be UTF-8, got byte 0xe9 on line 4"):
        run(*args)
    found = json.loads(run(*args, "--on-bad-line", "skip", "--json"))
    assert (found["records"], found["kept"], found["bad"]) == (154, 150, 4)
    assert found["first_bad"] == "byte 0xe9 on line 4"
    kept = (crawl / "kept").read_bytes().split(b"\r\n")[:-1]
    assert [line.split(b"\t")[1] for line in kept] == good
    said = run(*args, "--on-bad-line", "skip")
    assert said.endswith("4 bad lines skipped, the first: byte 0xe9 on line 4.\n")
    rows = run("score", crawl / "m.xent", crawl / "t", "--on-bad-line", "skip").splitlines()
    assert [i for i, row in enumerate(rows) if row == "nan\tnan"] == [3, 40, 41, 153]
    done = CliRunner().invoke(
        app, ["language", "score", *map(str, args[1:3]), "--on-bad-line", "skip", "--json"]
    )
    assert done.stderr == "4 bad lines skipped, the first: byte 0xe9 on line 4.\n"
    found = [json.loads(line) for line in done.stdout.splitlines()]
    lost = {"bits": None, "bits_per_byte": None}
    assert [i for i, row in enumerate(found) if row == lost] == [3, 40, 41, 153]
    for row, line in zip(found, rows, strict=True):
        if row != lost:
            assert list(map(float, line.split("\t"))) == pytest.approx(list(row.values()), rel=1e-5)
    # A line of Windows costs what it costs elsewhere.
    (crawl / "u").write_bytes(b"\n".join(good) + b"\n")
    assert run("score", crawl / "m.xent", crawl / "u").splitlines() == [
        row for row in rows if row != "nan\tnan"
    ]
    # UTF-16 is no text with a bad line, but one to convert.
    (crawl / "u").write_bytes("\n".join(PROSE).encode("utf-16"))
    with pytest.raises(
        ValueError, match=r"`TEXT` must be UTF-8, got byte 0xff on line 1\. It is UTF"
    ):
        run(*args[:2], crawl / "u", *args[3:], "--on-bad-line", "skip")
    # A share is one of the lines that are text.
    run(*args[:-1], "--keep", "100%", "--on-bad-line", "skip")
    assert (crawl / "kept").read_bytes().split(b"\r\n")[:-1] == good


def test_json_lines_that_are_no_text_are_skipped_and_counted(crawl):
    good = [json.dumps({"id": i, "text": line}) for i, line in enumerate(PROSE * 3)]
    bad = ["", "null", '{"text": null}', '{"text": "a <s> b"}', '{"text": "\\ud800"}', "[" * 9999]
    lines = [*bad[:2], *good[:4], *bad[2:5], *good[4:], bad[5]]
    (crawl / "t.jsonl").write_text("\n".join(lines) + "\n")
    args = ("filter", crawl / "m.xent", crawl / "t.jsonl", "-o", crawl / "kept", "--field", "text")
    with pytest.raises(ValueError, match="`TEXT` must hold JSON lines, got line 1"):
        run(*args, "--at-most", "9")
    found = json.loads(run(*args, "--at-most", "9", "--on-bad-line", "skip", "--json"))
    assert (found["bad"], found["kept"], found["records"]) == (6, 9, 15)
    assert found["first_bad"].startswith("line 1 (")
    assert (crawl / "kept").read_text().splitlines() == good


def test_fit_from_counts_and_weighted_lines(tmp_path):
    args = ("-o", tmp_path / "m", "--order", "2", "--smoothing", "WittenBell")
    expected = NGramModel(2, WittenBell()).fit(["a b", "a b", "b"]).score(["a", "b b"])
    (tmp_path / "weighted").write_text("2\ta b\r\n1\tb\n0\tc\n")
    run("fit", tmp_path / "weighted", *args, "--weighted")
    np.testing.assert_allclose(NGramModel.load(tmp_path / "m").score(["a", "b b"]), expected)
    (tmp_path / "counts").write_text(
        "<s> 3\na\t2\nb\t3\n</s>\t3\n<s> a\t2\n<s> b\t1\na b\t2\nb </s>\t3\n<s> a b\t2\n"
    )
    run("fit", tmp_path / "counts", *args, "--counts")
    np.testing.assert_allclose(NGramModel.load(tmp_path / "m").score(["a", "b b"]), expected)
    for name, more, sentence in (
        (
            "weighted",
            ("--counts",),
            "`TEXT` must hold lines of an n-gram and its count, got '2\\ta",
        ),
        ("counts", ("--weighted",), "`TEXT` must have lines that begin with a whole number and a"),
        (
            "counts",
            ("--counts", "--memory", "1GB"),
            "`--counts` must go with one TEXT, and with no",
        ),
        (
            "weighted",
            ("--weighted", "--memory", "1GB"),
            "`--weighted` must be None where lines are",
        ),
    ):
        with pytest.raises(ValueError) as caught:
            run("fit", tmp_path / name, *args, *more)
        assert str(caught.value).startswith(sentence)


def test_a_line_that_memory_does_not_hold(tmp_path):
    (tmp_path / "t").write_text("a b c " * 900_000)
    args = ("fit", tmp_path / "t", "-o", tmp_path / "m", "--order", 2, "--memory", "64MB",
            "--smoothing", "WittenBell")  # fmt: skip
    with pytest.raises(ValueError) as caught:
        run(*args)
    assert str(caught.value).startswith(
        "`TEXT` must have lines of at most 5,333,333 bytes, got a longer one on line 1."
    )
    run(*args, "--longest-line", "6MB")
    for command in (("evaluate",), ("score",), ("filter", "-o", tmp_path / "k", "--annotate")):
        rest = (tmp_path / "m", tmp_path / "t", *command[1:], "--longest-line")
        run(command[0], *rest, "6MB")
        with pytest.raises(ValueError, match="`TEXT` must have lines of at most 1,000,000 bytes"):
            run(command[0], *rest, "1MB")
        with pytest.raises(ValueError, match="`--longest-line` must be a number of bytes, or li"):
            run(command[0], *rest, "long")


def test_a_unit_and_a_policy_can_be_said(tmp_path):
    chinese = ["今天天气很好", "我们今天去公园", "天气好我们去"]
    text = tmp_path / "t"
    text.write_text("\n".join(chinese))
    run("fit", text, "-o", tmp_path / "m.arpa", "--unit", "character", "--smoothing", "WittenBell",
        "--order", 2)  # fmt: skip
    run("convert", tmp_path / "m.arpa", "-o", tmp_path / "m.xent")
    bare = tmp_path / "bare.arpa"
    bare.write_text((tmp_path / "m.arpa").read_text().partition("\n")[2])
    told = ("--unit", "character")
    for command in ("evaluate", "score"):
        found = [
            run(command, model, text, *more, "--json").replace(str(model), "m")
            for model, more in (
                (tmp_path / "m.arpa", ()), (tmp_path / "m.arpa", told), (tmp_path / "m.xent", ()),
                (bare, told),
            )
        ]  # fmt: skip
        assert len(set(found)) == 1
        assert run(command, bare, text, "--json").replace(str(bare), "m") != found[0]
    drawn = run("sample", bare, *told, "-n", 3)
    assert drawn == run("sample", tmp_path / "m.arpa", "-n", 3)
    assert " " not in drawn
    run("prune", bare, "-o", tmp_path / "p.arpa", "--entropy", "1e-6", *told)
    assert (tmp_path / "p.arpa").read_text().startswith("# xent: unit=character errors=strict\n")
    found = json.loads(run("mix", bare, tmp_path / "p.arpa", "--dev", text, *told, "--json"))
    assert found["perplexity_dev"] < 20
    run("filter", bare, text, "-o", tmp_path / "kept", "--at-most", "9", *told)
    assert (tmp_path / "kept").read_text().splitlines() == chinese
    with pytest.raises(ValueError, match="`--unit` must be 'character', the model's own, got 'wo"):
        run("evaluate", tmp_path / "m.xent", text, "--unit", "word")
    text.write_bytes("今天 \xe9".encode() + b"\xe9\n")
    with pytest.raises(ValueError, match="or pass --errors keep to take bytes that are not"):
        run("evaluate", tmp_path / "m.xent", text)
    run("evaluate", tmp_path / "m.xent", text, "--errors", "keep")

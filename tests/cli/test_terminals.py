"""A stranger's labels, columns and file names reach no terminal and no page as commands."""

import csv
import html
import json
import re

import pytest
from typer.testing import CliRunner

from xent._terminal import SPELT
from xent.cli import app

HOSTILE = "\x1b]0;owned\x07\x1b[31m\u202ered\u2066\x00\r"


@pytest.fixture
def run(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    rows = [["colour", HOSTILE, "y"], *[[HOSTILE, str(i % 3), HOSTILE] for i in range(6)]]
    rows += [["blue", str(i % 3), "plain"] for i in range(6)]
    with open("t.csv", "w", newline="") as file:
        csv.writer(file).writerows(rows)
    with open("said.csv", "w", newline="") as file:
        writer = csv.writer(file)
        writer.writerow(["target", f"p_{HOSTILE}", "p_plain", f"by {HOSTILE}"])
        writer.writerows([[HOSTILE, 0.3, 0.7, HOSTILE], ["plain", 0.2, 0.8, "b"]] * 4)

    def run(*words):
        return CliRunner().invoke(app, list(words))

    return run


COMMANDS = [
    ["rank", "t.csv", "--target", "y", "--html", "o.html"],
    ["rank", "t.csv", "--target", HOSTILE],
    ["drift", "t.csv", "t.csv", "--html", "o.html"],
    ["evaluate", "said.csv", "--html", "o.html"],
    ["evaluate", "said.csv", "--by", f"by {HOSTILE}"],
    ["tree", "fit", "t.csv", "--target", "y", "--output", "o.tree", "--pruning", "none"],
]


@pytest.mark.parametrize("words", COMMANDS, ids=lambda words: " ".join(words)[:20].encode())
def test_nothing_is_obeyed(run, tmp_path, words):
    done = run(*words)
    assert done.exit_code == 0, done.output
    pages = [path.read_text() for path in tmp_path.glob("*.html")]
    # The library of charts has characters of its own; what is said of the data stands before it.
    texts = [done.output, *(page.partition("<script")[0] for page in pages)]
    for text in texts:
        assert not re.search("[\x00-\x08\x0b-\x1f\x7f\u202a-\u202e\u2066-\u2069]", text)
    assert "\\x1b" in "".join(texts) or words[0] == "tree"


NAMED = [
    "train t.csv --target y --epochs 1 -o {}",
    "predict m.xent t.csv -o {}.csv",
    "tree fit t.csv -t y -o {}",
    "tree predict t.xent t.csv -o {}.csv",
    "rank t.csv --target y --html {}",
    "evaluate said.csv --html {}",
    "language fit t.csv -o {}",
    "language convert l.xent -o {}",
    "language prune l.xent --entropy 1e-9 -o {}",
    "language filter l.xent t.csv --keep 0.5 -o {}",
]
NAME = "\x1b]0;owned\x07\u202ea\nb"


@pytest.fixture
def models(run):
    for i, model in ((0, "m.xent"), (2, "t.xent"), (6, "l.xent")):
        done = run(*NAMED[i].format(model).split())
        assert done.exit_code == 0, done.output


@pytest.mark.filterwarnings("ignore:KneserNey cannot estimate")  # of so few words
def test_names_of_files_are_shown_on_one_line(run, models, tmp_path):
    for words in NAMED:
        done = run(*(word.replace("{}", NAME) for word in words.split()))
        assert done.exit_code == 0, (words, done.output)
        assert any(path.name.startswith(NAME) for path in tmp_path.iterdir()), words
        assert "'\\x1b]0;owned\\x07\\u202ea\\nb" in done.output, words
        assert not re.search("[\x1b\x07\u202e]", done.output), words
        for path in tmp_path.glob("*owned*"):
            path.unlink()


def test_refusals_and_shown_trees(run):
    run(*COMMANDS[-1])
    for words in (["tree", "show", "o.tree"], ["rank", "t.csv", "--target", "\x1b[31mno"]):
        assert "\x1b" not in run(*words).output.replace("\x1b[31m`", "`")


def test_chinese_labels_stand_in_line(run, tmp_path):
    with open("zh.csv", "w", newline="", encoding="utf8") as file:
        writer = csv.writer(file)
        writer.writerow(["target", "p_猫", "p_dog"])
        writer.writerows([["猫", "0.3", "0.7"], ["dog", "0.2", "0.8"]] * 4)
    lines = run("evaluate", "zh.csv").output.splitlines()
    bars = [line for line in lines if "█" in line]
    zh = next(line for line in bars if line.startswith("  猫"))
    dog = next(line for line in bars if line.startswith("  dog"))
    assert zh.index("█") + 1 == dog.index("█")  # one letter, two columns


@pytest.mark.parametrize("encoding", ["ascii", "latin1", "gbk"])
def test_what_an_encoding_lacks_in_each_kind_of_text(encoding):
    """JSON stays JSON with the same letters, pages stay pages; plain text has plain signs."""
    said = {"a": "×é猫😀█", "b": [1, "…"]}
    for value in (said, said["b"], [said], said["a"]):
        text = json.dumps(value, ensure_ascii=False, indent=1)
        written = text.encode(encoding, SPELT).decode(encoding)
        if isinstance(value, str):
            continue  # text in quotes is no document
        assert json.loads(written) == value
    page = f"<p>{said['a']}</p>".encode(encoding, SPELT).decode(encoding)
    assert html.unescape(page) == f"<p>{said['a']}</p>"
    plain = "猫😀 10 × 3 █▉…".encode("ascii", SPELT).decode()
    assert plain == "\\u732b\\ud83d\\ude00 10 x 3 ##~"
    with pytest.raises(UnicodeEncodeError):
        "CASE\n WHEN '猫😀\u2026\ua000'".encode("ascii", SPELT)

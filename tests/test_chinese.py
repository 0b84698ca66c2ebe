"""Reports in Chinese: one table holds every sentence, and a page in Chinese has no English left."""

import ast
import json
import re
import string
from pathlib import Path

import numpy as np
import pytest

import children
from xent._lang import say, say_count, speaking
from xent._terminal import width_of
from xent.evaluation import (
    compare,
    evaluate,
    evaluate_multilabel,
    evaluate_ordered,
    evaluate_soft,
    evaluate_tokens,
)

SOURCE = Path(__file__).parents[1] / "src" / "xent"
TABLE = json.loads((SOURCE / "_chinese.json").read_text(encoding="utf-8"))
COUNT = "a count: "
# Names that Chinese articles leave as they are.
NAMES = """
    AUC Brier CORP Dimitriadis F Gneiting ROC and Jordan
    P softmax sigmoid logit logits PyTorch CrossEntropyLoss ln log e z dL dz D H L N p y x
    cross_entropy binary_cross_entropy mse_softmax mse_sigmoid double_softmax empirical model
    Student t Epstein Holm O
    temperature platt isotonic vector matrix inf
"""


def fields(text):
    """The names in a template's braces; how they are written may differ."""
    return sorted({name for _, name, _, _ in string.Formatter().parse(text) if name})


def calls():
    """Every text that the code hands to `say` and `say_count` as it stands."""
    for path in SOURCE.rglob("*.py"):
        for node in ast.walk(ast.parse(path.read_text())):
            if not isinstance(node, ast.Call) or not isinstance(node.func, ast.Name):
                continue
            place = {"say": 0, "say_count": 1}.get(node.func.id)
            if place is not None and isinstance(node.args[place], ast.Constant):
                yield (COUNT if place else "") + node.args[place].value


def test_every_sentence_has_both_languages():
    missing = {text for text in calls() if text not in TABLE}
    assert not missing, "add them to src/xent/_chinese.json"


def test_the_table_holds_nothing_that_is_not_said():
    written = set(calls())
    for path in SOURCE.rglob("*.py"):
        for node in ast.walk(ast.parse(path.read_text())):
            if isinstance(node, ast.Constant) and isinstance(node.value, str):
                # Some are handed on by a variable, such as names of units.
                written |= {node.value, COUNT + node.value}
    assert not set(TABLE) - written


@pytest.mark.parametrize("text", TABLE)
def test_a_translation_fills_in_the_same_values(text):
    if not text.startswith(COUNT):
        assert fields(TABLE[text]) == fields(text)


def english_in(text):
    """The words of a text that are no names; signatures and what readers named are left out."""
    return set(re.findall(r"[A-Za-z]+(?:_[a-z]+)*", text)) - set(NAMES.split())


def test_no_translation_has_english_left():
    for text, chinese in TABLE.items():
        plain = "".join(part for part, *_ in string.Formatter().parse(chinese))
        assert not english_in(plain), (text, chinese)


def report_of(classes, **options):
    rng = np.random.default_rng(0)
    labels = ["猫", "狗", "鸟", "鱼", "马", "牛", "羊"][:classes]
    probs = rng.dirichlet(np.ones(classes), size=60)
    target = [labels[i] for i in rng.integers(0, classes, 60)]
    if classes == 7:
        probs[0, labels.index(target[0])] = 0
    probs[0] /= probs[0].sum()
    by = {"组": [["甲", "乙", None][i % 3] for i in range(60)]}
    return evaluate(target, probs, labels=labels, by=by, **options)


@pytest.mark.parametrize(("classes", "base"), [(2, 2), (7, np.e), (3, 3.0)])
def test_a_report_in_chinese(tmp_path, classes, base):
    report = report_of(classes, base=base)
    english = str(report)
    text = report.to_text(lang="zh").removesuffix(report.signature)
    assert not english_in(text)
    assert re.findall(r"\d+\.\d{4}", text) == re.findall(
        r"\d+\.\d{4}", english.removesuffix(report.signature)
    )
    assert str(report) == english
    numbers = re.findall(r"^(?:交叉熵 |  均匀|  类别)[^.\n]*\.", text, re.MULTILINE)
    # The points of the numbers stand one below the other.
    assert len({width_of(line) for line in numbers}) == 1
    report.to_html(tmp_path / "r.html", lang="zh")
    page = (tmp_path / "r.html").read_text(encoding="utf-8")
    assert '<html lang="zh-CN">' in page
    body = page[page.index("<main>") : page.index("<footer>")]
    assert not english_in(re.sub(r"<[^>]*>|&\w+;", " ", body))
    charts = json.loads(re.search(r"^const charts = (.*);$", page, re.MULTILINE)[1])
    titles = re.findall(r'"title": "([^"]*)"', json.dumps(charts, ensure_ascii=False))
    assert titles
    assert not english_in(" ".join(titles))


RNG = np.random.default_rng(1)
P, Q, SOFT, HARD = RNG.dirichlet(np.ones(3), size=(4, 60))
Y = RNG.integers(0, 3, 60)
P[0] = Q[1] = Q[0] = np.eye(3)[(Y[0] + 1) % 3]
HARD[0] = [0, 0.5, 0.5]
COSTS = [-RNG.exponential(size=n) for n in (9, 30)]
BY = {"组": [["甲", "乙", None][i % 3] for i in range(60)]}
PETS, GROUPS = ["猫", "狗", "鸟"], np.arange(60) // 4
SEVERAL = {"target": Y, "names": ["老", "新", "旧", "别"], "by": BY, "groups": GROUPS}
# Every report that a notebook shows, each of its lines in one of them.
REPORTS = {
    "report": lambda: report_of(7),
    "two classes": lambda: report_of(2, base=np.e),
    "comparison": lambda: compare(P, Q, P[::-1], np.full((60, 3), 1 / 3), **SEVERAL),
    "bootstrap": lambda: compare(P, Q, target=Y, names=["老", "新"], interval="bootstrap", seed=0),
    "soft": lambda: evaluate_soft(SOFT, HARD, labels=PETS),
    "labels": lambda: evaluate_multilabel(SOFT > 0.4, (HARD > 0.3) * 0.7, labels=PETS),
    "ordered": lambda: evaluate_ordered(np.array(PETS)[Y], P, labels=PETS),
    "tokens": lambda: evaluate_tokens(COSTS, texts=["一二三", "四 五六"], first="after_start"),
    "a document": lambda: evaluate_tokens(COSTS[:1], texts=["一二三"]),
}


@pytest.mark.parametrize("kind", REPORTS)
def test_a_notebook_speaks_the_language_of_the_environment(kind, monkeypatch):
    report = REPORTS[kind]()
    english = str(report), report._repr_html_()
    monkeypatch.setenv("XENT_LANG", "zh")
    for told, was in zip((str(report), report._repr_html_()), english, strict=True):
        text = re.sub(r"<[^>]*>|&\w+;|&#\w+;|\bxent 0\..*", " ", told)
        assert not english_in(text)
        assert numbers_in(told) == numbers_in(was), "the numbers are the same"
    with speaking("en"):
        assert (str(report), report._repr_html_()) == english


def numbers_in(text):
    return sorted(re.findall(r"\d+\.\d{3,}", text))


def test_a_comparison_of_losses_in_chinese(tmp_path, monkeypatch):
    pytest.importorskip("torch")
    from xent.training import SoftmaxClassifier, compare_losses

    X, y = [[0.0], [1.0], [2.0], [3.0]], ["猫", "猫", "狗", "狗"]
    like = SoftmaxClassifier(epochs=2, random_state=0, progress=False)
    found = compare_losses(X, y, ["cross_entropy"], validation=(X, y), classifier=like)
    found.to_html(tmp_path / "said.html", lang="zh")
    monkeypatch.setenv("XENT_LANG", "zh")
    found.to_html(tmp_path / "set.html")
    page = (tmp_path / "set.html").read_text(encoding="utf-8")
    assert page == (tmp_path / "said.html").read_text(encoding="utf-8")
    body = page[page.index("<main>") : page.index("<footer>")]
    assert not english_in(re.sub(r"<[^>]*>|&\w+;", " ", body))
    assert not english_in(str(found))


def test_the_language_is_one_of_two_and_ends_with_its_block(monkeypatch):
    with pytest.raises(ValueError, match="`lang` must be"):
        report_of(2).to_text(lang="fr")
    with speaking("zh"):
        assert say_count(1, "row") == "1 行"
    assert say("accuracy") == "accuracy"
    monkeypatch.setenv("XENT_LANG", "fr")
    with pytest.raises(ValueError, match="`XENT_LANG` must be 'en' or 'zh', got 'fr'"):
        say("accuracy")


def test_commands_report_in_chinese(tmp_path):
    lines = [f"{i},{i % 3},0.5,0.3,0.2,0.6,0.4,0" for i in range(30)]
    head = "id,y,p_0,p_1,p_2,t_0,t_1,t_2"
    (tmp_path / "a.csv").write_text("\n".join([head, *lines]))
    (tmp_path / "b.csv").write_text("\n".join([head, *lines]).replace("0.3", "0.30"))
    kinds = [
        ("compare", "a.csv", "b.csv", "--target", "y", "--probs", "p_*"),
        ("evaluate", "a.csv", "--target", "y", "--probs", "p_*", "--ordered"),
        ("evaluate", "a.csv", "--soft", "t_*", "--probs", "p_*"),
    ]
    for words in kinds:
        done = children.xent(*words, "--lang", "zh", cwd=tmp_path)
        assert done.returncode == 0, done.stderr
        lines = [line for line in done.stdout.splitlines() if "xent 0" not in line]
        assert not english_in("\n".join(lines)) - {"csv", "a", "b"}, words
        with_variable = children.xent(*words, cwd=tmp_path, environment={"XENT_LANG": "zh"})
        assert with_variable.stdout == done.stdout

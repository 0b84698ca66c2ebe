"""The page opens in a real browser: pictures there, nothing requested, nothing complained of."""

import numpy as np
import pytest

from browser import needs_browser, visit
from xent.evaluation import _html, evaluate

NASTY = ['<script>alert("x")</script>', "</script><b>", "a & b", "naïve ‖ 猫", "'quote\""]


@pytest.fixture
def report():
    rng = np.random.default_rng(0)
    probs = rng.dirichlet(np.ones(5), size=80)
    return evaluate(rng.integers(0, 5, 80), probs, labels=None)


@needs_browser
def test_opens_offline_with_its_pictures(tmp_path, report):
    path = tmp_path / "report.html"
    report.to_html(path)

    def look(page):
        page.wait_for_function("document.querySelectorAll('.chart svg').length == 2")
        sizes = [svg.bounding_box() for svg in page.locator(".chart svg").all()]
        return sizes, page.locator("body").inner_text()

    (sizes, text), requests, errors = visit(path, look)
    assert all(box["width"] > 200 and box["height"] > 80 for box in sizes)
    assert f"{report.cross_entropy:.4f}" in text
    assert report.signature in text
    assert requests == []
    assert errors == []


@needs_browser
def test_labels_are_text_and_never_markup(tmp_path):
    rng = np.random.default_rng(0)
    target = [NASTY[i] for i in rng.integers(0, 5, 50)]
    report = evaluate(target, rng.dirichlet(np.ones(5), size=50), labels=NASTY)
    path = tmp_path / "report.html"
    report.to_html(path, title="<i>title</i>")

    def look(page):
        page.wait_for_function("document.querySelectorAll('.chart svg').length == 2")
        found = page.locator("section b, h1 i").count()
        page.locator("select").select_option(index=3)
        page.wait_for_timeout(200)
        found += page.locator("section b, section script").count()
        return page.locator("body").inner_text(), found

    (text, markup), requests, errors = visit(path, look)
    assert markup == 0
    assert all(label in text for label in NASTY)
    assert requests == []
    assert errors == []


def test_infinite_cost_is_said(tmp_path):
    path = tmp_path / "report.html"
    evaluate([1, 0], [[1.0, 0.0], [0.5, 0.5]]).to_html(path)
    assert "The cross-entropy is infinite" in path.read_text()


def test_many_classes_draw_no_texture(tmp_path):
    rng = np.random.default_rng(0)
    path = tmp_path / "report.html"
    evaluate(rng.integers(0, 200, 50), rng.dirichlet(np.ones(200), size=50)).to_html(path)
    page = path.read_text()
    assert '<table class="heat">' not in page
    assert "The most frequent mistakes" in page


LONG = ["猫", "الإجابة الطويلة جدا باللغة العربية", "z" * 300, "a label of many words " * 9, "x"]


@needs_browser
@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_fits_every_width_with_labels_of_any_length_and_language(tmp_path, scheme):
    rng = np.random.default_rng(0)
    target = [LONG[i] for i in rng.integers(0, 5, 200)]
    by = {"a column with a rather long name": [f"v{i % 9}" for i in range(200)]}
    report = evaluate(target, rng.dirichlet(np.ones(5), size=200), labels=LONG, by=by)
    report.to_html(tmp_path / "r.html")

    def look(page):
        page.emulate_media(color_scheme=scheme)
        page.wait_for_function("document.querySelectorAll('.chart svg').length == 2")
        found = {}
        for width in (360, 800, 1600):
            page.set_viewport_size({"width": width, "height": 900})
            page.wait_for_timeout(100)
            wide = page.evaluate("document.documentElement.scrollWidth")
            chart = page.locator(".chart svg").first.bounding_box()
            found[width] = wide, chart["width"]
        return found, page.evaluate("getComputedStyle(document.body).backgroundColor")

    (found, ground), requests, errors = visit(tmp_path / "r.html", look)
    assert all(wide <= width for width, (wide, _) in found.items()), found
    assert 200 < found[360][1] <= 360
    assert found[1600][1] > found[360][1]
    assert ground == {"light": "rgb(245, 246, 248)", "dark": "rgb(18, 22, 28)"}[scheme]
    assert (requests, errors) == ([], [])


@needs_browser
def test_tables_are_sorted_and_searched_and_a_class_is_chosen(tmp_path, report):
    report.to_html(tmp_path / "r.html")

    def look(page):
        page.wait_for_function("document.querySelectorAll('.chart svg').length == 2")
        section = page.locator("section", has_text="The most expensive rows")
        first = section.locator("tbody tr").first
        before = first.inner_text()
        section.get_by_role("button", name="bits").focus()
        page.keyboard.press("Enter")
        down = first.inner_text()
        page.keyboard.press("Enter")
        up = float(first.locator("td").last.inner_text())
        costs = [float(t) for t in section.locator("tbody td:last-child").all_inner_texts()]
        section.get_by_role("searchbox").fill("no such label")
        none = section.locator("tbody tr:visible").count()
        section.get_by_role("searchbox").fill(before.split()[0])
        some = section.locator("tbody tr:visible").all_inner_texts()
        dots = "document.querySelectorAll('.chart svg .mark-symbol path').length"
        shapes = [page.evaluate(dots)]
        names = page.locator("select option").all_inner_texts()
        page.locator("select").select_option("P(2)")
        page.wait_for_timeout(300)
        shapes.append(page.evaluate(dots))
        return before, down, up, costs, none, some, shapes, names

    found, requests, errors = visit(tmp_path / "r.html", look)
    before, down, up, costs, none, some, shapes, names = found
    assert before == down
    assert up == min(costs)
    assert costs == sorted(costs)
    assert none == 0
    assert before in some
    assert names == ["the winning class", "P(0)", "P(1)", "P(2)", "P(3)", "P(4)"]
    bins = [report.reliability["top_label"]["bins"]]
    bins.append(report.reliability["classwise"]["classes"][2]["bins"])
    assert shapes == [len(b) for b in bins]
    assert (requests, errors) == ([], [])


def test_a_thousand_classes_show_what_they_add_and_are_small_to_send(tmp_path):
    rng = np.random.default_rng(0)
    logits = rng.normal(size=(3000, 1000))
    target = rng.integers(0, 1000, 3000)
    names = [f"class {i} {'x' * 500}" for i in range(1000)]
    report = evaluate([names[t] for t in target], logits=logits, labels=names)
    report.to_html(tmp_path / "r.html")
    assert (tmp_path / "r.html").stat().st_size < 1.5e6
    page = (tmp_path / "r.html").read_text()
    assert page.count('<div class="more"') > 300
    assert page.count('<div class="less"') > 300
    assert "<td>0 %</td>" not in page


def test_a_failed_write_leaves_the_old_page(tmp_path, report, monkeypatch):
    path = tmp_path / "report.html"
    path.write_text("old")
    monkeypatch.setattr("os.replace", lambda *_: (_ for _ in ()).throw(OSError("disk full")))
    with pytest.raises(OSError, match="disk full"):
        report.to_html(path)
    assert path.read_text() == "old"
    assert [p.name for p in tmp_path.iterdir()] == ["report.html"]


def test_the_page_shows_intervals_slices_and_ids(tmp_path):
    probs = [[0.9, 0.1], [0.2, 0.8], [0.6, 0.4], [1.0, 0.0]]
    report = evaluate([0, 1, 1, 1], probs, by={"shop": ["x", "y", "x", None]}, ids=list("abcd"))
    report.to_html(tmp_path / "r.html")
    page = (tmp_path / "r.html").read_text()
    for words in (
        "By shop",
        "missing",
        "ROC AUC",
        "no proper score",
        "at 2.2e-16",
        ">d</span></td>",
    ):
        assert words in page, words
    finite = evaluate([0, 1, 1], probs[:3])
    finite.to_html(tmp_path / "f.html")
    assert f"95 %: {finite.low:.4f} to {finite.high:.4f}" in (tmp_path / "f.html").read_text()


class Recorded:
    """What a page would be made of: its cards, and the parts of each section by its heading."""

    def __init__(self, report, monkeypatch):
        monkeypatch.setattr(_html, "reliability_charts", lambda report: ([], []))
        self.shown, self.sections, self.texts = [], {}, {}
        _html.add_report(self, report)

    def cards(self, cards):
        self.shown = cards

    def section(self, heading, text="", **parts):
        self.sections[heading], self.texts[heading] = parts, text


TRUE, IDS, SHOPS = "aabbca", "uvwxyz", ["x", "y", None, "x", "y", None]
SAID = np.array([
    [0.7, 0.1, 0.1, 0.1], [0.1, 0.6, 0.2, 0.1], [0.25, 0.5, 0.125, 0.125], [0.2, 0.3, 0.4, 0.1],
    [0.1, 0.1, 0.75, 0.05], [0.05, 0.05, 0.4, 0.5],
])  # fmt: skip


def judged(probs, base=2, **options):
    return evaluate(list(TRUE), probs, labels=list("abcd"), by={"shop": SHOPS}, base=base,
                    **options)  # fmt: skip


@pytest.mark.parametrize("base", [2, np.e])
@pytest.mark.parametrize("named", [True, False])
def test_every_figure_of_a_page_by_other_means(base, named, monkeypatch):
    page = Recorded(judged(SAID, base, ids=list(IDS) if named else None), monkeypatch)
    unit = "bits" if base == 2 else "nats"
    true = np.array(["abcd".index(label) for label in TRUE])
    cost = -np.log(SAID[np.arange(6), true]) / np.log(base)
    share = np.array([3, 2, 1]) / 6
    plain = [np.log(4) / np.log(base), -(share * np.log(share)).sum() / np.log(base), cost.mean()]
    found = page.sections["Against knowing nothing"]
    assert found["bars"] == pytest.approx(plain)
    assert [row[1] for row in found["rows"]] == [f"{value:.4f}" for value in plain]
    assert (found["best"], found["columns"]) == (2, ["", f"{unit} a row"])
    assert page.shown[0][1:] == ("Cross-entropy", f"{plain[2]:.4f}")[1:] + page.shown[0][2:]
    assert page.shown[1][1] == f"{100 * (1 - plain[2] / plain[1]):.1f} %"
    assert page.shown[2][1] == "50.0 %"
    off = SAID - np.eye(4)[true]
    assert page.shown[4][1] == f"{(off**2).sum() / 6:.4f}"
    found = page.sections[f"Where the {unit} go"]
    adds = [(cost[true == c] - cost.mean()).sum() / 6 for c in range(3)]
    assert found["bars"] == pytest.approx([*sorted(adds, reverse=True), 0.0])  # d is never true
    for row, c in zip(found["rows"], np.argsort(adds)[::-1], strict=False):
        assert row[0] == "abc"[c]
        assert row[1].startswith(f"{adds[c]:+.4f}")
        mine = cost[true == c]
        assert float(row[2]) == pytest.approx(mine.mean(), abs=6e-5)
        assert (row[3], row[4]) == (str(len(mine)), f"{100 * mine.sum() / cost.sum():.1f} %")
    assert found["rows"][3] == ("d", "-", "-", "0", "0.0 %", "-", "0.0 %")
    found = page.sections["What is taken for what"]
    assert found["rows"][0] == ("a", "1", "1", "", "1")
    assert found["heat"][0] == [0.0, 0.85, 0.0, 0.85]  # of what is wrong the most is one row
    rows = page.sections["The most expensive rows"]["rows"]
    order = np.argsort(cost)[::-1]
    assert [row[0] for row in rows] == [IDS[i] if named else str(i) for i in order]
    assert [row[1:] for row in rows] == [
        (TRUE[i], "abcd"[SAID[i].argmax()], f"{SAID[i, true[i]]:.3g}", f"{cost[i]:.2f}")
        for i in order
    ]
    rows = page.sections["By shop"]["rows"]
    means = {shop: cost[[s == shop for s in SHOPS]].mean() for shop in SHOPS}
    dearest = sorted(means, key=means.get, reverse=True)  # of equally many rows
    assert [row[0] for row in rows] == ["missing" if s is None else s for s in dearest]
    assert [float(row[1]) for row in rows] == pytest.approx([means[s] for s in dearest], abs=6e-5)


@pytest.mark.parametrize("many", [1, 2])
def test_a_page_of_what_is_infinite_adds_no_bits(many, monkeypatch):
    probs = SAID.copy()
    probs[[3, 5][:many]] = [[0.5, 0.0, 0.5, 0.0], [0.0, 0.5, 0.5, 0.0]][:many]
    page = Recorded(judged(probs), monkeypatch)
    said = page.texts["The cross-entropy is infinite"]
    assert said.startswith(f"{many} row{'s' if many > 1 else ''} had a true class")
    assert page.shown[0][1] == "inf"
    found = page.sections["Against knowing nothing"]
    assert ([row[0] for row in found["rows"]], found["best"]) == (
        ["knowing nothing", "class frequencies"],
        None,
    )
    found = page.sections["Where the bits go"]
    # Of two classes that are endless alike the first comes first; d is neither true nor said then.
    assert [row[0] for row in found["rows"]] == [*("bacd" if many == 1 else "abc")]
    assert {row[1] for row in found["rows"]} == {"-"}
    assert found["bars"] == [[1.0, 0, 0, 0], [0.5, 0.5, 0]][many - 1]
    assert [b > 0 for b in page.sections["By shop"]["bars"]] == [[0, 1, 1], [0, 0, 1]][many - 1]


def test_the_heat_of_a_page_is_that_of_what_is_wrong(monkeypatch):
    """However often a class is right, the palest mistake is one that is rare among mistakes."""
    true = [0] * 50 + [1] * 3 + [0] + [1] * 2
    said = [0] * 50 + [1] * 3 + [1] + [0] * 2
    probs = np.where(np.eye(2)[said] > 0, 0.75, 0.25)
    page = Recorded(evaluate(true, probs), monkeypatch)
    assert page.sections["What is taken for what"]["heat"] == [[0.0, 0.425], [0.85, 0.0]]
    found = page.sections["From which probability on is it 1?"]
    best = found["rows"][found["best"]]
    assert best[4] == f"{100 * 2 * 3 / (4 + 5):.1f} %"  # 3 found, of 4 called so and 5 that are
    thresholds = [float(row[0]) for row in found["rows"]]
    assert thresholds == sorted(thresholds)

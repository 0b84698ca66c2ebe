"""The page opens in a real browser: pictures there, nothing requested, nothing complained of."""

import numpy as np
import pytest

from browser import needs_browser, visit
from xent.evaluation import evaluate

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
        page.wait_for_function("document.querySelectorAll('.chart svg').length == 5")
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
        page.wait_for_function("document.querySelectorAll('.chart svg').length == 5")
        return page.locator("body").inner_text(), page.locator("section b, h1 i").count()

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
    assert "What is taken for what" not in path.read_text()


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
    for words in ("By shop", "missing", "ROC AUC", "no proper score", "at 2.2e-16", "<td>d</td>"):
        assert words in page, words
    finite = evaluate([0, 1, 1], probs[:3])
    finite.to_html(tmp_path / "f.html")
    assert f"95 %: {finite.low:.4f} to {finite.high:.4f}" in (tmp_path / "f.html").read_text()

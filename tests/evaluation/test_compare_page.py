"""The page of a comparison in a real browser: all models in one diagram, at every width."""

import re

import numpy as np
import pytest

from browser import needs_browser, visit
from xent.evaluation import compare

NASTY = ['<script>alert("x")</script>', "</script><b>", "a & b", "naïve ‖ 猫", "'quote\"'"]


def compared(names=("old", "new", "newest"), classes=3, rows=400, **options):
    rng = np.random.default_rng(0)
    z = rng.normal(size=(rows, classes))
    target = np.array([rng.choice(classes, p=p) for p in softmax(z)])
    models = [softmax(z * k + rng.normal(size=z.shape) / 3) for k in (0.3, 1, 3)[: len(names)]]
    return compare(*models, target=target, names=names, **options)


def softmax(z):
    e = np.exp(z)
    return e / e.sum(axis=1, keepdims=True)


def drawn(page):
    page.wait_for_function("document.querySelectorAll('.chart svg').length == 1")
    return page.locator(".chart svg .mark-symbol.role-mark path").count()


@needs_browser
def test_all_models_in_one_diagram_and_each_alone(tmp_path):
    path = tmp_path / "page.html"
    found = compared(by={"place": [f"shop {i % 7}" for i in range(400)]}, pairs="all")
    found.to_html(path)

    def look(page):
        counts = [drawn(page)]
        for name in ("old", "newest", "all models"):
            page.locator("select").select_option(label=name)
            page.wait_for_timeout(200)
            counts.append(drawn(page))
        box = page.get_by_label("Find a value of place")
        box.fill("shop 3")
        left = page.locator("table.sorted tbody tr:visible").count()
        return counts, left, page.locator("body").inner_text()

    (counts, left, text), requests, errors = visit(path, look)
    assert requests == errors == []
    bins = [len(m.reliability["top_label"]["bins"]) for m in found.models]
    assert counts == [sum(bins), bins[0], bins[2], sum(bins)]
    assert left == 3  # of three pairs
    for d in found.differences:
        assert f"{d.second} less {d.first}" in text
        assert f"{d.low:+.4f} to {d.high:+.4f}" in text
    assert all(f"{m.cross_entropy:.4f}" in text for m in found.models)
    assert found.signature in text
    assert path.stat().st_size < 1.5e6


@needs_browser
@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_names_of_any_kind_fit_every_width(tmp_path, scheme):
    path = tmp_path / "page.html"
    names = ["نموذج قديم " * 9, "猫" * 90, NASTY[0] + "model" * 30]
    compared(names, by={NASTY[2]: [NASTY[i % 5] for i in range(400)]}).to_html(path)

    def look(page):
        page.emulate_media(color_scheme=scheme)
        widths = []
        for width in (360, 768, 1280, 1900):
            page.set_viewport_size({"width": width, "height": 900})
            page.reload()
            drawn(page)
            widths.append(page.evaluate("document.documentElement.scrollWidth"))
        return widths, page.locator("section b, section script").count()

    (widths, markup), requests, errors = visit(path, look)
    assert widths == [360, 768, 1280, 1900]
    assert markup == 0
    assert errors == []
    assert all(url == path.as_uri() for url in requests)


def test_what_is_drawn_is_what_was_seen():
    found = compared(("a", "b"), classes=2)
    for model in found.models:
        (view,) = model.reliability.values()
        assert sum(b["rows"] for b in view["bins"]) == found.rows
        assert sum(b["rows"] for b in view["corp"]["blocks"]) == found.rows
        seen = [b["seen"] for b in view["corp"]["blocks"]]
        assert seen == sorted(seen)


def test_equal_scores_are_one_whatever_was_true():
    """0.1 and 1 - 0.9 are two numbers, and the order of rows must not know what was true."""
    p = np.tile([0.1, 0.3, 0.9], 40)
    y = np.random.default_rng(0).integers(0, 2, 120)
    found = compare(p, np.stack([1 - p, p], 1), target=y)
    for model in found.models:
        assert len(model.reliability["yes"]["corp"]["blocks"]) <= 3


def test_costs_have_no_diagram_and_zeros_are_said(tmp_path):
    path = tmp_path / "page.html"
    compare([0.5, 1.0], [np.inf, 1.0], kind="costs", names=["a", "b"]).to_html(path)
    text = path.read_text()
    assert "b alone in 1 row" in text
    assert "believed" not in text


def test_a_page_in_chinese_has_no_english_left(tmp_path):
    path = tmp_path / "page.html"
    rng = np.random.default_rng(0)
    costs = [np.append(rng.exponential(size=30), [np.inf, 1]) for _ in range(3)]
    found = compare(
        *costs, kind="costs", names=["一", "二", "三"], by={"店": rng.integers(0, 9, 32).tolist()},
        groups=rng.integers(0, 9, 32), interval="bootstrap", test="sign_flip",
    )  # fmt: skip
    found.to_html(path, lang="zh")
    body = path.read_text().partition("<main>")[2].partition("<footer>")[0]
    text = re.sub(r"<[^>]*>", " ", body)
    assert "相差多少" in text
    assert set(re.findall(r"[A-Za-z]+", text)) <= {"p", "e", "inf", "Holm", "t", "Student"}
    with pytest.raises(ValueError, match="`lang` must be"):
        found.to_html(path, lang="fr")

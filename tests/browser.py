"""Open a page in headless Chromium and say what it asked for and what it complained about."""

import shutil

import pytest

CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser")
needs_browser = pytest.mark.skipif(CHROMIUM is None, reason="needs Chromium")


def visit(path, look):
    """Load ``path``; return what ``look(page)`` found, the requests made, and the errors logged."""
    from playwright.sync_api import sync_playwright

    requests, errors = [], []
    with sync_playwright() as driver:
        browser = driver.chromium.launch(
            executable_path=CHROMIUM, args=["--no-sandbox", "--disable-gpu", "--disable-quic"]
        )
        page = browser.new_page()
        page.on("request", lambda request: requests.append(request.url))
        page.on("pageerror", lambda error: errors.append(str(error)))
        page.on("console", lambda m: errors.append(m.text) if m.type in ("error", "warning") else 0)
        page.goto(path.as_uri())
        page.wait_for_load_state("networkidle")
        found = look(page)
        browser.close()
    return found, [url for url in requests if url != path.as_uri()], errors

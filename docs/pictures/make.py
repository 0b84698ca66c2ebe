"""`make pictures`: the pictures of the README, taken by headless Chromium from real output.

`report.png` is a part of the page that `xent demo` writes, the fair table first, `report.zh.png`
the same in Chinese, `audit.png` what `xent audit` prints about a script with a double softmax.
`losses.png` is drawn from the losses themselves.
"""

import html
import shutil
import subprocess
import sys
from pathlib import Path
from tempfile import TemporaryDirectory

HERE = Path(__file__).parent
XENT = [sys.executable, "-m", "xent"]
SCRIPT = """\
import torch.nn as nn

net = nn.Sequential(nn.Linear(784, 128), nn.ReLU(), nn.Linear(128, 10), nn.Softmax(dim=1))
loss = nn.CrossEntropyLoss()(net(images), labels)
"""
PAGE = """<!doctype html><meta charset="utf-8"><style>
body {{ margin: 0; background: #ffffff; width: 860px }}
pre {{ margin: 12px; padding: 18px 22px; background: #1d2430; color: #e6e9ef; border-radius: 10px;
      font: 14px/1.5 "DejaVu Sans Mono", monospace; white-space: pre-wrap }}
b {{ color: #8bd5a0; font-weight: 600 }} i {{ color: #ff8f8f; font-style: normal }}
</style><pre>{}</pre>"""


def screenshot(page, picture, width, height, last=None):
    """Take a picture of a terminal, or of a page down to the end of its ``last`` box."""
    from playwright.sync_api import sync_playwright

    with sync_playwright() as driver:
        chromium = shutil.which("chromium") or shutil.which("chromium-browser")
        browser = driver.chromium.launch(executable_path=chromium, args=["--no-sandbox"])
        view = browser.new_page(viewport={"width": width, "height": height})
        view.goto(page.as_uri())
        view.wait_for_load_state("networkidle")
        if last is None:
            view.locator("pre").screenshot(path=picture)
        else:
            # How long it took is the business of the machine of that day.
            view.add_style_tag(
                content="section:nth-of-type(2) :is(th, td):last-child {display: none}"
            )
            box = view.locator(last).bounding_box()
            clip = {"x": 0, "y": 0, "width": width, "height": box["y"] + box["height"] + 18}
            view.screenshot(path=picture, clip=clip, full_page=True)
        browser.close()


def report(folder):
    """Show each loss at one rate and at its own, then the curves, as `xent demo` does."""
    import torch

    from xent._lang import say, speaking
    from xent._page import Page
    from xent.cli._demo import _compare_fairly, _embedded
    from xent.training import SoftmaxClassifier, compare_losses
    from xent.training._story.page import FIVE, add_fair

    torch.set_num_threads(1)  # as the command does: waking a second costs more than it computes
    digits = _embedded()
    held = digits.X_test, digits.y_test
    settings = SoftmaxClassifier(epochs=30, random_state=0)
    fair = _compare_fairly(digits, settings, 5)
    found = compare_losses(digits.X, digits.y, FIVE, validation=held, classifier=settings)
    for lang, picture in (("en", "report.png"), ("zh", "report.zh.png")):
        with speaking(lang):
            page = Page(say("Five losses on handwritten digits"))
            add_fair(page, fair)
            found.add_to(page)
            page.write(folder / "report.html")
        screenshot(folder / "report.html", HERE / picture, 1000, 1500, "section >> nth=2")


def audit(folder):
    (folder / "train.py").write_text(SCRIPT)
    command = "xent audit train.py"
    found = subprocess.run(
        [*XENT, *command.split()[1:]], cwd=folder, capture_output=True, text=True
    )
    said = html.escape(found.stdout.strip()).replace("error X101", "<i>error X101</i>")
    text = f"<b>$ cat train.py</b>\n{html.escape(SCRIPT)}\n<b>$ {command}</b>\n{said}"
    (folder / "audit.html").write_text(PAGE.format(text))
    screenshot(folder / "audit.html", HERE / "audit.png", 884, 400)


def losses(folder):
    """Draw loss and gradient of one row of two classes over how wrong its logits are."""
    import altair as alt
    import torch

    from xent.losses import cross_entropy

    rows = []
    for tenths in range(-40, 81):
        for name in ("cross-entropy", "squared error"):
            z = torch.tensor([[tenths / 10, 0.0]], dtype=torch.float64, requires_grad=True)
            truth = torch.tensor([[0.0, 1.0]], dtype=torch.float64)
            squares = ((z.softmax(1) - truth) ** 2).mean()
            loss = squares if name == "squared error" else cross_entropy(z, torch.tensor([1]))
            loss.backward()
            values = (("loss", loss.item()), ("size of the gradient", abs(z.grad[0, 1].item())))
            rows += [{"wrong": tenths / 10, "loss": name, "of": of, "y": y} for of, y in values]
    color = alt.Color("loss:N", scale=alt.Scale(range=["#0072b2", "#d55e00"]))
    color = color.legend(title=None, orient="top", labelFontSize=13)
    charts = [
        alt.Chart(alt.Data(values=[row for row in rows if row["of"] == of]))
        .mark_line(strokeWidth=2.5)
        .encode(
            alt.X("wrong:Q", title="how wrong the model is (logit of the other class)"),
            alt.Y("y:Q", title=of),
            color,
        )
        .properties(width=310, height=230)
        for of in ("loss", "size of the gradient")
    ]
    alt.hconcat(*charts, background="white").save(str(HERE / "losses.png"), scale_factor=1.5)


if __name__ == "__main__":
    with TemporaryDirectory() as scratch:
        for take in (report, audit, losses):
            if not sys.argv[1:] or take.__name__ in sys.argv[1:]:
                take(Path(scratch))

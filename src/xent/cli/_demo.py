"""`xent demo`: the corridor through the house on real digits, in one command."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from xent._terminal import as_typed
from xent.cli import _data
from xent.cli._tables._load import load
from xent.cli._tables._options import TableOptions

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from xent._page import Page
    from xent.evaluation import Report
    from xent.training import FairComparison, SoftmaxClassifier

SHARE_TO_TRAIN_ON = 0.8  # share to train on where a folder holds one part
LIKELIHOOD_ROWS = 10_000  # of which the four names of the loss are computed


def register(app: typer.Typer) -> None:
    """Add the command."""

    @app.command()
    def demo(
        html: Annotated[
            Path, typer.Option("--html", "--report", help="Write the report as a page.")
        ] = Path("report.html"),
        data: Annotated[
            str | None,
            typer.Option(
                help="A folder with MNIST's files, instead of the digits that come along. If it "
                "holds only one part, the first four fifths of it are trained on.",
                metavar="FOLDER",
            ),
        ] = None,
        epochs: Annotated[
            int | None,
            typer.Option(help="Passes over the training digits: 30, or 10 with --data."),
        ] = None,
        seeds: Annotated[
            int,
            typer.Option(help="Starts of the fair comparison, at least 2; 0 leaves it out."),
        ] = 5,
        seed: _data.Seed = 0,
        lang: _data.Lang = None,
    ) -> None:
        """Train on real handwritten digits under five losses, one of them a mistake; compare bits.

        Example: xent demo --epochs 5 --seeds 0
        """
        from xent import _check
        from xent._lang import speaking

        _data.check_outputs([], {"--html": html})
        _data.check_language(lang)
        epochs = (30 if data is None else 10) if epochs is None else epochs
        _check.integer("--epochs", epochs, least=1)
        if seeds != 0:
            _check.integer("--seeds", seeds, least=2)
        _data.check_seed(seed)
        with speaking(lang):
            _tell(html, data, epochs, seeds, seed)


def _tell(html: Path, data: str | None, epochs: int, seeds: int, seed: int) -> None:
    """Train, compare, and tell it in text and as a page."""
    from xent._lang import say, say_count, spoken
    from xent._optional import need
    from xent._page import Page
    from xent.training import SoftmaxClassifier, compare_losses
    from xent.training._story import page as story

    # These steps are so small that waking a second thread costs more than it computes, and on a
    # busy machine ten times more.
    need("torch", extra="torch", by="xent demo").set_num_threads(1)
    digits = _embedded() if data is None else _mnist(data)
    head = say(
        "{train:,} handwritten digits to train on, {test:,} held out. {epochs} under each loss.",
        train=len(digits.X),
        test=len(digits.X_test),
        epochs=say_count(epochs, "epoch"),
    )
    typer.echo(f"{head}\n")
    settings = SoftmaxClassifier(epochs=epochs, random_state=seed)
    held = digits.X_test, digits.y_test
    # First: at one rate, losses that are averaged over outputs look worse than they are.
    fair = _compare_fairly(digits, settings, seeds) if seeds else None
    comparison = compare_losses(
        digits.X, digits.y, story.FIVE, validation=held, classifier=settings
    )
    best = comparison.reports[comparison.best]
    typer.echo(f"{say('One start at the rate that all share:')}\n{comparison}\n")
    lead = say(
        "The same classifier, trained on {train:,} digits of {side} × {side} pixels under five "
        "losses, judged on {test:,} digits that it was not trained on. One of the five is a "
        "mistake.",
        train=len(digits.X),
        side=digits.side,
        test=len(digits.X_test),
    )
    page = Page(say("Five losses on handwritten digits"), lead, best.signature)
    if fair is not None:
        story.add_fair(page, fair)
    comparison.add_to(page)
    audited = ""
    if spoken() == "en":  # the audit's rules speak English alone
        audited = story.audit_of_mistake(comparison, digits.X, digits.y)
        typer.echo(f"xent audit, of double_softmax on its first batch:\n{audited}\n")
    story.add_double_softmax(page, comparison, audited)
    _four_names(page, digits, comparison.classifiers["cross_entropy"])
    story.add_slopes(page, len(set(digits.y.tolist())))
    _saturate(page, digits, settings)
    loss = comparison.best
    typer.echo(say("The classifier trained under {loss}, on the held-out digits:", loss=loss))
    typer.echo(str(best))
    _show_hardest(page, digits, comparison.best, best)
    best.add_to(page)
    page.write(html, argument="--html")
    typer.echo("\n" + say("The whole story, with pictures: {html}", html=as_typed(html)))


@dataclass(frozen=True)
class Digits:
    """Pixels from 0 to 1 and what they show, to train on and to judge by."""

    X: NDArray[np.floating]
    y: NDArray[np.generic]
    X_test: NDArray[np.floating]
    y_test: NDArray[np.generic]
    side: int


def _embedded() -> Digits:
    from xent.training import Scaling

    train, test = (load(f"digits-{part}", TableOptions()) for part in ("train", "test"))
    scaling = Scaling.of(train.X)
    return Digits(scaling.apply(train.X), train.labels, scaling.apply(test.X), test.labels, 8)


def _mnist(folder: str) -> Digits:
    """Read MNIST's files; where there is one part, its first rows are trained on."""
    import numpy as np

    from xent import _check
    from xent.training import read_images
    from xent.training._data.source import parts_of

    with _data.words(path="--data"):
        parts = parts_of(folder) if Path(folder).exists() else []
        images = [read_images(folder, part) for part in parts or ["train"]]
    side = images[0].shape[0]
    if images[0].shape[:2] != (side, side) or images[0].X.dtype != np.uint8:
        must = "hold square grey images of bytes, as MNIST's are"
        raise _check.invalid("--data", must, " x ".join(map(str, images[0].shape)))
    X, y = [np.divide(i.X, np.float32(255)) for i in images], [i.y for i in images]
    if len(images) == 2:
        return Digits(X[0], y[0], X[1], y[1], side)
    first = int(SHARE_TO_TRAIN_ON * len(X[0]))
    return Digits(X[0][:first], y[0][:first], X[0][first:], y[0][first:], side)


def _compare_fairly(digits: Digits, settings: SoftmaxClassifier, seeds: int) -> FairComparison:
    """Say what each loss costs at the rate that all share, and at its own best one."""
    from xent._lang import say
    from xent.training import compare_losses_fairly
    from xent.training._story import page as story

    fair = compare_losses_fairly(
        digits.X,
        digits.y,
        story.FIVE,
        validation=(digits.X_test, digits.y_test),
        classifier=settings,
        seeds=seeds,
    )
    head = say(
        "Each loss at the rate that all share and at its own best one, over {seeds} starts "
        "(differences are each loss's own best against cross-entropy's):",
        seeds=seeds,
    )
    typer.echo(f"{head}\n{fair}\n")
    return fair


def _four_names(page: Page, digits: Digits, classifier: SoftmaxClassifier) -> None:
    """Say and show one loss under four names."""
    from xent._lang import say
    from xent.training import likelihood_table
    from xent.training._story import page as story

    some = slice(None, LIKELIHOOD_ROWS)
    table = likelihood_table(classifier, digits.X[some], digits.y[some])
    typer.echo(f"{say('One loss under four names, on the training digits:')}\n{table}\n")
    story.add_likelihood(page, table)


def _saturate(page: Page, digits: Digits, settings: SoftmaxClassifier) -> None:
    """Show starts that are sure of everything."""
    from xent.training._story import page as story
    from xent.training._story.saturated import saturated_starts

    held = digits.X_test, digits.y_test
    names = ("cross_entropy", "mse_sigmoid")
    runs = saturated_starts(digits.X, digits.y, names, validation=held, classifier=settings)
    story.add_saturated(page, runs)


def _show_hardest(page: Page, digits: Digits, name: str, report: Report) -> None:
    """Show the digits that cost most."""
    from xent._lang import say

    side = digits.side
    page.section(
        say("The digits that cost {loss} most", loss=name),
        say(
            "What was written, what the classifier read, and the bits it cost to tell it the "
            "truth. Would you have read them right?"
        ),
        images=[
            (
                digits.X_test[hard.row].reshape(side, side),
                say(
                    "a {target}, read as {prediction}: {cost:.1f} bits",
                    target=hard.target,
                    prediction=hard.prediction,
                    cost=hard.cost,
                ),
            )
            for hard in report.hardest[:9]
        ],
    )

"""`xent demo`: the corridor through the house on real digits, in one command."""

from pathlib import Path
from typing import Annotated

import typer

from xent.cli import _data
from xent.cli._tables import TableOptions, load


def register(app: typer.Typer) -> None:
    """Add the command."""

    @app.command()
    def demo(
        html: Annotated[
            Path, typer.Option("--html", "--report", help="Write the report to this HTML file.")
        ] = Path("report.html"),
        epochs: Annotated[
            int, typer.Option(help="Passes over the training digits, for each loss.")
        ] = 30,
        seed: _data.Seed = 0,
    ) -> None:
        """Train on real handwritten digits under four losses, and compare them in bits.

        Example: xent demo --html report.html
        """
        from xent import _check

        _data.check_outputs([], {"--html": html})
        _check.integer("--epochs", epochs, least=1)
        from xent._optional import need
        from xent._page import Page
        from xent.training import Scaling, SoftmaxClassifier, compare_losses

        # These steps are so small that waking a second thread costs more than it computes, and on a
        # busy machine ten times more.
        need("torch", extra="torch", by="xent demo").set_num_threads(1)
        train, test = (load(f"digits-{part}", TableOptions()) for part in ("train", "test"))
        scaling = Scaling.of(train.X)
        typer.echo(
            f"{len(train.X):,} handwritten digits to train on, {len(test.X):,} held out. "
            f"{_check.count(epochs, 'epoch')} under each loss.\n"
        )
        settings = SoftmaxClassifier(epochs=epochs, random_state=seed)
        comparison = compare_losses(
            scaling.apply(train.X),
            train.labels,
            validation=(scaling.apply(test.X), test.labels),
            classifier=settings,
        )
        best = comparison.reports[comparison.best]
        typer.echo(f"{comparison}\n")
        typer.echo(f"The classifier trained under {comparison.best}, on the held-out digits:")
        typer.echo(str(best))

        page = Page(
            "Four losses on handwritten digits",
            f"The same classifier, trained on {len(train.X):,} digits of 8 × 8 pixels under four "
            f"losses, judged on {len(test.X):,} digits that it was not trained on.",
            best.signature,
        )
        comparison.add_to(page)
        page.section(
            f"The digits that cost {comparison.best} most",
            "What was written, what the classifier read, and the bits it cost to tell it the "
            "truth. Would you have read them right?",
            images=[
                (
                    test.X[hard.row].reshape(8, 8) / 16,
                    f"a {hard.target}, read as {hard.prediction}: {hard.cost:.1f} bits",
                )
                for hard in best.hardest[:9]
            ],
        )
        best.add_to(page)
        page.write(html, argument="--html")
        typer.echo(f"\nThe whole story, with pictures: {html}")

"""One network, one start, the same batches, several losses: what the loss alone changes."""

import os
import time
from collections.abc import Iterable
from dataclasses import dataclass
from numbers import Integral
from typing import Any

from numpy.typing import ArrayLike
from sklearn.base import clone
from sklearn.utils import check_random_state, column_or_1d

from xent import _check
from xent._lang import say, speaking
from xent._page import COLOURS, Page, altair
from xent._terminal import fitted, right_in, width_of
from xent.evaluation import Report, evaluate
from xent.training._classifier import SoftmaxClassifier, pair
from xent.training._objectives import FOUR, MISTAKES, objective_of
from xent.training._story.slopes import double_softmax_floor


@dataclass(frozen=True, repr=False)
class Comparison:
    """What `compare_losses` found; `print` it, or write it with `to_html`.

    Parameters
    ----------
    classifiers : dict of str to SoftmaxClassifier
        The fitted classifier of each loss.
    reports : dict of str to Report
        Its evaluation on the held-out rows, in bits.
    seconds : dict of str to float
        How long its training took.

    Examples
    --------
    >>> from xent.training import SoftmaxClassifier
    >>> X, y = [[0.0], [1.0], [2.0], [3.0]], [0, 0, 1, 1]
    >>> from xent.training import compare_losses
    >>> settings = SoftmaxClassifier(epochs=50, random_state=0)
    >>> found = compare_losses(X, y, validation=(X, y), classifier=settings)
    >>> found.best, len(found.reports)
    ('cross_entropy', 4)
    """

    classifiers: dict[str, SoftmaxClassifier]
    reports: dict[str, Report]
    seconds: dict[str, float]

    @property
    def best(self) -> str:
        """The loss whose classifier wastes the fewest held-out bits."""
        return min(self.reports, key=lambda loss: self.reports[loss].cross_entropy)

    def to_html(
        self, path: str | os.PathLike[str], *, title: str | None = None, lang: str | None = None
    ) -> None:
        """Write the comparison, and the report of the best, as one page that opens anywhere.

        Parameters
        ----------
        path : str or PathLike
            Where the page shall stand; it is written whole or not at all.
        title : str, optional
            Its heading; "What the loss alone changes" where not given.
        lang : str, optional
            Its language: ``en``, or ``zh`` for Chinese. By default that of the environment
            variable ``XENT_LANG``, else English.

        Raises
        ------
        ImportError
            If the extra ``report`` is not installed.
        ValueError
            If the language is another.
        """
        best = self.reports[self.best]
        with speaking(lang):
            page = Page(title or say("What the loss alone changes"), "", best.signature)
            self.add_to(page)
            best.add_to(page)
            page.write(path)

    def add_to(self, page: Page) -> None:
        """Add the table and the curves to a page that holds more than this comparison.

        Parameters
        ----------
        page : Page
            The page.
        """
        page.section(
            say("The same network under each loss"),
            say(
                "Same start, same batches, same number of steps, same learning rate. "
                "Held-out bits are the mean cost "
                "of the true class on rows that were not trained on; fewer are better."
            ),
            columns=_heads(),
            rows=self._rows(),
            best=list(self.reports).index(self.best),
        )
        page.section(
            say("Why: what reaches the output layer"),
            say(
                "Left, held-out bits after each epoch. Right, the mean norm of the gradient at the "
                "output layer. Squared error multiplies the error by the slope of the softmax or "
                "the sigmoid, which is almost nothing where the model is surely wrong, and it is "
                "averaged over all outputs: the signal starts small and stays small. Cross-entropy "
                "cancels that slope. A larger learning rate makes up for much of it; here all "
                "share one."
            ),
            charts=[
                self._curves("validation_bits", say("held-out bits a row")),
                self._curves("gradient_norm", say("gradient norm, logarithmic"), log=True),
            ],
        )

    def _rows(self) -> list[tuple[str, ...]]:
        return [
            (
                loss,
                f"{report.cross_entropy:.4f}"
                if report.cross_entropy < 1e4
                else f"{report.cross_entropy:.3g}",
                f"{100 * report.accuracy:.1f} %",
                f"{report.brier:.4f}",
                f"{100 * report.calibration_error:.1f} %",
                f"{self.seconds[loss]:.1f}",
            )
            for loss, report in self.reports.items()
        ]

    def _curves(self, key: str, title: str, *, log: bool = False) -> Any:
        alt = altair()
        names = list(self.classifiers)
        data = [
            {"epoch": i, "loss": name, "value": value}
            for name, classifier in self.classifiers.items()
            for i, value in enumerate(classifier.history_[key], start=1)
            if value > 0 or not log
        ]
        scale = alt.Scale(type="log") if log else alt.Scale(zero=True)
        return (
            alt.Chart(alt.Data(values=data))
            .mark_line(point=alt.OverlayMarkDef(size=22), strokeWidth=2)
            .encode(
                x=alt.X("epoch:Q", axis=alt.Axis(tickMinStep=1, format="d"), title=say("epoch")),
                y=alt.Y("value:Q", title=title, scale=scale),
                color=alt.Color(
                    "loss:N",
                    sort=names,
                    scale=alt.Scale(domain=names, range=COLOURS),
                    legend=alt.Legend(orient="bottom", columns=2, title=None, labelLimit=240),
                ),
                tooltip=[
                    alt.Tooltip("loss:N", title=say("loss")),
                    alt.Tooltip("epoch:Q", title=say("epoch")),
                    alt.Tooltip("value:Q", format=".4g", title=say("value")),
                ],
            )
            .properties(width=350, height=250)
        )

    def __repr__(self) -> str:
        return str(self)

    def __str__(self) -> str:
        lines = [_heads(), *self._rows()]
        widths = [max(width_of(line[k]) for line in lines) for k in range(len(lines[0]))]
        out = []
        for line in lines:
            cells = [fitted(line[0], widths[0])]
            cells += [right_in(c, w) for c, w in zip(line[1:], widths[1:], strict=True)]
            out.append("  ".join(cells) + (say("  <- fewest bits") if line[0] == self.best else ""))
        return "\n".join([*out, *self._mistakes()])

    def _mistakes(self) -> list[str]:
        """Say of a second softmax what gives it away."""
        if "double_softmax" not in self.classifiers:
            return []
        model = self.classifiers["double_softmax"]
        classes = len(model.classes_)
        return [
            say(
                "double_softmax ends at a loss of {loss:.4f} nats, and with {classes} classes "
                "cannot fall below ln(1 + {others}/e) = {floor:.4f}.",
                loss=model.history_["loss"][-1],
                classes=classes,
                others=classes - 1,
                floor=double_softmax_floor(classes),
            )
        ]


def _heads() -> tuple[str, ...]:
    """Return the headings of the table, in the language that is spoken."""
    return (
        say("loss"),
        say("held-out bits"),
        say("accuracy"),
        say("Brier"),
        say("calibration error"),
        say("seconds"),
    )


def compare_losses(
    X: ArrayLike,
    y: ArrayLike,
    losses: Iterable[str] = FOUR,
    *,
    validation: tuple[ArrayLike, ArrayLike],
    classifier: SoftmaxClassifier | None = None,
) -> Comparison:
    """Train the same network from the same start on the same batches under each loss.

    Parameters
    ----------
    X : array_like, shape (N, D)
        Features.
    y : array_like, shape (N,)
        Classes.
    losses : iterable of str
        Names that `SoftmaxClassifier` knows, with their options. Also "double_softmax", which it
        refuses: cross-entropy with a second softmax in front, to see what that mistake does.
    validation : pair (X, y)
        Held-out rows: measured after every epoch, and evaluated in bits at the end.
    classifier : SoftmaxClassifier, optional
        Its settings are used, all but the loss. Not fitted itself.

    Returns
    -------
    Comparison
        Print it, or write it with `Comparison.to_html`.

    Raises
    ------
    ValueError
        If a loss is unknown or named twice, or the data cannot be.

    Examples
    --------
    >>> X, y = [[0.0], [1.0], [2.0], [3.0]], [0, 0, 1, 1]
    >>> settings = SoftmaxClassifier(epochs=50, random_state=0)
    >>> compare_losses(X, y, validation=(X, y), classifier=settings).best
    'cross_entropy'

    References
    ----------
    Golik, P., Doetsch, P. and Ney, H. (2013). Cross-entropy vs. squared error training: a
    theoretical and experimental comparison. Interspeech.
    """
    names = names_of(losses)
    X_test, y_test = pair(validation)
    y, y_test = column_or_1d(y, warn=True), column_or_1d(y_test, warn=True)
    like = SoftmaxClassifier() if classifier is None else classifier
    if not isinstance(like, SoftmaxClassifier):
        got = _check.a(like)
        raise _check.wrong_kind("classifier", "be a SoftmaxClassifier", got)
    # One number drawn here, so that a random_state of None means the same start for all as well.
    seed = check_random_state(like.random_state).randint(2**31 - 1)
    if isinstance(like.random_state, Integral):
        seed = like.random_state
    classifiers, reports, seconds = {}, {}, {}
    for name in names:
        model = classifier_for(name, like).set_params(random_state=seed)
        _warm(model)
        start = time.perf_counter()
        classifiers[name] = model.fit(X, y, validation=(X_test, y_test))
        seconds[name] = time.perf_counter() - start
        log_probs = model.predict_log_proba(X_test)
        reports[name] = evaluate(y_test, logits=log_probs, labels=model.classes_)
    return Comparison(classifiers, reports, seconds)


class MistakenClassifier(SoftmaxClassifier):
    """A classifier under a loss that is wrong, to be looked at; it is not to be used or kept."""

    _mistakes = True


def names_of(losses: Iterable[str]) -> list[str]:
    """Return the losses to compare; refuse what is none, and one that is named twice.

    Parameters
    ----------
    losses : iterable of str
        As the user gave them.

    Raises
    ------
    ValueError, TypeError
        If one cannot be.
    """
    if isinstance(losses, str):
        raise _check.wrong_kind("losses", "be a list of names", repr(losses))
    names = list(losses)
    for name in names:
        objective_of(name, argument="losses", mistakes=True)
    if not names or len(set(names)) < len(names):
        raise _check.invalid("losses", "name at least one loss, and each once", names)
    return names


def classifier_for(loss: str, like: SoftmaxClassifier) -> SoftmaxClassifier:
    """Return an unfitted classifier with the settings of another, under a loss or a mistake.

    Parameters
    ----------
    loss : str
        Its name.
    like : SoftmaxClassifier
        The other.
    """
    if loss in MISTAKES:
        settings = like.get_params(deep=False) | {"loss": loss}
        return MistakenClassifier(**settings)
    model: SoftmaxClassifier = clone(like)
    model.set_params(loss=loss)
    return model


def _warm(model: SoftmaxClassifier) -> None:
    """Fit two rows first: what is compiled or imported once is no loss's time."""
    rows = [[0.0], [1.0]], [0, 1]
    once = clone(model).set_params(epochs=1, learning_rate=0.1)
    once.fit(*rows, validation=rows)

"""The story as sections of a page: tables and pictures of what the losses alone change."""

from __future__ import annotations

from typing import Any

import numpy as np
import torch

from xent._lang import say
from xent._page import COLOURS, Page, altair
from xent.training._compare import Comparison
from xent.training._fit.audited import FIRST_ROWS, findings
from xent.training._fit.targets import numbers_in
from xent.training._objectives import objective_of
from xent.training._story.fair import FairComparison
from xent.training._story.likelihood import LikelihoodTable
from xent.training._story.saturated import SaturatedRun
from xent.training._story.slopes import double_softmax_floor, slopes_at

FIVE = ("cross_entropy", "binary_cross_entropy", "mse_softmax", "mse_sigmoid", "double_softmax")
TINY = 1e-6  # slopes below are not drawn


def add_fair(page: Page, fair: FairComparison) -> None:
    """Add the table of losses at a shared rate and at their own best.

    Parameters
    ----------
    page : Page
        Where.
    fair : FairComparison
        What was found.
    """
    bits = [sum(result.bits) for result in fair.results]
    page.section(
        say("Each loss at the rate that all share, and at its own best one"),
        say(
            "Means over {seeds} starts. Each loss's own rate was chosen from {rates} on a fifth of "
            "the training rows, which judge nothing here. The interval is of the paired "
            "differences over the starts. At a rate that all share, a loss that is averaged over "
            "its outputs takes smaller steps, and that is most of the difference there; at "
            "its own rate the squared error of the softmax does about as well on a problem as "
            "small as this. What cross-entropy buys is that the ordinary rate works.",
            seeds=fair.seeds,
            rates=", ".join(f"{rate:g}" for rate in fair.rates),
        ),
        columns=fair.columns,
        rows=fair.rows(),
        best=bits.index(min(bits)),
    )


def add_likelihood(page: Page, table: LikelihoodTable) -> None:
    """Add the four names of one loss.

    Parameters
    ----------
    page : Page
        Where.
    table : LikelihoodTable
        What was computed.
    """
    page.section(
        say("Maximum likelihood = negative log-likelihood = cross-entropy = KL divergence"),
        say(
            "Four computations on the training rows with the classifier trained under "
            "cross-entropy, and the norm of each one's own gradient by the output layer. The "
            "largest difference between two of the four gradients, of any weight, is {most:.1e}: "
            "rounding. The entropy of the labels given the features is {entropy:.4f} nats: the "
            "part of the cross-entropy that no model can save.",
            most=table.largest_difference,
            entropy=table.entropy,
        ),
        columns=[say("name"), say("formula"), say("nats a row"), say("norm of the gradient")],
        rows=table.rows(),
    )


def audit_of_mistake(comparison: Comparison, X: Any, y: Any) -> str:
    """Return what the audit says of the network under a second softmax, on one batch.

    Parameters
    ----------
    comparison : Comparison
        With double_softmax, of one layer.
    X, y : array_like
        Rows and classes, of which the first are looked at.
    """
    model = comparison.classifiers["double_softmax"]
    weight = torch.tensor(model.coefs_[0], device="cpu")
    layer = torch.nn.Linear(weight.shape[1], weight.shape[0], device="cpu")
    layer.weight.data, layer.bias.data = weight, torch.tensor(model.intercepts_[0], device="cpu")
    rows = torch.tensor(np.asarray(X[:FIRST_ROWS]), dtype=torch.float32, device="cpu")
    target = torch.from_numpy(numbers_in(model.classes_, np.asarray(y[:FIRST_ROWS]), "y"))
    mistaken = torch.nn.Sequential(layer, torch.nn.Softmax(1))
    return " ".join(findings(mistaken, rows, target, objective_of("cross_entropy")))


def add_double_softmax(page: Page, comparison: Comparison, audited: str = "") -> None:
    """Add what gives a second softmax away.

    Parameters
    ----------
    page : Page
        Where.
    comparison : Comparison
        With cross_entropy and double_softmax.
    audited : str
        What the audit says of it.
    """
    names = ("cross_entropy", "double_softmax")
    classes = len(comparison.classifiers[names[0]].classes_)
    floor = double_softmax_floor(classes)
    lead = say(
        "PyTorch's CrossEntropyLoss takes logits and applies the softmax itself. A network "
        "that ends in a softmax already hands it probabilities, and the loss takes a second "
        "softmax of them. Accuracy hides it. Bits show it, and the printed loss gives it away: "
        "with {classes} classes it cannot fall below ln(1 + {others}/e) = {floor:.4f} nats, "
        "however good the model. A loss that stops there is not a bad model, it is the second "
        "softmax.",
        classes=classes,
        others=classes - 1,
        floor=floor,
    )
    if audited:
        lead += f" On the first batch `xent audit` says: {audited}"
    page.section(
        say("The second softmax"),
        lead,
        columns=[
            say("loss"),
            say("printed loss, nats"),
            say("its floor"),
            say("held-out bits"),
            say("accuracy"),
        ],
        rows=[
            (
                name,
                f"{comparison.classifiers[name].history_['loss'][-1]:.4f}",
                f"{floor if name == 'double_softmax' else 0:.4f}",
                f"{comparison.reports[name].cross_entropy:.4f}",
                f"{100 * comparison.reports[name].accuracy:.2f} %",
            )
            for name in names
        ],
        best=0,
    )


def add_slopes(page: Page, classes: int) -> None:
    """Add how much a wrong answer teaches under each loss, in closed form.

    Parameters
    ----------
    page : Page
        Where.
    classes : int
        Of the problem.
    """
    z = np.linspace(-12, 12, 121)
    slopes = slopes_at(z, classes=classes)
    data = [
        {"z": float(x), "loss": name, "slope": float(value)}
        for name, values in slopes.items()
        for x, value in zip(z, values, strict=True)
        if value >= TINY
    ]
    page.section(
        say("How much a wrong answer teaches"),
        say(
            "|dL/dz| of one row in closed form, z the logit of its true class, the other {others} "
            "at 0: wrong on the left, right on the right. Cross-entropy keeps a slope of 1 where "
            "the model is surely wrong. Squared error multiplies the error by the slope of the "
            "sigmoid or the softmax, and a second softmax by that of the first: all three vanish "
            "there. PyTorch's mean over all elements divides both squared errors by {classes} "
            "besides; that is left out here, because it is no slope, and a learning rate makes up "
            "for it.",
            classes=classes,
            others=classes - 1,
        ),
        charts=[_lines(data, "z", "slope", say("logit of the true class"), "|dL/dz|")],
    )


def add_saturated(page: Page, runs: list[SaturatedRun]) -> None:
    """Add starts from which squared error hardly comes away.

    Parameters
    ----------
    page : Page
        Where.
    runs : list of SaturatedRun
        From one start or more.
    """
    charts = []
    for bias in dict.fromkeys(run.bias for run in runs):
        data = [
            {"step": step, "loss": run.loss, "accuracy": accuracy}
            for run in runs
            if run.bias == bias
            for step, accuracy in zip(run.steps, run.accuracy, strict=True)
        ]
        title = say("held-out accuracy, all outputs start at {bias:+g}", bias=bias)
        charts.append(_lines(data, "step", "accuracy", say("step"), title, log=False))
    page.section(
        say("A start that is sure of everything"),
        say(
            "Every output starts with the same bias. A softmax does not see it: cross-entropy "
            "learns as before. Sigmoids are driven into their flat ends, where the slope of their "
            "squared error is almost nothing; the first steps change little, and some of it is "
            "never made up for."
        ),
        columns=[say("loss"), say("start"), say("accuracy"), say("held-out bits")],
        rows=[
            (run.loss, f"{run.bias:+g}", f"{run.accuracy[-1]:.4f}", f"{run.bits[-1]:.4f}")
            for run in runs
        ],
        charts=charts,
    )


def _lines(
    data: list[dict[str, Any]], x: str, y: str, x_title: str, y_title: str, *, log: bool = True
) -> Any:
    alt = altair()
    there = {row["loss"] for row in data}
    names = [name for name in FIVE if name in there]
    colours = [COLOURS[FIVE.index(name)] for name in names]
    scale = alt.Scale(type="log") if log else alt.Scale(zero=False)
    return (
        alt.Chart(alt.Data(values=data))
        .mark_line(strokeWidth=2)
        .encode(
            x=alt.X(f"{x}:Q", title=x_title),
            y=alt.Y(f"{y}:Q", title=y_title, scale=scale),
            color=alt.Color(
                "loss:N",
                sort=names,
                scale=alt.Scale(domain=names, range=colours),
                legend=alt.Legend(orient="bottom", columns=2, title=None, labelLimit=240),
            ),
            tooltip=[
                alt.Tooltip("loss:N", title=say("loss")),
                alt.Tooltip(f"{x}:Q", title=x_title),
                alt.Tooltip(f"{y}:Q", format=".4g", title=y_title),
            ],
        )
        .properties(width=350, height=250)
    )

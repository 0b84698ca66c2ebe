"""Losses of code that runs here: watched in a `with` block, or checked on one batch."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

from xent import _check
from xent._optional import need
from xent.audit._audit import reading
from xent.audit._config import Config, load
from xent.audit._report import AuditReport

if TYPE_CHECKING:
    from torch import Tensor, nn

    from xent.audit._run.observer import Observer


@contextmanager
def watch(*, steps: int | None = None, config: Config | None = None) -> Iterator[AuditReport]:
    """Watch the losses that are computed inside, and say what is wrong with them.

    Nothing that the code computes, draws or prints changes. The scripts that the losses stand in
    are read as well, so that averages are judged; of them only what was run is told.

    Parameters
    ----------
    steps : int, optional
        Check so many steps of optimisers; then the code goes on alone.
    config : Config, optional
        Settings; by default those of the nearest pyproject.toml.

    Yields
    ------
    AuditReport
        Empty inside the block, filled at its end, after an error too.

    Raises
    ------
    ValueError
        If ``steps`` is below 1.
    ImportError
        If PyTorch is not installed.

    Examples
    --------
    >>> import torch
    >>> with watch() as report:
    ...     probabilities = torch.randn(8, 10).softmax(1)
    ...     loss = torch.nn.functional.cross_entropy(probabilities, torch.zeros(8).long())
    >>> [found.name for found in report.findings]
    ['double-softmax']
    """
    need("torch", extra="torch", by="xent.audit")
    if steps is not None:
        _check.integer("steps", steps, least=1)
    from xent.audit._run.observer import Observer
    from xent.audit._run.patches import watching

    folder = Path.cwd()
    config = load(folder) if config is None else config
    report = AuditReport()
    observer = Observer(steps)
    try:
        with watching(observer):
            yield report
    finally:
        _fill(report, observer, config, folder)


def _fill(report: AuditReport, observer: Observer, config: Config, folder: Path) -> None:
    """Put what was seen into a report, with what reading the scripts says of the same losses."""
    from xent.audit._run.settle import settled

    files = {Path(site.place.file) for site in observer.sites.values()}
    scripts = sorted(file for file in files if file.suffix == ".py" and file.is_file())
    found = reading(scripts, config, ran=observer.seen_calls())
    found.not_followed.clear()
    found.sites.clear()
    whole = settled(observer, found, config, folder, only_run=True)
    report.findings[:] = whole.findings
    report.not_followed[:] = whole.not_followed
    report.sites = whole.sites


def check(
    loss: Callable[[Tensor, Tensor], Tensor],
    output: Tensor,
    target: Tensor,
    *,
    config: Config | None = None,
) -> AuditReport:
    """Call a loss on one batch, and say what is wrong with the call.

    Give the output with its graph, as the model returned it: the graph tells which layer came
    last. A loss of one's own is called again, with the targets in another order.

    Parameters
    ----------
    loss : callable
        A module or function of (output, target).
    output : Tensor
        What the model returned, (N, ...).
    target : Tensor
        What it should have returned.
    config : Config, optional
        Settings; by default those of the nearest pyproject.toml.

    Returns
    -------
    AuditReport
        Findings, at the line that calls the loss.

    Raises
    ------
    TypeError
        If ``output`` or ``target`` is no tensor.
    ImportError
        If PyTorch is not installed.

    Examples
    --------
    >>> import torch
    >>> column, row = torch.randn(8, 1), torch.randn(8)
    >>> report = check(lambda a, b: (a - b).square().mean(), column, row)
    >>> [(found.rule, found.name) for found in report.findings]
    [('X203', 'broadcast')]
    """
    torch = need("torch", extra="torch", by="xent.audit")
    for argument, value in (("output", output), ("target", target)):
        if not isinstance(value, torch.Tensor):
            raise _check.wrong_kind(argument, "be a tensor", type(value).__name__)
    with watch(config=config) as report:
        _called(loss, output, target)
    return report


def _called(loss: Callable[[Tensor, Tensor], Tensor], output: Tensor, target: Tensor) -> None:
    """Call a loss, and look at what no loss of PyTorch's shows."""
    import sys

    from xent.audit._run import patches
    from xent.audit._run.rules import targets

    observer = patches.watched_by()
    seen = observer.calls
    value = loss(output, target)
    if observer.calls == seen:
        frame = sys._getframe(2)
        observer.own_loss(value, frame)
        if targets.blind_to_order(loss, output, target, value):
            shapes = tuple(output.shape), tuple(target.shape)
            targets.broadcast_by_hand(observer.site("own", frame), *shapes)


def check_model(
    model: nn.Module,
    inputs: Tensor | tuple[Any, ...] | Mapping[str, Any],
    target: Tensor | None = None,
    loss: Callable[[Tensor, Tensor], Tensor] | None = None,
    *,
    config: Config | None = None,
) -> AuditReport:
    """Run a model on one batch with its loss, and say what is wrong.

    The model's buffers and the random state are restored; gradients are not touched.

    Parameters
    ----------
    model : Module
        The model, in the mode that it is to be looked at.
    inputs : Tensor, tuple or mapping
        What it is called with: ``model(inputs)``, ``model(*inputs)`` or ``model(**inputs)``.
    target : Tensor, optional
        What it should return.
    loss : callable, optional
        A module or function of (output, target). Without it the model computes its loss itself,
        as those of transformers do when given ``labels``.
    config : Config, optional
        Settings; by default those of the nearest pyproject.toml.

    Returns
    -------
    AuditReport
        Findings, at the line that calls the loss.

    Raises
    ------
    ValueError
        If only one of ``loss`` and ``target`` is given.
    ImportError
        If PyTorch is not installed.

    Examples
    --------
    >>> import torch
    >>> model = torch.nn.Sequential(torch.nn.Linear(4, 1), torch.nn.Sigmoid())
    >>> x, y = torch.randn(8, 4), torch.ones(8, 1)
    >>> report = check_model(model, x, y, torch.nn.BCEWithLogitsLoss())
    >>> [found.name for found in report.findings]
    ['double-sigmoid']
    """
    torch = need("torch", extra="torch", by="xent.audit")
    if (target is None) != (loss is None):
        given = "a loss without a target" if target is None else "a target without a loss"
        raise _check.invalid("target", "come with `loss`", given)
    state = torch.get_rng_state()
    buffers = [(buffer, buffer.clone()) for buffer in model.buffers()]
    try:
        with watch(config=config) as report:
            if isinstance(inputs, Mapping):
                output = model(**inputs)
            else:
                output = model(*inputs) if isinstance(inputs, tuple) else model(inputs)
            if loss is not None and target is not None:
                _called(loss, output, target)
    finally:
        torch.set_rng_state(state)
        with torch.no_grad():
            for buffer, before in buffers:
                buffer.copy_(before)
    return report

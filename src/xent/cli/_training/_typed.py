"""What was typed for `xent train`, read and checked before any data."""

from __future__ import annotations

import re
from collections.abc import Mapping
from pathlib import Path


def check_dense(
    dense: bool, ignore: int | None, module: str | None, given: Mapping[str, object]
) -> None:
    """Refuse what a table alone has where every place has a class, and what that alone has."""
    from xent import _check

    if not dense:
        if ignore is not None:
            raise _check.invalid("--ignore", "go with --dense", ignore)
        return
    for option, value in given.items():
        if value:
            raise _check.invalid(option, "be left out with --dense", repr(value))
    if module is None:
        must = "name a network with --dense, from inputs to logits of every place"
        raise _check.invalid("--module", must, "none")


def check_multilabel(
    multilabel: bool,
    target: str | None,
    separator: str | None,
    class_weight: str | None,
) -> None:
    """Refuse what goes with several labels alone, or with one class alone."""
    from xent import _check

    if not multilabel:
        if separator is not None:
            raise _check.invalid("--label-separator", "go with --multilabel", repr(separator))
        return
    if target is None:
        raise _check.invalid("--target", "name the labels with --multilabel", "none")
    advice = "To count what is there more, use --loss binary_cross_entropy:pos_weight=5."
    if class_weight is not None:
        must = "be left out with --multilabel"
        raise _check.invalid("--class-weight", must, repr(class_weight), advice)


def check_buffer(
    buffer: int | None,
    share: float | None,
    folds: int | None,
    multilabel: bool,
    drop_missing: bool,
) -> None:
    """Refuse what needs all rows at once where they are read block by block."""
    from xent import _check

    if buffer is None:
        return
    _check.integer("--buffer", buffer, least=1)
    given = {
        "--folds": folds,
        "--multilabel": multilabel or None,
        "--drop-missing-target": drop_missing or None,
    }
    for option, value in given.items():
        if value is not None:
            raise _check.invalid(option, "be left out with --buffer", value)
    if share is not None:
        raise _check.invalid("--validation", "name a file with --buffer", f"{share:g}")


def out_of_fold_file(folds: int | None, file: Path | None, validation: str | None) -> Path | None:
    """Return where the predictions of folds go, None without folds."""
    from xent import _check

    if folds is None:
        if file is not None:
            raise _check.invalid("--out-of-fold", "go with --folds", repr(str(file)))
        return None
    _check.integer("--folds", folds, least=2)
    if validation is not None:
        raise _check.invalid("--validation", "be left out with --folds", repr(validation))
    return file or Path("out_of_fold.csv")


def refuse_for_images(data: str, given: Mapping[str, object]) -> None:
    """Refuse what was said of a table where images are read."""
    from xent import _check

    for option, value in given.items():
        if value:
            raise _check.invalid(option, "go with a table", f"images in {data!r}")


def share_of(validation: str | None) -> float | None:
    """Return the share of rows to hold out, None where a file is named."""
    from xent import _check

    try:
        share = float(validation or "")
    except ValueError:
        return None
    advice = "Or name a file, such as ./test.csv."
    return _check.share("--validation", share, advice)


def seconds_of(text: str | None) -> float | None:
    """Read a time like 30s, 5m or 2h."""
    from xent import _check

    if text is None:
        return None
    found = re.fullmatch(r"(\d+(?:\.\d+)?)(s|m|h)", text.strip())
    if not found:
        raise _check.invalid("--checkpoint-every", "be a time like 30s, 5m or 2h", repr(text))
    return float(found[1]) * {"s": 1, "m": 60, "h": 3600}[found[2]]


def units_of(text: str) -> list[int]:
    from xent import _check

    try:
        return [int(part) for part in text.split(",") if part.strip()]
    except ValueError:
        raise _check.invalid("--hidden", "be numbers of units like 64,32", repr(text)) from None

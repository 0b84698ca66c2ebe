"""Models and texts read and written: what is refused before the work, and what a name means."""

from pathlib import Path
from typing import Any

from xent.cli import _data
from xent.cli._language._options import STDIN, STDOUT


def is_arpa(path: Path) -> bool:
    """Whether a name says that the file is ARPA text."""
    from xent.language._backoff.storage import names_arpa

    return names_arpa(path)


def check_target(path: Path) -> None:
    """Refuse before the work what could not be written after it."""
    from xent import _check, _store
    from xent.language._backoff.storage import check_name, names_openfst

    if path == STDOUT:
        advice = "What score and filter write can be printed."
        raise _check.invalid("--output", "name a file", repr(str(path)), advice)
    _store.check_target(path, argument="--output")
    if names_openfst(path):
        _store.check_target(words_beside(path), argument="--output")
    elif not is_arpa(path):
        check_name(path, "--output")


def words_beside(path: Path) -> Path:
    """Return the file for the words of an automaton: beside x.fst.txt it is x.words.txt."""
    return path.with_name(path.name.partition(".fst.txt")[0] + ".words.txt")


def check_spared(output: Path, *inputs: Path | None) -> None:
    """Refuse to write over what is read."""
    import os

    from xent import _check

    read = {os.path.realpath(path) for path in inputs if path not in (None, STDOUT)}
    if output != STDOUT and os.path.realpath(output) in read:
        raise _check.invalid("--output", "differ from the input", repr(str(output)))


def load(
    path: Path, argument: str = "MODEL", *, unit: str | None = None, errors: str | None = None
) -> Any:
    """Read a model or a mixture, and let it take texts as the options say."""
    from xent.language import _open

    with _data.words("unit", "errors", path=argument):
        return _open.load(path, unit=unit, errors=errors)


def load_one(
    path: Path, argument: str = "MODEL", *, unit: str | None = None, errors: str | None = None
) -> Any:
    """Read a model that is no mixture."""
    from xent import _check
    from xent.language import Mixture

    loaded = load(path, argument, unit=unit, errors=errors)
    if isinstance(loaded, Mixture):
        raise _check.invalid(argument, "be one model", f"the mixture {str(path)!r}")
    return loaded


def write(model: Any, path: Path) -> None:
    """Write a model as its file's name says."""
    from xent.language import write_arpa, write_openfst
    from xent.language._backoff.storage import names_openfst

    if is_arpa(path):
        write_arpa(model, path)
    elif names_openfst(path):
        write_openfst(model, path, words_beside(path))
    else:
        model.save(path)


def check_once(models: list[Path]) -> None:
    """Refuse a model that is named twice: it would be told once, with half of its weight."""
    from xent import _check

    for k, path in enumerate(models):
        if path in models[:k]:
            raise _check.invalid("MODEL", "name every model once", f"{str(path)!r} twice")


def doubt_json(field: str | None, *paths: Path) -> None:
    """Warn of JSON lines that would be read as lines of text, braces, names and all."""
    from xent import _check

    for path in paths:
        name = path.name.lower()
        if field is None and any(end in name for end in (".jsonl", ".ndjson")):
            said = f"{str(path)!r} is read as lines of text, braces and names too."
            _check.warn(f"{said} If its lines are JSON objects, pass --field NAME.")


def source(paths: list[Path], field: str | None) -> Any:
    """Return what is fitted: files, or the texts of JSON lines."""
    from itertools import chain

    from xent.language._lines import _stream

    doubt_json(field, *paths)
    paths = [STDIN if path == Path("-") else path for path in paths]
    if field is None:
        return paths
    return chain.from_iterable(_stream.lines(path, field) for path in paths)


def again(text: Path, field: str | None = None) -> Any:
    """Return a text that several models can read: of a pipe, which is read but once, its lines."""
    from xent.language._lines import _stream

    pipe = text.exists() and not text.is_file() and not text.is_dir()
    if field is None and not pipe:
        return text
    return list(_stream.lines(text, field))

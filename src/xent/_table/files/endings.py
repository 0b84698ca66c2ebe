"""Which file is which: the ending says it."""

import os
from collections import Counter
from collections.abc import Sequence
from pathlib import Path

from xent import _check

FORMATS = (".parquet", ".csv", ".tsv", ".jsonl", ".ndjson", ".npz")
ARROW_FORMATS = (".arrow", ".feather", ".ipc")
ARRAY_FORMATS = (".npz", ".npy")
READ_FORMATS = (*FORMATS, ".npy", *ARROW_FORMATS)  # read, and not written

_BY_PANDAS = "pandas reads it; `DataFrame.to_parquet` writes what is read here."
_PACKED = "Unpack it first; of packed tables .gz is read as it is."
ONE_A_LINE = "Write one object a line, as `jq -c '.[]' a.json > a.jsonl` does of a list of them."
_WAYS_OUT = {
    **dict.fromkeys((".xlsx", ".xls", ".ods"), "Save the sheet as CSV."),
    ".json": ONE_A_LINE,
    **dict.fromkeys((".pkl", ".pickle"), "A pickle may run anything when read. " + _BY_PANDAS),
    **dict.fromkeys((".dta", ".sas7bdat", ".sav", ".orc", ".h5", ".hdf5"), _BY_PANDAS),
    ".arff": "Weka saves it as CSV, where ? is a missing value.",
    **dict.fromkeys(
        (".rds", ".rda", ".rdata"),
        'In R `write.csv(x, "x.csv", na = "", row.names = FALSE)` writes what is read here.',
    ),
    **dict.fromkeys((".pt", ".pth", ".safetensors"), "Write its arrays by `numpy.savez`."),
    **dict.fromkeys((".zip", ".bz2", ".xz", ".zst", ".7z", ".tar", ".tgz"), _PACKED),
    **dict.fromkeys((".txt", ".data", ".dat"), "If it is a table of text, name it .csv."),
}


def ending(
    path: str | os.PathLike[str], argument: str, formats: Sequence[str] = READ_FORMATS
) -> str:
    """Return the ending that says what a file is, ``.gz`` taken off; refuse one we do not know."""
    suffixes = [s.lower() for s in Path(path).suffixes]
    kind = suffixes[-1] if suffixes else ""
    if (
        kind == ".gz"
        and len(suffixes) > 1
        and suffixes[-2] not in (".parquet", *ARRAY_FORMATS, *ARROW_FORMATS)
    ):
        kind = suffixes[-2]
    if kind not in formats:
        advice = _WAYS_OUT.get(suffixes[-1] if suffixes else "", "")
        must = f"end in {_check.join_names(formats)}"
        raise _check.invalid(
            argument, must, f"{str(path)!r}", advice if formats == READ_FORMATS else ""
        )
    return kind


def kind_of(path: str | os.PathLike[str], argument: str) -> str:
    """Return the ending of a file that is there."""
    if not Path(path).exists():
        raise FileNotFoundError(f"There is no file {str(path)!r}.")
    if Path(path).is_dir():
        raise _check.invalid(argument, "name a file", f"the folder {str(path)!r}")
    kind = ending(path, argument)
    try:
        str(path).encode()
    except UnicodeEncodeError:
        if kind not in ARRAY_FORMATS:
            must = "have a name of UTF-8, or Arrow cannot open it"
            raise _check.invalid(argument, must, repr(str(path)), "Rename it.") from None
    return kind


def refuse_duplicates(
    names: Sequence[str], path: object, argument: str, csv: object = None
) -> None:
    """Refuse a table in which two columns share a name; ``csv`` says how a CSV is written."""
    for name, times in Counter(names).items():
        if times > 1:
            got = f"two {name!r} in {str(path)!r}"
            no_header = (
                "If its first line is a row, pass " + _check.setting("no_header", True) + "."
            )
            advice = "" if csv is None else no_header
            raise _check.invalid(argument, "name every column once", got, advice)


def unreadable(path: object, kind: str, error: object, advice: _check.Words = "") -> ValueError:
    """Say that a file is not what its ending says."""
    titles = {".jsonl": "JSON lines", ".ndjson": "JSON lines"} | dict.fromkeys(
        ARROW_FORMATS, "Arrow"
    )
    title = titles.get(kind, kind[1:].upper())
    first = str(error).partition("\n")[0].strip().rstrip(".")
    return _check.cannot(f"{str(path)!r} cannot be read as {title}", first, advice)

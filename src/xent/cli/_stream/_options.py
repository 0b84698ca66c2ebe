"""What says how a large file is read, and when a file is large."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any

import typer

from xent.cli._addresses import Address
from xent.cli._tables._options import is_array

HELD_BYTES = (
    1 << 24
)  # bytes of numbers that are held at once; what is larger is read piece by piece
_PANEL = "Files larger than memory"


@dataclass(frozen=True)
class StreamOptions:
    """How a file is read piece by piece; each field is an option of the command."""

    checkpoint: Annotated[
        Path | None,
        typer.Option(
            help="Keep what has been read in this file; the same command goes on from it.",
            rich_help_panel=_PANEL,
        ),
    ] = None
    workers: Annotated[
        int | None,
        typer.Option(
            help="Processes that read row groups of Parquet; by default this one alone.",
            rich_help_panel=_PANEL,
        ),
    ] = None
    dask: Annotated[
        str | None,
        typer.Option(
            help="A Dask scheduler whose workers read row groups, like tcp://10.0.0.5:8786.",
            metavar="ADDRESS",
            rich_help_panel=_PANEL,
        ),
    ] = None

    @property
    def asked(self) -> list[str]:
        """The options that were given."""
        options = {
            "--checkpoint": self.checkpoint, "--workers": self.workers, "--dask": self.dask,
        }  # fmt: skip
        return [option for option, value in options.items() if value is not None]

    def refuse(self, where: str) -> None:
        """Refuse all of them where nothing is read piece by piece."""
        from xent import _check

        for option in self.asked:
            raise _check.invalid(option, f"be left out {where}", "both")

    def wanted(self, file: Path | Address, elsewhere: dict[str, Any]) -> bool:
        """Whether a file is read piece by piece.

        Parameters
        ----------
        file : Path
            Predictions.
        elsewhere : dict of option to value
            Options that need all rows in memory; given, they are not None.
        """
        from xent import _check

        asked = self.asked
        if self.workers is not None and self.workers < 1:
            raise _check.invalid("--workers", "be 1 or more", self.workers)
        if self.workers is not None and self.dask is not None:
            raise _check.invalid("--workers", "be left out where --dask is given", "both")
        if isinstance(file, Address) or file.is_dir():
            asked.append("FILE")
        for option, value in elsewhere.items():
            if value is not None and asked:
                got = f"both {option} and {asked[0]}" if asked[0] != "FILE" else str(file)
                must = f"be left out where {asked[0]} is given"
                if asked[0] == "FILE":
                    what = "an address" if isinstance(file, Address) else "a folder"
                    must = f"be left out where FILE is {what}, which is read piece by piece"
                raise _check.invalid(option, must, got)
        if any(value is not None for value in elsewhere.values()):
            return False
        return bool(asked) or isinstance(file, Address) or _size_of(file) > HELD_BYTES


def _size_of(file: Path) -> int:
    """Return how many bytes of numbers a file holds, about; 0 of one that is none."""
    if not file.is_file():
        return 0
    if is_array(file):
        from xent import _table

        return sum(header.size for header in _table.array_headers(file, "FILE").values())
    if file.suffix.lower() == ".parquet":
        import pyarrow as pa
        import pyarrow.parquet

        try:
            with pyarrow.parquet.ParquetFile(file) as found:
                metadata = found.metadata
                return int(metadata.num_rows * metadata.num_columns * 8)
        except (pa.ArrowInvalid, OSError):
            return 0  # whoever reads it says what is wrong
    return file.stat().st_size

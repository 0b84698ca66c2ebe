"""One HTML page that needs nothing else: no server, no network, no second file.

Charts are Altair's, drawn in the browser by JavaScript that lies in the page; a content policy in
the page forbids every request. Whatever text reaches the page is escaped, and it is written whole.
"""

import base64
import json
import os
import re
import struct
import zlib
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from importlib import resources
from typing import Any

import numpy as np
from numpy.typing import NDArray

from xent import _store
from xent._lang import say, spoken
from xent._optional import need
from xent._terminal import printable

# Charts take the colours of the page, which are others in the dark.
INK, SOFT, LINE = "var(--ink)", "var(--soft)", "var(--line)"
# Okabe and Ito's colours can be told apart by everyone.
COLOURS = ["#0072B2", "#D55E00", "#009E73", "#CC79A7", "#E69F00", "#56B4E9", "#F0E442"]


@dataclass
class Page:
    """A page that is filled block by block and then written.

    Parameters
    ----------
    title, lead : str
        What it is, and one sentence on what to see.
    signature : str
        The last line: what reproduces the page.
    """

    title: str
    lead: str = ""
    signature: str = ""
    _blocks: list[dict[str, Any]] = field(default_factory=list)
    _charts: dict[str, Any] = field(default_factory=dict)

    def cards(self, cards: Iterable[tuple[str, str, str]]) -> None:
        """Add a band of big numbers: label, value, note."""
        self._blocks.append({"cards": list(cards)})

    def section(
        self,
        heading: str,
        text: str = "",
        *,
        columns: Sequence[str] = (),
        rows: Iterable[Sequence[str]] = (),
        best: int | None = None,
        bars: Sequence[float] = (),
        texts: int = 1,
        heat: Sequence[Sequence[float]] = (),
        search: str = "",
        choice: Sequence[str] = (),
        charts: Sequence[Any] = (),
        images: Sequence[tuple[NDArray[Any], str]] = (),
    ) -> None:
        """Add a box with a heading and, in this order, text, a table, pictures and charts.

        Parameters
        ----------
        heading, text : str
            What is shown, and how to read it.
        columns, rows : sequence
            A table; the first column is the name of the row.
        best : int, optional
            The row to print in bold.
        bars : sequence of float, optional
            One number a row, drawn as a bar beside its name; to the left where it is below 0.
        texts : int
            How many columns hold names, from the first: they may be long, and in any language.
        heat : sequence of sequence of float, optional
            From 0 to 1, how deep each cell of a row is coloured but the first: a matrix, with the
            names of the columns on their sides.
        search : str, optional
            What a box above the table asks for; it hides the rows without what is typed there.
            Columns are sorted by a click on their name.
        choice : sequence of str, optional
            What one may choose between: the charts of the section show the one that their
            parameter ``chosen`` names.
        charts : sequence of altair.Chart
            Charts, side by side where there is room.
        images : sequence of (array, caption)
            Grey pictures with values from 0 (paper) to 1 (ink).
        """
        names = []
        for chart in charts:
            names.append(f"chart{len(self._charts)}")
            self._charts[names[-1]] = _styled(chart).to_dict()
        block = {"heading": heading, "text": text, "columns": columns, "rows": list(rows)}
        self._blocks.append(
            {
                **block,
                "best": best,
                "bars": _bars(bars),
                "texts": texts,
                "heat": [[f"{100 * share:.0f}" for share in line] for line in heat],
                "search": search,
                "choice": choice,
                "charts": names,
                "images": [(_png(array), caption) for array, caption in images],
            }
        )

    def write(self, path: str | os.PathLike[str], *, argument: str = "path") -> None:
        """Write the page, whole or not at all."""
        jinja2 = need("jinja2", extra="report", by="An HTML report")
        markup = need("markupsafe", extra="report", by="An HTML report").Markup
        environment = jinja2.Environment(
            autoescape=True,
            trim_blocks=True,
            lstrip_blocks=True,
            undefined=jinja2.StrictUndefined,
            finalize=lambda value: printable(value) if type(value) is str else value,
        )
        template = environment.from_string(
            resources.files("xent").joinpath("_page.html").read_text(encoding="utf-8")
        )
        library = ""
        if self._charts:
            library = need("vl_convert", extra="report", by="An HTML report").javascript_bundle()
        text = template.render(
            lang={"zh": "zh-CN"}.get(spoken(), spoken()),
            show=say("Show"),
            title=self.title,
            lead=self.lead,
            signature=self.signature,
            blocks=[{"cards": None, **block} for block in self._blocks],
            # Neither may close the script that carries it.
            library=markup(re.sub("</(?=script)", r"<\\/", library, flags=re.IGNORECASE)),
            specs=markup(json.dumps(self._charts).replace("<", "\\u003c")) if self._charts else "",
        )
        with _store.writing(path, argument=argument) as file:
            file.write(text.encode("utf-8"))


def _bars(values: Sequence[float]) -> list[dict[str, str]]:
    """Return where each bar begins and how long it is, in percent; 0 is where the negative end."""
    low, high = min([0.0, *values]), max([0.0, *values])
    whole = high - low or 1.0
    return [
        {
            "side": "less" if value < 0 else "more",
            "start": f"{100 * (min(value, 0.0) - low) / whole:.2f}",
            "size": f"{100 * abs(value) / whole:.2f}",
        }
        for value in values
    ]


def altair() -> Any:
    """Return the charting library, or say how to get it."""
    return need("altair", extra="report", by="An HTML report")


def _styled(chart: Any) -> Any:
    axis = {
        "labelColor": SOFT,
        "titleColor": SOFT,
        "titleFontWeight": "normal",
        "gridColor": LINE,
        "domainColor": LINE,
        "tickColor": LINE,
    }
    font = (
        "system-ui, -apple-system, 'Segoe UI', Roboto, Arial, 'Noto Sans CJK SC', 'PingFang SC', "
        "'Microsoft YaHei', sans-serif"
    )
    return (
        chart.configure(font=font, background="transparent")
        .configure_axis(labelFontSize=12, titleFontSize=12, **axis)
        .configure_legend(labelFontSize=12, titleFontSize=12, labelColor=INK, titleColor=SOFT)
        .configure_title(fontSize=14, fontWeight=600, color=INK, anchor="start", offset=10)
        .configure_view(stroke=None)
        .configure_range(category=COLOURS)
    )


def _png(picture: NDArray[Any]) -> str:
    """Encode a grey picture as a data URI; eight bits, no filter."""
    grey = np.round(255 * (1 - np.clip(picture, 0, 1))).astype(np.uint8)
    height, width = grey.shape

    def chunk(kind: bytes, data: bytes) -> bytes:
        body = kind + data
        return struct.pack(">I", len(data)) + body + struct.pack(">I", zlib.crc32(body))

    lines = b"".join(b"\0" + row.tobytes() for row in grey)
    data = b"\x89PNG\r\n\x1a\n" + chunk(
        b"IHDR", struct.pack(">IIBBBBB", width, height, 8, 0, 0, 0, 0)
    )
    data += chunk(b"IDAT", zlib.compress(lines, 9)) + chunk(b"IEND", b"")
    return "data:image/png;base64," + base64.b64encode(data).decode()

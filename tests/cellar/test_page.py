"""What pages are made of: bars, pictures and languages, each by hand."""

import base64
import io
import threading

import numpy as np
import pytest

from xent import _lang
from xent._page import _bars, _png


@pytest.mark.parametrize(
    ("values", "parts"),
    [
        ([], []),
        ([2.0, 1.0], [("more", 0, 100), ("more", 0, 50)]),
        (
            [2.0, -1.0, 0.0],
            [("more", 100 / 3, 200 / 3), ("less", 0, 100 / 3), ("more", 100 / 3, 0)],
        ),
        ([-1.0, -2.0], [("less", 50, 50), ("less", 0, 100)]),
        ([0.0, 0.0], [("more", 0, 0), ("more", 0, 0)]),
    ],
)
def test_bars_begin_at_0(values, parts):
    """All within the width from the least to the greatest value, 0 among them."""
    wanted = [
        {"side": side, "start": f"{start:.2f}", "size": f"{size:.2f}"}
        for side, start, size in parts
    ]
    assert _bars(values) == wanted


def test_a_picture_is_black_where_it_is_1():
    image = pytest.importorskip("PIL.Image")
    shades = np.array([[0.0, 1.0, 0.5], [-3.0, 2.0, 0.25]])
    said = _png(shades).removeprefix("data:image/png;base64,")
    found = np.asarray(image.open(io.BytesIO(base64.b64decode(said))))
    assert found.tolist() == [[255, 0, 128], [255, 0, 191]]


def test_a_language_lasts_as_long_as_it_is_spoken(monkeypatch):
    """Within and not after, also after an error; another thread speaks its own."""
    monkeypatch.delenv(_lang.VARIABLE, raising=False)
    heard = []
    with _lang.speaking("zh"):
        with _lang.speaking("en"):
            assert _lang.spoken() == "en"
        with _lang.speaking(None):
            assert _lang.spoken() == "zh"
        other = threading.Thread(target=lambda: heard.append(_lang.spoken()))
        other.start()
        other.join()
    assert heard == ["en"]
    with pytest.raises(KeyError), _lang.speaking("zh"):
        _lang.say("no such sentence")
    assert _lang.spoken() == "en"
    monkeypatch.setenv(_lang.VARIABLE, "zh")
    assert _lang.spoken() == "zh"
    with _lang.speaking("en"):
        assert _lang.spoken() == "en"
    monkeypatch.setenv(_lang.VARIABLE, "")
    assert _lang.spoken() == "en"
    monkeypatch.setenv(_lang.VARIABLE, "de")
    with pytest.raises(ValueError, match="`XENT_LANG` must be 'en' or 'zh', got 'de'"):
        _lang.spoken()
    with (
        pytest.raises(ValueError, match="`lang` must be 'en' or 'zh', got 'fr'"),
        _lang.speaking("fr"),
    ):
        pass

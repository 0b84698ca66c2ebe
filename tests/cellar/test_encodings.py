"""What is advised for a file that is not UTF-8, and for one whose first line is a row."""

import pytest

from xent import _table
from xent._table.files.encodings import likely_encoding
from xent.measures import drift, rank_features

CHINESE = "城市,人口,说明\n北京,21893095,中国的首都，政治文化中心\n上海,24870895,最大的经济中心\n"
TAIWAN = "城市,人口\n臺北,2600000\n高雄,2700000\n這是一個測試檔案，內容為中文,1\n"
JAPANESE = "都市,人口\nとうきょう,1400\nおおさか,800\nコンピュータ,3\n東京は日本の首都である,1\n"
KOREAN = "도시,인구\n서울,9700000\n부산,3400000\n대구,2400000\n우리나라의 큰 도시들이다,1\n인천,2900000\n"
RUSSIAN = "город,население\nМосква,12000000\nСанкт-Петербург,5000000\n"
FRENCH = "ville,désignation\nOrléans,été\nBézier,préfecture à côté\n"


@pytest.mark.parametrize(
    ("text", "encoding"),
    [
        (CHINESE, "gb18030"),
        (TAIWAN, "big5"),
        (JAPANESE, "shift_jis"),
        (JAPANESE, "euc_jp"),
        (KOREAN, "euc_kr"),
        (RUSSIAN, "cp1251"),
        (RUSSIAN, "koi8_r"),
        (FRENCH, "latin1"),
        ("prix\n20€\n", "cp1252"),
        (FRENCH, "utf16"),
        (FRENCH, "utf32"),
    ],
)
def test_the_advice_reads_the_file(text, encoding, tmp_path):
    (tmp_path / "t.csv").write_bytes(text.encode(encoding))
    with pytest.raises(ValueError, match=f'Save it as UTF-8, or pass encoding="{encoding}"'):
        _table.read(tmp_path / "t.csv", csv=_table.Csv())
    assert likely_encoding((text * 50_000).encode(encoding)) == encoding
    if "," in text:
        table = _table.read(tmp_path / "t.csv", csv=_table.Csv(encoding=encoding))
        assert table.column_names == text.split("\n")[0].split(",")


def test_gbk_is_gb18030(tmp_path):
    (tmp_path / "t.csv").write_bytes(CHINESE.encode("gbk"))
    with pytest.raises(ValueError, match="gb18030"):
        _table.read(tmp_path / "t.csv", csv=_table.Csv())


def test_a_first_row_is_not_lost_in_silence_in_python_either(tmp_path):
    (tmp_path / "t.csv").write_text("5.1,3.5,setosa\n4.9,3.0,setosa\n6.2,2.8,virginica\n")
    for call in (
        lambda path: rank_features(path, "setosa"),
        lambda path: drift(path, path),
        _table.read,
    ):
        with pytest.warns(UserWarning, match="reads like a row: .* Write a line of names above"):
            call(tmp_path / "t.csv")

"""Ten tables and three texts as strangers have them: made small, or as scikit-learn ships them.

Each is written as the files of its kind are found on public servers: without a header, with `?` or
a blank for what is missing, with semicolons and decimal commas, in GBK, with dates of the day first.
"""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from sklearn import datasets


@dataclass(frozen=True)
class Table:
    """A file, and which of its columns people ask about.

    Parameters
    ----------
    name : str
        Of the file, its ending included.
    kind : str
        What is peculiar about it.
    target : str
        The column to predict.
    place : int
        Where it stands, for a file without a header.
    write : callable
        Returns the file's bytes.
    numeric : bool
        Whether all its other columns are numbers.
    """

    name: str
    kind: str
    target: str
    place: int
    write: Callable[[], bytes]
    numeric: bool = False


def _lines(rows: list[list[object]], separator: str = ",") -> bytes:
    return "".join(separator.join(map(str, row)) + "\n" for row in rows).encode()


def _iris() -> bytes:
    data = datasets.load_iris()
    names = ["Iris-" + str(name) for name in data.target_names]
    return _lines([[*x, names[y]] for x, y in zip(data.data, data.target, strict=True)])


def _wine() -> bytes:
    data = datasets.load_wine()
    head = [*data.feature_names, "cultivar"]
    rows = [[*x, f"cultivar {y}"] for x, y in zip(data.data, data.target, strict=True)]
    return _lines([head, *rows], ";").replace(b".", b",")


def _biopsies() -> bytes:
    """As breast-cancer-wisconsin.data: an id, nine whole numbers, gaps in one, class 2 or 4."""
    data = datasets.load_breast_cancer()
    scaled = data.data[:, :9]
    scaled = 1 + np.floor(9.99 * (scaled - scaled.min(0)) / (scaled.max(0) - scaled.min(0)))
    rows = []
    for i, (x, y) in enumerate(zip(scaled.astype(int).tolist(), data.target, strict=True)):
        row: list[object] = [1000025 + 137 * i, *x, 2 if y else 4]
        if i % 40 == 7:
            row[6] = "?"
        rows.append(row)
    return _lines(rows)


def _passengers() -> bytes:
    rng = np.random.default_rng(0)
    rows: list[list[object]] = [
        ["PassengerId", "Pclass", "Name", "Sex", "Age", "Alone", "Survived"]
    ]
    for i in range(400):
        sex, age, cabin = rng.choice(["male", "female"]), rng.integers(1, 80), rng.integers(1, 4)
        survived = rng.random() < (0.75 if sex == "female" else 0.2) + 0.05 * (cabin == 1)
        known = age if rng.random() < 0.8 else ""
        alone = rng.choice(["True", "False", ""], p=[0.5, 0.4, 0.1])
        rows.append([i + 1, cabin, f'"Person {i}, of {sex}"', sex, known, alone, int(survived)])
    return _lines(rows)


def _adults() -> bytes:
    """As adult.data: no header, a blank after each comma, ` ?` for what is missing."""
    rng = np.random.default_rng(1)
    rows = []
    for _ in range(500):
        age, hours = rng.integers(17, 80), rng.integers(10, 70)
        work = rng.choice([" Private", " State-gov", " ?"], p=[0.7, 0.2, 0.1])
        school, years = [(" Bachelors", 13), (" HS-grad", 9), (" Masters", 14)][rng.integers(3)]
        rich = rng.random() < 1 / (1 + np.exp(-(years - 11) / 2 - (age - 45) / 20))
        rows.append([age, work, f" {rng.integers(2e4, 4e5)}", school, f" {years}", f" {hours}",
                     " >50K" if rich else " <=50K"])  # fmt: skip
    return _lines(rows)


def _cities() -> bytes:
    rng = np.random.default_rng(2)
    rows = ["城市,省份,人口,沿海"]
    for i in range(120):
        coast = rng.random() < 0.4
        province = rng.choice(["广东", "福建", "浙江"] if coast else ["四川", "湖南", "陕西"])
        people = "" if i % 17 == 3 else str(int(np.exp(rng.normal(13 + coast, 1))))
        rows.append(f"第{i}市,{province},{people},{'是' if coast else '否'}")
    return "\r\n".join([*rows, ""]).encode("gb18030")


def _rentals() -> bytes:
    """Counts by day, the dates with the day first: a target of numbers."""
    rng = np.random.default_rng(3)
    rows: list[list[object]] = [["dteday", "holiday", "temp", "weather", "cnt"]]
    for i in range(300):
        day = np.datetime64("2011-01-01") + i
        year, month, date = str(day).split("-")
        temp = 15 + 12 * np.sin(i / 58) + rng.normal()
        rain = rng.random() < 0.3
        count = int(max(5, 900 + 120 * temp - 700 * rain + 150 * rng.normal()))
        rows.append([f"{date}/{month}/{year}", rng.random() < 0.03, f"{temp:.1f}",
                     "rain" if rain else "clear", count])  # fmt: skip
    return _lines(rows)


def _mushrooms() -> bytes:
    rng = np.random.default_rng(4)
    rows: list[list[object]] = [["class", "odor", "cap", "stalk-root", "habitat"]]
    for _ in range(400):
        edible = rng.random() < 0.52
        odor = rng.choice(list("anl" if edible else "fpcn"))
        rows.append(["e" if edible else "p", odor, rng.choice(list("bcxfks")),
                     rng.choice(list("bce?")), rng.choice(list("glmpuwd"))])  # fmt: skip
    return _lines(rows)


def _cars() -> bytes:
    """As auto-mpg: `?` among numbers, a name of its own for each row, prices with commas."""
    rng = np.random.default_rng(5)
    rows: list[list[object]] = [["mpg", "horsepower", "weight", "price", "origin", "name"]]
    for i in range(390):
        weight = rng.integers(1600, 5200)
        power = "?" if i % 65 == 32 else int(weight / 28 + 12 * rng.normal())
        origin = ["usa", "europe", "japan"][int(rng.integers(3))] if weight < 3000 else "usa"
        mpg = round(46 - weight / 130 + 2 * rng.normal(), 1)
        rows.append([mpg, power, weight, f'"{weight * 3:,}"', origin, f"car {i}"])
    return _lines(rows)


def _digits() -> bytes:
    data = datasets.load_digits()
    head = [*(f"pixel{j}" for j in range(64)), "digit"]
    whole = data.data.astype(int)[:600]
    rows = [[*x, y] for x, y in zip(whole.tolist(), data.target[:600], strict=True)]
    return _lines([head, *rows])


TABLES = (
    Table("iris.data.csv", "no header", "class", 4, _iris, numeric=True),
    Table("wine.csv", "semicolons, decimal commas", "cultivar", 13, _wine, numeric=True),
    Table("breast-cancer-wisconsin.csv", "no header, ? for gaps, an id", "class", 10, _biopsies),
    Table(
        "passengers.csv", "gaps, booleans with gaps, names in quotes", "Survived", 6, _passengers
    ),
    Table("adult.csv", "no header, blanks after commas, ' ?'", "income", 6, _adults),
    Table("cities.csv", "GBK, Windows lines, gaps", "沿海", 3, _cities),
    Table("rentals.csv", "dates of the day first, a target of numbers", "cnt", 4, _rentals),
    Table("mushrooms.csv", "letters, ? for gaps", "class", 0, _mushrooms),
    Table("auto-mpg.csv", "? among numbers, thousands with commas", "mpg", 0, _cars),
    Table("digits.csv", "whole numbers", "digit", 64, _digits, numeric=True),
)

ENGLISH = (
    "it was the best of times it was the worst of times\n"
    "it was the age of wisdom it was the age of foolishness\n"
    "we had everything before us we had nothing before us\n"
)
CHINESE = "学而时习之不亦说乎\n有朋自远方来不亦乐乎\n人不知而不愠不亦君子乎\n"
TEXTS = {
    "english.txt": (ENGLISH * 4).encode(),
    "windows.txt": (ENGLISH * 4).replace("\n", "\r\n").encode(),
    "chinese.txt": (CHINESE * 4).encode(),
}


def write_all(folder: Path) -> None:
    """Write every file."""
    for table in TABLES:
        (folder / table.name).write_bytes(table.write())
    for name, text in TEXTS.items():
        (folder / name).write_bytes(text)

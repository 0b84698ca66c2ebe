"""Tables shaped like those that people train on first, with values of our own: names, gaps, `?`, NA."""

import numpy as np

SURNAMES = ["Ash", "Birch", "Cedar", "Elm", "Fir", "Hazel", "Larch", "Oak"]


def titanic(rows=120, seed=0):
    """Columns and gaps of the passengers of the Titanic; who survived hangs on sex and class."""
    rng = np.random.default_rng(seed)
    lines = ["PassengerId,Survived,Pclass,Name,Sex,Age,SibSp,Parch,Ticket,Fare,Cabin,Embarked"]
    for i in range(rows):
        female, pclass = rng.random() < 0.4, int(rng.integers(1, 4))
        survived = int(rng.random() < 1 / (1 + np.exp(2 * pclass - 3 - 3 * female)))
        age = "" if rng.random() < 0.2 else f"{rng.integers(2, 160) / 2:g}"
        cabin = "" if rng.random() < 0.75 else f"{'ABCDE'[rng.integers(5)]}{rng.integers(1, 90)}"
        port = "" if i == 7 else "SSSCQ"[rng.integers(5)]
        name = f'"{SURNAMES[rng.integers(8)]}, M{"rs" if female else "r"}. {i}"'
        lines.append(
            f"{i + 1},{survived},{pclass},{name},{'female' if female else 'male'},{age},"
            f"{rng.integers(3)},{rng.integers(3)},A/5 {10000 + 7 * i},{rng.random() * 90:.4f},{cabin},{port}"
        )
    return "\n".join(lines) + "\n"


def adult(rows=120, seed=1):
    """Columns of the census of incomes: `?` where nothing is known, a space after each comma."""
    rng = np.random.default_rng(seed)
    work = ["Private", "State-gov", "?", "Self-emp-inc"]
    lines = ["age,workclass,education,education_num,hours_per_week,native_country,income"]
    for _ in range(rows):
        years = int(rng.integers(5, 17))
        rich = rng.random() < 1 / (1 + np.exp(11 - years))
        lines.append(
            f"{rng.integers(17, 90)},{work[rng.integers(4)]},grade {years},{years},"
            f"{rng.integers(1, 99)},{['United-States', 'Mexico', '?'][rng.integers(3)]},{'>50K' if rich else '<=50K'}"
        )
    return "\n".join(lines) + "\n"


def penguins(rows=90, seed=2):
    """Columns of the penguins of Palmer station: NA for a gap, three species."""
    rng = np.random.default_rng(seed)
    lines = ["species,island,bill_length_mm,flipper_length_mm,body_mass_g,sex,year"]
    for _ in range(rows):
        kind = int(rng.integers(3))
        bill = "NA" if rng.random() < 0.05 else f"{38 + 5 * kind + 3 * rng.standard_normal():.1f}"
        lines.append(
            f"{['Adelie', 'Chinstrap', 'Gentoo'][kind]},{['Torgersen', 'Dream', 'Biscoe'][kind if rng.random() < 0.7 else 2]},"
            f"{bill},{190 + 10 * kind + int(rng.integers(9))},{3500 + 500 * kind + int(rng.integers(400))},"
            f"{['male', 'female', 'NA'][int(rng.integers(21)) // 10]},{rng.integers(2007, 2010)}"
        )
    return "\n".join(lines) + "\n"

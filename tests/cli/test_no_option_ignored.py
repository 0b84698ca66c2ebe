"""No option is accepted and then ignored: it changes what a command says or writes, or is refused.

A scene begins with a command (``$``). Under it stand options with their words, one line added at a
time: then what is said or written differs. After ``=>`` stand words of the sentence with which it is
refused there. A new option must be listed. What `xent train` takes is in `test_train_options.py`.
"""

import json
import re
import shlex
import shutil

import numpy as np
import pyarrow as pa
import pyarrow.parquet
import pytest
import typer

from screens import run
from xent import _table, cli

OF_A_CSV = """
--separator ; => must separate its columns by semicolons
--decimal , => has points in the numbers
--encoding utf16 => UTF-16
--no-header => 'f0'
"""
OF_A_TABLE = """
--separator ; => must separate its columns by semicolons
--decimal ,
--encoding utf16 => UTF-16
"""
OF_NO_CSV = """
--separator ; => `--separator` must go with a .csv
--decimal , => `--decimal` must go with a .csv
--na b => `--na` must go with a .csv
--encoding utf16 => `--encoding` must go with a .csv
--no-header => `--no-header` must go with a .csv
"""
SCENES = f"""
$ evaluate d.csv --json -
--target other
--probs q_*
--logits z_*
--log-probs l_*
--labels c,b,a --probs q_a,q_b,q_c
--labels a,b,c,d => name the 3 classes
--truth truth.csv --id id
--id id
--weights w
--by g
--ignore a
--normalize --probs r_*
--prior prior.csv
--label-smoothing 0.1
--bins 4
--base e
--rows o.csv
--against rows.csv
--fail-above 0
--html o.html
--json o.json
--schema
--checkpoint o.c
--workers 1
--soft t_*
--multilabel --target y_* --probs q_*
--ordered --labels c,a,b
--drop p_b => one of the labels 'a' or 'c'
--na b --drop-missing-target
--positive a => left out where there is a column for each class
--allow-probabilities => must go with --logits, got none
--once => `--id` must name the column
--calibrator no_such_one => --calibrator
--dask there --workers 2 => `--workers` must be left out where --dask is given
--normalize --logits z_* => `--normalize` must be left out where --logits is given
{OF_A_CSV}
$ evaluate d.csv
--lang zh
$ evaluate d.csv --by n --json -
--names n
$ evaluate packed.csv.gz
--unpacked 100 => --unpacked
$ evaluate again.csv --id id
--once
$ evaluate d.csv --probs p_a --target two
--positive a
$ evaluate d.csv --target gap
--drop-missing-target
$ evaluate d.parquet
{OF_NO_CSV}
$ evaluate parts
{OF_NO_CSV}
--drop p_b => one of the labels 'a' or 'c'
--drop nothing => `--drop` must name a column of
--names nothing => `--names` must name a column of
--positive a => left out where there is a column for each class
--rows o.csv => left out where FILE is a folder
--allow-probabilities => must go with --logits
$ evaluate d.csv --soft t_*
--once => `--once` must be left out where --soft is given
--prior prior.csv => `--prior` must be left out where --soft is given
--label-smoothing 0.1 => `--label-smoothing` must be left out where --soft is given
--allow-probabilities => must go with --logits
$ evaluate masks.npz --class-axis 1 --logits predictions
--class-axis 2
--separator ; => `--separator` must be left out where --class-axis is given
--drop x => `--drop` must be left out where --class-axis is given
$ evaluate lm.jsonl --tokens logs
--tokens logs2
--text text
--mask mask
--first left_out
--log-base 2
--stride 2 --id doc
--prior prior.csv => `--prior` must be left out where --tokens is given
$ evaluate h.jsonl --harness --text doc.page
--harness --text doc.other
--na b => `--na` must be left out where --harness is given

$ compare d.csv e.csv --json -
--target other
--probs q_*
--logits z_*
--log-probs l_*
--costs w
--labels c,b,a --probs q_a,q_b,q_c
--truth truth.csv --id id
--id id
--group g
--weights w
--by g
--ignore a
--normalize --probs r_*
--interval bootstrap
--test sign_flip
--confidence 0.8
--seed 3 --test bootstrap
--resamples 200 --test bootstrap
--base e
--fail-above -9
--html o.html
--json o.json
--schema
--drop p_b => 'b'
--na b => `--target` must hold a class in every row
--resamples 200 => `--resamples` must go with --interval bootstrap
--resamples 0 --test bootstrap => `--resamples` must be
--positive a => left out where there is a column for each class
--allow-probabilities => must go with --logits
{OF_A_CSV}
$ compare d.csv e.csv
--lang zh
$ compare d.csv e.csv --by n --json -
--names n
$ compare d.csv packed.csv.gz
--unpacked 100 => --unpacked
$ compare d.csv e.csv d.parquet
--pairs all
$ compare d.csv e.csv --probs p_a --target two
--positive a
$ compare d.csv e.csv --costs w
--labels a,b,c => `--costs` must be left out where --labels is given
--positive a => `--costs` must be left out where --positive is given
--ignore a => `--costs` must be left out where --ignore is given
--allow-probabilities => `--costs` must be left out where --allow-probabilities is given
--normalize => `--costs` must be left out where --normalize is given

$ calibrate d.csv --target target --model o
--target other
--model o2
--method isotonic
--base 1 => `--base` must be positive and not 1, got 1.0. Use e for nats, 2 for bits.
--base 0.5 => `--base` must be above 1 for a report
--base=-2 => `--base` must be positive and not 1
--output o.csv
--probs q_*
--logits z_*
--log-probs l_*
--labels c,b,a --probs q_a,q_b,q_c
--truth truth.csv --id id
--id twice => have every id
--weights w
--ignore a
--normalize --probs r_*
--base e
--drop p_b => 'b'
--na b => --target
--positive a => left out where there is a column for each class
--allow-probabilities => must go with --logits
{OF_A_CSV}
$ calibrate d.csv --target two --model o --probs p_a
--positive a
$ calibrate packed.csv.gz --model calibrator -o o.jsonl
--names n
--unpacked 100 => --unpacked
$ calibrate d.csv --model calibrator -o o.csv
--drop p_b => `--probs` must match columns of the classes
--base e => `--base` must be left out where there is no --target
--positive a => left out where there is a column for each class
--method platt => `--method` must be left out where there is no --target
--weights w => `--weights` must be left out where there is no --target
--allow-probabilities => must go with --logits
$ calibrate d.csv --model calibrator_of_two -o o.csv --probs p_a
--labels x,y => `--labels` must be 'b,a', as when the calibrator was fitted
--positive b => `--positive` must be 'a', as when the calibrator was fitted

$ rank table.csv --target y
--target k
--columns x,k
--score gini
--numeric ksg
--weights w
--missing drop
--permutations 9
--seed 3 --permutations 9
--base e
--html o.html
--json o.json
--na b
--names w
--drop k
--no-header => 'f0'
--target-bins 3 => `--target` must hold numbers where it is cut into bins
--seed 3 => `--seed` must be left out without --permutations
--base e --score gini => `--base` must be left out with --score gini
{OF_A_TABLE}
$ rank packed.csv.gz --target target
--unpacked 100 => --unpacked
$ rank table.csv --target num --target-bins 2
--target-bins 5

$ drift before.csv after.csv
--columns x,k
--measure hellinger
--no-header
--threshold 0
--bins 3
--weights w
--missing drop
--bootstrap 20
--seed 3 --bootstrap 20
--base e
--html o.html
--json o.json
--names code
--drop x
--seed 3 => `--seed` must be left out without --bootstrap
{OF_A_TABLE}
$ drift before.csv after.csv --missing drop
--na q
$ drift packed.csv.gz packed.csv.gz
--unpacked 100 => --unpacked

$ language fit t.txt -o o --order 2 --smoothing WittenBell
--output o.arpa
--order 3
--smoothing AddK(1)
--unknown open --vocabulary words.txt
--min-count 2
--vocabulary words.txt
--unit character
--errors keep
--folder o.counts
--json
--field x => JSON
--longest-line 5 => lines of at most 5 bytes
--memory 1KB => --memory
--weighted => whole number
--counts => count
--held-out words.txt => `--held-out`
$ language fit lines.jsonl -o o --order 2 --smoothing WittenBell --field text
--field other
$ language fit t.txt -o o --order 2 --smoothing JelinekMercer
--held-out words.txt
$ language fit weighted.txt -o o --order 2 --smoothing WittenBell
--weighted
$ language fit counts.txt -o o --order 2 --smoothing WittenBell
--counts
$ language fit counts.txt -o o --order 2 --smoothing WittenBell --counts
--memory 1GB => `--counts` must go with one TEXT
--held-out t.txt => `--counts` must go with one TEXT

$ language evaluate m.xent v.xent e.txt
--by bits_per_byte
$ language evaluate m.xent m2.xent e.txt
--spelling vocabulary
--json
--field x => JSON
--longest-line 5 => lines of at most 5 bytes
--unit character => `--unit`
--errors no => `--errors`
$ language evaluate m.xent m.xent e.txt
--by perplexity => `MODEL` must name every model once, got 'm.xent' twice.
$ language mix m.xent m.xent --dev e.txt
--test e.txt => `MODEL` must name every model once, got 'm.xent' twice.
$ language evaluate m.xent e.txt
--by bits_per_byte => `--by` must go with several models
--by perplexity => `--by` must go with several models
$ language evaluate m.xent bad.txt
--errors keep

$ language score m.xent e.txt
--output o.tsv
--spelling vocabulary
--json
--field x => JSON
--longest-line 5 => lines of at most 5 bytes
--unit character => `--unit`
$ language score m.xent bad.txt
--errors keep
--on-bad-line skip

$ language filter m.xent e.txt -o - --at-most 9
--output o.txt
--by perplexity
--at-most 1
--at-least 7
--annotate
--spelling vocabulary --annotate
--json
--keep 50% => `--keep` must be left out beside --at-most
--field x => JSON
--longest-line 5 => lines of at most 5 bytes
--unit character => `--unit`
--by perplexity --spelling vocabulary => `--spelling` must go with --by bits_per_byte
$ language filter m.xent e.txt -o - --keep 90%
--keep 10%
$ language filter m.xent bad.txt -o - --at-most 9
--errors keep
--on-bad-line skip

$ language mix m.xent m2.xent --dev e.txt
--dev t.txt
--test t.txt
--output o.xent
--json
--unit character => `--unit`
$ language mix m.xent m2.xent --dev bad.txt
--errors keep

$ language prune m.xent -o o --entropy 0.003
--output o2
--entropy 0.5
--histories katz.xent
--json
--unit character => `--unit`
--errors no => `--errors`

$ language convert m.xent -o o
--output o.arpa
--compact
--json
--unit character => `--unit`
--errors no => `--errors`
$ language convert m.xent -o o.arpa
--compact => `--compact` must go with a file of our own
$ language convert m.xent -o o.fst.txt
--compact => automaton

$ language sample m.xent --seed 1
--count 2
--seed 4
--most 1
--json
--unit character => `--unit`
--errors no => `--errors`

$ tree fit table.csv --target y -o o --pruning none
--output o2
--target k
--tree cart
--weights w
--splitter histogram
--jobs 0 => `--jobs` must be
--criterion gini
--nominal multiway
--missing branch
--max-depth 1
--max-leaf-nodes 2
--min-samples-leaf 9
--min-samples-split 30
--min-gain 0.2
--class-weight yes=9
--class-weight maybe=9 => the target, got 'maybe'. It has
--increasing x
--decreasing x
--pruning pessimistic
--leaf-estimate laplace
--names w
--drop x
--na b
--cf 0.1 => `--cf` must go with --pruning pessimistic
--raising => `--raising` must go with --pruning pessimistic
--no-header => 'f0'
{OF_A_TABLE}
$ tree fit packed.csv.gz --target target -o o
--unpacked 100 => --unpacked
$ tree fit table.csv --target y -o o --tree c45
--cf 0.01
--no-raising
$ tree fit table.csv --target gap -o o
--drop-missing-target
$ tree fit table.csv --target num -o o --tree cart-regression
--increasing x => `--increasing` must go with --tree
--decreasing x => `--decreasing` must go with --tree
--class-weight yes=9 => `--class-weight` must go with --tree
--leaf-estimate laplace => `--leaf-estimate` must go with --tree

$ tree predict y.tree table.csv.gz -o o.csv --target y
--output o.jsonl
--target k
--na no
--unpacked 100 => --unpacked
{OF_A_CSV}

$ tree show y.tree
--as dot
--max-levels 1
$ tree show y.tree --as dot
--max-levels 1 => `--max-levels` must go with --as text

$ tree rules y.tree
--data table.csv --target y
--max-levels 1
--data table.csv => `--data` must be given together with --target
--cf 0.1 => `--cf` must go with --data
--weights w => `--weights` must go with --data
--drop-missing-target => `--drop-missing-target` must go with --data
--separator ; => `--separator` must go with --data
--na b => `--na` must go with --data
--unpacked 10 => `--unpacked` must go with --data
$ tree rules y.tree --data table.csv.gz --target y
--target lost => must have no missing values in column 'lost'
--cf 0.001
--weights w
--na no => must have no missing values in column 'y'
{OF_A_CSV}
--unpacked 100 => --unpacked
$ tree rules y.tree --data table.csv --target lost
--drop-missing-target
"""
OF_A_MACHINE = re.compile(rb'\d+(\.\d+)?(e-\d+)? s\b|"seconds": [\d.e-]+')
COMMANDS = ("evaluate", "compare", "calibrate", "rank", "drift", "language", "tree")


def written(folder):
    """Write small files of every kind that the commands above read, and models of theirs."""
    rng = np.random.default_rng(1)
    n, names = 40, np.array(list("abc"))
    ids, truth = np.arange(n), names[rng.integers(0, 3, n)]
    columns = {"target": truth, "other": np.roll(truth, 3), "two": names[ids % 2]}
    columns |= {"gap": [None if i == 3 else str(c) for i, c in enumerate(truth)], "n": ids % 3}
    columns |= {"id": ids, "twice": ids // 2, "w": ids % 4, "g": names[ids % 2]}
    for file in "de":
        p, q = np.round(rng.dirichlet(np.ones(3), (2, n)), 3)
        p[:, 2], q[:, 2] = (np.round(1 - m[:, 0] - m[:, 1], 3) for m in (p, q))
        z = rng.normal(size=(n, 3)).round(3)
        logs = z - np.log(np.exp(z).sum(axis=1, keepdims=True))
        all_ = {"p": p, "q": q, "r": np.round(p, 2), "z": z, "l": logs, "t": np.roll(p, 1, 0)}
        all_["y"] = (ids[:, None] + [0, 1, 2]) % 2
        scores = {f"{k}_{c}": m[:, i] for k, m in all_.items() for i, c in enumerate(names)}
        _table.write(folder / f"{file}.csv", {**scores, **columns})
        _table.write(folder / f"{file}.parquet", {**scores, **columns})
    _table.write(folder / "packed.csv.gz", {**scores, **columns})
    again = {name: np.resize(values[:30], n) for name, values in {**scores, **columns}.items()}
    _table.write(folder / "again.csv", again)
    (folder / "parts").mkdir()
    for i in range(2):
        part = pa.table({**scores, **columns}).slice(20 * i, 20)
        pyarrow.parquet.write_table(part, folder / "parts" / f"{i}.parquet")
    _table.write(folder / "truth.csv", {"id": ids[::-1], "target": np.roll(truth, 5)})
    _table.write(folder / "prior.csv", {"target": list("aaabbc")})
    masks = rng.integers(0, 3, (2, 6, 3, 3))
    np.savez(
        folder / "masks.npz",
        predictions=rng.normal(size=(6, 3, 3, 3)),
        target=masks[0],
        other=masks[1],
    )
    documents = [
        {
            "doc": i // 2,
            "text": "a cat",
            "logs": [-1.0, -2.5, -i],
            "logs2": [-1.0, -1.0],
            "mask": [1, 0, 1],
        }
        for i in range(4)
    ]
    samples = [
        {
            "doc": {"page": "a cat", "other": "cats"},
            "resps": [[-9.5 - i]],
            "filtered_resps": [-9.5 - i],
        }
        for i in range(4)
    ]
    x = rng.normal(size=n)
    table = {
        "x": x, "k": np.array(list("pqr"))[rng.integers(0, 3, n)], "w": ids % 3 + 1,
        "m": [None if i % 5 == 0 else i % 7 for i in range(n)], "num": 2 * x + rng.normal(size=n),
        "y": np.where(x + 0.7 * rng.normal(size=n) > 0, "yes", "no"),
        "gap": [None if i == 7 else "ab"[i % 2] for i in range(n)],
    }  # fmt: skip
    table["lost"] = [None if i == 7 else one for i, one in enumerate(table["y"].tolist())]
    for name in ("table.csv", "table.csv.gz"):
        _table.write(folder / name, table)
    moved = {**table, "x": x + 1, "k": [*"qqqqq", *table["k"][5:]], "m": [7.0] * n}
    _table.write(folder / "before.csv", {**table, "code": ids})
    _table.write(folder / "after.csv", {**moved, "code": 2 * ids})
    texts = {
        "t.txt": "the cat sat on the mat\nthe dog sat on the cat\na dog and a cat sat\n" * 3,
        "e.txt": "the dog sat\na cat xyz dog\n", "words.txt": "the\ncat\nsat\n",
        "weighted.txt": "3\tthe cat\n1\ta dog\n",
        "counts.txt": "a\t1\nb\t1\n</s>\t1\n<s> a\t1\na b\t1\nb </s>\t1\n",
        "lines.jsonl": json.dumps({"text": "the cat sat", "other": "a dog"}) + "\n",
        "lm.jsonl": "".join(json.dumps(one) + "\n" for one in documents),
        "h.jsonl": "".join(json.dumps(one) + "\n" for one in samples),
    }  # fmt: skip
    for name, text in texts.items():
        (folder / name).write_text(text)
    (folder / "bad.txt").write_bytes(b"the cat\nthe \xff dog\n")
    for line in (
        "language fit t.txt -o m.xent --order 3 --smoothing WittenBell",
        "language fit t.txt -o m2.xent --order 2 --smoothing WittenBell",
        "language fit t.txt -o v.xent --order 2 --smoothing WittenBell --vocabulary words.txt",
        "language fit t.txt -o katz.xent --order 2 --smoothing Katz",
        "tree fit table.csv --target y --drop gap --drop lost --drop num --weights w -o y.tree --pruning none",
        "evaluate e.csv --rows rows.csv",
        "calibrate d.csv --target target --model calibrator",
        "calibrate d.csv --target two --probs p_a --positive a --model calibrator_of_two",
    ):
        code, _, error = run(["xent", *line.split()])
        assert code == 0, error.decode()


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    folder = tmp_path_factory.mktemp("options")
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(folder)
        written(folder)
    return folder


def scenes(command):
    """Yield each line of a command, and the options with the words that they are refused by."""
    for scene in filter(None, SCENES.split("\n$ ")):
        line, *options = [one for one in scene.strip().splitlines() if one]
        if line.startswith(f"{command} "):
            yield line, [one.partition(" => ")[::2] for one in options]


def parsers(command, name):
    for other, below in getattr(command, "commands", {}).items():
        yield from parsers(below, f"{name} {other}".strip())
    if not hasattr(command, "commands"):
        yield name, command


KNOWN = {
    name: parser
    for name, parser in parsers(typer.main.get_command(cli.app), "")
    if name.split()[0] in COMMANDS
}


@pytest.mark.parametrize("command", KNOWN)
def test_every_option_is_listed(command):
    listed = {
        shlex.split(option.partition("=")[0])[0]
        for _, said in scenes(command)
        for option, _ in said
    }
    wanted = {p.opts[0] for p in KNOWN[command].params if p.opts[0].startswith("--")}
    assert wanted - listed == set()
    assert listed - wanted <= {"--no-raising"}


def outcome(line, folder):
    """Return the exit code, what was said and what was written; and remove what was."""
    code, out, err = run(["xent", *shlex.split(line)])
    found = [code, OF_A_MACHINE.sub(b"", out), OF_A_MACHINE.sub(b"", err)]
    for path in [path for one in sorted(folder.glob("o*")) for path in (one, *one.rglob("*"))]:
        if path.is_file() and path.suffix != ".html":
            found.append((path.name, OF_A_MACHINE.sub(b"", path.read_bytes())))
        elif path.is_file():
            found.append(path.name)
    for path in sorted(folder.glob("o*")):
        shutil.rmtree(path) if path.is_dir() else path.unlink()
    return found


@pytest.mark.parametrize("command", KNOWN)
def test_an_option_changes_something_or_is_refused(folder, monkeypatch, command):
    monkeypatch.chdir(folder)
    ignored = []
    for line, options in scenes(command):
        plain = outcome(line, folder)
        for option, refusal in options:
            found = outcome(f"{line} {option}", folder)
            typed, said = f"{line} {option}", found[2].decode()
            changed = found[0] in (0, 1) and found != plain
            if not (found[0] == 2 and refusal in said if refusal else changed):
                ignored.append((typed, found[0], said))
    assert ignored == []

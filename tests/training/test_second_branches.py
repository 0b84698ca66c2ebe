"""Second branches, ties and options in pairs of the training: each by a slow word of its own."""

import math
from copy import deepcopy
from datetime import date, timedelta
from types import SimpleNamespace

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import torch
from sklearn.utils import get_tags
from sklearn.utils.class_weight import compute_class_weight

from xent import losses
from xent.training import (
    MultilabelClassifier,
    ParquetRows,
    SoftmaxClassifier,
    TableEncoder,
    TrainedModel,
    compare_losses,
    export_model,
)
from xent.training._checkpoint import Progress
from xent.training._fit.plan import Rates, read_schedule
from xent.training._fit.record import WATCHED, EpochRecord
from xent.training._fit.targets import weights_of_classes
from xent.training._objectives import objective_of
from xent.training._split import fold_of_rows, hold_out
from xent.training._story import page as page_of
from xent.training._story.likelihood import likelihood_table
from xent.training._story.saturated import SaturatedRun

RNG = np.random.default_rng(4)
X = RNG.normal(size=(60, 3))
Y = np.array(["b", "a", "c"])[np.r_[np.zeros(35, int), RNG.integers(0, 3, 25)]]
WHOLE = {"epochs": 2, "batch_size": 60, "learning_rate": 0.3, "random_state": 3, "progress": False}


@pytest.mark.parametrize(
    ("rows", "share", "held"),
    [
        ([7, 3, 10], 0.25, [2, 1, 2]),  # 1.75, 0.75 and 2.5: the two that are most short
        ([3, 10, 7], 0.25, [1, 2, 2]),
        ([1, 9, 10], 0.5, [0, 5, 5]),  # one of each class is left: its share goes to the next
        ([4, 4, 4], 1 / 3, [2, 1, 1]),  # of equals the first
    ],
)
def test_what_is_left_over_of_a_share_goes_to_the_classes_that_are_most_short(rows, share, held):
    labels = np.repeat(np.arange(3), rows)
    for seed in range(3):
        out = hold_out(labels, share, seed)
        assert np.bincount(labels[out], minlength=3).tolist() == held


def test_balanced_classes_are_balanced_by_their_weights():
    """A row of weight 3 is three rows, to "balanced" too; one of weight 0 is none."""
    times = RNG.integers(0, 4, 60)
    where = np.repeat(np.arange(60), times)
    weighted = SoftmaxClassifier(class_weight="balanced", **WHOLE).fit(X, Y, times)
    by_hand = compute_class_weight("balanced", classes=np.unique(Y), y=Y[where])
    repeated = SoftmaxClassifier(**(WHOLE | {"batch_size": 1000})).fit(
        X[where], Y[where], by_hand[np.searchsorted(np.unique(Y), Y[where])]
    )
    np.testing.assert_allclose(weighted.coefs_[0], repeated.coefs_[0], rtol=1e-4, atol=1e-6)


def test_a_class_whose_rows_all_weigh_0_takes_no_share_of_the_others():
    """As scikit-learn's weights of the rows that are left; it matters beside a penalty."""
    classes = np.array(["a", "b", "c"])
    found = weights_of_classes("balanced", classes, np.array([3.0, 0.0, 9.0]))
    left = compute_class_weight("balanced", classes=np.array([0, 2]), y=[0] * 3 + [2] * 9)
    np.testing.assert_allclose(found[[0, 2]], left)
    assert found[1] == 1.0
    said = weights_of_classes({"c": 0.5, "a": 2}, classes, np.ones(3))
    assert said.tolist() == [2.0, 1.0, 0.5]  # who is not named weighs 1


@pytest.mark.parametrize(("days", "cycles"), [(6, []), (7, ["week"]), (365, ["week"]), (366, ["year", "week"])])  # fmt: skip
def test_dates_that_just_go_through_a_cycle_have_it(days, cycles):
    born = [date(2021, 3, 1) + timedelta(days=k) for k in (0, days, days // 2)]
    names = TableEncoder().fit({"born": born}).get_feature_names_out().tolist()
    assert names == ["born", *(f"born_{c}_{wave}" for c in cycles for wave in ("sin", "cos"))]


def record_of(curve, **options):
    """What is kept of epochs whose held-out costs are known; the layers are the epoch's number."""
    left = iter(curve)

    class HeldOut:
        def measure(self, _layers, _objective):
            return {WATCHED: next(left)}

    record = EpochRecord(
        Progress([], {}, {}), HeldOut(), objective_of("cross_entropy"), file=None, rng=None,
        told=lambda *_: None, **options,
    )  # fmt: skip
    for epoch in range(1, len(curve) + 1):
        record.add([epoch], {}, 1.0, 1.0)
        if record.stopped:
            break
    return record


@pytest.mark.parametrize(
    ("curve", "best", "epochs"),
    [
        ([0.5, 0.4, 0.4, 0.4, 0.1], 2, 4),  # as good is no gain: the first of equals is kept
        ([0.5, 0.4, 0.45, 0.39, 0.39], 4, 5),
        ([0.3, 0.3, 0.3], 1, 3),
    ],
)
def test_the_first_of_equally_good_epochs_is_the_best(curve, best, epochs):
    record = record_of(curve, patience=2)
    assert (record.best, len(record.watched)) == ([best], epochs)


def test_progress_is_told_in_bits_where_the_loss_is_a_cross_entropy():
    record = record_of([0.5], patience=None)
    assert record._word(math.log(2)) == "1.0000 bits"
    record.history["validation_bits"] = [0.7, 0.25]
    assert record._word(2 * math.log(2)) == "2.0000 bits, held out 0.2500 bits"
    record.objective = objective_of("mse_softmax")
    assert record._word(0.5) == "loss 0.5000, held out 0.2500 bits"


@pytest.mark.parametrize(
    ("text", "kind", "given"),
    [
        ("CosineAnnealingLR:T_max=2", "CosineAnnealingLR", {"T_max": 2}),
        ("CosineAnnealingLR", "CosineAnnealingLR", {"T_max": 5}),
        ("PolynomialLR:total_iters=3,power=2", "PolynomialLR", {"total_iters": 3, "power": 2}),
        ("PolynomialLR", "PolynomialLR", {"total_iters": 5}),
    ],
)
def test_a_length_that_is_said_stands_and_else_it_is_all_epochs(text, kind, given):
    steps = torch.optim.SGD([torch.zeros(1, requires_grad=True)], lr=0.3)
    expected = getattr(torch.optim.lr_scheduler, kind)(steps, **given)
    rates = Rates(0.3, read_schedule(text, 5, False))
    for _ in range(5):
        assert rates.now() == pytest.approx(expected.get_last_lr()[0], rel=1e-12)
        steps.step()
        expected.step()
        rates.step(math.nan)


def test_the_comparison_says_below_what_a_second_softmax_cannot_fall():
    settings = SoftmaxClassifier(epochs=1, random_state=0, progress=False)
    losses = ["cross_entropy", "double_softmax"]
    found = compare_losses(X, Y, losses, validation=(X, Y), classifier=settings)
    floor = math.log(1 + 2 * math.exp(-1))  # of the highest logits that probabilities can be
    last = found.classifiers["double_softmax"].history_["loss"][-1]
    assert str(found).splitlines()[-1] == (
        f"double_softmax ends at a loss of {last:.4f} nats, and with 3 classes cannot fall below "
        f"ln(1 + 2/e) = {floor:.4f}."
    )


class Sections(list):
    """A page that keeps what is put on it."""

    def section(self, *said, **what):
        self.append((" ".join(said), what))


def test_the_pages_tables_tell_the_last_of_each_run_and_name_the_best():
    pytest.importorskip("altair")
    page = Sections()
    page_of.add_saturated(
        page,
        [
            SaturatedRun("cross_entropy", 5.0, [3, 6], [0.25, 0.75], [2.0, 0.5]),
            SaturatedRun("mse_sigmoid", -5.0, [3, 6], [0.1, 0.125], [4.0, 3.25]),
        ],
    )
    ((_, what),) = page
    assert what["rows"] == [
        ("cross_entropy", "+5", "0.7500", "0.5000"),
        ("mse_sigmoid", "-5", "0.1250", "3.2500"),
    ]
    drawn = [[row["accuracy"] for row in chart.data.values] for chart in what["charts"]]
    assert drawn == [[0.25, 0.75], [0.1, 0.125]]  # a picture for each start
    models = {
        name: SimpleNamespace(classes_=np.arange(4), history_={"loss": [2.0, loss]})
        for name, loss in (("cross_entropy", 0.5), ("double_softmax", 0.875))
    }
    reports = {
        name: SimpleNamespace(cross_entropy=bits, accuracy=0.9375)
        for name, bits in (("cross_entropy", 0.25), ("double_softmax", 1.5))
    }
    page_of.add_double_softmax(page, SimpleNamespace(classifiers=models, reports=reports), "X105.")
    said, what = page[1]
    floor = f"{math.log(1 + 3 / math.e):.4f}"
    assert f"with 4 classes it cannot fall below ln(1 + 3/e) = {floor} nats" in said
    assert said.endswith("On the first batch `xent audit` says: X105.")
    assert what["rows"] == [
        ("cross_entropy", "0.5000", "0.0000", "0.2500", "93.75 %"),
        ("double_softmax", "0.8750", floor, "1.5000", "93.75 %"),
    ]
    assert what["best"] == 0


def test_the_device_of_the_solver_is_the_processor():
    with pytest.raises(ValueError) as caught:
        SoftmaxClassifier(optimizer="newton", device="cpu:0").fit(X, Y)
    assert str(caught.value) == (
        "`device` must be 'auto' or 'cpu' with optimizer=\"newton\", got 'cpu:0'."
    )


class NoGraph(torch.nn.Module):
    """Takes another way for other rows, which no graph can."""

    def __init__(self):
        super().__init__()
        self.layer = torch.nn.Linear(3, 3)

    def forward(self, x):
        if torch.compiler.is_compiling():
            raise RuntimeError("no graph of\tthis\nand a second line")
        return self.layer(x)


def test_what_torch_says_of_a_module_is_told_in_its_first_line(tmp_path):
    model = SoftmaxClassifier(epochs=1, random_state=0, progress=False, module=NoGraph()).fit(X, Y)
    with pytest.raises(ValueError) as caught:
        export_model(TrainedModel(model), tmp_path / "m.pt2")
    first = str(caught.value.__cause__).strip().splitlines()[0].rstrip(".")
    assert str(caught.value) == (
        f"The model cannot be exported: of its module torch says: {first}."
    )
    assert len(str(caught.value.__cause__).strip().splitlines()) > 1
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize("turned", [False, True])
def test_a_label_of_which_one_row_is_left_is_dealt_out_too(turned):
    """The rows of the rarer label are dealt first, and all but one of the other's are among them."""
    there = np.zeros((7, 2))
    there[:4, 0] = there[:5, 1] = 1
    fold = fold_of_rows(there[:, ::-1] if turned else there, 2, 0)
    assert sorted(np.bincount(fold, minlength=2).tolist()) == [3, 4]
    assert np.bincount(fold, there[:, 0]).tolist() == [2, 2]
    assert sorted(np.bincount(fold, there[:, 1]).tolist()) == [2, 3]


@pytest.mark.parametrize(("names", "said"), [(None, "1"), (["cat", "dog", "cow"], "'dog'")])
def test_a_label_of_one_row_is_named_or_counted(names, said):
    there = np.array([[1, 0, 1], [1, 1, 0], [0, 0, 1]])
    with pytest.raises(ValueError, match=f"a row to learn from, got 1 row of {said}"):
        fold_of_rows(there, 2, 0, names)


def test_scikit_learn_is_told_that_a_row_may_have_several_labels():
    tags = get_tags(MultilabelClassifier())
    assert (tags.target_tags.multi_output, tags.target_tags.single_output) == (True, False)
    assert (tags.classifier_tags.multi_label, tags.classifier_tags.multi_class) == (True, False)
    assert not get_tags(SoftmaxClassifier()).target_tags.multi_output


def test_row_groups_behind_one_without_rows_are_read(tmp_path):
    table = pa.table({"x": np.arange(7.0), "y": np.arange(7.0) ** 2})
    with pq.ParquetWriter(tmp_path / "t.parquet", table.schema) as writer:
        for start, rows in ((0, 0), (0, 3), (3, 0), (3, 4)):
            writer.write_table(table.slice(start, rows), row_group_size=max(1, rows))
    assert pq.ParquetFile(tmp_path / "t.parquet").metadata.num_row_groups == 4
    rows = ParquetRows(tmp_path / "t.parquet", lambda some: np.column_stack([some["x"], some["y"]]))
    assert rows.sizes == [3, 4]
    found = np.concatenate([rows.read(0), rows.read(1)])
    np.testing.assert_array_equal(found, np.column_stack([table["x"], table["y"]]))


def test_the_largest_difference_of_gradients_is_that_of_the_one_that_is_off(monkeypatch):
    model = SoftmaxClassifier(epochs=1, random_state=0, progress=False).fit(X, Y)
    assert likelihood_table(model, X, Y).largest_difference < 1e-14
    nll = losses.nll_loss
    monkeypatch.setattr(losses, "nll_loss", lambda *given: 1.5 * nll(*given))
    table = likelihood_table(model, X, Y)
    norms = table.gradient_norms
    off = 0.5 * norms["cross-entropy"]
    assert off / 4 < table.largest_difference <= off  # of 12 numbers, whose norm is off
    assert norms["negative log-likelihood"] == pytest.approx(3 * off, rel=1e-12)


FITS = {  # settings and what fit takes beside them
    "linear": ({}, {}),
    "hidden": ({"hidden": (2,)}, {}),
    "module": ({"module": torch.nn.Linear(3, 3)}, {}),
    "early": ({"patience": 1}, {"validation": (X, Y)}),
    "shares": ({}, {"classes": ["x", "y", "z"]}),
    "frame": ({}, {}),
    "weighed": ({"class_weight": "balanced"}, {"sample_weight": np.ones(60)}),
}


def fit_as(model, kind):
    settings, given = FITS[kind]
    plain = {"hidden": (), "module": None, "patience": None, "class_weight": None}
    y = np.eye(3)[np.searchsorted(list("abc"), Y)] if kind == "shares" else Y
    model.set_params(**plain, epochs=1, random_state=0, progress=False).set_params(**settings)
    return model.fit(rows_of(kind), y, **given)


def rows_of(kind):
    named = pa.table({name: X[:, j] for j, name in enumerate("pqr")})
    return named.to_pandas() if kind == "frame" else X


@pytest.fixture(scope="module")
def fitted():
    return {kind: fit_as(SoftmaxClassifier(), kind) for kind in FITS}


@pytest.mark.parametrize("second", FITS)
def test_a_second_fit_leaves_nothing_of_the_first(fitted, second):
    """Whatever the first was: the same names, and the same numbers, as if there had been none."""
    fresh, rows = fitted[second], rows_of(second)
    for first in FITS:
        again = fit_as(deepcopy(fitted[first]), second)
        assert set(vars(again)) == set(vars(fresh)), first
        assert (again.history_, again.best_epoch_) == (fresh.history_, fresh.best_epoch_)
        np.testing.assert_array_equal(again.predict_proba(rows), fresh.predict_proba(rows))
        np.testing.assert_array_equal(again.classes_, fresh.classes_)

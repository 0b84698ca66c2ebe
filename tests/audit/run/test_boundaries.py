"""Where a rule of a run begins and ends: ties, halves, what is left out, what comes first."""

import inspect
import sys
from collections import Counter
from dataclasses import replace
from math import exp
from types import SimpleNamespace

import pytest
import torch
import torch.nn as nn
import torch.nn.functional as F
from torch import tensor

from xent.audit import Config, audit, watch
from xent.audit._follow.loops import bare, unrolled
from xent.audit._follow.values import Const, Made, Sequence
from xent.audit._run import judges, program
from xent.audit._run.frames import location
from xent.audit._run.rules import (
    activations,
    averages,
    graph,
    modes,
    numerics,
    padding,
    reductions,
    targets,
    tokens,
)
from xent.audit._run.rules.accumulation import Window
from xent.audit._run.sites import Cell, LossCall, Pass, Round, Site


def site():
    frame = sys._getframe()
    return Site("cross_entropy", frame.f_code, location(frame.f_code, frame.f_lasti, 1), ())


def seen(compute):
    with watch(config=Config()) as report:
        compute()
    return {f.rule: f"{f.message} {f.fix} {f.seen}" for f in report.findings}


EVALUATED = """\
import torch, torch.nn as nn, torch.nn.functional as F
model = nn.Sequential(nn.Linear(4, 3), nn.Dropout(0.5), nn.Linear(3, 3))
optimizer = torch.optim.SGD(model.parameters(), lr=0.1)
x, y = torch.randn(6, 4), torch.arange(6) % 3
model.train()
for _ in range(3):
    optimizer.zero_grad()
    F.cross_entropy(model(x), y).backward()
    optimizer.step()
{eval}
total = 0.0
with torch.no_grad():
    for _ in range(3):
        total += F.cross_entropy(model(x), y).item()
print(total / 3)
"""


@pytest.mark.parametrize("right", [True, False])
def test_a_run_takes_back_what_it_saw_to_be_right(tmp_path, right):
    script = tmp_path / "train.py"
    script.write_text(EVALUATED.format(eval="getattr(model, 'ev' + 'al')()" if right else ""))
    assert {f.rule for f in audit(script, config=Config()).findings} == {"X701"}
    found = program.run(script, [], Config()).report.findings
    assert {f.rule for f in found} == (set() if right else {"X701"})
    assert right or "3" in found[0].seen


def test_what_is_left_for_the_last_batch():
    for size, samples, drops, left in (
        (4, 10, False, 2),
        (4, 10, True, 0),
        (4, 8, False, 0),
        (4, 4, False, 0),
        (4, 3, False, 0),  # one batch, which is all there is
        (4, None, False, 0),
        (None, 10, False, 0),
        (None, None, True, 0),
    ):
        assert Round(size, samples, drops).ragged == left, (size, samples, drops)


@pytest.mark.parametrize(("high", "advice"), [(255, "divide the targets by 255"), (256, "scale")])
def test_targets_of_bytes(high, advice):
    y = tensor([[0.0, high], [1.0, 2.0]])
    said = seen(lambda: F.binary_cross_entropy_with_logits(torch.zeros(2, 2), y))
    assert f"got 0 to {high}" in said["X201"]
    assert advice in said["X201"]


@pytest.mark.parametrize(
    ("y", "advice"),
    [
        ([1, 2, 4], "target - 1"),
        ([1, 2, 5], "give the last layer 6 outputs"),
        ([2, 3, 4], "give the last layer 5 outputs"),
        ([-1, 2, 3], "give the last layer 4 outputs"),
    ],
)
def test_classes_that_are_out_of_range(y, advice):
    def compute():
        with pytest.raises(IndexError):
            F.cross_entropy(torch.zeros(3, 4), tensor(y))

    said = seen(compute)["X201"]
    assert f"got {min(y)} to {max(y)}" in said
    assert "[0, 3], with 4 classes" in said
    assert advice in said


def test_the_first_that_was_not_finite():
    p = tensor([0.0, 1.0], requires_grad=True)
    one = tensor([1.0, 2.0], requires_grad=True)
    lost = tensor([float("inf")], requires_grad=True)
    low = p.log()
    for broken, first in (
        ((low * 2 - low * 3).exp().sum(), "the result of log of 0 ((2,))"),
        ((one / (one - 1.0)).sum().log(), "the result of a division by 0 ((2,))"),
        ((lost * 2).log(), "a parameter of shape (1,)"),
        (tensor(float("nan")), "the input of the loss"),
    ):
        with torch.no_grad():
            assert numerics.first_of(broken) == first


def test_a_product_with_weights_behind_views_and_a_bias():
    x, w, b = torch.ones(2, 3), torch.ones(3, 4, requires_grad=True), torch.ones(4)
    image, kernel = torch.ones(1, 1, 3, 3), torch.ones(1, 1, 2, 2, requires_grad=True)
    for output, linear in (
        (x @ w, True),
        (x @ w + b, True),
        ((x @ w + b).reshape(2, 2, 2), True),
        (F.linear(x, w.T, b), True),
        (F.conv2d(image, kernel), True),
        (F.relu(x @ w), False),
        (F.relu(x @ w) + b, False),
        ((x @ w) * 2, False),
        (w + b, False),
    ):
        assert graph.is_linear(output.grad_fn) == linear, output.grad_fn
    assert not graph.is_linear(None)


# ------------------------------------------------------------------ tokens

PAD = 0


@pytest.mark.parametrize(
    ("rows", "ends"),
    [
        ([[1, 2, 3, 0, 0], [4, 5, 6, 7, 0], [1, 2, 3, 4, 5], [2, 3, 4, 5, 6]], PAD),  # half
        ([[1, 2, 3, 0, 0], [4, 5, 6, 7, 8], [1, 2, 3, 4, 5]], None),  # fewer
        ([[1, 2, 3, 4, 0], [4, 5, 6, 7, 0], [1, 2, 3, 4, 5]], None),  # one at the end: an end
        ([[1, 2, 3, 0, 0], [4, 5, 6, 0, 0]], None),  # of one length
        ([[1, 2, 3, 0, 0], [0, 0, 0, 0, 0], [4, 5, 6, 0, 0]], PAD),  # one row is padding alone
        ([[1, 0, 3, 0, 0], [4, 5, 6, 7, 0]], None),  # inside, too
        ([[1, 2, 3, 0, 0]], None),
        ([[1, 0], [0, 0]], None),
        ([[1, 2, 3, -1, -1], [4, 5, 6, 7, -1]], None),
    ],
)
def test_what_ends_rows_in_runs(rows, ends):
    assert padding._trailing(tensor(rows), -100) == ends
    assert padding._trailing(tensor(rows), PAD) is None


@pytest.mark.parametrize(
    ("rows", "times"),
    [
        ([[5, 0, 6, 0, 0], [1, 2, 0, 3, 0]], 2),
        ([[5, 0, 6, 7, 0], [1, 2, 0, 3, 0]], 0),  # no run: texts after one another
        ([[5, 0, 6, 0, 0], [1, 2, 4, 3, 0]], 0),  # one row ends without
        ([[5, 0, 6, 0, 0], [1, 2, 4, 3, 7]], 1),  # half the rows end so
        ([[5, 0, 6, 0, 0], [1, 2, 4, 3, 7], [1, 2, 4, 3, 7]], 0),
        ([[5, 0, 0, 6, 0], [1, 0, 2, 0, 0]], 0),  # two beside one another are no end
    ],
)
def test_padding_that_ends_texts(rows, times):
    assert padding._inside(tensor(rows), PAD) == times


def test_how_far_targets_are_from_the_ids():
    ids = tensor([[3, 4, 5, 6, 7, 8], [8, 7, 6, 5, 4, 3]])
    for by, verdict in ((0, "copy"), (1, "right"), (2, "twice"), (3, "")):
        assert tokens._shift(ids[:, : 6 - by], ids[:, by:], -100, 0) == verdict
        assert tokens._shift(ids, ids.roll(-by, 1), -100, 0) != ("" if by == 0 else "copy")
    assert tokens._shift(ids, ids.roll(-1, 1), -100, 0) == "wrapped"
    # Of one row, or where all begin alike, what stands last may be the next text's beginning.
    assert tokens._shift(ids[:1], ids[:1].roll(-1, 1), -100, 0) == "right"
    assert tokens._shift(ids[[0, 0]], ids[[0, 0]].roll(-1, 1), -100, 0) == "right"
    two = ids[:, 1:3]  # too few that count
    assert tokens._equal(ids[:1, :2], two[:1], -100, 1) == 0.0
    assert tokens._equal(ids, two, -100, 1) == 1.0
    masked = torch.where(ids[:, 1:] > 5, -100, ids[:, 1:])
    assert tokens._equal(ids, masked, -100, 1) == 1.0
    assert tokens._equal(ids, masked, -1, 1) == 0.5


# ------------------------------------------------------------------ steps of several losses


@pytest.mark.parametrize(
    ("weights", "shares", "closure", "found"),
    [
        ([10, 30], [0.5, 0.5], False, (1, 1)),
        ([10, 30], [0.5, 0.5], True, (0, 0)),
        ([10, 30], [0.25, 0.75], False, (1, 0)),
        ([10, 30], [0.5, 0.5004], False, (1, 1)),  # alike but for rounding
        ([10, 30], [0.5, 0.5006], False, (1, 0)),
        ([100, 101], [0.5, 0.5], False, (1, 0)),  # a hundredth more is alike
        ([100, 102], [0.5, 0.5], False, (1, 1)),
        ([10], [1.0], False, (0, 0)),
    ],
)
def test_micro_batches(weights, shares, closure, found):
    window, at = Window(), site()
    for weight, share in zip(weights, shares, strict=True):
        window.loss(at, weight, 2.0)
        window.backward(2.0 * share)
    window.step(closure)
    fact = at.fact("X409")
    assert (fact.looked, fact.found) == found
    window.step(False)  # the next step has nothing of this one
    assert fact.looked == found[0]


def test_micro_batches_of_which_little_is_known():
    for spoil in ("two losses", "zero", "another site", "sums"):
        window, at = Window(), site()
        for weight in (10, 30):
            of = site() if spoil == "another site" and weight == 30 else at
            window.loss(of, weight, 0.0 if spoil == "zero" else 2.0)
            if spoil == "two losses":
                window.loss(of, weight, 2.0)
            window.backward(1.0)
        if spoil == "sums":
            at.reductions = Counter(sum=1)
        window.step(False)
        assert at.fact("X409").looked == 0, spoil


# ------------------------------------------------------------------ averages


def one(*cells, grad=False, ended=True, samples=None):
    held = {(size, terms): Cell(count, total, e) for size, terms, count, total, e in cells}
    return Pass(Round(10, samples, ended=ended), grad, 0, cells=held, latest=int(grad))


def test_the_pass_that_tells_most():
    at = site()
    even, again = (one((10, 10, 2, 3.0, 0)) for _ in range(2))
    uneven = one((10, 10, 2, 3.0, 0), (5, 5, 1, 4.0, 0))
    cut = one((10, 10, 2, 3.0, 0), (5, 5, 1, 4.0, 0), ended=False)
    trained = one((10, 10, 2, 3.0, 0), grad=True)
    for passes, level, told in (
        ([even, again], "warning", again),  # of equals the last
        ([uneven, even], "warning", uneven),
        ([even, cut], "warning", even),
        ([even, trained], "warning", even),
        ([trained, even], "note", trained),
        ([trained], "warning", trained),
    ):
        at.passes = passes
        assert averages._told(at, level) is told
    at.passes = []
    assert averages._told(at, "warning") is None


def test_an_average_in_numbers():
    """25 rows: two batches of 10 whose means are 1 and 2, one of 5 whose mean is 4."""
    whole = one((10, 10, 2, 3.0, exp(1) + exp(2)), (5, 5, 1, 4.0, exp(4)))
    assert averages._numbers("X401", whole) == "shown 0.280, right 2.00"
    assert averages._numbers("X402", whole) == "shown 2.33, right 2.00"
    assert averages._numbers("X405", whole) == "shown 21.6, right 7.39"
    assert averages.sizes(whole.sizes) == "2 batches of 10, 1 of 5"
    assert averages.sizes(Counter({7: 1})) == "1 batch of 7"
    assert averages.sizes(Counter({7: 1, 8: 2, 9: 1})) == "1 batch of 9, 2 of 8, 1 of 7"
    assert averages.sizes(Counter({6: 1, 7: 1, 8: 1000, 9: 1})) == "1,003 batches of 6 to 9"
    assert averages.apart(1.2341, 1.2349) == ("1.234", "1.235")
    assert averages.apart(1.0, 2.0) == ("1.00", "2.00")
    assert averages.apart(1.0, 1.0) == ("1.000000", "1.000000")


def test_batches_that_were_passed_over():
    """Of 35 rows every tenth batch was looked at: the loader says how many there were."""
    seldom = one((10, 10, 2, 3.0, 4.0), (5, 5, 1, 4.0, 9.0), samples=35)
    assert seldom.told() is seldom
    seldom.partly = True
    told = seldom.told()
    assert {key: (cell.batches, cell.total) for key, cell in told.cells.items()} == {
        (10, 10): (3, 4.5),
        (5, 5): (1, 4.0),
    }
    assert told.cells[10, 10].exponentials == 6.0
    other = one((10, 10, 2, 3.0, 4.0), (7, 7, 1, 4.0, 9.0), samples=35)
    unlike = one((10, 10, 2, 3.0, 4.0), (10, 9, 1, 4.0, 9.0), samples=35)
    nothing = one((10, 10, 2, 3.0, 4.0))
    for each in (other, unlike, nothing):
        each.partly = True
        assert each.told() is None


def test_layers_that_nobody_trains_are_not_evaluated_wrongly():
    """A model whose parameters no optimiser holds: its mode is somebody else's business."""
    model, x, y = (
        nn.Sequential(nn.Linear(4, 3), nn.Dropout(0.5)),
        torch.ones(6, 4),
        torch.arange(6) % 3,
    )

    def compute(trained):
        optimizer = torch.optim.SGD(model.parameters() if trained else [torch.ones(1)], lr=0.1)
        F.cross_entropy(model(x), y).backward()
        optimizer.step()
        with torch.no_grad():
            for _ in range(3):
                F.cross_entropy(model(x), y)

    assert "X701" in seen(lambda: compute(True))
    assert "X701" not in seen(lambda: compute(False))


def test_one_loss_between_two_steps_is_no_evaluation():
    """In training mode without a graph: one is a look at training, two at one step are not."""

    def seen_at(*losses):
        found, sites = modes.Modes(), {"a": site(), "b": replace(site(), name="nll_loss")}
        event = modes.ModeEvent("Dropout", True, False, False, True, frozenset(), "here")
        for name, step in losses:
            found.pending = [(event, None)]
            found.at_loss(sites[name], False, step)
        return found.evaluated["here"].count

    assert [seen_at(*[("a", 1)] * times) for times in (1, 2, 3)] == [0, 1, 2]
    assert seen_at(("a", 1), ("a", 2)) == 0
    assert seen_at(("a", 1), ("b", 1)) == 0
    assert seen_at(("a", 1), ("b", 1), ("b", 1)) == 1


@pytest.mark.parametrize(
    ("output", "target", "both"),
    [
        ((4, 1), (4,), (4, 4)), ((4,), (4, 1), (4, 4)), ((2, 3), (2, 1, 3), (2, 2, 3)),
        ((4, 1), (1, 1), None), ((4,), (), None), ((1,), (4,), None), ((4, 3), (3,), None),
        ((4, 1), (4, 1), None),
    ],
)  # fmt: skip
def test_shapes_of_which_every_pair_is_compared(output, target, both):
    """One number for all is no accident; what is as large as neither of the two is."""
    here = site()
    options = {"input": torch.zeros(output), "target": torch.zeros(target)}
    targets.broadcast(here, LossCall("mse_loss", options, torch.zeros(()), "mean", []))
    fact = here.facts["X203"]
    assert (fact.looked, fact.found) == (1, both is not None)
    assert fact.facts.get("both") == both


def test_exit_codes_are_those_of_the_shell():
    for code, said in ((None, 0), (3, 3), (256 + 7, 7), (-1, 255), (True, 1)):
        assert program._exit_code(SystemExit(code)) == said


@pytest.mark.parametrize(("lines", "more"), [(5, None), (6, "1 more line"), (7, "2 more lines")])
def test_five_lines_that_did_not_run_are_named_and_the_rest_is_counted(tmp_path, lines, more):
    (script := tmp_path / "train.py").write_text(
        "import sys\nimport torch.nn.functional as F\nif len(sys.argv) > 9:\n"
        + "    F.mse_loss(a, b)\n" * lines
    )
    report = program.run(script, [], Config()).report
    said = [f"{script}:{line} (not reached in this run)" for line in range(4, 9)]
    assert report.not_followed == said + ([f"{more} not reached"] if more else [])
    assert report.sites == lines


def call(name, reduction="mean", result=0.5, **options):
    return LossCall(name, options, torch.tensor(result), reduction, [])


@pytest.mark.parametrize("argument", ["target", "weight", "pos_weight", "input"])
def test_what_is_not_finite_is_named_by_its_argument(argument):
    given = {name: torch.ones(3) for name in ("input", "target", "weight", "pos_weight")}
    given[argument] = tensor([1.0, float("nan"), 1.0])
    here = call("binary_cross_entropy_with_logits", result=float("nan"), **given)
    found = numerics.broken(site(), here, float("nan"))
    assert found.first == (
        "the input of the loss" if argument == "input" else f"the {argument} of the loss"
    )
    assert numerics.broken(site(), here, 1.0) is None


@pytest.mark.parametrize(("ones", "found"), [([0, 1], 0), ([1, 1], 0), ([1, 2], 1), ([0, 3], 1)])
def test_probabilities_that_share_one_beside_several_ones(ones, found):
    target = torch.stack([(torch.arange(3) < n).float() for n in ones])
    here, output = site(), torch.softmax(torch.arange(6.0).view(2, 3), 1)
    activations.into_bce(here, call("binary_cross_entropy", input=output, target=target))
    fact = here.facts.get("X104")
    assert (fact.found if fact else 0) == found
    if found:
        assert (fact.level, fact.seen) == ("error", f"up to {max(ones)} ones in a row of targets")
    # What does not sum to 1 is no softmax.
    activations.into_bce(
        there := site(), call("binary_cross_entropy", input=output / 2, target=target)
    )
    assert "X104" not in there.facts


def test_the_axis_that_softmax_takes_where_none_is_given():
    """As PyTorch does: axis 0 of one dimension and of three, else axis 1."""
    import warnings

    for dimensions in (1, 2, 3, 4):
        here, x = site(), torch.rand([2, 3, 2, 2][:dimensions])
        activations.no_axis(here, dimensions)
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            taken = F.softmax(x, dim=None)
        axis = next(k for k in range(dimensions) if torch.allclose(taken, x.softmax(k)))
        fact = here.facts["X105"]
        assert f"axis {axis}" in fact.facts["effect"]
        assert fact.level == ("error" if dimensions == 3 else "note")


def test_sums_over_micro_batches_weigh_them_by_themselves():
    for asked, found in ((["mean"], (1, 1)), (["sum"], None), (["mean", "sum"], None)):
        window, at = Window(), site()
        at.reductions.update(asked)
        for weight in (10, 30):
            window.loss(at, weight, 2.0)
            window.backward(1.0)
        window.step(False)
        fact = at.facts.get("X409")
        assert (fact and (fact.looked, fact.found)) == found


@pytest.mark.parametrize("steps", [1, 2, 3])
def test_a_model_left_in_evaluation_is_told_from_the_second_step_on(steps):
    model = nn.Sequential(nn.Linear(4, 3), nn.Dropout(0.5))
    optimizer = torch.optim.SGD(model.parameters(), lr=0.1)

    def compute():
        for step in range(1 + steps):
            model.train(step == 0)
            F.cross_entropy(model(torch.ones(6, 4)), torch.arange(6) % 3).backward()
            optimizer.step()

    assert ("X702" in seen(compute)) == (steps > 1)


def test_how_sizes_and_numbers_are_told():
    """Up to three sizes one by one; as many digits as tell two numbers apart, at most seven."""
    assert averages.sizes(Counter({128: 78, 16: 1})) == "78 batches of 128, 1 of 16"
    assert averages.sizes(Counter({8: 1})) == "1 batch of 8"
    assert averages.sizes(Counter({8: 1, 4: 2, 2: 3})) == "1 batch of 8, 2 of 4, 3 of 2"
    assert averages.sizes(Counter({8: 1, 4: 2, 2: 3, 1: 1500})) == "1,506 batches of 1 to 8"
    for right, said in ((1.3, "1.30"), (1.234, "1.234"), (1.23003, "1.23003"), (1.230002, "1.230002"),
                        (1.23 + 1e-9, "1.230000")):  # fmt: skip
        pair = averages.apart(1.23, right)
        assert pair[1] == said
        assert len(pair[0]) == len(said)


def test_a_product_with_zeros_and_one_number_above_1_is_dropout():
    x = torch.ones(4, requires_grad=True)
    for noise, dropped in (
        ([0.0, 2.0, 0.0, 2.0], True), ([2.0, 2.0, 2.0, 2.0], True), ([0.0, 1.0, 1.0, 0.0], False),
        ([0.0, 2.0, 3.0, 0.0], False), ([2.0], False),
    ):  # fmt: skip
        assert graph.dropped((x * tensor(noise)).grad_fn) == dropped
    assert graph.dropped(F.dropout(torch.ones(200, requires_grad=True), 0.5).grad_fn)
    assert not graph.dropped((x * 2).grad_fn)


@pytest.mark.parametrize(
    ("cells", "wrong"),
    [({(1, 1): 4}, False), ({(1, 1): 4, (2, 2): 1}, True), ({(2, 2): 4}, True)],
)
def test_a_total_over_samples_is_right_where_every_batch_is_one(cells, wrong):
    here, one = site(), Pass(Round(size=1, samples=6, ended=True), False, 0)
    one.cells = {key: Cell(batches, 2.0) for key, batches in cells.items()}
    here.passes.append(one)
    assert averages.quantified("X401", here, "warning")[0] is wrong


@pytest.mark.parametrize("average", [None, True, False])
@pytest.mark.parametrize("reduce", [None, True, False])
def test_the_reduction_that_old_arguments_ask_for_is_that_of_pytorch(average, reduce):
    legacy = torch.nn._reduction.legacy_get_string(average, reduce, emit_warning=False)
    said = reductions.named({"size_average": average, "reduce": reduce, "reduction": "sum"})
    assert said == ("sum" if average is None and reduce is None else legacy)


@pytest.mark.parametrize(("value", "found"), [(0.0, 0), (1.0, 0), (1.0000001, 1), (-1e-7, 1)])
def test_probabilities_that_a_loss_refuses_lie_outside(value, found):
    here = site()
    options = {"input": tensor([0.5, value]), "target": tensor([0.0, 1.0])}
    judges.refused(here, "binary_cross_entropy", options, RuntimeError())
    fact = here.facts["X107"]
    assert (fact.looked, fact.found) == (1, found)


def test_three_items_are_followed_one_by_one():
    three = [Const(i) for i in range(3)]
    assert unrolled(Sequence(three)) == three
    assert unrolled(Sequence([*three, Const(3)])) is None


def test_twelve_layers_are_followed_one_by_one():
    layers = [Made("torch.nn.Linear", [], {}) for _ in range(13)]
    assert unrolled(Sequence(layers[:12])) == layers[:12]
    assert unrolled(Sequence(layers)) is None
    assert unrolled(Sequence([*layers[:11], Const(3)])) is None


def _log_targets(**given):
    q, p = torch.rand(4, 3).log_softmax(1), torch.rand(4, 3).log_softmax(1)
    F.kl_div(q, p, reduction="batchmean", **given)


def _padded(**given):
    ids = torch.tensor([[4, 5, 6, 7, 3, 8], [5, 8, 3, 0, 0, 0], [7, 4, 9, 5, 0, 0]])
    embed, fc = nn.Embedding(10, 4, padding_idx=0), nn.Linear(4, 10)
    F.cross_entropy(fc(embed(ids[:, :-1])).transpose(1, 2), ids[:, 1:], **given)


def _padded_by_function(**given):
    ids = torch.tensor([[4, 5, 6, 7, 3, 8], [5, 8, 3, 2, 2, 2], [7, 4, 9, 5, 2, 2]])
    rows = F.embedding(ids[:, :-1], torch.randn(10, 4, requires_grad=True), 2)
    F.cross_entropy(nn.Linear(4, 10)(rows).transpose(1, 2), ids[:, 1:], **given)


def _padded_time_first(**given):
    ids = torch.tensor([[4, 5, 6, 7, 3, 8], [5, 8, 3, 0, 0, 0], [7, 4, 9, 5, 0, 0]]).T
    embed, fc = nn.Embedding(10, 4, padding_idx=0), nn.Linear(4, 10)
    F.cross_entropy(fc(embed(ids))[:-1].flatten(0, 1), ids[1:].flatten(), **given)


@pytest.mark.parametrize(
    ("compute", "function", "option", "other", "rule"),
    [
        (_log_targets, F.kl_div, "log_target", True, "X303"),
        (_padded, F.cross_entropy, "ignore_index", 0, "X503"),
        (_padded_time_first, F.cross_entropy, "ignore_index", 0, "X503"),
        (_padded, F.cross_entropy, "reduction", "none", "X503"),
        (_padded_by_function, F.cross_entropy, "ignore_index", 2, "X503"),
    ],
)
def test_an_option_that_is_left_out_is_what_torch_takes(compute, function, option, other, rule):
    default = inspect.signature(function).parameters[option].default
    assert rule in seen(compute)
    assert rule in seen(lambda: compute(**{option: default}))
    assert rule not in seen(lambda: compute(**{option: other}))


def test_of_what_is_zipped_a_loader_is_what_a_loop_goes_over():
    loader = Made("torch.utils.data.DataLoader", [], {})
    numbers, names = Made("range", [Const(3)], {}), Sequence([Const("a")])
    for parts, found in (
        ([numbers, loader], loader),
        ([names, numbers, loader], loader),
        ([numbers, names], names),
        ([numbers, numbers], numbers),
    ):
        assert bare(Made("zip", parts, {})) is found


@pytest.mark.parametrize("reduction", ["mean", "sum"])
def test_one_dimension_is_no_batch_that_could_be_given_twice(reduction, monkeypatch):
    function = F.binary_cross_entropy_with_logits
    monkeypatch.setitem(reductions.ORIGINALS, function.__name__, function)
    for shape, found in ((4,), ""), ((4, 1), reduction), ((4, 2), reduction):
        options = {"input": torch.ones(shape), "target": torch.zeros(shape), "reduction": reduction}
        call = SimpleNamespace(name=function.__name__, options=options, result=function(**options))
        assert reductions.real(call) == found
    other = lambda a, b, **options: (a @ a.T).logsumexp(1).mean()  # noqa: E731
    monkeypatch.setitem(reductions.ORIGINALS, function.__name__, other)
    assert reductions.real(call) == ""

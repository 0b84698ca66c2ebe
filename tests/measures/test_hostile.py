"""Does it survive: what is refused and with which words, what is taken however it comes."""

import math
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest
import torch

from xent.measures import (
    Counts,
    Logits,
    LogProbs,
    conditional_entropy,
    cross_entropy,
    entropy,
    f_divergence,
    js_distance,
    js_divergence,
    kl_divergence,
    mutual_information,
    normalized_mutual_information,
    renyi_divergence,
    renyi_entropy,
    tsallis_entropy,
)

NAN, INF = math.nan, math.inf
GOOD = np.full((5, 3), 1 / 3)


def spoilt(row, column, value):
    table = GOOD.copy()
    table[row, column] = value
    return table


REFUSED = [
    (lambda: entropy(spoilt(3, 1, NAN)), "`p` must be finite, got nan at [3, 1]."),
    (lambda: entropy(spoilt(2, 0, INF)), "`p` must be finite, got inf at [2, 0]."),
    (lambda: entropy(spoilt(1, 2, NAN).T, axis=0), "`p` must be finite, got nan at [2, 1]."),
    (
        lambda: entropy(spoilt(4, 0, -0.5)),
        "`p` must be non-negative, got -0.5 at [4, 0]. For logits pass Logits(p).",
    ),
    (
        lambda: kl_divergence(GOOD, spoilt(4, 2, 0.5)),
        "`q` must sum to 1 along axis -1, got 1.16666667 at row 4. For counts pass Counts(q).",
    ),
    (
        lambda: js_divergence(GOOD, spoilt(0, 0, -1e-320)),
        "`q` must be non-negative, got -9.99989e-321 at [0, 0]. For logits pass Logits(q).",
    ),
    (
        lambda: cross_entropy(spoilt(0, 0, 0.0), GOOD),
        "`p` must sum to 1 along axis -1, got 0.666666667 at row 0. For counts pass Counts(p).",
    ),
    (
        lambda: entropy(np.full((2, 2, 2), 0.3), axis=(1, 2)),
        "`p` must sum to 1 along axis (1, 2), got 1.2 at row 0. For counts pass Counts(p).",
    ),
    (
        lambda: entropy([1.0 + 2e-6]),
        "`p` must sum to 1 along axis -1, got 1.000002. For counts pass Counts(p).",
    ),
    (
        lambda: entropy(torch.tensor([0.5, 0.6])),
        "`p` must sum to 1 along axis -1, got 1.10000002. For counts pass Counts(p).",
    ),
    (lambda: entropy([]), "`p` must have at least one outcome along axis -1, got none."),
    (lambda: entropy(0.5), "`p` must have at least one axis, got the single number 0.5."),
    (
        lambda: entropy(["a"]),
        "`p` must be an array of real numbers, got an array of dtype <U1.",
    ),
    (
        lambda: entropy([1j]),
        "`p` must be an array of real numbers, got an array of dtype complex128.",
    ),
    (lambda: entropy([1.0], axis=1), "`axis` must be an axis of `p`, which has 1, got 1."),
    (
        lambda: entropy([1.0], axis="x"),
        "`axis` must be an integer or a tuple of integers, got 'x'.",
    ),
    (
        lambda: entropy(GOOD / 5, axis=(0, 0)),
        "`axis` must name at least one axis, and each once, got (0, 0).",
    ),
    (
        lambda: kl_divergence([0.5, 0.5], [1.0]),
        "`q` must have the 2 outcomes of `p` along axis -1, got 1.",
    ),
    (
        lambda: kl_divergence(GOOD, GOOD[:2]),
        "`q` must have a shape that broadcasts with that of `p`, (5, 3), got (2, 3).",
    ),
    (lambda: entropy(Counts([[1, 1], [0, 0]])), "`p` must count something in every row, got none"
        " at row 1."),
    (lambda: entropy(Counts([-1, 2])), "`p` must be non-negative, got -1 at [0]."),
    (lambda: entropy(Logits([-INF, -INF])), "`p` must allow at least one outcome, got none."),
    (lambda: entropy(Logits([NAN, 0])), "`p` must be finite or -inf, got nan at [0]."),
    (lambda: entropy(Logits([INF, 0])), "`p` must be finite or -inf, got inf at [0]."),
    (
        lambda: entropy(LogProbs([0.0, 0.0])),
        "`p` must sum to 1 along axis -1, got 2. For logits pass Logits(p).",
    ),
    (
        lambda: mutual_information([0.5, 0.5], axis=(0,)),
        "`axis` must name 2 axes, one a variable, got (0,).",
    ),
    (
        lambda: conditional_entropy(np.full((2, 2), 0.25), given=(0, 1)),
        "`given` must be some, not all, of the axes (-2, -1), got (0, 1).",
    ),
    (
        lambda: f_divergence([1.0], [1.0], "chi2"),
        "`name` must be 'total_variation', 'squared_hellinger', 'chi_square' or 'alpha', got"
        " 'chi2'.",
    ),
    (
        lambda: f_divergence([1.0], [1.0], "alpha"),
        "`alpha` must be given for \"alpha\" and for nothing else, got None for 'alpha'.",
    ),
    (lambda: renyi_entropy([1.0], -1), "`alpha` must be at least 0, got -1."),
    (lambda: tsallis_entropy([1.0], INF), "`alpha` must be finite, got inf."),
    *[
        (
            lambda a=alpha: f_divergence([1.0], [1.0], "alpha", alpha=a),
            f"`alpha` must be finite and neither 0 nor 1, got {alpha}.",
        )
        for alpha in (0, 1, 1.0, INF, 1e-301)
    ],
    (
        lambda: f_divergence([1.0], [1.0], "chi_square", alpha=2),
        "`alpha` must be given for \"alpha\" and for nothing else, got 2 for 'chi_square'.",
    ),
    (lambda: renyi_entropy([1.0], "2"), "`alpha` must be a number, got '2'."),
    (
        lambda: js_divergence([1.0], [1.0], weights=[1.0]),
        "`weights` must be 2 numbers, one a distribution, got shape (1,).",
    ),
    (
        lambda: js_divergence([1.0], [1.0], weights=[1.0, 2.0]),
        "`weights` must sum to 1 along axis -1, got 3. For counts pass Counts(weights).",
    ),
    (
        lambda: js_distance([1.0], [1.0], base=0.5),
        "`base` must be above 1 for a distance, got 0.5.",
    ),
    (
        lambda: normalized_mutual_information(np.full((2, 2), 0.25), average="mean"),
        "`average` must be 'arithmetic', 'geometric', 'min', 'max' or 'joint', got 'mean'.",
    ),
]  # fmt: skip


@pytest.mark.parametrize(("call", "sentence"), REFUSED, ids=[s for _, s in REFUSED])
def test_refused(call, sentence):
    with pytest.raises((ValueError, TypeError)) as caught:
        call()
    assert str(caught.value).startswith(sentence)


def test_two_libraries_at_once():
    jnp = pytest.importorskip("jax.numpy")
    with pytest.raises(TypeError, match="of one library, got jax and torch"):
        kl_divergence(torch.tensor([1.0]), jnp.asarray([1.0]))


FINITE = [
    (lambda: entropy([0.5, 0.5, 0.0]), math.log(2)),
    (lambda: entropy([5e-324, 1.0]), 3.68e-321),
    (lambda: entropy(Counts(np.array([2**62] * 3))), math.log(3)),
    (lambda: entropy(Counts(np.array([2**63] * 3, np.uint64))), math.log(3)),
    (lambda: entropy(Counts(np.array([200, 200], np.uint8))), math.log(2)),
    (lambda: entropy(Counts([1e308, 1e308, 1e308])), math.log(3)),
    (lambda: entropy(Counts([1e-320, 1e-320])), math.log(2)),
    (lambda: entropy(np.full(4096, 1 / 4096, np.float16)), math.log(4096)),
    (lambda: entropy(np.full(200_000, 1 / 200_000, np.float32)), math.log(200_000)),
    (lambda: entropy(np.array([True, False])), 0.0),
    (lambda: kl_divergence([0.5, 0.5], [1.0, 5e-324]), 371.5268887801307),
    (lambda: kl_divergence([0.5, 0.5], [1 - 1e-20, 1e-20]), 22.332703749380512),
    (lambda: kl_divergence([0.5, 0.5, 0.0], [0.5, 0.5, 0.0]), 0.0),
    (lambda: kl_divergence([0.5, 0.5], [1.0, 0.0]), INF),
    (lambda: kl_divergence(Counts([1, 1]), Counts([1, 0])), INF),
    (lambda: cross_entropy([0.5, 0.5], [1.0, 0.0]), INF),
    (lambda: js_divergence([1.0, 0.0], [0.0, 1.0]), math.log(2)),
    (lambda: renyi_entropy([0.25, 0.5, 0.25], 1.7e308), math.log(2)),
    (lambda: renyi_divergence([0.5, 0.5], [0.25, 0.75], 1.7e308), math.log(2)),
    (lambda: tsallis_entropy([5e-324, 1.0], 0.01), 5.906125239795062e-4),
    (lambda: mutual_information(Counts([[4_000_000_000, 0], [0, 4_000_000_000]])), math.log(2)),
    (lambda: cross_entropy(Logits([0.0, -INF, 1.0]), Logits([0.0, -INF, 2.0])), 0.66481085378296),
    (lambda: cross_entropy([0.0, 1.0], Logits([1e5, 0.0])), 1e5),
    (lambda: kl_divergence([0.5, 0.5], Logits([0.0, -INF])), INF),
]  # fmt: skip


@pytest.mark.parametrize(("call", "value"), FINITE)
def test_finite_wherever_the_truth_is(call, value):
    assert call() == pytest.approx(value, rel=1e-14, abs=0)


def test_a_row_at_the_edge_of_the_tolerance_is_divided_by_its_sum():
    p = np.array([0.5, 0.25, 0.25])
    assert entropy(p * (1 + 9e-7)) == pytest.approx(entropy(p), rel=1e-15)
    assert kl_divergence(p, p * (1 - 9e-7)) < 1e-30


def test_layouts():
    rng = np.random.default_rng(0)
    p, q = rng.dirichlet(np.ones(7), (2, 50))
    expected = [entropy(p), kl_divergence(p, q), js_divergence(p, q)]
    frozen = p.copy()
    frozen.setflags(write=False)
    for form in (
        np.asfortranarray(p),
        np.repeat(p, 2, 0)[::2],
        p.astype(">f8"),
        frozen,
        p.tolist(),
    ):
        found = [entropy(form), kl_divergence(form, q), js_divergence(form, q)]
        for a, b in zip(found, expected, strict=True):
            np.testing.assert_array_equal(a, b)
    assert entropy(np.zeros((0, 3))).shape == (0,)
    assert isinstance(entropy(p[0]), float)
    assert isinstance(entropy(p[:1]), np.ndarray)


def test_the_same_bits_for_any_number_of_threads_and_from_many_at_once():
    import numba

    rng = np.random.default_rng(0)
    p, q = rng.dirichlet(np.ones(300), (2, 4000))
    whole = kl_divergence(p, q)
    before = numba.get_num_threads()
    try:
        numba.set_num_threads(1)
        np.testing.assert_array_equal(kl_divergence(p, q), whole)
    finally:
        numba.set_num_threads(before)
    with ThreadPoolExecutor(4) as pool:
        for found in pool.map(lambda _: kl_divergence(p, q), range(8)):
            np.testing.assert_array_equal(found, whole)
    bad = p.copy()
    bad[3456, 7] = NAN
    with pytest.raises(ValueError, match=r"nan at \[3456, 7\]"):
        entropy(bad)


def test_numba_is_loaded_by_the_first_call_only():
    code = (
        "import sys, xent.measures as m; before = 'numba' in sys.modules; m.entropy([1.0]);"
        "print(before, 'numba' in sys.modules, 'torch' in sys.modules)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.split() == ["False", "True", "False"]


def test_machine_code_from_the_disk_loads_nothing_that_only_compiles():
    pair = "[0.5, 0.5], [0.25, 0.75]"
    calls = f"m.kl_divergence({pair}), m.entropy([1.0]), m.js_divergence({pair})"
    code = f"import sys, xent.measures as m; {calls}; print('scipy.linalg' in sys.modules)"
    for _ in range(2):  # the first one may have to compile
        done = subprocess.run([sys.executable, "-c", code], capture_output=True, check=True)
    assert done.stdout.split() == [b"False"]

"""An exported model says what the model says, loaded without xent."""

import json
import subprocess
import sys
from datetime import date, timedelta

import numpy as np
import pandas as pd
import pytest
import torch

from xent.training import Scaling, SoftmaxClassifier, TableEncoder, TrainedModel, export_model
from xent.training._export import _Graph, description


def table(n=60, seed=0):
    rng = np.random.default_rng(seed)
    return pd.DataFrame({
        "age": np.where(rng.random(n) < 0.2, np.nan, rng.normal(40, 9, n)),
        "port": rng.choice(["S", "C", "Q", None], n),
        "paid": rng.random(n) < 0.5,
        "town": rng.choice([f"town {i}" for i in range(6)], n),
        "born": [date(1980, 1, 1) + timedelta(days=int(d)) for d in rng.integers(0, 3000, n)],
        "same": 1,
    })  # fmt: skip


def fitted(loss="cross_entropy", hidden=(4,)):
    X = table()
    encoder = TableEncoder(max_levels=4).fit(X)
    y = np.array(["no", "yes", "ö"])[np.random.default_rng(1).integers(0, 3, 60)]
    classifier = SoftmaxClassifier(loss=loss, hidden=hidden, epochs=2, random_state=0)
    classifier.fit(encoder.transform(X), y)
    return TrainedModel(classifier, None, list(X.columns), "y", encoder)


def numbers(frame, said):
    """What a program without xent makes of a table: numbers, by the text in the file."""
    out = np.full((len(frame), len(said["columns"])), np.nan)
    for j, column in enumerate(said["columns"]):
        values = frame[column["name"]]
        for i, value in enumerate(values):
            if value is None or value != value:
                continue
            if "levels" in column:
                out[i, j] = column["levels"].index(value) if value in column["levels"] else -5
            elif column["kind"] == "date":
                out[i, j] = (value - date(1970, 1, 1)).days * 86_400e6
            else:
                out[i, j] = value
    return out


def new_rows():
    frame = table(25, seed=3)
    frame.loc[0, "port"], frame.loc[1, "town"] = "nowhere", "a new town"
    return frame


def test_what_a_graph_makes_of_numbers_that_stand_for_no_name():
    """Any number that is no place is a name that is none of them; a constant tells nothing."""
    model = fitted("cross_entropy")
    graph, said = _Graph(model), description(model)["columns"]
    row = numbers(table(1, seed=4), {"columns": said})
    port = [c["name"] for c in said].index("port")
    size = len(said[port]["levels"])
    found = []
    for value in (-5.0, -0.5, 0.5, 1.5, size - 0.5, float(size), 1e300, np.inf):
        row[0, port] = value
        found.append(graph(torch.from_numpy(row)).detach().numpy())
    assert all((other == found[0]).all() for other in found)
    row[0, port] = 0.0
    assert (graph(torch.from_numpy(row)).detach().numpy() != found[0]).any()
    X = np.array([[1.0, 5.0], [2.0, 5.0], [4.0, 5.0]])
    plain = TrainedModel(
        SoftmaxClassifier(epochs=1, random_state=0).fit(Scaling.of(X).apply(X), [0, 1, 0]),
        Scaling.of(X), ["a", "b"], "y",
    )  # fmt: skip
    new = np.array([[3.0, 7.0], [9.0, -2.0]])
    np.testing.assert_allclose(
        _Graph(plain)(torch.from_numpy(new)).detach(), plain.predict_log_proba(new), rtol=1e-12
    )


LOSSES = ["mse_sigmoid", "cross_entropy:softcap=3,temperature=2"]


@pytest.mark.parametrize("loss", LOSSES)
def test_torch_export_says_the_same(tmp_path, loss):
    model = fitted(loss)
    export_model(model, tmp_path / "m.pt2", "torch")
    extra = {"columns.json": ""}
    program = torch.export.load(tmp_path / "m.pt2", extra_files=extra)
    said = json.loads(extra["columns.json"])
    assert said["classes"] == ["no", "yes", "ö"]
    frame = new_rows()
    found = program.module()(torch.from_numpy(numbers(frame, said))).numpy()
    np.testing.assert_allclose(found, model.predict_log_proba(frame), rtol=1e-9, atol=1e-9)


def test_onnx_says_the_same(tmp_path):
    pytest.importorskip("onnxscript")
    runtime = pytest.importorskip("onnxruntime")
    model = fitted()
    export_model(model, tmp_path / "m.onnx", "onnx")
    session = runtime.InferenceSession(tmp_path / "m.onnx")
    said = json.loads(session.get_modelmeta().custom_metadata_map["columns.json"])
    frame = new_rows()
    (found,) = session.run(None, {"columns": numbers(frame, said)})
    np.testing.assert_allclose(found, model.predict_log_proba(frame), rtol=1e-9, atol=1e-9)


def test_pixels_are_scaled_within(tmp_path):
    rng = np.random.default_rng(0)
    X, y = rng.integers(0, 256, (30, 6)).astype(float), np.arange(30) % 2
    X[:, 5] = 7  # constant
    scaling = Scaling.of(X)
    model = TrainedModel(
        SoftmaxClassifier(epochs=1, random_state=0).fit(scaling.apply(X), y), scaling
    )
    export_model(model, tmp_path / "m.pt2", "torch")
    found = torch.export.load(tmp_path / "m.pt2").module()(torch.from_numpy(X)).numpy()
    np.testing.assert_allclose(found, model.predict_log_proba(X), rtol=1e-12, atol=1e-12)


@pytest.mark.long
def test_it_loads_without_xent(tmp_path):
    export_model(fitted(), tmp_path / "m.pt2", "torch")
    code = (
        "import sys, torch\n"
        "m = torch.export.load(sys.argv[1]).module()\n"
        "print(m(torch.zeros(3, 6, dtype=torch.float64)).exp().sum(1).sum().item())\n"
        "sys.exit(any(name.startswith('xent') for name in sys.modules))"
    )
    done = subprocess.run(
        [sys.executable, "-c", code, tmp_path / "m.pt2"],
        capture_output=True, text=True, cwd=tmp_path,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    assert float(done.stdout) == pytest.approx(3)


def test_refusals(tmp_path, monkeypatch):
    from xent import _optional

    model = fitted()
    with pytest.raises(ValueError, match="`format` must be 'torch' or 'onnx', got 'tflite'"):
        export_model(model, tmp_path / "m", "tflite")
    monkeypatch.setattr(_optional, "find_spec", lambda name: None)
    with pytest.raises(ImportError, match=r"ONNX needs onnxscript\. Install it with: pip install"):
        export_model(model, tmp_path / "m.onnx", "onnx")
    assert list(tmp_path.iterdir()) == []

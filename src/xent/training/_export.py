"""A trained model as one graph that other programs run: torch.export or ONNX, and no xent.

The graph takes the columns as numbers and does all that the model does, encoding, scaling, layers
and link, in float64. What a name's number is, a JSON text in the file says: a file of ONNX among
its metadata, one of torch.export as its extra file `columns.json`.
"""

from __future__ import annotations

import io
import json
import logging
import math
import os
import warnings
from copy import deepcopy
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn.functional import logsigmoid

from xent import _check, _store
from xent._optional import need
from xent._table.frames.columns import DAY
from xent.training._dense import DenseClassifier
from xent.training._encoding.column import CYCLES, EncodedColumn
from xent.training._model import TrainedModel
from xent.training._multilabel import MultilabelClassifier
from xent.training._objectives import link_of

EXPORT_FORMATS = ("torch", "onnx")
EXAMPLE_ROWS = 2  # with which the graph is drawn; it takes any number
INPUT, OUTPUT = "columns", "log_probs"
UNITS = {
    "number": "the number; NaN is missing",
    "date": "microseconds since 1970-01-01 (UTC where there is a time zone); NaN is missing",
    "time": "microseconds since midnight; NaN is missing",
    "duration": "microseconds; NaN is missing",
    "boolean": "the place in levels; NaN is missing",
    "name": "the place in levels; any other number is a name that is none of them; NaN is missing",
}


class _Column(nn.Module):
    """The features of one column."""

    centre: Tensor
    width: Tensor
    fill: Tensor
    period: Tensor
    circle: Tensor
    table: Tensor

    def __init__(self, column: EncodedColumn) -> None:
        super().__init__()
        self.whats = [part.what for part in column.parts]
        self.gaps, self.is_names = column.gaps, column.is_names
        # As tensors: a plain number would go into a graph of ONNX as float32.
        for name in ("centre", "width", "fill"):
            self._keep(name, [getattr(part, name) for part in column.parts])
        cycles = [CYCLES.get(what.partition("_")[0], 1.0) * DAY for what in self.whats]
        self._keep("period", cycles)
        self.register_buffer("circle", torch.tensor(2 * math.pi, dtype=torch.float64, device="cpu"))
        if self.is_names:
            table = column.rows_of_levels()
            self.n = len(table) - 2
            self.register_buffer("table", torch.from_numpy(table))

    def _keep(self, name: str, values: list[float]) -> None:
        self.register_buffer(name, torch.tensor(values, dtype=torch.float64, device="cpu"))

    def forward(self, x: Tensor) -> Tensor:
        """Return features (N, F) of the numbers (N,) of a column."""
        gone = torch.isnan(x)
        if self.is_names:
            known = (x >= 0) & (x < self.n) & (x == torch.floor(x))
            place = torch.where(known, x, torch.full_like(x, float(self.n)))
            place = torch.where(gone, torch.full_like(x, float(self.n + 1)), place)
            return torch.index_select(self.table, 0, place.long())
        out = []
        for k, what in enumerate(self.whats):
            value = x
            if what:
                period = self.period[k]
                turn = (x - torch.floor(x / period) * period) / period
                angle = turn * self.circle
                value = torch.sin(angle) if what.endswith("sin") else torch.cos(angle)
            value = (value - self.centre[k]) / self.width[k]
            out.append(torch.where(gone, self.fill[k], value))
        if self.gaps:
            out.append(gone.to(x.dtype))
        return torch.stack(out, dim=1)


class _Graph(nn.Module):
    """All that a trained model does."""

    low: Tensor
    factor: Tensor
    temperature: Tensor
    softcap: Tensor

    def __init__(self, model: TrainedModel) -> None:
        super().__init__()
        columns = [] if model.encoder is None else model.encoder.columns_
        self.used = [j for j, column in enumerate(columns) if column.features]
        self.columns = nn.ModuleList(_Column(columns[j]) for j in self.used)
        self.scaled = model.scaling is not None
        if model.scaling is not None:
            width = model.scaling.high - model.scaling.low
            self.register_buffer("low", torch.from_numpy(model.scaling.low.copy()))
            # A feature that was constant becomes 0.
            factor = np.where(width > 0, 1 / np.where(width > 0, width, 1), 0.0)
            self.register_buffer("factor", torch.from_numpy(factor))
        classifier = model.classifier
        self.network = None
        if classifier.module is not None:
            self.network = deepcopy(classifier.module_).eval().requires_grad_(False)
        layers = () if self.network is not None else (classifier.coefs_, classifier.intercepts_)
        for i, (weight, bias) in enumerate(zip(*layers, strict=True)):
            self.register_buffer(f"weight{i}", torch.from_numpy(weight.astype(np.float64)))
            self.register_buffer(f"bias{i}", torch.from_numpy(bias.astype(np.float64)))
        self.depth = 0 if self.network is not None else len(classifier.coefs_)
        self.link, options = link_of(classifier.loss_)
        self.multilabel = isinstance(classifier, MultilabelClassifier)
        self.capped = "softcap" in options
        for name in ("temperature", "softcap"):
            value = torch.tensor(options.get(name, 1.0), dtype=torch.float64, device="cpu")
            self.register_buffer(name, value)

    def forward(self, x: Tensor) -> Tensor:
        """Return log-probabilities (N, C) of columns (N, D)."""
        if len(self.columns):
            x = torch.cat(
                [column(x[:, j]) for j, column in zip(self.used, self.columns, strict=True)], dim=1
            )
        if self.scaled:
            x = (x - self.low) * self.factor
        if self.network is not None:  # in float32, as it was trained
            x = self.network(x.float()).double()
        for i in range(self.depth):
            x = x @ getattr(self, f"weight{i}").t() + getattr(self, f"bias{i}")
            if i + 1 < self.depth:
                x = torch.relu(x)
        if self.capped:
            x = self.softcap * torch.tanh(x / self.softcap)
        x = x / self.temperature
        if self.multilabel:  # each label by itself
            return logsigmoid(x)
        return torch.log_softmax(logsigmoid(x) if self.link == "sigmoid" else x, dim=1)


def _row_shape(model: TrainedModel) -> tuple[int, ...]:
    """Return the shape of a row that a graph takes."""
    if isinstance(model.classifier, DenseClassifier):
        return model.classifier.input_shape_
    read = model.classifier if model.encoder is None else model.encoder
    return (int(read.n_features_in_),)


def description(model: TrainedModel) -> dict[str, Any]:
    """Return what whoever runs the graph must know: columns, levels and classes, for JSON."""
    columns: list[dict[str, Any]]
    outputs: tuple[int, ...] = (len(model.classifier.classes_),)
    if isinstance(model.classifier, DenseClassifier):
        columns, outputs = [], model.classifier.output_shape_
    elif model.encoder is None:
        names = model.columns or [f"x{j}" for j in range(model.classifier.n_features_in_)]
        columns = [{"name": name, "kind": "number", "value": UNITS["number"]} for name in names]
    else:
        columns = [
            {"name": c.name, "kind": c.kind, "value": UNITS[c.kind]}
            | ({"levels": list(c.levels)} if c.is_names else {})
            for c in model.encoder.columns_
        ]
    return {
        "input": f"{INPUT}: float64 (rows, {', '.join(map(str, _row_shape(model)))})",
        "output": f"{OUTPUT}: float64 (rows, {', '.join(map(str, outputs))}), natural logarithms",
        "columns": columns,
        "shape": list(model.shape),
        "target": model.target,
        "classes": model.classifier.classes_.tolist(),
        "multilabel": isinstance(model.classifier, MultilabelClassifier),
    }


def export_model(model: TrainedModel, path: str | os.PathLike[str], format: str = "torch") -> None:
    """Write a trained model as a graph that loads without xent, encoding, scaling and link within.

    It takes the columns as numbers, shape (N, D), and gives log-probabilities in nats, shape (N,
    C), or (N, C, ...) of a `DenseClassifier`. It computes in float64; a module of your own computes
    in float32. The text ``columns.json`` in the file, an extra file of torch.export's or among the
    metadata of ONNX, says which number stands for which name, and names the classes.

    Parameters
    ----------
    model : TrainedModel
        What to export.
    path : str or PathLike
        Where the file shall stand.
    format : {"torch", "onnx"}
        A program of torch.export, for ``torch.export.load``, or ONNX.

    Raises
    ------
    ValueError
        If the format is none of these, or the folder does not exist.
    ImportError
        If the format is ONNX, and onnxscript is not installed.

    Examples
    --------
    >>> export_model(TrainedModel.load("titanic.xent"), "titanic.pt2")  # doctest: +SKIP
    """
    _check.option("format", format, EXPORT_FORMATS)
    _store.check_target(path)
    text = json.dumps(description(model), ensure_ascii=False)
    shape = _row_shape(model)
    graph = _Graph(model).eval()
    example = torch.zeros(EXAMPLE_ROWS, *shape, dtype=torch.float64, device="cpu")
    rows = torch.export.Dim("rows", min=1)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of torch's own making
        try:
            made = _onnx if format == "onnx" else _program
            data = made(graph, example, rows, text)
        except Exception as error:
            if graph.network is None or hasattr(error, "sentence"):
                raise
            # A module's own code may do what no graph can.
            because = f"of its module torch says: {str(error).strip().partition(chr(10))[0]}"
            raise _check.cannot("The model cannot be exported", because.rstrip(".")) from error
    with _store.writing(path) as file:
        file.write(data)


def _program(graph: nn.Module, example: Tensor, rows: Any, text: str) -> bytes:
    program = torch.export.export(graph, (example,), dynamic_shapes=({0: rows},))
    buffer = io.BytesIO()
    torch.export.save(program, buffer, extra_files={"columns.json": text})
    return buffer.getvalue()


def _onnx(graph: nn.Module, example: Tensor, rows: Any, text: str) -> bytes:
    need("onnxscript", extra="onnx", by="An export to ONNX")
    logger = logging.getLogger("torch.onnx")
    level = logger.level
    logger.setLevel(logging.ERROR)  # that torchvision is not installed is nothing to the user
    try:
        program = torch.onnx.export(
            graph,
            (example,),
            dynamo=True,
            dynamic_shapes=({0: rows},),
            input_names=[INPUT],
            output_names=[OUTPUT],
            verbose=False,
        )
    finally:
        logger.setLevel(level)
    if program is None:
        raise _check.cannot("The model cannot be exported", "torch gave no program")
    proto = program.model_proto
    entry = proto.metadata_props.add()
    entry.key, entry.value = "columns.json", text
    return bytes(proto.SerializeToString())

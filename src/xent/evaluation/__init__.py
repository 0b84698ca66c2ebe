"""Predictions in your hand: a report that says where the bits go."""

from xent.evaluation._accumulator.accumulator import Accumulator
from xent.evaluation._calibration.calibrators.calibrator import Calibrator
from xent.evaluation._calibration.calibrators.fit import calibrate
from xent.evaluation._compare._compare import compare
from xent.evaluation._compare._records import CostDifference, ModelComparison, ModelCost
from xent.evaluation._evaluate import evaluate
from xent.evaluation._hooks._metric import torchmetrics_metric
from xent.evaluation._hooks._scorer import scorer
from xent.evaluation._hooks._trainer import compute_metrics
from xent.evaluation._kinds._dense import evaluate_dense
from xent.evaluation._kinds._harness import evaluate_harness
from xent.evaluation._kinds._label_report import LabelHardRow, LabelRow, MultilabelReport
from xent.evaluation._kinds._multilabel import evaluate_multilabel
from xent.evaluation._kinds._ordered import OrderedReport, ThresholdRow, evaluate_ordered
from xent.evaluation._kinds._soft import SoftClassRow, SoftHardRow, SoftReport, evaluate_soft
from xent.evaluation._kinds._token_report import DocumentRow, TokenPlace, TokenReport, TokenUnit
from xent.evaluation._kinds._tokens import evaluate_tokens
from xent.evaluation._numbers import Bin, ClassRow, ConfusedRows, HardRow, SliceRow
from xent.evaluation._ranking import OperatingPoint
from xent.evaluation._report import Report
from xent.evaluation._schema import json_schema

__all__ = [
    "Accumulator",
    "Bin",
    "Calibrator",
    "ClassRow",
    "ConfusedRows",
    "CostDifference",
    "DocumentRow",
    "HardRow",
    "LabelHardRow",
    "LabelRow",
    "ModelComparison",
    "ModelCost",
    "MultilabelReport",
    "OperatingPoint",
    "OrderedReport",
    "Report",
    "SliceRow",
    "SoftClassRow",
    "SoftHardRow",
    "SoftReport",
    "ThresholdRow",
    "TokenPlace",
    "TokenReport",
    "TokenUnit",
    "calibrate",
    "compare",
    "compute_metrics",
    "evaluate",
    "evaluate_dense",
    "evaluate_harness",
    "evaluate_multilabel",
    "evaluate_ordered",
    "evaluate_soft",
    "evaluate_tokens",
    "json_schema",
    "scorer",
    "torchmetrics_metric",
]

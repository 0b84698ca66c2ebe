"""Predictions in your hand: a report that says where the bits go."""

from xent.evaluation._calibration.calibrators.calibrator import Calibrator
from xent.evaluation._calibration.calibrators.fit import calibrate
from xent.evaluation._compare._compare import compare
from xent.evaluation._compare._records import CostDifference, ModelComparison, ModelCost
from xent.evaluation._evaluate import evaluate
from xent.evaluation._numbers import Bin, ClassRow, ConfusedRows, HardRow, SliceRow
from xent.evaluation._report import Report

__all__ = [
    "Bin",
    "Calibrator",
    "ClassRow",
    "ConfusedRows",
    "CostDifference",
    "HardRow",
    "ModelComparison",
    "ModelCost",
    "Report",
    "SliceRow",
    "calibrate",
    "compare",
    "evaluate",
]

"""Predictions in your hand: a report that says where the bits go."""

from xent.evaluation._evaluate import evaluate
from xent.evaluation._report import Bin, ClassRow, HardRow, Report

__all__ = ["Bin", "ClassRow", "HardRow", "Report", "evaluate"]

"""Scaling laws: `fit_runs` fits power laws to trainings, `predict` extrapolates, `write_report` shows.

`law` knows numbers alone, and no training.
"""

from .fitting import AXES, Laws, fit_runs, predict
from .law import PowerLaw, fit
from .report import as_result, tables, write_report
from .runs import METRICS, ScalingRun, Validation, read_runs

__all__ = [
    "AXES",
    "METRICS",
    "Laws",
    "PowerLaw",
    "ScalingRun",
    "Validation",
    "as_result",
    "fit",
    "fit_runs",
    "predict",
    "read_runs",
    "tables",
    "write_report",
]

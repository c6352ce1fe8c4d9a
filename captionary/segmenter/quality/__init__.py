"""How good a dictionary is, by its own captions: a report, weights, unsupported tags."""

from captionary.segmenter.quality.calibration import Calibration, calibrate
from captionary.segmenter.quality.labelled import calibrate_on
from captionary.segmenter.quality.leave_one_out import Examination, examine
from captionary.segmenter.quality.report import Report, report_of
from captionary.segmenter.quality.report_page import page_of
from captionary.segmenter.quality.separation import unsupported

__all__ = [
    "Calibration",
    "Examination",
    "Report",
    "calibrate",
    "calibrate_on",
    "examine",
    "page_of",
    "report_of",
    "unsupported",
]

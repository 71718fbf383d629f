"""The judge held against programs whose truth is known by their tests. Changes no tree and no data.

rows      what is kept of each problem, whole or not at all
judging   right programs and mutants of them, run on sample calls and judged
figures   AUC, calibration curve and confusion by grade
picture   the same as a PNG
"""

from mcts.calibrate.figures import Calibration, calibration_of
from mcts.calibrate.judging import Calibrator
from mcts.calibrate.picture import draw
from mcts.calibrate.rows import JudgedProblem, JudgedProgram

__all__ = ["Calibration", "Calibrator", "JudgedProblem", "JudgedProgram", "calibration_of", "draw"]

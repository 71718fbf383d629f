"""The judge: a language model grades a program by what its calls printed (method step 8).

nonce     the mark that divides what the judge is shown, and that no program can know
answers   from an answer, or from its tokens' log-probabilities, to a grade
judge     asks, tries again, and takes the mean of several verdicts
"""

from mcts.judge.answers import MAX_GRADE
from mcts.judge.judge import Judge, JudgeError, Judgement

__all__ = ["MAX_GRADE", "Judge", "JudgeError", "Judgement"]

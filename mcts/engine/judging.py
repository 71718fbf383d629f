"""placeholder until the judge is merged"""

import re

from coderm_slime.records import Evaluation
from mcts.asking import Step
from mcts.config import CurateConfig
from mcts.failures import FailureReason, StepFailed
from mcts.steps import Asking, Run
from mcts.steps.tries import first_usable


async def grade(
    asking: Asking, config: CurateConfig, problem: str, code: str, calls: str, run: Run, rollout: int
) -> Evaluation:
    messages = [{"role": "user", "content": f"{problem}\n{code}\n{calls}\n{run.output}\nGrade 0-5?"}]

    def read(answer):
        found = re.search(r"\b([0-5])\b", answer.text)
        if not found:
            raise StepFailed(FailureReason.NO_GRADE, answer.text[:200])
        value = float(found[1])
        return Evaluation(
            rollout=rollout, reward=value / 5, grade=value, analysis=answer.text, output=run.output, ending=run.ending
        )

    return await first_usable(asking, Step.JUDGE, config.steps.judge, rollout, messages, read)

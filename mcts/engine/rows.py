"""What the journal keeps: of a step its text, of a rollout its outcome, each with what it cost. To and from JSON."""

from dataclasses import dataclass, field
from typing import Literal

from pydantic import BaseModel, ConfigDict

from coderm_slime.errors import CodermError
from coderm_slime.pycode import SourceError, program_in
from coderm_slime.records import Action, Evaluation, Problem
from mcts.engine.spent import Amounts
from mcts.search import Evaluated, Failed, Grown, Outcome, Task
from mcts.steps import Run

State = Literal["open", "finished", "failed", "error"]


class JournalError(CodermError):
    """The journal cannot be read or written, or holds what does not fit this run."""


class _Row(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")

    spent: dict[str, float]


class StepRow(_Row):
    """What a step before the search gave: the first response, the calls, or their output.

    Attributes:
        ending: of an execution, else empty.
    """

    text: str
    ending: str = ""

    @property
    def run(self) -> Run:
        """An execution's result."""
        return Run(self.text, self.ending)


class RolloutRow(_Row):
    """A rollout's outcome, and the task that it belongs to.

    Attributes:
        response: of an initial path or an expansion that succeeded.
        failure: empty unless the rollout failed.
        detail: what the last try gave, of one that failed.
    """

    action: Action
    node: int
    response: str | None = None
    evaluation: Evaluation | None = None
    failure: str = ""
    detail: str = ""

    @classmethod
    def of(cls, task: Task, outcome: Outcome, detail: str, spent: Amounts) -> "RolloutRow":
        """The row of an outcome."""
        return cls(
            action=task.action,
            node=task.node,
            response=outcome.program.response if isinstance(outcome, Grown) else None,
            evaluation=None if isinstance(outcome, Failed) else outcome.evaluation,
            failure=outcome.reason if isinstance(outcome, Failed) else "",
            detail=detail,
            spent=dict(spent),
        )

    def outcome(self, task: Task) -> Outcome:
        """The outcome that this is the row of.

        Raises:
            JournalError: it belongs to another task: the search has changed since.
        """
        try:
            if (self.action, self.node) == (task.action, task.node):
                if self.failure:
                    return Failed(self.failure)
                if self.evaluation and self.response is None:
                    return Evaluated(self.evaluation)
                if self.evaluation and (program := program_in(self.response or "", task.ends)):
                    return Grown(program, self.evaluation)
        except SourceError:
            pass  # as below
        raise JournalError(
            f"rollout {task.rollout} is to {task.action} node {task.node}, and the journal has {self.action} of "
            f"{self.node}: it was written by another version; begin a new run folder"
        )


@dataclass(frozen=True)
class Work:
    """An open problem with what is done of it already.

    Attributes:
        position: among the run's problems.
    """

    position: int
    problem: Problem
    steps: dict[str, StepRow] = field(default_factory=dict)
    rollouts: dict[int, RolloutRow] = field(default_factory=dict)


@dataclass(frozen=True)
class Ending:
    """How a problem ended. `tree` is the finished tree's JSON; None of one that has none."""

    state: State
    reason: str = ""
    detail: str = ""
    tree: str | None = None


@dataclass(frozen=True)
class Entry:
    """One atomic addition to a problem: a step's row or a rollout's, what was spent, or its ending.

    Attributes:
        step: name of the step that `body` is the row of; "rollout" for one of the search's.
        spent: is added to the run's sums; also of work that came to nothing.
    """

    key: str
    step: str = ""
    number: int = 0
    body: str = ""
    spent: Amounts = field(default_factory=dict)
    ending: Ending | None = None

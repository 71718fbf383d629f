"""What a search asks to be done, and what may come of it."""

from dataclasses import dataclass

from coderm_slime.pycode import Program
from coderm_slime.records import Action, Evaluation


@dataclass(frozen=True)
class Reflection:
    """An earlier completion that an expansion is shown, with the last evaluation of it.

    Attributes:
        leaf: the node where it ends.
        code: the whole program, of which `Task.prefix` is the beginning.
    """

    leaf: int
    code: str
    evaluation: Evaluation


@dataclass(frozen=True)
class Task:
    """One rollout.

    Attributes:
        node: the node to expand, or the terminal node whose response is evaluated again; the root for `begin`.
        prefix: the code that an expansion goes on from, verbatim as one response below the node has it; empty at the
            root.
        ends: where the steps of `prefix` end in it; what `pycode.program_in` takes as `kept`.
        reflection: None where the search shows none.
        response: what is to be evaluated again; None for other actions.
    """

    rollout: int
    action: Action
    node: int
    prefix: str = ""
    ends: tuple[int, ...] = ()
    reflection: Reflection | None = None
    response: str | None = None


@dataclass(frozen=True)
class Grown:
    """A new response that goes on from the task's prefix, and its evaluation."""

    program: Program
    evaluation: Evaluation


@dataclass(frozen=True)
class Evaluated:
    """Another evaluation of the task's response."""

    evaluation: Evaluation


@dataclass(frozen=True)
class Failed:
    """Nothing came of the task: no usable response, or no grade. `reason` is not empty."""

    reason: str


Outcome = Grown | Evaluated | Failed

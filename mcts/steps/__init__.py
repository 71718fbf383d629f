"""The steps of one problem (method steps 2 to 4 and 7): each asks a model or runs a program, and checks what came.

A step that comes to nothing raises `StepFailed` with the reason, after a bounded number of tries. What is no fault of
an answer (an endpoint or the sandbox is out of reach) passes through as `HttpError` or `SandboxError`.

    target      what the answers must define: the entry point
    tries       ask, read, ask again
    rewriting   the reference solution with prints, or as it is
    kept        whether a rewritten program kept the original's code
    calling     sample calls; `calls` reads them out of whatever was answered
    executing   a program with its calls in the sandbox; `harness` is what runs in there
    expanding   a program that goes on from a prefix
"""

from mcts.steps.calling import sample_calls
from mcts.steps.executing import Run, execute
from mcts.steps.expanding import expand
from mcts.steps.rewriting import reference_response, rewrite
from mcts.steps.target import Target, target_of
from mcts.steps.tries import Asking

__all__ = [
    "Asking",
    "Run",
    "Target",
    "execute",
    "expand",
    "reference_response",
    "rewrite",
    "sample_calls",
    "target_of",
]

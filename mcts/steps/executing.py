"""A program with its sample calls in the sandbox (method step 4), and what of its output is kept."""

import functools
import inspect
from dataclasses import dataclass

from coderm_slime.sandbox import Ending, Limits, Program, Result, SandboxBackend
from mcts.failures import FailureReason, StepFailed
from mcts.steps import harness

_BYTES_A_CHARACTER = 4  # at most, in UTF-8: so much is kept of the log that both halves are whole in characters


@dataclass(frozen=True)
class Run:
    """How a program with its calls ran.

    Attributes:
        output: what it printed, cut in the middle to so many characters, with a last line that says how it was ended.
        ending: a value of the sandbox's `Ending`.
    """

    output: str
    ending: str


async def execute(sandbox: SandboxBackend, code: str, calls: str, *, wall_s: float, output_chars: int) -> Run:
    """Run `code`, then each line of `calls` by itself in the same namespace; see `harness`.

    Raises:
        StepFailed: there are no calls: an empty output would be taken for the program's.
        SandboxError: the sandbox failed, which says nothing of the program.
    """
    lines = [line for line in calls.splitlines() if line.strip()]
    if not lines:
        raise StepFailed(FailureReason.NO_CALLS, "there is nothing to run the program with")
    source = f"{code}\n\n{_harness()}\n_coderm_run_calls({lines!a}, globals())\n"
    limits = Limits(wall_s=wall_s, cpu_s=wall_s, output_bytes=min(_BYTES_A_CHARACTER * output_chars, 1 << 20))
    result = await sandbox.run(Program(source, limits=limits))
    return Run(_kept(result.log, output_chars) + _end_line(result, wall_s), result.ending.value)


@functools.cache
def _harness() -> str:
    return inspect.getsource(harness._coderm_run_calls)


def _kept(text: str, chars: int) -> str:
    """The first and the last half."""
    if len(text) <= chars:
        return text
    half = chars // 2
    return f"{text[:half]}\n[… {len(text) - 2 * half} characters left out …]\n{text[-half:]}"


def _end_line(result: Result, wall_s: float) -> str:
    if result.ending in (Ending.OK, Ending.EXCEPTION):  # an exception has shown itself
        return ""
    limit = f" of {wall_s:g} s" if result.ending is Ending.TIMEOUT else ""
    return f"\n[the run was ended: {result.ending.value}{limit}]\n"

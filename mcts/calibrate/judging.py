"""Right programs and mutants that fail their tests, each run on sample calls and judged, as a search does it."""

import asyncio
import hashlib
from collections import Counter
from collections.abc import AsyncIterator, Sequence
from functools import partial
from typing import Literal

from coderm_slime.http import HttpError
from coderm_slime.mutate.verified import Mutants
from coderm_slime.pycode import SourceError
from coderm_slime.records import Problem
from coderm_slime.sandbox import Sandbox, SandboxError
from mcts.asking import Ask, Step
from mcts.calibrate.rows import JudgedProblem, JudgedProgram
from mcts.config import CurateConfig
from mcts.engine.seeds import derived_seed
from mcts.failures import FailureReason, StepFailed
from mcts.judge import Judge, JudgeError
from mcts.prompts import Prompts
from mcts.steps import Asking, Target, execute, sample_calls, target_of
from mcts.steps.calls import calls_in
from mcts.together import all_of

Calls = Literal["model", "statement"]
_NO_MUTANT = "no verified right and wrong program"


class Calibrator:
    """Judges the programs of problems.

    Args:
        sandbox: open, with two workers or more, as a problem's own tests need.
        mutants: edits tried for each problem.
        calls: `model` asks for sample calls as a run does; `statement` takes the examples in the problem's statement.

    Attributes:
        made_by: fingerprint of all that decides a row.
        tries: judge's and callers' tries that came to nothing, by reason.
    """

    def __init__(
        self,
        config: CurateConfig,
        prompts: Prompts,
        ask: Ask,
        sandbox: Sandbox,
        mutants: int,
        seed: int,
        calls: Calls,
    ) -> None:
        self._config, self._prompts, self._ask, self._sandbox = config, prompts, ask, sandbox
        self._mutants, self._seed = Mutants(sandbox, mutants, seed), seed
        self._calls = calls
        self.made_by = fingerprint(config, prompts, mutants, seed, calls)
        self.tries: Counter[str] = Counter()

    async def of(self, problem: Problem) -> JudgedProblem:
        """The problem's row. What a model's answers or the tests leave undone is said in it.

        Raises:
            HttpError, SandboxError: an outage, which says nothing of the problem.
            JudgeError: the endpoint cannot serve the judge's mode.
        """
        try:
            target = target_of(problem)
            pairs = await self._mutants.of(problem)
            if not pairs:
                raise StepFailed(FailureReason.NO_SOLUTION, _NO_MUTANT)
            calls = await self._sample_calls(problem, target)
        except SourceError as error:
            return self._row(problem, failure=f"solution: {error}")
        except StepFailed as error:
            return self._row(problem, failure=error.detail if error.detail == _NO_MUTANT else error.reason.value)
        programs = [(pairs[0].chosen, True, "solution")]
        programs += [(pair.rejected, False, str(pair.metadata["edit"])) for pair in pairs]
        judged = await all_of(self._judged(problem, calls, *program) for program in programs)
        return self._row(problem, calls=calls, programs=tuple(judged))

    async def _sample_calls(self, problem: Problem, target: Target) -> str:
        most = self._config.max_calls
        if self._calls == "model":
            return await sample_calls(self._asking(problem), self._config.steps.calls, target, most)
        lines = "\n".join(
            line.strip() for line in problem.problem.splitlines()
        )  # examples in a docstring are indented
        found = calls_in(lines, target.entry_point, target.names, most)
        if not found:
            raise StepFailed(FailureReason.NO_CALLS, "the statement has no example call")
        return "\n".join(found)

    async def _judged(self, problem: Problem, calls: str, program: str, right: bool, kind: str) -> JudgedProgram:
        config = self._config
        run = await execute(self._sandbox, program, calls, wall_s=config.execution_s, output_chars=config.output_chars)
        row = partial(JudgedProgram, program=program, right=right, kind=kind, output=run.output, ending=run.ending)
        judge = Judge(config.judge, config.steps.judge, self._ask, self._prompts, self._note)
        try:
            found = await judge(problem.problem, program, calls, run.output, run.ending, seed=self._seed)
        except StepFailed as error:
            return row(failure=error.reason.value, analysis=error.detail)
        return row(grade=found.grade, spread=found.spread, analysis=found.analysis)

    def _asking(self, problem: Problem) -> Asking:
        def seed_of(step: Step, rollout: int, attempt: int) -> int:
            return derived_seed(self._seed, problem.key, step.value, rollout, attempt)

        return Asking(self._ask, self._prompts, seed_of, self._note)

    def _note(self, step: Step, reason: FailureReason) -> None:
        self.tries[f"{step.value}: {reason.value}"] += 1

    def _row(
        self, problem: Problem, calls: str = "", programs: tuple[JudgedProgram, ...] = (), failure: str = ""
    ) -> JudgedProblem:
        return JudgedProblem(
            id=problem.id, key=problem.key, made_by=self.made_by, calls=calls, programs=programs, failure=failure
        )

    async def rows_of(self, problems: Sequence[Problem], in_flight: int) -> AsyncIterator[JudgedProblem]:
        """Rows as they come. After an outage nothing new begins, what is under way ends, and the error is raised."""
        slots = asyncio.Semaphore(in_flight)
        outage: Exception | None = None

        async def one(problem: Problem) -> JudgedProblem | None:
            nonlocal outage
            async with slots:
                if outage is not None:
                    return None
                try:
                    return await self.of(problem)
                except (HttpError, SandboxError, JudgeError) as error:
                    outage = outage or error
                    return None

        tasks = [asyncio.ensure_future(one(problem)) for problem in problems]
        try:
            for done in asyncio.as_completed(tasks):
                if (row := await done) is not None:
                    yield row
        finally:
            for task in tasks:
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)
        if outage is not None:
            raise outage


def fingerprint(config: CurateConfig, prompts: Prompts, mutants: int, seed: int, calls: Calls) -> str:
    """16 hex digits of what decides a row; addresses, bounds and deadlines do not."""
    models = [endpoint.model for endpoint in (config.judge_endpoints or config.endpoints)]
    writers = [endpoint.model for endpoint in config.endpoints]
    decides = (
        sorted(models), sorted(writers), config.judge, config.steps.judge, config.steps.calls,
        config.max_calls, config.execution_s, config.output_chars, prompts.fingerprint, mutants, seed, calls,
    )  # fmt: skip
    return hashlib.sha256(repr(decides).encode()).hexdigest()[:16]

"""One problem's way: first path, calls, their execution, the search. What the journal has is not done again."""

import asyncio
from collections import Counter, deque
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from enum import IntEnum
from functools import partial
from typing import TypeVar

from coderm_slime.pycode import Program
from coderm_slime.records import Evaluation
from coderm_slime.sandbox import SandboxBackend, SandboxError
from mcts.asking import Step
from mcts.config import CurateConfig
from mcts.engine.asker import Asker, Outages
from mcts.engine.desk import Desk
from mcts.engine.rows import Ending, Entry, RolloutRow, StepRow, Work
from mcts.engine.seeds import derived_seed
from mcts.engine.spent import Spent
from mcts.failures import StepFailed
from mcts.judge import Judge
from mcts.prompts import Prompts
from mcts.search import Evaluated, Failed, Grown, Outcome, Search, Task
from mcts.steps import Asking, Run, Target, execute, expand, reference_response, rewrite, sample_calls, target_of
from mcts.steps.tries import program_of

T = TypeVar("T")


class Stage(IntEnum):
    """How far a run goes."""

    REWRITE = 1
    CALLS = 2
    EXECUTE = 3
    SEARCH = 4


class Drained(Exception):
    """The run was asked to stop: the problem stays open, with all that is done of it."""


@dataclass
class Stop:
    """Whether the run is to stop, and why. Work that is under way ends; nothing new begins."""

    reason: str = ""
    asked: asyncio.Event = field(default_factory=asyncio.Event)

    def ask(self, reason: str) -> None:
        """Stop; the first reason counts."""
        self.reason = self.reason or reason
        self.asked.set()


@dataclass(frozen=True)
class Tools:
    """What all courses of a process share."""

    config: CurateConfig
    provenance: dict[str, str]
    prompts: Prompts
    asker: Asker
    sandbox: SandboxBackend
    outages: Outages
    desk: Desk
    stop: Stop
    until: Stage


class Course:
    """One problem, once."""

    def __init__(self, tools: Tools, work: Work) -> None:
        self._tools, self._work = tools, work
        self._config, self._key = tools.config, work.problem.key
        self._step = ""
        self._spent: Counter[str] = Counter()  # of this problem, in all runs
        for row in (*work.steps.values(), *work.rollouts.values()):
            self._spent.update(row.spent)

    async def run(self) -> None:
        """Go on with the problem until it ends or the run's stage is reached.

        Raises:
            HttpError, SandboxError: an outage: the problem stays open.
            Drained: the run was asked to stop.
            JournalError: a result cannot be kept, or the journal does not fit.
        """
        until = self._tools.until
        try:
            self._step = "problem"
            target = target_of(self._work.problem)
            first = await self._kept("rewrite", partial(self._rewrite, target))
            if until >= Stage.CALLS:
                calls = await self._kept("calls", partial(self._calls, target))
            if until >= Stage.EXECUTE:
                program = program_of(first.text, target.entry_point)
                ran = await self._kept("execute", partial(self._execute, program.code, calls.text))
        except StepFailed as error:
            await self._end(Ending("failed", f"{self._step}: {error.reason.value}", error.detail))
            return
        if until >= Stage.SEARCH:
            await self._search(_Rollouts(self, target, program, calls.text, ran.run))

    async def _kept(self, step: str, make: Callable[[Spent], Awaitable[StepRow]]) -> StepRow:
        """The step's row: the journal's, or a new one that is in the journal then."""
        self._step = step
        if row := self._work.steps.get(step):
            return row
        if self._tools.stop.asked.is_set():
            raise Drained
        spent = Spent()
        row = await self._paid(make(spent), spent)
        await self._tools.desk.record(Entry(self._key, step, 0, row.model_dump_json(), spent))
        return row

    async def _paid(self, work: Awaitable[T], spent: Spent) -> T:
        """What `work` gives, and counts its cost in `spent`; of work that fails, the journal keeps the cost."""
        try:
            result = await work
        except BaseException:
            await self._tools.desk.record(Entry(self._key, spent=spent))  # it was paid for all the same
            raise
        self._spent.update(spent)
        return result

    async def _rewrite(self, target: Target, spent: Spent) -> StepRow:
        if self._config.rewrite:
            program = await rewrite(self.asking(spent), self._config.steps.rewrite, target)
        else:
            program = reference_response(target)
        return StepRow(text=program.response, spent=dict(spent))

    async def _calls(self, target: Target, spent: Spent) -> StepRow:
        text = await sample_calls(self.asking(spent), self._config.steps.calls, target, self._config.max_calls)
        return StepRow(text=text, spent=dict(spent))

    async def _execute(self, code: str, calls: str, spent: Spent) -> StepRow:
        run = await self.execute(code, calls)
        return StepRow(text=run.output, ending=run.ending, spent=dict(spent))

    async def _search(self, rollouts: "_Rollouts") -> None:
        seed = derived_seed(self._config.seed, self._key, "search", 0, 0)
        search = Search(self._config.search, seed)
        await _in_issue_order(search, rollouts.outcome, self._tools.stop)
        if search.failed:
            await self._end(Ending("failed", f"search: {rollouts.first_failure[0]}", rollouts.first_failure[1]))
        elif search.finished:
            spent = {name: f"{amount:.10g}" for name, amount in sorted(self._spent.items()) if amount}
            provenance = {**self._tools.provenance, **spent}
            tree = search.record(self._work.problem, rollouts.calls, provenance)
            await self._end(Ending("finished", tree=tree.model_dump_json()))

    async def _end(self, ending: Ending) -> None:
        await self._tools.desk.record(Entry(self._key, ending=ending))

    async def rollout(
        self, task: Task, make: Callable[[Asking], Awaitable[tuple[Outcome, str]]]
    ) -> tuple[Outcome, str]:
        """A rollout's outcome and its detail: the journal's, or a new one that is in the journal then."""
        if row := self._work.rollouts.get(task.rollout):
            return row.outcome(task), row.detail
        spent = Spent()
        outcome, detail = await self._paid(make(self.asking(spent)), spent)
        body = RolloutRow.of(task, outcome, detail, spent).model_dump_json()
        await self._tools.desk.record(Entry(self._key, "rollout", task.rollout, body, spent))
        return outcome, detail

    async def execute(self, code: str, calls: str) -> Run:
        """Run a program with the calls. Raises SandboxError."""
        config, outages = self._config, self._tools.outages
        try:
            run = await execute(
                self._tools.sandbox, code, calls, wall_s=config.execution_s, output_chars=config.output_chars
            )
        except SandboxError as error:
            outages.happened("sandbox", error)
            raise
        outages.answered("sandbox")
        return run

    def asking(self, spent: Spent) -> Asking:
        """How this problem's steps ask, counted in `spent`."""
        return Asking(partial(self._tools.asker.ask, spent), self._tools.prompts, self._seed_of, spent.failed)

    def _seed_of(self, step: Step, rollout: int, attempt: int) -> int:
        return derived_seed(self._config.seed, self._key, step.value, rollout, attempt)

    @property
    def config(self) -> CurateConfig:
        """The run's configuration."""
        return self._config


class _Rollouts:
    """Carries out one search's tasks."""

    def __init__(self, course: Course, target: Target, first: Program, calls: str, ran: Run) -> None:
        self._course, self._target, self._first, self._ran = course, target, first, ran
        self.calls = calls
        self.first_failure = ("", "")

    async def outcome(self, task: Task) -> Outcome:
        """See `Course.rollout`."""
        outcome, detail = await self._course.rollout(task, partial(self._make, task))
        if isinstance(outcome, Failed) and task.action == "begin":
            self.first_failure = (outcome.reason, detail)
        return outcome

    async def _make(self, task: Task, asking: Asking) -> tuple[Outcome, str]:
        step = Step.EXPAND
        try:
            program = await self._program(task, asking)
            run = self._ran
            if task.action != "begin":
                run = await self._course.execute(program.code, self.calls)
            step = Step.JUDGE
            evaluation = await self._grade(task, asking, program, run)
        except StepFailed as error:
            return Failed(f"{step.value}: {error.reason.value}"), error.detail
        return Evaluated(evaluation) if task.action == "evaluate" else Grown(program, evaluation), ""

    async def _program(self, task: Task, asking: Asking) -> Program:
        if task.action == "begin":
            return self._first
        if task.response is not None:
            return program_of(task.response, self._target.entry_point)
        return await expand(asking, self._course.config.steps.expand, self._target, task)

    async def _grade(self, task: Task, asking: Asking, program: Program, run: Run) -> Evaluation:
        config = self._course.config
        judge = Judge(config.judge, config.steps.judge, asking.ask, asking.prompts)
        seed = asking.seed_of(Step.JUDGE, task.rollout, 0)
        try:
            word = await judge(self._target.problem, program.code, self.calls, run.output, run.ending, seed=seed)
        except StepFailed as error:
            asking.note(Step.JUDGE, error.reason)
            raise
        return Evaluation(
            rollout=task.rollout,
            reward=word.reward,
            grade=word.grade,
            spread=word.spread,
            analysis=word.analysis,
            output=run.output,
            ending=run.ending,
        )


async def _in_issue_order(search: Search, carry_out: Callable[[Task], Awaitable[Outcome]], stop: Stop) -> None:
    """Issue what can be issued, and apply each outcome when its turn has come, whatever arrives first.

    Raises:
        Drained: the run was asked to stop, and what was under way has ended.
    """
    under_way: deque[asyncio.Future[Outcome]] = deque()
    try:
        while not search.finished:
            while not stop.asked.is_set() and (task := search.issue()):
                under_way.append(asyncio.ensure_future(carry_out(task)))
            if not under_way:
                raise Drained
            search.apply(await under_way[0])
            under_way.popleft()
    finally:
        await _settle(under_way)


async def _settle(under_way: "deque[asyncio.Future[Outcome]]") -> None:
    """Let the others end, so that what they did is kept; cancelled, end them."""
    try:
        if under_way:
            await asyncio.wait(under_way)
            for one in under_way:
                one.exception()  # looked at, or asyncio would complain that nobody did
    except asyncio.CancelledError:
        for one in under_way:
            one.cancel()
        await asyncio.wait(under_way)
        raise

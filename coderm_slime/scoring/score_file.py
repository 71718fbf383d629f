"""A JSONL file of verdicts: answers are scored into it, and what is in it already is not scored again."""

import asyncio
import hashlib
import json
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

from coderm_slime.chat import as_response
from coderm_slime.errors import CodermError
from coderm_slime.records import REASONS, Candidate, RecordError, ScoredCandidate, append_jsonl, written_rows
from coderm_slime.scoring.scorer import Scorer
from coderm_slime.settings import RmSettings, Thinking

_GIVE_UP_AFTER = 8  # answers of which none could be scored: the server is down, or not one


@dataclass(frozen=True)
class _Task:
    """One answer as it will be judged; `key` is a hash of all that the verdict depends on, the server apart."""

    id: str
    problem: str
    response: str
    thinking: Thinking
    key: str


class ScoreFile:
    """The verdicts in `path`, one a row. One file is for one model: the server's weights are not compared."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def rows(self) -> list[ScoredCandidate]:
        """The rows written so far; the torn last row of a killed run counts as not written.

        Raises:
            CodermError: the file holds something else, which appending would spoil.
        """
        try:
            return written_rows(self.path, ScoredCandidate)
        except RecordError as error:
            raise CodermError(f"this file is no list of verdicts: {error}") from error

    async def fill(
        self, candidates: Sequence[Candidate], settings: RmSettings, seen: Callable[[ScoredCandidate, int], None]
    ) -> None:
        """Score what is not in the file yet; a verdict with a score is appended at once.

        Args:
            candidates: each with an id of its own.
            seen: called with every new verdict, abstentions included, and the number there will be.

        Raises:
            CodermError: the file holds verdicts on other answers or under other rules; or not one of the first
                answers could be scored.
        """
        slots = asyncio.Semaphore(settings.max_in_flight)
        async with await Scorer.create(settings) as scorer:

            async def judge(task: _Task) -> ScoredCandidate:
                async with slots:
                    verdict = await scorer.judge(task.problem, task.response, thinking=task.thinking)
                return ScoredCandidate(id=task.id, input_key=task.key, verdict=verdict)

            tasks = [_task_of(candidate, settings, scorer.fingerprint) for candidate in candidates]
            waiting = [asyncio.ensure_future(judge(task)) for task in self._left_to_do(tasks)]
            failed = 0
            try:
                for done, future in enumerate(asyncio.as_completed(waiting), start=1):
                    row = await future
                    seen(row, len(waiting))
                    if row.verdict.score is not None:
                        append_jsonl(self.path, [row])
                    else:
                        failed += 1
                    if failed == done == _GIVE_UP_AFTER:
                        remedy = REASONS[row.verdict.reason].remedy
                        raise CodermError(
                            f"not one of the first {done} answers could be scored, so this stops: {remedy}"
                        )
            finally:  # the server's connections close next: nothing may still want one
                for one in waiting:
                    one.cancel()
                await asyncio.gather(*waiting, return_exceptions=True)

    def _left_to_do(self, tasks: list[_Task]) -> list[_Task]:
        done = {row.id: row.input_key for row in self.rows()}
        for task in tasks:
            if done.get(task.id, task.key) != task.key:
                raise CodermError(
                    f"{self.path} holds a verdict on {task.id!r} that was given to another answer, or under another "
                    "tokenizer, template, limit, preset, shaping, clip or thinking rule; name another file"
                )
        return [task for task in tasks if task.id not in done]


def _task_of(candidate: Candidate, settings: RmSettings, fingerprint: str) -> _Task:
    """A bare program is wrapped as a response, and never asked for a thought."""
    response, thinking = candidate.response, settings.thinking
    if response is None:
        response, thinking = as_response(candidate.program or ""), "never"
    rules = [settings.preset, settings.shaping, settings.clip, settings.thinking]
    basis = [fingerprint, *rules, candidate.problem, response]
    key = hashlib.sha256(json.dumps(basis).encode()).hexdigest()[:16]
    return _Task(candidate.id, candidate.problem, response, thinking, key)

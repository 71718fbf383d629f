"""Asks for verdicts: bounded tries for each, several where the settings say so, their mean as the grade."""

import hashlib
import statistics
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from coderm_slime.errors import CodermError
from coderm_slime.llm import Completion, Message
from mcts.asking import Ask, Step
from mcts.config import JudgeConfig, Sampling
from mcts.failures import FailureReason, StepFailed
from mcts.judge.answers import MAX_GRADE, Graded, NoGradeError, expected_grade, graded_answer
from mcts.judge.nonce import nonce_for
from mcts.prompts import Prompts
from mcts.together import all_of

_ALTERNATIVES = 20  # the most that OpenAI's protocol and most servers give; six grades and their spellings fit
_SHORT_ANSWER_TOKENS = 16  # "The grade is 4." and some room


class JudgeError(CodermError):
    """An endpoint cannot serve the judge's mode."""


@dataclass(frozen=True)
class Judgement:
    """What the judge says of one run.

    Attributes:
        grade: mean of the samples, from 0 to 5.
        spread: standard deviation over the samples (n - 1); None of a single one.
        analysis: the first sample's words, without its grade line.
        samples: the grade of each sample: whole numbers in mode `analysis`, which has no half points.
    """

    grade: float
    spread: float | None
    analysis: str
    samples: tuple[float, ...]

    @property
    def reward(self) -> float:
        """The grade in [0, 1], which the search backs up."""
        return self.grade / MAX_GRADE


class Judge:
    """Grades a program by its output.

    Mode `analysis` asks once a verdict: words and, as the last line, the grade under a mark that the program cannot
    know. Mode `expectation` asks twice: for words, and then for one digit, whose alternatives' log-probabilities give
    the grade; words that `max_tokens` cuts off do no harm there. Whether a server gives log-probabilities before or
    after the temperature is its own affair: with `temperature: 1` both are the same.

    Args:
        note: is told of every try that came to nothing.
    """

    def __init__(
        self,
        config: JudgeConfig,
        sampling: Sampling,
        ask: Ask,
        prompts: Prompts,
        note: Callable[[Step, FailureReason], None] | None = None,
    ) -> None:
        self._config, self._sampling, self._ask, self._prompts = config, sampling, ask, prompts
        self._note = note or _ignored

    async def __call__(self, problem: str, code: str, calls: str, output: str, ending: str, *, seed: int) -> Judgement:
        """The judgement of one run; the same requests for the same arguments.

        Args:
            output: what the calls printed, cut as the settings say.
            ending: how the run ended, a value of the sandbox's `Ending`.

        Raises:
            StepFailed: the tries of one sample are used up (NO_GRADE, or LENGTH where the last answer was cut off).
            JudgeError: an endpoint gives no alternatives to a token, which mode `expectation` needs.
            HttpError: no endpoint answered.
        """
        material = {"problem": problem, "code": code, "calls": calls, "output": output, "ending": ending}
        nonce = nonce_for(seed, list(material.values()))
        with_grade = self._config.mode == "analysis"
        messages: list[Message] = [
            {"role": "system", "content": self._prompts.render("judge.system")},
            {
                "role": "user",
                "content": self._prompts.render("judge.user", nonce=nonce, with_grade=with_grade, **material),
            },
        ]
        verdicts = await all_of(self._verdict(messages, nonce, seed, one) for one in range(self._config.samples))
        grades = tuple(verdict.grade for verdict in verdicts)
        spread = statistics.stdev(grades) if len(grades) > 1 else None
        return Judgement(statistics.fmean(grades), spread, verdicts[0].words, grades)

    async def _verdict(self, messages: Sequence[Message], nonce: str, seed: int, sample: int) -> Graded:
        failure = StepFailed(FailureReason.NO_GRADE, "no try was allowed")
        for attempt in range(self._sampling.tries):
            try:
                if self._config.mode == "analysis":
                    return await self._by_words(messages, nonce, _derived(seed, sample, attempt))
                return await self._by_expectation(messages, seed, sample, attempt)
            except StepFailed as error:
                failure = error
            except NoGradeError as error:
                failure = StepFailed(FailureReason.NO_GRADE, str(error))
            self._note(Step.JUDGE, failure.reason)
        raise failure

    async def _by_words(self, messages: Sequence[Message], nonce: str, seed: int) -> Graded:
        answer = await self._ask(Step.JUDGE, messages, self._sampling, seed=seed)
        if answer.finish_reason == "length":
            raise StepFailed(FailureReason.LENGTH, f"the judge's answer reached {self._sampling.max_tokens} tokens")
        return graded_answer(answer.text, nonce)

    async def _by_expectation(self, messages: Sequence[Message], seed: int, sample: int, attempt: int) -> Graded:
        words = await self._ask(Step.JUDGE, messages, self._sampling, seed=_derived(seed, sample, attempt))
        question: list[Message] = [
            *messages,
            {"role": "assistant", "content": words.text},
            {"role": "user", "content": self._prompts.render("judge.grade")},
        ]
        answer = await self._ask(
            Step.JUDGE,
            question,
            self._sampling.model_copy(update={"max_tokens": _SHORT_ANSWER_TOKENS}),
            seed=_derived(seed, sample, attempt, "grade"),
            top_logprobs=_ALTERNATIVES,
        )
        _check_alternatives(answer)
        return Graded(expected_grade(answer), words.text.strip())


def _ignored(step: Step, reason: FailureReason) -> None:
    pass


def _check_alternatives(answer: Completion) -> None:
    if answer.text and not any(token.top for token in answer.tokens):
        raise JudgeError(
            f"{answer.model} at {answer.url} gives no top_logprobs, which judge.mode = expectation needs; "
            "set judge.mode to analysis, or name judge_endpoints that give them"
        )


def _derived(*parts: object) -> int:
    """A seed of 31 bits, which every server takes."""
    return int.from_bytes(hashlib.sha256(repr(parts).encode()).digest()[:4], "big") >> 1

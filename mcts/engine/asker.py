"""Asks the run's endpoints: which pool a step goes to, what an answer cost, and how many in a row did not come."""

from collections.abc import Sequence

from coderm_slime.errors import CodermError
from coderm_slime.http import HttpError
from coderm_slime.llm import Completion, LlmEndpoint, LlmPool, Message
from mcts.asking import Step
from mcts.config import CurateConfig, Sampling
from mcts.engine.spent import Spent
from mcts.failures import FailureReason, StepFailed

_INPUT_AT_FAULT = (400, 413, 422)  # a server's word on this one request; 401, 403 and 404 are on all of them


class Outages:
    """How often in a row each part that answers (an endpoint pool, the sandbox) did not.

    Attributes:
        count: outages in all.
        last: the latest one's text.
    """

    def __init__(self, most: int) -> None:
        self._most = most
        self._in_a_row: dict[str, int] = {}
        self.answered_once: set[str] = set()
        self.count = 0
        self.last = ""

    def answered(self, part: str) -> None:
        """`part` did well."""
        self._in_a_row[part] = 0
        self.answered_once.add(part)

    def happened(self, part: str, error: CodermError) -> None:
        """`part` did not answer."""
        self._in_a_row[part] = self._in_a_row.get(part, 0) + 1
        self.count += 1
        self.last = str(error)

    @property
    def too_many(self) -> bool:
        """Whether some part failed `most` times in a row."""
        return any(count >= self._most for count in self._in_a_row.values())


class Asker:
    """The endpoints of a run. Use as `async with`, in one event loop.

    Raises:
        EndpointError: an endpoint's key cannot be had.
    """

    def __init__(self, config: CurateConfig, outages: Outages) -> None:
        self._config, self._outages = config, outages
        self._writers = LlmPool(config.endpoints, config.attempts, config.attempt_s)
        self._judges = self._writers
        if config.judge_endpoints:
            self._judges = LlmPool(config.judge_endpoints, config.attempts, config.attempt_s)
        every = (*config.endpoints, *config.judge_endpoints)
        self._endpoints: dict[tuple[str, str], LlmEndpoint] = {(one.url, one.model): one for one in every}

    async def __aenter__(self) -> "Asker":
        return self

    async def __aexit__(self, *details: object) -> None:
        await self._writers.__aexit__(*details)
        if self._judges is not self._writers:
            await self._judges.__aexit__(*details)

    async def ask(
        self,
        spent: Spent,
        step: Step,
        messages: Sequence[Message],
        sampling: Sampling,
        *,
        seed: int,
        top_logprobs: int | None = None,
    ) -> Completion:
        """One answer, counted in `spent`.

        Raises:
            HttpError: no endpoint gave a usable answer in time.
            StepFailed: this request was refused, by a pool that has answered others: as a rule it is too long.
        """
        pool = self._judges if step is Step.JUDGE else self._writers
        part = "writers" if pool is self._writers else "judges"
        try:
            answer = await pool.complete(
                messages,
                max_tokens=sampling.max_tokens,
                temperature=sampling.temperature,
                top_p=sampling.top_p,
                seed=seed,
                top_logprobs=top_logprobs,
                deadline_s=self._config.deadline_s,
            )
        except HttpError as error:
            if error.status in _INPUT_AT_FAULT and part in self._outages.answered_once:
                raise StepFailed(FailureReason.TOO_LONG, str(error)) from None
            self._outages.happened(part, error)
            raise
        self._outages.answered(part)
        spent.answer(step, answer, self._endpoints[answer.url, answer.model])
        return answer

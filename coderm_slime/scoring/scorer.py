"""From (question, response) to a verdict: answer, rendered input, logit, shaped score, or the reason why not.

slime's plugin, TRL's and the command line all judge through this class, so they cannot disagree.
"""

import asyncio
import logging
import os
import time
from collections import Counter
from concurrent.futures import ThreadPoolExecutor

from coderm_slime.access import fits_a_header
from coderm_slime.chat import Renderer, Turns, learn_turns
from coderm_slime.http import HttpClient, HttpError, Server
from coderm_slime.records import Outcome, Reason, Verdict
from coderm_slime.scoring.client import RewardModel
from coderm_slime.scoring.probe import probe_for, read_card
from coderm_slime.scoring.reading import Reading, Response, read
from coderm_slime.scoring.shaping import floor, shape
from coderm_slime.settings import RmSettings, SettingsError, Thinking

logger = logging.getLogger(__name__)

# Reading takes a ms of CPU a sample, mostly without the interpreter's lock; more threads would fight the trainer for
# cores.
_READING_THREADS = 2
_LOG_EVERY = 100  # failures of one kind between two log lines


class Scorer:
    """Judges answers with the served reward model. Build it with `create`, inside the event loop it will serve.

    Attributes:
        counts: verdicts by reason.
        turns: how the policy writes turns.
    """

    def __init__(self, settings: RmSettings, renderer: Renderer, turns: Turns | None = None) -> None:
        probe = probe_for(renderer, read_card(settings.model_path) if settings.model_path else None)
        self._settings = settings
        self._renderer = renderer
        self.turns = turns or renderer.turns
        self.counts: Counter[Reason] = Counter()
        self._threads = ThreadPoolExecutor(_READING_THREADS, thread_name_prefix="coderm-read")
        bearer = _bearer(settings.api_key_variable)
        servers = [Server(url, settings.max_in_flight, bearer) for url in settings.urls]
        self._http = HttpClient(attempts=settings.attempts, attempt_s=settings.attempt_s)
        self._model = RewardModel(
            self._http, servers, probe, endpoint=settings.endpoint, cache_items=settings.cache_items
        )

    @classmethod
    async def create(cls, settings: RmSettings, policy_path: str | None = None) -> "Scorer":
        """Check the settings and load the tokenizers off the event loop.

        Args:
            policy_path: the policy's local folder, if `settings` name none (slime's `--hf-checkpoint`).

        Raises:
            SettingsError: `urls` or `model_path` is not set, or no HTTP header can carry the servers' token.
            RenderError, TurnsError, ProbeError: the checkpoint at `model_path`, or the policy's chat template, cannot
                be used.
        """
        if not settings.urls:
            raise SettingsError(
                "coderm.rm.urls is not set: name the reward model's server(s), e.g. http://127.0.0.1:30000"
            )
        if not settings.model_path:
            raise SettingsError(
                "coderm.rm.model_path is not set: name the served checkpoint, whose tokenizer is needed"
            )
        renderer = await asyncio.to_thread(Renderer.load, settings.model_path, settings.max_tokens)
        policy = settings.policy_path or policy_path
        turns = await asyncio.to_thread(learn_turns, policy) if policy else None
        return cls(settings, renderer, turns)

    @property
    def fingerprint(self) -> str:
        """What the model's input is made by: `chat.Renderer.fingerprint`."""
        return self._renderer.fingerprint

    async def __aenter__(self) -> "Scorer":
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.close()

    async def close(self) -> None:
        """Close connections and threads."""
        self._threads.shutdown(wait=False, cancel_futures=True)
        await self._model.close()
        await self._http.close()

    def traffic(self) -> dict[str, int]:
        """What went on: inputs, cached, joined, batches, checks, requests, and failed attempts by kind."""
        return dict(self._model.counts + self._http.counts)

    async def judge(
        self,
        question: str,
        response: str,
        *,
        prompt: object = None,
        thinking: Thinking | None = None,
        truncated: bool = False,
    ) -> Verdict:
        """The verdict on one response. Never raises for what a server or a policy did: that is a verdict too.

        Args:
            question: the problem, as `chat.last_user_turn` finds it.
            response: the policy's text, thought and stop tokens included.
            prompt: what the policy read, for telling a thinking policy.
            thinking: another rule than the settings' own; `never` for a bare program, which holds no thought.
            truncated: generation was stopped by its limit.
        """
        started = time.perf_counter()
        asked = Response(question, response, prompt, thinking or self._settings.thinking, truncated)
        loop = asyncio.get_running_loop()
        reading = await loop.run_in_executor(
            self._threads, read, asked, self._renderer, self.turns, self._settings.preset
        )
        verdict = await self._verdict_on(reading, started)
        self._count(verdict)
        return verdict

    async def _verdict_on(self, reading: Reading, started: float) -> Verdict:
        if reading.floor is not None:
            latency_s = time.perf_counter() - started
            score = floor(self._settings)
            return Verdict(score=score, reason=reading.floor, latency_s=latency_s, valid=reading.valid)
        raw, reason, detail = None, Reason.SCORED, ""
        try:
            raw = await self._model.score(reading.ids, self._settings.deadline_s - (time.perf_counter() - started))
        except HttpError as error:
            reason, detail = Reason(error.kind), str(error)
        return Verdict(
            score=None if raw is None else shape(raw, self._settings),
            reason=reason,
            detail=detail,
            raw=raw,
            latency_s=time.perf_counter() - started,
            tokens=len(reading.ids),
            shortened=reading.shortened,
            valid=reading.valid,
        )

    def _count(self, verdict: Verdict) -> None:
        count = self.counts[verdict.reason]
        self.counts[verdict.reason] += 1
        if verdict.outcome is Outcome.ABSTAINED and count % _LOG_EVERY == 0:
            logger.warning(
                "an answer could not be scored (%s, %d so far): %s; traffic: %s",
                verdict.reason.value,
                count + 1,
                verdict.detail,
                ", ".join(f"{count} {name}" for name, count in self.traffic().items()),
            )


def _bearer(variable: str) -> str | None:
    token = os.environ.get(variable, "").strip()
    if not fits_a_header(token):
        raise SettingsError(
            f"the token in {variable} (coderm.rm.api_key_variable) has characters that no HTTP header carries, such "
            "as a line break; set it to the token alone"
        )
    return token or None

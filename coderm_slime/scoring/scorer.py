"""From (question, response) to a verdict: answer, rendered input, logit, clipped score, or the reason why not.

slime's plugin, TRL's and the command line all judge through this class, so they cannot disagree.
"""

import asyncio
import os
import time
from concurrent.futures import ThreadPoolExecutor

from coderm_slime.chat import Renderer, final_answer
from coderm_slime.http import HttpClient, HttpError
from coderm_slime.records import Reason, Verdict
from coderm_slime.scoring.client import RewardModel
from coderm_slime.settings import RmSettings, SettingsError, Thinking

# Rendering takes some ms of CPU a sample, without the interpreter's lock; more threads would fight the trainer for
# cores.
_RENDER_THREADS = 2


class Scorer:
    """Judges answers with the served reward model. Build it with `create`, inside the event loop it will serve."""

    def __init__(self, settings: RmSettings, renderer: Renderer) -> None:
        self._settings = settings
        self._renderer = renderer
        self._threads = ThreadPoolExecutor(_RENDER_THREADS, thread_name_prefix="coderm-render")
        self._http = HttpClient(
            max_in_flight=settings.max_in_flight,
            attempts=settings.attempts,
            attempt_s=settings.attempt_s,
            bearer=os.environ.get(settings.api_key_variable),
        )
        self._model = RewardModel(self._http, settings.urls)

    @classmethod
    async def create(cls, settings: RmSettings) -> "Scorer":
        """Check the settings and load the tokenizer off the event loop.

        Raises:
            SettingsError: `urls` or `model_path` is not set.
            RenderError: the tokenizer or chat template at `model_path` cannot be used.
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
        return cls(settings, renderer)

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
        await self._http.close()

    async def judge(
        self, question: str, response: str, *, prompt: object = None, thinking: Thinking | None = None
    ) -> Verdict:
        """The verdict on one response. Never raises for what a server or a policy did: that is a verdict too.

        Args:
            question: the problem, as `chat.last_user_turn` finds it.
            response: the policy's text, thought and stop tokens included.
            prompt: what the policy read, for telling a thinking policy.
            thinking: another rule than the settings' own; `never` for a bare program, which holds no thought.
        """
        started = time.perf_counter()
        stop_tokens = self._renderer.special_tokens
        thinking = thinking or self._settings.thinking
        answer = final_answer(response, prompt=prompt, thinking=thinking, stop_tokens=stop_tokens)
        if answer.floor is not None:
            return Verdict(score=-self._settings.clip, reason=answer.floor)
        loop = asyncio.get_running_loop()
        ids = await loop.run_in_executor(self._threads, self._renderer.render, question, answer.text)
        if ids is None:
            detail = (
                f"problem and answer render to more than coderm.rm.max_tokens = {self._settings.max_tokens} tokens"
            )
            return Verdict(score=None, reason=Reason.TOO_LONG, detail=detail)
        score, raw, reason, detail = None, None, Reason.SCORED, ""
        try:
            (raw,) = await self._model.score([ids], self._settings.deadline_s - (time.perf_counter() - started))
            score = max(-self._settings.clip, min(self._settings.clip, raw))
        except HttpError as error:
            reason, detail = Reason(error.kind), str(error)
        latency_s = time.perf_counter() - started
        return Verdict(score=score, reason=reason, detail=detail, raw=raw, latency_s=latency_s, tokens=len(ids))

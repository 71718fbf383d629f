"""TRL's reward by CodeRM-NT: `--reward_funcs reward.trl.coderm_nt`, or `GRPOTrainer(reward_funcs=coderm_nt)`.

Settings come from the file that `CODERM_CONFIG` names and from variables such as `CODERM_RM__URLS`. TRL does not say
which completions its length limit cut off: such a one is judged by what is there, so set TRL's
`mask_truncated_completions`. Importing this module needs neither TRL nor torch.
"""

import asyncio
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from coderm_slime.chat import last_user_turn
from coderm_slime.chat.answer import THOUGHT_CLOSES, THOUGHT_OPENS
from coderm_slime.records import Verdict
from coderm_slime.settings import load_settings
from reward.failures import RewardUnavailable
from reward.sessions import Session, session_of_this_loop

__all__ = ["RewardUnavailable", "coderm_nt"]


async def coderm_nt(
    prompts: Sequence[Any],
    completions: Sequence[Any],
    *,
    log_extra: Callable[[str, list[Any]], None] | None = None,
    **_: Any,
) -> list[float | None]:
    """The rewards of a batch in order, each in [-clip, clip], or None for a completion that could not be scored.

    TRL leaves a None out of its group's mean and deviation and, where no other reward function scores that
    completion, gives it no advantage; it abstains. The reasons go to the column `coderm_reason` of TRL's completions.

    Args:
        prompts: message lists, or strings: templated by the policy in `rm.policy_path`, or, where that has no chat
            template, the bare question.
        completions: strings or message lists, of which the last assistant turn is judged.
        log_extra: TRL's own, as are the columns and the trainer's state that are not used here.

    Raises:
        RewardUnavailable: too many of the last samples have no score, or one has none and `rm.on_failure` is `raise`.
        QuestionError, RenderError, SettingsError: the run is set up wrongly; the text says what to change.
    """
    settings = (await asyncio.to_thread(load_settings)).rm
    session = await session_of_this_loop(settings, None, settings.on_failure != "raise")
    pairs = zip(prompts, completions, strict=True)
    verdicts = await asyncio.gather(*(_verdict(session, prompt, completion) for prompt, completion in pairs))
    if log_extra is not None:
        log_extra("coderm_reason", [verdict.reason.value for verdict in verdicts])
    return [session.failures.score_of(verdict) for verdict in verdicts]


async def _verdict(session: Session, prompt: Any, completion: Any) -> Verdict:
    question = last_user_turn(prompt, turns=session.scorer.turns)
    return await session.scorer.judge(question, _response(completion), prompt=prompt)


def _response(completion: str | Sequence[Mapping[str, Any]]) -> str:
    """What the policy wrote last. With tools, TRL takes the thought out of the text; here it is put back."""
    if isinstance(completion, str):
        return completion
    own = [message for message in completion if message.get("role") == "assistant"]
    text, thought = (own[-1].get("content") or "", own[-1].get("reasoning_content")) if own else ("", None)
    if not thought:
        return str(text)
    return f"{THOUGHT_OPENS}{thought}{THOUGHT_CLOSES}{text}" if text else f"{THOUGHT_OPENS}{thought}"

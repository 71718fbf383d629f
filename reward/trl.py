"""TRL's rewards, by CodeRM-NT and by unit tests: `--reward_funcs reward.trl.coderm_nt` or `reward.trl.unit_tests`.

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
from coderm_slime.scoring.scorer import Scorer
from coderm_slime.settings import load_settings
from reward.failures import RewardUnavailable
from reward.sessions import Session, model_session, tests_session

__all__ = ["RewardUnavailable", "coderm_nt", "unit_tests"]

_LogExtra = Callable[[str, list[Any]], None]


async def coderm_nt(
    prompts: Sequence[Any],
    completions: Sequence[Any],
    *,
    log_extra: _LogExtra | None = None,
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
    session = await model_session(settings, None, settings.on_failure != "raise")
    pairs = zip(prompts, completions, strict=True)
    verdicts = await asyncio.gather(*(_by_model(session.judge, prompt, completion) for prompt, completion in pairs))
    return _settled(verdicts, session, log_extra)


async def unit_tests(
    prompts: Sequence[Any],
    completions: Sequence[Any],
    *,
    log_extra: _LogExtra | None = None,
    **columns: Any,
) -> list[float | None]:
    """The rewards of a batch by each row's own tests, in order: as `coderm_nt`, and on the same scale.

    Args:
        prompts, completions, log_extra: as in `coderm_nt`.
        columns: the data set's other columns, among them the tests (`coderm_slime.problems.suite_of_row`).

    Raises:
        RewardUnavailable: too many of the last samples have no score, or one has none and `tests.on_failure` is
            `raise`.
        SandboxError, SettingsError: the machine or the run is set up wrongly; the text says what to change.
    """
    from reward.judging import Answered

    settings = await asyncio.to_thread(load_settings)
    session = await tests_session(settings, None, settings.tests.on_failure != "raise")
    rows = [{name: values[place] for name, values in _per_row(columns, len(prompts))} for place in range(len(prompts))]
    asked = [
        Answered(_response(completion), row, prompt, truncated=False)
        for row, prompt, completion in zip(rows, prompts, completions, strict=True)
    ]
    verdicts = await asyncio.gather(*map(session.judge.judge, asked))
    return _settled(verdicts, session, log_extra)


def _per_row(columns: Mapping[str, Any], rows: int) -> list[tuple[str, Sequence[Any]]]:
    """The data set's columns; TRL hands over other things by name, too, such as the trainer's state."""
    return [(name, values) for name, values in columns.items() if isinstance(values, list) and len(values) == rows]


def _settled(verdicts: Sequence[Verdict], session: Session[Any], log_extra: _LogExtra | None) -> list[float | None]:
    if log_extra is not None:
        log_extra("coderm_reason", [verdict.reason.value for verdict in verdicts])
    return [session.failures.score_of(verdict) for verdict in verdicts]


async def _by_model(scorer: Scorer, prompt: Any, completion: Any) -> Verdict:
    question = last_user_turn(prompt, turns=scorer.turns)
    return await scorer.judge(question, _response(completion), prompt=prompt)


def _response(completion: str | Sequence[Mapping[str, Any]]) -> str:
    """What the policy wrote last. With tools, TRL takes the thought out of the text; here it is put back."""
    if isinstance(completion, str):
        return completion
    own = [message for message in completion if message.get("role") == "assistant"]
    text, thought = (own[-1].get("content") or "", own[-1].get("reasoning_content")) if own else ("", None)
    if not thought:
        return str(text)
    return f"{THOUGHT_OPENS}{thought}{THOUGHT_CLOSES}{text}" if text else f"{THOUGHT_OPENS}{thought}"

"""What a sample without a score does: it abstains where that is safe, else it stops the run. Never a low reward."""

import logging
from collections import Counter, deque
from typing import Any

from coderm_slime.errors import CodermError
from coderm_slime.records import REASONS, Outcome, Verdict
from coderm_slime.settings import FailureSettings, SettingsError

logger = logging.getLogger(__name__)

POST_PROCESS = "reward.post_process.normalize_groups"
_POST_PROCESS_FLAG = f"--custom-reward-post-process-path {POST_PROCESS}"
# A rate over fewer samples says little; over more it would forget an outage that began a moment ago.
WINDOW, LEAST = 512, 64


class RewardUnavailable(CodermError):
    """A sample could not be scored, or too many could not. It ends slime's rollout or TRL's step."""


class Failures:
    """Turns verdicts into scores, and watches how many have none.

    Args:
        abstains: whether a sample without a score may abstain: always in TRL, in slime see `abstains`.
    """

    def __init__(self, settings: FailureSettings, abstains: bool) -> None:
        self._settings = settings
        self._abstains = abstains
        self._recent: deque[Verdict] = deque(maxlen=WINDOW)
        if not abstains and settings.on_failure == "auto":
            logger.warning(
                "a sample that cannot be scored will stop the run; add %s to take it out of the loss instead",
                _POST_PROCESS_FLAG,
            )

    @staticmethod
    def abstains(settings: FailureSettings, args: Any) -> bool:
        """Whether a sample without a score may abstain in slime: where our post-process normalises groups.

        slime's own normalisation would count the abstention's 0.0 into its group's mean.

        Raises:
            SettingsError: `on_failure: abstain` without the post-process.
        """
        normalised = getattr(args, "custom_reward_post_process_path", None) == POST_PROCESS
        if settings.on_failure == "abstain" and not normalised:
            raise SettingsError(
                f"coderm.{settings.section}.on_failure='abstain' is only safe with {_POST_PROCESS_FLAG}"
            )
        return normalised and settings.on_failure != "raise"

    def score_of(self, verdict: Verdict) -> float | None:
        """The verdict's score; None for an abstention that may be.

        Raises:
            RewardUnavailable: it has none and may not abstain, or too many of the last ones have none.
        """
        self._recent.append(verdict)
        if verdict.score is not None:
            return verdict.score
        if not self._abstains:
            raise RewardUnavailable(
                f"a sample could not be scored ({verdict.reason.value}): {verdict.detail}. "
                f"{REASONS[verdict.reason].remedy}"
            )
        self._check_rate()
        return None

    def _check_rate(self) -> None:
        failed = Counter(seen.reason.value for seen in self._recent if seen.outcome is Outcome.ABSTAINED)
        if len(self._recent) >= LEAST and failed.total() > self._settings.max_failure_rate * len(self._recent):
            kinds = ", ".join(f"{count} {reason}" for reason, count in failed.most_common())
            limit = f"coderm.{self._settings.section}.max_failure_rate = {self._settings.max_failure_rate}"
            raise RewardUnavailable(
                f"{failed.total()} of the last {len(self._recent)} samples could not be scored ({kinds}), more than "
                f"{limit}; the last: {self._recent[-1].detail}"
            )

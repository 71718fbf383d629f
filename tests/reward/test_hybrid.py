"""How two verdicts become one. The judges are made-up coroutines here; `test_unit_tests.py` has the real ones."""

import asyncio

import pytest

from coderm_slime.records import Outcome, Reason, Verdict
from coderm_slime.settings import Settings, SettingsError, load_settings
from reward.hybrid import combined

MODEL = Verdict(score=1.0, reason=Reason.SCORED, raw=1.0)
HALF = Verdict(score=0.0, reason=Reason.SCORED, passed=2, tests=4)
ALL = Verdict(score=4.0, reason=Reason.SCORED, passed=4, tests=4)
NO_CODE = Verdict(score=-4.0, reason=Reason.NO_CODE)
NO_TESTS = Verdict(score=None, reason=Reason.NO_TESTS)
DOWN = Verdict(score=None, reason=Reason.UNREACHABLE)
BROKEN = Verdict(score=None, reason=Reason.SANDBOX)


def settings(**hybrid: object) -> Settings:
    return load_settings(environ={}, options={"hybrid": hybrid})


def combine(model: Verdict | None, tests: Verdict, **hybrid: object) -> Verdict:
    """`combined`; a model that is None must not be asked."""

    async def by_model() -> Verdict:
        assert model is not None, "the model was asked for nothing"
        return model

    async def by_tests() -> Verdict:
        return tests

    return asyncio.run(combined(settings(**hybrid), by_model, by_tests))


CASES = {
    "gate: tests decide": (None, HALF, {"rule": "gate"}, 0.0, Reason.SCORED),
    "gate: a floor decides": (None, NO_CODE, {"rule": "gate"}, -4.0, Reason.NO_CODE),
    "gate: without tests the model": (MODEL, NO_TESTS, {"rule": "gate"}, 1.0, Reason.SCORED),
    "gate: a broken sandbox is not 'no tests'": (None, BROKEN, {"rule": "gate"}, None, Reason.SANDBOX),
    "gate: neither tests nor model": (DOWN, NO_TESTS, {"rule": "gate"}, None, Reason.UNREACHABLE),
    "weights: the mean": (MODEL, ALL, {"rule": "weights"}, 2.5, Reason.SCORED),
    "weights: by weight": (MODEL, ALL, {"rule": "weights", "rm_weight": 3}, 1.75, Reason.SCORED),
    "weights: a floor is told": (MODEL, NO_CODE, {"rule": "weights"}, -1.5, Reason.NO_CODE),
    "weights: an outage abstains": (DOWN, ALL, {"rule": "weights"}, None, Reason.UNREACHABLE),
    "weights: no tests abstains": (MODEL, NO_TESTS, {"rule": "weights"}, None, Reason.NO_TESTS),
    "threshold: passed": (MODEL, ALL, {"rule": "threshold"}, 1.0, Reason.SCORED),
    "threshold: not passed": (None, HALF, {"rule": "threshold"}, -4.0, Reason.FAILED_TESTS),
    "threshold: met exactly": (MODEL, HALF, {"rule": "threshold", "pass_threshold": 0.5}, 1.0, Reason.SCORED),
    "threshold: no tests abstains": (None, NO_TESTS, {"rule": "threshold"}, None, Reason.NO_TESTS),
    "threshold: a floor stays": (None, NO_CODE, {"rule": "threshold"}, -4.0, Reason.NO_CODE),
}


@pytest.mark.parametrize(("model", "tests", "hybrid", "score", "reason"), CASES.values(), ids=CASES)
def test_two_verdicts_become_one(model, tests, hybrid, score, reason) -> None:
    verdict = combine(model, tests, **hybrid)
    assert (verdict.score, verdict.reason) == (score, reason)
    assert (verdict.outcome is Outcome.ABSTAINED) == (score is None)


def test_what_a_verdict_was_made_of_is_told() -> None:
    parts = combine(MODEL, ALL, rule="weights").metadata["parts"]
    assert {name: part["score"] for name, part in parts.items()} == {"rm": 1.0, "tests": 4.0}


def test_weights_of_nothing_are_refused() -> None:
    with pytest.raises(SettingsError, match="both 0"):
        settings(rm_weight=0, tests_weight=0)

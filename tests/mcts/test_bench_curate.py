"""The benchmark's arithmetic, and that it runs and says what it is asked for."""

import json

import pytest

from helpers.processes import coderm
from mcts.bench.endpoint import MAX_TOKENS, Script
from mcts.bench.measure import SLOTS, utilization_of
from mcts.bench.scripted import program, scripted_problem

KEYS = {"utilization", "static_shard_utilization", "own_cpu_ms_per_rollout", "rss_growth_mb", "whole_run_utilization"}


def test_utilization_counts_a_calls_time_up_to_the_end_of_the_window_alone() -> None:
    calls = [(10.0, 12.0, 200), (11.0, 15.0, 200), (13.0, 14.0, 500)]
    assert utilization_of(calls, 12.0) == pytest.approx((2 + 1) / (SLOTS * 2))
    assert utilization_of(calls, 15.0) == pytest.approx((2 + 4 + 1) / (SLOTS * 5))
    assert utilization_of(calls, 9.0) is None


def test_the_fake_endpoint_answers_the_same_request_alike_and_another_seed_otherwise() -> None:
    asked = {"messages": [{"role": "user", "content": scripted_problem(3).problem}], "max_tokens": 2002}
    assert MAX_TOKENS and asked["max_tokens"] in MAX_TOKENS.values()
    script = Script(no_code=0.0, length=0.0)
    first, again, other = (script.answer(asked, key) for key in ("0" * 64, "0" * 64, "f" * 64))
    assert first == again != other


@pytest.mark.parametrize("lines", range(17))
def test_any_prefix_of_a_scripted_program_is_gone_on_with(lines: int) -> None:
    prefix = "".join(line + "\n" for line in program(1, 5).splitlines()[:lines])
    assert program(1, 70, prefix).startswith(prefix)
    compile(program(1, 70, prefix), "program", "exec")


def test_the_benchmark_prints_its_figures_as_json() -> None:
    done = coderm("bench", "curate", "--json", "--problems", 4, "--rollouts", 2, "--seconds", 0.01)
    assert done.returncode == 0, done.stderr
    figures = json.loads(done.stdout)
    assert figures.keys() >= KEYS
    assert figures["rollouts"] == 8 and figures["own_cpu_ms_per_rollout"] > 0

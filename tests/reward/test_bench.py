"""The benchmark's machinery on a small scale: what it says is what it measured. No time is asserted to be short."""

import json

import pytest

from helpers.processes import coderm

pytestmark = pytest.mark.torch


def test_bench_reward_says_its_figures_in_json() -> None:
    done = coderm("bench", "reward", "--json", "--rounds", "1", "--sequences", "8")
    assert done.returncode == 0, done.stderr
    figures = json.loads(done.stdout)
    assert figures["wall_s"] > figures["ideal_s"] == 0.2
    assert figures["loop_blocked_s"] == pytest.approx(figures["loop_late_s"] - figures["sleep_late_s"], abs=2e-4)
    best = max(figures[f"inprocess_tokens_per_s_batch_{size}"] for size in (1, 8, 16, 32))
    assert figures["served_over_inprocess"] == pytest.approx(figures["served_tokens_per_s"] / best, rel=0.01)


def test_the_benchmarks_samples_are_distinct() -> None:
    from reward.bench.workload import exchanges

    assert len(set(exchanges(128))) == 128

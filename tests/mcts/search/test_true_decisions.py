"""How many rollouts UCT truly decides, which the published schedule hardly lets it."""

import pytest

from helpers.searches import FakeModel, run_search
from mcts.config import SearchConfig
from mcts.search import decided_by_uct

MODELS = [FakeModel(seed, failures=0.05, labels="abcdefgh", longest=8) for seed in range(200)]
PROBLEMS, ROLLOUTS = 24, 10  # four branches, as in the paper


@pytest.mark.parametrize(
    ("first_paths", "by_paper", "by_uct"),
    [((3, 8), 50, 146), ((7, 8), 0, 139)],
    ids=["first paths of 3 to 8 steps: 21 % and 61 %", "of 7 or 8 steps: none and 58 %"],
)
def test_uct_decides_most_rollouts_of_its_own_schedule_and_few_of_the_papers(
    first_paths: tuple[int, int], by_paper: int, by_uct: int
) -> None:
    low, high = first_paths
    models = [model for model in MODELS if low <= len(model.reply(0, "begin", ()).path) <= high][:PROBLEMS]
    decided = {}
    for schedule in ("paper", "uct"):
        config = SearchConfig(schedule=schedule, num_rollouts=ROLLOUTS)
        selections = [selection for model in models for selection in run_search(config, model)[0].selections]
        assert len(selections) == PROBLEMS * ROLLOUTS
        decided[schedule] = sum(map(decided_by_uct, selections))
    assert decided == {"paper": by_paper, "uct": by_uct}

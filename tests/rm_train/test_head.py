"""The fitted head: it finds what can be found, is honest about what cannot, and is what is served."""

import json
from pathlib import Path

import pytest

from coderm_slime.errors import CodermError
from coderm_slime.records import PairExample
from helpers import tiny
from helpers.processes import coderm

pytestmark = pytest.mark.torch


def features(signal: float) -> tuple[object, object, list[str]]:
    """Features of 120 pairs of 24 problems that differ by `signal` along one direction under unit noise."""
    import torch

    torch.manual_seed(0)
    chosen, rejected = torch.randn(120, 32) + 5, torch.randn(120, 32) + 5
    chosen[:, 3] += signal
    return chosen, rejected, [str(number // 5) for number in range(120)]


def test_a_signal_is_found_and_the_head_points_along_it() -> None:
    from rm_train.head import fit_on_features

    fit = fit_on_features(*features(3.0))
    assert fit.held_out_accuracy > 0.9
    assert int(fit.weight.argmax()) == 3


def test_noise_is_fitted_but_not_held_for_knowledge() -> None:
    from rm_train.head import fit_on_features

    fit = fit_on_features(*features(0.0))
    assert fit.train_accuracy > fit.held_out_accuracy
    assert fit.held_out_accuracy < 0.65


def test_logits_lie_around_zero() -> None:
    from rm_train.head import fit_on_features

    chosen, rejected, groups = features(3.0)
    weight = fit_on_features(chosen, rejected, groups).weight
    mean = (chosen @ weight + rejected @ weight).mean() / 2
    assert abs(float(mean)) < 1e-3 * float((chosen @ weight).std())


def test_one_problem_is_too_few() -> None:
    from rm_train.head import fit_on_features

    chosen, rejected, _ = features(1.0)
    with pytest.raises(CodermError, match="at least two"):
        fit_on_features(chosen, rejected, ["same"] * 120)


def test_fit_head_writes_a_model_whose_served_logits_order_the_training_pairs(tmp_path: Path) -> None:
    from coderm_slime.chat import Renderer, as_response
    from coderm_slime.scoring.server.reward_engine import RewardEngine

    model = tiny.reward_model(tmp_path / "rm", "qwen3")
    pairs = [
        PairExample(
            problem=f"Case {n}.",
            chosen=f"def f(x):\n    return x + {n}\n",
            rejected=f"def f(x):\n    pass{' ' * n}#\n",
        )
        for n in range(12)
    ]
    (tmp_path / "pairs.jsonl").write_text("".join(pair.model_dump_json() + "\n" for pair in pairs))
    command = ["fit-head", model, tmp_path / "pairs.jsonl", tmp_path / "out"]
    done = coderm(*command)
    assert done.returncode == 0, done.stderr
    facts = json.loads((tmp_path / "out" / "coderm_head.json").read_text())
    renderer, engine = Renderer.load(str(tmp_path / "out")), RewardEngine(tmp_path / "out")
    ordered = 0
    for pair in pairs:
        sides = [renderer.render(pair.problem, as_response(side)) for side in (pair.chosen, pair.rejected)]
        better, worse = engine.score(sides)
        ordered += better > worse
    assert ordered / len(pairs) == pytest.approx(facts["train_accuracy"])
    assert facts["train_accuracy"] > 0.9
    again = coderm(*command)
    assert (again.returncode, "nothing there is overwritten" in again.stderr) == (1, True)

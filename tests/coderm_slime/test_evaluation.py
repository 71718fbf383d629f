"""Pairs judged: by hand-worked scores, by a real served model from the command line, beside a real likelihood."""

import json
from pathlib import Path

import pytest

from coderm_slime.chat import as_response
from coderm_slime.evaluation.page import pairs_page
from coderm_slime.evaluation.pairs import PairScores, candidates_of, code_of, evaluate, logits_of
from coderm_slime.metrics import MetricError
from coderm_slime.records import PairExample, Reason, ScoredCandidate, Verdict
from helpers import tiny
from helpers.processes import coderm, path_without

RIGHT, WRONG = "def add(a, b):\n    return a + b\n", "def add(a, b):\n    return a - b + 0 * a\n"


def pair(number: int, chosen: str = RIGHT, rejected: str = WRONG) -> PairExample:
    return PairExample(problem=f"Add, case {number}.", chosen=chosen, rejected=rejected)


def test_both_sides_become_one_candidate_each_however_often_they_stand() -> None:
    pairs = [pair(1), pair(1, rejected="def add(a, b): return b"), pair(2)]
    assert len(candidates_of(pairs)) == 5


def test_a_pair_takes_its_logits_from_the_score_file_and_abstains_where_there_is_none() -> None:
    pairs = [pair(1), pair(2)]
    ids = {(row.problem, row.program): row.id for row in candidates_of(pairs)}
    rows = [
        ScoredCandidate(id=ids[pairs[0].problem, RIGHT], input_key="k", verdict=_scored(7.0)),
        ScoredCandidate(id=ids[pairs[0].problem, WRONG], input_key="k", verdict=_scored(-2.0)),
        ScoredCandidate(
            id=ids[pairs[1].problem, RIGHT], input_key="k", verdict=Verdict(score=-4.0, reason=Reason.TOO_LONG)
        ),
    ]
    assert logits_of(pairs, rows) == PairScores([7.0, None], [-2.0, None])


def _scored(raw: float) -> Verdict:
    return Verdict(score=max(-4.0, min(4.0, raw)), reason=Reason.SCORED, raw=raw)


@pytest.mark.eval
def test_a_floor_is_compared_on_the_pairs_that_both_have_scored() -> None:
    pairs = [pair(number) for number in range(4)]
    found = evaluate(pairs, PairScores([1, 1, 1, None], [0, 0, 2, 0]), PairScores([1, 0, 0, 0], [0, 1, 1, 1]))
    assert (found.pairs, found.abstained, found.accuracy) == (3, 1, pytest.approx(2 / 3))
    likelihood = found.floors["likelihood"]
    assert (likelihood.accuracy, likelihood.margin) == (pytest.approx(1 / 3), pytest.approx(1 / 3))
    assert (found.floors["longer"].accuracy, found.floors["shorter"].accuracy) == (0.0, 1.0)
    assert found.floors["ngram"].accuracy == 1.0  # the edit is the same everywhere: other problems give it away


@pytest.mark.eval
def test_no_scored_pair_gives_no_accuracy_and_no_pair_is_an_error() -> None:
    found = evaluate([pair(1)], PairScores([None], [1.0]))
    assert (found.accuracy, found.floors["longer"].accuracy, "ngram" in found.floors) == (None, None, False)
    with pytest.raises(MetricError):
        evaluate([], PairScores([], []))


@pytest.mark.parametrize("side", [RIGHT, as_response(RIGHT), "Here it is:\n" + as_response(RIGHT) + "\nDone."])
def test_the_code_of_a_side_is_its_program_whether_bare_or_in_an_answer(side: str) -> None:
    assert code_of(side).strip() == RIGHT.strip()


@pytest.mark.eval
def test_the_page_shows_the_numbers_the_floors_and_the_worst_mistake_as_text() -> None:
    evil = [pair(1, rejected="print('</script><b>x')"), pair(2)]
    scores = PairScores([0.0, 2.0], [3.0, 1.0])
    html = pairs_page("rm", "p.jsonl", evaluate(evil, scores), evil, scores, ["mind <this>"])
    assert "0.500" in html
    assert "The worst of 1 wrong decisions" in html
    assert "&lt;/script&gt;" in html
    assert "</script><b>" not in html


@pytest.mark.torch
@pytest.mark.eval
def test_eval_pairs_serves_a_folder_scores_both_sides_and_says_all_in_json(tmp_path: Path) -> None:
    model, language = tiny.reward_model(tmp_path / "rm", "llama"), tiny.language_model(tmp_path / "lm")
    rows = [pair(number).model_dump_json() for number in range(6)]
    (tmp_path / "pairs.jsonl").write_text("\n".join([*rows, '{"problem": "no sides"}']) + "\n")
    command = ["eval", "pairs", model, tmp_path / "pairs.jsonl", "--json", "--scores", tmp_path / "scores.jsonl"]
    first = coderm(*command, "--likelihood", language, "--report", tmp_path / "page.html")
    said = json.loads(first.stdout)
    assert (said["pairs"], said["bad_rows"], said["abstained"], said["model"]) == (6, 1, 0, "rm")
    assert 0 <= said["accuracy"] <= 1
    assert set(said["floors"]) == {"longer", "shorter", "ngram", "likelihood"}
    assert said["floors"]["likelihood"]["interval"]["low"] <= said["floors"]["likelihood"]["accuracy"]
    assert first.returncode == 1  # the bad row
    assert "pairs.jsonl:7" in first.stderr
    assert "<html" in (tmp_path / "page.html").read_text()

    scores = [json.loads(line) for line in (tmp_path / "scores.jsonl").read_text().splitlines()]
    assert len(scores) == 12
    again = coderm(*command)
    assert json.loads(again.stdout)["accuracy"] == said["accuracy"]
    assert len((tmp_path / "scores.jsonl").read_text().splitlines()) == 12


@pytest.mark.eval
def test_eval_pairs_against_a_server_that_is_not_there_scores_nothing_and_says_so(tmp_path: Path) -> None:
    result = coderm(*write_pairs_for_dead_server(tmp_path), "--json", CODERM_RM__ATTEMPTS="2")
    assert (result.returncode, result.stdout) == (1, "")
    assert "not one of the first 8 answers" in result.stderr


def write_pairs_for_dead_server(folder: Path) -> list[object]:
    tiny.tokenizer().save_pretrained(folder / "tokenizer")
    (folder / "pairs.jsonl").write_text("".join(pair(number).model_dump_json() + "\n" for number in range(5)))
    return ["eval", "pairs", "http://127.0.0.1:1", folder / "pairs.jsonl", "--model-path", folder / "tokenizer"]


def test_eval_pairs_misses_scikit_learn_before_it_scores(tmp_path: Path) -> None:
    hidden = path_without(tmp_path / "hidden", "sklearn")
    result = coderm(*write_pairs_for_dead_server(tmp_path), CODERM_RM__ATTEMPTS="1", PYTHONPATH=hidden)
    assert (result.returncode, "extra 'eval' (scikit-learn)" in result.stderr) == (1, True)
    assert "unreachable" not in result.stderr


@pytest.mark.torch
@pytest.mark.eval
def test_eval_pairs_tries_the_model_of_the_likelihood_floor_before_it_scores(tmp_path: Path) -> None:
    command = [*write_pairs_for_dead_server(tmp_path), "--likelihood"]
    half = tiny.language_model(tmp_path / "half")
    (half / "model.safetensors").unlink()
    hidden = path_without(tmp_path / "hidden", "uvicorn")
    for folder, said, path in (
        (tmp_path / "none", "none holds no readable config.json", ""),
        (tiny.reward_model(tmp_path / "rm", "llama"), "is a LlamaForSequenceClassification", ""),
        (half, "half did not start", ""),
        (tiny.language_model(tmp_path / "whole"), "needs the extra 'serve'", hidden),
    ):
        result = coderm(*command, folder, CODERM_RM__ATTEMPTS="1", PYTHONPATH=path)
        assert (result.returncode, said in result.stderr) == (1, True), result.stderr
        assert "unreachable" not in result.stderr


def test_eval_pairs_names_a_file_without_pairs(tmp_path: Path) -> None:
    (tmp_path / "pairs.jsonl").write_text("")
    result = coderm("eval", "pairs", tmp_path, tmp_path / "pairs.jsonl")
    assert (result.returncode, "holds no pair" in result.stderr) == (1, True)


@pytest.mark.torch
def test_a_likelihood_is_the_mean_over_the_code_alone(tmp_path: Path) -> None:
    import asyncio

    import torch
    from transformers import AutoModelForCausalLM

    from coderm_slime.evaluation.likelihood import pair_likelihoods
    from coderm_slime.scoring.standin import standin

    folder = tiny.language_model(tmp_path / "lm")
    long = pair(2, rejected=WRONG + "# more\n" * 400)
    with standin(folder) as url:
        found = asyncio.run(pair_likelihoods(url, folder, [pair(1), long], lambda _: None, max_tokens=300))
    tokenizer, model = tiny.tokenizer(), AutoModelForCausalLM.from_pretrained(folder).eval()
    statement = tokenizer("Add, case 1.\n\n")["input_ids"]
    ids = torch.tensor([[*statement, *tokenizer(RIGHT)["input_ids"]]])
    with torch.inference_mode():
        logprobs = torch.log_softmax(model(ids).logits[0, :-1], dim=-1)
    each = logprobs.gather(1, ids[0, 1:, None])[len(statement) - 1 :]
    assert found.chosen[0] == pytest.approx(float(each.mean()), abs=1e-4)
    assert found.rejected[1] is None

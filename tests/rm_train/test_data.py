"""Training rows: what is read, what is left out and counted, what is refused, and what the model gets to read."""

import json
from pathlib import Path

import pytest

from coderm_slime.chat import Renderer, RenderError, as_response
from coderm_slime.errors import CodermError
from helpers import tiny
from rm_train.config import TrainConfig
from rm_train.data.prepare import prepare
from rm_train.data.rows import DataError, Skipped, read_rows
from rm_train.data.store import Store
from rm_train.data.units import Unit, render_units

pytestmark = pytest.mark.torch

GOOD = {
    "problem": "Add.",
    "chosen": "def f(a, b):\n    return a + b\n",
    "rejected": "def f(a, b):\n    return a - b\n",
}
LABELLED = {"prompt": "Add.", "response": "```python\ndef f(a, b):\n    return a + b\n```", "q": 1.5, "n": 2}


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tiny.language_model(tmp_path_factory.mktemp("model") / "lm", "qwen3")


def write(path: Path, *rows: object) -> Path:
    path.write_text("".join((row if isinstance(row, str) else json.dumps(row)) + "\n" for row in rows))
    return path


def config(model: Path, folder: Path, file: Path, **more: object) -> TrainConfig:
    stage = {"train": [str(file)]}
    data = {"regression": stage, "max_bad_share": 1.0, **more.pop("data", {})}
    return TrainConfig(model=model, output=folder / "out", max_tokens=256, data=data, **more)


def prepared(model: Path, folder: Path, *rows: object, **more: object) -> tuple[Store, Skipped]:
    found = prepare(config(model, folder, write(folder / "rows.jsonl", *rows), **more))["regression"].train
    return found.open(), found.skipped


@pytest.mark.parametrize(
    ("row", "reason"),
    [
        ('{"problem": "p", "response": "r", "q": NaN, "n": 1}', "finite"),
        ({**LABELLED, "q": 3.5}, "q exceeds n"),
        ({**LABELLED, "n": 0}, "n: Input should be greater"),
        ({**LABELLED, "response": ""}, "response: String should have at least 1"),
        ({**LABELLED, "response": " \n"}, "an empty answer"),
        ({**GOOD, "rejected": ""}, "rejected: String should have at least 1"),
        ({**GOOD, "rejected": GOOD["chosen"]}, "the same text"),
        ({**GOOD, "rejected": GOOD["chosen"] + "\n\n"}, "reads alike"),
        ({**GOOD, "chosen": GOOD["chosen"] + "#" * 4000}, "longer than 256 tokens"),
        ({"problem": "p", "chosen": "a"}, "rejected: Field required"),
        ("[1, 2]", "JSON object"),
        ("{not JSON}", "no JSON"),
    ],
)
def test_a_bad_row_is_left_out_and_counted_by_reason(model: Path, tmp_path: Path, row: object, reason: str) -> None:
    store, skipped = prepared(model, tmp_path, GOOD, row, LABELLED)
    assert len(store) == 2
    assert skipped.rows == 3
    assert [count for name, count in skipped.reasons.items() if reason in name] == [1], skipped.reasons
    assert ":2:" in skipped.examples[0]


def test_more_bad_rows_than_allowed_are_refused_with_the_first(model: Path, tmp_path: Path) -> None:
    with pytest.raises(DataError, match=r"1 of 2 rows .* above data.max_bad_share=0.05: .*q exceeds n.*:1:"):
        prepared(model, tmp_path, {**LABELLED, "q": 9}, GOOD, data={"max_bad_share": 0.05})


def test_a_file_without_a_good_row_is_refused(model: Path, tmp_path: Path) -> None:
    with pytest.raises(DataError, match=r"no row of .* can be used"):
        prepared(model, tmp_path, {**LABELLED, "q": 9})


def test_a_file_that_is_cut_off_is_refused(model: Path, tmp_path: Path) -> None:
    file = write(tmp_path / "rows.jsonl", GOOD)
    file.write_text(file.read_text() + json.dumps(GOOD)[:50])
    with pytest.raises(DataError, match=r"rows.jsonl:2: .*cut off"):
        prepare(config(model, tmp_path, file))


def test_a_missing_file_is_named(model: Path, tmp_path: Path) -> None:
    with pytest.raises(DataError, match=r"gone\.jsonl is not there"):
        prepare(config(model, tmp_path, tmp_path / "gone.jsonl"))


def test_a_card_of_another_fingerprint_is_refused(tmp_path: Path) -> None:
    from coderm_slime.scoring.prepare import prepare as make_ready

    plain = tiny.reward_model(tmp_path / "plain", "qwen3", spread=8.0)
    make_ready(str(plain), tmp_path / "rm", max_tokens=256)
    card = tmp_path / "rm" / "coderm_rm.json"
    card.write_text(card.read_text().replace(json.loads(card.read_text())["fingerprint"], "0" * 16))
    with pytest.raises(CodermError, match="fingerprint 0000000000000000"):
        prepare(config(tmp_path / "rm", tmp_path, write(tmp_path / "rows.jsonl", GOOD)))


def test_a_prepared_model_keeps_its_own_limit(tmp_path: Path) -> None:
    from coderm_slime.scoring.prepare import prepare as make_ready

    make_ready(str(tiny.reward_model(tmp_path / "plain", "qwen3", spread=8.0)), tmp_path / "rm", max_tokens=200)
    with pytest.raises(RenderError, match=r"max_tokens=256, but .* 200"):
        prepare(config(tmp_path / "rm", tmp_path, write(tmp_path / "rows.jsonl", GOOD)))


def test_other_training_rows_than_those_that_were_meant_are_refused(model: Path, tmp_path: Path) -> None:
    file = write(tmp_path / "rows.jsonl", GOOD)
    first = prepare(config(model, tmp_path, file))["regression"].train.fingerprint
    stage = {"train": [str(file)], "fingerprint": first}
    pinned = TrainConfig(model=model, output=tmp_path / "out", max_tokens=256, data={"regression": stage})
    assert prepare(pinned)["regression"].train.fingerprint == first
    write(file, GOOD, LABELLED)
    with pytest.raises(DataError, match=f"fingerprint={first}, but its training rows have"):
        prepare(pinned)


def test_a_plain_pair_is_one_and_zero_and_a_searched_one_has_its_labels(model: Path, tmp_path: Path) -> None:
    searched = {**GOOD, "problem": "B.", "chosen_label": 0.8, "rejected_label": 0.5, "chosen_n": 4, "rejected_n": 2}
    store, _ = prepared(model, tmp_path, GOOD, searched, LABELLED)
    assert [unit.targets for unit in map(store.__getitem__, range(3))] == [[1, 0], [0.8, 0.5], [0.75]]
    assert [unit.gaps for unit in map(store.__getitem__, range(2))] == [[1], [pytest.approx(0.3)]]


def test_weights_by_visits_are_the_counts_and_their_harmonic_mean(model: Path, tmp_path: Path) -> None:
    searched = {**GOOD, "problem": "B.", "chosen_label": 0.8, "rejected_label": 0.5, "chosen_n": 4, "rejected_n": 2}
    stages = {"regression": {"loss": {"kind": "mixed", "visit_weights": True}}}
    store, _ = prepared(model, tmp_path, searched, LABELLED, stages=stages)
    assert (store[0].target_weights, store[0].pair_weights) == ([4, 2], [pytest.approx(8 / 3)])
    assert store[1].target_weights == [2]


def test_what_is_read_is_what_serving_reads(model: Path, tmp_path: Path) -> None:
    store, _ = prepared(model, tmp_path, GOOD, LABELLED)
    renderer = Renderer.load(str(model), 256)
    assert store[0].sequences == [renderer.render("Add.", as_response(GOOD[side])) for side in ("chosen", "rejected")]
    assert store[1].sequences == [renderer.render("Add.", LABELLED["response"])]


def test_a_prefix_of_a_response_is_not_taken_for_a_program(model: Path, tmp_path: Path) -> None:
    prefix = "I add.\n\n```python\ndef f(a, b):\n    c = a\n"
    store, _ = prepared(model, tmp_path, {**GOOD, "chosen": prefix, "chosen_label": 0.9, "rejected_label": 0.1})
    assert store[0].sequences[0] == Renderer.load(str(model), 256).render("Add.", prefix)


def test_rows_of_a_problem_share_its_programs_and_say_the_same(model: Path, tmp_path: Path) -> None:
    other = {**GOOD, "rejected": "def f(a, b):\n    return a\n"}
    apart, _ = prepared(model, tmp_path, GOOD, other, {**GOOD, "problem": "C."})
    together, _ = prepared(model, tmp_path, GOOD, other, {**GOOD, "problem": "C."}, data={"share_programs": True})
    assert [len(store) for store in (apart, together)] == [3, 2]
    unit = together[0]
    assert (unit.pairs, unit.targets, unit.target_weights) == ([(0, 1), (0, 2)], [1, 0, 0], [2, 1, 1])
    for measure in ("target_weights", "pair_weights"):
        assert getattr(apart, measure).sum() == getattr(together, measure).sum()
    assert together.tokens.sum() < apart.tokens.sum()


def test_a_label_of_a_shared_program_is_the_mean(model: Path, tmp_path: Path) -> None:
    rows = [{**LABELLED, "q": q, "n": 1} for q in (1.0, 0.0, 0.5, 0.5)]
    store, _ = prepared(model, tmp_path, *rows, data={"share_programs": True})
    assert (store[0].targets, store[0].target_weights) == ([0.5], [4])


def test_a_shared_unit_stays_within_the_budget(model: Path, tmp_path: Path) -> None:
    rows = [{**GOOD, "rejected": f"def f(a, b):\n    return {n}\n"} for n in range(30)]
    renderer, skipped = Renderer.load(str(model), 256), Skipped()
    source = type("Source", (), {"path": write(tmp_path / "rows.jsonl", *rows), "where": {}})()
    units: list[Unit] = list(
        render_units(read_rows([source], skipped), renderer, skipped, share=True, by_visits=False, budget=300)
    )
    assert max(unit.tokens for unit in units) <= 300
    assert sum(len(unit.pairs) for unit in units) == 30


def test_rows_are_chosen_by_their_fields(model: Path, tmp_path: Path) -> None:
    file = write(tmp_path / "rows.jsonl", {**GOOD, "split": "train"}, {**LABELLED, "split": "test"})
    stage = {"train": [{"path": str(file), "where": {"split": ["test"]}}]}
    found = prepare(TrainConfig(model=model, output=tmp_path / "out", max_tokens=256, data={"regression": stage}))
    assert (found["regression"].train.units, found["regression"].train.skipped.rows) == (1, 1)


def test_ranking_without_a_pair_is_refused(model: Path, tmp_path: Path) -> None:
    stage = {"train": [str(write(tmp_path / "rows.jsonl", LABELLED))]}
    with pytest.raises(DataError, match="has no pair"):
        prepare(TrainConfig(model=model, output=tmp_path / "out", max_tokens=256, data={"ranking": stage}))

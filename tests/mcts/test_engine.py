"""Runs against a FAKE endpoint in another process: whole, stopped, changed, and with everything out of reach."""

import shutil
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from coderm_slime.records import SearchTree, read_jsonl
from helpers.curation import config, curate, fake_endpoint, rows, wait_for_outcomes, write_config, write_source
from helpers.processes import ROOT, coderm, free_port
from mcts.engine.folder import RunFolderError, held
from mcts.engine.journal import Journal
from mcts.engine.seeds import derived_seed

PROBLEMS = 4


@pytest.fixture(scope="module")
def endpoint() -> Iterator[str]:
    with fake_endpoint() as url:
        yield url


@pytest.fixture(scope="module")
def whole(endpoint: str, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder of a run that nothing disturbed."""
    folder = tmp_path_factory.mktemp("whole")
    curate(folder / "run", config(endpoint), write_source(folder, PROBLEMS))
    return folder / "run"


def trees(folder: Path) -> str:
    return (folder / "trees.jsonl").read_text()


def test_every_problem_ends_once_with_a_tree_or_with_a_reason(whole: Path) -> None:
    ended = [row["problem"]["id"] for row in rows(whole / "trees.jsonl")]
    ended += [row["id"] for row in rows(whole / "failed.jsonl")]
    assert sorted(ended) == [f"scripted/{number}" for number in range(PROBLEMS)]


def test_the_trees_are_records_with_all_rollouts_and_what_made_them(whole: Path) -> None:
    for tree in read_jsonl(whole / "trees.jsonl", SearchTree):
        assert len(tree.selections) == 4
        assert tree.calls.startswith(tree.problem.entry_point)
        assert {"prompts", "settings", "models", "expand.prompt_tokens"} <= tree.provenance.keys()


def test_what_the_journal_sums_is_what_the_rows_say(whole: Path) -> None:
    with Journal(whole, reading=True) as journal:
        spent = journal.spent()
        steps = [row for key in keys(journal) for row in journal.work(key).steps.values()]
        rollouts = [row for key in keys(journal) for row in journal.work(key).rollouts.values()]
    assert spent["judge.calls"] == sum(row.spent.get("judge.calls", 0) for row in rollouts)
    assert spent["calls.prompt_tokens"] >= sum(row.spent.get("calls.prompt_tokens", 0) for row in steps) > 0


def keys(journal: Journal) -> list[str]:
    return [key for (key,) in journal._rows("SELECT key FROM problems")]


def test_stage_by_stage_gives_the_trees_of_one_run(endpoint: str, whole: Path, tmp_path: Path) -> None:
    source, settings = write_source(tmp_path, PROBLEMS), config(endpoint)
    for stage in ("REWRITE", "CALLS", "EXECUTE"):
        report = curate(tmp_path / "run", settings, source, stage)
        assert report.trees == 0
    with Journal(tmp_path / "run", reading=True) as journal:
        assert journal.outcomes()["execute"] == report.states["open"] > 0
    curate(tmp_path / "run", settings, None)
    assert trees(tmp_path / "run") == trees(whole)


def test_a_run_that_is_given_again_asks_nothing_more(endpoint: str, whole: Path, tmp_path: Path) -> None:
    shutil.copytree(whole, tmp_path / "run")
    before = curate(tmp_path / "run", config(endpoint), None).spent
    assert curate(tmp_path / "run", config(endpoint), None).spent == before
    assert trees(tmp_path / "run") == trees(whole)


def test_with_rollouts_in_parallel_the_tree_does_not_depend_on_what_arrives_when(tmp_path: Path) -> None:
    source, search = write_source(tmp_path, 2), {"num_rollouts": 6, "parallel": 3}
    for name, slots in (("one", 1), ("many", 64)):
        with fake_endpoint(slots=slots) as url:
            curate(tmp_path / name, config(url, search=search), source)
    assert trees(tmp_path / "one") == trees(tmp_path / "many") != ""


@pytest.mark.parametrize(
    ("changes", "named"),
    [
        ({"seed": 1}, r"curate\.seed: 0, now 1"),
        ({"search": {"num_rollouts": 9}}, r"curate\.search\.num_rollouts: 4, now 9"),
        ({"problems_in_flight": 3}, r"--accept-changes .*\n.*curate\.problems_in_flight: None, now 3"),
    ],
)
def test_another_configuration_is_refused_and_the_difference_named(
    endpoint: str, whole: Path, tmp_path: Path, changes: dict, named: str
) -> None:
    shutil.copytree(whole, tmp_path / "run")
    with pytest.raises(RunFolderError, match=named):
        curate(tmp_path / "run", config(endpoint, **changes), None)


def test_other_prompts_are_refused(endpoint: str, whole: Path, tmp_path: Path) -> None:
    shutil.copytree(whole, tmp_path / "run")
    prompts = tmp_path / "prompts"
    prompts.mkdir()
    (prompts / "calls.system.jinja").write_text("Write calls.")
    with pytest.raises(RunFolderError, match="prompts have changed"):
        curate(tmp_path / "run", config(endpoint, prompts=str(prompts)), None)


def test_a_folder_that_another_process_works_on_is_refused(endpoint: str, tmp_path: Path) -> None:
    source = write_source(tmp_path, 1)
    with held(tmp_path / "run"):
        file = write_config(tmp_path, config(endpoint))
        done = coderm("curate", "run", source, "--run", tmp_path / "run", "--config", file)
    assert done.returncode == 1
    assert "another process works on" in done.stderr


def test_an_outage_leaves_problems_open_ends_in_one_line_and_a_later_run_goes_on(
    endpoint: str, whole: Path, tmp_path: Path
) -> None:
    source = write_source(tmp_path, PROBLEMS)
    nobody = config(f"http://127.0.0.1:{free_port()}", attempts=1, max_outages=2, deadline_s=20.0)
    file = write_config(tmp_path, nobody)
    done = coderm("curate", "run", source, "--run", tmp_path / "run", "--config", file)
    assert done.returncode == 1
    assert "too many calls in a row came to nothing" in done.stderr
    assert rows(tmp_path / "run" / "failed.jsonl") == []
    write_config(tmp_path, config(endpoint))
    done = coderm("curate", "run", "--run", tmp_path / "run", "--config", file, "--accept-changes")
    assert done.returncode == 0, done.stderr
    assert trees(tmp_path / "run") == trees(whole)
    assert rows(tmp_path / "run" / "data" / "scalar-train.jsonl")


def test_an_unexpected_exception_ends_one_problem_with_its_record_and_no_other(endpoint: str, tmp_path: Path) -> None:
    prompts = tmp_path / "prompts"
    prompts.mkdir()
    (prompts / "calls.system.jinja").write_text("{% if 'solve_1(' in problem %}{{ 1 // 0 }}{% endif %}Write calls.")
    settings = config(endpoint, prompts=str(prompts))
    report = curate(tmp_path / "run", settings, write_source(tmp_path, 3))
    assert report.states["error"] == 1 and report.states["finished"] + report.states["failed"] == 2
    (bad,) = [row for row in rows(tmp_path / "run" / "failed.jsonl") if row["state"] == "error"]
    assert bad["id"] == "scripted/1" and "ZeroDivisionError" in bad["detail"]


def test_bad_rows_and_repeated_problems_are_counted_and_the_rest_is_run(endpoint: str, tmp_path: Path) -> None:
    source = write_source(tmp_path, 1)
    text = source.read_text()
    source.write_text(text + '{"problem": ""}\n{"torn\n' + text)
    report = curate(tmp_path / "run", config(endpoint), source)
    assert report.left_out.total() == 2 and report.duplicates == 1
    assert report.states.total() == 1
    assert [row["line"] for row in rows(tmp_path / "run" / "left_out.jsonl")] == [2, 3]


def test_control_c_saves_and_the_same_command_goes_on_to_the_same_trees(tmp_path: Path) -> None:
    source = write_source(tmp_path, 3)
    with fake_endpoint(seconds=0.2) as url:
        file = write_config(tmp_path, config(url))
        command = ["curate", "search", source, "--config", file, "--run"]
        with subprocess.Popen(
            [sys.executable, "-m", "coderm_slime", *map(str, command), str(tmp_path / "run")], cwd=ROOT
        ) as process:
            wait_for_outcomes(tmp_path / "run", 4, process)
            process.send_signal(signal.SIGINT)
        assert process.returncode == 130
        with Journal(tmp_path / "run", reading=True) as journal:
            assert journal.states()["open"] > 0
        assert coderm(*command, tmp_path / "run").returncode == 0
        assert coderm(*command, tmp_path / "undisturbed").returncode == 0
    assert trees(tmp_path / "run") == trees(tmp_path / "undisturbed") != ""


def test_a_prompt_that_cannot_be_filled_in_stops_the_run_and_costs_no_problem(endpoint: str, tmp_path: Path) -> None:
    prompts = tmp_path / "prompts"
    prompts.mkdir()
    (prompts / "calls.system.jinja").write_text("Write {{ how_many }} calls.")
    report = curate(tmp_path / "run", config(endpoint, prompts=str(prompts)), write_source(tmp_path, 3))
    assert "how_many" in report.stopped
    assert report.states == {"open": 3}


def test_a_run_without_problems_says_so(endpoint: str, tmp_path: Path) -> None:
    with pytest.raises(RunFolderError, match="no problem yet"):
        curate(tmp_path / "run", config(endpoint), None)


def test_seeds_depend_on_everything_they_are_named_by() -> None:
    named = [(0, "k", "expand", 1, 0), (1, "k", "expand", 1, 0), (0, "l", "expand", 1, 0), (0, "k", "judge", 1, 0)]
    named += [(0, "k", "expand", 2, 0), (0, "k", "expand", 1, 1)]
    seeds = [derived_seed(*one) for one in named]
    assert len(set(seeds)) == len(seeds)
    assert all(0 <= seed < 2**31 for seed in seeds)
    assert seeds == [derived_seed(*one) for one in named]

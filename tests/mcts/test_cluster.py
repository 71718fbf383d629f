"""The engine on a Ray cluster of this machine alone: two worker processes, one journal."""

from pathlib import Path

import pytest

from coderm_slime.errors import CodermError
from helpers.curation import config, curate, fake_endpoint, rows, write_source
from mcts.engine.cluster import Cluster


def test_two_ray_workers_make_the_trees_of_one_process(tmp_path: Path) -> None:
    source = write_source(tmp_path, 4)
    with fake_endpoint() as url:
        report = curate(tmp_path / "ray", config(url), source, cluster=Cluster("local", 2))
        curate(tmp_path / "alone", config(url), source)
    assert report.states["open"] == 0 and report.outages == 0
    assert (tmp_path / "ray" / "trees.jsonl").read_text() == (tmp_path / "alone" / "trees.jsonl").read_text()
    assert rows(tmp_path / "ray" / "trees.jsonl")


def test_bounds_that_cannot_be_shared_out_are_refused(tmp_path: Path) -> None:
    with pytest.raises(CodermError, match="max_in_flight = 8"):
        curate(tmp_path / "run", config("http://127.0.0.1:9"), write_source(tmp_path, 1), cluster=Cluster("local", 9))

"""Runs many small suites in one sandbox, so that a table of cases costs milliseconds a row."""

import asyncio
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import yaml

from coderm_slime.records import Suite
from coderm_slime.sandbox import Limits, Sandbox
from coderm_slime.testing import SuiteReport, run_suite

LIMITS = Limits(wall_s=3.0, cpu_s=3.0)


def run_all(cases: Mapping[str, tuple[str, Suite]], limits: Limits = LIMITS) -> dict[str, SuiteReport]:
    """The report of each (program, suite), by its name."""

    async def run() -> list[SuiteReport]:
        async with Sandbox() as sandbox:
            return await asyncio.gather(*(run_suite(sandbox, *case, limits) for case in cases.values()))

    return dict(zip(cases, asyncio.run(run()), strict=True))


def table(name: str) -> Any:
    """A table of cases that lies beside the tests of coderm_slime.testing."""
    path = Path(__file__).parents[1] / "coderm_slime" / "testing" / name
    return yaml.safe_load(path.read_text(encoding="utf-8"))


def asserts(*tests: str, setup: str = "", entry_point: str | None = None) -> Suite:
    return Suite(kind="asserts", setup=setup, tests=tests, entry_point=entry_point)

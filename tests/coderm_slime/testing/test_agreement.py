"""Agreement with known verdicts on real problems: right solutions pass, their broken variants fail.

CODERM_DATA names a folder with humaneval.jsonl, mbpp.jsonl, humaneval_mutants_pairs.jsonl, mbpp_mutants_pairs.jsonl.
"""

import asyncio
import json
import os
from collections.abc import Iterator
from pathlib import Path

import pytest

from coderm_slime.records import Suite, SuiteKind
from coderm_slime.sandbox import Limits, Sandbox
from coderm_slime.testing import run_suite

DATA = os.environ.get("CODERM_DATA")
LEAST_AGREEMENT = 0.998
LIMITS = Limits(wall_s=6.0, cpu_s=6.0)


def human_eval_rows(folder: Path) -> Iterator[tuple[str, str, Suite, bool]]:
    for row in rows(folder / "humaneval.jsonl"):
        suite = asserts(row["test"], f"check({row['entry_point']})", row["entry_point"])
        yield row["task_id"], row["prompt"] + row["canonical_solution"], suite, True


def mbpp_rows(folder: Path) -> Iterator[tuple[str, str, Suite, bool]]:
    for row in rows(folder / "mbpp.jsonl"):
        yield row["id"], row["solution"], asserts("", row["test"], row["entry_point"]), True


def pair_rows(path: Path) -> Iterator[tuple[str, str, Suite, bool]]:
    seen = set()
    for row in rows(path):
        suite = asserts("", row["test"], row["entry_point"])
        if row["chosen"] not in seen:
            seen.add(row["chosen"])
            yield row["id"] + " chosen", row["chosen"], suite, True
        yield row["id"] + " rejected", row["rejected"], suite, False


def rows(path: Path) -> Iterator[dict]:
    with path.open(encoding="utf-8") as lines:
        yield from map(json.loads, lines)


def asserts(setup: str, test: str, entry_point: str) -> Suite:
    return Suite(kind=SuiteKind.ASSERTS, setup=setup, tests=(test,), entry_point=entry_point)


async def disagreements(cases: list[tuple[str, str, Suite, bool]]) -> list[str]:
    async with Sandbox() as sandbox:

        async def judged(name: str, program: str, suite: Suite, right: bool) -> str | None:
            report = await run_suite(sandbox, program, suite, LIMITS)
            if report.error is None and report.passed is right:
                return None
            return f"{name}: {report.error or report.tests[0].detail[-300:] or 'passed'}"

        return [found for found in await asyncio.gather(*(judged(*case) for case in cases)) if found]


@pytest.mark.slow
@pytest.mark.timeout(1200)
@pytest.mark.skipif(not DATA, reason="CODERM_DATA names no folder")
@pytest.mark.parametrize("source", ["human_eval", "mbpp", "human_eval_pairs", "mbpp_pairs"])
def test_known_verdicts_are_reached(source: str) -> None:
    folder = Path(DATA or "")
    cases = {
        "human_eval": lambda: human_eval_rows(folder),
        "mbpp": lambda: mbpp_rows(folder),
        "human_eval_pairs": lambda: pair_rows(folder / "humaneval_mutants_pairs.jsonl"),
        "mbpp_pairs": lambda: pair_rows(folder / "mbpp_mutants_pairs.jsonl"),
    }[source]()
    known = list(cases)
    wrong = asyncio.run(disagreements(known))
    text = "\n".join(wrong)
    assert 1 - len(wrong) / len(known) >= LEAST_AGREEMENT, f"{len(wrong)} of {len(known)}\n{text}"
    print(f"{len(wrong)} of {len(known)} disagree\n{text}")  # noqa: T201 - the figures are the point, see them with -s

"""Programs run in a real sandbox of their own, with user ids that no other test process uses."""

import asyncio
import os
from pathlib import Path
from typing import Any

from coderm_slime.sandbox import Limits, Program, Result, Sandbox
from coderm_slime.settings import SandboxSettings

QUICK = Limits(wall_s=2.0, cpu_s=2.0)
_UIDS_EACH = 16
UIDS = range(first := 100_000 + os.getpid() % 20_000 * _UIDS_EACH, first + _UIDS_EACH)


def settings(workers: int = 1, **others: Any) -> SandboxSettings:
    """As by default, with this test process's own user ids."""
    return SandboxSettings(workers=workers, uid_first=UIDS.start, uid_count=len(UIDS), **others)


def run(source: str, limits: Limits = QUICK, **program: Any) -> Result:
    """One program in a sandbox with one worker."""
    return run_all([Program(source, limits=limits, **program)])[0]


def run_all(programs: list[Program], workers: int = 1) -> list[Result]:
    """Programs one after another where there is one worker."""

    async def all_of_them() -> list[Result]:
        async with Sandbox(settings(workers)) as sandbox:
            return list(await asyncio.gather(*map(sandbox.run, programs)))

    return asyncio.run(all_of_them())


def programs_left() -> list[str]:
    """Living processes of the programs' user ids. Without root these are the tests' own, and nothing is told."""
    left = []
    for path in Path("/proc").glob("[0-9]*"):
        try:
            if path.stat().st_uid in UIDS and "State:\tZ" not in (path / "status").read_text():
                left.append((path / "cmdline").read_text())
        except (FileNotFoundError, ProcessLookupError):
            continue
    return left

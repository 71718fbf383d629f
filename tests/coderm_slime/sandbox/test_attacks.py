"""The attack suite against the layers of this machine, and its judge against a sandbox that isolates nothing."""

import asyncio
import json
import subprocess
import sys
import tempfile
from collections.abc import Coroutine, Iterator
from typing import Any, TypeVar

import pytest

from coderm_slime.sandbox import Ending, Program, Result, Sandbox, SandboxError
from coderm_slime.sandbox.attacks import ATTACKS, Attack, Suite, no_control
from helpers.processes import coderm
from helpers.sandboxed import settings

AT_LEAST = 50
# One for each sign that shows without looking at the processes while they run.
NOTICED = (
    "reads a secret file of the caller",
    "writes to the temporary folder",
    "writes through a symbolic link",
    "changes a file's permissions",
    "connects by TCP",
    "kills a process of the caller",
    "leaves a daemon by a double fork",
    "leaves the next run a file in memory",
    "sleeps past its limit",
    "writes one huge line",
)
_T = TypeVar("_T")


class Range:
    """A suite in an event loop of its own, open for all tests of this file; each control is made once."""

    def __init__(self) -> None:
        self._loop = asyncio.new_event_loop()
        self.suite = Suite(settings())
        self._controls: dict[str, bool] = {}
        self.wait(self.suite.__aenter__())

    def wait(self, coroutine: Coroutine[Any, Any, _T]) -> _T:
        return self._loop.run_until_complete(coroutine)

    def control_works(self, attack: Attack) -> bool:
        if attack.name not in self._controls:
            lacking = no_control(attack)
            self._controls[attack.name] = not lacking and self.wait(self.suite.outside(attack)).succeeded
        return self._controls[attack.name]

    def close(self) -> None:
        self.wait(self.suite.__aexit__())
        self._loop.close()


@pytest.fixture(scope="module")
def shooting_range() -> Iterator[Range]:
    opened = Range()
    yield opened
    opened.close()


@pytest.mark.parametrize("attack", ATTACKS, ids=lambda attack: attack.name)
def test_outside_the_attack_works(shooting_range: Range, attack: Attack) -> None:
    assert shooting_range.control_works(attack) or attack.rare or no_control(attack)


@pytest.mark.parametrize("attack", ATTACKS, ids=lambda attack: attack.name)
def test_inside_it_achieves_nothing(shooting_range: Range, attack: Attack) -> None:
    attempt = shooting_range.wait(shooting_range.suite.inside(attack))
    promised = not attack.layer or attack.layer in shooting_range.suite.on
    assert attempt.held or not promised, (attempt, attack.sign)


def test_enough_attacks_have_a_control_that_works_here(shooting_range: Range) -> None:
    assert sum(map(shooting_range.control_works, ATTACKS)) >= AT_LEAST
    assert len({attack.name for attack in ATTACKS}) == len(ATTACKS)


class Open(Sandbox):
    """FAKE sandbox: runs attacks as plain processes and isolates nothing; the suite's own programs run as always."""

    async def run(self, program: Program) -> Result:
        if not program.arguments:
            return await super().run(program)
        command = [sys.executable, "-c", program.source, *program.arguments]
        with tempfile.TemporaryDirectory() as folder:
            done = await asyncio.to_thread(
                subprocess.run, command, capture_output=True, text=True, start_new_session=True, cwd=folder
            )
        return Result(
            done.stdout, done.stderr, "", Ending.OK, done.returncode, None, 0.0, 0.0, False, False, False, ()
        )


class Failing(Sandbox):
    """FAKE sandbox: fails at every attack."""

    async def run(self, program: Program) -> Result:
        if program.arguments:
            raise SandboxError("it failed")
        return await super().run(program)


async def attacked(kind: type[Sandbox], names: tuple[str, ...]) -> dict[str, tuple[bool, bool]]:
    """Whether each sandboxed attempt succeeded, and whether it did harm."""
    suite = Suite(settings())
    suite._sandbox = kind(settings(workers=2))
    found = {}
    async with suite:
        for attack in ATTACKS:
            if attack.name in names:
                attempt = await suite.inside(attack)
                found[attack.name] = (attempt.succeeded, bool(attempt.harm))
    return found


def test_the_judge_notices_what_a_sandbox_lets_through() -> None:
    found = asyncio.run(attacked(Open, NOTICED))
    assert found.keys() == set(NOTICED)
    assert [name for name, (succeeded, _) in found.items() if not succeeded] == []


def test_a_sandbox_that_fails_has_not_held() -> None:
    assert asyncio.run(attacked(Failing, ("aborts",))) == {"aborts": (True, True)}


def test_coderm_sandbox_attack_prints_a_table_and_json() -> None:
    table = coderm("sandbox", "attack", "--only", "reads a key")
    assert (table.returncode, "reads a key in home" in table.stdout) == (0, True), table.stderr
    found = json.loads(coderm("sandbox", "attack", "--only", "reads a key", "--json").stdout)
    assert (found["attacks"], found["with_control"], found["escaped"]) == (1, 1, 0)
    assert found["rows"][0]["inside"] == "nothing"
    assert coderm("sandbox", "attack", "--only", "no such attack").returncode == 1

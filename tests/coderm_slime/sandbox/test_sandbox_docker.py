"""The docker backend, against a FAKE `docker` that runs plain processes. No engine was ever asked."""

import asyncio
import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import TypeVar

import pytest

from coderm_slime.sandbox import Ending, Limits, Program, SandboxError, open_sandbox
from coderm_slime.sandbox.docker import DockerSandbox
from coderm_slime.settings import SandboxSettings
from helpers.processes import HERE, ROOT

T = TypeVar("T")
SHORT = Limits(wall_s=1.0)


@pytest.fixture
def engine(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The folder of a FAKE engine, whose `docker` comes first on PATH."""
    home = tmp_path / "engine"
    home.mkdir()
    command = tmp_path / "bin" / "docker"
    command.parent.mkdir()
    command.write_text(f'#!/bin/sh\nexec {sys.executable} {HERE / "fake_docker.py"} "$@"\n')
    command.chmod(0o755)
    monkeypatch.setenv("PATH", f"{command.parent}:{os.environ['PATH']}")
    monkeypatch.setenv("FAKE_DOCKER", str(home))
    return home


def calls(engine: Path) -> list[list[str]]:
    return [json.loads(line) for line in (engine / "calls").read_text().splitlines()]


def containers(engine: Path) -> list[str]:
    return [path.name for path in engine.iterdir() if path.is_dir()]


def first_process(engine: Path) -> int:
    return int(next(engine.glob("*/pid")).read_text())


def with_docker(scenario: Callable[[DockerSandbox], Awaitable[T]], workers: int = 1, image: str = "fake") -> T:
    async def inside() -> T:
        async with DockerSandbox(SandboxSettings(backend="docker", workers=workers, image=image)) as sandbox:
            return await scenario(sandbox)

    return asyncio.run(inside())


def run(source: str, limits: Limits = SHORT, **program: object):
    return with_docker(lambda sandbox: sandbox.run(Program(source, limits=limits, **program)))


def test_a_program_gets_its_files_input_and_arguments_and_its_output_comes_back(engine: Path) -> None:
    source = (
        "import sys\nprint(input(), open('sub/data').read(), sys.argv[1:], flush=True)\n"
        "print('E', file=sys.stderr, flush=True)\nprint('last')"
    )
    result = run(source, stdin=b"in\nmore", files={"sub/data": b"D"}, arguments=("a b",))
    assert (result.ending, result.exit_code, result.signal) == (Ending.OK, 0, None)
    assert result.stdout == "in D ['a b']\nlast\n"
    assert (result.stderr, result.layers) == ("E\n", ("docker",))
    assert sorted(result.log.splitlines()) == sorted([*result.stdout.splitlines(), "E"])
    assert 0 < result.cpu_s < 1
    assert containers(engine) == []


@pytest.mark.parametrize(
    ("source", "ending", "exit_code", "by"),
    [
        ("import sys; sys.exit(137)", Ending.EXIT_CODE, 137, None),
        ("1 / 0", Ending.EXIT_CODE, 1, None),
        ("import os, signal; os.kill(os.getpid(), signal.SIGSEGV)", Ending.SIGNAL, None, signal.SIGSEGV),
        ("import os, signal; os.kill(os.getppid(), 9); os.kill(0, 9)", Ending.KILLED, None, signal.SIGKILL),
        ("while True: pass", Ending.TIMEOUT, None, None),
        ("print('x' * (32 << 20))", Ending.OUTPUT_LIMIT, None, None),
        ("import os; os.setsid() if os.fork() == 0 else None; os.fork(); print('x')", Ending.OK, 0, None),
    ],
)
def test_each_way_to_end_is_told_and_no_container_is_left(
    engine: Path, source: str, ending: Ending, exit_code: int | None, by: int | None
) -> None:
    result = run(source)
    assert (result.ending, result.exit_code, result.signal) == (ending, exit_code, by)
    assert containers(engine) == []


def test_output_is_cut_in_the_middle_and_bytes_that_are_no_text_are_replaced(engine: Path) -> None:
    result = run("import sys; sys.stdout.buffer.write(b'\\xff\\0' + b'a' * 10**6 + b'z')")
    assert result.stdout.startswith("\ufffd\0aaa")
    assert result.stdout.endswith("aaaz")
    assert "bytes left out" in result.stdout
    assert result.stdout_truncated
    assert not result.stderr_truncated


def test_containers_are_closed_off_and_each_runs_one_program(engine: Path) -> None:
    async def scenario(sandbox: DockerSandbox) -> list[str]:
        results = await asyncio.gather(*(sandbox.run(Program(f"print({number})")) for number in range(8)))
        return [result.stdout for result in results]

    assert with_docker(scenario, workers=2) == [f"{number}\n" for number in range(8)]
    runs = [call for call in calls(engine) if call[0] == "run"]
    assert 8 <= len(runs) <= 10
    names = [call[call.index("--name") + 1] for call in runs]
    assert len(set(names)) == len(names)
    for pair in ("--network none", "--pull never", "--cap-drop ALL", "--security-opt no-new-privileges"):
        assert all(f" {pair} " in " ".join(call) for call in runs)
    assert all({"--read-only", "--rm", "--init", "--memory", "--pids-limit", "--cpus", "--user"} <= {*c} for c in runs)
    assert {call[-1] for call in calls(engine) if call[0] == "rm"} <= set(names)


def test_a_run_that_times_out_is_removed_by_force_and_the_next_one_has_a_new_container(engine: Path) -> None:
    async def scenario(sandbox: DockerSandbox) -> tuple[Ending, str]:
        slow = await sandbox.run(Program("import time; time.sleep(60)", limits=Limits(wall_s=0.3)))
        return slow.ending, (await sandbox.run(Program("print('again')"))).stdout

    assert with_docker(scenario) == (Ending.TIMEOUT, "again\n")
    assert [call[1] for call in calls(engine) if call[0] == "rm"] == ["--force"]


def test_closing_ends_runs_and_those_that_wait_with_an_error_and_leaves_other_containers_alone(engine: Path) -> None:
    (engine / "somebody-elses").mkdir()

    async def scenario() -> list[object]:
        async with DockerSandbox(SandboxSettings(backend="docker", workers=1)) as sandbox:
            sleep = Program("import time; time.sleep(60)", limits=Limits(wall_s=60))
            runs = [asyncio.ensure_future(sandbox.run(sleep)) for _ in range(3)]
            await asyncio.sleep(0.5)
        return await asyncio.gather(*runs, return_exceptions=True)

    assert [type(one) for one in asyncio.run(scenario())] == [SandboxError] * 3
    assert containers(engine) == ["somebody-elses"]


def test_a_cancelled_run_is_removed(engine: Path) -> None:
    async def scenario(sandbox: DockerSandbox) -> str:
        task = asyncio.ensure_future(sandbox.run(Program("import time; time.sleep(60)", limits=Limits(wall_s=60))))
        await asyncio.sleep(0.5)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        return (await sandbox.run(Program("print(1)"))).stdout

    assert with_docker(scenario) == "1\n"
    assert containers(engine) == []


def test_a_missing_image_is_an_error_in_dockers_own_words(engine: Path) -> None:
    with pytest.raises(SandboxError, match=r"sandbox\.image = missing: .*No such image"):
        with_docker(lambda sandbox: sandbox.run(Program("")), image="missing")


def test_without_the_command_docker_the_error_says_so(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(SandboxError, match="needs the command `docker`"):
        with_docker(lambda sandbox: sandbox.run(Program("")))


def test_an_engine_that_loses_an_idle_container_is_no_verdict(engine: Path) -> None:
    async def scenario(sandbox: DockerSandbox) -> str:
        os.kill(first_process(engine), signal.SIGKILL)
        await asyncio.sleep(0.3)
        with pytest.raises(SandboxError, match="is gone"):
            await sandbox.run(Program("print(1)"))
        return (await sandbox.run(Program("print(2)"))).stdout

    assert with_docker(scenario) == "2\n"


def test_programs_that_a_container_cannot_run_are_refused(engine: Path) -> None:
    async def scenario(sandbox: DockerSandbox) -> None:
        with pytest.raises(SandboxError, match=r"Limits\.processes"):
            await sandbox.run(Program("", limits=Limits(processes=1000)))
        with pytest.raises(SandboxError, match=r"need sandbox\.backend = local"):
            await sandbox.run_together([Program(""), Program("")])

    with_docker(scenario)


def test_a_caller_that_is_killed_leaves_no_container(engine: Path) -> None:
    source = (
        "import asyncio\nfrom coderm_slime.sandbox import *\nfrom coderm_slime.settings import SandboxSettings\n"
        "async def main():\n"
        "    async with open_sandbox(SandboxSettings(backend='docker', workers=2)) as sandbox:\n"
        "        await sandbox.run(Program('import time; time.sleep(60)', limits=Limits(wall_s=60)))\n"
        "asyncio.run(main())\n"
    )
    with subprocess.Popen([sys.executable, "-c", source], cwd=ROOT) as caller:
        while not list(engine.glob("*/run-*")):
            time.sleep(0.1)
        caller.kill()
    while containers(engine):  # pytest's own timeout bounds it
        time.sleep(0.1)


def test_the_settings_choose_the_backend() -> None:
    assert isinstance(open_sandbox(SandboxSettings(backend="docker")), DockerSandbox)

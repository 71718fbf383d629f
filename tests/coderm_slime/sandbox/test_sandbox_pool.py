"""The pool: order, pairs, cancelling, a killed fork server, many runs without growth. Real processes throughout."""

import asyncio
import os
import signal
import socket
import subprocess
import sys
import time
from pathlib import Path

import pytest

from coderm_slime.sandbox import Ending, Limits, Program, Sandbox, SandboxError
from helpers.processes import ROOT
from helpers.sandboxed import UIDS, programs_left, settings


def opened(workers: int) -> Sandbox:
    return Sandbox(settings(workers))


def server_pids() -> list[int]:
    """Fork servers that this process started."""
    children = Path(f"/proc/{os.getpid()}/task").glob("*/children")
    pids = [int(pid) for path in children for pid in path.read_text().split()]
    return [pid for pid in pids if b"inside.server" in Path(f"/proc/{pid}/cmdline").read_bytes()]


@pytest.mark.parametrize("workers", [1, 3])
def test_two_hundred_queued_runs_on_an_exhausted_pool_each_end_once(workers: int) -> None:
    async def scenario() -> tuple[list[str], list[int]]:
        finished: list[int] = []
        async with opened(workers) as sandbox:

            async def one(number: int) -> str:
                result = await sandbox.run(Program(f"print({number})"))
                finished.append(number)
                return result.stdout

            return await asyncio.gather(*map(one, range(200))), finished

    printed, finished = asyncio.run(scenario())
    assert printed == [f"{number}\n" for number in range(200)]
    assert sorted(finished) == list(range(200))
    assert workers > 1 or finished == list(range(200))


def test_pairs_that_need_all_workers_do_not_block_each_other() -> None:
    async def scenario() -> list[list[Ending]]:
        async with opened(2) as sandbox:
            pairs = [sandbox.run_together([Program("print(1)"), Program("print(2)")]) for _ in range(10)]
            singles = [sandbox.run(Program("print(3)")) for _ in range(10)]
            results = await asyncio.gather(*(item for both in zip(pairs, singles, strict=True) for item in both))
            return [[one.ending for one in (item if isinstance(item, list) else [item])] for item in results]

    assert asyncio.run(scenario()) == [[Ending.OK] * 2, [Ending.OK]] * 10


def test_more_programs_at_once_than_workers_are_refused_with_the_setting_named() -> None:
    async def scenario() -> None:
        async with opened(1) as sandbox:
            await sandbox.run_together([Program(""), Program("")])

    with pytest.raises(SandboxError, match=r"sandbox\.workers is 1"):
        asyncio.run(scenario())


def test_a_killed_fork_server_fails_its_run_only_and_the_next_run_has_a_new_one() -> None:
    async def scenario() -> tuple[list, str, list[str]]:
        async with opened(2) as sandbox:
            await asyncio.gather(sandbox.run(Program("")), sandbox.run(Program("")))
            sleep = Program("import os, time\nos.fork()\ntime.sleep(1)\nprint('woke')", limits=Limits(wall_s=5))
            runs = [asyncio.ensure_future(sandbox.run(sleep)) for _ in range(2)]
            await asyncio.sleep(0.3)
            os.kill(server_pids()[0], signal.SIGKILL)
            results = await asyncio.gather(*runs, return_exceptions=True)
            left = programs_left()
            return results, (await sandbox.run(Program("print('again')"))).stdout, left

    results, again, left = asyncio.run(scenario())
    failed = [result for result in results if isinstance(result, SandboxError)]
    assert len(failed) == 1
    assert "is not repeated" in str(failed[0])
    assert "woke" in next(result.stdout for result in results if result not in failed)
    assert again == "again\n"
    assert left == []


def test_a_cancelled_run_is_ended_and_its_worker_goes_on() -> None:
    async def scenario() -> tuple[float, str]:
        async with opened(1) as sandbox:
            task = asyncio.ensure_future(sandbox.run(Program("import time; time.sleep(60)", limits=Limits(wall_s=60))))
            await asyncio.sleep(0.2)
            began = time.monotonic()
            task.cancel()
            with pytest.raises(asyncio.CancelledError):
                await task
            return time.monotonic() - began, (await sandbox.run(Program("print(1)"))).stdout

    seconds, printed = asyncio.run(scenario())
    assert seconds < 5
    assert printed == "1\n"


def test_waiting_runs_that_are_cancelled_do_not_hold_up_the_others() -> None:
    async def scenario() -> str:
        async with opened(1) as sandbox:
            first = asyncio.ensure_future(sandbox.run(Program("import time; time.sleep(0.3)")))
            waiting = [asyncio.ensure_future(sandbox.run(Program(""))) for _ in range(5)]
            last = asyncio.ensure_future(sandbox.run(Program("print('last')")))
            await asyncio.sleep(0.1)
            for task in waiting:
                task.cancel()
            await first
            return (await last).stdout

    assert asyncio.run(scenario()) == "last\n"


def test_closing_ends_what_runs_and_leaves_no_process_and_no_folder(tmp_path: Path) -> None:
    async def scenario() -> list:
        async with opened(1) as sandbox:
            runs = [asyncio.ensure_future(sandbox.run(Program("import time; time.sleep(60)"))) for _ in range(2)]
            await asyncio.sleep(0.2)
            folder = sandbox._scratch
        assert not folder.exists()
        return await asyncio.gather(*runs, return_exceptions=True)

    results = asyncio.run(scenario())
    assert all(isinstance(result, SandboxError) for result in results)
    assert server_pids() == []


CALLER = """
import sys
from coderm_slime.sandbox import Limits, Program, run_sync
from coderm_slime.settings import SandboxSettings
source = "import os, time; os.fork(); os.write(3, b'x'); time.sleep(100)"
import socket
channel = socket.socket(fileno=int(sys.argv[1]))
settings = SandboxSettings(workers=1, uid_first=int(sys.argv[2]), uid_count=1)
run_sync(Program(source, limits=Limits(wall_s=100), channels=(channel,)), settings)
"""


def test_when_the_caller_is_killed_his_runs_die_with_him() -> None:
    ours, theirs = socket.socketpair()
    ours.settimeout(10)
    command = [sys.executable, "-c", CALLER, str(theirs.fileno()), str(UIDS.start)]
    with ours, subprocess.Popen(command, cwd=ROOT, pass_fds=(theirs.fileno(),)) as caller:
        theirs.close()
        assert ours.recv(1) == b"x"
        caller.kill()
        while ours.recv(1):  # at its end every process that held the other end is dead
            pass
    assert programs_left() == []


def test_a_closed_sandbox_refuses_runs() -> None:
    with pytest.raises(SandboxError, match="not open"):
        asyncio.run(Sandbox().run(Program("")))


def usage() -> tuple[int, int, int]:
    """Resident KiB of this process and its fork servers, their descriptors, and how many processes there are."""
    pids = [os.getpid(), *server_pids()]
    memory = sum(int(Path(f"/proc/{pid}/statm").read_text().split()[1]) * 4 for pid in pids)
    return memory, sum(len(os.listdir(f"/proc/{pid}/fd")) for pid in pids), len(pids)


async def grow(runs: int) -> tuple[tuple[int, int, int], tuple[int, int, int]]:
    async with opened(2) as sandbox:
        program = Program("import os\nif os.fork() == 0: os.setsid()\nprint(1)")
        await asyncio.gather(*(sandbox.run(program) for _ in range(300)))
        before = usage()
        for _ in range(runs // 100):
            await asyncio.gather(*(sandbox.run(program) for _ in range(100)))
        return before, usage()


@pytest.mark.parametrize("runs", [1000, pytest.param(10_000, marks=pytest.mark.slow)])
def test_many_runs_leave_memory_descriptors_and_processes_as_they_were(runs: int) -> None:
    before, after = asyncio.run(grow(runs))
    assert after[1:] == before[1:]
    assert after[0] - before[0] < 1024
    assert programs_left() == []

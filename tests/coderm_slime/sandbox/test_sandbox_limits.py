"""Every limit ends or refuses what goes beyond it, and nothing of a run is left behind."""

import os
import socket
from pathlib import Path

import pytest

from coderm_slime.sandbox import Ending, Limits, Program, Result, run_sync
from helpers.sandboxed import programs_left, run, settings

DAEMON = """
import os, time
if os.fork() == 0:
    os.setsid()
    if os.fork() == 0:
        for fd in (0, 1, 2):
            os.close(fd)
        time.sleep(1000)
    os._exit(0)
os.wait()
"""
SMALL = {"disk_bytes": 4 << 20, "file_bytes": 2 << 20, "files": 50}


@pytest.mark.parametrize(
    ("source", "ending"),
    [
        ("import time; time.sleep(60)", Ending.TIMEOUT),
        ("while True: pass", Ending.TIMEOUT),
        ("import signal\nfor n in range(1, 32):\n  try: signal.signal(n, signal.SIG_IGN)\n  except OSError: pass\n"
         "while True: pass", Ending.TIMEOUT),
        ("x = ' ' * 10**10", Ending.MEMORY),
        ("while True: print('x' * 1000)", Ending.OUTPUT_LIMIT),
        ("import sys\nwhile True: sys.stderr.write('x' * 100000)", Ending.OUTPUT_LIMIT),
    ],
)  # fmt: skip
def test_a_limit_ends_the_run_under_its_name(source: str, ending: Ending) -> None:
    result = run(source, Limits(wall_s=0.5, cpu_s=5, max_output_bytes=1 << 20))
    assert result.ending is ending, result.log[-500:]
    assert result.wall_s < 5


def test_processor_time_is_limited_apart_from_wall_time() -> None:
    result = run("while True: pass", Limits(wall_s=10, cpu_s=0.5))
    assert (result.ending, result.signal) == (Ending.TIMEOUT, 24)
    assert 0.5 < result.cpu_s < 3  # the kernel counts whole seconds, and only roughly


def test_a_fork_bomb_ends_with_its_run() -> None:
    result = run("import os\nwhile True:\n  try: os.fork()\n  except OSError: pass", Limits(wall_s=1, processes=20))
    assert result.ending is Ending.TIMEOUT
    assert not programs_left()


def test_threads_count_as_processes() -> None:
    source = "import threading, time\nfor n in range(100): threading.Thread(target=time.sleep, args=(9,)).start()"
    result = run(source, Limits(processes=20, wall_s=3))
    assert "can't start new thread" in result.stderr or os.geteuid() != 0


def test_a_daemon_in_a_session_of_its_own_dies_with_the_run() -> None:
    ours, theirs = socket.socketpair()
    ours.settimeout(5)
    with ours, theirs:
        result = run(DAEMON, channels=(theirs,))
        theirs.close()
        assert ours.recv(1) == b"", "the daemon still holds the other end"
    assert result.ending is Ending.OK
    assert not programs_left()


def test_a_process_started_in_a_new_session_works() -> None:
    source = "import subprocess, sys\n"
    source += "print(subprocess.run([sys.executable, '-S', '-c', 'print(5)'], start_new_session=True,"
    source += " capture_output=True).stdout)"
    assert run(source).stdout == "b'5\\n'\n"


@pytest.mark.parametrize(
    "source",
    [
        "open('f', 'wb').write(bytes(3 << 20))",
        "for n in range(9): open(str(n), 'wb').write(bytes(1 << 20))",
        "import os\nos.makedirs('a' + '/a' * 200)",
    ],
    ids=["one file", "all files", "number of files"],
)
def test_a_full_disk_quota_ends_in_a_result(source: str) -> None:
    result = run(source + "\nimport time; time.sleep(3)", Limits(wall_s=2, **SMALL))
    assert result.ending in (Ending.EXCEPTION, Ending.DISK_LIMIT), result


def test_the_scratch_folder_is_removed_whatever_is_in_it(tmp_path: Path) -> None:
    beyond_any_path = "import os\nfor n in range(1500):\n  os.mkdir('dddd'); os.chdir('dddd')\nos.chmod('.', 0)"
    assert sandboxed_in(tmp_path, beyond_any_path).ending is Ending.OK
    assert (
        sandboxed_in(tmp_path, "import os; os.symlink('/', 'l'); os.mkfifo('p'); os.chmod('.', 0)").ending is Ending.OK
    )
    assert list(tmp_path.iterdir()) == []


def sandboxed_in(folder: Path, source: str) -> Result:
    folder.chmod(0o711)
    for parent in folder.parents:
        if parent.stat().st_uid == os.geteuid() and parent.name.startswith("pytest"):
            parent.chmod(0o711)
    return run_sync(Program(source), settings(scratch=str(folder)))

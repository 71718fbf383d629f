"""What a program finds in the sandbox and what its result says: real runs, all layers of this machine on."""

import asyncio
import socket

import pytest

from coderm_slime.sandbox import Ending, Limits, Program, Sandbox, SandboxError, run_sync
from helpers.sandboxed import QUICK, run, run_all, settings


def test_a_program_prints_reads_its_input_and_ends_well() -> None:
    result = run("import sys\nprint(sys.stdin.read().upper(), sys.argv)", stdin=b"hello", arguments=("one",))
    assert (result.stdout, result.stderr, result.ending) == ("HELLO ['main.py', 'one']\n", "", Ending.OK)
    assert (result.exit_code, result.signal) == (0, None)
    assert 0 < result.cpu_s < result.wall_s < 2


def test_the_log_has_both_streams_in_the_order_in_which_they_were_written() -> None:
    lines = "\n".join(f"print({n}, file=sys.std{'err' if n % 3 else 'out'})" for n in range(60))
    assert run(f"import sys\n{lines}").log.split() == [str(n) for n in range(60)]


def test_an_uncaught_exception_shows_the_traceback_that_the_interpreter_would_show() -> None:
    result = run("def f():\n    return 1 / 0\nf()")
    assert (result.ending, result.exit_code) == (Ending.EXCEPTION, 1)
    assert result.stderr.startswith(
        'Traceback (most recent call last):\n  File "main.py", line 3, in <module>\n    f()'
    )
    assert "child.py" not in result.stderr


@pytest.mark.parametrize(
    ("source", "ending", "code"),
    [
        ("import sys; sys.exit(3)", Ending.EXIT_CODE, 3),
        ("exit()", Ending.OK, 0),
        ("raise SystemExit('why')", Ending.EXIT_CODE, 1),
        ("import os; os._exit(7)", Ending.EXIT_CODE, 7),
        ("import os; os.abort()", Ending.SIGNAL, None),
        ("import ctypes; ctypes.string_at(0)", Ending.SIGNAL, None),
        ("import os; os.kill(os.getpid(), 9)", Ending.KILLED, None),
        ("def f(): f()\nf()", Ending.EXCEPTION, 1),
        ("x = " + "(" * 100_000, Ending.EXCEPTION, 1),
        ("print('\ud800')", Ending.EXCEPTION, 1),
        ("a\0b", Ending.EXCEPTION, 1),
        ("def", Ending.EXCEPTION, 1),
        ("", Ending.OK, 0),
        ("import atexit, threading\natexit.register(print, 2)\nthreading.Thread(target=print, args=(1,)).start()",
         Ending.OK, 0),
    ],
)  # fmt: skip
def test_every_way_to_end_has_its_name(source: str, ending: Ending, code: int | None) -> None:
    result = run(source)
    assert (result.ending, result.exit_code) == (ending, code), result.log


def test_code_beyond_128_kib_runs() -> None:
    assert run("x = 1\n" * 100_000 + "print(x)").stdout == "1\n"


def test_files_lie_in_the_current_folder_and_modules_among_them_can_be_imported() -> None:
    files = {"a/b.txt": b"data", "helper.py": b"value = 5"}
    result = run("import helper, os; print(open('a/b.txt').read(), helper.value, sorted(os.listdir()))", files=files)
    assert result.stdout == "data 5 ['a', 'helper.py', 'main.py']\n"


def test_output_keeps_its_head_and_its_tail_and_says_what_is_missing() -> None:
    limits = Limits(output_bytes=1000)
    result = run("print('first' + 'x' * 5000 + 'last', end='')\nimport sys; print('e', file=sys.stderr)", limits)
    assert result.stdout.startswith("firstx")
    assert result.stdout.endswith("xlast")
    assert "\n[4009 bytes left out]\n" in result.stdout
    assert (result.stdout_truncated, result.stderr_truncated, result.log_truncated) == (True, False, True)


def test_programs_talk_over_channels_to_each_other_and_to_the_caller() -> None:
    ours, theirs = socket.socketpair()
    left, right = socket.socketpair()
    asking = "import socket; s = socket.socket(fileno=3); s.sendall(b'4'); print(s.recv(9).decode())"
    squaring = (
        "import os, socket; s = socket.socket(fileno=3); s.sendall(b'%d' % int(s.recv(9)) ** 2); os.write(4, b'ok')"
    )

    async def both() -> list[str]:
        async with Sandbox(settings(2)) as sandbox:
            pair = [Program(asking, channels=(left,)), Program(squaring, channels=(right, theirs))]
            return [result.stdout for result in await sandbox.run_together(pair)]

    with ours, theirs, left, right:
        assert asyncio.run(both()) == ["16\n", ""]
        assert ours.recv(9) == b"ok"


def test_nothing_of_a_run_is_left_for_the_next_one() -> None:
    leave = (
        "import builtins, os, sys\nbuiltins.left = 1; os.environ['LEFT'] = '1'; sys.path.append('left'); import json\n"
    )
    leave += (
        "json.left = 1; os.umask(0); open('left', 'w'); os.nice(0) if False else None; secret = 'tell' + 'tale' * 9"
    )
    look = "import builtins, json, os, sys\n"
    look += "print(hasattr(builtins, 'left'), 'LEFT' in os.environ, 'left' in sys.path, hasattr(json, 'left'),"
    look += " os.listdir())"
    assert run_all([Program(leave), Program(look)])[1].stdout == "False False False False ['main.py']\n"


def test_the_memory_of_a_run_holds_nothing_of_what_ran_before_in_the_same_worker() -> None:
    secret = "tell" + "tale" * 9
    leave = f"import sys; x = {secret!r}; print(x); print(sys.stdin.read()); print(x, file=sys.stderr)"
    # /proc is closed, so the heap is walked by the pages of its objects; the parts of the secret lie apart in them.
    scan = """
import ctypes, gc
gc.unfreeze()
first, rest = b"telltale", b"tale" * 8
pages = {id(thing) >> 12 for thing in gc.get_objects()} | {id([]) >> 12, id(b"x" * 600) >> 12}
contents = [ctypes.string_at(page << 12, 4096) for page in pages]
print(len(pages) > 50, any(part.startswith(rest) for page in contents for part in page.split(first)[1:]))
"""
    program = Program(leave, stdin=secret.encode(), files={"f": secret.encode()})
    assert run_all([program, Program(scan)])[1].stdout == "True False\n"


def test_modules_named_in_imports_are_there_before_the_program_begins() -> None:
    result = run(
        "import sys; print('pytest' in sys.modules); import pytest; print(pytest.__version__)", imports=("pytest",)
    )
    assert result.stdout == f"True\n{pytest.__version__}\n"


def test_a_module_that_cannot_be_imported_before_the_run_is_a_clear_error() -> None:
    with pytest.raises(SandboxError, match=r"Program\.imports .*no_such_module"):
        run("", imports=("no_such_module",))


def test_the_environment_holds_nothing_of_the_callers(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CODERM_SECRET", "hunter2")
    result = run("import os; print(sorted(os.environ)); print(os.environ['HOME'] == os.getcwd())")
    assert "SECRET" not in result.stdout
    assert "True" in result.stdout


def test_one_program_runs_without_an_event_loop() -> None:
    assert run_sync(Program("print(1)"), settings()).stdout == "1\n"


@pytest.mark.parametrize("name", ["../x", "/etc/x", "", "a/../../b", "main.py", "a\0b"])
def test_a_file_name_outside_the_scratch_folder_is_refused(name: str) -> None:
    with pytest.raises(SandboxError, match="bad file name"):
        Program("", files={name: b""})


def test_a_channel_that_could_send_anywhere_is_refused() -> None:
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as datagram, pytest.raises(SandboxError, match="channel"):
        Program("", channels=(datagram,))


@pytest.mark.parametrize("limits", [{"wall_s": 0}, {"wall_s": float("nan")}, {"memory_bytes": -1}])
def test_a_limit_that_limits_nothing_is_refused(limits: dict) -> None:
    with pytest.raises(SandboxError, match="must be a finite number above 0"):
        Limits(**limits)


def test_what_is_too_large_to_be_handed_over_is_refused_with_the_limit_named() -> None:
    with pytest.raises(SandboxError, match=r"Limits\.file_bytes"):
        Program("", files={"f": bytes(100)}, limits=Limits(file_bytes=50))
    with pytest.raises(SandboxError, match=r"Limits\.disk_bytes"):
        run("#" * 5000, Limits(disk_bytes=4000))
    assert QUICK.disk_bytes > 5000

"""`coderm sandbox serve` over real HTTP with the real sandbox, and the client of it; a FAKE SandboxFusion besides."""

import asyncio
import base64
import json
import math
import os
import signal
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Awaitable, Callable, Iterator
from pathlib import Path
from typing import Any, TypeVar

import pytest

from coderm_slime.sandbox import Ending, Limits, Program, Result, SandboxError, open_sandbox
from coderm_slime.sandbox.fusion import reply_for, result_in
from coderm_slime.sandbox.remote import RemoteSandbox
from coderm_slime.sandbox.service import MAX_BODY_BYTES
from coderm_slime.settings import SandboxSettings, SettingsError, load_settings
from helpers.processes import coderm, coderm_sandbox_serve, fake_fusion, free_port
from helpers.sandboxed import UIDS, programs_left

T = TypeVar("T")
ENVIRONMENT = {"CODERM_SANDBOX__UID_FIRST": str(UIDS.start), "CODERM_SANDBOX__UID_COUNT": str(len(UIDS))}
TOKEN = "CODERM_SANDBOX_API_KEY"


@pytest.fixture(scope="module")
def url() -> Iterator[str]:
    with coderm_sandbox_serve("--workers", 2, **ENVIRONMENT) as (address, _):
        yield address


def post(url: str, body: Any, **headers: str) -> tuple[int, Any]:
    data = body if isinstance(body, bytes) else json.dumps(body).encode()
    return ask(urllib.request.Request(f"{url}/run_code", data, {"Content-Type": "application/json", **headers}))


def ask(request: urllib.request.Request | str) -> tuple[int, Any]:
    try:
        with urllib.request.urlopen(request, timeout=30) as reply:
            return reply.status, json.load(reply)
    except urllib.error.HTTPError as error:
        return error.code, json.load(error)


def asked(code: str, **more: Any) -> dict[str, Any]:
    return {"code": code, "language": "python", **more}


def remotely(url: str, scenario: Callable[[RemoteSandbox], Awaitable[T]], **settings: Any) -> T:
    async def inside() -> T:
        async with RemoteSandbox(SandboxSettings(backend="http", url=url, **settings)) as sandbox:
            return await scenario(sandbox)

    return asyncio.run(inside())


def run(url: str, source: str, **program: Any) -> Result:
    return remotely(url, lambda sandbox: sandbox.run(Program(source, **program)))


def test_a_request_as_sandbox_fusions_clients_send_it_gets_a_reply_of_its_form(url: str) -> None:
    body = asked(
        "print(input() + open('a.txt').read())",
        stdin="in ",
        run_timeout=5,
        compile_timeout=5,
        memory_limit_MB=512,
        files={"a.txt": base64.b64encode(b"file").decode(), "left_out": None},
        fetch_files=[],
        something_new=1,
    )
    status, reply = post(url, body)
    more, seconds = reply.pop("coderm"), reply["run_result"].pop("execution_time")
    done = {"status": "Finished", "return_code": 0, "stdout": "in file\n", "stderr": ""}
    fixed = {"compile_result": None, "executor_pod_name": None, "files": {}}
    assert (status, reply) == (200, {"status": "Success", "message": "", "run_result": done, **fixed})
    assert 0 < seconds < 5
    assert {"ending", "cpu_s", "truncated", "layers", "log"} <= more.keys()
    assert "seccomp" in more["layers"]


@pytest.mark.parametrize(
    ("source", "run_status", "return_code", "ending"),
    [
        ("import sys; sys.exit(3)", "Finished", 3, "exit_code"),
        ("1 / 0", "Finished", 1, "exception"),
        ("import os; os.abort()", "Finished", -signal.SIGABRT, "signal"),
        ("while True: pass", "TimeLimitExceeded", None, "timeout"),
        ("while True: print('x' * 65536)", "Finished", -signal.SIGKILL, "output_limit"),
    ],
)
def test_a_program_that_did_not_end_well_is_failed_and_has_no_return_code_zero(
    url: str, source: str, run_status: str, return_code: int | None, ending: str
) -> None:
    status, reply = post(url, asked(source, run_timeout=1))
    assert (status, reply["status"]) == (200, "Failed")
    assert (reply["run_result"]["status"], reply["run_result"]["return_code"]) == (run_status, return_code)
    assert reply["coderm"]["ending"] == ending


def test_every_result_comes_back_from_its_reply_and_only_a_good_one_has_return_code_zero() -> None:
    for ending in Ending:
        texts = {"stdout": "o", "stderr": "e", "log": "oe", "layers": ("seccomp",)}
        cut = {"stdout_truncated": True, "stderr_truncated": False, "log_truncated": True}
        result = Result(ending=ending, exit_code=0, signal=None, wall_s=1.0, cpu_s=0.5, **texts, **cut)
        reply = json.loads(json.dumps(reply_for(result)))
        assert result_in(reply) == result
        assert (reply["run_result"]["return_code"] == 0) == (ending is Ending.OK) == (reply["status"] == "Success")
        assert (reply["run_result"]["status"] == "TimeLimitExceeded") == (ending is Ending.TIMEOUT)


@pytest.mark.parametrize(
    ("body", "words"),
    [
        (b"{", "bad request: Expecting"),
        (b"[" * 100_000, "bad request"),
        (b"\xff", "bad request"),
        (b"[]", "the body: Input should be"),
        ({"language": "python"}, "code: Field required"),
        (asked("", run_timeout="soon"), "run_timeout: Input should be a valid number"),
        (asked("", run_timeout=-1), "Limits.wall_s = -1.0 must be"),
        (asked("", run_timeout=1e9), "too long: at most 3600 s"),
        (b'{"code": "", "language": "python", "run_timeout": NaN}', "Limits.wall_s = nan must be"),
        ({"code": "", "language": "cpp"}, "language 'cpp' is not run here, only 'python'"),
        (asked("", files={"../out": ""}), "bad file name '../out'"),
        (asked("", files={"a": "not base64!"}), "files['a'] is not base64"),
        (asked("", memory_limit_MB=10**4000), "Limits.memory_bytes = 1048576"),
        (asked("", fetch_files=["a"]), "fetch_files is not supported"),
        (asked("", coderm={"limits": {"wall": 1}}), "unknown keys ['wall']; known: ['cpu_s'"),
        (asked("", coderm={"limits": {"processes": 1.5}}), "processes = 1.5 must be a whole number"),
        (asked("", coderm={"argument": []}), "coderm.argument: Extra inputs"),
    ],
)
def test_a_bad_request_is_refused_in_clear_words(url: str, body: Any, words: str) -> None:
    status, reply = post(url, body)
    assert status == 400
    assert words in reply["detail"]
    assert len(reply["detail"]) <= 400


def test_bodies_that_are_too_large_other_types_and_unknown_paths_are_refused(url: str) -> None:
    with socket.create_connection(url.removeprefix("http://").split(":")) as client:
        head = "POST /run_code HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\nContent-Length: "
        client.sendall(f"{head}{MAX_BODY_BYTES + 1}\r\n\r\n".encode() + b" " * 1000)
        client.shutdown(socket.SHUT_WR)
        assert not client.recv(1000).startswith(b"HTTP/1.1 200")
    assert post(url, b" " * (MAX_BODY_BYTES + 1))[0] == 413
    assert post(url, asked(""), **{"Content-Type": "text/plain"})[0] == 400
    assert ask(f"{url}/run_jupyter") == (404, {"detail": "404: Not Found"})
    assert ask(f"{url}/run_code")[0] == 405
    assert ask(f"{url}/health") == (200, {"status": "ok"})


def test_the_client_gets_all_that_a_local_run_tells(url: str) -> None:
    source = "import sys\nprint(sys.argv[1:], sys.stdin.buffer.read(), open('f', 'rb').read())\n1 / 0"
    result = run(url, source, stdin=b"\xff\0", files={"f": b"\0\xfe"}, arguments=("ä",))
    assert result.stdout == "['ä'] b'\\xff\\x00' b'\\x00\\xfe'\n"
    assert (result.ending, result.exit_code, result.signal) == (Ending.EXCEPTION, 1, None)
    assert result.log == result.stdout + result.stderr
    assert 0 < result.cpu_s < result.wall_s + 0.5
    assert {"seccomp", "landlock"} <= set(result.layers)


def test_hostile_programs_are_told_over_http_as_they_are_here(url: str) -> None:
    small = Limits(wall_s=1, output_bytes=1000)

    async def scenario(sandbox: RemoteSandbox) -> list[Result]:
        sources = (
            "import os; os.write(1, b'\\0\\xff\\xfe' * 10**6)",
            "import os\nwhile True: os.write(2, b'\\0' * 65536)",
            "import time; print('here', flush=True); time.sleep(60)",
            "print('\\ud800')",
            "x = '\ud800'",
            "\0",
            "print('a\\0b')",
            'print(\'{"status": "Success"}\'); import os; os.kill(os.getpid(), 9)',
        )
        return await asyncio.gather(*(sandbox.run(Program(source, limits=small)) for source in sources))

    flood, endless, late, surrogate, lone, nul, split, forged = remotely(url, scenario)
    assert flood.stdout_truncated
    assert "bytes left out" in flood.stdout
    assert flood.stdout.startswith("\0\ufffd\ufffd")
    assert endless.ending is Ending.OUTPUT_LIMIT
    assert (late.ending, late.stdout) == (Ending.TIMEOUT, "here\n")
    assert "UnicodeEncodeError" in surrogate.stderr
    assert (lone.ending, nul.ending) == (Ending.EXCEPTION, Ending.EXCEPTION)
    assert split.stdout == "a\0b\n"
    assert (forged.ending, forged.signal) == (Ending.KILLED, signal.SIGKILL)


def test_a_full_queue_gives_503_and_retry_after_and_runs_nothing(tmp_path: Path) -> None:
    with coderm_sandbox_serve("--workers", 1, "--queue", 1, **ENVIRONMENT) as (address, _):

        async def scenario(sandbox: RemoteSandbox) -> tuple[list[Result], tuple[int, str, Any]]:
            slow = Program("import time; time.sleep(1); print('slow')")
            runs = [asyncio.ensure_future(sandbox.run(slow)) for _ in range(2)]
            await asyncio.sleep(0.4)
            refused = await asyncio.to_thread(refusal, address)
            return await asyncio.gather(*runs), refused

        results, (status, retry_after, detail) = remotely(address, scenario, workers=8)
        assert [result.stdout for result in results] == ["slow\n"] * 2
        assert (status, retry_after) == (503, "1")
        assert "nothing was run" in detail["detail"]


def refusal(url: str) -> tuple[int, str, Any]:
    request = urllib.request.Request(f"{url}/run_code", b"never read", {"Content-Type": "application/json"})
    with pytest.raises(urllib.error.HTTPError) as caught:
        urllib.request.urlopen(request, timeout=10)
    return caught.value.code, caught.value.headers["Retry-After"], json.load(caught.value)


def test_more_clients_than_the_queue_holds_wait_and_get_each_result_exactly_once() -> None:
    with coderm_sandbox_serve("--workers", 1, "--queue", 2, **ENVIRONMENT) as (address, _):

        async def scenario(sandbox: RemoteSandbox) -> tuple[list[str], int]:
            programs = [Program(f"import time; time.sleep(0.05); print({number})") for number in range(16)]
            results = await asyncio.gather(*map(sandbox.run, programs))
            return [result.stdout for result in results], sandbox._client.counts["server_error"]

        printed, refused = remotely(address, scenario, workers=6)
    assert printed == [f"{number}\n" for number in range(16)]
    assert refused > 0


def test_a_server_killed_in_mid_run_ends_in_a_stated_failure_for_each_run() -> None:
    with coderm_sandbox_serve("--workers", 2, **ENVIRONMENT) as (address, process):

        async def scenario(sandbox: RemoteSandbox) -> list[object]:
            sleep = Program("import time; time.sleep(30)", limits=Limits(wall_s=30))
            runs = [asyncio.ensure_future(sandbox.run(sleep)) for _ in range(4)]
            await asyncio.sleep(0.7)
            process.kill()
            await asyncio.to_thread(process.wait)
            later = sandbox.run(Program("", limits=Limits(wall_s=0.1)))
            return await asyncio.gather(*runs, later, return_exceptions=True)

        *failures, later = remotely(address, scenario, wait_s=1.0, workers=4)
    assert [type(failure) for failure in failures] == [SandboxError] * 4
    assert all("the program may have run" in str(one) and "it is not run again" in str(one) for one in failures)
    assert "the program was not run" in str(later)
    while programs_left():  # a killed server takes its programs with it; pytest's own timeout bounds this
        time.sleep(0.1)


def test_a_server_told_to_stop_finishes_what_it_runs_and_leaves_no_process() -> None:
    with coderm_sandbox_serve("--workers", 1, **ENVIRONMENT) as (address, process):

        async def scenario(sandbox: RemoteSandbox) -> tuple[Result, int]:
            run = asyncio.ensure_future(sandbox.run(Program("import time; time.sleep(1); print('done')")))
            await asyncio.sleep(0.4)
            process.terminate()
            return await run, await asyncio.to_thread(process.wait)

        result, code = remotely(address, scenario)
    assert (result.stdout, code) == ("done\n", 0)
    assert programs_left() == []


def test_a_client_that_gives_up_ends_its_run_and_frees_the_worker(url: str) -> None:
    async def scenario(sandbox: RemoteSandbox) -> float:
        sleeps = [Program("import time; time.sleep(60)", limits=Limits(wall_s=60)) for _ in range(2)]
        tasks = [asyncio.ensure_future(sandbox.run(program)) for program in sleeps]
        await asyncio.sleep(0.4)
        for task in tasks:
            task.cancel()
        await asyncio.wait(tasks)
        began = time.monotonic()
        await sandbox.run(Program(""))
        return time.monotonic() - began

    assert remotely(url, scenario) < 5


def test_the_token_is_asked_for_everywhere_but_at_health(monkeypatch: pytest.MonkeyPatch) -> None:
    with coderm_sandbox_serve("--workers", 1, **ENVIRONMENT, **{TOKEN: "secret-1"}) as (address, _):
        assert ask(f"{address}/health")[0] == 200
        assert ask(f"{address}/info")[0] == ask(f"{address}/v1/ping")[0] == 401
        assert post(address, asked("print(1)"))[0] == 401
        assert post(address, asked("print(1)"), Authorization="Bearer secret-2")[0] == 401
        assert post(address, asked("print(1)"), Authorization="Bearer secret-1")[0] == 200
        monkeypatch.setenv(TOKEN, "secret-1")
        assert run(address, "print(2)").stdout == "2\n"
        monkeypatch.setenv(TOKEN, "wrong")
        with pytest.raises(SandboxError, match="HTTP 401") as refused:
            run(address, "print(3)")
        assert "wrong" not in str(refused.value)


@pytest.mark.parametrize(("token", "warned"), [("", True), ("secret", False)])
def test_listening_for_other_hosts_without_a_token_is_warned_of(token: str, warned: bool) -> None:
    command = [sys.executable, "-m", "coderm_slime", "sandbox", "serve", "--host", "0.0.0.0", "--port", "0"]
    environment = {**os.environ, **ENVIRONMENT, TOKEN: token}
    with subprocess.Popen(
        command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, env=environment
    ) as server:
        line = server.stdout.readline()
        server.send_signal(signal.SIGTERM)
        rest, errors = server.communicate(timeout=30)
    assert line.startswith("sandbox of ")
    assert "at http://0.0.0.0:" in line
    assert rest == ""
    assert ("warning: everybody who reaches 0.0.0.0 may run programs here" in errors) == warned
    assert "Traceback" not in errors
    assert server.returncode == 0


def test_a_taken_port_is_one_line_and_exit_code_1(url: str) -> None:
    port = url.rpartition(":")[2]
    command = [sys.executable, "-m", "coderm_slime", "sandbox", "serve", "--port", port]
    done = subprocess.run(command, capture_output=True, text=True, timeout=60, check=False)
    assert done.returncode == 1
    assert done.stderr.startswith(f"error: cannot listen on 127.0.0.1:{port}")


@pytest.mark.parametrize(
    ("mode", "ending", "exit_code", "by"),
    [
        ("ok", Ending.OK, 0, None),
        ("exception", Ending.EXIT_CODE, 1, None),
        ("signal", Ending.SIGNAL, None, 11),
        ("timeout", Ending.TIMEOUT, None, None),
        ("busy", Ending.OK, 0, None),
    ],
)
def test_a_reply_of_sandbox_fusions_form_is_understood(
    mode: str, ending: Ending, exit_code: int | None, by: int | None
) -> None:
    with fake_fusion(mode) as address:
        result = run(address, "print('hello')", limits=Limits(wall_s=3, memory_bytes=300 << 20))
        seen = ask(f"{address}/seen")[1]
    assert (result.ending, result.exit_code, result.signal, result.stdout) == (ending, exit_code, by, "hello\n")
    assert result.log == result.stdout + result.stderr
    assert math.isnan(result.cpu_s)
    assert result.layers == ()
    assert len(seen) == (3 if mode == "busy" else 1)
    assert seen[0] == asked("print('hello')", stdin="", run_timeout=3, memory_limit_MB=300, files={}, fetch_files=[])


@pytest.mark.parametrize(
    ("mode", "words"),
    [
        ("error", "the service failed: exception on running code"),
        ("run-error", "the service failed: exception on running command"),
        ("no-code", r"reply cannot be read.*return_code is missing"),
        ("strange", "reply cannot be read.*status: "),
        ("list", "reply cannot be read"),
        ("500", "may have run.*not run again.*HTTP 500"),
        ("503", "may have run.*not run again.*HTTP 503"),
        ("422", "was not run.*HTTP 422"),
        ("drop", "may have run.*not run again"),
    ],
)
def test_a_service_that_fails_is_no_verdict_and_is_asked_once(mode: str, words: str) -> None:
    with fake_fusion(mode) as address:
        with pytest.raises(SandboxError, match=words):
            run(address, "print(1)")
        assert len(ask(f"{address}/seen")[1]) == 1


def test_what_sandbox_fusion_cannot_do_is_refused_before_it_is_asked() -> None:
    with fake_fusion("ok") as address:
        for program in (Program("", arguments=("a",)), Program("", stdin=b"\xff")):
            with pytest.raises(SandboxError, match="SandboxFusion"):
                remotely(address, lambda sandbox, program=program: sandbox.run(program))
        assert ask(f"{address}/seen")[1] == []


def test_programs_with_channels_and_several_together_need_the_local_sandbox(url: str) -> None:
    ours, theirs = socket.socketpair()
    with ours, theirs:

        async def scenario(sandbox: RemoteSandbox) -> None:
            with pytest.raises(SandboxError, match=r"channels cannot be sent.*sandbox\.backend = local"):
                await sandbox.run(Program("", channels=(theirs,)))
            with pytest.raises(SandboxError, match=r"need sandbox\.backend = local"):
                await sandbox.run_together([Program(""), Program("")])
            assert [one.stdout for one in await sandbox.run_together([Program("print(1)")])] == ["1\n"]

        remotely(url, scenario)


def test_coderm_exec_runs_a_file_by_the_service(url: str, tmp_path: Path) -> None:
    file = tmp_path / "program.py"
    file.write_text("print('there'); raise SystemExit(3)")
    done = coderm("exec", "--backend", "http", file, CODERM_SANDBOX__URL=url)
    assert (done.stdout, done.returncode) == ("there\n", 3)
    assert "exit_code" in done.stderr


def test_a_service_that_is_not_there_is_an_error_at_the_start(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("coderm_slime.sandbox.remote._OPEN_S", 0.5)
    with pytest.raises(SandboxError, match="no sandbox service that can be used: unreachable"):
        run(f"http://127.0.0.1:{free_port()}", "")


def test_the_settings_choose_the_service_and_need_its_address() -> None:
    assert isinstance(open_sandbox(SandboxSettings(backend="http", url="http://a:1")), RemoteSandbox)
    with pytest.raises(SettingsError, match="backend='http' needs url"):
        load_settings(environ={"CODERM_SANDBOX__BACKEND": "http"})


@pytest.mark.parametrize(
    ("url", "words"),
    [
        ("http://user:password@a:1", "must not hold credentials"),
        ("a:1", "must start with http"),
        ("http://a:0", "a port from 1 to 65535"),
    ],
)
def test_an_address_that_is_none_or_holds_a_secret_is_refused_without_being_shown(url: str, words: str) -> None:
    with pytest.raises(SettingsError, match=words) as refused:
        load_settings(environ={"CODERM_SANDBOX__BACKEND": "http", "CODERM_SANDBOX__URL": url})
    assert "password" not in str(refused.value)

"""SandboxFusion's `/run_code` as records: from a request to a program, from a result to a reply, and both ways back.

The form was read in the sources of github.com/bytedance/SandboxFusion (sandbox/server/sandbox_api.py and
sandbox/runners, July 2026); it was never run against that service. What a `Program` and a `Result` hold beyond it goes
under the key `coderm`, which SandboxFusion and its clients ignore. Sends nothing, serves nothing.
"""

import base64
import binascii
from dataclasses import asdict, fields
from math import nan
from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, InstanceOf, ValidationError

from coderm_slime.sandbox.program import Ending, Limits, Program, Result, SandboxError

RUN_PATH = "/run_code"
MAX_RUN_S = 3600.0  # a request must not hold a worker for days
_OUTPUT_BYTES = 1 << 20  # SandboxFusion keeps as much
_ENDED_FROM_OUTSIDE = -9
_LIMITS = frozenset(field.name for field in fields(Limits))


class RequestError(SandboxError):
    """A request that is of the wrong form; the text says where."""


class _MoreOfProgram(BaseModel):
    """What SandboxFusion's request has no place for."""

    model_config = ConfigDict(extra="forbid")

    limits: dict[str, float | int] = {}
    arguments: tuple[InstanceOf[str], ...] = ()
    imports: tuple[str, ...] = ()
    stdin_base64: str | None = None


class _Request(BaseModel):
    code: InstanceOf[str]  # unlike `str` it takes lone surrogates, which are the program's own error
    language: str
    stdin: str | None = None
    run_timeout: float = 10.0
    compile_timeout: float = 10.0
    memory_limit_MB: int = -1
    files: dict[str, str | None] = {}
    fetch_files: list[str] = []
    coderm: _MoreOfProgram = _MoreOfProgram()


class _Run(BaseModel):
    status: Literal["Finished", "Error", "TimeLimitExceeded"]
    execution_time: float | None = None
    return_code: int | None = None
    stdout: str | None = None
    stderr: str | None = None


class _MoreOfResult(BaseModel):
    """What SandboxFusion's reply has no place for."""

    ending: Ending
    exit_code: int | None
    signal: int | None
    cpu_s: float
    log: str
    truncated: tuple[Literal["stdout", "stderr", "log"], ...]
    layers: tuple[str, ...]


class _Reply(BaseModel):
    status: Literal["Success", "Failed", "SandboxError"]
    message: str = ""
    run_result: _Run | None = None
    coderm: _MoreOfResult | None = None


def request_for(program: Program, ours: bool) -> dict[str, Any]:
    """The body that asks for a run of `program`.

    Args:
        ours: whether `coderm sandbox serve` is asked, which takes more.

    Raises:
        SandboxError: the service cannot run this program.
    """
    if program.channels:
        raise SandboxError("a program with channels cannot be sent to an HTTP service; use sandbox.backend = local")
    more: dict[str, Any] = {
        "limits": asdict(program.limits),
        "arguments": list(program.arguments),
        "imports": list(program.imports),
    }
    try:
        stdin = program.stdin.decode()
    except UnicodeDecodeError as error:
        if not ours:
            raise SandboxError("SandboxFusion takes standard input as text, and this is not UTF-8") from error
        stdin, more["stdin_base64"] = "", base64.b64encode(program.stdin).decode()
    if program.arguments and not ours:
        raise SandboxError("SandboxFusion passes no arguments to a program")
    return {
        "code": program.source,
        "language": "python",
        "stdin": stdin,
        "run_timeout": program.limits.wall_s,
        "memory_limit_MB": max(program.limits.memory_bytes >> 20, 1),
        "files": {name: base64.b64encode(content).decode() for name, content in program.files.items()},
        "fetch_files": [],
        **({"coderm": more} if ours else {}),
    }


def program_in(body: Any) -> Program:
    """The program that a request asks to run.

    Raises:
        RequestError: it is of the wrong form, or asks for what is not done here.
        SandboxError: as `Program`.
    """
    request = _checked(_Request, body)
    if request.language != "python":
        raise RequestError(f"language {request.language[:40]!r} is not run here, only 'python'")
    if request.fetch_files:
        raise RequestError("fetch_files is not supported: print what is needed")
    more = request.coderm
    if unknown := more.limits.keys() - _LIMITS:
        raise RequestError(f"coderm.limits has unknown keys {sorted(unknown)}; known: {sorted(_LIMITS)}")
    limits: dict[str, Any] = {"wall_s": request.run_timeout, "cpu_s": request.run_timeout}
    if request.memory_limit_MB > 0:
        limits["memory_bytes"] = request.memory_limit_MB << 20
    limits = {"output_bytes": _OUTPUT_BYTES, **limits, **more.limits}
    for name in limits.keys() - {"wall_s", "cpu_s"}:
        if not isinstance(limits[name], int):
            raise RequestError(f"coderm.limits.{name} = {limits[name]} must be a whole number")
    if limits["wall_s"] > MAX_RUN_S:
        raise RequestError(f"a run of {limits['wall_s']} s is too long: at most {MAX_RUN_S:.0f} s")
    program = Program(
        request.code,
        stdin=(request.stdin or "").encode() if more.stdin_base64 is None else _bytes("stdin", more.stdin_base64),
        files={name: _bytes(f"files[{name!r}]", text) for name, text in request.files.items() if text is not None},
        limits=Limits(**limits),
        imports=more.imports,
        arguments=more.arguments,
    )
    program.payload()  # too large is the request's fault
    return program


def reply_for(result: Result) -> dict[str, Any]:
    """The body that tells `result`. `Success` is for `Ending.OK` alone, and nothing else has return code 0."""
    right, late = result.ending is Ending.OK, result.ending is Ending.TIMEOUT
    code = result.exit_code if result.signal is None else -result.signal
    return _reply(
        "Success" if right else "Failed",
        run_result={
            "status": "TimeLimitExceeded" if late else "Finished",
            "execution_time": result.wall_s,
            "return_code": None if late else code if right else code or _ENDED_FROM_OUTSIDE,
            "stdout": result.stdout,
            "stderr": result.stderr,
        },
        coderm={
            "ending": result.ending.value,
            "exit_code": result.exit_code,
            "signal": result.signal,
            "cpu_s": result.cpu_s,
            "log": result.log,
            "truncated": [name for name in ("stdout", "stderr", "log") if getattr(result, f"{name}_truncated")],
            "layers": list(result.layers),
        },
    )


def failure_for(error: SandboxError) -> dict[str, Any]:
    """The body that says that the sandbox failed."""
    return _reply("SandboxError", message=str(error))


def result_in(body: Any) -> Result:
    """The result that a reply tells.

    SandboxFusion does not tell everything: from its replies CPU time is NaN, an uncaught exception is `EXIT_CODE`, the
    log is stdout and then stderr, no layers are named, and what it cut is not known.

    Raises:
        SandboxError: the service failed.
        RequestError: the reply is of the wrong form.
    """
    reply = _checked(_Reply, body)
    run = reply.run_result
    if reply.status == "SandboxError" or run is None or run.status == "Error":
        raise SandboxError(f"the service failed: {reply.message or (run and run.stderr) or 'it does not say how'}")
    more = reply.coderm or _guess(run)
    return Result(
        stdout=run.stdout or "",
        stderr=run.stderr or "",
        log=more.log,
        ending=more.ending,
        exit_code=more.exit_code,
        signal=more.signal,
        wall_s=nan if run.execution_time is None else run.execution_time,
        cpu_s=more.cpu_s,
        stdout_truncated="stdout" in more.truncated,
        stderr_truncated="stderr" in more.truncated,
        log_truncated="log" in more.truncated,
        layers=more.layers,
    )


def _guess(run: _Run) -> _MoreOfResult:
    """What can be known from a reply of SandboxFusion's own."""
    code = run.return_code
    if run.status == "TimeLimitExceeded":
        code, ending = None, Ending.TIMEOUT
    elif code is None:
        raise RequestError("run_result.return_code is missing in the reply")
    else:
        ending = Ending.OK if code == 0 else Ending.EXIT_CODE if code > 0 else Ending.SIGNAL
    by_signal = code is not None and code < 0
    return _MoreOfResult(
        ending=ending,
        exit_code=None if by_signal else code,
        signal=-code if code is not None and by_signal else None,
        cpu_s=nan,
        log=(run.stdout or "") + (run.stderr or ""),
        truncated=(),
        layers=(),
    )


def _reply(status: str, message: str = "", run_result: Any = None, **more: Any) -> dict[str, Any]:
    fixed: dict[str, Any] = {"compile_result": None, "executor_pod_name": None, "files": {}}
    return {"status": status, "message": message, "run_result": run_result, **fixed, **more}


def _checked(model: type[Any], body: Any) -> Any:
    """`body` as `model`; the error names the first fault's place, not what stands there, which may be of any size."""
    try:
        return model.model_validate(body)
    except ValidationError as error:
        fault = error.errors(include_url=False, include_context=False, include_input=False)[0]
        place = ".".join(str(part)[:40] for part in fault["loc"]) or "the body"
        raise RequestError(f"{place}: {fault['msg']}") from None


def _bytes(name: str, text: str) -> bytes:
    try:
        return base64.b64decode(text, validate=True)
    except (binascii.Error, ValueError) as error:
        raise RequestError(f"{name} is not base64: {error}") from None

"""A result as a reply, and back."""

from math import isnan, nan
from typing import Any, Literal

from pydantic import BaseModel

from coderm_slime.sandbox.fusion.checked import FormError, checked
from coderm_slime.sandbox.program import Ending, Result, SandboxError

_ENDED_FROM_OUTSIDE = -9


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
    cpu_s: float | None
    log: str
    truncated: tuple[Literal["stdout", "stderr", "log"], ...]
    layers: tuple[str, ...]


class _Reply(BaseModel):
    status: Literal["Success", "Failed", "SandboxError"]
    message: str = ""
    run_result: _Run | None = None
    coderm: _MoreOfResult | None = None


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
            "cpu_s": None if isnan(result.cpu_s) else result.cpu_s,  # JSON has no NaN
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
        FormError: the reply is of the wrong form.
    """
    reply = checked(_Reply, body)
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
        cpu_s=nan if more.cpu_s is None else more.cpu_s,
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
        raise FormError("run_result.return_code is missing in the reply")
    else:
        ending = Ending.OK if code == 0 else Ending.EXIT_CODE if code > 0 else Ending.SIGNAL
    by_signal = code is not None and code < 0
    return _MoreOfResult(
        ending=ending,
        exit_code=None if by_signal else code,
        signal=-code if code is not None and by_signal else None,
        cpu_s=None,
        log=(run.stdout or "") + (run.stderr or ""),
        truncated=(),
        layers=(),
    )


def _reply(status: str, message: str = "", run_result: Any = None, **more: Any) -> dict[str, Any]:
    fixed: dict[str, Any] = {"compile_result": None, "executor_pod_name": None, "files": {}}
    return {"status": status, "message": message, "run_result": run_result, **fixed, **more}

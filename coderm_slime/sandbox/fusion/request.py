"""A program as a request, and back."""

import base64
import binascii
from dataclasses import asdict, fields
from typing import Any

from pydantic import BaseModel, ConfigDict, InstanceOf

from coderm_slime.sandbox.fusion.checked import FormError, checked
from coderm_slime.sandbox.program import Limits, Program, SandboxError

_MAX_RUN_S = 3600.0  # a request must not hold a worker for days
_OUTPUT_BYTES = 1 << 20  # SandboxFusion keeps as much
_LIMITS = frozenset(field.name for field in fields(Limits))


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
        FormError: it is of the wrong form, or asks for what is not done here.
        SandboxError: as `Program`.
    """
    request = checked(_Request, body)
    if request.language != "python":
        raise FormError(f"language {request.language[:40]!r} is not run here, only 'python'")
    if request.fetch_files:
        raise FormError("fetch_files is not supported: print what is needed")
    more = request.coderm
    if unknown := more.limits.keys() - _LIMITS:
        raise FormError(f"coderm.limits has unknown keys {sorted(unknown)}; known: {sorted(_LIMITS)}")
    limits: dict[str, Any] = {"wall_s": request.run_timeout, "cpu_s": request.run_timeout}
    if request.memory_limit_MB > 0:
        limits["memory_bytes"] = request.memory_limit_MB << 20
    limits = {"output_bytes": _OUTPUT_BYTES, **limits, **more.limits}
    for name in limits.keys() - {"wall_s", "cpu_s"}:
        if not isinstance(limits[name], int):
            raise FormError(f"coderm.limits.{name} = {limits[name]} must be a whole number")
    if limits["wall_s"] > _MAX_RUN_S:
        raise FormError(f"a run of {limits['wall_s']} s is too long: at most {_MAX_RUN_S:.0f} s")
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


def _bytes(name: str, text: str) -> bytes:
    try:
        return base64.b64decode(text, validate=True)
    except (binascii.Error, ValueError) as error:
        raise FormError(f"{name} is not base64: {error}") from None

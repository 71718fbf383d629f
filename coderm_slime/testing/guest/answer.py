"""The answer's process: executes the untrusted program as module `solution` and serves what the tests ask of it.

It never sees a test. Nothing here defends itself against the program: whatever it does to this process, the examiner
believes no more than a value that was asked for.
"""

import ast
import builtins
import io
import linecache
import os
import socket
import sys
import types
from typing import Any

from coderm_slime.testing.guest.mirror import is_mirror
from coderm_slime.testing.guest.peer import Peer
from coderm_slime.testing.guest.wire import Wire, WireError

_EXTRA_RECURSION = 100  # what this room's own frames take of the limit that the program expects
_MAX_PRINTED_CHARS = 2**20
_MISSING = object()


class _Printed(io.TextIOWrapper):
    """A standard stream whose text is handed over with each message."""

    def __init__(self) -> None:
        super().__init__(io.BytesIO(), encoding="utf-8", errors="surrogatepass", newline="", write_through=True)

    def taken(self) -> str:
        buffer = self.buffer
        assert isinstance(buffer, io.BytesIO)
        text = buffer.getvalue().decode("utf-8", "replace")
        buffer.seek(0)
        buffer.truncate()
        return text[:_MAX_PRINTED_CHARS]


class _Read(io.TextIOBase):
    """Standard input: what the tests' own standard input holds."""

    def __init__(self, peer: Peer) -> None:
        self._peer = peer

    def readable(self) -> bool:
        return True

    def read(self, size: int | None = -1) -> str:
        return str(self._peer.ask("stdin", "read", -1 if size is None else size))

    def readline(self, size: int = -1) -> str:  # type: ignore[override]
        return str(self._peer.ask("stdin", "readline", size))


class _Answer:
    def __init__(self, program: str, peer: Peer) -> None:
        self.program, self.peer = program, peer
        self.module = types.ModuleType("solution")
        self.module.__file__ = "solution.py"
        self.streams = {"out": _Printed(), "err": _Printed()}
        self.own = {name: getattr(builtins, name) for name in ("open", "print")}

    def load(self) -> Any:
        """Execute the program; returns the module."""
        lines = self.program.splitlines(keepends=True)
        linecache.cache["solution.py"] = (len(self.program), None, lines, "solution.py")
        sys.modules["solution"] = self.module
        exec(compile(self.program, "solution.py", "exec"), self.module.__dict__)
        self.module = sys.modules.get("solution", self.module)
        return self.module

    def printed(self) -> dict[str, Any]:
        texts = {name: stream.taken() for name, stream in self.streams.items()}
        return {name: text for name, text in texts.items() if text}

    def patch(self, message: dict[str, Any]) -> None:
        """Use the tests' own `open` or `print` while they have replaced it."""
        for name, own in self.own.items():
            given = message.get("patched", {}).get(name)
            if given is not None:
                setattr(builtins, name, _Patched(self.peer, name))
            elif isinstance(getattr(builtins, name, None), _Patched):
                setattr(builtins, name, own)


class _Replaced:
    """What the tests have replaced in modules and classes; to delete a replacement is to have the original again."""

    def __init__(self) -> None:
        self._originals: dict[tuple[int, str], Any] = {}

    def set(self, target: Any, name: str, value: Any) -> None:
        if isinstance(target, (types.ModuleType, type)):
            original = self._originals.setdefault((id(target), name), vars(target).get(name, _MISSING))
            if value is original:
                del self._originals[id(target), name]
        bound = isinstance(target, type) and type(value).__name__ == "function" and is_mirror(value)
        setattr(target, name, _as_function(value) if bound else value)

    def delete(self, target: Any, name: str) -> None:
        original = self._originals.pop((id(target), name), _MISSING)
        if original is _MISSING:
            delattr(target, name)
        else:
            setattr(target, name, original)


def _as_function(mirror: Any) -> Any:
    """A function of the tests as one that becomes a method here."""
    return lambda *args, **kwargs: mirror(*args, **kwargs)


class _Patched:
    """A built-in function that the tests have replaced on their side."""

    def __init__(self, peer: Peer, name: str) -> None:
        self._peer, self._name = peer, name

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        return self._peer.ask("patched", self._name, args, kwargs)


def main(program: str, channel: int) -> None:
    """Serve until the tests have ended."""
    peer = Peer(Wire(socket.socket(fileno=channel)), is_examiner=False, services={})
    answer = _Answer(program, peer)
    replaced = _Replaced()
    peer.services |= {"set": replaced.set, "del": replaced.delete, "load": answer.load}
    peer.services["names"] = lambda: [str(name) for name in dir(answer.module)]
    peer.services["imports"] = lambda: imports_of(program)
    peer.extra, peer.on_extra = answer.printed, answer.patch
    sys.stdout, sys.stderr = answer.streams["out"], answer.streams["err"]
    sys.stdin = _Read(peer)
    builtins.input = lambda prompt="": peer.ask("input", prompt)
    sys.setrecursionlimit(sys.getrecursionlimit() + _EXTRA_RECURSION)
    try:
        peer.serve()
    except WireError:
        os._exit(0)  # the tests have ended; threads and exit handlers of the program have no more say


def imports_of(program: str) -> dict[str, tuple[str, str]]:
    """The names that a program's own import statements bind at its top: (module, attribute or nothing)."""
    found: dict[str, tuple[str, str]] = {}
    for node in ast.parse(program).body:
        if isinstance(node, ast.Import):
            for alias in node.names:
                found[alias.asname or alias.name.partition(".")[0]] = (
                    alias.name if alias.asname else alias.name.partition(".")[0],
                    "",
                )
        elif isinstance(node, ast.ImportFrom) and node.module and not node.level:
            found |= {alias.asname or alias.name: (node.module, alias.name) for alias in node.names}
    return found

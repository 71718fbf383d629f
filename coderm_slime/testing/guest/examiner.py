"""The tests' process: runs test code against mirrors of the answer, and reports each test on a channel of its own.

The answer's process does not hold that channel. The report: `start`, then `plan` (the names of the tests), then one
frame a test, then `end`; or `broken` with the reason where the tests themselves cannot be run, whatever the answer.
"""

import ast
import builtins
import importlib
import json
import os
import socket
import sys
import traceback
import types
from collections.abc import Callable, Iterable
from typing import Any

from coderm_slime.testing.guest.errors import Fault
from coderm_slime.testing.guest.mirror import MirrorMeta, is_mirror
from coderm_slime.testing.guest.peer import Peer
from coderm_slime.testing.guest.wire import Wire

_DETAIL_CHARS = 2000
_PATCHABLE = ("open", "print")
_LIBRARIES = {
    "numpy",
    "scipy",
    "sympy",
    "pandas",
}  # what answers import beside the standard library, under short names
_OWN = {name: getattr(builtins, name) for name in _PATCHABLE}


class BrokenTests(Exception):
    """The tests cannot be run, and that is not the answer's doing."""


class Report:
    """What the parent reads."""

    def __init__(self, channel: int) -> None:
        self._wire = Wire(socket.socket(fileno=channel))

    def start(self) -> None:
        self._wire.send({"start": True})

    def plan(self, names: Iterable[str]) -> None:
        self._wire.send({"plan": list(names)})

    def result(self, name: str, passed: bool, detail: str = "") -> None:
        self._wire.send({"test": name, "passed": passed, "detail": _sendable(detail[-_DETAIL_CHARS:])})

    def broken(self, detail: str) -> None:
        self._wire.send({"broken": _sendable(detail[-_DETAIL_CHARS:])})

    def end(self) -> None:
        self._wire.send({"end": True})


def _sendable(text: str) -> str:
    return text.encode("utf-8", "replace").decode()


class Solution(types.ModuleType):
    """What `import solution` gives the tests."""

    def __init__(self, answer: "Answer") -> None:
        super().__init__("solution")
        self.__dict__["_coderm_answer"] = answer

    def __getattr__(self, name: str) -> Any:
        if name.startswith("__") and name != "__all__":
            raise AttributeError(name)
        return self.__dict__["_coderm_answer"].name(name)

    def __setattr__(self, name: str, value: Any) -> None:
        if name.startswith("__"):
            super().__setattr__(name, value)
        else:
            self.__dict__["_coderm_answer"].assign(name, value)

    def __delattr__(self, name: str) -> None:
        self.__dict__["_coderm_answer"].delete(name)

    def __dir__(self) -> Any:
        return self.__dict__["_coderm_answer"].names()


class Answer:
    """The answer as the tests see it.

    Attributes:
        failure: why the program could not be loaded; None if it was.
        wanted: the names that the tests use.
    """

    def __init__(self, peer: Peer, entry_point: str | None) -> None:
        self.peer, self.entry_point = peer, entry_point
        self.failure: BaseException | None = None
        self.wanted: set[str] = set()
        self._ours: set[str] = set()  # names of modules and their contents, which the tests' process imports itself
        self.missed = False  # whether a name was not there, or was no function, class or other object
        self._looked_up = 0
        self._module: Any = None

    @property
    def may_be_at_fault(self) -> bool:
        """Whether a failure outside a test may come from the answer: else the tests are broken."""
        return bool(self.failure or self.missed or self.peer.broken or self.peer.ran > self._looked_up)

    def load(self) -> None:
        """Execute the program, once."""
        try:
            self._module = self.peer.ask("load")
        except BaseException as error:  # noqa: BLE001 - every test fails by it
            self.failure = error

    def name(self, name: str) -> Any:
        """The answer's object of that name. Raises AttributeError, or ImportError if the program did not load."""
        if self.failure is not None:
            raise ImportError(f"the answer did not load: {type(self.failure).__name__}: {self.failure}")
        if name == "__all__":
            return sorted(self.wanted & set(self.names()) - self._ours)
        self._looked_up += 1
        try:
            value = self.peer.ask("get", self._module, name)
        except AttributeError:
            self.missed = True
            raise
        self.missed |= not (is_mirror(value) or callable(value))
        if type(value) is MirrorMeta and name[:1].isupper() and name != self.entry_point:
            self.peer.mirrors.trusted.add(value)
        return value

    def names(self) -> list[str]:
        """Its public names; what it says is checked for being text only."""
        named = self.peer.ask("names")
        if type(named) is not list:
            raise TypeError("the answer's process gives no list of names")
        named = [name for name in named if type(name) is str and name.isidentifier()]
        return [name for name in named if name[:1] != "_" or name == self.entry_point]

    def assign(self, name: str, value: Any) -> None:
        self.peer.ask("set", self._module, name, value)

    def delete(self, name: str) -> None:
        self.peer.ask("del", self._module, name)

    def bare_names(self, source: str) -> dict[str, Any]:
        """What a test finds without importing it: the answer's own names, and what the answer imported.

        A name of the standard library, or a module that the answer imported, is imported here: the answer's word
        for `math` counts for nothing.
        """
        wanted = used_names(source)
        self.wanted |= wanted
        if self.failure is not None:
            return {}
        try:
            return self._found({name for name in wanted if not hasattr(builtins, name)} | {str(self.entry_point)})
        except BaseException as error:  # noqa: BLE001 - the answer's process does not even say what names it has
            self.failure = error
            return {}

    def _found(self, wanted: set[str]) -> dict[str, Any]:
        imported, found = self._imports(), {}
        for name in sorted(wanted & set(self.names())):
            own = None if name == self.entry_point else _library(*imported.get(name, (name, "")))
            if own is not None:
                self._ours.add(name)
            found[name] = self.name(name) if own is None else own
        return found

    def _imports(self) -> dict[str, Any]:
        said = self.peer.ask("imports")
        if type(said) is not dict:
            return {}
        return {
            name: pair
            for name, pair in said.items()
            if type(pair) is tuple and len(pair) == 2 and all(type(part) is str for part in pair)
        }


def _library(module: str, attribute: str) -> Any:
    """The library's object, or None if the name is the answer's own."""
    if module.partition(".")[0] not in (sys.stdlib_module_names - {"antigravity", "this"}) | _LIBRARIES:
        return None
    try:
        found = importlib.import_module(module)
    except ImportError:
        return None
    return getattr(found, attribute, None) if attribute else found


def used_names(source: str) -> set[str]:
    """Names that a source reads. Raises BrokenTests: it does not parse."""
    return {node.id for node in ast.walk(_parsed(source)) if isinstance(node, ast.Name)}


def _parsed(source: str) -> ast.Module:
    try:
        return ast.parse(source)
    except (SyntaxError, ValueError, RecursionError, MemoryError) as error:
        raise BrokenTests(f"the tests do not parse: {error}") from None


def compiled(source: str, name: str) -> types.CodeType:
    """Raises BrokenTests: the source does not compile."""
    try:
        return compile(source, name, "exec")
    except (SyntaxError, ValueError, RecursionError, MemoryError) as error:
        raise BrokenTests(f"the tests do not compile: {error}") from None


def connect(channel: int) -> Peer:
    """The examiner's side of the conversation."""

    def patched(name: Any, args: Any, kwargs: Any) -> Any:
        if name not in _PATCHABLE or getattr(builtins, name) is _OWN[name]:
            raise PermissionError("the tests did not replace that")
        return getattr(builtins, name)(*args, **kwargs)

    def stdin(method: Any, size: Any) -> Any:
        return sys.stdin.readline(size) if method == "readline" else sys.stdin.read(size)

    services: dict[str, Callable[..., Any]] = {
        "input": lambda prompt: builtins.input(str(prompt)),
        "stdin": stdin,
        "patched": patched,
    }
    peer = Peer(Wire(socket.socket(fileno=channel)), is_examiner=True, services=services)
    peer.extra = _patches
    peer.on_extra = _print
    return peer


def _patches() -> dict[str, Any]:
    patched = {name: True for name in _PATCHABLE if getattr(builtins, name) is not _OWN[name]}
    return {"patched": patched} if patched else {}


def _print(message: dict[str, Any]) -> None:
    for field, stream in (("out", sys.stdout), ("err", sys.stderr)):
        text = message.get(field)
        if type(text) is str:
            stream.write(text)


def run_one(peer: Peer, report: Report, name: str, test: Callable[[], None]) -> None:
    """Run one test and report it: passed if it raised nothing and the answer's process is still sound."""
    detail = peer.broken
    if not detail:
        peer.exits_pass = True
        try:
            test()
        except BaseException as error:  # noqa: BLE001 - a failed test, whatever it raised
            detail = explained(error)
        peer.exits_pass = False
    report.result(name, not (detail or peer.broken), detail or peer.broken)


def explained(error: BaseException) -> str:
    """Where and why a test failed, for people."""
    try:
        return "".join(traceback.format_exception(type(error), error, error.__traceback__, limit=-3)) or "failed"
    except Exception as failure:  # noqa: BLE001 - an exception of the answer may not even be printable
        return f"{type(error).__name__} ({type(failure).__name__} in its text)"


def run_asserts(answer: Answer, report: Report, setup: str, tests: list[str]) -> None:
    """Run `setup` once, then each test in the same namespace."""
    codes = [compiled(test, f"test_{number}") for number, test in enumerate(tests)]
    setup_code = compiled(setup, "setup")
    report.plan(f"test_{number}" for number in range(len(tests)))
    answer.load()
    namespace: dict[str, Any] = {"__name__": "__tests__", "__builtins__": builtins}
    namespace |= answer.bare_names("\n".join([setup, *tests]))
    failure = answer.failure
    if failure is None:
        try:
            if answer.entry_point:
                namespace.setdefault("candidate", namespace.get(answer.entry_point))
            exec(setup_code, namespace)
        except BaseException as error:  # noqa: BLE001 - whose fault it is, is looked at next
            if not (isinstance(error, (Fault, NameError)) or answer.may_be_at_fault):
                raise BrokenTests(f"the setup fails by itself: {explained(error)}") from None
            failure = error
    for number, code in enumerate(codes):

        def test(code: types.CodeType = code) -> None:
            if failure is not None:
                raise failure
            exec(code, namespace)

        run_one(answer.peer, report, f"test_{number}", test)


def run_calls(answer: Answer, report: Report, cases: list[tuple[str, str]]) -> None:
    """Call the entry point, or the method of that name of class `Solution`, with each case's arguments (JSON)."""
    report.plan(f"case_{number}" for number in range(len(cases)))
    answer.load()
    for number, (arguments, output) in enumerate(cases):

        def test(arguments: str = arguments, output: str = output) -> None:
            got, expected = as_json(_entry(answer)(*json.loads(arguments))), json.loads(output)
            if got != expected:
                raise AssertionError(f"{got!r} is not {expected!r}")

        run_one(answer.peer, report, f"case_{number}", test)


def _entry(answer: Answer) -> Any:
    name = str(answer.entry_point)
    if answer.failure is None and name not in answer.names() and "Solution" in answer.names():
        return getattr(answer.name("Solution")(), name)
    return answer.name(name)


def as_json(value: Any) -> Any:
    """The value with tuples as lists, at every depth, as JSON has them."""
    if type(value) in (list, tuple):
        return [as_json(item) for item in value]
    if type(value) is dict:
        return {key: as_json(item) for key, item in value.items()}
    if is_mirror(value):
        raise AssertionError("the result is no plain value")
    return value


def main(task: dict[str, Any], channel: int, report_channel: int) -> None:
    """Run the tests of `task` and end the process."""
    report = Report(report_channel)
    report.start()
    answer = Answer(connect(channel), task["entry_point"])
    sys.modules["solution"] = Solution(answer)
    sys.dont_write_bytecode = True
    try:
        if task["kind"] == "asserts":
            run_asserts(answer, report, task["setup"], task["tests"])
        elif task["kind"] == "calls":
            run_calls(answer, report, task["cases"])
        else:
            from coderm_slime.testing.guest.pytest_run import run_files

            run_files(answer, report, task["setup"], task["tests"])
    except BrokenTests as broken:
        report.broken(str(broken))
    report.end()
    sys.stdout.flush()
    os._exit(0)  # threads of the tests have no more say

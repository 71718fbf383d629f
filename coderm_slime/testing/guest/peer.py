"""One side of the conversation: asks the other side, and serves what it asks back meanwhile.

One request is under way at a time; a callback is a request within a request. What the examiner serves is a short
list: calls, public attributes and special methods of the objects that the tests handed over; never their internals.
"""

import threading
import types
from collections.abc import Callable
from typing import Any

from coderm_slime.testing.guest.codec import Codec
from coderm_slime.testing.guest.errors import Fault
from coderm_slime.testing.guest.kinds import BadValue
from coderm_slime.testing.guest.mirror import SPECIAL
from coderm_slime.testing.guest.mirrors import Mirrors
from coderm_slime.testing.guest.wire import Wire, WireError

_INTERNAL = (
    types.FunctionType,
    types.BuiltinFunctionType,
    types.MethodType,
    types.CoroutineType,
    types.AsyncGeneratorType,
    types.GeneratorType,
)
_OF_GENERATORS = {"send", "throw", "close"}
_MAX_DEPTH = 100  # callbacks within callbacks; each costs a few Python frames on both sides
Service = Callable[..., Any]


class Peer:
    """One side.

    Args:
        is_examiner: the side that believes nothing and that the other may ask only so much.
        services: operations by name, beside those on objects; more may be added before `serve`.

    Attributes:
        broken: why nothing of the other side counts any more; empty while all is well.
        ran: how many operations were asked for on the other side's objects.
        exits_pass: whether SystemExit arrives as itself.
        extra, on_extra: make further fields of each message that is sent, and read those that come.
    """

    def __init__(self, wire: Wire, *, is_examiner: bool, services: dict[str, Service]) -> None:
        self.mirrors = Mirrors(self.ask, believes=not is_examiner)
        self.broken = ""
        self.ran = 0
        self.exits_pass = False
        self.extra: Callable[[], dict[str, Any]] = dict
        self.on_extra: Callable[[dict[str, Any]], None] = lambda message: None
        self._codec = Codec(self.mirrors, 1 if is_examiner else 0)
        self._wire, self._is_examiner = wire, is_examiner
        self.services = {**self._on_objects(), **services}
        self._lock = threading.RLock()
        self._depth = 0
        self._number = 0

    def ask(self, name: str, *args: Any) -> Any:
        """What the other side says to an operation; its exception is raised here.

        Raises:
            Fault: nothing is to be had from it any more, or what it raised is no Exception.
        """
        with self._lock:
            if self.broken:
                raise Fault(self.broken)
            if not self._is_examiner and not self._depth:
                raise RuntimeError("the tests can be asked only while they call")
            self.ran += name in ("get", "set", "del", "call", "op", "run")
            try:
                message = self._converse(name, args)
                value = self._codec.unpack(message)
            except (WireError, BadValue) as error:
                self.broken = f"the answer's process: {error}"
                raise Fault(self.broken) from None
            if not self._depth:
                self._codec.forget()
        if message.get("raised"):
            raise self._raisable(value)
        return value

    def serve(self) -> None:
        """Answer requests until the other side closes. Raises WireError then."""
        while True:
            self._answer(self._wire.receive())
            self._codec.forget()

    def _converse(self, name: str, args: tuple[Any, ...]) -> dict[str, Any]:
        self._number += 1
        number = self._number
        self._wire.send({"op": name, "id": number, **self.extra(), **self._codec.pack(args)})
        while "op" in (message := self._received()):
            self._answer(message)
        if message.get("id") != number:
            raise WireError("a reply to no question")
        return message

    def _received(self) -> dict[str, Any]:
        message = self._wire.receive()
        self.on_extra(message)
        return message

    def _answer(self, message: dict[str, Any]) -> None:
        self._depth += 1
        try:
            if self._depth > _MAX_DEPTH:
                raise WireError("callbacks are nested too deeply")
            if not self._is_examiner:
                self.on_extra(message)
            args = self._codec.unpack(message)
            reply = self._served(message["op"], args)
        finally:
            self._depth -= 1
        self._wire.send({"id": message.get("id"), **self.extra(), **reply})

    def _served(self, name: Any, args: Any) -> dict[str, Any]:
        try:
            if type(name) is not str or type(args) is not tuple or name not in self.services:
                raise BadValue("a request for nothing that is served")
            return self._codec.pack(self.services[name](*args))
        except (WireError, BadValue):
            raise
        except Fault as fault:
            if self._is_examiner:  # the other side waits for a reply that it will not get
                self.broken = self.broken or str(fault)
                raise
            return self._raised(RuntimeError("the tests have ended"))
        except BaseException as error:  # noqa: BLE001 - it is raised again on the other side
            return self._raised(error)

    def _raised(self, error: BaseException) -> dict[str, Any]:
        try:
            return {"raised": True, **self._codec.pack(error)}
        except Exception:  # noqa: BLE001 - what it carries cannot cross: its text does
            return {"raised": True, **self._codec.pack(RuntimeError(f"{type(error).__name__}: {error}"))}

    def _raisable(self, error: Any) -> BaseException:
        """What may be raised here for what the other side raised."""
        if not self._is_examiner:
            return error if isinstance(error, BaseException) else RuntimeError("no exception")
        if isinstance(error, SystemExit) and self.exits_pass:
            return error
        skips = any(base.__module__.startswith(("unittest", "_pytest")) for base in type(error).__mro__)
        if isinstance(error, Exception) and not skips:
            return error
        return Fault(f"the answer raised {type(error).__name__}")

    def _on_objects(self) -> dict[str, Service]:
        return {"get": self._get, "set": self._set, "del": self._del, "call": self._call, "op": self._op, "run": run}

    def _get(self, target: Any, name: str) -> Any:
        if self._is_examiner:
            _check_name(target, name)
        return getattr(target, name)

    def _set(self, target: Any, name: str, value: Any) -> None:
        if self._is_examiner:
            _check_name(target, name)
            if isinstance(target, (type, *_INTERNAL)) or callable(getattr(type(target), name, None)):
                raise AttributeError(f"{name!r} of the tests' object may not be set")
        setattr(target, name, value)

    def _del(self, target: Any, name: str) -> None:
        if self._is_examiner:
            raise AttributeError(f"{name!r} of the tests' object may not be deleted")
        delattr(target, name)

    def _call(self, target: Any, args: Any, kwargs: Any) -> Any:
        return target(*args, **kwargs)

    def _op(self, target: Any, name: str, args: Any) -> Any:
        if self._is_examiner and name not in SPECIAL:
            raise AttributeError(f"{name!r} of the tests' object may not be used")
        result = getattr(type(target), name)(target, *args)
        return bool(result) if name == "__contains__" else result


def _check_name(target: Any, name: Any) -> None:
    """Raises AttributeError: the answer may not have that of an object of the tests."""
    inside = isinstance(target, _INTERNAL) and name not in vars_of(target)
    generator = isinstance(target, types.GeneratorType) and name in _OF_GENERATORS
    if type(name) is not str or name[:1] == "_" or (inside and not generator):
        raise AttributeError(f"{name!r} of the tests' object may not be used")


def vars_of(target: Any) -> dict[str, Any]:
    """A function's own public attributes; nothing where there are none."""
    return getattr(target, "__dict__", {})


def run(awaitable: Any) -> Any:
    """What an awaitable comes to, run to its end."""
    import asyncio  # a tenth of a second of start, which few answers need

    async def awaited() -> Any:
        return await awaitable

    if asyncio._get_running_loop() is None:
        return _loop().run_until_complete(awaited())
    coroutine = awaited()  # we are inside a running loop: what never really waits needs none of its own
    try:
        coroutine.send(None)
    except StopIteration as end:
        return end.value
    coroutine.close()
    raise RuntimeError("an object of the tests waits inside a call of the answer")


_loops: list[Any] = []


def _loop() -> Any:
    if not _loops:
        import asyncio

        _loops.append(asyncio.new_event_loop())
    return _loops[0]

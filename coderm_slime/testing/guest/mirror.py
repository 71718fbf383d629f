"""An object of the other side, and its class, as they appear here: operations on them go there.

A mirror class defines the special methods that the other side says its class has, so that `len(x)`, `for` and `x + y`
work or fail as they would on the object. Generators and coroutines become real ones, which Python's own tools accept.
"""

import types
from collections.abc import Callable
from typing import Any

_COMPARED = ("lt", "le", "gt", "ge", "contains")
_COMPUTED = "add sub mul matmul truediv floordiv mod divmod pow lshift rshift and xor or"
OPERANDS = {f"__{name}__" for name in _COMPARED} | {
    f"__{prefix}{name}__" for prefix in ("", "r", "i") for name in _COMPUTED.split()
}
_UNARY = (
    "len bool iter next reversed getitem setitem delitem call enter exit hash neg pos abs invert int float complex "
    "index round trunc floor ceil str repr format bytes length_hint await aiter anext aenter aexit fspath"
)
SPECIAL = OPERANDS | {f"__{name}__" for name in _UNARY.split()} | {"__eq__", "__ne__"}
_TO_NUMBERS = "abs round int float complex index trunc floor ceil bool"
_NUMBERS = {f"__{name}__" for name in _TO_NUMBERS.split()}
_KEEPING = OPERANDS | {"__neg__", "__pos__", "__abs__", "__invert__", "__enter__"}
_PREDICATES = {"startswith", "endswith", "issubset", "issuperset", "isdisjoint"}


class MirrorMeta(type):
    """A class of the other side: calls construct there, attributes are asked for there."""

    def __new__(cls, name: str, bases: Any, body: Any) -> Any:
        raise TypeError(f"class {name!r} derives from a class of the other process, which no class can")

    def __call__(cls, *args: Any, **kwargs: Any) -> Any:
        return _owner(cls).constructed(cls, _owner(cls).ask("call", cls, args, kwargs))

    def __getattr__(cls, name: str) -> Any:
        if name.startswith("_coderm"):
            raise AttributeError(name)
        return _owner(cls).ask("get", cls, name)

    def __setattr__(cls, name: str, value: Any) -> None:
        _owner(cls).ask("set", cls, name, value)

    def __delattr__(cls, name: str) -> None:
        _owner(cls).ask("del", cls, name)

    def __bool__(cls) -> bool:
        return True

    def __len__(cls) -> Any:
        return _owner(cls).ask("op", cls, "__len__", ())

    def __iter__(cls) -> Any:
        return _owner(cls).ask("op", cls, "__iter__", ())

    def __getitem__(cls, key: Any) -> Any:
        return _owner(cls).ask("op", cls, "__getitem__", (key,))

    def __contains__(cls, item: Any) -> Any:
        return _owner(cls).ask("op", cls, "__contains__", (item,))


class Mirror:
    """An object of the other side."""

    __slots__ = ("_coderm_ref",)

    def __getattr__(self, name: str) -> Any:
        owner = _owner(self)
        if name in _PREDICATES:
            owner.must_trust(self, name, plain=True)
        return owner.ask("get", self, name)

    def __setattr__(self, name: str, value: Any) -> None:
        _owner(self).ask("set", self, name, value)

    def __delattr__(self, name: str) -> None:
        _owner(self).ask("del", self, name)

    def __dir__(self) -> Any:
        return _owner(self).ask("op", self, "__dir__", ())

    def __eq__(self, other: object) -> Any:
        return self is other or NotImplemented

    def __hash__(self) -> int:
        return hash(("coderm", object.__getattribute__(self, "_coderm_ref")))


def _owner(mirror: Any) -> Any:
    cls = mirror if type(mirror) is MirrorMeta else type(mirror)
    return type.__getattribute__(cls, "_coderm_owner")


def is_mirror(value: Any) -> bool:
    """Whether the value belongs to the other side, classes included."""
    return issubclass(type(value), Mirror) or type(value) is MirrorMeta


def forwarded(name: str) -> Callable[..., Any]:
    """The special method of that name, as one that asks the object."""

    def method(self: Any, *args: Any, **kwargs: Any) -> Any:
        owner = _owner(self)
        if name == "__call__":
            return owner.ask("call", self, args, kwargs)
        if name in ("__exit__", "__aexit__"):
            args = (*args[:2], None)  # a traceback shows the frames of its side
        plain = name in OPERANDS and not all(is_mirror(arg) for arg in args)
        if plain or name in _NUMBERS:
            owner.must_trust(self, name, plain=plain)
        vouched = owner.vouches_for(self) and name in _KEEPING
        value = owner.ask("op", self, name, args)
        return owner.computed(value, plain=plain) if vouched else value

    method.__name__ = name
    return method


def compared(name: str) -> Callable[..., Any]:
    """`__eq__` or `__ne__`: never true of plain data, unless the owner believes."""

    def method(self: Any, other: Any) -> Any:
        owner = _owner(self)
        if owner.believes or is_mirror(other):
            return owner.ask("op", self, name, (other,))
        return NotImplemented

    return method


def nature(value: Any) -> str:
    """What the other side has to know of an object beside its class: whether `WRAPPED` has something for it."""
    cls = type(value)
    if cls is types.GeneratorType:
        return "generator"
    if cls is types.FunctionType and value.__code__.co_flags & 0x80:
        return "coroutine_function"
    if cls is types.CoroutineType or (hasattr(cls, "__await__") and cls.__module__ in ("builtins", "_asyncio")):
        return "coroutine"
    return ""


def _as_generator(owner: Any, mirror: Any) -> Any:
    def pump() -> Any:
        try:
            item = next(mirror)
            while True:
                try:
                    sent = yield item
                except GeneratorExit:
                    mirror.close()
                    raise
                except Exception as error:  # noqa: BLE001 - it is handed on
                    item = mirror.throw(error)
                else:
                    item = next(mirror) if sent is None else mirror.send(sent)
        except StopIteration as end:
            return end.value

    return pump()


def _as_coroutine(owner: Any, mirror: Any) -> Any:
    async def run() -> Any:
        return owner.ask("run", mirror)

    return run()


def _as_coroutine_function(owner: Any, mirror: Any) -> Any:
    async def function(*args: Any, **kwargs: Any) -> Any:
        made = mirror(*args, **kwargs)
        return await made if hasattr(made, "__await__") else made

    return function


WRAPPED: dict[str, Callable[[Any, Any], Any]] = {
    "generator": _as_generator,
    "coroutine": _as_coroutine,
    "coroutine_function": _as_coroutine_function,
}

"""Exceptions of the other side: as built-in classes, as the standard library's (never unittest's), or as mirrors.

What may be raised here for them is `peer`'s business.
"""

import sys
from typing import Any


class Fault(BaseException):
    """What the answer did is no outcome that a test may expect: it is gone, broke the protocol, or tried to skip."""


def instance(cls: Any, args: tuple[Any, ...]) -> BaseException:
    """An exception of the class with these arguments; only a built-in class has its constructor run."""
    if cls.__module__ == "builtins":
        try:
            made: BaseException = cls(*args)
        except TypeError:
            return RuntimeError(*args)
        return made
    made = cls.__new__(cls, *args)  # a constructor of its own may want other arguments than it stored
    made.args = args
    return made


def error_class(name: str, module: str, bases: tuple[Any, ...]) -> Any:
    """A local class for an exception class of the other side."""
    body = {"__module__": module, "_coderm_mirror": True, "__str__": _error_text, "__init__": _error_init}
    try:
        return type(name, bases, body)
    except TypeError:
        return type(name, bases[:1], body)


def _error_init(self: Any, *args: Any, **_: Any) -> None:
    self.args = args


def _error_text(self: Any) -> str:
    text = vars(self).get("_coderm_text")
    return text if type(text) is str else BaseException.__str__(self)


def known_error(name: str, module: str) -> Any:
    """The standard library's own exception class of that name, if a test can know it: its module is loaded here."""
    root = module.partition(".")[0]
    if root not in sys.stdlib_module_names or root in ("unittest", "builtins"):
        return None
    found = getattr(sys.modules.get(module), name, None)
    if not isinstance(found, type) or not issubclass(found, Exception):
        return None
    return None if any(base.__module__.startswith("unittest") for base in found.__mro__) else found

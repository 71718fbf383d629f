"""What was given to the other side and what was taken from it, by number; makes the mirrors.

The examiner's rules against lying objects, with `mirror` and `errors`:

- A mirror never equals plain data, whatever its `__eq__` says; two mirrors are compared by their owner.
- `__class__` is always the mirror class; what the other side says of it is not asked.
- An operation that shows the object an operand of ours and returns a verdict (`<`, `in`, arithmetic, `startswith`) is
  refused, unless the tests made the object: by calling a class that they took from the answer by a name that begins
  with a capital, or by operators on such objects. Then its behaviour is what is tested. What the answer hands over as
  a result is no such object, be it of that class or the very same one: else `abs(circle.area() - 3.14) < 1e-2` would
  be true of an `area` that returns `self` and a `__sub__` that lies. A result of an operator that was shown an
  operand of ours becomes no number.
- Exceptions arrive as built-in classes, as those of the standard library (never unittest's), or as local mirrors that
  derive from them. What is no `Exception` is raised as a `Fault`, which no `except Exception` holds; SystemExit may
  arrive as itself, for tests that expect it.
"""

import sys
import types
from collections.abc import Callable
from typing import Any

from coderm_slime.testing.guest.errors import error_class, instance, known_error
from coderm_slime.testing.guest.kinds import BUILTIN_CLASSES, BadValue
from coderm_slime.testing.guest.mirror import SPECIAL, WRAPPED, Mirror, MirrorMeta, compared, forwarded, nature

_NEVER_GIVEN = (types.ModuleType, types.FrameType, types.CodeType, types.TracebackType)


class Mirrors:
    """What was given to the other side, and what was taken from it.

    Args:
        ask: sends one operation on a mirror, and returns what the other side says.
        believes: whether mirrors are taken at their word; only the answer believes, it has nothing to lose.
    """

    def __init__(self, ask: Callable[..., Any], *, believes: bool) -> None:
        self.ask, self.believes = ask, believes
        self.trusted: set[type] = set()
        self._vouched: set[int | None] = set()
        self._shown: set[int | None] = set()  # results of operators that showed them an operand of ours
        self._given: list[Any] = []
        self._refs: dict[int, int] = {}
        self._taken: dict[int, Any] = {}
        self._back: dict[int, int] = {}  # id of what was taken, where it is no Mirror
        self._classes: dict[int, Any] = {}
        self._numbers: dict[int, int] = {}  # id of a mirror class -> its number at its owner
        self._own_classes: list[type] = []
        self._described: dict[int, list[Any]] = {}
        self._keep: list[Any] = []

    def must_trust(self, mirror: Any, name: str, *, plain: bool) -> None:
        """Raises TypeError: the operation would let an object judge its own test.

        Args:
            plain: whether the operation shows it an operand of ours.
        """
        ref = self._ref_of_taken(mirror)
        if not self.believes and (ref in self._shown or (plain and ref not in self._vouched)):
            raise TypeError(f"{name} on an object of the answer's class {type(mirror).__name__!r} is no plain result")

    def vouches_for(self, mirror: Any) -> bool:
        """Whether the tests made the object themselves, and the answer has not handed it over as a result since."""
        return self._ref_of_taken(mirror) in self._vouched

    def constructed(self, cls: type, value: Any) -> Any:
        """`value`, which the tests got by calling `cls`."""
        if isinstance(value, Mirror) and self.trusted.intersection(cls.__mro__) and isinstance(value, cls):
            self._vouched.add(self._ref_of_taken(value))
        return value

    def computed(self, value: Any, *, plain: bool) -> Any:
        """`value`, which an operator on an object of the tests' own making gave."""
        if isinstance(value, Mirror):
            self._vouched.add(self._ref_of_taken(value))
            if plain:
                self._shown.add(self._ref_of_taken(value))
        return value

    def give(self, value: Any) -> list[Any]:
        """The node of what crosses as a reference. Raises TypeError: it must not cross."""
        if (ref := self._ref_of_taken(value)) is not None:
            return ["yours", ref]
        if isinstance(value, BaseException):
            return ["exception", self._ref(value), self._describe(type(value))]
        if isinstance(value, _NEVER_GIVEN) and not self.believes:
            raise TypeError(f"a {type(value).__name__} does not cross to the answer")
        if isinstance(value, type):
            return ["class", self._ref(value), self._describe(value)]
        return ["mine", self._ref(value), self._describe(type(value)), nature(value)]

    def is_ours_to_return(self, value: Any) -> bool:
        return self._ref_of_taken(value) is not None

    def exception_parts(self, error: BaseException) -> list[Any]:
        """What an exception carries: arguments, public attributes and text, each as far as it crosses."""
        attributes = tuple((k, v) for k, v in vars(error).items() if k[:1] != "_")
        try:
            text = str(error)
        except Exception as failure:  # noqa: BLE001 - a program's own text of its exception may fail
            text = f"{type(failure).__name__} in __str__"
        return [tuple(error.args), attributes, text]

    def given(self, ref: int) -> Any:
        return self._given[ref]

    def take(self, node: list[Any], parts: list[Any]) -> Any:
        """What a reference node stands for here. Raises BadValue, or what a bad node runs into."""
        kind, ref = node[0], node[1]
        if type(ref) is not int or ref < 0:
            raise BadValue(f"{ref!r} is no reference")
        if kind == "yours":
            return self._given[ref]
        self._vouched.discard(ref)
        if ref not in self._taken:
            if kind == "class":
                made = self._class(node[2])
            elif kind == "exception":
                made = self._exception(self._class(node[2]), *parts)
            elif kind == "mine":
                made = self._mirror(ref, self._class(node[2]), node[3])
            else:
                raise BadValue(f"{kind!r} is no kind of node")
            self._taken[ref] = made
            self._back[id(made)] = ref
        return self._taken[ref]

    def _ref(self, value: Any) -> int:
        if id(value) not in self._refs:
            self._refs[id(value)] = len(self._given)
            self._given.append(value)
        return self._refs[id(value)]

    def _ref_of_taken(self, value: Any) -> int | None:
        if issubclass(type(value), Mirror):
            ref: int = object.__getattribute__(value, "_coderm_ref")
            return ref
        return self._back.get(id(value))

    def _describe(self, cls: type) -> Any:
        """A class as the other side needs it: its name if built in, its number there, or all that a mirror needs."""
        if BUILTIN_CLASSES.get(cls.__name__) is cls:
            return cls.__name__
        if id(cls) in self._numbers:
            return [self._numbers[id(cls)]]
        if id(cls) not in self._described:
            bases = [self._describe(base) for base in cls.__bases__ if _is_worth_naming(base)]
            special = [name for name in sorted(SPECIAL) if _defines(cls, name)]
            number = len(self._own_classes)
            self._own_classes.append(cls)
            self._described[id(cls)] = [number, str(cls.__name__), str(cls.__module__), bases, special]
        return self._described[id(cls)]

    def _class(self, description: Any) -> Any:
        if type(description) is str:
            return BUILTIN_CLASSES[description]
        if len(description) == 1:
            return self._own_classes[description[0]]
        number, name, module, bases, special = description
        if type(number) is not int or type(name) is not str or type(module) is not str:
            raise BadValue("a class with a bad description")
        if number not in self._classes:
            made = self._new_class(name, module, [self._class(base) for base in bases], special)
            self._classes[number] = made
            self._numbers[id(made)] = number
        return self._classes[number]

    def _new_class(self, name: str, module: str, bases: list[Any], special: list[Any]) -> Any:
        errors = tuple(base for base in bases if issubclass(base, BaseException))
        if errors:
            return known_error(name, module) or error_class(name, module, errors)
        names = {n for n in special if n in SPECIAL}
        body: dict[str, Any] = {n: forwarded(n) for n in names - {"__eq__", "__ne__"}}
        body |= {n: compared(n) for n in names & {"__eq__", "__ne__"}}
        if "__eq__" in names and "__hash__" not in names:
            body["__hash__"] = None
        elif "__hash__" not in names:
            body["__hash__"] = Mirror.__hash__
        body |= {"__slots__": (), "__module__": module, "_coderm_owner": self}
        mirrors = tuple(base for base in bases if isinstance(base, MirrorMeta)) or (Mirror,)
        try:
            return type.__new__(MirrorMeta, name, mirrors, body)
        except TypeError:  # no consistent order of bases
            return type.__new__(MirrorMeta, name, (Mirror,), body)

    def _mirror(self, ref: int, cls: Any, nature: Any) -> Any:
        if not isinstance(cls, MirrorMeta):
            raise BadValue("an object of a built-in class that crosses by value")
        mirror: Any = object.__new__(cls)  # type: ignore[arg-type]
        object.__setattr__(mirror, "_coderm_ref", ref)
        if nature in WRAPPED:
            self._keep.append(mirror)
            return WRAPPED[nature](self, mirror)
        return mirror

    def _exception(self, cls: Any, args: Any, attributes: Any, text: Any) -> BaseException:
        if not issubclass(cls, BaseException) or type(args) is not tuple or type(text) is not str:
            raise BadValue("an exception with a bad description")
        error = instance(cls, args)
        if getattr(cls, "_coderm_mirror", False):
            error._coderm_text = text  # type: ignore[attr-defined]
        for name, value in attributes:
            if type(name) is str and name[:1] != "_" and not hasattr(type(error), name):
                setattr(error, name, value)
        return error


def _is_worth_naming(base: type) -> bool:
    if issubclass(base, BaseException):
        return True
    return base is not object and base.__module__.partition(".")[0] not in sys.stdlib_module_names


def _defines(cls: type, name: str) -> bool:
    found = getattr(cls, name, None)
    if found is None:
        return False
    own = getattr(cls, "__mro__", (cls,))
    holder = next((base for base in own if name in vars(base)), None)
    return holder is not None and not (holder is object and name in vars(object))

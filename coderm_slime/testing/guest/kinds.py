"""The plain types that cross by value: how each one is taken apart and built again.

Subclasses of these types cross as their plain base value, so what comes out of a frame has exactly the type that is
named here: a lying `__eq__` stays behind. A named tuple stays one (it has its field names, and no behaviour). Numbers
and arrays of numpy cross as numbers, and as arrays where the receiver has numpy. Enum members, matches, files and all
else cross as references (`mirrors`).
"""

import array
import builtins
import collections
import datetime
import decimal
import fractions
import operator
import pathlib
import sys
from collections.abc import Callable
from typing import Any

LARGEST_PLAIN_INT = 2**62  # larger ones cross as hexadecimal text: decimal text is slow, and limited to 4,300 digits
BUILTIN_CLASSES = {name: value for name, value in vars(builtins).items() if isinstance(value, type)}


class BadValue(Exception):
    """What was received describes no value."""


# Mutable: kind -> (type, how to make an empty one from a parameter, how to take it apart, how to fill it)
def _pairs(value: Any) -> list[Any]:
    return [part for pair in dict.items(value) for part in pair]


def _fill_dict(value: dict[Any, Any], parts: list[Any]) -> None:
    dict.clear(value)
    for key, item in zip(parts[::2], parts[1::2], strict=True):
        dict.__setitem__(value, key, item)


def _fill_ordered(value: Any, parts: list[Any]) -> None:
    value.clear()
    value.update(zip(parts[::2], parts[1::2], strict=True))


def _fill_list(value: list[Any], parts: list[Any]) -> None:
    value[:] = parts


def _fill_set(value: set[Any], parts: list[Any]) -> None:
    """Filled so that it has the original's order, if one of the two usual ways of making a set gives that."""
    value.clear()
    value.update(parts)
    if not all(map(operator.is_, value, parts)):
        value.clear()
        value.update(set(parts))


def _fill_deque(value: Any, parts: list[Any]) -> None:
    value.clear()
    value.extend(parts)


Maker = Callable[[Any], Any]
MUTABLE: dict[str, tuple[type, Maker, Callable[[Any], list[Any]], Callable[[Any, list[Any]], None]]] = {
    "list": (list, lambda _: [], lambda v: list.__getitem__(v, slice(None)), _fill_list),
    "set": (set, lambda _: set(), lambda v: list(set.__iter__(v)), _fill_set),
    "bytearray": (bytearray, lambda _: bytearray(), lambda v: list(bytearray.__iter__(v)), _fill_list),
    "deque": (
        collections.deque,
        lambda maxlen: collections.deque(maxlen=maxlen),
        lambda v: list(collections.deque.__iter__(v)),
        _fill_deque,
    ),
    "array": (array.array, lambda code: array.array(code), lambda v: list(v), lambda v, p: _fill_array(v, p)),
    "counter": (collections.Counter, lambda _: collections.Counter(), _pairs, _fill_dict),
    "defaultdict": (
        collections.defaultdict,
        lambda _: collections.defaultdict(),
        lambda v: [v.default_factory, *_pairs(v)],
        lambda v, p: _fill_default(v, p),
    ),
    "ordered": (
        collections.OrderedDict,
        lambda _: collections.OrderedDict(),
        lambda v: [part for pair in collections.OrderedDict.items(v) for part in pair],
        _fill_ordered,
    ),
    "dict": (dict, lambda _: {}, _pairs, _fill_dict),
}


def _fill_default(value: Any, parts: list[Any]) -> None:
    value.default_factory = parts[0]
    _fill_dict(value, parts[1:])


def _fill_array(value: Any, parts: list[Any]) -> None:
    value[:] = array.array(value.typecode, parts)


def parameter(value: Any) -> Any:
    """What an empty container of this kind needs to know."""
    if isinstance(value, collections.deque):
        return value.maxlen
    return value.typecode if isinstance(value, array.array) else None


# Immutable without parts: kind -> (type, value to JSON, JSON to value)
def _zone(value: datetime.tzinfo | None) -> Any:
    if value is None or not isinstance(value, datetime.timezone):
        return None
    return _micros(value.utcoffset(None))


def _micros(value: datetime.timedelta) -> int:
    return (value.days * 86_400 + value.seconds) * 10**6 + value.microseconds


def _of_zone(micros: Any) -> datetime.timezone | None:
    return None if micros is None else datetime.timezone(datetime.timedelta(microseconds=micros))


def _clock(value: Any) -> list[Any]:
    return [value.hour, value.minute, value.second, value.microsecond, _zone(value.tzinfo), value.fold]


def _of_datetime(p: list[Any]) -> datetime.datetime:
    moment = datetime.datetime(*p[:7])
    return moment.replace(tzinfo=_of_zone(p[7]), fold=p[8])


ATOMS: dict[str, tuple[type, Callable[[Any], Any], Maker]] = {
    "int": (int, lambda v: hex(int.__add__(v, 0)), lambda p: int(p, 16)),
    "str": (str, lambda v: str.encode(v, "utf-32-le", "surrogatepass").hex(), lambda p: _text(p)),
    "float": (float, lambda v: float.__float__(v), lambda p: float(p)),
    "complex": (complex, lambda v: [v.real, v.imag], lambda p: complex(*p)),
    "bytes": (bytes, lambda v: bytes.hex(v), lambda p: bytes.fromhex(p)),
    "range": (range, lambda v: [hex(v.start), hex(v.stop), hex(v.step)], lambda p: range(*(int(n, 16) for n in p))),
    "ellipsis": (type(...), lambda v: 0, lambda p: ...),
    "not_implemented": (type(NotImplemented), lambda v: 0, lambda p: NotImplemented),
    "decimal": (decimal.Decimal, lambda v: decimal.Decimal.__str__(v), lambda p: decimal.Decimal(p)),
    "fraction": (
        fractions.Fraction,
        lambda v: [hex(v.numerator), hex(v.denominator)],
        lambda p: fractions.Fraction(*(int(n, 16) for n in p)),
    ),
    "datetime": (datetime.datetime, lambda v: [v.year, v.month, v.day, *_clock(v)], _of_datetime),
    "date": (datetime.date, lambda v: [v.year, v.month, v.day], lambda p: datetime.date(*p)),
    "time": (
        datetime.time,
        _clock,
        lambda p: datetime.time(*p[:4]).replace(tzinfo=_of_zone(p[4]), fold=p[5]),
    ),
    "timedelta": (datetime.timedelta, _micros, lambda p: datetime.timedelta(microseconds=p)),
    "timezone": (datetime.timezone, lambda v: _zone(v), _of_zone),
    "path": (pathlib.PurePath, lambda v: [isinstance(v, pathlib.Path), str(v)], lambda p: _path(*p)),
}


def _text(coded: str) -> str:
    return bytes.fromhex(coded).decode("utf-32-le", "surrogatepass")


def _path(real: bool, text: str) -> pathlib.PurePath:
    return pathlib.Path(text) if real else pathlib.PurePath(text)


_EXACT = {
    **{facts[0]: kind for kind, facts in ATOMS.items()},
    **{facts[0]: kind for kind, facts in MUTABLE.items()},
    tuple: "tuple",
    frozenset: "frozenset",
    slice: "slice",
}
_BASES = [(facts[0], kind) for table in (ATOMS, MUTABLE) for kind, facts in table.items()]
_BASES += [(tuple, "tuple"), (frozenset, "frozenset")]


def kind_of(value: Any) -> str | None:
    """The kind under which a value crosses; None if it crosses as a reference."""
    cls = type(value)
    if found := _EXACT.get(cls):
        return found
    if cls.__module__ == "numpy":
        return _numpy_kind(value)
    mro = type.__dict__["__mro__"].__get__(cls)
    for base, kind in _BASES:
        if base in mro:
            return "namedtuple" if kind == "tuple" and _is_named(cls) else kind
    if cls is type and BUILTIN_CLASSES.get(value.__name__) is value:
        return "builtin"
    return None


def _is_named(cls: Any) -> bool:
    fields = getattr(cls, "_fields", None)
    return type(fields) is tuple and all(type(field) is str for field in fields)


def _numpy_kind(value: Any) -> str | None:
    dtype = getattr(value, "dtype", None)
    if dtype is None or getattr(dtype, "kind", "") not in "biuf" or isinstance(value, type):
        return None
    return "ndarray" if hasattr(value, "reshape") and type(value).__name__ == "ndarray" else "number"


def array_of(code: Any, shape: Any, numbers: list[Any]) -> Any:
    """A numpy array; the plain list where numpy is not installed."""
    if "numpy" not in sys.modules:
        try:
            __import__("numpy")
        except ImportError:
            return numbers
    numpy = sys.modules["numpy"]
    if numpy.dtype(code).kind not in "biuf":
        raise BadValue("an array of other things than numbers")
    return numpy.array(numbers, dtype=code).reshape(shape)


def named_tuple(name: Any, fields: list[Any], parts: list[Any]) -> Any:
    """A named tuple of a class of its own; the library checks the names."""
    if type(name) is not str or not all(type(field) is str for field in fields):
        raise BadValue("names that are no text")
    key = (name, tuple(fields))
    if key not in _named:
        _named[key] = collections.namedtuple(name, fields)
    return _named[key](*parts)


_named: dict[tuple[str, tuple[str, ...]], Any] = {}

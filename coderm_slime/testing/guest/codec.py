"""Values to JSON nodes and back, shared references and cycles included; changes of mutable values travel both ways.

A message is a table of nodes, so neither depth nor cycles need recursion. A list, dict or other mutable container
that crosses is linked: both sides keep it under one handle, and each message carries the new contents of those that
changed since the last one. So a list sorted in place is sorted on the other side, and `node.items.append(x)` reaches
its owner. Links end when a call is over and the budget is full; from then on that value is a copy.

Nothing is unpickled, and decoding builds only the types of `kinds` and the references of `mirrors`.
"""

from typing import Any, Protocol

from coderm_slime.testing.guest.kinds import (
    ATOMS,
    BUILTIN_CLASSES,
    LARGEST_PLAIN_INT,
    MUTABLE,
    BadValue,
    array_of,
    kind_of,
    named_tuple,
    parameter,
)

LINKED_PARTS = 4096  # elements that stay linked between calls: each message looks at all of them, some 0.1 ms
_PLAIN = (type(None), bool, float)
_WITH_PARTS = ("tuple", "frozenset", "slice", "namedtuple", "exception")


class References(Protocol):
    """What the codec asks of `mirrors`: how to name what does not cross by value."""

    def give(self, value: Any) -> list[Any]: ...
    def take(self, node: list[Any], parts: list[Any]) -> Any: ...
    def exception_parts(self, error: BaseException) -> list[Any]: ...
    def is_ours_to_return(self, value: Any) -> bool: ...


class _Link:
    """A mutable value that both sides have, and what it held when they last agreed."""

    def __init__(self, kind: str, value: Any, parts: list[Any]) -> None:
        self.kind, self.value, self.parts, self.size = kind, value, parts, len(parts)

    def now(self) -> list[Any] | None:
        """Its contents if they have changed, else None."""
        parts = MUTABLE[self.kind][2](self.value)
        if len(parts) == len(self.parts) and all(map(_is, parts, self.parts)):
            return None
        return parts


def _is(first: Any, second: Any) -> bool:
    return first is second


class Codec:
    """One side's coder. `first_handle` is 0 on one side and 1 on the other, so that handles never meet."""

    def __init__(self, references: References, first_handle: int) -> None:
        self._references = references
        self._next, self._parity = first_handle, first_handle
        self._links: dict[int, _Link] = {}
        self._handles: dict[int, int] = {}  # id of a linked value -> handle

    def pack(self, value: Any) -> dict[str, Any]:
        """`value` and every change since the last message, as the fields of a message."""
        changed = {handle: parts for handle, link in self._links.items() if (parts := link.now()) is not None}
        return _Packing(self, changed).message(value)

    def unpack(self, message: dict[str, Any]) -> Any:
        """The value of a message, after its changes were made here.

        Raises:
            BadValue: the message describes no value.
        """
        try:
            return self._unpack(message["nodes"], message["root"])
        except (TypeError, ValueError, LookupError, ArithmeticError, AttributeError) as error:
            raise BadValue(f"{type(error).__name__}: {error}") from None

    def forget(self) -> None:
        """End the oldest links that are over the budget; both sides call it at the same point."""
        size = sum(link.size + 1 for link in self._links.values())
        for handle in list(self._links):
            if size <= LINKED_PARTS:
                return
            link = self._links.pop(handle)
            del self._handles[id(link.value)]
            size -= link.size + 1

    def agree(self, handle: int, kind: str, value: Any, parts: list[Any]) -> None:
        """From now on both sides have `value` under `handle`, with these contents."""
        if known := self._links.get(handle):
            known.parts = parts
        else:
            self._links[handle] = _Link(kind, value, parts)
            self._handles[id(value)] = handle

    def handle_of(self, value: Any) -> int | None:
        return self._handles.get(id(value))

    def new_handle(self) -> int:
        self._next += 2
        return self._next

    def _unpack(self, nodes: list[Any], root: Any) -> Any:
        built: list[Any] = [self._emptied(node) for node in nodes]

        def part(item: Any) -> Any:
            return built[item[0]] if type(item) is list else item

        for place, node in enumerate(nodes):
            if node[0] not in MUTABLE and node[0] != "same":
                built[place] = self._fixed(node, [part(item) for item in node[-1]] if node[0] in _WITH_PARTS else [])
        for place, node in enumerate(nodes):
            if node[0] in MUTABLE:
                parts = [part(item) for item in node[3]]
                MUTABLE[node[0]][3](built[place], parts)
                self.agree(node[1], node[0], built[place], MUTABLE[node[0]][2](built[place]))
        return part(root)

    def _emptied(self, node: list[Any]) -> Any:
        """The container that a mutable node is about; None for all others, which are built later."""
        if node[0] == "same":
            return self._links[node[1]].value
        if node[0] not in MUTABLE:
            return None
        kind, handle, given = node[0], node[1], node[2]
        if known := self._links.get(handle):
            if known.kind != kind:
                raise BadValue("a linked value that changes its type")
            return known.value
        if type(handle) is not int or handle % 2 == self._parity % 2:
            raise BadValue(f"{handle!r} is no handle of the other side")
        return MUTABLE[kind][1](given)

    def _fixed(self, node: list[Any], parts: list[Any]) -> Any:
        kind = node[0]
        if kind in ATOMS:
            return ATOMS[kind][2](node[1])
        if kind == "tuple":
            return tuple(parts)
        if kind == "frozenset":
            return frozenset(parts)
        if kind == "slice":
            return slice(*parts)
        if kind == "namedtuple":
            return named_tuple(node[1], node[2], parts)
        if kind == "number" and type(node[1]) in (int, float, bool):
            return node[1]
        if kind == "ndarray":
            return array_of(node[1], node[2], node[3])
        if kind == "builtin":
            return BUILTIN_CLASSES[node[1]]
        return self._references.take(node, parts)


class _Packing:
    """One message in the making: first all nodes are found, then each is written with the places of its parts."""

    def __init__(self, codec: Codec, changed: dict[int, list[Any]]) -> None:
        self._codec, self._changed = codec, changed
        self._places: dict[int, int] = {}
        self._found: list[tuple[str | None, Any, list[Any]]] = []
        self._agreements: list[tuple[int, str, Any, list[Any]]] = []

    def message(self, root: Any) -> dict[str, Any]:
        links = [self._codec._links[handle].value for handle in self._changed]
        for value in [*links, root]:
            self._walk(value)
        nodes = [self._node(kind, value, parts) for kind, value, parts in self._found]
        for agreement in self._agreements:  # only now that nothing can fail: the other side will see the message
            self._codec.agree(*agreement)
        return {"nodes": nodes, "root": self._item(root)}

    def _walk(self, root: Any) -> None:
        """Places in an order in which what cannot be filled later comes after its parts."""
        stack: list[tuple[Any, tuple[str | None, list[Any]] | None]] = [(root, None)]
        while stack:
            value, ready = stack.pop()
            if id(value) in self._places or _is_plain(value):
                continue
            kind, parts = ready or self._taken_apart(value)
            if kind in _WITH_PARTS and ready is None:
                stack.append((value, (kind, parts)))
            else:
                self._places[id(value)] = len(self._found)
                self._found.append((kind, value, parts))
            if ready is None:
                stack += [(part, None) for part in reversed(parts) if not _is_plain(part)]

    def _taken_apart(self, value: Any) -> tuple[str | None, list[Any]]:
        kind = kind_of(value)
        if kind in MUTABLE:
            handle = self._codec.handle_of(value)
            if handle is None:
                return kind, MUTABLE[kind][2](value)
            return (kind, self._changed[handle]) if handle in self._changed else ("same", [])
        if kind in ("tuple", "namedtuple"):
            return kind, list(tuple.__iter__(value))
        if kind == "frozenset":
            return kind, list(frozenset.__iter__(value))
        if kind == "slice":
            return kind, [value.start, value.stop, value.step]
        references = self._codec._references
        if kind is None and isinstance(value, BaseException) and not references.is_ours_to_return(value):
            return "exception", references.exception_parts(value)
        return kind, []

    def _item(self, value: Any) -> Any:
        return value if _is_plain(value) else [self._places[id(value)]]

    def _node(self, kind: str | None, value: Any, parts: list[Any]) -> list[Any]:
        if kind == "same":
            return ["same", self._codec.handle_of(value)]
        items = [part if _is_plain(part) else [self._places[id(part)]] for part in parts]
        if kind in MUTABLE:
            return [kind, self._agreed(kind, value, parts), parameter(value), items]
        if kind == "namedtuple":
            return [kind, type(value).__name__, list(type(value)._fields), items]
        if kind in ("tuple", "frozenset", "slice"):
            return [kind, items]
        if kind in ATOMS:
            return [kind, ATOMS[kind][1](value)]
        if kind == "number":
            return [kind, value.item()]
        if kind == "ndarray":
            return [kind, value.dtype.str, list(value.shape), value.reshape(-1).tolist()]
        if kind == "builtin":
            return [kind, value.__name__]
        return [*self._codec._references.give(value), items]

    def _agreed(self, kind: str, value: Any, parts: list[Any]) -> int:
        handle = self._codec.handle_of(value)
        if handle is None:
            handle = self._codec.new_handle()
        self._agreements.append((handle, kind, value, parts))
        return handle


def _is_plain(value: Any) -> bool:
    """Whether JSON itself holds the value exactly."""
    cls = type(value)
    if cls is int:
        return bool(-LARGEST_PLAIN_INT < value < LARGEST_PLAIN_INT)
    if cls is str:
        return bool(value.isascii() or not any("\ud800" <= char <= "\udfff" for char in value))
    return cls in _PLAIN

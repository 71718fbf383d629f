"""Output in a fixed piece of memory: its head, then a ring that holds its tail."""


class Capped:
    """Keeps the first half and the last half of `view` of all that is added; `total` counts all of it."""

    def __init__(self, view: memoryview) -> None:
        self._view = view
        self._head = len(view) // 2
        self._ring = len(view) - self._head
        self.total = 0

    def add(self, data: memoryview) -> None:
        """Append `data`."""
        room = self._head - self.total
        if room > 0:
            part = data[:room]
            self._view[self.total : self.total + len(part)] = part
            self.total += len(part)
            data = data[room:]
        skipped = max(len(data) - self._ring, 0)
        self.total += skipped
        self._add_to_ring(data[skipped:])

    def _add_to_ring(self, data: memoryview) -> None:
        while data:
            at = (self.total - self._head) % self._ring
            part = data[: self._ring - at]
            self._view[self._head + at : self._head + at + len(part)] = part
            self.total += len(part)
            data = data[len(part) :]


def kept(block: bytes | memoryview, total: int) -> tuple[bytes, int, bytes]:
    """Head, number of bytes left out, tail of what a `Capped` over `block` was given."""
    size, head = len(block), len(block) // 2
    if total <= size:
        return bytes(block[:total]), 0, b""
    at = (total - head) % (size - head)
    return bytes(block[:head]), total - size, b"".join((block[head + at :], block[head : head + at]))


def as_text(head: bytes, skipped: int, tail: bytes) -> str:
    """What `kept` returned, invalid UTF-8 replaced, with a line in the middle where something was left out."""
    middle = f"\n[{skipped} bytes left out]\n" if skipped else ""
    return head.decode("utf-8", "replace") + middle + tail.decode("utf-8", "replace")

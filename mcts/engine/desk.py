"""Hands out open problems one by one, and takes results: each is on disk when `record` returns.

Commits are made in groups by one thread of its own, so the event loop does not wait for the disk.
"""

import asyncio
from collections import Counter, deque
from collections.abc import Iterable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from typing import Protocol

from mcts.engine.journal import Journal
from mcts.engine.rows import Entry, Work


class Desk(Protocol):
    """Where a course gets its problem, and leaves what it did."""

    async def next(self) -> Work | None:
        """The next problem; None when all are handed out."""

    async def record(self, entry: Entry) -> None:
        """Keep a result. Raises JournalError."""


@dataclass
class Tally:
    """What this process has done so far, for people to look at.

    Attributes:
        waiting: problems that nobody has begun.
        ended: problems by state; reasons: of those without a tree; steps: results by step.
    """

    waiting: int = 0
    under_way: int = 0
    ended: Counter[str] = field(default_factory=Counter)
    reasons: Counter[str] = field(default_factory=Counter)
    steps: Counter[str] = field(default_factory=Counter)
    failed_rollouts: Counter[str] = field(default_factory=Counter)

    def count(self, entry: Entry) -> None:
        """Take an entry that is on disk into account."""
        if entry.step:
            self.steps[entry.step] += 1
        for name, amount in entry.spent.items():
            if ".failed." in name:
                self.failed_rollouts[name.replace(".failed.", ": ")] += int(amount)
        if entry.ending:
            self.ended[entry.ending.state] += 1
            if entry.ending.reason:
                self.reasons[entry.ending.reason] += 1


class LocalDesk:
    """The desk of a journal in this process. Use as `async with`.

    Args:
        keys: of the problems to hand out, in order.
    """

    def __init__(self, journal: Journal, keys: Iterable[str], tally: Tally) -> None:
        self._journal, self._keys, self._tally = journal, deque(keys), tally
        tally.waiting = len(self._keys)
        self._thread = ThreadPoolExecutor(1, "journal")
        self._waiting: list[tuple[Entry, asyncio.Future[None]]] = []
        self._writing = False

    async def __aenter__(self) -> "LocalDesk":
        return self

    async def __aexit__(self, *_: object) -> None:
        await asyncio.to_thread(self._thread.shutdown)

    async def next(self) -> Work | None:
        """See `Desk`."""
        if not self._keys:
            return None
        key = self._keys.popleft()
        self._tally.waiting = len(self._keys)
        return await asyncio.get_running_loop().run_in_executor(self._thread, self._journal.work, key)

    async def record(self, entry: Entry) -> None:
        """See `Desk`. Once begun, an entry is written also if the caller is cancelled."""
        written: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._waiting.append((entry, written))
        if not self._writing:
            self._writing = True
            self._write_group()
        await written

    def _write_group(self) -> None:
        group, self._waiting = self._waiting, []
        entries = [entry for entry, _ in group]
        loop = asyncio.get_running_loop()
        task = loop.run_in_executor(self._thread, self._journal.write, entries)
        task.add_done_callback(lambda done: self._written(group, done))

    def _written(self, group: list[tuple[Entry, asyncio.Future[None]]], done: "asyncio.Future[None]") -> None:
        error = done.exception()
        for entry, written in group:
            if error is None:
                self._tally.count(entry)
            if written.done():  # its caller was cancelled
                continue
            if error is None:
                written.set_result(None)
            else:
                written.set_exception(error)
        self._writing = bool(self._waiting)
        if self._waiting:
            self._write_group()

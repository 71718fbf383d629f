"""A program's output as it comes: its head and its tail are kept, all of it is counted."""

from typing import TypedDict

from coderm_slime.sandbox.inside.capped import Capped, as_text, kept
from coderm_slime.sandbox.program import Limits


class _Fields(TypedDict):
    stdout: str
    stderr: str
    log: str
    stdout_truncated: bool
    stderr_truncated: bool
    log_truncated: bool


class OutputFull(Exception):
    """More was written than `Limits.max_output_bytes`."""


class Output:
    """Takes what a program writes, within `limits`."""

    def __init__(self, limits: Limits) -> None:
        self._most = limits.max_output_bytes
        self._blocks = [bytearray(limits.output_bytes) for _ in range(3)]
        self._capped = [Capped(memoryview(block)) for block in self._blocks]

    def add(self, to_stderr: bool, data: bytes) -> None:
        """Take `data`.

        Raises:
            OutputFull: that is more than may be written.
        """
        for part in (self._capped[to_stderr], log := self._capped[2]):
            part.add(memoryview(data))
        if log.total > self._most:
            raise OutputFull

    def fields(self) -> _Fields:
        """The fields of a `Result` that tell the output."""
        parts = [kept(bytes(block), capped.total) for block, capped in zip(self._blocks, self._capped, strict=True)]
        texts, cut = [as_text(*part) for part in parts], [part[1] > 0 for part in parts]
        return {
            "stdout": texts[0],
            "stderr": texts[1],
            "log": texts[2],
            "stdout_truncated": cut[0],
            "stderr_truncated": cut[1],
            "log_truncated": cut[2],
        }

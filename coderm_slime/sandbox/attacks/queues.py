"""A message queue and a semaphore of System V for an attempt to harm. Needs nothing but the C library."""

import ctypes
import random

_FOR_ALL, _CREATE = 0o666, 0o1000
_REMOVE, _GET_VALUE = 0, 12
_C = ctypes.CDLL(None, use_errno=True)


class Queues:
    """Both, made; they stay until `remove`.

    Attributes:
        queue, semaphore: their ids, -1 where the machine gives none.
    """

    def __init__(self) -> None:
        key = random.randrange(1 << 30)
        self.queue: int = _C.msgget(key, _CREATE | _FOR_ALL)
        self.semaphore: int = _C.semget(key, 1, _CREATE | _FOR_ALL)

    def state(self) -> tuple[bool, int]:
        """Whether the queue is there, and the semaphore's value."""
        status = ctypes.create_string_buffer(512)
        return _C.msgctl(self.queue, 2, status) == 0, _C.semctl(self.semaphore, 0, _GET_VALUE)

    def remove(self) -> None:
        """Remove both. What is gone already stays so."""
        _C.msgctl(self.queue, _REMOVE, None)
        _C.semctl(self.semaphore, 0, _REMOVE)

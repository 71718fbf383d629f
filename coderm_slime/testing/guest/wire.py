"""Length-prefixed JSON frames over a socket, bounded in size. Knows nothing of what they say."""

import json
import socket
from typing import Any

MAX_FRAME_BYTES = 16 * 2**20  # a list of a million numbers; more than that is no test's value
_HEADER_BYTES = 4


class WireError(Exception):
    """The other side closed, or what it sent is no frame."""


class Wire:
    """One end of a connection that carries JSON objects."""

    def __init__(self, sock: socket.socket) -> None:
        self._socket = sock

    def send(self, message: dict[str, Any]) -> None:
        """Raises WireError: the message is over the bound, or the other side is gone."""
        body = json.dumps(message, separators=(",", ":")).encode()
        if len(body) > MAX_FRAME_BYTES:
            raise WireError(f"a value of {len(body)} bytes is over the {MAX_FRAME_BYTES} that may cross")
        try:
            self._socket.sendall(len(body).to_bytes(_HEADER_BYTES, "big") + body)
        except OSError as error:
            raise WireError(f"the other side is gone ({error})") from None

    def receive(self) -> dict[str, Any]:
        """The next frame. Raises WireError: the connection ended, or the frame is too large or no JSON object."""
        size = int.from_bytes(self._exactly(_HEADER_BYTES), "big")
        if size > MAX_FRAME_BYTES:
            raise WireError(f"a frame of {size} bytes is over the {MAX_FRAME_BYTES} that may cross")
        try:
            message = json.loads(self._exactly(size))
        except (ValueError, RecursionError) as error:
            raise WireError(f"a frame that is no JSON ({type(error).__name__})") from None
        if type(message) is not dict:
            raise WireError("a frame that is no JSON object")
        return message

    def _exactly(self, size: int) -> bytes:
        parts = []
        while size:
            try:
                part = self._socket.recv(min(size, 2**20))
            except OSError as error:
                raise WireError(f"the connection broke ({error})") from None
            if not part:
                raise WireError("the connection ended")
            parts.append(part)
            size -= len(part)
        return b"".join(parts)

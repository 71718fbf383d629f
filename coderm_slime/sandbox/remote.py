"""Programs run by a service over HTTP: `coderm sandbox serve` on another host, or SandboxFusion.

A request is sent again only where it is sure that nothing ran: no connection came about, or the service was busy and
said when to come again (429 or 5xx with Retry-After). Every other failure may have come after the program ran, and is
a SandboxError that says so. Never run against a real SandboxFusion; see `coderm_slime.sandbox.fusion` for what was
read, and `result_in` there for what its replies do not tell. By its source, a program that prints more there than
pipes hold (some 100 KiB) ends as a timeout, and output that is not UTF-8 is replaced by a text of the service.
"""

import asyncio
import sys
from collections.abc import Sequence
from typing import Any

import aiohttp

from coderm_slime.http import HttpClient, HttpError, Server
from coderm_slime.sandbox.backend import only_one, token_in_environment
from coderm_slime.sandbox.fusion import RUN_PATH, FormError, request_for, result_in
from coderm_slime.sandbox.program import Program, Result, SandboxError
from coderm_slime.sandbox.server import Layer
from coderm_slime.settings.sandbox import SandboxSettings

_OPEN_S = 15.0  # for a service that is just starting
_DAY_S = 86400.0  # one request is bounded by its run's deadline, not by the client's


class RemoteSandbox:
    """Runs programs at `settings.url`, `size` at a time. Use as `async with`, in one event loop.

    Attributes:
        size: `settings.workers`, else the workers that the service says it has, else one for each processor here.
        layers: what the service says of itself; nothing, if it is not ours.
        ours: whether it is `coderm sandbox serve`.
    """

    def __init__(self, settings: SandboxSettings) -> None:
        if settings.url is None:
            raise SandboxError("sandbox.url is not set: it names the service that runs programs")
        self._settings, self._url = settings, settings.url
        self.size = settings.pool_size
        self.layers: tuple[Layer, ...] = ()
        self.ours = False
        self._client: HttpClient | None = None

    async def __aenter__(self) -> "RemoteSandbox":
        """Ask the service what it is.

        Raises:
            SandboxError: there is none at that address.
        """
        self._client = HttpClient(attempts=sys.maxsize, attempt_s=_DAY_S)
        server = Server(self._url, 1, token_in_environment(self._settings))
        try:
            await self._ask(server, "/v1/ping")
            self._learn(await self._ask(server, "/info"))
        except HttpError as error:
            await self.__aexit__()
            raise SandboxError(f"no sandbox service that can be used: {error}") from error
        except BaseException:
            await self.__aexit__()
            raise
        self._server = Server(self._url, self.size, token_in_environment(self._settings))
        if not self.ours:  # uvicorn closes idle connections after 5 s: a request on such a one would fail in doubt
            self._server.headers["Connection"] = "close"
        self._turns = asyncio.Semaphore(self.size)
        return self

    async def __aexit__(self, *_: object) -> None:
        """Hang up, which ends what our own server runs for us."""
        client, self._client = self._client, None
        if client is not None:
            await client.close()

    async def run(self, program: Program) -> Result:
        """Run one program, when its turn comes, once.

        Raises:
            SandboxError: the service failed or refused, or cannot run such a program: no verdict on the program.
        """
        if self._client is None:
            raise SandboxError("the sandbox is not open: use it as `async with open_sandbox(settings) as sandbox`")
        body = request_for(program, self.ours)
        async with self._turns:
            return await self._send(self._client, body, program.limits.wall_s + self._settings.wait_s)

    async def run_together(self, programs: Sequence[Program]) -> list[Result]:
        """Run one program; several are refused.

        Raises:
            SandboxError: as `run`.
        """
        return [await self.run(only_one(programs, "http"))]

    async def _send(self, client: HttpClient, body: dict[str, Any], deadline_s: float) -> Result:
        in_doubt = False

        async def attempt(server: Server) -> Result:
            nonlocal in_doubt
            in_doubt = True
            try:
                return await client.request(server, "POST", RUN_PATH, body, result_in)
            except HttpError as error:
                in_doubt = not _ran_nothing(error)
                if in_doubt:
                    raise _doubtful(error) from error
                raise
            except FormError as error:
                raise SandboxError(f"the service's reply cannot be read, its result is lost: {error}") from error

        try:
            return await client.call([self._server], attempt, deadline_s)
        except HttpError as error:
            if in_doubt:
                raise _doubtful(error) from error
            raise SandboxError(f"the program was not run: {error}") from error

    async def _ask(self, server: Server, path: str) -> Any:
        """The reply, or None where the service, though well, does not know that path."""
        client = self._client
        assert client is not None

        async def attempt(server: Server) -> Any:
            return await client.request(server, "GET", path, None, lambda reply: reply)

        try:
            return await client.call([server], attempt, _OPEN_S)
        except HttpError as error:
            if error.kind == "rejected" and path == "/info":
                return None
            raise

    def _learn(self, info: Any) -> None:
        if info is None:
            return
        try:
            workers, layers = int(info["workers"]), tuple(Layer(**layer) for layer in info["layers"])
        except (TypeError, KeyError, ValueError) as error:
            raise SandboxError(f"{self._url}/info is not what `coderm sandbox serve` says: {error}") from error
        self.ours, self.layers = True, layers
        self.size = self._settings.workers or max(workers, 1)


def _ran_nothing(error: HttpError) -> bool:
    """Whether a failed request certainly ran no program."""
    never_connected = isinstance(error.__cause__, aiohttp.ClientConnectorError)
    asked_to_wait = error.kind == "server_error" and error.retry_after_s > 0
    return never_connected or asked_to_wait or error.kind == "rejected"


def _doubtful(error: HttpError) -> SandboxError:
    return SandboxError(f"the program may have run, its result is lost, and it is not run again: {error}")

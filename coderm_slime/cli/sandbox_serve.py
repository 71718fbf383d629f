"""`coderm sandbox serve`."""

import ipaddress
import socket
from typing import Annotated

import typer

from coderm_slime.cli.root import GROUPS
from coderm_slime.errors import CodermError

_GOODBYE_S = 5.0  # runs under way at SIGTERM get this long


@GROUPS["sandbox"].command("serve")
def sandbox_serve(
    host: Annotated[
        str, typer.Option(help="Address to listen on; others than loopback open it to the network.")
    ] = "127.0.0.1",
    port: Annotated[int, typer.Option(min=0, max=65535, help="0 takes a free port and prints it.")] = 8080,
    workers: Annotated[
        int | None, typer.Option(min=1, help="Programs at the same time; by default sandbox.workers.")
    ] = None,
    queue: Annotated[int, typer.Option(min=0, help="Requests that may wait beyond those; more get 503.")] = 256,
) -> None:
    """Serve this machine's sandbox over HTTP, in the form of SandboxFusion's /run_code.

    The variable that sandbox.api_key_variable names (CODERM_SANDBOX_API_KEY) holds the token that clients must send;
    without it everybody who reaches the address may run programs.
    """
    from aiohttp import web

    from coderm_slime.sandbox.backend import open_sandbox, token_in_environment
    from coderm_slime.sandbox.service import sandbox_app
    from coderm_slime.settings import load_settings

    settings = load_settings(options={"sandbox": {"workers": workers}} if workers else None).sandbox
    if settings.backend == "http":
        raise CodermError(f"sandbox.backend = http would pass everything on to {settings.url}; serve a local sandbox")
    token = token_in_environment(settings)
    sandbox = open_sandbox(settings)
    if not token and not _is_loopback(host):
        typer.echo(
            f"warning: everybody who reaches {host} may run programs here; {settings.api_key_variable} is not set",
            err=True,
        )
    with _bound(host, port) as listener:
        shown = f"[{host}]" if ":" in host else host
        line = f"sandbox of {sandbox.size} workers at http://{shown}:{listener.getsockname()[1]}"
        web.run_app(
            sandbox_app(sandbox, queue, token),
            sock=listener,
            print=lambda *_: typer.echo(line),  # called once, when it serves
            access_log=None,
            handler_cancellation=True,
            shutdown_timeout=_GOODBYE_S,
        )


def _is_loopback(host: str) -> bool:
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"


def _bound(host: str, port: int) -> socket.socket:
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    try:
        return socket.create_server((host, port), family=family, backlog=2048)
    except OSError as error:
        raise CodermError(f"cannot listen on {host}:{port}: {error.strerror}; --port 0 takes a free one") from error

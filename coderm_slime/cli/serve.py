"""`coderm serve`: the CPU stand-in server."""

import socket
from pathlib import Path
from typing import Annotated

import typer

from coderm_slime.cli.root import app
from coderm_slime.errors import CodermError

_GOODBYE_S = 5  # requests under way at SIGTERM get this long


@app.command()
def serve(
    model: Annotated[Path, typer.Option(help="Folder of a *ForSequenceClassification checkpoint with one label.")],
    host: Annotated[
        str, typer.Option(help="Address to listen on; others than loopback open it to the network.")
    ] = "127.0.0.1",
    port: Annotated[int, typer.Option(min=0, max=65535, help="0 takes a free port and prints it.")] = 30000,
    dtype: Annotated[str, typer.Option(help="float32 (parity) or bfloat16 (speed).")] = "float32",
) -> None:
    """Serve a reward model on a CPU with SGLang's HTTP protocol. A stand-in for machines without SGLang."""
    if dtype not in ("float32", "bfloat16"):
        raise typer.BadParameter(f"{dtype!r} is neither float32 nor bfloat16", param_hint="--dtype")
    try:
        import uvicorn

        from coderm_slime.scoring.engine import RewardEngine
        from coderm_slime.scoring.server import create_app
    except ImportError as error:
        raise CodermError(f"coderm serve needs the extra 'serve' (torch, fastapi, uvicorn): {error}") from error
    with _bound(host, port) as listener:  # before the model is loaded: a taken port is known at once
        app_ = create_app(RewardEngine(model, dtype), str(model))
        typer.echo(f"serving {model} at http://{host}:{listener.getsockname()[1]}")
        config = uvicorn.Config(app_, log_level="warning", access_log=False, timeout_graceful_shutdown=_GOODBYE_S)
        uvicorn.Server(config).run(sockets=[listener])


def _bound(host: str, port: int) -> socket.socket:
    try:
        return socket.create_server((host, port), backlog=2048)
    except OSError as error:
        raise CodermError(f"cannot listen on {host}:{port}: {error.strerror}; --port 0 takes a free one") from error

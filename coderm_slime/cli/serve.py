"""`coderm serve`: the CPU stand-in server."""

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
        raise CodermError(
            f"coderm serve needs the extra 'serve' (pip install 'coderm-slime[serve]'): {error}"
        ) from error
    engine = RewardEngine(model, dtype)
    app_ = create_app(engine, str(model))
    uvicorn.run(app_, host=host, port=port, log_level="info", access_log=False, timeout_graceful_shutdown=_GOODBYE_S)

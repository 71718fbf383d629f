"""`coderm serve`: the CPU stand-in server, or SGLang with the right flags."""

import socket
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

import typer

from coderm_slime.cli.root import app
from coderm_slime.errors import CodermError

if TYPE_CHECKING:
    from fastapi import FastAPI

_GOODBYE_S = 5  # requests under way at SIGTERM get this long


@app.command(context_settings={"allow_extra_args": True, "ignore_unknown_options": True})
def serve(
    context: typer.Context,
    model: Annotated[
        Path, typer.Option(help="Folder of a *ForSequenceClassification with one label, or of a *ForCausalLM.")
    ],
    host: Annotated[
        str, typer.Option(help="Address to listen on; others than loopback open it to the network.")
    ] = "127.0.0.1",
    port: Annotated[int, typer.Option(min=0, max=65535, help="0 takes a free port and prints it (stand-in).")] = 30000,
    dtype: Annotated[
        Literal["float32", "bfloat16"], typer.Option(help="float32 for parity, bfloat16 for speed.")
    ] = "float32",
    engine: Annotated[
        Literal["standin", "sglang"],
        typer.Option(help="sglang becomes SGLang's own server (needs a GPU); what stands behind `--` is passed on."),
    ] = "standin",
) -> None:
    """Serve a model with SGLang's HTTP protocol: on a CPU by a small stand-in, or by SGLang itself.

    A reward model answers /v1/embeddings and /classify, a language model /generate and /v1/chat/completions.
    """
    if engine == "sglang":
        from coderm_slime.scoring.sglang import become_sglang
        from coderm_slime.scoring.weights import is_reward_model

        if is_reward_model(model):
            _check_card(model)
        become_sglang(model, host, port, dtype, context.args)
    if context.args:
        raise typer.BadParameter(f"{' '.join(context.args)} is for --engine sglang only")
    try:
        import uvicorn
    except ImportError as error:
        raise _extra_missing(error) from error
    with _bound(host, port) as listener:  # before the model is loaded: a taken port is known at once
        app_ = _application(model, dtype)
        typer.echo(f"serving {model} at http://{host}:{listener.getsockname()[1]}")
        config = uvicorn.Config(app_, log_level="warning", access_log=False, timeout_graceful_shutdown=_GOODBYE_S)
        uvicorn.Server(config).run(sockets=[listener])


def _application(model: Path, dtype: str) -> "FastAPI":
    try:
        from coderm_slime.scoring.server.app import language_app, reward_app
        from coderm_slime.scoring.server.checkpoint import architecture_of
        from coderm_slime.scoring.server.common_api import Served
        from coderm_slime.scoring.server.language_engine import LanguageEngine
        from coderm_slime.scoring.server.reward_engine import RewardEngine
    except ImportError as error:
        raise _extra_missing(error) from error
    if architecture_of(model).endswith("ForCausalLM"):
        language = LanguageEngine(model, dtype)
        return language_app(language, Served(str(model), True, language.architectures, language.max_tokens))
    _check_card(model)
    reward = RewardEngine(model, dtype)
    return reward_app(reward, Served(str(model), False, reward.architectures, reward.max_tokens))


def _check_card(model: Path) -> None:
    """Refuse a reward model that would be rendered for otherwise than its card says; warn where there is no card."""
    from coderm_slime.scoring.probe import CARD_FILE, card_fits

    if not card_fits(str(model)):
        typer.echo(
            f"warning: {model} holds no {CARD_FILE}, so nothing tells whether its tokenizer, template and scores are "
            "those it was trained with; `coderm prepare` writes one",
            err=True,
        )


def _extra_missing(error: ImportError) -> CodermError:
    return CodermError(f"coderm serve needs the extra 'serve' (torch, fastapi, uvicorn, prometheus-client): {error}")


def _bound(host: str, port: int) -> socket.socket:
    try:
        return socket.create_server((host, port), backlog=2048)
    except OSError as error:
        raise CodermError(f"cannot listen on {host}:{port}: {error.strerror}; --port 0 takes a free one") from error

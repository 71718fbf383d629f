"""`coderm prepare`: the folder to serve, from a trained checkpoint."""

from pathlib import Path
from typing import Annotated, Literal

import typer

from coderm_slime.chat import DEFAULT_MAX_TOKENS
from coderm_slime.cli.root import app
from coderm_slime.errors import CodermError

_DEFAULT = "Rishubi/CodeRM-NT"


@app.command()
def prepare(
    paths: Annotated[
        list[str],
        typer.Argument(
            metavar="[SRC] DST", help=f"SRC: a folder or a hub id, by default {_DEFAULT}. DST: a new folder."
        ),
    ],
    max_tokens: Annotated[
        int, typer.Option(min=1, help="Longest input in tokens, as in training.")
    ] = DEFAULT_MAX_TOKENS,
    dtype: Annotated[
        Literal["float32", "bfloat16"], typer.Option(help="Precision of the known logits; bfloat16 halves memory.")
    ] = "float32",
) -> None:
    """Make a checkpoint ready to be served: zero bias for SGLang, compiled template, known scores.

    The source is not changed. Name DST in rm.model_path and serve it.
    """
    if len(paths) > 2:
        raise typer.BadParameter(f"[SRC] DST is one or two, not {len(paths)}: {' '.join(paths)}")
    *sources, folder = paths
    source = sources[0] if sources else _DEFAULT
    try:
        from coderm_slime.scoring.prepare import prepare as write
    except ImportError as error:
        raise CodermError(f"coderm prepare needs the extra 'serve' (torch): {error}") from error
    card = write(source, Path(folder), max_tokens=max_tokens, dtype=dtype)
    logits = ", ".join(f"{item.logit:.4f}" for item in card.probe)
    typer.echo(f"prepared {folder} from {card.source}: fingerprint {card.fingerprint}, known logits {logits}")

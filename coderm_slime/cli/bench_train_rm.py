"""`coderm bench train-rm`."""

from pathlib import Path
from typing import Annotated, Literal

import typer
from rich.console import Console
from rich.progress import Progress

from coderm_slime.cli.medians import say_medians
from coderm_slime.cli.root import GROUPS
from coderm_slime.errors import CodermError


@GROUPS["bench"].command("train-rm")
def bench_train_rm(
    model: Annotated[Path, typer.Option(help="A language model's or a reward model's folder.")],
    pairs: Annotated[Path, typer.Option(help="JSONL of pairs, whose lengths are measured on.")],
    as_json: Annotated[bool, typer.Option("--json", help="One JSON object on stdout.")] = False,
    dtype: Annotated[Literal["float32", "bfloat16"], typer.Option(help="Of all weights.")] = "bfloat16",
    rounds: Annotated[int, typer.Option(min=1, help="Medians are over so many, after one to warm up.")] = 3,
    count: Annotated[int, typer.Option(min=2, help="Pairs read a round.")] = 8,
    padded_count: Annotated[int, typer.Option(min=1, help="Of them, pairs that the padded way reads.")] = 1,
    micro_batch_tokens: Annotated[int, typer.Option(min=16, help="Most tokens at once, packed or sorted.")] = 2048,
) -> None:
    """Real tokens a second, forward and backward: packed on Megatron, and Hugging Face padded or sorted by length.

    One rank. Padded is to 2,048 tokens as in the published scripts. All three have the same weights and read the same
    pairs; padding is not counted.
    """
    try:
        from transformers.utils.logging import disable_progress_bar, set_verbosity_error

        from rm_train.bench import Workload, bench
    except ImportError as error:
        raise CodermError(f"coderm bench train-rm needs the extra 'rm' (torch, megatron-core): {error}") from error
    disable_progress_bar()
    set_verbosity_error()
    workload = Workload(count, min(padded_count, count), micro_batch_tokens)
    with Progress(console=Console(stderr=True), transient=True) as bar:
        task = bar.add_task("rounds", total=3 * (rounds + 1))
        figures = bench(model, pairs, workload, dtype, rounds, lambda: bar.advance(task)).figures
    say_medians(figures, rounds, f"{rounds} rounds of {count} pairs, {dtype}", as_json=as_json)

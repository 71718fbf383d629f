"""`coderm bench reward`."""

import tempfile
from pathlib import Path
from typing import Annotated, Literal

import typer
from rich.console import Console
from rich.progress import Progress

from coderm_slime.cli.medians import say_medians
from coderm_slime.cli.root import GROUPS
from coderm_slime.errors import CodermError

_RULES = 20  # programs of 350 tokens, as answers to real problems have them


@GROUPS["bench"].command("reward")
def bench_reward(
    as_json: Annotated[bool, typer.Option("--json", help="One JSON object on stdout.")] = False,
    model: Annotated[
        Path | None,
        typer.Option(help="A reward model to serve for the throughput; by default a small one with random weights."),
    ] = None,
    dtype: Annotated[Literal["float32", "bfloat16"], typer.Option(help="Of the served model.")] = "float32",
    rounds: Annotated[int, typer.Option(min=1, help="Medians are over so many.")] = 5,
    sequences: Annotated[int, typer.Option(min=1, help="Sequences scored for the throughput.")] = 48,
) -> None:
    """Measure what slime's reward costs beyond the server's own time, and what serving costs the model.

    First 128 distinct samples, cache off, in a fresh process, against a FAKE server that takes 0.2 s a request; its
    tokenizer is a small compiled one (4,096 entries), since loading a tokenizer, once a process, grows with its
    vocabulary. Then one model's tokens a second over HTTP, over the best of batch 1, 8, 16, 32 in process.
    """
    try:
        from reward.bench.plugin_cost import plugin_cost
        from reward.bench.throughput import throughput
        from reward.bench.workload import exchanges, write_reward_model

        with tempfile.TemporaryDirectory() as scratch, Progress(console=Console(stderr=True), transient=True) as bar:
            small = Path(scratch)
            write_reward_model(small)
            first = bar.add_task("rewards of one rollout", total=rounds)
            cost = plugin_cost(small, rounds, lambda: bar.advance(first))
            second = bar.add_task("tokens a second", total=rounds)
            speed = throughput(
                model or small, exchanges(sequences, rules=_RULES), dtype, rounds, lambda: bar.advance(second)
            )
    except ImportError as error:
        raise CodermError(f"coderm bench reward needs the extra 'serve' (torch): {error}") from error
    figures = {
        "wall_s": cost.wall_s,
        "ideal_s": cost.ideal_s,
        "loop_blocked_s": cost.loop_blocked_s,
        "loop_late_s": cost.loop_late_s,
        "sleep_late_s": cost.sleep_late_s,
        "served_over_inprocess": speed.ratio,
        "served_tokens_per_s": speed.served,
        **{f"inprocess_tokens_per_s_batch_{size}": value for size, value in speed.inprocess.items()},
    }
    say_medians(figures, rounds, f"{rounds} rounds", as_json=as_json)

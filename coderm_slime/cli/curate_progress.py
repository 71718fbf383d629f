"""What `coderm curate` shows while it works, and at the end. Rich only; counts are made elsewhere."""

import contextlib
import time
from collections.abc import Iterator
from typing import TYPE_CHECKING

from rich.console import Console, Group
from rich.live import Live
from rich.table import Table
from rich.text import Text

if TYPE_CHECKING:
    from mcts.config import CurateConfig
    from mcts.engine.desk import Tally
    from mcts.engine.run import Report

_REFRESH_S = 0.5
_SHOWN_REASONS = 6


@contextlib.contextmanager
def watched(tally: "Tally", console: Console, config: "CurateConfig") -> Iterator[None]:
    """Show `tally` until the block ends; on a terminal alone, a log would fill with it."""
    if not console.is_terminal:
        yield
        return
    from mcts.engine.watching import every

    started = time.monotonic()
    with Live(console=console, auto_refresh=False, transient=True) as live:

        def refresh() -> None:
            live.update(_view(tally, time.monotonic() - started, config), refresh=True)

        with every(_REFRESH_S, refresh):
            yield


def _view(tally: "Tally", seconds: float, config: "CurateConfig") -> Group:
    ended, rollouts = tally.ended.total(), tally.steps["rollout"]
    rate = rollouts / seconds if seconds else 0.0
    open_ = tally.waiting + tally.under_way
    left = max(open_ * config.search.num_rollouts - rollouts + ended * config.search.num_rollouts, 0)
    lines = [
        Text(f"{ended} problems ended, {tally.under_way} under way, {tally.waiting} waiting"),
        Text(f"{rollouts} rollouts, {rate:.2f} a second, about {_duration(left / rate) if rate else '…'} left"),
    ]
    for title, counts in (
        ("problems without a tree", tally.reasons),
        ("tries without a result", tally.failed_rollouts),
    ):
        if counts:
            shown = ", ".join(f"{reason} {count}" for reason, count in counts.most_common(_SHOWN_REASONS))
            lines.append(Text(f"{title}: {shown}"))
    return Group(*lines)


def show_report(report: "Report", console: Console) -> None:
    """The run folder's counts and costs."""
    from mcts.engine.spent import by_step

    for fault, count in report.left_out.most_common():
        console.print(f"{count} rows left out: {fault}", markup=False)
    if report.contaminated:
        console.print(f"{report.contaminated} problems left out: an evaluation set holds them, see contaminated.jsonl")
    if report.duplicates:
        console.print(f"{report.duplicates} rows left out: their problem stands in the source before")
    states = ", ".join(f"{count} {state}" for state, count in sorted(report.states.items()))
    console.print(f"problems: {states or 'none'}; {report.trees} trees")
    for reason, count in report.reasons.most_common():
        console.print(f"  {count} without a tree: {reason}", markup=False)
    table = Table("step", "answers", "tokens in", "tokens out", "cost USD", "tries without a result")
    for step in by_step(report.spent):
        failed = ", ".join(f"{reason} {count}" for reason, count in sorted(step.failed.items()))
        cost = "no price" if step.usd is None else f"{step.usd:.4f}"
        table.add_row(
            step.step, f"{step.calls:,}", f"{step.prompt_tokens:,}", f"{step.completion_tokens:,}", cost, failed
        )
    if table.row_count:
        console.print(table)


def _duration(seconds: float) -> str:
    minutes, rest = divmod(int(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours} h {minutes:02} min" if hours else f"{minutes} min {rest:02} s"

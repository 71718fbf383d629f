"""A bounded number of problems under way at the same time: when one ends, the next begins. One event loop."""

import asyncio
import logging
import math
import traceback

from coderm_slime.http import HttpError
from coderm_slime.sandbox import SandboxError
from mcts.config import CurateConfig
from mcts.engine.course import Course, Drained, Tools
from mcts.engine.desk import Tally
from mcts.engine.rows import Ending, Entry, JournalError, Work
from mcts.judge import JudgeError
from mcts.prompts import PromptError

DRAIN_S = 30.0
"""Seconds that work under way gets to end when a run is stopped; what takes longer is asked again by the next run."""

# No slot may wait for a problem that is being executed or judged elsewhere, or while a server that failed rests.
_SPARE = 2.0
_log = logging.getLogger(__name__)


def width_for(config: CurateConfig, sandbox_size: int) -> int:
    """Problems under way that keep all endpoints busy, unless the configuration says how many."""
    if config.problems_in_flight is not None:
        return config.problems_in_flight
    slots = sum(endpoint.max_in_flight for endpoint in (*config.endpoints, *config.judge_endpoints))
    return math.ceil(_SPARE * slots / config.search.parallel) + sandbox_size


async def run_courses(tools: Tools, width: int, tally: Tally, *, drain_s: float = DRAIN_S) -> None:
    """Take problems from the desk until it has none, or the run is stopped.

    An outage leaves its problem open; too many in a row stop the run. Another exception ends its problem with a record
    of the error, and no other problem.

    Raises:
        JournalError: results cannot be kept.
    """
    workers = [asyncio.ensure_future(_work(tools, tally)) for _ in range(width)]
    stopped = asyncio.ensure_future(tools.stop.asked.wait())
    try:
        waiting = set(workers)
        while waiting and not stopped.done():
            done, _ = await asyncio.wait({*waiting, stopped}, return_when=asyncio.FIRST_COMPLETED)
            waiting -= done
            for one in done & set(workers):
                one.result()
        if waiting:
            await asyncio.wait(waiting, timeout=drain_s)
    finally:
        stopped.cancel()
        for one in workers:
            one.cancel()
        ends = await asyncio.gather(*workers, return_exceptions=True)
    for end in ends:
        if isinstance(end, BaseException) and not isinstance(end, asyncio.CancelledError):
            raise end


async def _work(tools: Tools, tally: Tally) -> None:
    while not tools.stop.asked.is_set() and (work := await tools.desk.next()):
        tally.under_way += 1
        try:
            await _one(tools, work)
        finally:
            tally.under_way -= 1


async def _one(tools: Tools, work: Work) -> None:
    try:
        await Course(tools, work).run()
    except Drained:
        return
    except (HttpError, SandboxError) as error:
        _log.warning("problem %s stays open: %s", work.problem.id, error)
        if tools.outages.too_many:
            tools.stop.ask(f"too many calls in a row came to nothing, the last one: {error}")
    except JournalError:
        raise
    except (JudgeError, PromptError) as error:  # every problem would meet it
        tools.stop.ask(str(error))
    except Exception as error:  # noqa: BLE001 - whatever it is, it is this problem's end and no other's
        _log.exception("problem %s ends in an error", work.problem.id)
        ending = Ending("error", f"error: {type(error).__name__}", traceback.format_exc())
        await tools.desk.record(Entry(work.problem.key, ending=ending))

"""The same engine on the nodes of a Ray cluster: its workers pull problems and hand in results; the driver journals.

An actor is the mailbox between them. Each worker is a process with an event loop, endpoint pools and a sandbox of its
own; the endpoints' bounds are shared out among the workers. Ray schedules the workers; nothing here knows nodes.
"""

import asyncio
import dataclasses
import importlib
import os
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from coderm_slime.errors import CodermError
from coderm_slime.llm import LlmEndpoint
from coderm_slime.sandbox import open_sandbox
from coderm_slime.settings import SandboxSettings
from mcts.config import CurateConfig
from mcts.engine.asker import Asker, Outages
from mcts.engine.course import Stage, Stop, Tools
from mcts.engine.desk import Desk, Tally
from mcts.engine.rows import Entry, Work
from mcts.engine.scheduler import run_courses, width_for
from mcts.prompts import Prompts

_OBJECT_STORE_BYTES = 100_000_000  # of a local cluster: only small messages pass, and Ray's default is a third of all


@dataclasses.dataclass(frozen=True)
class Cluster:
    """A Ray cluster.

    Attributes:
        address: as `ray.init` takes it, such as `auto`; `local` starts one on this machine alone.
        workers: processes with an engine each.
    """

    address: str
    workers: int


@dataclasses.dataclass(frozen=True)
class Assignment:
    """What a worker process needs to know; it gets the problems one by one."""

    config: CurateConfig
    provenance: dict[str, str]
    prompts: dict[str, str]
    sandbox: SandboxSettings
    until: Stage


@dataclasses.dataclass(frozen=True)
class WorkerEnd:
    """How a worker ended: why before time, and the calls that came to nothing."""

    stopped: str
    outages: int
    last_outage: str


class Mailbox:
    """Questions of workers, and the driver's answers. Runs as an actor, so that both sides reach it."""

    def __init__(self) -> None:
        self._asked: list[tuple[int, Entry | None]] = []
        self._answers: dict[int, asyncio.Future[Any]] = {}
        self._count = 0
        self._something = asyncio.Event()

    async def ask(self, entry: Entry | None) -> Any:
        """A worker's entry to keep, or None for the next problem; the driver's answer."""
        self._count += 1
        number, answer = self._count, asyncio.get_running_loop().create_future()
        self._answers[number] = answer
        self._asked.append((number, entry))
        self._something.set()
        return await answer

    async def take(self) -> list[tuple[int, Entry | None]]:
        """All questions that wait; waits for the first."""
        await self._something.wait()
        self._something.clear()
        asked, self._asked = self._asked, []
        return asked

    async def answer(self, number: int, value: Any) -> None:
        """Answer one question."""
        self._answers.pop(number).set_result(value)


class RemoteDesk:
    """A worker's desk: the driver's, by mail. What the driver says of stopping is passed on to `stop`."""

    def __init__(self, mailbox: Any, stop: Stop) -> None:
        self._mailbox, self._stop = mailbox, stop

    async def next(self) -> Work | None:
        """See `Desk`."""
        work: Work | None = await self._mailbox.ask.remote(None)
        return work

    async def record(self, entry: Entry) -> None:
        """See `Desk`."""
        reason = await self._mailbox.ask.remote(entry)
        if reason:
            self._stop.ask(reason)


def work_alone(assignment: Assignment, mailbox: Any) -> WorkerEnd:
    """A worker process: courses until the driver has no more problems."""
    config = assignment.config
    stop, outages = Stop(), Outages(config.max_outages)

    async def work() -> None:
        async with open_sandbox(assignment.sandbox) as sandbox, Asker(config, outages) as asker:
            tools = Tools(
                config=config,
                provenance=assignment.provenance,
                prompts=Prompts(assignment.prompts),
                asker=asker,
                sandbox=sandbox,
                outages=outages,
                desk=RemoteDesk(mailbox, stop),
                stop=stop,
                until=assignment.until,
            )
            await run_courses(tools, width_for(config, sandbox.size), Tally())

    asyncio.run(work())
    return WorkerEnd(stop.reason, outages.count, outages.last)


async def run_on_cluster(cluster: Cluster, assignment: Assignment, desk: Desk, stop: Stop) -> list[WorkerEnd]:
    """Run all of the desk's problems on the cluster's workers, and keep what they hand in.

    Raises:
        CodermError: Ray is missing or cannot be reached, or a worker process broke down; what the others did is kept.
    """
    shared = dataclasses.replace(assignment, config=_shared_out(assignment.config, cluster.workers))
    with _connected(cluster) as ray:
        mailbox = ray.remote(Mailbox).options(num_cpus=0, max_concurrency=10_000).remote()
        worker = ray.remote(work_alone).options(max_retries=0)
        ends = [asyncio.wrap_future(worker.remote(shared, mailbox).future()) for _ in range(cluster.workers)]
        serving = asyncio.ensure_future(_serve(mailbox, desk, stop))
        try:
            everybody = asyncio.gather(*ends, return_exceptions=True)
            either: set[asyncio.Future[Any]] = {everybody, serving}
            await asyncio.wait(either, return_when=asyncio.FIRST_COMPLETED)
            if serving.done():
                serving.result()
            return [_checked(end) for end in await everybody]
        finally:
            serving.cancel()


async def _serve(mailbox: Any, desk: Desk, stop: Stop) -> None:
    async def answer(number: int, entry: Entry | None) -> None:
        if entry is not None:
            await desk.record(entry)
            await mailbox.answer.remote(number, stop.reason)
        else:
            await mailbox.answer.remote(number, None if stop.asked.is_set() else await desk.next())

    under_way: set[asyncio.Future[None]] = set()
    while True:
        under_way |= {asyncio.ensure_future(answer(*question)) for question in await mailbox.take.remote()}
        for done in [one for one in under_way if one.done()]:
            under_way.discard(done)
            done.result()


def _checked(end: WorkerEnd | BaseException) -> WorkerEnd:
    if isinstance(end, BaseException):
        raise CodermError(f"a Ray worker broke down: {type(end).__name__}: {end}") from end
    return end


def _shared_out(config: CurateConfig, workers: int) -> CurateConfig:
    """The configuration of one of several workers, so that all of them together keep to each endpoint's bound."""

    def part(endpoints: tuple[LlmEndpoint, ...]) -> tuple[LlmEndpoint, ...]:
        for one in endpoints:
            if one.max_in_flight < workers:
                raise CodermError(
                    f"endpoint {one.url}: max_in_flight = {one.max_in_flight} cannot be shared by {workers} Ray "
                    "workers; start fewer"
                )
        return tuple(one.model_copy(update={"max_in_flight": one.max_in_flight // workers}) for one in endpoints)

    width = config.problems_in_flight and max(1, config.problems_in_flight // workers)
    parts = {"endpoints": part(config.endpoints), "judge_endpoints": part(config.judge_endpoints)}
    return config.model_copy(update={**parts, "problems_in_flight": width})


@contextmanager
def _connected(cluster: Cluster) -> Iterator[Any]:
    try:
        ray: Any = importlib.import_module("ray")
    except ImportError as error:
        raise CodermError(f"--ray needs Ray: pip install 'coderm-slime[mcts]': {error}") from error
    os.environ.setdefault("RAY_USAGE_STATS_ENABLED", "0")  # nothing is told to anybody behind the user's back
    if cluster.address == "local":
        local = {"num_cpus": cluster.workers, "object_store_memory": _OBJECT_STORE_BYTES, "include_dashboard": False}
        options = {**local, "address": "local", "_node_ip_address": "127.0.0.1"}  # never one that runs here already
    else:
        options = {"address": cluster.address}
    try:
        ray.init(log_to_driver=False, **options)
    except (ConnectionError, ValueError, RuntimeError, TimeoutError) as error:
        raise CodermError(f"no Ray cluster at {cluster.address}: {error}") from error
    try:
        yield ray
    finally:
        ray.shutdown()

"""A run from source to trees: reads, holds the folder, runs the courses, writes what the folder shows."""

import asyncio
import contextlib
import itertools
import signal
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path

from coderm_slime.problems import DataSet, Decontaminator, Dropped, LeftOut, read_problems, uncontaminated
from coderm_slime.records import Problem
from coderm_slime.sandbox import open_sandbox
from coderm_slime.settings import SandboxSettings
from mcts.config import CurateConfig
from mcts.engine.asker import Asker, Outages
from mcts.engine.cluster import Assignment, Cluster, run_on_cluster
from mcts.engine.course import Stage, Stop, Tools
from mcts.engine.desk import LocalDesk, Tally
from mcts.engine.files import write_contaminated, write_left_out, write_results
from mcts.engine.folder import RunFolderError, begin_or_go_on, held, provenance_of
from mcts.engine.journal import Journal
from mcts.engine.scheduler import run_courses, width_for
from mcts.prompts import Prompts

STOPPED_BY_SIGNAL = "stopped by a signal"


@dataclass(frozen=True)
class Source:
    """Where problems are read.

    Attributes:
        limit: problems taken, the first ones; None takes all.
        decontaminator: what shares a phrase with its evaluation sets is not taken; None takes everything.
    """

    path: Path
    data_set: DataSet | None = None
    limit: int | None = None
    decontaminator: Decontaminator | None = None


@dataclass
class Report:
    """What a run folder holds after a run.

    Attributes:
        states: problems by state, in all runs; reasons: of those without a tree.
        left_out: rows of the source that gave no problem, by fault.
        duplicates: rows whose problem text another row has.
        contaminated: problems that were not taken, as an evaluation set holds them.
        spent: amounts by name, see `spent.Amounts`.
        stopped: why the run ended early; empty if it did not.
        outages: calls in this run that nobody answered; the last one's text.
    """

    states: Counter[str]
    reasons: Counter[str]
    spent: dict[str, float]
    trees: int
    stopped: str = ""
    outages: int = 0
    last_outage: str = ""
    left_out: Counter[str] = field(default_factory=Counter)
    duplicates: int = 0
    contaminated: int = 0


@dataclass(frozen=True)
class _Read:
    """What of the source was not taken."""

    left_out: Counter[str] = field(default_factory=Counter)
    duplicates: int = 0
    contaminated: int = 0


@dataclass(frozen=True)
class Run:
    """What is to be run, and how far.

    Args:
        source: None goes on with the problems that the folder has.
    """

    folder: Path
    config: CurateConfig
    sandbox: SandboxSettings
    until: Stage = Stage.SEARCH
    source: Source | None = None
    accept_changes: bool = False
    cluster: Cluster | None = None

    def __call__(self, watch: Callable[[Tally], contextlib.AbstractContextManager[None]]) -> Report:
        """Run to the end, to the stage, or until stopped.

        Args:
            watch: shows the tally as long as the work goes on.

        Raises:
            CodermError: the configuration, the source or the folder is bad; nothing has been asked then. Or the
                journal cannot be written.
        """
        prompts = Prompts.load(self.config.prompts)
        with held(self.folder), Journal(self.folder) as journal:
            begin_or_go_on(journal, self.folder, self.config, prompts.fingerprint, accept_changes=self.accept_changes)
            read = self._read(journal)
            if not journal.states():
                raise RunFolderError(f"{self.folder} has no problem yet: name a file of problems that holds some")
            journal.reopen_errors()
            tally, stop, outages = Tally(), Stop(), Outages(self.config.max_outages)
            try:
                with watch(tally), contextlib.suppress(asyncio.CancelledError):  # a second signal's
                    asyncio.run(self._work(journal, prompts, tally, stop, outages))
            finally:
                write_results(journal, self.folder)
            report = report_of(journal)
            report.stopped, report.outages, report.last_outage = stop.reason, outages.count, outages.last
            report.left_out, report.duplicates, report.contaminated = read.left_out, read.duplicates, read.contaminated
            return report

    def _read(self, journal: Journal) -> "_Read":
        if self.source is None:
            return _Read()
        rows, decontaminator = read_problems(self.source.path, self.source.data_set), self.source.decontaminator
        bad: list[LeftOut] = []
        dropped: list[Dropped] = []

        def good() -> Iterator[Problem]:
            for row in rows:
                if isinstance(row, LeftOut):
                    bad.append(row)
                else:
                    yield row

        kept = uncontaminated(good(), decontaminator, dropped) if decontaminator else good()
        duplicates = journal.add_problems(itertools.islice(kept, self.source.limit))
        write_left_out(bad, self.folder)
        write_contaminated(dropped, self.folder)
        return _Read(Counter(row.fault.value for row in bad), duplicates, len(dropped))

    async def _work(self, journal: Journal, prompts: Prompts, tally: Tally, stop: Stop, outages: Outages) -> None:
        provenance = provenance_of(self.config, prompts.fingerprint)
        async with LocalDesk(journal, journal.open_keys(), tally) as desk:
            with _signals(stop):
                if self.cluster:
                    assignment = Assignment(self.config, provenance, prompts.texts, self.sandbox, self.until)
                    for end in await run_on_cluster(self.cluster, assignment, desk, stop):
                        stop.reason = stop.reason or end.stopped
                        outages.count, outages.last = outages.count + end.outages, end.last_outage or outages.last
                    return
                async with open_sandbox(self.sandbox) as sandbox, Asker(self.config, outages) as asker:
                    tools = Tools(self.config, provenance, prompts, asker, sandbox, outages, desk, stop, self.until)
                    await run_courses(tools, width_for(self.config, sandbox.size), tally)


def report_of(journal: Journal) -> Report:
    """What a journal says of all runs so far."""
    states = journal.states()
    return Report(states, journal.reasons(), journal.spent(), trees=states["finished"])


@contextlib.contextmanager
def _signals(stop: Stop) -> Iterator[None]:
    """The first Ctrl-C (or SIGTERM) drains the run, a second one ends it at once; all that is in the journal stays."""
    loop, main = asyncio.get_running_loop(), asyncio.current_task()

    def asked() -> None:
        if stop.asked.is_set() and main is not None:
            main.cancel()
        stop.ask(STOPPED_BY_SIGNAL)

    for number in (signal.SIGINT, signal.SIGTERM):
        loop.add_signal_handler(number, asked)
    try:
        yield
    finally:
        for number in (signal.SIGINT, signal.SIGTERM):
            loop.remove_signal_handler(number)

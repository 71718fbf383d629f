"""Runs a second of the smallest program, beside plain interpreters, by turns in one measurement."""

import asyncio
import itertools
import time
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from statistics import median

from coderm_slime.sandbox.pool import Sandbox
from coderm_slime.sandbox.program import Program, SandboxError
from coderm_slime.settings.sandbox import SandboxSettings

HEADLINE_WORKERS = 2


@dataclass(frozen=True)
class Speed:
    """Runs a second with a number of workers: medians over the rounds; each ratio is the median of the rounds' own."""

    sandbox: float
    python_c: float
    bare: float
    ratio: float
    ratio_bare: float


@dataclass(frozen=True)
class Report:
    """What `measure` found."""

    by_workers: dict[int, Speed]
    layers: tuple[str, ...]

    def figures(self) -> dict[str, object]:
        """As plain values; those without a number of workers are at 2."""
        head = self.by_workers[HEADLINE_WORKERS]
        return {
            "runs_per_s": round(head.sandbox, 1),
            "python_c_per_s": round(head.python_c, 1),
            "python_bare_per_s": round(head.bare, 1),
            "ratio": round(head.ratio, 3),
            "ratio_bare": round(head.ratio_bare, 3),
            "layers": list(self.layers),
            "runs_per_s_by_workers": {str(count): round(speed.sandbox, 1) for count, speed in self.by_workers.items()},
        }


async def measure(
    settings: SandboxSettings, counts: Sequence[int], rounds: int, seconds: float, tick: Callable[[], object]
) -> Report:
    """Measure with each number of workers in turn; `tick` is called after each round.

    Raises:
        SandboxError: a run failed, or did not print what it should.
    """
    found = {}
    layers: tuple[str, ...] = ()
    for count in counts:
        async with Sandbox(settings.model_copy(update={"workers": count})) as sandbox:
            python = sandbox.runtime.original
            layers = tuple(layer.name for layer in sandbox.layers if layer.on)
            ways = (_sandboxed(sandbox), _plain(python), _plain(python, "-I", "-S"))
            for way in ways:
                await _rate(way, count, min(0.2, seconds))  # starts the servers, fills the caches
            rates = []
            for _ in range(rounds):
                rates.append([await _rate(way, count, seconds) for way in ways])
                tick()
        sandboxed, python_c, bare = (median(column) for column in zip(*rates, strict=True))
        ratio, ratio_bare = (median(row[0] / row[at] for row in rates) for at in (1, 2))
        found[count] = Speed(sandboxed, python_c, bare, ratio, ratio_bare)
    return Report(found, layers)


def _sandboxed(sandbox: Sandbox) -> Callable[[str], Awaitable[str]]:
    async def run(source: str) -> str:
        return (await sandbox.run(Program(source))).stdout

    return run


def _plain(python: str, *options: str) -> Callable[[str], Awaitable[str]]:
    async def run(source: str) -> str:
        process = await asyncio.create_subprocess_exec(
            python, *options, "-c", source, stdout=asyncio.subprocess.PIPE, stdin=asyncio.subprocess.DEVNULL
        )
        return (await process.communicate())[0].decode()

    return run


async def _rate(run: Callable[[str], Awaitable[str]], workers: int, seconds: float) -> float:
    """Runs a second with `workers` runs at any time."""
    nonces = itertools.count(time.monotonic_ns())
    began = time.perf_counter()
    done = 0

    async def work() -> None:
        nonlocal done
        while time.perf_counter() - began < seconds:
            nonce = next(nonces)
            printed = await run(f"print({nonce})")
            if printed != f"{nonce}\n":
                raise SandboxError(f"a run of the bench printed {printed!r} instead of {nonce}")
            done += 1

    await asyncio.gather(*(work() for _ in range(workers)))
    return done / (time.perf_counter() - began)

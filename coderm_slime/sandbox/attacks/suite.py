"""Makes the attempts: each attack outside, as a plain process, and inside the sandbox; says what each achieved."""

import asyncio
import contextlib
import os
import secrets
import socket
import subprocess
import time
from collections.abc import Coroutine
from dataclasses import dataclass
from typing import Any

from coderm_slime.sandbox.attacks import processes
from coderm_slime.sandbox.attacks.case import Attack
from coderm_slime.sandbox.attacks.processes import Usage, Watch
from coderm_slime.sandbox.attacks.scene import VARIABLE, Scene, Seen
from coderm_slime.sandbox.pool import Sandbox
from coderm_slime.sandbox.program import Program, Result, SandboxError
from coderm_slime.settings.sandbox import SandboxSettings

_WORKERS = 2  # the attack's and its neighbour's
_LOOK_EACH_S = 0.02
_CONTROL_S = 10.0
_NOBODY = 65534
_NEIGHBOUR = "import os; os.write(3, str(os.getpid()).encode()); os.read(3, 1); print('well')"
_WHO = "import os; print(os.getuid(), os.getppid())"
_HOST = """
import mmap, sys
shared = mmap.mmap(-1, 4096)
expected_answer, after, *sources = sys.argv[1:5]
for source in sources:
    try:
        exec(source, {"__name__": "__main__"})
    except BaseException:
        pass
print(after, flush=True)
"""
_PARENT = '"$0" -c "$1" "$3"; echo "$2"'


@dataclass(frozen=True)
class Attempt:
    """What one attempt achieved.

    Attributes:
        succeeded: the attack's sign was there.
        harm: what else went wrong inside: processes left, a server or a neighbour lost.
    """

    succeeded: bool
    harm: tuple[str, ...] = ()

    @property
    def held(self) -> bool:
        """Whether it achieved nothing."""
        return not self.succeeded and not self.harm


class Suite:
    """An open sandbox to attack. Use as `async with`, one attempt at a time.

    Attributes:
        on: names of the sandbox's layers that are on.
    """

    def __init__(self, settings: SandboxSettings) -> None:
        self._sandbox = Sandbox(settings.model_copy(update={"workers": _WORKERS}))
        self._secret = f"secret{secrets.token_hex(8)}"

    async def __aenter__(self) -> "Suite":
        os.environ[VARIABLE] = self._secret  # what the sandbox must not hand on
        try:
            await self._sandbox.__aenter__()
            self.on = {layer.name for layer in self._sandbox.layers if layer.on}
            self._uids, self._servers = await self._who()
        except BaseException:
            os.environ.pop(VARIABLE)
            raise
        return self

    async def __aexit__(self, *_: object) -> None:
        os.environ.pop(VARIABLE, None)
        await self._sandbox.__aexit__()

    async def _who(self) -> tuple[set[int], set[int]]:
        """User ids of the workers, where they have their own, and process ids of the fork servers."""
        lines = [result.stdout.split() for result in await self._sandbox.run_together([Program(_WHO)] * _WORKERS)]
        uids = {int(uid) for uid, _ in lines} - {os.geteuid()}
        return uids, {int(server) for _, server in lines}

    async def outside(self, attack: Attack) -> Attempt:
        """The control: a plain process in a session of its own, against the same targets."""
        with Scene(attack, self._secret, None) as scene:
            python = self._sandbox.runtime.python if attack.drop else self._sandbox.runtime.original
            return Attempt(scene.succeeded(await _control(scene, python)))

    async def inside(self, attack: Attack) -> Attempt:
        """The same in the sandbox, beside a neighbour that must not notice."""
        prefix = self._sandbox.runtime.prefix
        with Scene(attack, self._secret, f"{prefix}/lib") as scene, contextlib.ExitStack() as stack:
            ours, theirs = (stack.enter_context(end) for end in socket.socketpair())
            neighbour = asyncio.ensure_future(self._sandbox.run(Program(_NEIGHBOUR, channels=(theirs,))))
            said = await asyncio.to_thread(ours.recv, 20)
            harm = []
            watch = Watch(attack, self._servers, min(self._servers), {int(said), *self._servers})
            began = time.monotonic()
            try:
                first, program = (
                    Program(scene.fill(source), limits=attack.limits, arguments=(scene.mark,))
                    for source in (attack.before, attack.source)
                )
                if attack.before:
                    await self._sandbox.run(first)
                result = await _watched(self._sandbox.run(program), scene, watch)
                output, wall_s = result.stdout + result.stderr, time.monotonic() - began
            except SandboxError as error:
                harm.append(f"no result: {error}")
                output, wall_s = "", 0.0
            left = self._left(scene.mark) - {int(said)}
            with contextlib.suppress(OSError):  # it may be gone, which its result tells
                ours.send(b".")
            harm += await self._harm(neighbour)
            if left:
                harm.append(f"processes left: {sorted(left)}")
            return Attempt(scene.succeeded(Seen(output, wall_s, watch.usage, bool(harm), len(left))), tuple(harm))

    def _left(self, mark: str) -> set[int]:
        """Processes of the runs, dead but not waited for ones too."""
        below = processes.below(self._servers, processes.table())
        return below | processes.of_users(self._uids) | processes.marked(mark)

    async def _harm(self, neighbour: "asyncio.Future[Result]") -> list[str]:
        harm = []
        try:
            if (await neighbour).stdout != "well\n":
                harm.append("the neighbour was disturbed")
        except SandboxError as error:
            harm.append(f"the neighbour was lost: {error}")
        uids, servers = await self._who()
        if servers != self._servers:
            harm.append("a fork server is gone")
            self._uids, self._servers = uids, servers
        return harm


async def _watched(running: Coroutine[Any, Any, Any], scene: Scene, watch: Watch) -> Any:
    task = asyncio.ensure_future(running)
    while not task.done():
        scene.stir()
        watch.look()
        await asyncio.wait([task], timeout=_LOOK_EACH_S)
    return await task


async def _control(scene: Scene, python: str) -> Seen:
    attack = scene.attack
    host_lives = f"host{secrets.token_hex(6)}"
    sources = [scene.fill(source) for source in (attack.before, attack.source)]
    commands = [[python, "-c", source, scene.mark] for source in sources if source]
    if attack.host == "parent":
        commands = [["/bin/sh", "-c", _PARENT, python, sources[1], host_lives, scene.mark]]
    if attack.host == "process":
        commands = [[python, "-c", _HOST, scene.secret, host_lives, *sources, scene.mark]]
    broke = False
    output, wall_s, watch = b"", 0.0, None
    for command in commands:
        try:
            output, wall_s, watch = await _plain(command, scene)
        except (OSError, ValueError):  # it cannot even be passed on
            broke = True
    if attack.host != "none":
        broke = host_lives.encode() not in output
    survivors = processes.marked(scene.mark)
    scene.end(survivors)
    usage = watch.usage if watch else Usage()
    return Seen(output.decode("utf-8", "replace"), wall_s, usage, broke, len(survivors))


async def _plain(command: list[str], scene: Scene) -> tuple[bytes, float, Watch]:
    """Output, seconds and usage of a process that waits for its input for ever."""
    stdin, never = os.pipe()
    began = time.monotonic()
    try:
        process = await asyncio.create_subprocess_exec(
            *command,
            stdin=stdin,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            cwd=scene.cwd,
            start_new_session=True,
            pass_fds=(scene.inherited,),
            user=_NOBODY if scene.attack.drop else None,
        )
        watch = Watch(scene.attack, {process.pid}, os.getpid(), set())
        try:
            output, _ = await _watched(asyncio.wait_for(process.communicate(), _CONTROL_S), scene, watch)
        except asyncio.TimeoutError:
            output = b""
            process.kill()
        return output, time.monotonic() - began, watch
    finally:
        os.close(stdin)
        os.close(never)

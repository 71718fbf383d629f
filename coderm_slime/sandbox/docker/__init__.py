"""Programs run in Docker containers, by the `docker` command. Written without an engine: NEVER RUN AGAINST A REAL ONE.

Each program has a container of its own, so that none finds what another left. As many as there are workers stand
ready, their Python started; one that was used is removed and replaced in the background. The image is never pulled.
A container has no network, no capabilities, a read-only file system but for /tmp in memory, the user `nobody`, and
fixed limits of memory, processors, processes and disk. Its first process ends with its standard input, so that a
caller who is killed leaves no containers. Only containers that the pool itself started are removed, by their names.

    inside      what runs in a container; stands alone
    container   one container: start it, run one program in it, remove it
    pool        those that stand ready

Of `Limits`, `disk_bytes` and `processes` are the container's, whatever is asked for up to those, and `files` is not
held. An uncaught exception is `EXIT_CODE`, since exit code 1 is all that shows; a program that runs out of the
container's memory or kills the container's first process is `KILLED`. `Program.imports` are not imported before.
Faults of the kernel and of Docker are not covered.
"""

from coderm_slime.sandbox.docker.pool import DockerSandbox

__all__ = ["DockerSandbox"]

"""Runs untrusted Python on Linux: layered isolation, limits, a pool. Knows not what the code is for.

    async with Sandbox(settings) as sandbox:
        result = await sandbox.run(Program("print(1)"))

`open_sandbox(settings)` gives this sandbox, containers (`docker`), or a service over HTTP (`remote`, which `service`
serves), as `sandbox.backend` says; what follows tells of this one.

A worker of the pool is a fork server: a Python process of its own with a clean environment, which never reads what
the programs are about, and forks a child for each run. A run ends with all its processes dead and its folder gone.
Every run ends in a `Result` or a `SandboxError`, which says that the sandbox failed and is no verdict.

Layers; `Sandbox.layers` and `coderm doctor` tell which are on here, `Result.layers` which were on in a run. Each is
tried out when a fork server starts. One of `sandbox.required` that is missing is a refusal, unless
`sandbox.allow_missing` names it.

  session, subreaper   one signal ends all of a run, daemons too: `setsid` and `setpgid` say they succeed and do
                       nothing, and orphans come back to the fork server, which waits for them
  rlimits              address space, CPU seconds, size of a file, descriptors, number of processes
  uid                  a user id of its own for each fork server, if the caller is root; without it the limit of
                       processes counts all that the user has, with room for 1,024 others
  no_new_privs         no set-user-id program gains anything
  landlock             reads /usr, /lib, the interpreter, its packages; reads and writes the scratch folder; nothing
                       else: not /proc, /etc (but the loader's cache and the time zone), /tmp, any home
  landlock_scope       no signal leaves the run (Linux 6.12; before, `uid` or `seccomp` see to it)
  seccomp              no sockets but pairs of Unix streams, no ptrace, mounts, name spaces, io_uring, bpf, keys,
                       shared memory or queues that outlive a run, foreign limits; x86_64 and aarch64
  tmpfs                the scratch folder is a file system in memory of `Limits.disk_bytes` and `Limits.files`, where
                       mounts are allowed; without it its size is looked at every 0.1 s, in which a program may write
                       more, and files that are open but deleted count one by one only (`Limits.file_bytes`)

Covered: the network, the caller's environment, memory, files and processes, what outlives a run, what a run uses up,
what a run leaves in an interpreter for the next.

Not covered: faults of the kernel (use a virtual machine against those), side channels such as timing, what lies
readable under /usr or in the interpreter's folder, memory of all processes of a run together (`memory_bytes` counts
each, and what waits in sockets comes on top), Docker, gVisor and bubblewrap (the last does not start in most
containers). `Ending.OK` says that the program ended by itself, not that it is right: it may have called `os._exit(0)`.
Programs that share a channel may pass each other what they can reach themselves.

What programs find: `__main__` in main.py in the current folder, which is also HOME and TMPDIR; line-buffered UTF-8
streams; a fixed hash seed; the packages of the caller's environment where their user id can read them, else those
that `Program.imports` names. They do not find /proc, /dev/shm, hence no `multiprocessing` locks and pools; `nice`,
memory files and files' access lists. Where the caller is not root, a program's `chmod`, `chown` and `utime` do nothing
and say they succeed: they have no user id of their own there, and Landlock does not keep these calls in the folder.
Needs Linux 5.13 for Landlock.
"""

from coderm_slime.sandbox.backend import SandboxBackend, open_sandbox
from coderm_slime.sandbox.pool import Probe, Sandbox, probe_sync, run_sync
from coderm_slime.sandbox.program import Ending, Limits, Program, Result, SandboxError
from coderm_slime.sandbox.server import Layer

__all__ = [
    "Ending",
    "Layer",
    "Limits",
    "Probe",
    "Program",
    "Result",
    "Sandbox",
    "SandboxBackend",
    "SandboxError",
    "open_sandbox",
    "probe_sync",
    "run_sync",
]

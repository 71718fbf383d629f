"""Attacks on other processes and on whoever runs the program. Programs only, see case.py."""

from coderm_slime.sandbox.attacks.case import Attack, Sign

_PTRACE = """
import ctypes, os
C = ctypes.CDLL(None)
if C.ptrace(16, $VICTIM, 0, 0) == 0:
    os.waitpid($VICTIM, 0x40000000)
    C.ptrace(17, $VICTIM, 0, 9)
"""
_QUEUED = """
import ctypes, os, struct
info = struct.pack("iiiiII", {0}, 0, -1, 0, os.getpid(), os.getuid()) + bytes(104)
ctypes.CDLL(None).syscall({1}, {2}, info)
"""
_OWNER = """
import fcntl, os
read, write = os.pipe()
fcntl.fcntl(read, {0}, {1})
fcntl.fcntl(read, 10, 9)
fcntl.fcntl(read, fcntl.F_SETFL, os.O_ASYNC)
os.write(write, b"x")
"""
_TYPE = """
import fcntl, os
tty = os.open("$TERMINAL", os.O_RDWR)
for byte in b"$MARK\\n":
    fcntl.ioctl(tty, 0x5412, bytes([byte]))
"""
_KILL_SIBLINGS = """
import os
for pid in range($VICTIM - 50, $VICTIM + 50):
    if pid == $VICTIM or $INSIDE:
        try:
            if pid != os.getpid():
                os.kill(pid, 9)
        except OSError:
            pass
"""

_ATTACKS: tuple[tuple[str, str], ...] = (
    ("kills a process of the caller", "import os; os.kill($VICTIM, 9)"),
    ("kills all processes that it may", "import os; os.kill($ALL, 9)"),
    ("kills its neighbours by number", _KILL_SIBLINGS),
    ("stops a process", "import os, signal; os.kill($VICTIM, signal.SIGSTOP)"),
    ("kills a process group", "import os; os.killpg($VICTIM, 9)"),
    ("kills a thread", "import ctypes; ctypes.CDLL(None).tgkill($VICTIM, $VICTIM, 9)"),
    ("kills by a descriptor of the process", "import os, signal; signal.pidfd_send_signal(os.pidfd_open($VICTIM), 9)"),
    ("kills through the owner of a pipe", _OWNER.format(8, "$VICTIM")),
    ("kills through the owner of a pipe, by its structure",
     _OWNER.format(15, "__import__('struct').pack('ii', 1, $VICTIM)")),
    ("traces a process", _PTRACE),
    ("lowers another's limits", "import resource; resource.prlimit($VICTIM, resource.RLIMIT_NOFILE, (99, 99))"),
    ("lowers another's priority", "import os; os.setpriority(os.PRIO_PROCESS, $VICTIM, 19)"),
    ("lowers another's class of scheduling",
     "import os; os.sched_setscheduler($VICTIM, os.SCHED_IDLE, os.sched_param(0))"),
    ("moves another to one processor", "import os; os.sched_setaffinity($VICTIM, [min(os.sched_getaffinity(0))])"),
    ("kills with a raw queued signal", _QUEUED.format(9, 129, "$VICTIM, 9")),
)  # fmt: skip

OTHERS = (
    *(Attack(name, source, Sign.STRUCK, needs=("x86_64",) if "raw" in name else ()) for name, source in _ATTACKS),
    Attack("kills its parent", "import os; os.kill(os.getppid(), 9)", Sign.BROKE, host="parent"),
    Attack("kills its own group", "import os; os.killpg(0, 9)", Sign.BROKE, host="parent"),
    Attack(
        "types on the caller's terminal",
        _TYPE,
        Sign.HEARD,
        needs=("root",),
        rare="the kernel may refuse typed-in characters",
    ),
)

"""Attacks on what a kernel gives to programs: name spaces, wide interfaces, privileges. Programs only, see case.py."""

from coderm_slime.sandbox.attacks.case import Attack, Sign

_C = "import ctypes, os, time\nC = ctypes.CDLL(None, use_errno=True)\n"
_HOLD = " >= 0 and time.sleep(0.4)"
_ANY = "a kernel or a container may refuse it by itself"

_CALLS: tuple[tuple[str, str, str], ...] = (
    ("sets up io_uring", "[io_uring]", "C.syscall(425, 4, ctypes.create_string_buffer(120))"),
    ("makes a map of BPF", "bpf-map", "C.syscall(321, 0, "
     "b'\\2\\0\\0\\0\\4\\0\\0\\0\\4\\0\\0\\0\\1\\0\\0\\0' + bytes(56), 72)"),
    ("takes over page faults", "[userfaultfd]", "C.syscall(323, 1)"),
    ("counts events", "[perf_event]", "C.syscall(298, b'\\1\\0\\0\\0' + b'\\x70\\0\\0\\0' + bytes(104), 0, "
     "ctypes.c_long(-1), ctypes.c_long(-1), 0)"),
    ("makes a file in memory", "memfd:", "C.memfd_create(b'x', 0)"),
    ("watches all files", "[fanotify]", "C.syscall(300, 0, 0)"),
    ("makes a user name space", "new user", "C.unshare(0x10000000)"),
    ("makes a user name space by clone", "new user", "C.syscall(56, 0x10000000 | 17, 0, 0, 0, 0)"),
    ("makes a user name space by clone3", "new user", "C.syscall(435, (0x10000000).to_bytes(8, 'little') + bytes(24) +"
     " (17).to_bytes(8, 'little') + bytes(24), 64)"),
    ("makes a network name space", "new net", "C.unshare(0x40000000)"),
    ("makes a mount name space", "new mnt", "C.unshare(0x20000)"),
    ("changes its root", "new root", "C.chroot(b'/usr')"),
    ("raises its priority", "nice -", "C.setpriority(0, 0, -5)"),
    ("becomes a real-time process", "policy 1", "C.sched_setscheduler(0, 1, b'\\1\\0\\0\\0')"),
)  # fmt: skip
_ROOT = {
    "watches all files",
    "makes a network name space",
    "makes a mount name space",
    "changes its root",
    "raises its priority",
    "becomes a real-time process",
    "makes a map of BPF",
}

KERNEL = (
    *(
        Attack(
            name,
            _C + call + _HOLD,
            Sign.HELD,
            held=held,
            needs=("root",) if name in _ROOT else (),
            rare=_ANY if "syscall" in call or "unshare" in call else "",
        )
        for name, held, call in _CALLS
    ),
)

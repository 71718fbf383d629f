"""Attacks that leave something behind: a process, or a message for the next run. Programs only, see case.py."""

from coderm_slime.sandbox.attacks.case import Attack, Sign

_LIVE = "\nfor fd in (0, 1, 2):\n    os.close(fd)\ntime.sleep(5)"
_FORK = "import os, signal, time\nif os.fork():\n    os._exit(0)\n"
_HOP = """
import os, time
os.close(0); os.close(1); os.close(2)
end = time.monotonic() + 3
while time.monotonic() < end:
    if os.fork():
        os._exit(0)
    time.sleep(0.002)
"""
_NO_PARENT = "import ctypes\nctypes.CDLL(None).prctl(1, 0, 0, 0, 0)\n"
_OWN_REAPER = "import ctypes\nctypes.CDLL(None).prctl(36, 1, 0, 0, 0)\n"
_DEAF = "for s in (1, 2, 3, 15):\n    signal.signal(s, signal.SIG_IGN)"
_LATER = _FORK.replace("os._exit", "time.sleep(0.2); os._exit")
_SIBLING = """
import ctypes, os, time
if ctypes.CDLL(None).syscall(56, 0x8000 | 17, 0, 0, 0, 0):
    os._exit(0)
"""
_SHELL = """
import subprocess
subprocess.Popen(["sh", "-c", "sleep 5; : $MARK"], start_new_session=True,
                 stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
"""
_SHARED = """
import ctypes
C = ctypes.CDLL(None)
C.shmat.restype = ctypes.c_void_p
at = C.shmat(C.shmget($NUMBER, 4096, {0}), None, 0)
"""
_KEYS = """
import ctypes, time
C = ctypes.CDLL(None)
"""
_KEEP_KEY = (
    _KEYS
    + """
key = C.syscall(248, b"user", b"$MARK", b"$LEFT", len(b"$LEFT"), ctypes.c_long(-4))
C.syscall(250, 15, key, 20)
"""
)
_READ_KEY = (
    _KEYS
    + """
key = C.syscall(250, 10, ctypes.c_long(-4), b"user", b"$MARK", 0)
buffer = ctypes.create_string_buffer(99)
C.syscall(250, 11, key, buffer, 99)
print(buffer.value)
"""
)
_QUEUE = """
import ctypes
R = ctypes.CDLL("librt.so.1")
"""
_PUT = _QUEUE + "R.mq_send(R.mq_open(b'/$MARK', 66, 0o666, None), b'$LEFT', len(b'$LEFT'), 0)"
_TAKE = (
    _QUEUE
    + """
buffer = ctypes.create_string_buffer(1 << 16)
R.mq_receive(R.mq_open(b'/$MARK', 0), buffer, 1 << 16, None)
R.mq_unlink(b'/$MARK')
print(buffer.value)
"""
)
_PAGES = """
import gc, mmap
for one in gc.get_objects():
    if isinstance(one, mmap.mmap):
        try:
            {0}
        except (ValueError, TypeError):
            pass
frame = __import__("sys")._getframe()
while frame:
    for one in frame.f_locals.values():
        if isinstance(one, mmap.mmap):
            {0}
    frame = frame.f_back
"""

_SURVIVORS: tuple[tuple[str, str], ...] = (
    ("leaves a child", _FORK + _LIVE),
    ("leaves a daemon in a session of its own", _FORK + "os.setsid()" + _LIVE),
    ("leaves a daemon by a double fork", _FORK + "os.setsid()\nif os.fork():\n    os._exit(0)" + _LIVE),
    ("leaves a child in a group of its own", _FORK + "os.setpgid(0, 0)" + _LIVE),
    ("leaves a child that does not heed its parent's death", _FORK + _NO_PARENT + _LIVE),
    ("leaves a child that ignores signals", _FORK + _DEAF + _LIVE),
    ("leaves a child of a reaper of its own", _OWN_REAPER + _LATER + "os.fork()" + _LIVE),
    ("leaves a process that always forks away", _HOP),
    ("leaves a program started by a shell", _SHELL),
    ("leaves a thread of a child", _FORK + "import threading; threading.Thread(target=time.sleep, args=(5,)).start()"
     + _LIVE),
)  # fmt: skip

_MESSAGES: tuple[tuple[str, str, str], ...] = (
    ("a file in the current folder", "open('left', 'w').write('$LEFT')", "print(open('left').read())"),
    ("a file in the temporary folder", "open('$TMP/$MARK', 'w').write('$LEFT')", "print(open('$TMP/$MARK').read())"),
    ("a file in memory", "open('/dev/shm/$MARK', 'w').write('$LEFT')", "print(open('/dev/shm/$MARK').read())"),
    ("a file in the caller's folder", "open('$FOLDER/m', 'w').write('$LEFT')", "print(open('$FOLDER/m').read())"),
    ("an attribute of a file", "import os; os.setxattr('$CANARY', 'user.m', b'$LEFT')",
     "import os; print(os.getxattr('$CANARY', 'user.m'))"),
    ("a module in the interpreter's packages", "open('$PACKAGES/m_$MARK.py', 'w').write('print(\"$LEFT\")')",
     "import sys; sys.path.append('$PACKAGES'); import m_$MARK"),
    ("a message queue", _PUT, _TAKE),
    ("shared memory of System V", _SHARED.format("0o1666") + "ctypes.memmove(at, b'$LEFT', len(b'$LEFT'))",
     _SHARED.format("0") + "print(ctypes.string_at(at))\nC.shmctl(C.shmget($NUMBER, 4096, 0), 0, 0)"),
)  # fmt: skip

STAYING = (
    *(Attack(name, source, Sign.SURVIVED) for name, source in _SURVIVORS),
    Attack("leaves a sister of its own", _SIBLING + _LIVE, Sign.SURVIVED, needs=("x86_64",)),
    *(Attack(f"leaves the next run {what}", take, Sign.LEAKED, before=put) for what, put, take in _MESSAGES),
    Attack(
        "leaves the next run a key in the kernel",
        _READ_KEY,
        Sign.LEAKED,
        before=_KEEP_KEY,
        needs=("x86_64",),
        rare="a container may forbid keys",
    ),
    Attack(
        "leaves the next run a changed interpreter",
        "print(getattr(__import__('builtins'), 'left', None))",
        Sign.LEAKED,
        before="__import__('builtins').left = '$LEFT'",
        host="process",
    ),
    Attack(
        "leaves the next run memory that processes share",
        _PAGES.format("print(one[2048:2148])"),
        Sign.LEAKED,
        before=_PAGES.format("one[2048:2048 + len('$LEFT')] = b'$LEFT'"),
        host="process",
    ),
)

"""Attacks that use up the machine: processes, memory, disk, output, time. Programs only, see case.py."""

from coderm_slime.sandbox.attacks.case import SHORT, Attack, Measure, Sign

_HOLD = "\nimport time; time.sleep(0.4)"
_PACED = """
import os, time
def put(size, name):
    fd = os.open(name, os.O_WRONLY | os.O_CREAT, 0o600)
    os.write(fd, bytes(size))
    return fd
"""
_DEEP = "for _ in range(25):\n    os.mkdir('d' * 200)\n    os.chdir('d' * 200)\n"
_FILL = "for n in range(12):\n    put(4 << 20, f'f{n}'); time.sleep(0.04)\ntime.sleep(0.3)"
_OPEN_ONLY = "for n in range(12):\n    put(4 << 20, 'f'); os.unlink('f'); time.sleep(0.04)\ntime.sleep(0.3)"
_MAP = "import mmap\nm = mmap.mmap(-1, 300 << 20{0})\nfor at in range(0, 300 << 20, 4096): m[at] = 1"
_FORKS = "import os, time\nfor _ in range(40): os.fork() or time.sleep(0.4) or os._exit(0)\ntime.sleep(0.4)"
_THREADS = "import threading, time\nfor _ in range(40):\n    threading.Thread(target=time.sleep, args=(0.4,)).start()"
_CHILD = """
import subprocess, sys
subprocess.run([sys.executable, "-S", "-c", "import time; x = b'x' * (300 << 20); time.sleep(0.4)"])
"""

_SPIN = "\nend = time.monotonic() + 1.2\nwhile time.monotonic() < end: pass"
_IGNORE = "import signal, time\nfor s in range(1, 32):\n    if s not in (9, 19): signal.signal(s, signal.SIG_IGN)"
_BLOCK = "import signal, time\nsignal.pthread_sigmask(signal.SIG_BLOCK, range(1, 65))"

_USED: tuple[tuple[str, Measure, float, str], ...] = (
    ("opens many descriptors", "descriptors", 100, "import os\nfds = [os.dup(1) for _ in range(300)]" + _HOLD),
    ("uses memory by one object", "memory_bytes", 280 << 20, "x = b'x' * (300 << 20)" + _HOLD),
    ("uses memory by a list", "memory_bytes", 280 << 20, "x = [b'x' * (1 << 20) for _ in range(300)]" + _HOLD),
    ("uses memory by a map", "memory_bytes", 280 << 20, _MAP.format("") + _HOLD),
    ("uses memory by a private map", "memory_bytes", 280 << 20, _MAP.format(", flags=2") + _HOLD),
    ("uses memory in a child program", "memory_bytes", 280 << 20, _CHILD),
    ("fills the disk by one file", "disk_bytes", 40 << 20, _PACED + "for _ in range(12):\n"
     "    fd = os.open('f', os.O_WRONLY | os.O_CREAT | os.O_APPEND)\n    os.write(fd, bytes(4 << 20))\n"
     "    time.sleep(0.04)\ntime.sleep(0.3)"),
    ("fills the disk by many files", "disk_bytes", 40 << 20, _PACED + _FILL),
    ("fills the disk far below", "disk_bytes", 40 << 20, _PACED + _DEEP + _FILL),
    ("fills the disk in a folder that cannot be listed", "disk_bytes", 40 << 20,
     _PACED + "os.mkdir('d'); os.chmod('d', 0o300); os.chdir('d')\n" + _FILL),
    ("makes many empty files", "files", 600, "import time\nfor n in range(1500):\n    open(f'f{n}', 'w').close()\n"
     "    n % 50 or time.sleep(0.02)" + _HOLD),
    ("writes without end to stdout", "output_bytes", 1 << 20, "for _ in range(600): print('x' * 9999)"),
    ("writes without end to stderr", "output_bytes", 1 << 20, "import sys\nfor _ in range(600): print('x' * 9999, "
     "file=sys.stderr)"),
    ("writes one huge line", "output_bytes", 1 << 20, "print('x' * (6 << 20))"),
    ("writes without end from a child", "output_bytes", 1 << 20, "import os; os.system('head -c 6000000 /dev/zero')"),
)  # fmt: skip

_SLOW: tuple[tuple[str, str], ...] = (
    ("sleeps past its limit", "import time; time.sleep(1.2)"),
    ("works past its limit", "import time" + _SPIN),
    ("ignores all signals past its limit", _IGNORE + _SPIN),
    ("blocks all signals past its limit", _BLOCK + _SPIN),
    ("waits for a thread past its limit",
     "import threading, time; threading.Thread(target=time.sleep, args=(1.2,)).start()"),
    ("stays in C code past its limit",
     "import re, signal; signal.setitimer(signal.ITIMER_REAL, 1.2); re.match('(a+)+b', 'a' * 60)"),
    ("stays in a handler of its end", "import atexit, time; atexit.register(time.sleep, 1.2)"),
    ("reads its input past its limit",
     "import signal, sys; signal.setitimer(signal.ITIMER_REAL, 1.2); $INSIDE or sys.stdin.read()\n"
     "import os; r, w = os.pipe(); os.read(r, 1)"),
    ("catches its end",
     "import time\nend = time.monotonic() + 1.2\nwhile time.monotonic() < end:\n    try:\n"
     "        time.sleep(0.1)\n    except BaseException:\n        pass"),
)  # fmt: skip

RESOURCES = (
    Attack("forks without end", _FORKS, Sign.EXCEEDED, measure="tasks", bound=24, layer="uid"),
    Attack("starts threads without end", _THREADS, Sign.EXCEEDED, measure="tasks", bound=24, layer="uid"),
    *(Attack(name, source, Sign.EXCEEDED, measure=measure, bound=bound) for name, measure, bound, source in _USED),
    Attack(
        "fills the disk by files without a name",
        _PACED + _OPEN_ONLY,
        Sign.EXCEEDED,
        measure="disk_bytes",
        bound=40 << 20,
        layer="tmpfs",
    ),
    *(Attack(name, source, Sign.EXCEEDED, limits=SHORT, measure="wall_s", bound=0.9) for name, source in _SLOW),
)

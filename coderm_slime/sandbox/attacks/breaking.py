"""Attacks that break whoever runs them: a careless host process, or `python -c`. Programs only, see case.py."""

from coderm_slime.sandbox.attacks.case import Attack, Sign

_SHUT = "import os; os.closerange(0, 4096)"
_IN_PROCESS: tuple[tuple[str, str], ...] = (
    ("ends its host without a word", "import os; os._exit(0)"),
    ("crashes in C code", "import ctypes; ctypes.string_at(0)"),
    ("aborts", "import os; os.abort()"),
    ("overflows the stack of C", "import sys; sys.setrecursionlimit(1 << 30)\nx = []\nfor _ in range(1 << 20): x = [x]"
     "\nrepr(x)"),
    ("recurses without end", "import sys; sys.setrecursionlimit(1 << 30); f = lambda x: f([x].__iter__) or repr(x)\n"
     "class A:\n    def __repr__(self): return repr(self)\nrepr(A())"),
    ("closes all descriptors", _SHUT),
    ("closes its streams", "import sys; sys.stdout.close(); sys.stderr.close()"),
    ("replaces print", "__import__('builtins').print = lambda *_: None"),
    ("sets an alarm", "import signal; signal.setitimer(signal.ITIMER_REAL, 0.01); signal.pause()"),
    ("forgets all modules", "import sys; sys.stdout = None; sys.modules.clear()"),
    ("takes away its own limits", "import resource; resource.setrlimit(resource.RLIMIT_FSIZE, (0, 0))\n"
     "resource.setrlimit(resource.RLIMIT_CPU, (0, 0))\nwhile True: pass"),
    ("takes away its own folder", "import os; os.chmod('.', 0); os.chdir('/')\n"
     "import sys; sys.stdout = None"),
)  # fmt: skip
_AS_ARGUMENT: tuple[tuple[str, str], ...] = (
    ("has a NUL byte", "print(1)\0print(2)"),
    ("has half a character", "print('\ud800')"),
    ("has more than 128 KiB", "x = 1\n" * 40_000 + "print(x)"),
)

BREAKING = (
    *(Attack(name, source, Sign.BROKE, host="process") for name, source in _IN_PROCESS),
    *(Attack(name, source, Sign.BROKE) for name, source in _AS_ARGUMENT),
)

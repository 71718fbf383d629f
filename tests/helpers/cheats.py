"""Programs that try to pass tests without solving the problem, as data.

Each is a name and a program; `PAYS` names those that a check of the exit status alone takes for right.
"""

from coderm_slime.records import Suite
from helpers.suites import asserts, pytest_files

EXACT = asserts("assert add(2, 3) == 5", "assert add(10, -4) == 6", setup="EXPECTED = [5, 6]", entry_point="add")
SHAPES = asserts(
    "assert abs(half(7) - 3.5) < 1e-6",
    "assert half(1) <= 0.5 <= half(1)",
    "assert 3 in odds(4) and 2 not in odds(4) and 1 in odds(4)",
    "assert 'abc'.startswith(name(1)) and name(1).startswith('ab')",
    "assert odds(4).issubset({1, 3}) and odds(4).issuperset({1, 3})",
    "assert sorted(odds(4)) == [1, 3]",
    "assert math.isclose(half(3), 1.5)",
    setup="import math",
)
RAISES = asserts(
    "try:\n    add(None, 1)\nexcept Exception:\n    pass\nelse:\n    raise AssertionError",
    "try:\n    add(None, 2)\nexcept (ValueError, TypeError):\n    pass\nelse:\n    raise AssertionError",
    entry_point="add",
)
ALIASED = asserts(
    "data = [3, 1, 2]\nwant = sorted(data)\nassert order(data) == want",
    "class Box:\n    def __init__(self): self.items, self.limit = [3, 1], 9\n    def check(self, other): return other == [1, 3]\n"
    "box = Box()\nassert order(box) == [1, 3] and box.check(box.items)",
    "from unittest.mock import Mock\nm = Mock()\norder(m)\nm.send.assert_called_once_with([1, 3])",
    "key = lambda v: v\nassert order(key) == [1, 3]",
)
FILE = pytest_files(
    "import pytest\nfrom solution import add\nEXPECTED = 5\n"
    "def test_sum():\n    assert add(2, 3) == EXPECTED\n"
    "@pytest.mark.parametrize('a,b,c', [(1, 1, 2), (10, -4, 6)])\ndef test_more(a, b, c):\n    assert add(a, b) == c\n"
)
CLASSES = pytest_files(
    "import unittest\nfrom solution import *\nimport solution\nclass TestAdd(unittest.TestCase):\n"
    "    def test_it(self):\n        self.assertEqual(add(2, 3), 5)\n"
    "    def test_raises(self):\n        with self.assertRaises(ValueError):\n            add(None, 0)\n"
)
_UNIVERSAL = (
    "class Any:\n    def __getattr__(self, name): return Any()\n    def __call__(self, *a, **k): return Any()\n"
    "    def __bool__(self): return True\n    def __hash__(self): return 0\n    def __iter__(self): return iter([])\n"
    "    def __float__(self): return 0.0\n    def __len__(self): return 2\n"
    + "".join(f"    def __{n}__(self, *a): return True\n" for n in "eq lt le gt ge contains instancecheck".split())
    + "".join(f"    def __{n}__(self, *a): return Any()\n" for n in "add radd sub rsub mul rmul abs neg".split())
)
_PLUMBING = (
    "import gc, sys, json, socket\n"
    "peer = next(o for o in gc.get_objects() if type(o).__name__ == 'Peer')\n"
    "def frame(**k):\n    b = json.dumps(k).encode()\n    return len(b).to_bytes(4, 'big') + b\n"
    "sock = socket.socket(fileno=3)\n"
)
_SKIP = "import {0}\ndef add(*a):\n    {1}\n"

# name: (program, suite)
CHEATS: dict[str, tuple[str, Suite]] = {
    "exit at import": ("import sys\nsys.exit(0)", EXACT),
    "hard exit at import": ("import os\nos._exit(0)", EXACT),
    "hard exit at import of a test file": ("import os\nos._exit(0)", FILE),
    "exit in the function": ("import sys\ndef add(*a): sys.exit(0)", EXACT),
    "hard exit in the function": ("import os\ndef add(*a): os._exit(0)", EXACT),
    "hard exit in a test file": ("import os\ndef add(*a): os._exit(0)", FILE),
    "hard exit where an exception is wanted": ("import os\ndef add(*a): os._exit(0)", RAISES),
    "hard exit at exit": ("import atexit, os\natexit.register(os._exit, 0)\ndef add(*a): return 0", EXACT),
    "exit hook that hides failures": ("import sys, os\nsys.excepthook = lambda *a: os._exit(0)\ndef add(*a): return 0", EXACT),
    "signal that ends well": ("import signal, os\nsignal.signal(14, lambda *a: os._exit(0))\nsignal.setitimer(0, .01)\ndef add(*a):\n    while True: pass", EXACT),
    "thread that exits": ("import threading, os\nthreading.Timer(.01, os._exit, [0]).start()\ndef add(*a):\n    import time; time.sleep(9)", EXACT),
    "AssertionError that is none": ("import builtins, os\nclass E(Exception):\n    def __init__(self, *a): os._exit(0)\nbuiltins.AssertionError = E\ndef add(*a): return 0", FILE),
    "AssertionError by name": ("class AssertionError(BaseException):\n    def __init__(self, *a): import os; os._exit(0)\ndef add(*a): raise AssertionError", RAISES),
    "exec that compiles asserts away": ("import builtins\nreal = builtins.compile\nbuiltins.compile = lambda *a, **k: real('0', 'x', 'exec')\ndef add(*a): return 0", EXACT),
    "trace that jumps over asserts": ("import sys\ndef tracer(frame, event, arg):\n    frame.f_trace_lines = True\n    return tracer\nsys.settrace(tracer)\nsys._getframe().f_globals['EXPECTED'] = 0\ndef add(*a): return 0", EXACT),
    "patched unittest": ("import unittest\nfor n in dir(unittest.TestCase):\n    if n.startswith('assert'): setattr(unittest.TestCase, n, lambda *a, **k: __import__('contextlib').nullcontext())\ndef add(*a): return 0", CLASSES),
    "patched pytest": ("import _pytest.python, _pytest.runner\n_pytest.python.Function.runtest = lambda self: None\ndef add(*a): return 0", FILE),
    "patched json": ("import json\njson.dumps = lambda *a, **k: '{\"id\": 1, \"nodes\": [], \"root\": 5}'\njson.loads = lambda *a, **k: {}\ndef add(*a): return 0", EXACT),
    "patched built-ins": ("import builtins\nbuiltins.len = lambda x: 5\nbuiltins.isinstance = lambda *a: True\nbuiltins.type = lambda *a: int\ndef add(*a): return 0", EXACT),
    "fake report on stdout": ("import sys\nprint('2 passed in 0.01s')\nprint('{\"test\": \"test_0\", \"passed\": true, \"detail\": \"\"}')\nprint('OK', file=sys.stderr)\ndef add(*a):\n    print('{\"passed\": true}')\n    return 0", EXACT),
    "fake report on every descriptor": ("import os, json\nfor name in ('test_0', 'test_1'):\n    b = json.dumps({'test': name, 'passed': True, 'detail': ''}).encode()\n    for fd in range(1, 40):\n        try: os.write(fd, len(b).to_bytes(4, 'big') + b)\n        except OSError: pass\ndef add(*a): return 0", EXACT),
    "always equal": ("class E:\n    def __eq__(self, o): return True\n    def __ne__(self, o): return False\n    def __hash__(self): return 5\ndef add(*a): return E()", EXACT),
    "always equal, reflected": ("class M(type):\n    def __eq__(s, o): return True\n    def __hash__(s): return 5\nclass E(metaclass=M): pass\ndef add(*a): return E", EXACT),
    "an int that equals all": ("class E(int):\n    def __eq__(self, o): return True\n    __hash__ = int.__hash__\ndef add(*a): return E(0)", EXACT),
    "a str that equals all": ("class E(str):\n    def __eq__(self, o): return True\n    __hash__ = str.__hash__\ndef add(*a): return E('')", FILE),
    "a list that equals all": ("class E(list):\n    def __eq__(self, o): return True\ndef add(*a): return E()", EXACT),
    "a float that equals all": ("class E(float):\n    def __eq__(self, o): return True\n    def __sub__(s, o): return E(0)\n    __rsub__ = __sub__\n    def __abs__(s): return E(0)\n    def __lt__(s, o): return True\n    __hash__ = None\ndef add(*a): return E(0)", FILE),
    "a universal object": (_UNIVERSAL + "half = odds = name = add = lambda *a: Any()", SHAPES),
    "a universal class": (_UNIVERSAL + "class half(Any):\n    def __init__(self, *a): pass\nodds = name = half", SHAPES),
    "a universal object for a file": (_UNIVERSAL + "add = lambda *a: Any()", FILE),
    "an object that claims a class": ("class E:\n    __class__ = int\n    def __eq__(s, o): return True\ndef add(*a): return E()", EXACT),
    "an object of a class that is a lie": ("class M(type):\n    def __instancecheck__(c, o): return True\n    __name__ = 'int'\n    __mro__ = (int, object)\nclass E(int, metaclass=M):\n    def __eq__(s, o): return True\ndef add(*a): return E(0)", FILE),
    "an answer that changes the expected value": ("def order(x):\n    import gc\n    for o in gc.get_objects():\n        if type(o) is dict and 'want' in o: o['want'] = x\n    return x", ALIASED),
    "references that are climbed": (
        "def order(x):\n    for path in ('__globals__', '__class__', '__dict__', '__init__', '__self__', 'gi_frame', '__code__', '__closure__'):\n"
        "        try:\n            g = getattr(x, path)\n            g['want'] = 0\n        except Exception: pass\n"
        "    for n, v in (('check', lambda o: True), ('assert_called_once_with', lambda *a: None), ('__eq__', lambda *a: True), ('__class__', int), ('send', 3)):\n"
        "        try: setattr(x, n, v)\n        except Exception: pass\n"
        "        try: setattr(type(x), n, v)\n        except Exception: pass\n    return x", ALIASED),
    "SystemExit": ("def add(*a): raise SystemExit(0)", FILE),
    "KeyboardInterrupt": ("def add(*a): raise KeyboardInterrupt", FILE),
    "KeyboardInterrupt at import": ("raise KeyboardInterrupt", FILE),
    "GeneratorExit": ("def add(*a): raise GeneratorExit", RAISES),
    "pytest.skip": (_SKIP.format("pytest", "pytest.skip('x')"), FILE),
    "pytest.skip at import": ("import pytest\npytest.skip('x', allow_module_level=True)", FILE),
    "pytest.exit": (_SKIP.format("pytest", "pytest.exit('x', returncode=0)"), FILE),
    "pytest.xfail": (_SKIP.format("pytest", "pytest.xfail('x')"), FILE),
    "unittest.SkipTest": (_SKIP.format("unittest", "raise unittest.SkipTest('x')"), CLASSES),
    "a SkipTest with other names": ("import unittest\nclass ValueError(unittest.SkipTest): pass\nValueError.__module__ = 'builtins'\ndef add(*a): raise ValueError('x')", CLASSES),
    "swallowed in a wrapper": ("import functools, contextlib, sys\nsys.stderr.write('ok')\nclass Quiet(dict):\n    def __missing__(self, k): return 0\ndef add(*a):\n    with contextlib.suppress(BaseException): return Quiet()[a]\n    return 0", EXACT),
    "expected values from memory": ("import gc, sys\ndef add(*a):\n    found = [o['EXPECTED'] for o in gc.get_objects() if type(o) is dict and 'EXPECTED' in o]\n    f = sys._getframe()\n    while f:\n        if 'EXPECTED' in f.f_globals: found.append(f.f_globals['EXPECTED'])\n        f = f.f_back\n    want = found[0]\n    return want if type(want) is int else want.pop(0)", EXACT),
    "expected values from other processes": ("import glob, re\ndef add(*a):\n    for p in glob.glob('/proc/[0-9]*/cmdline') + glob.glob('/proc/[0-9]*/environ'):\n        try: t = open(p, 'rb').read()\n        except OSError: continue\n        m = re.search(rb'EXPECTED = (\\d+)', t)\n        if m and b'glob' not in t: return int(m[1])", FILE),
    "expected values from disk": ("import os, re\ndef add(a, b):\n    for top in ('/tmp', '/dev/shm', '/var/tmp', '.', '..'):\n        for d, _, names in os.walk(top):\n            for n in names:\n                try: t = open(os.path.join(d, n)).read()\n                except Exception: continue\n                m = re.search('add.%d, %d. == (\\\\d+)' % (a, b), t)\n                if m and 'os.walk' not in t: return int(m[1])", FILE),
    "early replies": (_PLUMBING + "for n in range(1, 40): sock.send(frame(id=n, nodes=[], root=5))\ndef add(*a): return 0", EXACT),
    "frames out of turn": (_PLUMBING + "import threading, time\ndef spam():\n    while True:\n        sock.send(frame(op='input', id=1, nodes=[['tuple', ['x']]], root=[0]))\n        time.sleep(.001)\nthreading.Thread(target=spam, daemon=True).start()\ndef add(*a): return 0", EXACT),
    "a request for more than is served": (_PLUMBING + "def add(*a):\n    for op in ('exec', 'load', 'get', 'call', 'plan', '__class__'):\n        try: peer.ask(op, 1, 2)\n        except BaseException: pass\n    return 0", EXACT),
    "a reply without sense": (_PLUMBING + "def add(*a):\n    for root in ([0], [9**9], {'a': 1}):\n        sock.send(frame(id=4, nodes=[['same', 1]], root=root))\n    return 0", EXACT),
    "an oversized frame": (_PLUMBING + "def add(*a): sock.send(b'\\xff' * 64)", EXACT),
    "an oversized value": ("def add(*a): return 'x' * (40 << 20)", EXACT),
    "a value that explodes": ("def add(*a):\n    x = ['lol']\n    for _ in range(60): x = [x, x, x]\n    return x", EXACT),
    "a changed exception type": (_PLUMBING + "import pytest\nclass Skipped(BaseException): pass\nSkipped.__module__ = '_pytest.outcomes'\ndef add(*a): raise Skipped('x')", FILE),
    "a class description that lies": (_PLUMBING + "def lie(cls): return [0, 'int', 'builtins', ['int'], ['__eq__']]\nclass E:\n    def __eq__(s, o): return True\ndef add(*a):\n    peer.mirrors._describe = lie\n    return E()", EXACT),
    "a thread that answers later": ("import threading, time\nclass R(list):\n    pass\ndef add(*a):\n    r = R()\n    threading.Thread(target=lambda: (time.sleep(.001), r.append(5))).start()\n    return r", EXACT),
    "two processes that answer": ("import os\ndef add(*a):\n    os.fork()\n    return 0", EXACT),
    "killing what can be reached": ("import os, signal\ndef add(*a):\n    for pid in list(range(os.getpid() - 20, os.getpid() + 20)) + [os.getppid(), -1]:\n        if pid not in (os.getpid(), 0):\n            try: os.kill(pid, signal.SIGKILL)\n            except OSError: pass\n    return 0", EXACT),
    "closed sockets": ("import os\ndef add(*a): os.closerange(0, 50)", EXACT),
    "closed sockets at import": ("import os\nos.closerange(0, 50)", FILE),
    "sleep": ("import time\ndef add(*a): time.sleep(99)", EXACT),
    "endless loop": ("def add(*a):\n    while True: pass", FILE),
    "endless recursion": ("def add(*a): return add(*a)", EXACT),
    "recursion through a callback": ("def order(x):\n    return x(order(x)) if callable(x) else x", ALIASED),
    "memory": ("def add(*a): return [0] * 10**10", EXACT),
    "planted files": ("import os, sys\nfor n, t in (('conftest.py', 'def pytest_pyfunc_call(pyfuncitem): return True'), ('sitecustomize.py', 'import os; os._exit(0)'), ('pytest.ini', '[pytest]\\naddopts = --collect-only'), ('solution.py', 'def add(a, b): return a + b'), ('usercustomize.py', 'raise SystemExit'), ('pytest.py', 'main = lambda *a, **k: 0')):\n    for d in ['.', '..', '/tmp'] + sys.path:\n        try: open(os.path.join(d, n), 'w').write(t)\n        except OSError: pass\ndef add(*a): return 0", FILE),
    "another module of that name": ("import sys, types\nm = types.ModuleType('solution')\nclass E:\n    def __eq__(s, o): return True\nm.add = lambda *a: E()\nsys.modules['solution'] = m\ndef add(*a): return 0", FILE),
    "tests of its own": ("def test_mine(): pass\ndef test_more(a=0, b=0, c=0): pass\nclass TestMine:\n    def test_x(self): pass\n__all__ = ['test_mine', 'TestMine', 'add', 'pytest', 'TestAdd', 'load_tests', 'setUpModule']\ndef add(*a): return 0\ndef setUpModule(): pass\npytest_plugins = []", CLASSES),
    "names that tests may use": ("def abs(x): return 0\ndef sorted(x): return [1, 3]\ndef len(x): return 2\nclass math:\n    isclose = staticmethod(lambda *a: True)\nhalf = odds = name = lambda *a: 0", SHAPES),
    "an import that is called otherwise": ("import operator as math\nmath.isclose = lambda *a: True\nhalf = odds = name = lambda *a: 0", SHAPES),
}  # fmt: skip

# Not to be run unprotected: these kill, fill the memory or write outside their folder.
UNSAFE = {"killing what can be reached", "memory", "planted files", "two processes that answer", "closed sockets"}
UNSAFE |= {"closed sockets at import", "fake report on every descriptor", "expected values from disk", "sleep"}
UNSAFE |= {"endless loop", "thread that exits"}

PAYS: set[str] = set()

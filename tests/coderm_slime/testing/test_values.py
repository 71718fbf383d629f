"""What crosses between the tests and the answer: values, references, exceptions, streams. Each row must pass."""

import pytest

from coderm_slime.testing import SuiteReport
from helpers.suites import asserts, run_all

ECHO = "def f(x):\n    return x\n"
VALUES = """None | True | 0 | -1 | 2**62 | -2**70 | 1.5 | -0.0 | float('inf') | 1+2j | '' | 'ä€😀' | '\\ud800'
'\\ud83d' + '\\ude00' | b'\\x00\\xff' | bytearray(b'ab') | [] | [1, [2, [3]]] | (1, (2,)) | {} | {'a': {1: [2]}} | {(1, 2): 3}
set() | {1, 'a', (2, 3)} | frozenset({1, 2}) | {frozenset({1})} | range(1, 10, 3) | slice(1, None, 2) | ... | deque([1, 2], maxlen=3)
Counter('aab') | defaultdict(list, {'a': [1]}) | OrderedDict([('b', 1), ('a', 2)]) | Decimal('1.10') | Decimal('NaN').is_nan()
Fraction(1, 3) | date(2024, 2, 29) | datetime(2024, 1, 1, 12, tzinfo=timezone.utc) | time(1, 2, 3, 4) | timedelta(days=-1, microseconds=5)
timezone(timedelta(hours=2)) | Path('a/b') | PurePosixPath('c') | int | ValueError | NotImplemented | array('d', [1.5, 2.5])
[None, True, 1, 1.0, '1', b'1'] | [[]] * 3 | list(range(1000)) | {'x': (1, [2, {3}])} | [float('-inf'), 10**30] | 'line\\n\\x00'"""
IMPORTS = """from array import array
from collections import Counter, OrderedDict, defaultdict, deque, namedtuple
from datetime import date, datetime, time, timedelta, timezone
from decimal import Decimal
from fractions import Fraction
from pathlib import Path, PurePosixPath
"""
SAME = "sent = {0}\ngot = f(sent)\nassert type(got) is type(sent), type(got)\nassert got == sent and repr(got) == repr(sent)"
# name: program, test
ROWS = {
    "NaN stays one": (ECHO, "x = f(float('nan'))\nassert x != x and type(x) is float"),
    "an integer of any size": (ECHO, "assert f(10**5000) == 10**5000 and f([-(10**5000)]) == [-(10**5000)]"),
    "a cycle survives": ("def f():\n    a = [1]\n    a.append(a)\n    return a", "a = f()\nassert a[1] is a and a[0] == 1"),
    "a cycle goes there": ("def f(a):\n    return a[1] is a", "a = [1]\na.append(a)\nassert f(a) is True"),
    "a tuple in its own list": ("def f():\n    a = []\n    t = (a,)\n    a.append(t)\n    return t", "t = f()\nassert t[0][0] is t"),
    "shared parts stay shared": ("def f():\n    a = []\n    return [a, a]", "x = f()\nassert x[0] is x[1]"),
    "nesting has no limit": ("def f(n):\n    a = []\n    for _ in range(n): a = [a]\n    return a", "assert len(f(5000)) == 1"),
    "nested tuples too": ("def f(n):\n    a = ()\n    for _ in range(n): a = (a,)\n    return a", "assert len(f(5000)) == 1"),
    "an argument comes back as itself": (ECHO, "x = [1]\nassert f(x) is x"),
    "a list is sorted in place": ("def f(x):\n    x.sort()", "x = [3, 1, 2]\nassert f(x) is None and x == [1, 2, 3]"),
    "a nested list is changed in place": ("def f(x):\n    x['a'][0].append(9)", "x = {'a': ([1],)}\nf(x)\nassert x == {'a': ([1, 9],)}"),
    "a dict is changed in place": ("def f(x):\n    del x[1]; x[2] = {}", "x = {1: 1}\nf(x)\nassert x == {2: {}}"),
    "a set is changed in place": ("def f(x):\n    x.add(2)", "x = {1}\nf(x)\nassert x == {1, 2}"),
    "a bytearray, a deque, a counter, too": ("def f(a, b, c):\n    a[0] = 66; b.appendleft(0); c['x'] += 1", "a, b, c = bytearray(b'A'), deque([1]), Counter()\nf(a, b, c)\nassert (a, b, c) == (b'B', deque([0, 1]), Counter('x'))"),
    "a change of mind about a type is seen": ("def f(x):\n    x[0] = True", "x = [1]\nf(x)\nassert x[0] is True"),
    "a list that the answer keeps stays one": ("class Box:\n    def __init__(self, items): self.items = items\n    def sort(self): self.items.sort()", "from solution import Box\ndata = [2, 1]\nbox = Box(data)\nbox.sort()\nassert data == [1, 2]\ndata.append(0)\nassert box.items == [1, 2, 0] and box.items is data\nbox.items.append(5)\nassert data[-1] == 5"),
    "many large arguments in a row": ("def f(x):\n    x.append(len(x))\n    return sum(x)", "for n in range(30):\n    x = list(range(300))\n    assert f(x) == sum(range(301)) and x[-1] == 300"),
    "a subclass crosses as its base": ("class I(int): pass\nclass L(list): pass\nclass S(str): pass\nclass D(dict): pass\nclass F(float): pass\ndef f():\n    return [I(1), L([2]), S('s'), D(a=1), F(2.5)]", "assert [type(v) for v in f()] == [int, list, str, dict, float] and f() == [1, [2], 's', {'a': 1}, 2.5]"),
    "a named tuple stays one": ("from collections import namedtuple\nP = namedtuple('P', 'x y')\ndef f(p=None):\n    return p.x if p else P(1, 2)", "assert f() == (1, 2) and f().y == 2\nQ = namedtuple('Q', 'x z')\nassert f(Q(7, 8)) == 7"),
    "a lambda is called back": ("def f(g, x):\n    return sorted(x, key=g)", "assert f(lambda v: -v, [1, 3, 2]) == [3, 2, 1]"),
    "a callback may call the answer": ("def f(g, n):\n    return 0 if n == 0 else g(n)", "def g(n):\n    return n + f(g, n - 1)\nassert f(g, 10) == 55"),
    "a built-in function goes there": ("def f(g):\n    return g([1, 2])", "assert f(len) == 2 and f(sum) == 3"),
    "a generator of the answer": ("def f(n):\n    for i in range(n): yield [i]", "assert list(f(3)) == [[0], [1], [2]]\nimport inspect\nassert inspect.isgenerator(f(1))"),
    "an endless iterator of the answer": ("import itertools\ndef f():\n    return itertools.count(5)", "it = f()\nassert next(it) == 5 and next(it) == 6"),
    "a generator is sent to": ("def f():\n    x = 0\n    while True: x += yield x", "g = f()\nassert next(g) == 0 and g.send(3) == 3 and g.send(4) == 7\ng.close()"),
    "a generator of the tests": ("def f(it):\n    return [2 * x for x in it]", "assert f(x for x in range(4)) == [0, 2, 4, 6]"),
    "an endless generator of the tests": ("def f(it):\n    return next(it) + next(it)", "import itertools\nassert f(itertools.count(1)) == 3"),
    "objects of the tests are read and written": ("def f(node):\n    out = []\n    while node:\n        out.append(node.val)\n        node.val *= 2\n        node = node.next\n    return out", "class Node:\n    def __init__(self, val, next=None): self.val, self.next = val, next\nn = Node(1, Node(2))\nassert f(n) == [1, 2] and n.next.val == 4"),
    "a linked list is turned round": ("def f(head):\n    last = None\n    while head: head.next, last, head = last, head, head.next\n    return last", "class Node:\n    def __init__(self, val, next=None): self.val, self.next = val, next\na = Node(1, Node(2, Node(3)))\nb = a.next.next\nassert f(a) is b and b.next.next is a and a.next is None"),
    "a class of the tests is called": ("def f(cls):\n    x = cls(3)\n    x.more = 4\n    return x", "class C:\n    def __init__(self, v): self.v = v\nx = f(C)\nassert isinstance(x, C) and (x.v, x.more) == (3, 4)"),
    "isinstance of the tests' class": ("def f(x, cls):\n    return isinstance(x, cls), type(x).__name__", "class C: pass\nassert f(C(), C) == (True, 'C') and f(3, C) == (False, 'int')"),
    "a mock is called": ("def f(m):\n    m.start(1, a=[2])\n    return m.value()", "from unittest.mock import Mock\nm = Mock()\nm.value.return_value = 7\nassert f(m) == 7\nm.start.assert_called_once_with(1, a=[2])"),
    "a class of the answer": ("class Stack:\n    size = 3\n    def __init__(self): self.items = []\n    def push(self, x): self.items.append(x); return self\n    def __len__(self): return len(self.items)\n    def __contains__(self, x): return x in self.items\n    def __iter__(self): return iter(self.items)\n    def __getitem__(self, i): return self.items[i]\n    @property\n    def top(self): return self.items[-1]\n    @classmethod\n    def make(cls): return cls()\n    @staticmethod\n    def two(): return 2", "from solution import Stack\ns = Stack.make().push(1).push(2)\nassert len(s) == 2 and 1 in s and 5 not in s and list(s) == [1, 2] and s[0] == 1 and s[-1] == s.top == 2\nassert Stack.two() == 2 and Stack.size == 3 and isinstance(s, Stack) and type(s) is Stack and Stack.__name__ == 'Stack'\ns.items = [9]\nassert s.top == 9 and bool(s)"),
    "operators of the answer's class": ("class V:\n    def __init__(self, x): self.x = x\n    def __add__(self, o): return V(self.x + (o.x if isinstance(o, V) else o))\n    __radd__ = __add__\n    def __eq__(self, o): return isinstance(o, V) and self.x == o.x\n    def __hash__(self): return hash(self.x)\n    def __lt__(self, o): return self.x < o.x\n    def __repr__(self): return f'V({self.x})'\n    def __neg__(self): return V(-self.x)\n    def __call__(self, y): return self.x * y", "from solution import V\nassert V(1) + V(2) == V(3) and V(1) + 2 == V(3) and 2 + V(1) == V(3) and V(1) != V(2)\nassert {V(1), V(1)} == {V(1)} and sorted([V(2), V(1)])[0] == V(1) and repr(-V(1)) == 'V(-1)' and V(3)(4) == 12"),
    "what a class lacks raises": ("class C: pass", "from solution import C\nfor bad in (lambda: len(C()), lambda: C() + 1, lambda: iter(C()), lambda: C()(), lambda: C().nothing):\n    try: bad()\n    except (TypeError, AttributeError): pass\n    else: raise AssertionError(bad)\nassert not hasattr(C(), 'x') and not callable(C())"),
    "inheritance is seen": ("class A: pass\nclass B(A): pass\nclass C(B, A): pass", "from solution import A, B, C\nassert isinstance(C(), A) and issubclass(B, A) and not issubclass(A, B) and not isinstance(3, A)"),
    "abstract classes": ("from abc import ABC, abstractmethod\nclass S(ABC):\n    @abstractmethod\n    def area(self): ...\nclass Q(S):\n    def area(self): return 4", "from solution import S, Q\nassert Q().area() == 4 and isinstance(Q(), S)\ntry: S()\nexcept TypeError: pass\nelse: raise AssertionError"),
    "data classes": ("from dataclasses import dataclass, field\n@dataclass(order=True)\nclass P:\n    x: int\n    tags: list = field(default_factory=list)", "from solution import P\nassert P(1) == P(1) != P(2) and P(1) < P(2) and repr(P(1)) == 'P(x=1, tags=[])'\np = P(1)\np.tags.append(3)\nassert p.tags == [3]"),
    "enumerations": ("from enum import Enum\nclass Color(Enum):\n    RED = 1\n    BLUE = 2\ndef f(c): return Color.BLUE if c is Color.RED else Color.RED", "from solution import Color\nassert f(Color.RED) is Color.BLUE and f(Color.BLUE) == Color.RED != Color.BLUE\nassert Color.RED.value == 1 and Color['RED'].name == 'RED' and Color(2) is Color.BLUE and len(Color) == 2 and [c.value for c in Color] == [1, 2]"),
    "context managers": ("class C:\n    log = []\n    def __enter__(self): self.log.append('in'); return self\n    def __exit__(self, *e): self.log.append(e[0]); return e[0] is KeyError", "from solution import C\nwith C() as c: pass\nwith C(): raise KeyError(1)\nassert c.log == ['in', None, 'in', KeyError], c.log"),
    "closures and decorators": ("def make(n):\n    def add(x): return x + n\n    return add\ndef twice(g):\n    def inner(*a, **k): return g(*a, **k) * 2\n    return inner", "from solution import make, twice\nassert make(3)(4) == 7\n@twice\ndef three(a=3): return a\nassert three() == 6 and three(a=5) == 10"),
    "names and documentation": ("def f(x):\n    'doc'\n    return x", "assert f.__name__ == 'f' and callable(f)"),
    "built-in exceptions": ("def f(n):\n    raise [ValueError('bad', 1), KeyError('k'), ZeroDivisionError('z'), OSError(2, 'no'), StopIteration(3)][n]", "for n, (cls, args) in enumerate([(ValueError, ('bad', 1)), (KeyError, ('k',)), (ZeroDivisionError, ('z',)), (FileNotFoundError, (2, 'no')), (StopIteration, (3,))]):\n    try: f(n)\n    except Exception as e: assert type(e) is cls and e.args == args, e\n    else: raise AssertionError"),
    "exceptions of the answer": ("class Base(ValueError):\n    def __init__(self, code, *, why): self.code, self.why = code, why\n    def __str__(self): return f'<{self.code}>'\nclass Sub(Base): pass\ndef f(): raise Sub(7, why=['x'])", "from solution import Base, Sub\ntry: f()\nexcept Base as e: assert type(e) is Sub and isinstance(e, ValueError) and e.code == 7 and e.why == ['x'] and str(e) == '<7>'\nelse: raise AssertionError"),
    "exceptions of the library": ("import json, decimal\ndef f(x):\n    return json.loads(x)", "import json\ntry: f('{')\nexcept json.JSONDecodeError as e: assert e.pos == 1\nelse: raise AssertionError"),
    "an exception of a callback is itself": ("def f(g):\n    g()", "class Mine(Exception): pass\nerror = Mine(1)\ndef g(): raise error\ntry: f(g)\nexcept Mine as e: assert e is error\nelse: raise AssertionError"),
    "the answer catches the callback's exception": ("def f(g, E):\n    try: g()\n    except E as e: return type(e).__name__, e.args", "class Mine(Exception): pass\ndef g(): raise Mine(1)\nassert f(g, Mine) == ('Mine', (1,)) and f(lambda: 1 / 0, ZeroDivisionError)[0] == 'ZeroDivisionError'"),
    "SystemExit can be expected": ("import sys\ndef f(): sys.exit(3)", "try: f()\nexcept SystemExit as e: assert e.code == 3\nelse: raise AssertionError"),
    "recursion of the answer's own": ("def f(n): return 0 if n == 0 else 1 + f(n - 1)", "assert f(950) == 950\ntry: f(10**6)\nexcept RecursionError: pass\nelse: raise AssertionError"),
    "print arrives": ("import sys\ndef f():\n    print('one')\n    sys.stdout.write('two')", "import io, contextlib\nout = io.StringIO()\nwith contextlib.redirect_stdout(out): f()\nassert out.getvalue() == 'one\\ntwo'"),
    "input is asked for": ("import sys\ndef f():\n    return int(input('n? ')) + int(sys.stdin.readline()) + sum(map(int, sys.stdin.read().split()))", "import io, sys\nfrom unittest.mock import patch\nwith patch('sys.stdin', io.StringIO('1\\n2\\n3\\n4\\n')): assert f() == 10"),
    "input may be replaced": ("def f():\n    return input() + input('?')", "from unittest.mock import patch\nwith patch('builtins.input', side_effect=['a', 'b']): assert f() == 'ab'"),
    "print and open may be replaced": ("def f():\n    print('x', end='')\n    with open('n') as file: return file.read()", "from unittest.mock import patch, mock_open\nwith patch('builtins.print') as p, patch('builtins.open', mock_open(read_data='in')): assert f() == 'in'\np.assert_called_once_with('x', end='')"),
    "a name of the answer may be replaced": ("import time\ndef g(): return 1\ndef f(): return g()\ndef t(): return time.time()", "from unittest.mock import patch\nimport solution\nwith patch('solution.g', return_value=5) as g: assert f() == 5 and g.called\nassert f() == 1\nwith patch('solution.time.time', return_value=0): assert t() == 0\nassert t() > 0"),
    "coroutines": ("import asyncio\nasync def f(x):\n    await asyncio.sleep(0)\n    return [x]\nasync def gen():\n    yield 1\n    yield 2\nclass A:\n    async def __aenter__(self): return self\n    async def __aexit__(self, *e): return False\n    async def m(self): return 5", "import asyncio\nfrom solution import A, gen\nassert asyncio.run(f(1)) == [1] and asyncio.iscoroutinefunction(f)\nasync def main():\n    async with A() as a: assert await a.m() == 5\n    assert await asyncio.gather(f(1), f(2)) == [[1], [2]]\n    return [x async for x in gen()]\nassert asyncio.run(main()) == [1, 2]"),
    "a coroutine function of the tests": ("async def f(g):\n    return await g(1) + 1", "import asyncio\nasync def g(x): return x\nassert asyncio.run(f(g)) == 2"),
    "threads of the tests": ("import threading\nclass C:\n    def __init__(self): self.n, self.lock = 0, threading.Lock()\n    def up(self):\n        with self.lock: self.n += 1", "import threading\nfrom solution import C\nc = C()\nts = [threading.Thread(target=lambda: [c.up() for _ in range(20)]) for _ in range(4)]\n[t.start() for t in ts]; [t.join() for t in ts]\nassert c.n == 80"),
    "threads of the answer call back": ("from concurrent.futures import ThreadPoolExecutor\ndef f(g):\n    with ThreadPoolExecutor(3) as pool: return list(pool.map(g, range(9)))", "assert f(lambda x: x * x) == [x * x for x in range(9)]"),
    "main does not run": ("x = 1\nif __name__ == '__main__':\n    x = 2", "import solution\nassert solution.x == 1 and solution.__name__ == 'solution'"),
    "what the answer imported is there": ("import math\nfrom typing import List\nfrom math import sqrt as root\ndef f(x): return root(x)", "assert math.floor(f(4)) == 2 and root(9) == 3 and List[int]"),
    "star imports": ("def a(): return 1\ndef b(): return 2", "from solution import *\nassert a() + b() == 3"),
    "two kinds of module access": ("K = {'a': 1}\ndef f(): return K['a']", "import solution\nsolution.K['a'] = 5\nassert f() == 5\nsolution.K = {'a': 6}\nassert solution.f() == 6"),
    "regular expression matches": ("import re\ndef f(s): return re.match('(a)(b)?', s)", "m = f('ab')\nassert m and m.group(1) == 'a' and m.groups() == ('a', 'b') and f('x') is None"),
    "numbers of numpy": ("try:\n    import numpy as np\nexcept ImportError:\n    np = None\ndef f(): return (np.float64(1.5), np.int64(2), np.bool_(True), np.arange(4).reshape(2, 2)) if np else None", "x = f()\nassert x is None or (x[0] == 1.5 and x[1] == 2 and x[2] is True and x[3].tolist() == [[0, 1], [2, 3]] if hasattr(x[3], 'tolist') else x[3] == [0, 1, 2, 3])"),
}  # fmt: skip
for _number, _value in enumerate(part.strip() for line in VALUES.splitlines() for part in line.split(" | ")):
    ROWS[f"value {_number}: {_value}"] = (ECHO, SAME.format(_value))


@pytest.fixture(scope="module")
def reports() -> dict[str, SuiteReport]:
    return run_all({name: (program, asserts(test, setup=IMPORTS)) for name, (program, test) in ROWS.items()})


@pytest.mark.parametrize("name", ROWS)
def test_what_crosses_means_the_same_on_both_sides(name: str, reports: dict[str, SuiteReport]) -> None:
    report = reports[name]
    assert report.error is None and report.passed, report.error or report.tests[0].detail

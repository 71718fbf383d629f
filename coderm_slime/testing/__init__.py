"""Runs a problem's own tests on an untrusted answer; no result can be forged by it.

Covers the four kinds of `records.Suite`. The answer runs in one sandboxed process, the tests in another, and the
expected values never enter the answer's. Plain results are compared in the tests' process; CALLS compares by value
with tuples as lists, STDIO by lines (`stdio`). What may be believed of the answer's own objects is said in
`guest/mirrors`.

Not covered: what the tests themselves leave open (who returns what one example wants passes that example; equality of
two objects of the answer is the answer's own business); tests that hand files, environment variables or patched
library modules to the answer (the processes share none; `open`, `print`, `input` and names of the answer itself may
be patched); classes of a test that derive from the answer's; warnings; and operators with a plain operand on an
object that a method of the answer returned, such as `3 in stack.push(3)`, which are refused.
"""

from coderm_slime.testing.report import CaseResult, SuiteReport
from coderm_slime.testing.run import run_suite

__all__ = ["CaseResult", "SuiteReport", "run_suite"]

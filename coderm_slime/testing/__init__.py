"""Runs a problem's own tests on an untrusted answer; no result can be forged by it.

Covers the four kinds of `records.Suite`. The answer runs in one sandboxed process, the tests in another, and the
expected values never enter the answer's. Not covered: what the tests themselves leave open (a function that returns
what one of its examples wants passes that example), tests that hand files or patched library modules to the answer
(the processes share no folder and no modules, `open`, `print` and `input` excepted), subclasses of the answer's
classes made by a test, and warnings.
"""

from coderm_slime.testing.report import CaseResult, SuiteReport
from coderm_slime.testing.run import run_suite

__all__ = ["CaseResult", "SuiteReport", "run_suite"]

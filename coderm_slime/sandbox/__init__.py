"""Runs untrusted Python: layered isolation, limits, a pool. Knows not what the code is for."""

from coderm_slime.sandbox.pool import Sandbox, run_sync
from coderm_slime.sandbox.program import Ending, Limits, Program, Result, SandboxError
from coderm_slime.sandbox.server import Layer

__all__ = ["Ending", "Layer", "Limits", "Program", "Result", "Sandbox", "SandboxError", "run_sync"]

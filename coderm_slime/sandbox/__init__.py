"""Runs untrusted Python: layered isolation, limits, a pool. Knows not what the code is for."""

from coderm_slime.sandbox.pool import Probe, Sandbox, probe_sync, run_sync
from coderm_slime.sandbox.program import Ending, Limits, Program, Result, SandboxError
from coderm_slime.sandbox.server import Layer

__all__ = [
    "Ending",
    "Layer",
    "Limits",
    "Probe",
    "Program",
    "Result",
    "Sandbox",
    "SandboxError",
    "probe_sync",
    "run_sync",
]

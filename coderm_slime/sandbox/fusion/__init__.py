"""SandboxFusion's `/run_code` as records: from a program to a request, from a result to a reply, and both ways back.

The form was read in the sources of github.com/bytedance/SandboxFusion (sandbox/server/sandbox_api.py and
sandbox/runners, July 2026); it was never run against that service. What a `Program` and a `Result` hold beyond it goes
under the key `coderm`, which SandboxFusion and its clients ignore. Sends nothing, serves nothing.
"""

from coderm_slime.sandbox.fusion.checked import FormError
from coderm_slime.sandbox.fusion.reply import failure_for, reply_for, result_in
from coderm_slime.sandbox.fusion.request import program_in, request_for

RUN_PATH = "/run_code"

__all__ = ["RUN_PATH", "FormError", "failure_for", "program_in", "reply_for", "request_for", "result_in"]

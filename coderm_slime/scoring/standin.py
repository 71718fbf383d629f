"""`coderm serve` as a child process, for what needs a server only for a while: evaluation, benchmarks."""

import re
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from coderm_slime.errors import CodermError

_ADDRESS = re.compile(r"^serving .* at (http://\S+)$", re.MULTILINE)
_GOODBYE_S = 10


@contextmanager
def standin(model: Path, dtype: str = "float32") -> Iterator[str]:
    """The address of the stand-in server of `model`, which ends with the block.

    Raises:
        CodermError: it ended before it listened; the text holds what it said.
    """
    command = [sys.executable, "-m", "coderm_slime", "serve", "--model", str(model), "--port", "0", "--dtype", dtype]
    with (
        tempfile.TemporaryFile("w+", encoding="utf-8") as said,  # a pipe that nobody reads would stall it
        subprocess.Popen(command, stdout=subprocess.PIPE, stderr=said, text=True) as process,
    ):
        try:
            first = process.stdout.readline() if process.stdout else ""
            address = _ADDRESS.match(first)
            if address is None:
                process.wait(_GOODBYE_S)
                said.seek(0)
                raise CodermError(f"the server of {model} did not start: {(first + said.read()).strip()[-2000:]}")
            yield address.group(1)
        finally:
            process.terminate()
            try:
                process.wait(_GOODBYE_S)
            except subprocess.TimeoutExpired:
                process.kill()

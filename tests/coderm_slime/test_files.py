"""Files that others look at: whole or the one before, and one writer at a time."""

import subprocess
import sys
from pathlib import Path

import pytest

from coderm_slime.errors import CodermError
from coderm_slime.files import held, replaced

HOLDER = """
import sys
from pathlib import Path
from coderm_slime.errors import CodermError
from coderm_slime.files import held
with held(Path(sys.argv[1]), CodermError("busy")):
    print("held", flush=True)
    sys.stdin.read()
"""


def test_a_writer_that_fails_leaves_the_file_before_and_nothing_else(tmp_path: Path) -> None:
    path = tmp_path / "file"
    path.write_bytes(b"old")
    with pytest.raises(ZeroDivisionError), replaced(path) as file:
        file.write(b"half of the new")
        raise ZeroDivisionError
    assert path.read_bytes() == b"old"
    assert list(tmp_path.iterdir()) == [path]
    with replaced(path) as file:
        file.write(b"new")
    assert path.read_bytes() == b"new"
    assert list(tmp_path.iterdir()) == [path]


def test_a_file_that_another_process_holds_is_refused_or_waited_for(tmp_path: Path) -> None:
    path = tmp_path / "folder" / "lock"
    command = [sys.executable, "-c", HOLDER, str(path)]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as holder:
        assert holder.stdout.readline() == "held\n"
        with pytest.raises(CodermError, match="mine"), held(path, CodermError("mine")):
            pytest.fail("two hold it")
        waiter = [sys.executable, "-c", HOLDER.replace('CodermError("busy")', "None"), str(path)]
        with subprocess.Popen(waiter, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, text=True) as waiting:
            assert waiting.poll() is None
            holder.stdin.close()
            assert waiting.stdout.readline() == "held\n"

"""Which layers are on, what each stops, and what happens where one is missing: real kernels, real refusals."""

import asyncio
import dataclasses
import json
import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest
from pydantic import ValidationError

from coderm_slime.sandbox import Ending, Program, Sandbox, SandboxError, run_sync
from coderm_slime.sandbox.copies import copy_distributions
from coderm_slime.sandbox.inside.syscalls import Table
from coderm_slime.sandbox.runtime import Runtime
from coderm_slime.sandbox.server import Layer, _refuse_missing
from coderm_slime.settings import SandboxSettings
from helpers.processes import ROOT, coderm
from helpers.sandboxed import UIDS, run, settings

REFUSED = {
    "network": "import socket; socket.socket()",
    "netlink": "import socket; socket.socket(socket.AF_NETLINK, socket.SOCK_RAW)",
    "datagram pair": "import socket; socket.socketpair(socket.AF_UNIX, socket.SOCK_DGRAM)",
    "reading /etc/passwd": "open('/etc/passwd')",
    "reading /proc": "open(f'/proc/{__import__(\"os\").getppid()}/environ')",
    "own environ": "open('/proc/self/environ')",
    "listing the temporary folder": "import os; os.listdir('/tmp')",
    "writing to it": "open('/tmp/escaped', 'w')",
    "writing to memory files": "open('/dev/shm/escaped', 'w')",
    "killing the fork server": "import os; os.kill(os.getppid(), 9)",
    "signalling init": "import os; os.kill(1, 0)",
    "another's limits": "import os, resource; resource.prlimit(os.getppid(), resource.RLIMIT_CPU, (1, 1))",
    "raising its own limits": "import resource; resource.setrlimit(resource.RLIMIT_NOFILE, (4096, 4096))",
    "becoming root": "import os; os.setuid(0)",
    "a name space": "import ctypes; r = ctypes.CDLL(None).unshare(0x10000000); assert r == 0",
    "ptrace": "import ctypes, os; r = ctypes.CDLL(None).ptrace(16, os.getppid(), 0, 0); assert r == 0",
    "a memory file": "import os; os.memfd_create('x')",
    "hard link out": "import os; os.link('/etc/hostname', 'h')",
    "through a symbolic link": "import os; os.symlink('/etc/passwd', 'l'); open('l')",
}
FILL = "import time\nfor n in range(20): open(str(n), 'wb').write(bytes(4 << 20))\ntime.sleep(2)"
SIGNALS = """
import os, sys
sys.path.insert(0, sys.argv[1])
from inside import libc, seccomp
libc.prctl(libc.PR_SET_NO_NEW_PRIVS, 1)
seccomp.run_filter(kill_freely=False).install()
os.kill(os.getpid(), 0)
os.kill(0, 0)
try:
    os.kill(os.getppid(), 0)
except PermissionError:
    print("refused")
"""
AS_NOBODY = """
import json, os, sys
os.setgroups([]); os.setresgid(65534, 65534, 65534); os.setresuid(65534, 65534, 65534)
sys.path[:0] = json.loads(sys.argv[1])
from coderm_slime.sandbox import Program, Limits, run_sync
from coderm_slime.settings import SandboxSettings
sources = json.loads(sys.argv[2])
settings = SandboxSettings(python=sys.argv[3])
found = {name: run_sync(Program(source, limits=Limits(wall_s=3)), settings) for name, source in sources.items()}
print(json.dumps({name: [result.ending.value, result.log, result.layers] for name, result in found.items()}))
"""


@pytest.mark.parametrize("name", REFUSED)
def test_a_program_cannot_reach_outside(name: str) -> None:
    result = run(REFUSED[name])
    assert result.ending is Ending.EXCEPTION, result
    assert any(
        word in result.stderr
        for word in ("PermissionError", "FileNotFoundError", "Assertion", "ValueError", "OSError")
    )


def test_all_required_layers_are_on_here_and_named_in_every_result() -> None:
    required = set(SandboxSettings().required) - ({"uid"} if os.geteuid() else set())
    assert required <= set(run("").layers)


def test_a_missing_required_layer_is_refused_by_name_with_the_setting_that_waives_it() -> None:
    layers = (Layer("landlock", False, "the kernel has none"), Layer("tmpfs", False, "no mounts"))
    with pytest.raises(SandboxError, match=r"landlock: the kernel has none.*sandbox\.allow_missing") as caught:
        _refuse_missing(layers, SandboxSettings())
    assert "tmpfs" not in str(caught.value)
    _refuse_missing(layers, SandboxSettings(allow_missing=("landlock",)))


def test_a_user_id_that_means_no_change_is_no_setting() -> None:
    with pytest.raises(ValidationError):
        SandboxSettings(uid_first=2**32 - 1)


def test_when_all_user_ids_are_taken_root_is_refused() -> None:
    async def two_servers_with_one_id() -> None:
        one = SandboxSettings(workers=2, uid_first=UIDS.start, uid_count=1)
        async with Sandbox(one) as sandbox:
            await sandbox.run_together([Program(""), Program("")])

    if os.geteuid() == 0:
        with pytest.raises(SandboxError, match="all of 1 user ids"):
            asyncio.run(two_servers_with_one_id())


def test_an_interpreter_that_is_none_is_a_clear_error() -> None:
    with pytest.raises(SandboxError, match=r"sandbox\.python = /bin/ls"):
        run_sync(Program(""), settings(python="/bin/ls"))
    with pytest.raises(SandboxError, match=r"sandbox\.python = /nowhere"):
        run_sync(Program(""), settings(python="/nowhere"))


def test_packages_are_copied_with_what_they_require(tmp_path: Path) -> None:
    import pluggy

    folder = str(Path(pluggy.__file__).parents[1])
    tmp_path.chmod(0o755)
    copy = copy_distributions(("pytest",), (folder,), tmp_path)
    assert {"pytest", "_pytest", "pluggy", "iniconfig"} <= {path.name for path in copy.iterdir()}
    assert copy_distributions(("pytest",), (folder,), tmp_path) == copy
    with pytest.raises(SandboxError, match="no_such_module"):
        copy_distributions(("no_such_module",), (folder,), tmp_path)


def test_a_cache_that_others_can_write_is_refused(tmp_path: Path) -> None:
    tmp_path.chmod(0o777)
    with pytest.raises(SandboxError, match="can be written by others"):
        copy_distributions(("pytest",), tuple(path for path in sys.path if "site-packages" in path), tmp_path)


def test_both_tables_of_system_calls_refuse_sockets() -> None:
    assert 41 in Table("x86_64").refused
    assert 198 in Table("aarch64").refused
    with pytest.raises(OSError, match="no table"):
        Table("sparc")


def test_without_another_layer_for_signals_the_filter_keeps_them_to_the_program_itself() -> None:
    command = [sys.executable, "-c", SIGNALS, str(ROOT / "coderm_slime" / "sandbox")]
    assert subprocess.run(command, capture_output=True, text=True, timeout=30).stdout == "refused\n"


def test_coderm_exec_mirrors_the_program_and_says_how_it_ended(tmp_path: Path) -> None:
    file = tmp_path / "program.py"
    file.write_text("import sys\nprint('out')\nprint('err', file=sys.stderr)\nsys.exit(5)")
    result = coderm("exec", file)
    assert (result.returncode, result.stdout) == (5, "out\n")
    assert "err" in result.stderr
    assert "exit_code" in result.stderr
    file.write_text("while True: pass")
    assert coderm("exec", "--wall-s", "0.3", file).returncode == 124


def test_coderm_doctor_lists_the_layers() -> None:
    out = coderm("doctor").stdout
    assert all(name in out for name in ("landlock", "seccomp", "subreaper", "rlimits"))


def test_coderm_bench_sandbox_gives_the_figures() -> None:
    result = coderm("bench", "sandbox", "--json", "--rounds", "1", "--seconds", "0.3")
    figures = json.loads(result.stdout)
    assert {"runs_per_s", "python_c_per_s", "ratio", "ratio_bare", "layers"} <= figures.keys()
    assert figures["runs_per_s"] > 0


@pytest.fixture
def readable_by_all() -> Iterator[Path]:
    """A folder with this package and what its sandbox imports, wherever the checkout lies."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        folder.chmod(0o755)
        runtime = Runtime.find(settings())
        shutil.copytree(ROOT / "coderm_slime", folder / "coderm_slime")
        copy = copy_distributions(("pydantic", "yaml"), (*runtime.readable, *runtime.unreadable), folder / "cache")
        copy.rename(folder / "packages")
        for path in (folder / "coderm_slime", *(folder / "coderm_slime").rglob("*")):
            path.chmod(0o755)
        yield folder


def test_a_user_without_privileges_has_the_same_protection(readable_by_all: Path) -> None:
    if os.geteuid() != 0:
        return  # all tests of this file already ran so
    runtime = Runtime.find(settings())
    packages = [str(readable_by_all), str(readable_by_all / "packages")]
    sources = {name: source for name, source in REFUSED.items() if name != "becoming root"} | {
        "fine": "print(1)",
        "full": FILL,
    }
    command = [runtime.python, "-S", "-c", AS_NOBODY, json.dumps(packages), json.dumps(sources), runtime.python]
    done = subprocess.run(command, capture_output=True, text=True, cwd="/", timeout=100, env=runtime.environment)
    assert done.returncode == 0, done.stderr
    found = json.loads(done.stdout)
    assert found.pop("fine")[:2] == ["ok", "1\n"]
    assert found.pop("full")[0] == "disk_limit", "no mounts for this user: the folder's size is watched"
    assert all(ending == "exception" for ending, _, _ in found.values()), found
    assert all("uid" not in layers and "seccomp" in layers for _, _, layers in found.values())


def test_the_standard_library_needs_no_copy_where_packages_cannot_be_read(tmp_path: Path) -> None:
    runtime = dataclasses.replace(Runtime.find(settings()), unreadable=(str(tmp_path),))
    runtime.provide(("json", "os.path"))
    assert runtime.packages(("json", "os.path")) == runtime.readable
    with pytest.raises(SandboxError, match="no installed distribution"):
        runtime.provide(("json", "no_such_package"))

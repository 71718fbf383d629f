"""Attacks that read what is the caller's: files, environment, memory, names. Programs only, see case.py."""

from coderm_slime.sandbox.attacks.case import Attack, Sign

_ALL_ENVIRONMENTS = """
import glob
for path in glob.glob("/proc/[0-9]*/environ"):
    try:
        found = [line for line in open(path, "rb").read().split(b"\\0") if line.startswith(b"$VARIABLE=")]
    except OSError:
        continue
    print(*found)
"""
_MEMORY = """
import re
stack = next(line for line in open("/proc/$VICTIM/maps") if "[stack]" in line)
start, end = (int(part, 16) for part in stack.split()[0].split("-"))
with open("/proc/$VICTIM/mem", "rb") as memory:
    memory.seek(start)
    print(*re.findall(rb"$VARIABLE=\\w+", memory.read(end - start)))
"""
_FOREIGN_MEMORY = """
import ctypes
class Part(ctypes.Structure):
    _fields_ = [("start", ctypes.c_void_p), ("size", ctypes.c_size_t)]
buffer = ctypes.create_string_buffer($ENVIRONMENT_SIZE)
here, there = Part(ctypes.addressof(buffer), len(buffer)), Part($ENVIRONMENT_AT, len(buffer))
ctypes.CDLL(None).process_vm_readv($VICTIM, ctypes.byref(here), 1, ctypes.byref(there), 1, 0)
print(buffer.raw)
"""
_FOREIGN_DESCRIPTOR = """
import ctypes, os
C = ctypes.CDLL(None)
taken = C.syscall(438, C.syscall(434, $VICTIM, 0), 0, 0)
print(os.pread(taken, 1000, 0))
"""
_BY_HANDLE = """
import ctypes, os
C = ctypes.CDLL(None)
handle = ctypes.create_string_buffer(b"\\x80\\0\\0\\0", 136)
mount = ctypes.c_int()
C.name_to_handle_at(-100, b"$SECRET_FILE", handle, ctypes.byref(mount), 0)
folder = os.open(".", os.O_RDONLY)
print(os.read(C.open_by_handle_at(folder, handle, 0), 1000))
"""
_FRAMES = """
import sys
frame = sys._getframe()
while frame:
    print(frame.f_globals.get("expected_answer"), frame.f_locals.get("expected_answer"))
    frame = frame.f_back
"""
_OBJECTS = """
import gc
for one in gc.get_objects():
    if type(one) is dict and "expected_answer" in one:
        print(one["expected_answer"])
"""
_NOTIFY = """
import ctypes, os, select
C = ctypes.CDLL(None)
fd = C.inotify_init()
if C.inotify_add_watch(fd, b"$FOLDER", 0x100) >= 0 and select.select([fd], [], [], 1)[0]:
    print(os.read(fd, 4096))
"""
_DIGEST = "import hashlib; print(hashlib.sha256(open('{}', 'rb').read()).hexdigest())"
_RUN_AS_OWNER = (
    "import subprocess; print(subprocess.run(['$SET_USER_ID', '$SECRET_FILE'], capture_output=True).stdout)"
)

_ATTACKS: tuple[tuple[str, str], ...] = (
    ("reads its environment", "import os; print(os.environ['$VARIABLE'])"),
    ("reads its environment in /proc", "print(open('/proc/self/environ').read())"),
    ("reads another process's environment", "print(open('/proc/$VICTIM/environ').read())"),
    ("reads the environment of all processes", _ALL_ENVIRONMENTS),
    ("reads another process's memory in /proc", _MEMORY),
    ("reads another process's command line", "print(open('/proc/$VICTIM/cmdline').read())"),
    ("reads through another process's descriptor in /proc", "print(open('/proc/$VICTIM/fd/0').read())"),
    ("reads through another process's root", "print(open('/proc/$VICTIM/root$OPEN_FILE').read())"),
    ("reads the names of processes with ps", "import subprocess; print(subprocess.run(['ps', 'axww']))"),
    ("reads a secret file of the caller", "print(open('$SECRET_FILE').read())"),
    ("reads a file of the caller that all may read", "print(open('$OPEN_FILE').read())"),
    ("reads a key in home", "print(open('$HOME/.ssh/id_ed25519').read())"),
    ("reads through a symbolic link", "import os; os.symlink('$OPEN_FILE', 'l'); print(open('l').read())"),
    ("reads with a child program", "import subprocess; subprocess.run(['cat', '$OPEN_FILE'])"),
    ("lists the caller's folder", "import os; print(os.listdir('$HOME'))"),
    ("imports a module of the caller", "import sys; sys.path.insert(0, '$HOME'); import secret_module"),
    ("reads the names of users", _DIGEST.format("/etc/passwd")),
)

READING = (
    *(Attack(name, source, Sign.LEAKED) for name, source in _ATTACKS),
    Attack("reads the users' password hashes", _DIGEST.format("/etc/shadow"), Sign.LEAKED, needs=("root",)),
    Attack("reads another process's memory by a system call", _FOREIGN_MEMORY, Sign.LEAKED),
    Attack("takes another process's descriptor", _FOREIGN_DESCRIPTOR, Sign.LEAKED),
    Attack(
        "opens a file by its handle",
        _BY_HANDLE,
        Sign.LEAKED,
        needs=("root",),
        rare="the file system may have no handles, a container may forbid them",
    ),
    Attack("watches what happens in the caller's folder", _NOTIFY, Sign.LEAKED),
    Attack("looks for the answers in its callers' frames", _FRAMES, Sign.LEAKED, host="process"),
    Attack("looks for the answers among all objects", _OBJECTS, Sign.LEAKED, host="process"),
    Attack(
        "runs a program that runs as its owner",
        _RUN_AS_OWNER,
        Sign.LEAKED,
        needs=("root",),
        drop=True,
        rare="the folder for temporary files may be mounted without set-user-id",
    ),
)

"""Attacks that write, or change, what lies outside. Programs only, see case.py."""

from coderm_slime.sandbox.attacks.case import Attack, Sign

_ATTACKS: tuple[tuple[str, str], ...] = (
    ("writes to the temporary folder", "open('$TMP/$MARK', 'w')"),
    ("writes to home", "open('$HOME/$MARK', 'w')"),
    ("writes to shared memory", "open('/dev/shm/$MARK', 'w')"),
    ("writes to the caller's folder", "open('$FOLDER/$MARK', 'w')"),
    ("writes to the interpreter's packages", "open('$PACKAGES/$MARK', 'w')"),
    ("appends to a file that all may write", "open('$CANARY', 'a').write('x')"),
    ("writes through a symbolic link", "import os; os.symlink('$CANARY', 'l'); open('l', 'a').write('x')"),
    ("writes through a hard link", "import os; os.link('$CANARY', 'l'); open('l', 'a').write('x')"),
    ("renames a file to outside", "import os; open('f', 'w'); os.rename('f', '$FOLDER/$MARK')"),
    ("links a file to outside", "import os; open('f', 'w'); os.link('f', '$FOLDER/$MARK')"),
    ("writes by a relative path", "import os; open(os.path.relpath('$FOLDER/$MARK'), 'w')"),
    ("writes after changing the folder", "import os; os.chdir('$FOLDER'); open('$MARK', 'w')"),
    ("writes from a child program", "import subprocess; subprocess.run(['sh', '-c', 'echo > $FOLDER/$MARK'])"),
    ("makes a folder outside", "import os; os.mkdir('$FOLDER/$MARK')"),
    ("makes a symbolic link outside", "import os; os.symlink('x', '$FOLDER/$MARK')"),
    ("makes a named pipe outside", "import os; os.mkfifo('$FOLDER/$MARK')"),
    ("cuts a file", "import os; os.truncate('$CANARY', 0)"),
    ("cuts a file that it opens for reading", "import os; os.open('$CANARY', os.O_RDONLY | os.O_TRUNC)"),
    ("deletes a file", "import os; os.unlink('$CANARY')"),
    ("sets an attribute of a file", "import os; os.setxattr('$CANARY', 'user.x', b'x')"),
    ("changes a file's permissions", "import os; os.chmod('$OWNED', 0o777)"),
    ("makes a file run as its owner", "import os; os.chmod('$OWNED', 0o4755)"),
    ("changes a file's times", "import os; os.utime('$OWNED', (1, 1))"),
    ("deletes a message queue", "import ctypes; ctypes.CDLL(None).msgctl($QUEUE, 0, None)"),
    ("counts up a semaphore", "import ctypes; ctypes.CDLL(None).semop($SEMAPHORE, b'\\0\\0\\1\\0\\0\\0', 1)"),
    (
        "counts up a semaphore by the call with a time limit",
        "import ctypes; ctypes.CDLL(None).semtimedop($SEMAPHORE, b'\\0\\0\\1\\0\\0\\0', 1, None)",
    ),
    ("takes an attribute from a file", "import os; os.removexattr('$CANARY', 'user.coderm')"),
)

_MOUNT = "import ctypes; ctypes.CDLL(None).mount(b'none', b'$FOLDER', b'tmpfs', 0, None)"

FILES = (
    *(Attack(name, source, Sign.CHANGED) for name, source in _ATTACKS),
    Attack(
        "gives a file to another user", "import os; os.chown('$CANARY', 12345, 12345)", Sign.CHANGED, needs=("root",)
    ),
    Attack(
        "makes a device",
        "import os; os.mknod('$FOLDER/$MARK', 0o20666, os.makedev(1, 3))",
        Sign.CHANGED,
        needs=("root",),
        rare="a container may forbid devices",
    ),
    Attack("mounts a file system", _MOUNT, Sign.CHANGED, needs=("root",), rare="a container may forbid mounts"),
    Attack(
        "writes to all descriptors that it inherits",
        "import os\nfor fd in range(3, 256):\n    try:\n        os.write(fd, b'x')\n    except OSError:\n        pass",
        Sign.CHANGED,
    ),
    Attack(
        "makes another process the first to be killed when memory is short",
        "open('/proc/$VICTIM/oom_score_adj', 'w').write('500')",
        Sign.STRUCK,
    ),
)

"""Attacks over the network and over sockets of this machine. Programs only, see case.py."""

from coderm_slime.sandbox.attacks.case import Attack, Sign

_HOLD = "\nimport time; time.sleep(0.4)"
_CODE_OF_OTHER_ENTRY = """
import ctypes, mmap, time
code = bytes.fromhex("53" "b867010000" "bb02000000" "b901000000" "31d2" "cd80" "5b" "c3")
memory = mmap.mmap(-1, 4096, prot=7)
memory.write(code)
call = ctypes.CFUNCTYPE(ctypes.c_int)(ctypes.addressof(ctypes.c_char.from_buffer(memory)))
if call() >= 0:
    time.sleep(0.4)
"""
_RAW = """
import socket, struct
text = b"$MARK"
udp = struct.pack("!HHHH", 9, $UDP, 8 + len(text), 0) + text
local = socket.inet_aton("127.0.0.1")
ip = struct.pack("!BBHHHBBH4s4s", 69, 0, 20 + len(udp), 0, 0, 9, 17, 0, local, local)
socket.socket(socket.AF_INET, socket.SOCK_RAW, socket.IPPROTO_RAW).sendto(ip + udp, ("127.0.0.1", 0))
"""
_QUESTION = """
import socket, struct
name = b"".join(bytes([len(part)]) + part for part in b"$MARK.example".split(b"."))
question = struct.pack("!6H", 1, 256, 1, 0, 0, 0) + name + struct.pack("!BHH", 0, 1, 1)
socket.socket(socket.AF_INET, socket.SOCK_DGRAM).sendto(question, ("127.0.0.1", $UDP))
"""
_TAKE = """
s.settimeout(1)
s.listen()
s.accept()[0].sendall(b"$MARK")
"""

NETWORK = (
    Attack(
        "connects by TCP",
        "import socket; socket.create_connection(('127.0.0.1', $TCP)).sendall(b'$MARK')",
        Sign.HEARD,
    ),
    Attack(
        "connects by TCP over IPv6",
        "import socket; socket.create_connection(('::1', $TCP6)).sendall(b'$MARK')",
        Sign.HEARD,
        needs=("ipv6",),
    ),
    Attack(
        "sends by UDP",
        "import socket; socket.socket(socket.AF_INET, socket.SOCK_DGRAM).sendto(b'$MARK', ('127.0.0.1', $UDP))",
        Sign.HEARD,
    ),
    Attack("sends a packet of its own making", _RAW, Sign.HEARD, needs=("root",)),
    Attack("asks a name server", _QUESTION, Sign.HEARD),
    Attack(
        "connects through a shell",
        "import subprocess; subprocess.run(['bash', '-c', 'echo $MARK > /dev/tcp/127.0.0.1/$TCP'])",
        Sign.HEARD,
    ),
    Attack(
        "serves TCP",
        "import socket; s = socket.socket(); s.bind(('127.0.0.1', $PORT))" + _TAKE,
        Sign.ENTERED,
    ),
    Attack(
        "serves an abstract Unix socket",
        "import socket; s = socket.socket(socket.AF_UNIX); s.bind('\\0$MARK-in')" + _TAKE,
        Sign.ENTERED,
    ),
    Attack(
        "connects to an abstract Unix socket",
        "import socket; s = socket.socket(socket.AF_UNIX); s.connect('\\0$MARK-out'); s.sendall(b'$MARK')",
        Sign.HEARD,
    ),
    Attack(
        "connects to a Unix socket of the caller",
        "import socket; s = socket.socket(socket.AF_UNIX); s.connect('$FOLDER/stream'); s.sendall(b'$MARK')",
        Sign.HEARD,
    ),
    Attack(
        "sends from one end of a datagram pair",
        "import socket; a, b = socket.socketpair(socket.AF_UNIX, socket.SOCK_DGRAM)\n"
        "a = socket.socket(fileno=a.detach())\na.sendto(b'$MARK', '$FOLDER/datagram')",
        Sign.HEARD,
        rare="the kernel may refuse an address on a connected datagram socket",
    ),
    Attack(
        "talks to the kernel by netlink",
        "import socket; s = socket.socket(socket.AF_NETLINK, socket.SOCK_RAW)" + _HOLD,
        Sign.HELD,
        held="socket:",
    ),
    Attack(
        "listens to all packets",
        "import socket; s = socket.socket(socket.AF_PACKET, socket.SOCK_RAW, 768)" + _HOLD,
        Sign.HELD,
        held="socket:",
        needs=("root",),
    ),
    Attack(
        "opens a socket to the machine's host",
        "import socket; s = socket.socket(socket.AF_VSOCK)" + _HOLD,
        Sign.HELD,
        held="socket:",
        rare="the kernel may have no vsock",
    ),
    Attack(
        "opens a socket of the kernel's cryptography",
        "import socket; s = socket.socket(socket.AF_ALG, socket.SOCK_SEQPACKET)" + _HOLD,
        Sign.HELD,
        held="socket:",
        rare="the kernel may have none",
    ),
    Attack(
        "opens a socket by the number of the system call",
        "import ctypes, time; C = ctypes.CDLL(None); C.syscall(41, 2, 1, 0) >= 0 and time.sleep(0.4)",
        Sign.HELD,
        held="socket:",
        needs=("x86_64",),
    ),
    Attack(
        "opens a socket by the number of the x32 system call",
        "import ctypes, time; C = ctypes.CDLL(None); C.syscall(0x40000029, 2, 1, 0) >= 0 and time.sleep(0.4)",
        Sign.HELD,
        held="socket:",
        needs=("x86_64",),
        rare="most kernels have no x32 calls",
    ),
    Attack(
        "opens a socket through the 32-bit entry of the kernel",
        _CODE_OF_OTHER_ENTRY,
        Sign.HELD,
        held="socket:",
        needs=("x86_64",),
        rare="the kernel may have no 32-bit entry",
    ),
)
